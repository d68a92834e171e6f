"""The toy loss with one active feature as a pair energy of the rows of W, exactly and by sampling.

With exactly one feature active, chosen with odds o_i ~ p_i / (1 - p_i), and its value v ~ U(0, 2), the loss of
y = ReLU(x W W^T + b) is L_1 = sum_i o_i [ d(|W_i|^2, b_i) + sum_{j != i} f(W_i . W_j, b_j) ]. d and f are `own_error`
and `false_error` of `scaling.theory`. f takes the place of attention's e^{beta g} / (2 beta): it is zero up to the
overlap g = -b / 2, and W descends it.
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
    W: NDArray[np.floating], b: NDArray[np.floating], weights: Array, samples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The same loss by sampling the active feature and its value: mean and standard error."""
    W, b = np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)
    errors = []
    for start in range(0, samples, 2000):
        size = min(2000, samples - start)
        i = rng.choice(len(W), size, p=weights)
        v = rng.uniform(0, 2, size)
        y = np.maximum(v[:, None] * (W[i] @ W.T) + b, 0)
        y[np.arange(size), i] -= v
        errors.append(np.sum(y**2, 1))
    each = np.concatenate(errors)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))
