"""Bigram matrices with a known floor: token frequencies r and next-token distributions P, counted or synthetic.

The floor of the loss is the conditional entropy H = -sum_xy r_x P_xy log P_xy.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import rel_entr, xlogy

from scaling import arrays
from scaling.bigram.study import MatrixSettings
from scaling.command import InputError


FloatArray = NDArray[np.float64]

STAY = 0.9  # share of next tokens within the block of the token, in the law `blocks`
LOGIT_STD = 2.0  # standard deviation of log P about the frequencies, in the laws `spectrum` and `random`


@dataclass(frozen=True)
class Matrix:
    """r (n,): frequency of each token; P (n, n): P_xy = probability of y after x; float64, rows sum to 1."""

    r: FloatArray
    P: FloatArray

    @property
    def n(self) -> int:
        """Number of tokens."""
        return len(self.r)

    @cached_property
    def next_frequency(self) -> FloatArray:
        """c_y = sum_x r_x P_xy, frequency of y as next token; shape (n,)."""
        return np.asarray(self.r @ self.P)

    @cached_property
    def row_entropy(self) -> FloatArray:
        """H_x = -sum_y P_xy log P_xy in nats; shape (n,)."""
        return np.asarray(-xlogy(self.P, self.P).sum(axis=1))

    @property
    def floor(self) -> float:
        """H = sum_x r_x H_x, the conditional entropy: the smallest loss of any model, in nats per token."""
        return float(self.r @ self.row_entropy)

    @cached_property
    def row_information(self) -> FloatArray:
        """KL(P_x || c) in nats: the information of token x about the next one; shape (n,)."""
        return np.asarray(rel_entr(self.P, self.next_frequency).sum(axis=1))

    @property
    def information(self) -> float:
        """I = sum_x r_x KL(P_x || c), the mutual information: the excess loss of a model with m = 0."""
        return float(self.r @ self.row_information)

    @property
    def n_pairs(self) -> int:
        """Number of pairs with P_xy > 0."""
        return int(np.count_nonzero(self.P))


def from_counts(counts: FloatArray) -> Matrix:
    """Return r and P from bigram counts C (n, n), C_xy = number of times y follows x; no row is empty."""
    total = counts.sum(axis=1)
    return Matrix(total / total.sum(), counts / total[:, None])


def kneser_ney(counts: FloatArray) -> Matrix:
    """Smooth bigram counts by interpolated Kneser-Ney: r as counted, every P_xy > 0.

    P_xy = max(C_xy - D, 0)/C_x + D (N_x / C_x) (M_y / sum M), with N_x distinct successors of x, M_y distinct
    predecessors of y, and D = n_1/(n_1 + 2 n_2), where n_k pairs occur k times.
    Source: Kneser and Ney 1995; Chen and Goodman 1999.
    """
    total = counts.sum(axis=1, keepdims=True)
    seen = counts > 0
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    discount = once / (once + 2 * twice) if once else 0.5
    continuation = seen.sum(axis=0) / seen.sum()
    P = np.maximum(counts - discount, 0) / total + discount * seen.sum(axis=1, keepdims=True) / total * continuation
    return Matrix(total[:, 0] / total.sum(), P / P.sum(axis=1, keepdims=True))


def shuffled(counts: FloatArray, rng: np.random.Generator) -> Matrix:
    """Return counts of the same tokens in random order: independent next tokens with the noise of a finite text."""
    tokens = rng.permutation(np.repeat(np.arange(len(counts)), counts.sum(axis=1).astype(np.int64)))
    return from_counts(pair_counts(tokens, len(counts)).toarray().astype(np.float64))


def pair_counts(tokens: NDArray[np.integer], n: int) -> sparse.csr_array:
    """Return counts (n, n) of successive tokens 0 .. n - 1; the first follows the last, so that r = c exactly."""
    ones = np.ones(len(tokens), dtype=np.int64)
    counts = sparse.coo_array((ones, (tokens, np.roll(tokens, -1))), shape=(n, n)).tocsr()
    counts.sum_duplicates()
    return counts


def power_law(n: int, alpha: float) -> FloatArray:
    """Return frequencies r_i ~ i^-alpha, i = 1 .. n, that sum to 1."""
    weight = np.arange(1.0, n + 1) ** -alpha
    return np.asarray(weight / weight.sum())


def independent(r: FloatArray) -> Matrix:
    """P_xy = r_y: the floor is reached with m = 0."""
    return Matrix(r, np.tile(r, (len(r), 1)))


def blocks(r: FloatArray, n_blocks: int) -> Matrix:
    """Token i is in block i mod n_blocks, as are 90 % of its successors; P is proportional to r inside and outside."""
    block = np.arange(len(r)) % n_blocks
    share = np.bincount(block, r)
    inside = (block[:, None] == block) * r / share[block][:, None]
    return Matrix(r, STAY * inside + (1 - STAY) * r)


def sparse_rows(r: FloatArray, successors: int, rng: np.random.Generator) -> Matrix:
    """Each token has `successors` successors with probabilities ~ 1/k in random order.

    One successor is given by a permutation, so that each token is a successor of some token; the others are drawn by
    frequency without replacement.
    """
    n = len(r)
    P = np.zeros((n, n))
    for row, first in zip(P, rng.permutation(n), strict=True):
        others = np.where(np.arange(n) == first, 0, r)
        drawn = rng.choice(n, successors - 1, replace=False, p=others / others.sum())
        row[rng.permutation([first, *drawn])] = power_law(successors, 1.0)
    return Matrix(r, P)


def from_logits(r: FloatArray, logits: FloatArray) -> Matrix:
    """P_xy ~ r_y exp(logits_xy), with the logits scaled to a standard deviation of 2."""
    weight = r * np.exp(LOGIT_STD * logits / logits.std())
    return Matrix(r, weight / weight.sum(axis=1, keepdims=True))


def spectrum(r: FloatArray, exponent: float, rng: np.random.Generator) -> Matrix:
    """log(P_xy/r_y) = sum_k k^-exponent u_k(x) v_k(y) up to row constants, u and v random orthonormal bases."""
    n = len(r)
    left, right = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    return from_logits(r, left * np.arange(1.0, n + 1) ** -exponent @ right.T)


def build(settings: MatrixSettings, counts: FloatArray | None = None) -> Matrix:
    """Build the matrix that the settings describe; `counts` (n, n) for the counted laws."""
    rng = np.random.default_rng(settings.seed)
    if settings.is_counted:
        if counts is None:
            raise InputError(f"the law {settings.law} needs the counts of a text: give --counts")
        match settings.law:
            case "text":
                return from_counts(counts)
            case "smoothed":
                return kneser_ney(counts)
            case _:
                return shuffled(counts, rng)
    assert settings.n is not None
    r = power_law(settings.n, settings.alpha)
    match settings.law:
        case "independent":
            return independent(r)
        case "blocks":
            return blocks(r, settings.blocks)
        case "sparse":
            return sparse_rows(r, settings.successors, rng)
        case "spectrum":
            return spectrum(r, settings.exponent, rng)
        case _:
            return from_logits(r, rng.standard_normal((settings.n, settings.n)))


def write_counts(path: Path, counts: sparse.csr_array) -> None:
    """Write counts in compressed sparse row format."""
    arrays.write(path, {"count": counts.data, "column": counts.indices, "row_start": counts.indptr}, {})


def read_counts(path: Path) -> FloatArray:
    """Read dense counts (n, n) from a file written by `write_counts`."""
    _, parts = arrays.read(path)
    n = len(parts["row_start"]) - 1
    counts = sparse.csr_array((parts["count"], parts["column"], parts["row_start"]), shape=(n, n))
    return np.asarray(counts.toarray(), dtype=np.float64)
