"""The paper's predictions as functions of the feature frequencies p (shape (n,)) and the data exponent alpha."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.command import InputError


MEAN_V = 1.0  # <v> of v ~ U(0, 2)
MEAN_V_SQUARED = 4 / 3  # <v^2>


def unlearned_loss(p: NDArray[np.floating], represented: NDArray[np.bool_]) -> float:
    """Loss of weak superposition: sum over unrepresented i of <v^2> p_i - <v>^2 p_i^2 (paper, Eq. 4).

    An unrepresented feature is answered with its mean <v> p_i by the bias, and what is left is its variance.
    """
    missing = np.asarray(p, dtype=np.float64)[~represented]
    return float(np.sum(MEAN_V_SQUARED * missing - MEAN_V**2 * missing**2))


def loss_by_count(p: NDArray[np.floating], n_represented: NDArray[np.integer]) -> NDArray[np.float64]:
    """`unlearned_loss` if just the k most frequent features are represented, for each k of n_represented."""
    ordered = np.sort(np.asarray(p, dtype=np.float64))[::-1]
    each = MEAN_V_SQUARED * ordered - MEAN_V**2 * ordered**2
    tail = np.concatenate([np.cumsum(each[::-1])[::-1], [0.0]])
    return tail[np.asarray(n_represented)]


def power_law(n: int, alpha: float, activation_density: float = 1.0) -> NDArray[np.float64]:
    """Feature frequencies p_i ~ i^-alpha, i = 1 .. n, scaled so that sum p_i = E; shape (n,)."""
    weight = np.arange(1.0, n + 1) ** -alpha
    return activation_density * weight / weight.sum()


def weak_exponent(alpha: float) -> float | None:
    """alpha_m = alpha - 1 under weak superposition; None for alpha <= 1, where the loss is no power law in m."""
    return alpha - 1 if alpha > 1 else None


def strong_exponent(alpha: float) -> float | None:
    """alpha_m under strong superposition: 1 for even frequencies, 2 (alpha - 1) for skewed ones.

    The paper claims 1 for alpha <= 1 and 2 (alpha - 1) once alpha is large; None between 1 and 1.75, where it is a
    crossover (Fig. 6e).
    """
    if alpha <= 1:
        return 1.0
    return 2 * (alpha - 1) if alpha >= 1.75 else None


def odds_weights(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that feature i is the active one, given that exactly one is; shape (n,), sum 1.

    q_i ~ p_i / (1 - p_i). With p_i = 1 feature i is active in every sample, so q_i = 1; several such features never
    leave exactly one active, which raises InputError.
    """
    certain = p >= 1
    if certain.sum() > 1:
        raise InputError("two features with p_i = 1: no sample has exactly one active feature")
    if certain.any():
        return certain.astype(np.float64)
    odds = p / (1 - p)
    return np.asarray(odds / odds.sum())


def own_error(g: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return d(g, b) = E_v (ReLU(v g + b) - v)^2 for v ~ U(0, 2) and g = |W_i|^2 >= 0; elementwise."""
    g, b = np.broadcast_arrays(np.asarray(g, np.float64), np.asarray(b, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = np.where(g > 0, -b / g, np.where(b > 0, 0.0, 2.0))
    low = np.clip(crossing, 0, 2)  # the output is 0 for v < low and v g + b above
    a = g - 1
    above = [a**2 * v**3 / 3 + a * b * v**2 + b**2 * v for v in (2.0, low)]
    return np.asarray((low**3 / 3 + above[0] - above[1]) / 2)


def false_error(g: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return f(g, b) = E_v ReLU(v g + b)^2 for v ~ U(0, 2) and g = W_i . W_j of either sign; elementwise."""
    g, b = np.broadcast_arrays(np.asarray(g, np.float64), np.asarray(b, np.float64))
    last = 2 * g + b  # of the argument, at v = 2; b is the first
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = (np.maximum(last, 0) ** 3 - np.maximum(b, 0) ** 3) / (6 * g)
    # Both ends positive: the same ratio without cancellation. Both negative: 0.
    positive = (last**2 + last * b + b**2) / 3
    return np.where((last > 0) & (b > 0), positive, np.where((last > 0) | (b > 0), crossing, 0.0))
