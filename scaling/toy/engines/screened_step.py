"""Loss and gradients of the toy model from the outputs that can fire, see `screening`; no product G = W_U W^T.

    y = ReLU(x W W^T + b),   d = y - x where y > 0, else 0

A sample with h = sum_i x_i W_i adds d h^T to the gradient by W, in the rows of the outputs that fire, and
x (sum_j d_j W_j) in the rows of its own features. Samples with one active feature i share one row of bounds: output j
can fire in one of them only if b_j > 0 or b_j + max(v) W_i . W_j > 0.
"""

import numba
import numpy as np

from scaling.toy.engines.choice import row_cost
from scaling.toy.engines.gram_step import sums_alone, sums_own
from scaling.toy.engines.outputs import norm
from scaling.toy.engines.rows import add, collect_set
from scaling.toy.engines.screening import (
    AGE,
    ALONE,
    COST,
    LONGEST_C,
    MOST,
    ROUNDING,
    SHIFTS,
    UNITS,
    add_four,
    add_two,
    begin_sum,
    compare,
    compare_two,
    distance,
    finish_sum,
    measure,
    renew_rows,
)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def keep_fired(hit, product, W, b, candidates, count, X, i, top, alone):
    """Keep the candidates j with b_j + top W_j . X_i > 0, or b_j > 0 if `alone`: j to hit, W_j . X_i to product.

    Returns how many. Takes four candidates at a time; the last ones may be repeated.
    """
    zero = np.float32(0)
    hits, last = 0, count - 1
    for t in range(0, count, 4):
        j, j1 = candidates[t], candidates[min(t + 1, last)]
        j2, j3 = candidates[min(t + 2, last)], candidates[min(t + 3, last)]
        g, g1, g2, g3 = zero, zero, zero, zero
        for c in range(W.shape[1]):
            g += X[i, c] * W[j, c]
            g1 += X[i, c] * W[j1, c]
            g2 += X[i, c] * W[j2, c]
            g3 += X[i, c] * W[j3, c]
        hit[hits], product[hits] = j, g
        hits += (b[j] + top * g > 0) | (alone & (b[j] > 0))
        hit[hits], product[hits] = j1, g1
        hits += ((b[j1] + top * g1 > 0) | (alone & (b[j1] > 0))) & (t + 1 <= last)
        hit[hits], product[hits] = j2, g2
        hits += ((b[j2] + top * g2 > 0) | (alone & (b[j2] > 0))) & (t + 2 <= last)
        hit[hits], product[hits] = j3, g3
        hits += ((b[j3] + top * g3 > 0) | (alone & (b[j3] > 0))) & (t + 3 <= last)
    return hits


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def scatter(Y, rows, weights, count, X, i):
    """Y[rows_t] += weights_t X_i."""
    for t in range(count):
        j, a = rows[t], weights[t]
        for c in range(Y.shape[1]):
            Y[j, c] += a * X[i, c]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
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


@numba.njit(cache=True)
def all_outputs(candidates, n):
    """Make every output a candidate."""
    for j in range(n):
        candidates[j] = j
    return n


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def alone_rows(sc, W, b, work, u, longest, unit, step):
    """Add samples with one active feature to work.dW and work.db; return error, candidates and outputs that fired."""
    # Taken out of the tuples once: each time costs two atomic operations.
    flags, words, candidates, hit, product = sc.flags, sc.words, sc.candidates, sc.hit, sc.product
    least, drift_q, q, R, length_R, valid = sc.least, sc.drift_q, sc.q, sc.R, sc.length_R, sc.valid
    active, start_of, values, dW, db = work.active, work.alone_start, work.alone_value, work.dW, work.db
    n = b.shape[0]
    renewal = row_cost(n, W.shape[1])
    loss, looked, fired = 0.0, 0, 0
    for r in range(u):
        start, stop = start_of[r], start_of[r + 1]
        if start == stop:
            continue
        i = active[r]
        top = np.float32(0)
        for t in range(start, stop):
            top = max(top, values[t])
        moved, size = distance(W, i, R, i), top * length_R[i]
        offset = (top * moved * longest + ROUNDING * (1 + size)) / unit + 2
        w, w_drift = np.int64(top * UNITS) + 1, np.int64(min(size * step / unit, np.float32(MOST))) + 1
        if offset + 127 * (w + w_drift) < MOST:
            compare(flags, least, ALONE, np.int16(offset), drift_q, np.int16(w_drift), q, i, np.int16(w))
            found = collect_set(words, candidates, n)
        else:
            found = all_outputs(candidates, n)
        hits = keep_fired(hit, product, W, b, candidates, found, W, i, top, True)
        for c in range(hits):
            j, g = hit[c], product[c]
            if j == i:
                x_d, d_sum, error = sums_own(values, start, stop, b[j], g)
            else:
                x_d, d_sum, error = sums_alone(values, start, stop, b[j], g)
            loss += error
            db[j] += d_sum
            product[c] = x_d
        scatter(dW, hit, product, hits, W, i)
        gather(dW, i, W, hit, product, hits)
        looked += found
        fired += hits
        if found - hits > renewal and moved > 0:
            valid[i] = 0
    return loss, looked, fired


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def choose_units(margin, size, count):
    """The smallest k for which sums in units of 2^k unit stay within 16 bits; SHIFTS if there is none.

    `margin` and `size` (sum of |weights|) are in units of 1; every row may add half a unit by rounding.
    """
    k, rest = 0, np.float32(MOST - 127 * (count + 2))
    while k < SHIFTS and margin + 127 * size > rest:
        k += 1
        rest *= 2
    return k


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def group_rows(sc, W, b, work, groups, longest, unit, step):
    """The same for samples with several active features."""
    flags, words, candidates, hit, product = sc.flags, sc.words, sc.candidates, sc.hit, sc.product
    least, drift_q, q, R, length_R, sums = sc.least, sc.drift_q, sc.q, sc.R, sc.length_R, sc.sums
    h, x_of, row, weight = sc.h, sc.x, sc.row, sc.weight
    group_start, rows, values, active = work.group_start, work.group_row, work.group_value, work.active
    dW, db = work.dW, work.db
    n, longest_C = b.shape[0], np.float32(sc.number[LONGEST_C])
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    loss, looked, fired = 0.0, 0, 0
    for g in range(groups):
        start, stop = group_start[g], group_start[g + 1]
        count = stop - start
        for c in range(h.shape[1]):
            h[0, c], h[1, c], h[2, c] = zero, zero, zero
        total = np.float32(0)
        for t in range(count):
            i, x = active[rows[start + t]], values[start + t]
            row[t], x_of[i] = i, x
            total += x
            add(h, 0, W, i, x)
            add(h, 1, R, i, x)
        size, moved = norm(h, 1), distance(h, 0, h, 1)
        margin = (moved * longest + ROUNDING * (1 + total + moved + size)) / unit
        drift = size * step / unit
        k = choose_units(margin + total * longest_C * longest_C * half / unit, total * UNITS + drift, count)
        if k < SHIFTS:
            part = one / np.float32(1 << k)
            units, rounding = UNITS * part, np.float32(0)
            for t in range(count):
                x = values[start + t]
                w = np.int64(x * units + half)
                weight[t] = w
                rounding += abs(x - w / units) * length_R[row[t]]
            offset = np.int16((margin + rounding * longest_C / unit) * part + 2)
            w_drift = np.int16(np.int64(drift * part) + 1)
            if count == 2:
                i, i1, w, w1 = row[0], row[1], weight[0], weight[1]
                compare_two(flags, least, k, offset, drift_q, w_drift, q, i, w, i1, w1)
            else:
                t = 1 + count % 2
                w1 = weight[1] if t == 2 else np.int16(0)
                begin_sum(sums, offset, drift_q, w_drift, q, row[0], weight[0], row[1], w1)
                while t + 3 < count - 1:
                    add_four(sums, q, row, weight, t)
                    t += 4
                if t + 1 < count - 1:
                    add_two(sums, q, row[t], weight[t], row[t + 1], weight[t + 1])
                    t += 2
                finish_sum(flags, least, k, sums, q, row[t], weight[t])
            found = collect_set(words, candidates, n)
        else:
            found = all_outputs(candidates, n)
        hits = keep_fired(hit, product, W, b, candidates, found, h, 0, one, False)
        for c in range(hits):
            j = hit[c]
            x = x_of[j]
            d = b[j] + product[c] - x
            product[c] = d
            loss += d * d - x * x
            db[j] += d
        scatter(dW, hit, product, hits, h, 0)
        gather(h, 2, W, hit, product, hits)
        for t in range(count):
            add(dW, row[t], h, 2, values[start + t])
            x_of[row[t]] = 0
        looked += found
        fired += hits
    return loss, looked, fired


@numba.njit(cache=True)
def screened_step(W, b, work, sc, u, empty, groups):
    """Summed squared error of the batch in `work` less sum x^2, and half its gradients in work.dW and work.db.

    Returns the error, the numbers of false candidates and of outputs that fired over all samples, and of renewed rows.
    """
    n = b.shape[0]
    work.dW[:] = np.float32(0)
    longest, unit, step = measure(sc, W, b)
    count = 0
    for r in range(u):
        sc.stale[count] = work.active[r]
        count += sc.valid[work.active[r]] == 0
    renew_rows(sc, W, count)
    loss = 0.0
    for j in range(n):
        y = max(b[j], np.float32(0))
        loss += empty * y * y
        work.db[j] = empty * y
    error, looked, fired = alone_rows(sc, W, b, work, u, longest, unit, step)
    error_groups, looked_groups, fired_groups = group_rows(sc, W, b, work, groups, longest, unit, step)
    false = looked + looked_groups - fired - fired_groups
    sc.number[COST] += count * row_cost(n, W.shape[1]) + false
    sc.number[AGE] += 1
    if false * sc.number[AGE] > sc.number[COST]:
        sc.number[AGE] = -1
    return loss + error + error_groups, false, fired + fired_groups, count
