"""The toy loss with one active feature as a pair energy of the rows of W, exactly and by sampling.

With exactly one feature active, chosen with odds o_i ~ p_i / (1 - p_i), and its value v ~ U(0, 2), the loss of
y = ReLU(x W W^T + b) is L_1 = sum_i o_i [ d(|W_i|^2, b_i) + sum_{j != i} f(W_i . W_j, b_j) ]. d and f are `own_error`
and `false_error` of `scaling.theory`. f replaces e^{beta g} / (2 beta) of attention: it is zero up to the overlap
g = -b / 2, and W descends it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling import theory
from scaling.attention.kernel import Array


@dataclass(frozen=True)
class PairEnergy:
    """The loss with one active feature and its parts."""

    loss: float
    own: float  # sum_i o_i d_i
    pairs: float  # the rest
    weights: Array  # o (n,)


def pair_energy(W: NDArray[np.floating], b: NDArray[np.floating], p: NDArray[np.floating]) -> PairEnergy:
    """Exact loss L_1 of a toy model W (n, m), b (n,), p (n,) in float64: n^2 m operations.

    Raises InputError where two features have p = 1.
    """
    W, b, p = (np.asarray(part, dtype=np.float64) for part in (W, b, p))
    weights = theory.odds_weights(p)
    G = W @ W.T
    cross = theory.false_error(G, b[None, :])
    np.fill_diagonal(cross, 0)
    own, pairs = float(weights @ theory.own_error(np.diag(G), b)), float(weights @ cross.sum(1))
    return PairEnergy(loss=own + pairs, own=own, pairs=pairs, weights=weights)


def sampled_loss(
    W: NDArray[np.floating], b: NDArray[np.floating], weights: Array, per_feature: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The same loss from `per_feature` >= 2 sampled values of each active feature: estimate and standard error.

    All features have the same number of samples, because rare features dominate the variance of plain sampling.
    """
    W, b = np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)
    mean, variance = np.zeros(len(W)), np.zeros(len(W))
    for i, overlaps in enumerate(W @ W.T):
        v = rng.uniform(0, 2, per_feature)
        y = np.maximum(v[:, None] * overlaps + b, 0)
        y[:, i] -= v
        error = np.sum(y**2, 1)
        mean[i], variance[i] = error.mean(), error.var(ddof=1) / per_feature
    return float(weights @ mean), float(np.sqrt(weights**2 @ variance))
