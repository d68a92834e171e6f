"""The model: logits Z = A W^T + b, A and W in R^{n x m}, b in R^n; exact loss -sum_xy r_x P_xy log softmax(Z_x)_y.

The excess over the floor is the mean divergence, sum_x r_x KL(P_x || softmax(Z_x)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.bigram.matrices import Matrix


Floats = NDArray[np.floating]

BLOCK = 256  # rows of Z in memory at a time


@dataclass(frozen=True)
class Weights:
    """A (n, m): one row per token as context; W (n, m): one row per token as next token; b (n,). Tied: A is W."""

    A: Floats
    W: Floats
    b: Floats


@dataclass(frozen=True)
class Target:
    """r (n,), P (n, n) and row entropies (n,) of a matrix, in the precision of the computation."""

    r: NDArray[np.float64]
    P: Floats
    row_entropy: NDArray[np.float64]

    @classmethod
    def of(cls, matrix: Matrix, dtype: type[np.floating]) -> "Target":
        """Return the target of a matrix; products use `dtype`, sums over rows use float64."""
        return cls(matrix.r, matrix.P.astype(dtype, copy=False), matrix.row_entropy)


def excess_and_gradient(target: Target, weights: Weights) -> tuple[float, Weights]:
    """Return sum_x r_x KL(P_x || softmax(Z_x)) in nats, and its gradient with respect to A, W and b as separate arrays.

    With G_xy = r_x (softmax(Z_x)_y - P_xy): dA = G W, dW = G^T A, db = G^T 1. Rows are processed in
    blocks, so memory is a few arrays n x n_block.
    """
    A, W, b = (np.asarray(part, dtype=target.P.dtype) for part in (weights.A, weights.W, weights.b))
    gradient = Weights(np.empty_like(A), np.zeros(W.shape), np.zeros(b.shape))
    excess = 0.0
    for start in range(0, len(b), BLOCK):
        rows = slice(start, start + BLOCK)
        r, P = target.r[rows], target.P[rows]
        Z = A[rows] @ W.T
        Z += b
        mean = np.einsum("xy,xy->x", P, Z)
        log_sum = softmax_rows(Z)
        excess += float(r @ (log_sum.astype(np.float64) - mean - target.row_entropy[rows]))
        Z -= P
        Z *= r[:, None].astype(Z.dtype)
        gradient.A[rows] = Z @ W
        gradient.W[...] += Z.T @ A[rows]
        gradient.b[...] += Z.sum(axis=0)
    return excess, gradient


def softmax_rows(Z: Floats) -> Floats:
    """Replace each row of Z by its softmax, and return log sum_y exp(Z_xy), shape (rows,)."""
    top = Z.max(axis=1, keepdims=True)
    Z -= top
    np.exp(Z, out=Z)
    total = Z.sum(axis=1, keepdims=True)
    Z /= total
    return np.asarray((np.log(total) + top)[:, 0])


def penalty_and_gradient(W: Floats, gamma: float) -> tuple[float, Floats]:
    """Return R(W), whose gradient flow is the signed weight decay of the toy model, and its gradient.

    gamma >= 0: gamma/(2n) sum_i ||W_i||^2; gamma < 0: |gamma|/(2n) sum_i (||W_i|| - 1)^2, which pulls norms to 1.
    """
    n = len(W)
    if gamma >= 0:
        return float(gamma / (2 * n) * np.sum(W**2)), gamma / n * W
    norm = np.linalg.norm(W, axis=1, keepdims=True)
    pull = np.divide(W, norm, out=np.zeros_like(W), where=norm > 0)
    return float(-gamma / (2 * n) * np.sum((norm - 1) ** 2)), -gamma / n * (W - pull)


def objective(target: Target, weights: Weights, gamma: float, tied: bool) -> tuple[float, Weights]:
    """Return the objective, excess + R(W), and its gradient; for a tied model, `gradient.A` is the full gradient of W.

    For gamma > 0 the rows of A decay, too. Otherwise W could shrink and A grow at constant logits, without a minimum.
    """
    value, gradient = excess_and_gradient(target, weights)
    R, dR = penalty_and_gradient(weights.W, gamma)
    if tied:
        both = gradient.A + gradient.W + dR
        return value + R, Weights(both, both, gradient.b)
    A = np.asarray(gradient.A, dtype=np.float64)
    if gamma > 0:
        R_A, dR_A = penalty_and_gradient(weights.A, gamma)
        R, A = R + R_A, A + dR_A
    return value + R, Weights(A, gradient.W + dR, gradient.b)
