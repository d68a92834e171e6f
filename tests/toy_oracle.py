"""What the tests of both toy engines compare with: float64 autograd of the definition, and made-up cases."""

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from scaling.toy.features import FREQUENCY_LAWS, Batch, draw_batch, frequencies
from scaling.toy.model import ToyModel, mean_loss


torch.set_num_threads(1)  # the models are small: threads would wait for each other

Floats = NDArray[np.floating]
Gradients = tuple[float, Floats, Floats]  # mean loss and its gradients by W and b
TOLERANCE = 1e-5  # relative error of each against float64


def batch_of(x: Floats) -> Batch:
    """Dense samples (B, n) as their active entries in the order of features."""
    feature, sample = np.nonzero(x.T)
    value = x[sample, feature].astype(np.float32)
    return Batch(sample.astype(np.int32), feature.astype(np.int32), value, len(x))


def double(array: Floats) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float64))


def autograd(W: Floats, b: Floats, x: Floats, dtype: torch.dtype = torch.float64) -> Gradients:
    """Mean loss and its gradients by W and b from model.py."""
    samples = double(x).to(dtype)
    model = ToyModel(double(W).to(dtype), double(b).to(dtype))
    loss = mean_loss(model(samples), samples)
    dW, db = torch.autograd.grad(loss, [model.W, model.b])
    return loss.item(), dW.numpy(), db.numpy()


def relative_error(ours: Floats, reference: Floats) -> float:
    """||ours - reference|| / ||reference||; the plain norm where the reference is zero."""
    norm = np.linalg.norm(reference)
    return float(np.linalg.norm(np.asarray(ours, np.float64) - reference) / (norm or 1.0))


def errors(ours: Gradients, reference: Gradients) -> list[float]:
    """Relative errors of a mean loss and of its gradients by W and b."""
    return [relative_error(np.asarray(a), np.asarray(b)) for a, b in zip(ours, reference, strict=True)]


def unavoidable(W: Floats, b: Floats, x: Floats) -> float:
    """Largest relative error that float32 alone makes: autograd's own, and what a change of W and b by half a last bit
    makes of float64 autograd. It is large where z and x almost cancel.
    """
    reference, rng = autograd(W, b, x), np.random.default_rng(0)
    found = errors(autograd(W, b, x, torch.float32), reference)
    for _ in range(4):
        changed = [np.float64(array) * (1 + rng.choice([-1, 1], array.shape) * 2.0**-24) for array in (W, b)]
        found += errors(autograd(*changed, x), reference)
    return max(found)


def model_state(n: int, m: int, sign: str, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """W with rows of many norms, one of them zero, and b that is negative, positive or mixed."""
    W = rng.standard_normal((n, m)) * rng.uniform(0, 1.5, (n, 1)) / np.sqrt(m)
    W[n // 2] = 0
    b = rng.standard_normal(n)
    b = {"negative": -np.abs(b) / 3, "positive": np.abs(b), "mixed": b}[sign]
    return W.astype(np.float32), b.astype(np.float32)


def samples(kind: str, law: str, n: int, batch_size: int, rng: np.random.Generator) -> Floats:
    """Dense samples (B, n): drawn from a law at E = 1 or 7.5 (as far as p_1 allows), or with none, one, all active."""
    if kind in ("E = 1", "E = 7.5"):
        E = 1.0 if kind == "E = 1" else 7.5
        E = min(E, 1 / frequencies(law, n, 1.0, 1e-3)[0] * 1e-3)
        batch = draw_batch(rng, frequencies(law, n, 1.0, E), batch_size)
        x = np.zeros((batch_size, n), np.float32)
        x[batch.sample, batch.feature] = batch.value
        return x
    x = rng.uniform(0, 2, (batch_size, n)).astype(np.float32)
    if kind == "none":
        x[:] = 0
    if kind == "one":
        x *= np.arange(n) == rng.integers(n, size=batch_size)[:, None]
    return x


# n, m, sign of b, kind of samples, frequency law: every law and sign at low and high density, m from 1 to n.
CASES = [
    *((300, 17, *rest) for rest in product(("negative", "positive", "mixed"), ("E = 1", "E = 7.5"), FREQUENCY_LAWS)),
    *((40, m, "mixed", kind, "power_law") for m in (1, 2, 8, 39, 40) for kind in ("none", "one", "all", "E = 7.5")),
    (1000, 100, "mixed", "E = 1", "power_law"),
]
