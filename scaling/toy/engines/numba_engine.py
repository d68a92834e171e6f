"""The CPU engine: one model in training on one thread, its steps compiled by Numba (gradients: see gram_step)."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from scaling.toy import features
from scaling.toy.engines.choice import (
    DENSE_SHARE,
    SCREENED,
    SHARE,
    after_gram_step,
    after_screened_step,
    first_choice,
    gram_cost,
    screened_cost,
)
from scaling.toy.engines.compiled import inlined, kernel
from scaling.toy.engines.gram_step import LANES, gram_step
from scaling.toy.engines.screened_step import screened_step
from scaling.toy.engines.screening import AGE, screen
from scaling.toy.engines.workspace import sort_batch, workspace
from scaling.toy.recipe import Recipe


@kernel
def decay(W, rate):
    """Signed decoupled decay, rate = lr gamma: W *= 1 - rate; negative: W_i += rate W_i (1 - 1/||W_i||)."""
    n, m = W.shape
    for i in range(n):
        factor = np.float32(1 - rate)
        if rate < 0:
            square = np.float32(0)
            for c in range(m):
                square += W[i, c] * W[i, c]
            factor = np.float32(1 + rate * (1 - 1 / np.sqrt(square))) if square > 0 else np.float32(1)
        for c in range(m):
            W[i, c] *= factor


@kernel
def adam(w, gradient, first, second, scale, step_size, beta1, rest1, beta2, rest2, root, epsilon):
    """One Adam step on flat arrays: w -= step_size first / (sqrt(second) / root + epsilon).

    gradient * scale is the gradient; step_size = lr/(1 - beta1^t) and root = sqrt(1 - beta2^t) correct the bias;
    rest = 1 - beta, rounded once, since 1 - float32(0.999) is off by 1e-5.
    """
    inverse = np.float32(1 / root)
    for c in range(w.shape[0]):
        g = gradient[c] * scale
        first[c] = beta1 * first[c] + rest1 * g
        second[c] = beta2 * second[c] + rest2 * g * g
        w[c] -= step_size * first[c] / (np.sqrt(second[c]) * inverse + epsilon)


class Moments(NamedTuple):
    """Adam's running means of the gradients (first) and their squares (second), float32."""

    first_W: NDArray[np.float32]
    second_W: NDArray[np.float32]
    first_b: NDArray[np.float32]
    second_b: NDArray[np.float32]


@inlined
def update(W, b, moments, work, step, rate_W, rate_b, gamma, loss_scale, beta1, beta2, epsilon):
    """Decay of W, then one Adam step (the `step`-th, from 0) of W and b with the gradients in `work`."""
    decay(W, rate_W * gamma)
    scale = np.float32(2 * loss_scale / (work.active_count.shape[0] * W.shape[0]))
    size, root = 1 / (1 - beta1 ** (step + 1)), np.float32(np.sqrt(1 - beta2 ** (step + 1)))
    size_W, size_b, small = np.float32(rate_W * size), np.float32(rate_b * size), np.float32(epsilon)
    one, rest1 = np.float32(beta1), np.float32(1 - beta1)
    two, rest2 = np.float32(beta2), np.float32(1 - beta2)
    flat_W, flat_dW = W.reshape(W.size), work.dW.reshape(W.size)
    adam(flat_W, flat_dW, moments.first_W, moments.second_W, scale, size_W, one, rest1, two, rest2, root, small)
    adam(b, work.db, moments.first_b, moments.second_b, scale, size_b, one, rest1, two, rest2, root, small)


@inlined
def loss_and_gradients(W, b, k, work, sc, state):
    """Summed squared error of the k entries in `work` and, in work.dW and work.db, half its gradients.

    `state` chooses the step and is moved on, see `choice`.
    """
    n, m = W.shape
    u, empty, groups = sort_batch(work, k)
    error, samples = 0.0, groups
    for t in range(k):
        error += work.value[t] * work.value[t]
    for r in range(u):
        samples += work.alone_start[r] != work.alone_start[r + 1]
    if state[SCREENED] != 0:
        change, false, fired, renewed = screened_step(W, b, work, sc, u, empty, groups)
        cost = screened_cost(n, m, samples, k, false, fired, renewed)
        after_screened_step(state, cost, sc.number[AGE] < 0)
        return error + change
    dense = state[SHARE] > DENSE_SHARE
    change, live, on, looks, hits = gram_step(W, b, work, u, empty, groups, dense)
    state[SHARE] = hits / max(looks, 1)
    least = screened_cost(n, m, samples, k, 0, hits + on * samples, 0)
    if after_gram_step(state, gram_cost(m, u, samples, k, live, hits, dense), least):
        sc.number[AGE] = -1
    return error + change


@numba.njit(cache=True)
def advance(
    rng,
    hazard,
    W,
    b,
    moments,
    work,
    sc,
    state,
    step,
    rates_W,
    rates_b,
    gamma,
    loss_scale,
    beta1,
    beta2,
    epsilon,
    losses,
):
    """Train for len(losses) steps from `step`; fill losses (means over the batch, summed over features)."""
    batch_size = work.active_count.shape[0]
    for t in range(losses.shape[0]):
        k = features.draw(rng, hazard, batch_size, work.sample, work.feature, work.value)
        losses[t] = loss_and_gradients(W, b, k, work, sc, state) / batch_size
        now = step + t
        update(W, b, moments, work, now, rates_W[now], rates_b[now], gamma, loss_scale, beta1, beta2, epsilon)


class NumbaEngine:
    """One model in training on one CPU thread; W (n, m) and b (n,) are float32 and change in place.

    Without `screening` every step is a Gram step, the reference that tests compare the screened step with. `room` is
    the largest number of active entries of a batch; by default that of independent features.
    """

    def __init__(
        self,
        W: NDArray[np.float32],
        b: NDArray[np.float32],
        p: NDArray[np.float64],
        gamma: float,
        recipe: Recipe,
        rng: np.random.Generator,
        learning_rate_factor: float = 1.0,
        screening: bool = True,
        room: int | None = None,
    ) -> None:
        n, m = W.shape
        columns = -(-m // LANES) * LANES
        self.padded_W = np.zeros((n, columns), np.float32)
        self.padded_W[:, :m] = W
        self.W, self.b = self.padded_W[:, :m], np.array(b, np.float32)
        self.p, self.gamma, self.recipe, self.rng = p, float(gamma), recipe, rng
        self.rates_W, self.rates_b = (
            learning_rate_factor * rate * recipe.schedule() for rate in recipe.learning_rates(m)
        )
        self.moments = Moments(*(np.zeros(size, np.float32) for size in (n * columns, n * columns, n, n)))
        self.work = workspace(n, columns, recipe.batch_size, room or features.room(p, recipe.batch_size))
        self.hazard = features.hazards(p)
        self.screen, self.choice = screen(n, columns), first_choice(screening)
        self.step = 0

    def advance(self, steps: int) -> NDArray[np.float64]:
        """Train `steps` steps on fresh samples; returns the training loss of each, summed over features.

        Raises ValueError for more steps than the recipe has.
        """
        if self.step + steps > self.recipe.steps:
            raise ValueError(f"{self.step + steps} steps asked of a recipe of {self.recipe.steps}")
        losses = np.zeros(steps)
        recipe = self.recipe
        advance(
            self.rng, self.hazard, self.padded_W, self.b, self.moments, self.work, self.screen, self.choice, self.step,
            self.rates_W, self.rates_b, self.gamma, recipe.loss_scale, recipe.beta1, recipe.beta2, recipe.epsilon,
            losses,
        )  # fmt: skip
        self.step += steps
        return losses

    def state(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return copies of W, shape (n, m), and b, shape (n,)."""
        return self.W.copy(), self.b.copy()

    def gradients(
        self, batch: features.Batch, path: str | None = None
    ) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """Mean loss over batch and features, and its gradients by W and b, on a given batch.

        `path` names the step to take: "sparse" or "dense" (Gram step with this backward pass) or "screened". Without it
        the cheapest one is chosen, as in training. All give the same gradients up to rounding.
        Raises ValueError for a batch of another size than the recipe's, or with more entries than there is room for.
        """
        if batch.batch_size != self.recipe.batch_size or len(batch.value) > len(self.work.value):
            raise ValueError(f"a batch of {batch.batch_size} samples and {len(batch.value)} entries does not fit")
        if path is not None:
            self.choice[SCREENED], self.choice[SHARE] = path == "screened", path == "dense"
        k = len(batch.value)
        self.work.sample[:k], self.work.feature[:k], self.work.value[:k] = batch.sample, batch.feature, batch.value
        error = loss_and_gradients(self.padded_W, self.b, k, self.work, self.screen, self.choice)
        scale = 1 / (batch.batch_size * len(self.b))
        return (
            error * scale,
            self.work.dW[:, : self.W.shape[1]] * np.float32(2 * scale),
            self.work.db * np.float32(2 * scale),
        )

    def train_on(self, batch: features.Batch) -> float:
        """One training step on a given batch; returns its loss, summed over features."""
        loss, _, _ = self.gradients(batch)
        recipe = self.recipe
        update(
            self.padded_W, self.b, self.moments, self.work, self.step, self.rates_W[self.step], self.rates_b[self.step],
            self.gamma, recipe.loss_scale, recipe.beta1, recipe.beta2, recipe.epsilon,
        )  # fmt: skip
        self.step += 1
        return loss * len(self.b)
