"""One training step of the toy model on one CPU thread: exact, from the sparsity of x and of the outputs.

    y = ReLU(x W W^T + b),   mean loss = 1/(B n) sum_s ||y_s - x_s||^2

With U the features that are active in the batch, G = W_U W^T holds every product that the batch needs: a sample's
pre-activation is z_s = b + sum_i x_si G_i. Let d = y - x where y > 0, else 0, and R_ij = sum_s x_si d_sj. Then

    dL/dW = 2/(B n) (R^T W + R W),   dL/db_j = 2/(B n) sum_s d_sj

What makes it fast, in the order of the gain:
- x is never dense: G costs |U| n m operations where the dense passes cost 6 B n m;
- samples without an active feature share one z = b;
- samples with feature i alone share the row G_i: output j can fire in one of them only if b_j > 0 or
  b_j + max(v) G_ij > 0, so one look at the row serves all of them;
- soon few outputs are positive (0.3-7 %), and the backward pass goes over these alone;
- outputs come in blocks of columns, so that G stays in the cache whatever n.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from scaling.toy import features
from scaling.toy.recipe import Recipe


COLUMNS = 256  # outputs a block: |U| x 256 float32 fit into a core's own cache
DENSE_SHARE = 0.04  # above this share of fired outputs two matrix products are cheaper than a pass over them


class Workspace(NamedTuple):
    """Arrays of one step, allocated once: a batch, its sorting by feature and by sample, products and gradients."""

    sample: NDArray[np.int32]  # (room,) active entries of the batch, in the order of features
    feature: NDArray[np.int32]
    value: NDArray[np.float32]
    count: NDArray[np.int32]  # (batch_size,) active features of each sample
    active: NDArray[np.int32]  # (n,) U, the features active in the batch
    alone_start: NDArray[np.int32]  # (n + 1,) where the samples with that feature alone begin in alone_value
    alone_value: NDArray[np.float32]  # (room,)
    group_start: NDArray[np.int32]  # (batch_size + 1,) samples with several active features: where each begins
    group_row: NDArray[np.int32]  # (room,) row in U of the active feature
    group_value: NDArray[np.float32]  # (room,)
    place: NDArray[np.int32]  # (batch_size,) where the next active feature of such a sample goes
    G: NDArray[np.float32]  # (n, COLUMNS)
    R: NDArray[np.float32]  # (n, COLUMNS)
    W_U: NDArray[np.float32]  # (n, m)
    dW_U: NDArray[np.float32]  # (n, m)
    h: NDArray[np.float32]  # (batch_size, m) sum_i x_si W_i of samples with several active features
    dh: NDArray[np.float32]  # (batch_size, m)
    z: NDArray[np.float32]  # (COLUMNS,)
    fired: NDArray[np.int32]  # (COLUMNS,) indices of positive outputs
    dW: NDArray[np.float32]  # (n, m) gradient of the summed loss / 2
    db: NDArray[np.float32]  # (n,)


def workspace(n: int, m: int, batch_size: int, length: int) -> Workspace:
    """Arrays for batches of at most `length` active entries."""
    integer, real = np.int32, np.float32
    return Workspace(
        sample=np.zeros(length, integer),
        feature=np.zeros(length, integer),
        value=np.zeros(length, real),
        count=np.zeros(batch_size, integer),
        active=np.zeros(n, integer),
        alone_start=np.zeros(n + 1, integer),
        alone_value=np.zeros(length, real),
        group_start=np.zeros(batch_size + 1, integer),
        group_row=np.zeros(length, integer),
        group_value=np.zeros(length, real),
        place=np.zeros(batch_size, integer),
        G=np.zeros(n * COLUMNS, real),
        R=np.zeros(n * COLUMNS, real),
        W_U=np.zeros((n, m), real),
        dW_U=np.zeros((n, m), real),
        h=np.zeros((batch_size, m), real),
        dh=np.zeros((batch_size, m), real),
        z=np.zeros(COLUMNS, real),
        fired=np.zeros(COLUMNS, integer),
        dW=np.zeros((n, m), real),
        db=np.zeros(n, real),
    )


@numba.njit(cache=True)
def sort_batch(work, k, W):
    """Sort the k entries: U, the values of samples with one feature by feature, the other samples by sample.

    Returns |U|, the number of samples without and of samples with several active features.
    """
    count, place = work.count, work.place
    count[:] = 0
    for t in range(k):
        count[work.sample[t]] += 1
    empty, groups = 0, 0
    work.group_start[0] = 0
    for s in range(count.shape[0]):
        if count[s] == 0:
            empty += 1
        elif count[s] > 1:
            place[s] = work.group_start[groups]
            work.group_start[groups + 1] = place[s] + count[s]
            groups += 1
    u, alone = 0, 0
    for t in range(k):
        i, s = work.feature[t], work.sample[t]
        if u == 0 or work.active[u - 1] != i:
            work.active[u] = i
            work.alone_start[u] = alone
            u += 1
        if count[s] == 1:
            work.alone_value[alone] = work.value[t]
            alone += 1
        else:
            work.group_row[place[s]] = u - 1
            work.group_value[place[s]] = work.value[t]
            place[s] += 1
    work.alone_start[u] = alone
    for r in range(u):
        work.W_U[r] = W[work.active[r]]
    return u, empty, groups


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def add(y, x, a):
    """y += a x."""
    for c in range(y.shape[0]):
        y[c] += a * x[c]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def reach_alone(z, b, g, v):
    """z = max(b, b + v g): the largest pre-activation of samples whose one active feature is at most v."""
    for j in range(b.shape[0]):
        z[j] = max(b[j], b[j] + v * g[j])


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def pre_activation(z, b, G, rows, values):
    """z = b + sum_i values_i G[rows_i]."""
    g0, g1 = G[rows[0]], G[rows[1]]
    v0, v1 = values[0], values[1]
    for j in range(b.shape[0]):
        z[j] = b[j] + v0 * g0[j] + v1 * g1[j]
    for t in range(2, rows.shape[0]):
        add(z, G[rows[t]], values[t])


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def positive(z, fired):
    """Write the indices of z > 0 and return how many: block maxima first, since a branch per output is slow."""
    found = 0
    block = 32
    whole = z.shape[0] // block
    for q in range(whole):
        top = np.float32(0)
        for j in range(q * block, (q + 1) * block):
            top = max(top, z[j])
        if top > 0:
            for j in range(q * block, (q + 1) * block):
                if z[j] > 0:
                    fired[found] = j
                    found += 1
    for j in range(whole * block, z.shape[0]):
        if z[j] > 0:
            fired[found] = j
            found += 1
    return found


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def sums_alone(values, b, g, own):
    """Sums over samples of feature i alone for one output j: x_i d_j, d_j and the change of the squared error.

    own is 1 if j = i, else 0; z = b + v g fires where positive, and then d = z - own v.
    """
    r, d_sum, error = np.float32(0), np.float32(0), np.float32(0)
    for t in range(values.shape[0]):
        v = values[t]
        z = b + v * g
        d = z - own * v if z > 0 else np.float32(0)
        r += v * d
        d_sum += d
        error += d * d - own * v * v if z > 0 else np.float32(0)
    return r, d_sum, error


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def loss_and_gradients(W, b, k, work, dense_backward):
    """Summed squared error of the k entries in `work` and, in work.dW and work.db, half its gradients.

    Returns the error and the share of the outputs looked at that fired. Both ways of the backward pass give the same
    gradients.
    """
    n, m = W.shape
    zero, one = np.float32(0), np.float32(1)
    u, empty, groups = sort_batch(work, k, W)
    active, W_U, dW, db = work.active, work.W_U[:u], work.dW, work.db
    h, dh = work.h, work.dh
    dW[:] = zero
    dW_U = work.dW_U[:u]
    dW_U[:] = zero
    loss = 0.0
    for t in range(k):
        loss += work.value[t] * work.value[t]
    if not dense_backward:
        for g in range(groups):
            h[g] = zero
            dh[g] = zero
            for t in range(work.group_start[g], work.group_start[g + 1]):
                add(h[g], W_U[work.group_row[t]], work.group_value[t])

    fired, looks = 0, 0
    for first in range(0, n, COLUMNS):
        last = min(first + COLUMNS, n)
        width = last - first
        b_J = b[first:last]
        db_J = db[first:last]
        G = work.G[: u * width].reshape(u, width)
        R = work.R[: u * width].reshape(u, width)
        np.dot(W_U, W[first:last].T, G)
        z = work.z[:width]
        if dense_backward:
            R[:] = zero
        for j in range(width):
            y = max(b_J[j], zero)
            loss += empty * y * y
            db_J[j] = empty * y

        for r in range(u):
            values = work.alone_value[work.alone_start[r] : work.alone_start[r + 1]]
            if values.shape[0] == 0:
                continue
            g_r = G[r]
            reach_alone(z, b_J, g_r, values.max())
            found = positive(z, work.fired)
            fired += found
            looks += width
            for q in range(found):
                j = work.fired[q]
                own = one if first + j == active[r] else zero
                x_d, d_sum, error = sums_alone(values, b_J[j], g_r[j], own)
                loss += error
                db_J[j] += d_sum
                if dense_backward:
                    R[r, j] += x_d
                else:
                    add(dW[first + j], W_U[r], x_d)
                    add(dW_U[r], W[first + j], x_d)

        for g in range(groups):
            rows = work.group_row[work.group_start[g] : work.group_start[g + 1]]
            values = work.group_value[work.group_start[g] : work.group_start[g + 1]]
            pre_activation(z, b_J, G, rows, values)
            found = positive(z, work.fired)
            fired += found
            looks += width
            for q in range(found):
                j = work.fired[q]
                d = z[j]
                for t in range(rows.shape[0]):
                    if active[rows[t]] == first + j:
                        loss -= values[t] * values[t]
                        d -= values[t]
                loss += d * d
                db_J[j] += d
                if dense_backward:
                    for t in range(rows.shape[0]):
                        R[rows[t], j] += values[t] * d
                else:
                    add(dW[first + j], h[g], d)
                    add(dh[g], W[first + j], d)

        if dense_backward:
            dW[first:last] += np.dot(R.T, W_U)
            dW_U += np.dot(R, W[first:last])

    if not dense_backward:
        for g in range(groups):
            for t in range(work.group_start[g], work.group_start[g + 1]):
                add(dW_U[work.group_row[t]], dh[g], work.group_value[t])
    for r in range(u):
        add(dW[active[r]], dW_U[r], one)
    return loss, fired / max(looks, 1)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
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


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def adam(w, gradient, first, second, scale, step_size, beta1, beta2, root, epsilon):
    """One Adam step on flat arrays: w -= step_size first / (sqrt(second) / root + epsilon).

    gradient * scale is the gradient; step_size = lr/(1 - beta1^t) and root = sqrt(1 - beta2^t) correct the bias.
    """
    rest1, rest2, inverse = np.float32(1 - beta1), np.float32(1 - beta2), np.float32(1 / root)
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


@numba.njit(cache=True)
def update(W, b, moments, work, step, rate_W, rate_b, gamma, loss_scale, beta1, beta2, epsilon):
    """Decay of W, then one Adam step (the `step`-th, from 0) of W and b with the gradients in `work`."""
    decay(W, rate_W * gamma)
    scale = np.float32(2 * loss_scale / (work.count.shape[0] * W.shape[0]))
    size, root = 1 / (1 - beta1 ** (step + 1)), np.float32(np.sqrt(1 - beta2 ** (step + 1)))
    one, two, small = np.float32(beta1), np.float32(beta2), np.float32(epsilon)
    size_W, size_b = np.float32(rate_W * size), np.float32(rate_b * size)
    adam(W.ravel(), work.dW.ravel(), moments.first_W, moments.second_W, scale, size_W, one, two, root, small)
    adam(b, work.db, moments.first_b, moments.second_b, scale, size_b, one, two, root, small)


@numba.njit(cache=True)
def advance(
    rng, p, W, b, moments, work, step, rates_W, rates_b, gamma, loss_scale, beta1, beta2, epsilon, share, losses
):
    """Train for len(losses) steps from `step` on fresh samples; fill losses (mean over the batch, sum over features).

    `share` is the share of fired outputs of the step before, which chooses the backward pass; returns the last one.
    """
    batch_size = work.count.shape[0]
    for t in range(losses.shape[0]):
        k = features.draw(rng, p, batch_size, work.sample, work.feature, work.value)
        error, share = loss_and_gradients(W, b, k, work, share > DENSE_SHARE)
        losses[t] = error / batch_size
        now = step + t
        update(W, b, moments, work, now, rates_W[now], rates_b[now], gamma, loss_scale, beta1, beta2, epsilon)
    return share


class NumbaEngine:
    """One model in training on one CPU thread; W (n, m) and b (n,) are float32 and change in place."""

    def __init__(
        self,
        W: NDArray[np.float32],
        b: NDArray[np.float32],
        p: NDArray[np.float64],
        gamma: float,
        recipe: Recipe,
        rng: np.random.Generator,
        learning_rate_factor: float = 1.0,
    ) -> None:
        n, m = W.shape
        self.W, self.b = np.array(W, np.float32, order="C"), np.array(b, np.float32)
        self.p, self.gamma, self.recipe, self.rng = p, float(gamma), recipe, rng
        self.rates_W, self.rates_b = (
            learning_rate_factor * rate * recipe.schedule() for rate in recipe.learning_rates(m)
        )
        self.moments = Moments(*(np.zeros(size, np.float32) for size in (n * m, n * m, n, n)))
        self.work = workspace(n, m, recipe.batch_size, features.room(p, recipe.batch_size))
        self.step = 0
        self.share = 1.0  # of fired outputs in the last step

    def advance(self, steps: int) -> NDArray[np.float64]:
        """Train `steps` steps on fresh samples; returns the training loss of each, summed over features."""
        losses = np.zeros(steps)
        recipe = self.recipe
        self.share = advance(
            self.rng, self.p, self.W, self.b, self.moments, self.work, self.step, self.rates_W, self.rates_b, self.gamma,
            recipe.loss_scale, recipe.beta1, recipe.beta2, recipe.epsilon, self.share, losses,
        )  # fmt: skip
        self.step += steps
        return losses

    def gradients(
        self, batch: features.Batch, dense_backward: bool = False
    ) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """Mean loss over batch and features, and its gradients by W and b, on a given batch."""
        k = len(batch.value)
        self.work.sample[:k], self.work.feature[:k], self.work.value[:k] = batch.sample, batch.feature, batch.value
        error, self.share = loss_and_gradients(self.W, self.b, k, self.work, dense_backward)
        scale = 1 / (batch.batch_size * len(self.b))
        return error * scale, self.work.dW * np.float32(2 * scale), self.work.db * np.float32(2 * scale)

    def train_on(self, batch: features.Batch) -> float:
        """One training step on a given batch; returns its loss, summed over features."""
        loss, _, _ = self.gradients(batch, self.share > DENSE_SHARE)
        recipe = self.recipe
        update(
            self.W, self.b, self.moments, self.work, self.step, self.rates_W[self.step], self.rates_b[self.step],
            self.gamma, recipe.loss_scale, recipe.beta1, recipe.beta2, recipe.epsilon,
        )  # fmt: skip
        self.step += 1
        return loss * len(self.b)
