"""Predictions of the excess loss at width m that need no training: from the spectrum and from the frequencies."""

import numpy as np
from numpy.typing import NDArray

from scaling.bigram.matrices import Matrix
from scaling.bigram.model import Target, Weights, excess_and_gradient


FloatArray = NDArray[np.float64]


def tails(squares: NDArray[np.floating]) -> FloatArray:
    """Return sum_{k > m} squares_k for m = 0 .. n, from values in decreasing order; shape (n + 1,)."""
    return np.append(np.cumsum(squares[::-1])[::-1], 0.0)


def chi_square(matrix: Matrix) -> FloatArray:
    """1/2 sum_{k > m} s_k^2, s the singular values of (J - r c^T)/sqrt(r c^T), J_xy = r_x P_xy; for m = 0 .. n.

    This is the excess of the best m dimensions to second order about independence, KL(P_x || c) ~ chi^2/2.
    """
    r, c = matrix.r[:, None], matrix.next_frequency
    return 0.5 * tails(np.linalg.svd(np.sqrt(r / c) * (matrix.P - c), compute_uv=False) ** 2)


def log_linear(matrix: Matrix) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return the SVD (U, s, V^T) of sqrt(r_x c_y) (log P_xy - weighted row and column means); None if a P_xy is zero.

    The first m terms are the best m dimensions of log P in the norm with weights r_x c_y.
    """
    if not matrix.P.all():
        return None
    r, c = matrix.r, matrix.next_frequency
    log_p = np.log(matrix.P)
    log_p -= (log_p @ c)[:, None]
    log_p -= r @ log_p
    return np.linalg.svd(np.sqrt(r)[:, None] * log_p * np.sqrt(c), full_matrices=False)


def log_spectrum(decomposition: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
    """1/2 sum_{k > m} s_k^2 of `log_linear`, for m = 0 .. n.

    This is the excess of the best m dimensions to second order about P, 1/2 sum_x r_x Var_y(error of Z_xy). The
    variance is taken over c instead of P_x, because only product weights have a closed form.
    """
    return 0.5 * tails(decomposition[1] ** 2)


def truncated_excess(
    matrix: Matrix, decomposition: tuple[FloatArray, FloatArray, FloatArray], widths: list[int]
) -> FloatArray:
    """Return the exact excess if the logits are the first m terms of `log_linear`: an upper bound for training."""
    U, s, Vt = decomposition
    target = Target.of(matrix, np.float64)
    r, c = matrix.r, matrix.next_frequency
    log_p = np.log(matrix.P)
    mean = r @ (log_p - (log_p @ c)[:, None])
    found = []
    for m in widths:
        A, W = U[:, :m] * s[:m] / np.sqrt(r)[:, None], Vt[:m].T / np.sqrt(c)[:, None]
        found.append(excess_and_gradient(target, Weights(A, W, mean))[0])
    return np.array(found)


def frequency(matrix: Matrix) -> FloatArray:
    """sum over contexts x beyond the m most frequent of r_x KL(P_x || c), for m = 0 .. n.

    Each dimension represents one context, and all other contexts predict c: no superposition. Such weights exist, so
    this is an upper bound on the excess of a trained model.
    """
    order = np.argsort(-matrix.r, kind="stable")
    return tails((matrix.r * matrix.row_information)[order])


def successors(matrix: Matrix) -> FloatArray:
    """sum over contexts x with more than m/2 successors of r_x KL(P_x || c), for m = 0 .. n.

    In m dimensions there are n points of which any m/2 form a face of their convex hull (a cyclic polytope). With these
    rows of W, every context with at most m/2 successors is predicted to any accuracy; the others predict c. This is an
    upper bound on the smallest possible excess. If every P_xy > 0, it equals the information until m = n.
    Source: Gale 1963, "Neighborly and cyclic polytopes".
    """
    count = np.count_nonzero(matrix.P, axis=1)
    needed = np.minimum(2 * count, matrix.n)  # a dense row needs at most n dimensions
    by_need = np.bincount(needed, matrix.r * matrix.row_information, minlength=matrix.n + 1)
    return tails(by_need[1:].astype(np.float64))
