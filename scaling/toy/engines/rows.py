"""Loops over the entries of one row, which the compiler turns into vector code."""

import numba
import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from scaling.toy.engines.compiled import kernel


@kernel
def add(Y, i, X, j, a):
    """Row i of Y += a (row j of X)."""
    for c in range(Y.shape[1]):
        Y[i, c] += a * X[j, c]


@kernel
def exchange(dY, Y, i, dX, X, j, a):
    """Both halves of the gradient of a y_i . x_j: dY_i += a X_j and dX_j += a Y_i."""
    for c in range(Y.shape[1]):
        dY[i, c] += a * X[j, c]
    for c in range(Y.shape[1]):
        dX[j, c] += a * Y[i, c]


@kernel
def distance(X, i, Y, j):
    """||X_i - Y_j||."""
    square = np.float32(0)
    for c in range(X.shape[1]):
        d = X[i, c] - Y[j, c]
        square += d * d
    return np.sqrt(square)


@kernel
def scatter(Y, rows, weights, count, X, i):
    """Y[rows_t] += weights_t X_i."""
    for t in range(count):
        j, a = rows[t], weights[t]
        for c in range(Y.shape[1]):
            Y[j, c] += a * X[i, c]


@kernel
def gather(Y, i, X, rows, weights, count):
    """Y_i += sum_t weights_t X[rows_t], four rows at a time."""
    t = 0
    while t + 4 <= count:
        j, j1, j2, j3 = rows[t], rows[t + 1], rows[t + 2], rows[t + 3]
        a, a1, a2, a3 = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        for c in range(Y.shape[1]):
            Y[i, c] += (a * X[j, c] + a1 * X[j1, c]) + (a2 * X[j2, c] + a3 * X[j3, c])
        t += 4
    while t < count:
        add(Y, i, X, rows[t], weights[t])
        t += 1


@kernel
def reach_alone(flags, b, G, r, v):
    """Flag the outputs that can fire in samples whose one active feature is at most v: max(b, b + v G_r) > 0."""
    for j in range(G.shape[1]):
        flags[j] = max(b[j], b[j] + v * G[r, j]) > 0


@kernel
def pre_activation(z, b, G, rows, values, start, stop):
    """z = b + sum_i x_i G_i of one sample over the outputs of a block."""
    width = G.shape[1]
    r, v, t = rows[start], values[start], start + 1
    if stop - start > 1:
        r1, v1, t = rows[t], values[t], t + 1
        for j in range(width):
            z[j] = b[j] + v * G[r, j] + v1 * G[r1, j]
    else:
        for j in range(width):
            z[j] = b[j] + v * G[r, j]
    while t + 4 <= stop:  # four rows at a time: z is loaded and stored once
        r, r1, r2, r3 = rows[t], rows[t + 1], rows[t + 2], rows[t + 3]
        v, v1, v2, v3 = values[t], values[t + 1], values[t + 2], values[t + 3]
        for j in range(width):
            z[j] += (v * G[r, j] + v1 * G[r1, j]) + (v2 * G[r2, j] + v3 * G[r3, j])
        t += 4
    while t < stop:
        r, v = rows[t], values[t]
        for j in range(width):
            z[j] += v * G[r, j]
        t += 1


@kernel
def positive(flags, z, width):
    """Flag the outputs with z > 0."""
    for j in range(width):
        flags[j] = z[j] > 0


@kernel
def rectify(z, db):
    """z = max(z, 0), added to db; returns sum_j z_j^2 and how many are positive."""
    zero, one = np.float32(0), np.float32(1)
    error, found = zero, zero
    for j in range(db.shape[0]):
        found += one if z[j] > 0 else zero
        z[j] = max(z[j], zero)
        db[j] += z[j]
        error += z[j] * z[j]
    return error, found


@kernel
def rectify_two(R, db, b, G, r, v0, v1):
    """Two samples of the feature of row r alone: row r of R = v z with z = max(b + v G_r, 0), and z is added to db.

    Returns the sum of z^2 and how many outputs are positive in one of them.
    """
    zero, one = np.float32(0), np.float32(1)
    error, found = zero, zero
    for j in range(G.shape[1]):
        g = G[r, j]
        z0, z1 = max(b[j] + v0 * g, zero), max(b[j] + v1 * g, zero)
        R[r, j] = v0 * z0 + v1 * z1
        db[j] += z0 + z1
        error += z0 * z0 + z1 * z1
        found += one if max(z0, z1) > 0 else zero
    return error, found


@kernel
def rectify_four(R, db, b, G, r, v0, v1, v2, v3):
    """Four samples of the feature of row r alone, added to row r of R; the rest as in rectify_two."""
    zero, one = np.float32(0), np.float32(1)
    error, found = zero, zero
    for j in range(G.shape[1]):
        g = G[r, j]
        z0, z1 = max(b[j] + v0 * g, zero), max(b[j] + v1 * g, zero)
        z2, z3 = max(b[j] + v2 * g, zero), max(b[j] + v3 * g, zero)
        R[r, j] += (v0 * z0 + v1 * z1) + (v2 * z2 + v3 * z3)
        db[j] += (z0 + z1) + (z2 + z3)
        error += (z0 * z0 + z1 * z1) + (z2 * z2 + z3 * z3)
        found += one if max(max(z0, z1), max(z2, z3)) > 0 else zero
    return error, found


@kernel
def rectify_pair(R, db, b, G, r, r1, v, v1):
    """A sample of the features of rows r and r1: adds z = max(b + v G_r + v1 G_r1, 0) to db and x z^T to R.

    Returns the sum of z^2 and how many outputs are positive.
    """
    zero, one = np.float32(0), np.float32(1)
    error, found = zero, zero
    for j in range(G.shape[1]):
        z = max(b[j] + (v * G[r, j] + v1 * G[r1, j]), zero)
        R[r, j] += v * z
        R[r1, j] += v1 * z
        db[j] += z
        error += z * z
        found += one if z > 0 else zero
    return error, found


@kernel
def add_outer(R, r, d, v):
    """Row r of R += v d."""
    for j in range(R.shape[1]):
        R[r, j] += v * d[j]


@numba.njit(cache=True)
def collect(flags, words, width, fired):
    """Write the indices of set flags and return how many; `words` is the same memory, eight flags a word.

    Few words have a flag, and a branch on each would be mispredicted: so first words, then flags.
    """
    some, last = 0, (width + 7) // 8
    for j in range(width, 8 * last):
        flags[j] = 0
    for w in range(last):
        fired[some] = w
        some += words[w] != 0
    found = some
    for q in range(some):
        w = fired[q]
        for j in range(8 * w, 8 * w + 8):
            fired[found] = j
            found += flags[j]
    for q in range(found - some):
        fired[q] = fired[some + q]
    return found - some


@numba.njit(cache=True)
def first_set(word):
    """Place of the lowest bit of a word that is set."""
    return np.uint64(trailing_zeros(word))  # type: ignore[call-arg]


@numba.njit(cache=True)
def collect_set(words, found_at, n):
    """Write the indices below n of the set flags, eight of which are one word, and return how many."""
    one, none, byte = np.uint64(1), np.uint64(0), np.uint64(3)
    some, end = 0, 8 * words.shape[0]
    for w in range(words.shape[0]):
        found_at[end + some] = w
        some += words[w] != none
    found = 0
    for t in range(some):
        w = found_at[end + t]
        word = words[w]
        while word != none:
            found_at[found] = 8 * w + np.int64(first_set(word) >> byte)
            found += 1
            word &= word - one
    while found > 0 and found_at[found - 1] >= n:
        found -= 1
    return found
