"""The paper's predictions as functions of the feature frequencies p (shape (n,)) and the data exponent alpha."""

import numpy as np
from numpy.typing import NDArray


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
