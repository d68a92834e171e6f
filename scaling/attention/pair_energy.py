"""The toy loss with one active feature as a pair energy of the rows of W.

With exactly one feature active, chosen with weight o_i and value v ~ U(0, 2), the loss of y = ReLU(x W W^T + b) is

    L_1 = sum_i o_i [ d(|W_i|^2, b_i) + sum_{j != i} f(W_i . W_j, b_j) ],   o_i ~ p_i / (1 - p_i), sum_i o_i = 1
    f(g, b) = <ReLU(v g + b)^2>,   d(g, b) = <(ReLU(v g + b) - v)^2>

The weights are odds, since P(only i is active) = p_i / (1 - p_i) prod_k (1 - p_k). f is zero up to g = -b / 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.attention.kernel import Array


LARGEST_V = 2.0  # v ~ U(0, 2)


def cross_term(g: Array, b: Array) -> Array:
    """f(g, b) = <ReLU(v g + b)^2> = ((2 g + b)_+^3 - b_+^3) / (6 g); b_+^2 at g = 0, elementwise.

    Near g = 0 with b > 0 the difference cancels, so where both ends are positive it is b^2 + 2 b g + 4 g^2 / 3.
    """
    g, b = np.broadcast_arrays(np.asarray(g, float), np.asarray(b, float))
    end = LARGEST_V * g + b
    whole = b**2 + 2 * b * g + 4 / 3 * g**2
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (np.maximum(end, 0) ** 3 - np.maximum(b, 0) ** 3) / (6 * g)
    return np.where((b >= 0) & (end >= 0), whole, np.where(np.maximum(end, b) > 0, part, 0.0))


def own_term(g: Array, b: Array) -> Array:
    """d(g, b) = <(ReLU(v g + b) - v)^2> for g >= 0, elementwise, in closed form.

    Below v_0 = -b / g the output is 0 and the error v^2; above it is ((g - 1) v + b)^2.
    """
    g, b = np.broadcast_arrays(np.asarray(g, float), np.asarray(b, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(g > 0, -b / np.where(g > 0, g, 1), np.where(b > 0, 0.0, LARGEST_V))
    first = np.clip(first, 0, LARGEST_V)
    silent = first**3 / 3
    slope = g - 1

    def antiderivative(v: Array) -> Array:
        return slope**2 * v**3 / 3 + slope * b * v**2 + b**2 * v

    return (silent + antiderivative(np.full_like(g, LARGEST_V)) - antiderivative(first)) / LARGEST_V


@dataclass(frozen=True)
class PairEnergy:
    """The loss with one active feature and its parts."""

    loss: float
    own: float  # sum_i o_i d_i
    pairs: float  # the rest
    weights: Array  # o (n,)


def pair_energy(W: NDArray[np.floating], b: NDArray[np.floating], p: NDArray[np.floating]) -> PairEnergy:
    """Exact loss L_1 of a toy model W (n, m), b (n,), p (n,) in float64: n^2 m operations."""
    W, b, p = (np.asarray(part, dtype=np.float64) for part in (W, b, p))
    odds = p / (1 - p)
    weights = odds / odds.sum()
    G = W @ W.T
    cross = cross_term(G, b[None, :])
    np.fill_diagonal(cross, 0)
    own, pairs = float(weights @ own_term(np.diag(G), b)), float(weights @ cross.sum(1))
    return PairEnergy(loss=own + pairs, own=own, pairs=pairs, weights=weights)


def sampled_loss(
    W: NDArray[np.floating], b: NDArray[np.floating], weights: Array, samples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The same loss by sampling the active feature and its value: mean and standard error."""
    W, b = np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)
    errors = []
    for start in range(0, samples, 2000):
        size = min(2000, samples - start)
        i = rng.choice(len(W), size, p=weights)
        v = rng.uniform(0, LARGEST_V, size)
        y = np.maximum(v[:, None] * (W[i] @ W.T) + b, 0)
        y[np.arange(size), i] -= v
        errors.append(np.sum(y**2, 1))
    each = np.concatenate(errors)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))
