"""Geometry of the rows of a matrix W (nu x m): norms, squared overlaps of unit rows, and the bounds they obey.

Shared by the toy model's W and the heads of language models. Symbols are the paper's: nu rows of dimension m.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import hyp0f1

from scaling.command import InputError


FloatArray = NDArray[np.floating]


def row_norms(W: FloatArray) -> NDArray[np.float64]:
    """Euclidean norm of each row, ||W_i||; shape (nu,), float64."""
    return np.sqrt(np.einsum("ij,ij->i", W, W, dtype=np.float64))


def phi(norms: FloatArray, threshold: float) -> float:
    """Share of rows with norm > threshold: phi_half for 1/2 and phi_1 for 1 (paper, section 3)."""
    return float(np.mean(np.asarray(norms) > threshold))


def unit_rows(W: FloatArray) -> NDArray[np.float64]:
    """Rows divided by their norms, float64; rows of norm zero have no direction and are left out."""
    norms = row_norms(W)
    return W[norms > 0].astype(np.float64) / norms[norms > 0, None]


@dataclass(frozen=True)
class Overlaps:
    """Squared overlaps (w_i . w_j)^2 of unit rows over all pairs i < j."""

    nu: int
    mean_sq: float  # mean of (w_i . w_j)^2
    std_sq: float  # its standard deviation over pairs
    mean_cosine: float  # mean of w_i . w_j
    max_abs: float  # max |w_i . w_j|


def mean_sq_overlap_from_gram(gram: FloatArray, nu: int) -> float:
    """Mean squared overlap over pairs of nu unit rows, from their m x m Gram matrix.

    (||W^T W||_F^2 - nu) / (nu (nu - 1)): nu m^2 operations where all pairs cost nu^2 m.
    """
    return float((np.sum(np.square(gram, dtype=np.float64)) - nu) / (nu * (nu - 1)))


def squared_overlaps(W: FloatArray, block: int = 1024, rows: NDArray[np.integer] | None = None) -> Overlaps:
    """Moments of the squared overlaps of the unit rows of W over all pairs, in float64.

    The means come from the m x m Gram matrix and the sum of rows; the spread and the maximum come from all pairs, in
    blocks of rows, or from the pairs that contain one of `rows` (indices among the rows that are not zero).
    Rows of norm zero are left out. Raises ValueError with fewer than two rows left.
    """
    w = unit_rows(W)
    nu = len(w)
    if nu < 2:
        raise ValueError(f"overlaps need at least two rows that are not zero, got {nu}")
    if rows is not None:  # first, so that each pair that contains one of them is met once
        w = np.concatenate([w[rows], np.delete(w, rows, axis=0)])
    count = nu if rows is None else len(rows)
    mean_sq = mean_sq_overlap_from_gram(w.T @ w, nu)
    fourth, largest = 0.0, 0.0
    for start in range(0, count, block):
        cosine = w[start : min(start + block, count)] @ w[start:].T
        inside = np.arange(cosine.shape[0])
        cosine[inside[:, None] >= np.arange(cosine.shape[1])] = 0  # each pair once, no row with itself
        square = np.square(cosine)
        fourth += float(np.sum(np.square(square)))
        largest = max(largest, float(square.max()))
    pairs = count * nu - count * (count + 1) / 2
    total = w.sum(axis=0)
    return Overlaps(
        nu=nu,
        mean_sq=max(mean_sq, 0.0),
        std_sq=float(np.sqrt(max(fourth / pairs - mean_sq**2, 0.0))),
        mean_cosine=float((total @ total - nu) / (nu * (nu - 1))),
        max_abs=float(np.sqrt(largest)),
    )


def fractional_capacity(W: FloatArray) -> NDArray[np.float64]:
    """Fractional capacity of each row, C_i = ||W_i||^4 / sum_j (W_i . W_j)^2; shape (nu,), float64, in 0 .. 1.

    The share of a dimension that row i has to itself: 1 if it is orthogonal to all others, 0 for a row of norm zero.
    sum_i C_i <= rank(W) <= m. Takes nu m^2 operations, since the denominator is W_i^T (W^T W) W_i.
    Source: Scherlis et al. 2022, "Polysemanticity and capacity in neural networks", section 2.
    """
    rows = W.astype(np.float64)
    square = np.einsum("ij,ij->i", rows, rows)
    crossed = np.einsum("ij,ij->i", rows @ (rows.T @ rows), rows)
    return np.divide(square**2, crossed, out=np.zeros(len(W)), where=crossed > 0)


def own_direction_loss(W: FloatArray) -> tuple[float, float]:
    """Mean of L_i = log(1 + sum_{j != i} exp(w_i . W_j - |W_i|)) over rows, w_i = W_i / |W_i|, and what overlaps add.

    L_i is the cross-entropy of token i (nats) when the hidden state is its own unit row. The second number is the mean
    of L_i minus its value at W_i . W_j = 0, log(1 + (nu - 1) exp(-|W_i|)). Rows (nu, m) of norm zero are left out.
    Raises ValueError with fewer than two rows. Source: the paper, Eq. 10.
    """
    norms = row_norms(W)
    rows, norms = W[norms > 0].astype(np.float64), norms[norms > 0].astype(np.float64)
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} rows that are not zero; at least 2 are needed")
    loss = np.empty(len(rows))
    for start in range(0, len(rows), 1024):  # bounds the memory
        part = slice(start, start + 1024)
        length = norms[part, None]
        terms = np.exp(rows[part] / length @ rows.T - length)
        loss[part] = np.log(terms.sum(axis=1))  # the term of j = i is 1
    return float(loss.mean()), float(np.mean(loss - np.log1p((len(rows) - 1) * np.exp(-norms))))


def welch_bound(nu: int, m: int) -> float:
    """kappa^2 = (nu - m) / (m (nu - 1)): least possible max, and mean, squared overlap of nu unit rows (0 if nu <= m).

    Reached by an equiangular tight frame. Source: Welch 1974; the paper's section on strong superposition.
    """
    return max(nu - m, 0) / (m * (nu - 1)) if nu > 1 else 0.0


def random_sq_overlap_mean(m: float) -> float:
    """Mean squared overlap of independent random unit rows: 1/m."""
    return 1 / m


def random_sq_overlap_variance(m: int) -> float:
    """Variance of the squared overlap of independent random unit rows: 2 (m - 1) / (m^2 (m + 2))."""
    return 2 * (m - 1) / (m**2 * (m + 2))


def least_sq_overlap_variance(nu: int, m: int, mean_sq: float) -> float:
    """Least possible variance of the squared overlaps of nu unit rows with mean squared overlap `mean_sq`.

    [3 nu / (m (m + 2)) - 1] / (nu - 1) - mean_sq^2, from Welch's bound on the fourth moment, and never below 0. A tight
    frame can reach it; an equiangular one has variance 0, which is possible only for nu <= m (m + 1)/2 rows.
    Source: Welch 1974; Tan, arXiv 1612.06343.
    """
    fourth = (3 * nu / (m * (m + 2)) - 1) / (nu - 1)
    return max(fourth - mean_sq**2, 0.0)


def etf_like_rows(m: int) -> float:
    """About how many rows fit into m dimensions as nearly an equiangular tight frame: m^2 / 2 (paper, Fig. 6c)."""
    return m**2 / 2


@dataclass(frozen=True, kw_only=True)
class RowGeometry:
    """Geometry of the rows of a matrix, see `measure`; print it for a report."""

    nu: int  # rows, those of norm zero included
    m: int
    n_zero: int  # rows of norm zero
    norms: NDArray[np.float64]  # (nu,)
    mean_norm: float
    std_norm: float
    phi_half: float  # share of rows with norm > 1/2
    phi_1: float  # share of rows with norm > 1
    mean_sq_overlap: float
    std_sq_overlap: float
    max_overlap: float
    mean_cosine: float
    welch_bound: float
    random_mean: float
    n_pair_rows: int  # rows whose pairs give std_sq_overlap and max_overlap

    def __repr__(self) -> str:
        scale = f"{self.m * self.mean_sq_overlap:.3f}/m"
        pairs = "" if self.n_pair_rows == self.nu - self.n_zero else f" (from {self.n_pair_rows} sampled rows)"
        return "\n".join(
            [
                f"{self.nu} rows of dimension m = {self.m}, {self.n_zero} of them zero",
                f"  norm                  {self.mean_norm:.4g} ± {self.std_norm:.3g} (mean ± SD over rows)",
                f"  phi_half, phi_1       {self.phi_half:.3f}, {self.phi_1:.3f} (share of rows with norm > 1/2, > 1)",
                f"  mean squared overlap  {self.mean_sq_overlap:.4g} = {scale}",
                f"    random rows         {self.random_mean:.4g} = 1/m",
                f"    Welch bound         {self.welch_bound:.4g}",
                f"  SD over pairs         {self.std_sq_overlap:.4g}{pairs}",
                f"  largest |overlap|     {self.max_overlap:.4g}{pairs}",
            ]
        )


def measure(W: ArrayLike, sample_rows: int | None = None, rng: np.random.Generator | None = None) -> RowGeometry:
    """Measure norms and overlaps (w_i . w_j)^2 of the unit rows of any matrix W, shape (nu, m) (paper, section 3).

    All pairs cost nu^2 m operations. With `sample_rows` the standard deviation and the largest overlap come from the
    pairs of that many rows, drawn by `rng` (default: seed 0), with all others; the means are exact either way. Rows of
    norm zero have no direction: they count in the norms and not in the overlaps.
    Raises InputError for other shapes, values that are not finite, and fewer than two rows that are not zero.
    """
    matrix = np.asarray(W)
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.number) or np.iscomplexobj(matrix):
        raise InputError(f"W has shape {matrix.shape} and type {matrix.dtype}; needed is a real matrix, shape (nu, m)")
    matrix = matrix if np.issubdtype(matrix.dtype, np.floating) else matrix.astype(np.float64)
    if not np.isfinite(matrix).all():
        raise InputError("W holds a value that is not finite")
    norms = row_norms(matrix)
    nonzero = int(np.count_nonzero(norms))
    if nonzero < 2:
        raise InputError(f"overlaps need at least two rows that are not zero, got {nonzero}")
    rows = None
    if sample_rows is not None and sample_rows < nonzero:
        if sample_rows < 1:
            raise InputError(f"sample_rows = {sample_rows}: must be at least 1")
        rows = (rng or np.random.default_rng(0)).choice(nonzero, sample_rows, replace=False)
    overlaps = squared_overlaps(matrix, rows=rows)
    nu, m = matrix.shape
    return RowGeometry(
        nu=nu,
        m=m,
        n_zero=nu - nonzero,
        norms=norms,
        mean_norm=float(norms.mean()),
        std_norm=float(norms.std()),
        phi_half=phi(norms, 1 / 2),
        phi_1=phi(norms, 1),
        mean_sq_overlap=overlaps.mean_sq,
        std_sq_overlap=overlaps.std_sq,
        max_overlap=overlaps.max_abs,
        mean_cosine=overlaps.mean_cosine,
        welch_bound=welch_bound(nonzero, m),
        random_mean=random_sq_overlap_mean(m),
        n_pair_rows=nonzero if rows is None else len(rows),
    )


def moment_floor(m: int, k: int) -> float:
    """Least mean of (w_i . w_j)^k over all nu^2 ordered pairs of unit rows, i = j included, for even k.

    1 3 ... (k - 1) / (m (m + 2) ... (m + k - 2)), the k-th moment of independent uniform unit rows. Raises ValueError
    for an odd or negative k. Source: Welch 1974; Tan, arXiv 1612.06343.
    """
    if k < 0 or k % 2:
        raise ValueError(f"only even moments have a positive lower bound, got k = {k}")
    return math.prod((2 * j + 1) / (m + 2 * j) for j in range(k // 2))


def pair_moment_floor(nu: int, m: int, k: int) -> float:
    """Least mean of (w_i . w_j)^k over pairs i != j of nu unit rows, for even k: (nu moment_floor - 1) / (nu - 1).

    Never below 0. For k = 2 it is the Welch bound.
    """
    return max(nu * moment_floor(m, k) - 1, 0.0) / (nu - 1) if nu > 1 else 0.0


def sq_overlap_variance_floor(nu: int, m: int, mean_sq: float | None = None) -> float:
    """Least variance of (w_i . w_j)^2 over pairs of nu unit rows whose mean squared overlap q is `mean_sq`.

    With M_k the mean of (w_i . w_j)^k over all nu^2 pairs, positive definiteness of the fourth Gegenbauer polynomial
    gives M_4 >= 6 M_2 / (m + 4) - 3 / ((m + 2) (m + 4)); the variance is (nu M_4 - 1) / (nu - 1) - q^2, never below 0.
    Without `mean_sq`, q is the Welch bound kappa^2 and the floor is [3 nu / (m (m + 2)) - 1] / (nu - 1) - kappa^4,
    positive for nu > m (m + 1) / 2; it then holds for every q <= 6 / (m + 4) - kappa^2, not only for tight frames.
    """
    if nu < 2:
        return 0.0
    q = welch_bound(nu, m) if mean_sq is None else mean_sq
    second = (1 + (nu - 1) * q) / nu
    fourth = 6 * second / (m + 4) - 3 / ((m + 2) * (m + 4))
    return max((nu * fourth - 1) / (nu - 1) - q**2, 0.0)


def isotropic_pair_energy(m: float, beta: float) -> float:
    """Mean of e^(beta w . w') over independent uniform unit rows: 0F1(; m/2; beta^2 / 4).

    For beta >= 0 it is also the least mean over all nu^2 ordered pairs of any nu unit rows, i = j included, since
    e^(beta t) has no negative Gegenbauer coefficient. Source: Welch 1974; Schoenberg 1942; Tan, arXiv 1612.06343.
    """
    return float(hyp0f1(m / 2, beta**2 / 4))
