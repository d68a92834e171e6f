"""Which outputs can fire in a sample: an upper bound on every pre-activation from products of old rows of W.

Each row W_i has a reference R_i and each column W_j a reference C_j, copies of W from some steps ago. Their products
are kept as bytes, rounded up: R_i . C_j <= s q_ij. A sample with h = sum_i v_i W_i and r = sum_i v_i R_i has

    z_j = b_j + h . W_j = b_j + sum_i v_i R_i . C_j + r . (W_j - C_j) + (h - r) . W_j
        <= b_j + s sum_i v_i q_ij + ||r|| ||W_j - C_j|| + ||h - r|| max_k ||W_k||

An output whose right side is not positive is silent. The others, the candidates, are computed from W itself, so loss
and gradients are exact however old the references are. docs/gram_form.md has the proof, rounding included.

The sums are 16-bit integers in units of s/64, so that one instruction treats 16 outputs or more. A sample whose sums
could leave 16 bits takes coarser units, s/64 times 2^k.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from scaling.toy.engines.compiled import inlined, kernel
from scaling.toy.engines.outputs import norm


UNITS = 64  # values v are rounded to multiples of 1/64, the unit of sums is s/64
SHIFTS = 6  # coarser units that may be taken: k < 6
ALONE = SHIFTS  # row of Screen.least for samples with one feature
MOST = 32000  # largest sum, less than 2^15
ROOM = np.float32(1.1)  # growth of ||W_i|| ||C_j|| for which the scale s leaves room
FRESH_ROWS = 128  # rows that are renewed by one matrix product
SCALE, LONGEST_C, AGE, COST = range(4)  # places in Screen.number


class Screen(NamedTuple):
    """References, the bytes q, and what one step works on. Rows of bytes are padded to `wide` columns."""

    q: NDArray[np.int8]  # (n, wide) R_i . C_j <= s q_ij
    R: NDArray[np.float32]  # (n, m)
    C: NDArray[np.float32]  # (n, m)
    length_R: NDArray[np.float32]  # (n,) ||R_i||
    valid: NDArray[np.uint8]  # (n,) whether R_i and row i of q may be used
    number: NDArray[
        np.float64
    ]  # s; max_j ||C_j||; age of C in steps, -1 if it is to be renewed; cost since its renewal
    drift: NDArray[np.float32]  # (n,) ||W_j - C_j||
    drift_q: NDArray[np.int8]  # (wide,) ||W_j - C_j|| <= step drift_q_j
    least: NDArray[np.int16]  # (SHIFTS + 1, wide) a candidate's sum in the k-th units exceeds row k
    sums: NDArray[np.int16]  # (wide,)
    flags: NDArray[np.uint8]  # (wide,) which outputs are candidates
    words: NDArray[np.uint64]  # (wide / 8,) the same memory
    candidates: NDArray[np.int32]  # (2 wide,) their indices
    hit: NDArray[np.int32]  # (wide + 4,) the candidates that fire
    product: NDArray[np.float32]  # (wide + 4,) W_j . h of these
    h: NDArray[np.float32]  # (3, m) h, r and the gradient by h of one sample
    x: NDArray[np.float32]  # (n,) one sample, zero except for its active features
    row: NDArray[np.int32]  # (n,) the active features of that sample
    weight: NDArray[np.int16]  # (n,) their values as multiples of the unit
    stale: NDArray[np.int32]  # (n,) rows to renew
    W_F: NDArray[np.float32]  # (FRESH_ROWS, m)
    G_F: NDArray[np.float32]  # (FRESH_ROWS n,)


def screen(n: int, m: int) -> Screen:
    """Arrays for n features and rows of m floats; nothing is valid yet."""
    wide = -(-n // 64) * 64
    real = np.float32
    flags = np.zeros(wide, np.uint8)
    return Screen(
        q=np.zeros((n, wide), np.int8),
        R=np.zeros((n, m), real),
        C=np.zeros((n, m), real),
        length_R=np.zeros(n, real),
        valid=np.zeros(n, np.uint8),
        number=np.array([0.0, 0.0, -1.0, 0.0]),
        drift=np.zeros(n, real),
        drift_q=np.zeros(wide, np.int8),
        least=np.full((SHIFTS + 1, wide), MOST, np.int16),  # beyond n: never a candidate
        sums=np.zeros(wide, np.int16),
        flags=flags,
        words=flags.view(np.uint64),
        candidates=np.zeros(2 * wide, np.int32),
        hit=np.zeros(wide + 4, np.int32),
        product=np.zeros(wide + 4, real),
        h=np.zeros((3, m), real),
        x=np.zeros(n, real),
        row=np.zeros(n, np.int32),
        weight=np.zeros(n, np.int16),
        stale=np.zeros(n, np.int32),
        W_F=np.zeros((FRESH_ROWS, m), real),
        G_F=np.zeros(FRESH_ROWS * n, real),
    )


@numba.njit(cache=True)
def renew_columns(sc, W, longest):
    """C = W; `longest` is max_j ||W_j||. No row of q is valid any more."""
    sc.C[:] = W
    sc.valid[:] = 0
    sc.number[SCALE] = max(ROOM * longest * longest / 126, 1e-30)
    sc.number[LONGEST_C] = longest
    sc.number[AGE] = 0
    sc.number[COST] = 0


@kernel
def quantize(q, i, G, f, per_scale):
    """Row i of q = row f of G in units of the scale, rounded up; |G| <= 126 units."""
    for j in range(G.shape[1]):
        q[i, j] = np.int8(np.int32(G[f, j] * per_scale + np.float32(128)) - 127)


@inlined
def renew_rows(sc, W, count):
    """R_i = W_i and its row of q for the first `count` rows in sc.stale."""
    n = W.shape[0]
    per_scale = np.float32(1 / sc.number[SCALE])
    for first in range(0, count, FRESH_ROWS):
        rows = min(FRESH_ROWS, count - first)
        for f in range(rows):
            sc.W_F[f] = W[sc.stale[first + f]]
        G = sc.G_F[: rows * n].reshape(rows, n)
        np.dot(sc.W_F[:rows], sc.C.T, G)
        for f in range(rows):
            i = sc.stale[first + f]
            quantize(sc.q, i, G, f, per_scale)
            sc.R[i] = W[i]
            sc.length_R[i] = norm(W, i)
            sc.valid[i] = 1


@kernel
def drifts(sc, W):
    """Fill sc.drift; returns max_j ||W_j|| and max_j ||W_j - C_j||."""
    longest, furthest = np.float32(0), np.float32(0)
    for j in range(W.shape[0]):
        square, moved = np.float32(0), np.float32(0)
        for c in range(W.shape[1]):
            d = W[j, c] - sc.C[j, c]
            square += W[j, c] * W[j, c]
            moved += d * d
        longest = max(longest, square)
        furthest = max(furthest, moved)
        sc.drift[j] = np.sqrt(moved)
    return np.sqrt(longest), np.sqrt(furthest)


@kernel
def thresholds(sc, b, unit, step):
    """Fill drift_q, in multiples of `step`, and the sums above which an output is a candidate, in each of the units."""
    per_unit, per_step = 1 / unit, 1 / step
    for j in range(b.shape[0]):
        sc.drift_q[j] = np.int8(np.int32(sc.drift[j] * per_step) + 1)
    for k in range(SHIFTS):
        for j in range(b.shape[0]):
            sc.least[k, j] = np.int16(max(min(-b[j] * per_unit - 1, np.float32(32766)), np.float32(-32767)))
        per_unit *= np.float32(0.5)
    for j in range(b.shape[0]):  # one feature of value v near 0: z_j is near b_j
        sc.least[ALONE, j] = np.int16(-32768) if b[j] > 0 else sc.least[0, j]


@inlined
def measure(sc, W, b):
    """Renew C if need be, and measure how far W is from it; returns max_j ||W_j||, the unit and the step of drift_q."""
    longest, furthest = drifts(sc, W)
    if sc.number[AGE] < 0 or longest * sc.number[LONGEST_C] > 126 * sc.number[SCALE]:
        renew_columns(sc, W, longest)
        sc.drift[:] = 0
        furthest = np.float32(0)
    unit = np.float32(sc.number[SCALE] / UNITS)
    step = max(furthest / np.float32(126), 4 * unit)
    thresholds(sc, b, unit, step)
    return longest, unit, step


@numba.njit(cache=True)
def rounding(m, count, longest):
    """Error of the bound by float32 for a sample with `count` features, per sum of its values; see docs/gram_form.md.

    `longest` is the largest norm among the rows of W and C.
    """
    return np.float32(2.0**-24) * np.float32(5 * m + 4 * count + 12) * longest * longest


@kernel
def choose_units(margin, size, count):
    """The smallest k for which the sums in units 2^k times coarser stay within 16 bits; SHIFTS if there is none.

    `margin` and `size`, the sum of the weights of q, are in the finest unit. In the k-th units rounding adds at most
    127 per row.
    """
    k, rest = 0, np.float32(MOST - 127 * (count + 2))
    while k < SHIFTS and margin + 127 * size > rest:
        k += 1
        rest *= 2
    return k


@kernel
def compare_one(flags, least, k, offset, drift_q, w_drift, q, i, w):
    """Flag the outputs with offset + w_drift drift_q + w q_i > least_k, all in 16 bits."""
    for j in range(flags.shape[0]):
        total = np.int16(np.int16(w_drift * np.int16(drift_q[j])) + np.int16(w * np.int16(q[i, j])))
        flags[j] = np.int16(total + offset) > least[k, j]


@kernel
def compare_two(flags, least, k, offset, drift_q, w_drift, q, i, w, i1, w1):
    """The same for the sum of two rows."""
    for j in range(flags.shape[0]):
        total = np.int16(np.int16(w * np.int16(q[i, j])) + np.int16(w1 * np.int16(q[i1, j])))
        total = np.int16(total + np.int16(w_drift * np.int16(drift_q[j])))
        flags[j] = np.int16(total + offset) > least[k, j]


@kernel
def begin_sum(sums, offset, drift_q, w_drift, q, i, w, i1, w1):
    """sums = offset + w_drift drift_q + w q_i + w1 q_i1."""
    for j in range(sums.shape[0]):
        total = np.int16(np.int16(w * np.int16(q[i, j])) + np.int16(w1 * np.int16(q[i1, j])))
        total = np.int16(total + np.int16(w_drift * np.int16(drift_q[j])))
        sums[j] = np.int16(total + offset)


@kernel
def add_two(sums, q, i, w, i1, w1):
    """sums += w q_i + w1 q_i1."""
    for j in range(sums.shape[0]):
        total = np.int16(np.int16(w * np.int16(q[i, j])) + np.int16(w1 * np.int16(q[i1, j])))
        sums[j] = np.int16(sums[j] + total)


@kernel
def add_four(sums, q, rows, weights, t):
    """sums += the rows t to t + 3 of q, times their weights."""
    i, i1, i2, i3 = rows[t], rows[t + 1], rows[t + 2], rows[t + 3]
    w, w1, w2, w3 = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
    for j in range(sums.shape[0]):
        two = np.int16(np.int16(w * np.int16(q[i, j])) + np.int16(w1 * np.int16(q[i1, j])))
        more = np.int16(np.int16(w2 * np.int16(q[i2, j])) + np.int16(w3 * np.int16(q[i3, j])))
        sums[j] = np.int16(sums[j] + np.int16(two + more))


@kernel
def finish_sum(flags, least, k, sums, q, i, w):
    """Flag the outputs with sums + w q_i > least_k."""
    for j in range(flags.shape[0]):
        flags[j] = np.int16(sums[j] + np.int16(w * np.int16(q[i, j]))) > least[k, j]


@inlined
def compare_many(flags, least, k, offset, drift_q, w_drift, q, row, weight, count, sums):
    """Flag the outputs with offset + w_drift drift_q + sum_t weight_t q[row_t] > least_k, from two rows on."""
    if count == 2:
        compare_two(flags, least, k, offset, drift_q, w_drift, q, row[0], weight[0], row[1], weight[1])
        return
    t = 1 + count % 2  # rows of the first sum; pairs follow, and one row is left
    second = weight[1] if t == 2 else np.int16(0)
    begin_sum(sums, offset, drift_q, w_drift, q, row[0], weight[0], row[1], second)
    while t + 4 < count:
        add_four(sums, q, row, weight, t)
        t += 4
    if t + 2 < count:
        add_two(sums, q, row[t], weight[t], row[t + 1], weight[t + 1])
        t += 2
    finish_sum(flags, least, k, sums, q, row[t], weight[t])
