"""One attention kernel in NumPy: similarities, normalisations, masks and retractions.

    A_ij = normalise(e^(beta sim(q_i, k_j) + b_ij)),   x_i <- retract(rho q_i + eta sum_j A_ij v_j)

Arrays are (..., tokens, d) and batched over leading axes. beta = inf is the limit of the softmax: equal weights on the
largest similarities. A mask is a bias b of -inf. `scaling.attention.modules` is the same in PyTorch.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError


Array = NDArray[np.float64]
Similarity = Callable[[Array, Array], Array]
Normalisation = Literal["keys", "queries", "constant"]


def unit(x: Array) -> Array:
    """Rows divided by their norms; raises InputError for a row of norm zero, which has no direction."""
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    if not np.all(norms > 0):
        raise InputError("a token of norm zero has no direction on the sphere; remove it")
    return x / norms


def dot(q: Array, k: Array) -> Array:
    """<q_i, k_j>; shape (..., queries, keys)."""
    return q @ np.swapaxes(k, -1, -2)


def cosine(q: Array, k: Array) -> Array:
    """<q_i, k_j> / (|q_i| |k_j|); raises InputError for a token of norm zero."""
    return dot(unit(q), unit(k))


def minus_half_squared_distance(q: Array, k: Array) -> Array:
    """-|q_i - k_j|^2 / 2, as <q, k> - |q|^2 / 2 - |k|^2 / 2."""
    return dot(q, k) - np.sum(q * q, -1)[..., :, None] / 2 - np.sum(k * k, -1)[..., None, :] / 2


def minus_distance(q: Array, k: Array) -> Array:
    """-|q_i - k_j|, the limit of `minus_lorentz_distance` for kappa -> 0."""
    return -np.linalg.norm(q[..., :, None, :] - k[..., None, :, :], axis=-1)


def lorentz_lift(x: Array, kappa: float = 1.0) -> tuple[Array, Array]:
    """Exponential map at the origin of the Lorentz model with <z, z>_L = -1 / kappa: time (...,) and space (..., d).

    time = cosh(sqrt(kappa) |x|) / sqrt(kappa), space = sinh(sqrt(kappa) |x|) / (sqrt(kappa) |x|) x. Raises InputError
    for kappa <= 0. `minus_lorentz_distance` of lifted tokens -> -|q - k| as kappa -> 0.
    """
    if not (kappa > 0 and math.isfinite(kappa)):
        raise InputError(f"kappa = {kappa}: the curvature is -kappa, and kappa must be positive and finite")
    r = math.sqrt(kappa) * np.linalg.norm(x, axis=-1)
    stretch = np.where(r > 0, np.sinh(r) / np.where(r > 0, r, 1), 1)
    return np.cosh(r) / math.sqrt(kappa), stretch[..., None] * x


def minus_lorentz_distance(q: Array, k: Array, kappa: float = 1.0) -> Array:
    """-d_L of lifted tokens, d_L = arccosh(-kappa <q, k>_L) / sqrt(kappa).

    Computed as 2 arsinh(sqrt(kappa s) / 2) / sqrt(kappa) from the squared chord s = |q_space - k_space|^2 -
    (q_time - k_time)^2, which is accurate for tokens that are close to each other.
    """
    q_time, q_space = lorentz_lift(q, kappa)
    k_time, k_space = lorentz_lift(k, kappa)
    chord = np.sum((q_space[..., :, None, :] - k_space[..., None, :, :]) ** 2, -1)
    chord = chord - (q_time[..., :, None] - k_time[..., None, :]) ** 2
    return -2 * np.arcsinh(np.sqrt(kappa * np.maximum(chord, 0)) / 2) / math.sqrt(kappa)


def check_beta(beta: float, least: float = 0.0) -> None:
    """Raise InputError unless beta >= `least`; inf is allowed."""
    if math.isnan(beta) or beta < least:
        raise InputError(f"beta = {beta}: the inverse temperature must be a number of at least {least:g}")


def attention_weights(
    q: Array,
    k: Array,
    *,
    beta: float = 1.0,
    similarity: Similarity = dot,
    bias: Array | None = None,
    normalise: Normalisation = "keys",
) -> Array:
    """A = normalise(e^(beta sim(q_i, k_j) + b_ij)); shape (..., queries, keys).

    `normalise` keys: rows sum to 1 (softmax over j); queries: columns sum to 1; constant: divided by the number of
    keys (beta < inf only). If a bias masks all entries of a sum, the weights are 0. Raises InputError for
    beta NaN or negative.
    """
    check_beta(beta)
    score = similarity(q, k)
    if normalise == "constant":
        if math.isinf(beta):
            raise InputError("beta = inf has no limit when weights are divided by a constant; give a finite beta")
        return np.exp(beta * score + (0 if bias is None else bias)) / k.shape[-2]
    axis = -1 if normalise == "keys" else -2
    if math.isinf(beta):
        if bias is not None:
            score = np.where(np.isneginf(bias), -np.inf, score)
        weight = (score == score.max(axis, keepdims=True)) & np.isfinite(score)
    else:
        score = beta * score + (0 if bias is None else bias)
        top = score.max(axis, keepdims=True)
        weight = np.exp(score - np.where(np.isneginf(top), 0, top))
    total = weight.sum(axis, keepdims=True)
    return weight / np.where(total > 0, total, 1)


def attend(
    q: Array,
    k: Array,
    v: Array,
    *,
    beta: float = 1.0,
    similarity: Similarity = dot,
    bias: Array | None = None,
    normalise: Normalisation = "keys",
    rho: float = 0.0,
    eta: float = 1.0,
    retract: Callable[[Array], Array] | None = None,
) -> Array:
    """retract(rho q_i + eta sum_j A_ij v_j); q and v have the same last axis when rho is not 0."""
    weights = attention_weights(q, k, beta=beta, similarity=similarity, bias=bias, normalise=normalise)
    out = eta * (weights @ v) + (rho * q if rho else 0)
    return retract(out) if retract else out


def causal_bias(n: int) -> Array:
    """Bias (n, n) that lets token i attend to tokens j <= i: 0 there, -inf elsewhere."""
    return np.where(np.tril(np.ones((n, n), bool)), 0.0, -np.inf)


def tangent(x: Array, v: Array) -> Array:
    """P_x v = v - <v, x> x, the part of v tangent to the unit sphere at x."""
    return v - np.sum(v * x, -1, keepdims=True) * x
