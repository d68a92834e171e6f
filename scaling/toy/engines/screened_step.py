"""Loss and gradients of the toy model from the outputs that can fire, see `screening`; no product G = W_U W^T.

    y = ReLU(x W W^T + b),   d = y - x where y > 0, else 0

A sample with h = sum_i x_i W_i adds d h^T to the gradient by W, in the rows of the outputs that fire, and
x (sum_j d_j W_j) in the rows of its own features. Samples with one active feature i share one row of bounds: output j
can fire in one of them only if b_j > 0 or b_j + max(v) W_i . W_j > 0.
"""

import numba
import numpy as np

from scaling.toy.engines.choice import row_cost
from scaling.toy.engines.compiled import inlined, kernel
from scaling.toy.engines.gram_step import sums_alone, sums_own
from scaling.toy.engines.outputs import norm
from scaling.toy.engines.rows import add, collect_set, distance, gather, scatter
from scaling.toy.engines.screening import (
    AGE,
    ALONE,
    COST,
    LONGEST_C,
    MOST,
    SHIFTS,
    UNITS,
    choose_units,
    compare_many,
    compare_one,
    measure,
    renew_rows,
    rounding,
)


@kernel
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


@numba.njit(cache=True)
def all_outputs(candidates, n):
    """Make every output a candidate."""
    for j in range(n):
        candidates[j] = j
    return n


@kernel
def alone_rows(sc, W, b, work, u, longest, unit, step):
    """Add samples with one active feature to work.dW and work.db; return error, candidates and outputs that fired."""
    # Taken out of the tuples once: each access costs two atomic operations.
    flags, words, candidates, hit, product = sc.flags, sc.words, sc.candidates, sc.hit, sc.product
    least, drift_q, q, R, length_R, valid = sc.least, sc.drift_q, sc.q, sc.R, sc.length_R, sc.valid
    active, alone_start, values, dW, db = work.active, work.alone_start, work.alone_value, work.dW, work.db
    n, m = W.shape
    renewal = row_cost(n, m)
    inexact = rounding(m, 1, max(longest, np.float32(sc.number[LONGEST_C])))
    loss, looked, fired = 0.0, 0, 0
    for r in range(u):
        start, stop = alone_start[r], alone_start[r + 1]
        if start == stop:
            continue
        i = active[r]
        top = np.float32(0)
        for t in range(start, stop):
            top = max(top, values[t])
        moved = distance(W, i, R, i)
        offset = top * (moved * longest + inexact) / unit + 2
        w_drift = np.int64(min(top * length_R[i] * step / unit, np.float32(MOST))) + 1
        w = np.int64(top * UNITS) + 1
        if offset + 127 * (w + w_drift) < MOST:
            compare_one(flags, least, ALONE, np.int16(offset), drift_q, np.int16(w_drift), q, i, np.int16(w))
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


@kernel
def group_rows(sc, W, b, work, groups, longest, unit, step):
    """The same for samples with several active features."""
    flags, words, candidates, hit, product = sc.flags, sc.words, sc.candidates, sc.hit, sc.product
    least, drift_q, q, R, length_R, sums = sc.least, sc.drift_q, sc.q, sc.R, sc.length_R, sc.sums
    h, x_of, row, weight = sc.h, sc.x, sc.row, sc.weight
    group_start, rows, values, active = work.group_start, work.group_row, work.group_value, work.active
    dW, db = work.dW, work.db
    n, m = W.shape
    longest_C = np.float32(sc.number[LONGEST_C])
    either = max(longest, longest_C)
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    loss, looked, fired = 0.0, 0, 0
    for g in range(groups):
        start, count = group_start[g], group_start[g + 1] - group_start[g]
        for c in range(m):
            h[0, c], h[1, c], h[2, c] = zero, zero, zero
        total = zero
        for t in range(count):
            i, x = active[rows[start + t]], values[start + t]
            row[t], x_of[i] = i, x
            total += x
            add(h, 0, W, i, x)
            add(h, 1, R, i, x)
        margin = (distance(h, 0, h, 1) * longest + total * rounding(m, count, either)) / unit
        drift = norm(h, 1) * step / unit
        k = choose_units(margin, total * UNITS + drift, count)
        if k < SHIFTS:
            part = one / np.float32(1 << k)
            units, cut = UNITS * part, zero
            for t in range(count):
                x = values[start + t]
                w = np.int64(x * units + half)
                weight[t] = w
                cut += abs(x - w / units) * length_R[row[t]]
            offset = np.int16((margin + cut * longest_C / unit) * part + 2)
            w_drift = np.int16(np.int64(drift * part) + 1)
            compare_many(flags, least, k, offset, drift_q, w_drift, q, row, weight, count, sums)
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


@inlined
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
