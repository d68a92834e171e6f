"""k-means as a circuit of two attention layers, and its soft, spherical and trimmed variants.

    assign  q = x_i, k = c_j, v = e_j:  R_ij = softmax_j(-beta |x_i - c_j|^2 / 2), one-hot for beta = inf
    update  q = e_j, k = R_i, v = x_i, score log R_ij:  c_j <- sum_i R_ij x_i / sum_i R_ij

With beta = inf the two layers are one iteration of Lloyd's algorithm (Clarkson et al., arXiv 2506.19125, abstract).
Exact ties are split equally, as in the limit of the softmax. A centre without points does not move (the residual).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scaling.attention import kernel
from scaling.attention.kernel import Array, Similarity
from scaling.command import InputError


def assign(
    X: Array, C: Array, beta: float = np.inf, similarity: Similarity = kernel.minus_half_squared_distance
) -> Array:
    """R (n, k): the share of each point that belongs to each centre, rows sum to 1."""
    return kernel.attend(X, C, np.eye(len(C)), beta=beta, similarity=similarity)


def update(X: Array, C: Array, R: Array) -> Array:
    """Centres (k, d) as attention of the centres over the points with score log R_ij; empty ones do not move."""
    with np.errstate(divide="ignore"):
        score = np.log(R.T)
    taken = np.asarray(R.sum(0) > 0)
    moved = kernel.attend(C, X, X, beta=0.0, bias=score)
    return np.where(taken[:, None], moved, C)


def kept_points(X: Array, C: Array, R: Array, similarity: Similarity, trim: float) -> NDArray[np.bool_]:
    """Mask (n,) of the points without the round(trim n) points least similar to their centre."""
    likeness = np.sum(R * similarity(X, C), 1)
    kept = np.ones(len(X), bool)
    kept[np.argsort(likeness, kind="stable")[: round(trim * len(X))]] = False
    return kept


def check_input(X: Array, C: Array, trim: float = 0.0) -> None:
    """Raise InputError unless points (n, d) and centres (k, d) are finite, k <= n, and 0 <= trim < 1."""
    if X.ndim != 2 or C.ndim != 2 or X.shape[1] != C.shape[1] or not (np.isfinite(X).all() and np.isfinite(C).all()):
        raise InputError(f"points {X.shape} and centres {C.shape} must be finite arrays (n, d) and (k, d)")
    if not 1 <= len(C) <= len(X):
        raise InputError(f"k = {len(C)} centres for n = {len(X)} points: k must be between 1 and n")
    if not 0 <= trim < 1:
        raise InputError(f"trim = {trim}: the share of points left out must be at least 0 and below 1")


def run(
    X: Array,
    C: Array,
    *,
    beta: float = np.inf,
    similarity: Similarity = kernel.minus_half_squared_distance,
    trim: float = 0.0,
    retract: Callable[[Array], Array] | None = None,
    layers: int = 300,
    tolerance: float = 0.0,
) -> list[Array]:
    """Yield the centres before the first and after each layer, until no centre moves by more than `tolerance`.

    `retract` unit with similarity dot is spherical k-means; `trim` > 0 excludes that share of the points in each
    update. Raises InputError for bad input.
    """
    check_input(X, C, trim)
    path = [C]
    for _ in range(layers):
        R = assign(X, path[-1], beta, similarity)
        if trim:
            R = R * kept_points(X, path[-1], R, similarity, trim)[:, None]
        centres = update(X, path[-1], R)
        path.append(retract(centres) if retract else centres)
        if np.abs(path[-1] - path[-2]).max() <= tolerance:
            break
    return path


def critical_beta(X: Array) -> float:
    """beta_c = 1 / lambda_max of the covariance of X: below it all centres of soft k-means converge to the mean.

    Near the mean one layer multiplies the differences between centres by beta cov(X). Source: Rose, Gurewitz, Fox 1990.
    """
    return float(1 / np.linalg.eigvalsh(np.cov(X.T, bias=True).reshape(X.shape[1], -1))[-1])


def start(X: Array, k: int, rng: np.random.Generator) -> Array:
    """Choose k distinct points of X as initial centres. Raises InputError for k > n."""
    if not 1 <= k <= len(X):
        raise InputError(f"k = {k} centres for n = {len(X)} points: k must be between 1 and n")
    return X[rng.choice(len(X), k, replace=False)]
