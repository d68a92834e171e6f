"""Many toy models of one n and one recipe, trained as a stack in PyTorch: on CUDA for speed, on CPU with the same code.

    y = ReLU(x W W^T + b),   mean loss = 1/(B n) sum_s ||y_s - x_s||^2

The stack holds P_k = [W_k | 0 | b_k], shape (K, n, width), the last column being b. With h_s = [sum_i x_si W_i | 0 | 1]
the pre-activation is z = h P^T. Let d = y - x where y > 0, else 0. Then, without autograd,

    dL/dP = 2/(B n) (d^T h + [x^T d W | 0 | 0])

- Zero columns fill narrow models up to the widest and provably stay zero: their entries of h and of d W are sums of
  products with 0, so their gradient is 0; Adam's moments, and with them its step, are then 0 (0 / (0 + epsilon)); both
  signs of the decay only multiply rows by a factor, and a row's norm does not see zeros.
- x is never dense: h and x^T d W are sums of weighted rows, one fused kernel each, in a fixed order.
- A sample needs a row of h only if it has an active feature. The e others share one row, [0 | 0 | sqrt(e)]: ReLU is
  positively homogeneous, so this row's loss and gradient are e times those of one sample without features.
- Random numbers are a function of a model's seed, the step and their place in the batch: a model's samples do not
  depend on the stack that it is trained in.
- Nothing in a step waits for the device, and the step's number lives there, so a step can be a CUDA graph.

All products are in float32 with TF32 off, unless asked for (`torch.backends.cuda.matmul.fp32_precision`, "ieee" or
"tf32", set for the process).
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from scaling.toy.features import hazards
from scaling.toy.recipe import Recipe


WARM_UP = 3  # steps before a CUDA graph is captured: libraries allocate in their first calls

log = logging.getLogger(__name__)


class Entries(NamedTuple):
    """Active entries of K batches, x[k, row, feature] = value, rows in order; a value of 0 fills up."""

    row: Tensor  # (K, N) int64, not decreasing along N
    feature: Tensor  # (K, N) int64
    value: Tensor  # (K, N) float32
    weight: Tensor  # (K, R) float32, last column of h: 1 for a sample, sqrt(e) for e samples without features, else 0


def room(p: NDArray[np.float64], batch_size: int) -> tuple[int, int]:
    """Points N to draw and rows R to keep for a batch: the means, eight standard deviations and a little more."""
    points = batch_size * hazards(p).sum()
    used = batch_size * -np.expm1(-points / batch_size)
    rows = min(batch_size, used + 8 * np.sqrt(used) + 32) + 1
    return int(points + 8 * np.sqrt(points) + 32), _aligned(rows)


def models_that_fit(p: NDArray[np.float64], m: int, batch_size: int, memory: int) -> int:
    """How many models of width m and frequencies p (shape (n,), the densest of the stack) fit into `memory` bytes.

    Counts d (R n floats), ten arrays like P, four like h and 128 bytes per point drawn; what libraries take is extra.
    """
    n, width = len(p), _aligned(m + 1)
    points, rows = room(p, batch_size)
    return memory // (4 * (rows * n + 10 * n * width + 4 * rows * width) + 128 * points)


def _aligned(size: float) -> int:
    """The size in floats, rounded up to 16 bytes, which the matrix products read at once."""
    return 4 * int(np.ceil(size / 4))


def _changes(values: Tensor) -> Tensor:
    """Where a value of (K, N) differs from the one before it; the first always does."""
    return torch.cat([torch.ones_like(values[:, :1], dtype=torch.bool), values[:, 1:] != values[:, :-1]], dim=1)


def _sums(matrix: Tensor, index: Tensor, weight: Tensor, owner: Tensor, owners: int) -> Tensor:
    """sum of weight_t matrix[index_t] over the t of each owner (in order), shape (owners, columns)."""
    start = torch.searchsorted(owner, torch.arange(owners, device=owner.device))
    return embedding_bag(index, matrix, start, mode="sum", per_sample_weights=weight)


def _signed(bits: int) -> int:
    """64 bits as the int64 that has them."""
    return bits - 2**64 if bits >= 2**63 else bits


def uniform(seed: Tensor, place: Tensor) -> Tensor:
    """Number `place` of the SplitMix64 stream of a seed, as float64 in [0, 1); int64 tensors of shapes that broadcast.

    A bijection of seed + place times the golden ratio, in which every bit depends on every other (Steele, Lea and
    Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    x = seed + place * _signed(0x9E3779B97F4A7C15)
    x = (x ^ ((x >> 30) & (2**34 - 1))) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ ((x >> 27) & (2**37 - 1))) * _signed(0x94D049BB133111EB)
    x = x ^ ((x >> 31) & (2**33 - 1))
    return ((x >> 11) & (2**53 - 1)).double() * 2.0**-53


class Sampler:
    """Exact Bernoulli draws of x on the device for K models, as entries, each from the stream of its own seed.

    Cells (sample, feature) lie on a line, each as long as its hazard -log(1 - p_i); points of a Poisson process of
    rate 1 fall on it, and a cell is active if it holds a point: probability 1 - e^(log(1 - p_i)) = p_i, independently.
    """

    def __init__(
        self, p: Sequence[NDArray[np.float64]], batch_size: int, seeds: Sequence[int], device: torch.device
    ) -> None:
        self.batch_size = batch_size
        self.points, self.rows = (max(size) for size in zip(*(room(q, batch_size) for q in p), strict=True))
        line = np.cumsum([hazards(q) for q in p], axis=1)
        self.hazard = torch.from_numpy(line[:, -1:]).to(device)  # (K, 1), of a whole sample
        self.line = torch.from_numpy(line / line[:, -1:]).to(device)  # (K, n), ends with exactly 1
        self.seeds = torch.tensor([_signed(seed) for seed in seeds], device=device)[:, None]
        self.place = torch.arange(self.points, device=device)

    def draw(self, step: Tensor) -> Entries:
        """The batch of each model at a step, shape (1,) int64."""
        place = (step << 32) + 2 * self.place
        time = -torch.log1p(-uniform(self.seeds, place)).cumsum(1) / self.hazard  # in samples
        sample = time.floor()
        feature = torch.searchsorted(self.line, time - sample, right=True)
        inside = sample < self.batch_size
        new_sample = _changes(sample)
        active = (new_sample | _changes(feature)) & inside  # further points of a cell add nothing
        value = 2 * uniform(self.seeds, place + 1).float() * active
        row = (new_sample & inside).cumsum(1) - 1  # counts the samples with features
        used = row[:, -1:] + 1
        weight = (torch.arange(self.rows, device=self.place.device) < used).float()
        weight[:, -1:] = (self.batch_size - used).sqrt()
        return Entries(row.clamp(min=0), feature, value, weight)


def entries(x: Tensor) -> Entries:
    """The active entries of dense samples x, shape (K, B, n)."""
    K, batch_size, n = x.shape
    flat = x.reshape(K, batch_size * n)
    most = max(int((flat != 0).sum(1).max()), 1)
    cell = torch.argsort((flat == 0).byte(), dim=1, stable=True)[:, :most]  # active cells first, in order
    value = flat.gather(1, cell)
    row = torch.where(value != 0, cell // n, batch_size - 1)
    return Entries(row, cell % n, value, torch.ones(K, batch_size, device=x.device))


class TorchStack:
    """K models in training on one device, along the first axis: W_k (n, m_k), b_k (n,), p_k, gamma_k, seed_k, factor_k.

    A seed (below 2^64) makes the model's samples, whatever else is in the stack. `cuda_graph` replays each step as one
    launch, where the device can; `tf32` rounds the factors of products to 10 bits. Raises ValueError for shapes that
    do not agree.
    """

    def __init__(
        self,
        W: Sequence[NDArray[np.float32]],
        b: Sequence[NDArray[np.float32]],
        p: Sequence[NDArray[np.float64]],
        gamma: Sequence[float],
        recipe: Recipe,
        seeds: Sequence[int],
        learning_rate_factor: Sequence[float] | None = None,
        device: str = "cpu",
        cuda_graph: bool = False,
        tf32: bool = False,
    ) -> None:
        torch.backends.cuda.matmul.fp32_precision = "tf32" if tf32 else "ieee"
        factor = [1.0] * len(W) if learning_rate_factor is None else learning_rate_factor
        K, n, self.widths = len(W), len(b[0]), [w.shape[1] for w in W]
        if not K == len(b) == len(p) == len(gamma) == len(seeds) == len(factor):
            raise ValueError("a stack needs as many W as b, p, gamma, seeds and learning-rate factors")
        if {array.shape[0] for arrays in (W, b, p) for array in arrays} != {n}:
            raise ValueError(f"the models of a stack share n = {n}")
        P = np.zeros((K, n, _aligned(max(self.widths) + 1)), np.float32)
        peak = np.zeros((K, 1, P.shape[2]))
        for k, m in enumerate(self.widths):
            P[k, :, :m], P[k, :, -1] = W[k], b[k]
            peak[k, :, :-1], peak[k, :, -1] = factor[k] * np.array(recipe.learning_rates(m))
        self.device = torch.device(device)
        self.P, self.peak = torch.from_numpy(P).to(self.device), self._real(peak)
        self.gamma = self._real(np.reshape(gamma, (K, 1, 1)))
        self.gradient, self.mean, self.mean_sq = (torch.zeros_like(self.P) for _ in range(3))
        t = np.arange(1, recipe.steps + 1)
        share, unbias = recipe.schedule(), 1 / (1 - recipe.beta1**t)
        self.table = self._real(np.stack([share, share * unbias, (1 - recipe.beta2**t) ** -0.5], axis=1))  # (steps, 3)
        self.sampler = Sampler(p, recipe.batch_size, seeds, self.device)
        self.recipe, self.cuda_graph, self.step = recipe, cuda_graph, 0
        self.losses = torch.zeros(recipe.steps, K, dtype=torch.float64, device=self.device)
        self.clock = torch.zeros(1, dtype=torch.int64, device=self.device)  # the step, on the device
        self.graph: torch.cuda.CUDAGraph | None = None

    def _parts(self, P: NDArray[np.float32]) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        return [w[:, :m] for w, m in zip(P, self.widths, strict=True)], list(P[:, :, -1])

    def _real(self, array: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(array).to(self.device, torch.float32)

    def state(self) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """Each model's W_k, shape (n, m_k), without the zero columns, and b_k, shape (n,), float32."""
        return self._parts(self.P.cpu().numpy().copy())

    def advance(self, steps: int) -> NDArray[np.float64]:
        """Train `steps` steps on fresh samples; returns the losses, summed over features, shape (steps, K).

        Raises ValueError for more steps than the recipe has.
        """
        last = self.step + steps
        if last > self.recipe.steps:
            raise ValueError(f"{last} steps asked of a recipe of {self.recipe.steps}")
        while self.step < last:
            if self.cuda_graph and self.graph is None and self.step >= WARM_UP:
                self._capture()
            if self.graph is None:
                self._train(self.sampler.draw(self.clock))
            else:
                self.graph.replay()
            self.step += 1
        return self.losses[last - steps : last].cpu().numpy()

    def _capture(self) -> None:
        """Capture a step, without running it, as a CUDA graph; where that fails, steps go on one launch at a time."""
        try:
            torch.cuda.empty_cache()  # the graph has memory of its own
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._train(self.sampler.draw(self.clock))
            self.graph = graph
        except RuntimeError as error:
            log.warning("no CUDA graph (%s): each step is launched piece by piece", str(error).partition("\n")[0])
            self.cuda_graph = False

    def gradients(self, x: Tensor) -> tuple[NDArray[np.float64], list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """Mean losses over batch and features (K,) and the gradients by each W_k and b_k, on x (K, B, n) float32."""
        loss = self._backward(entries(x.to(self.device))) / (x.shape[1] * x.shape[2])
        gradient = (self.gradient * (2 / (x.shape[1] * x.shape[2]))).cpu().numpy()
        return loss.cpu().numpy(), *self._parts(gradient)

    def train_on(self, x: Tensor) -> NDArray[np.float64]:
        """One training step on samples x (K, recipe.batch_size, n); returns their losses, summed over features."""
        self._train(entries(x.to(self.device)))
        self.step += 1
        return self.losses[self.step - 1].cpu().numpy()

    def _train(self, batch: Entries) -> None:
        self.losses.index_copy_(0, self.clock, self._backward(batch)[None] / self.recipe.batch_size)
        self._update()
        self.clock += 1

    def _backward(self, batch: Entries) -> Tensor:
        """Squared errors summed over batch and features (K,); half their gradient by P goes to self.gradient."""
        (K, n, width), R = self.P.shape, batch.weight.shape[1]
        model = torch.arange(K, device=self.device)[:, None]
        row, feature = (batch.row + R * model).flatten(), (batch.feature + n * model).flatten()
        value = batch.value.flatten()
        h = _sums(self.P.view(K * n, width), feature, value, row, K * R).view(K, R, width)
        h[:, :, -1] = batch.weight
        d = torch.bmm(h, self.P.mT).relu_()
        cell = row * n + batch.feature.flatten()
        fired = d.view(-1)[cell] > 0
        d.view(-1).index_add_(0, cell, value * -fired.float())  # at most one addend of a cell is not 0: any order
        missed = (value.double() ** 2 * ~fired).view(K, -1).sum(1)
        error = (torch.linalg.vector_norm(d, dim=2).double() ** 2).sum(1) + missed
        torch.bmm(d.mT, h, out=self.gradient)
        dh = torch.bmm(d, self.P)
        dh[:, :, -1].zero_()
        feature, order = torch.sort(feature, stable=True)
        self.gradient += _sums(dh.view(K * R, width), row[order], value[order], feature, K * n).view(K, n, width)
        return error

    def _update(self) -> None:
        """Signed decoupled decay of W (gamma < 0 pulls norms of rows to 1), then one Adam step of W and b."""
        recipe, W = self.recipe, self.P[:, :, :-1]
        share, size, root = self.table.index_select(0, self.clock)[0]
        norm = torch.linalg.vector_norm(W, dim=2, keepdim=True)
        pull = (1 - 1 / norm.masked_fill(norm == 0, 1)).masked_fill(self.gamma >= 0, -1)
        W *= 1 + share * self.peak[:, :, :1] * self.gamma * pull
        self.gradient *= 2 * recipe.loss_scale / (recipe.batch_size * W.shape[1])
        self.mean.lerp_(self.gradient, 1 - recipe.beta1)
        self.mean_sq.mul_(recipe.beta2).addcmul_(self.gradient, self.gradient, value=1 - recipe.beta2)
        self.P -= self.mean / self.mean_sq.sqrt().mul_(root).add_(recipe.epsilon) * (self.peak * size)
