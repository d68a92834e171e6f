"""Loss and gradients of the toy model in Gram form: exact, from the sparsity of x and of the outputs.

    y = ReLU(x W W^T + b),   mean loss = 1/(B n) sum_s ||y_s - x_s||^2

With U the features that are active in the batch, G = W_U W^T holds every product that the batch needs: a sample's
pre-activation is z_s = b + sum_i x_si G_i. Let d = y - x where y > 0, else 0, and R_ij = sum_s x_si d_sj. Then

    dL/dW = 2/(B n) (R^T W + R W),   dL/db_j = 2/(B n) sum_s d_sj

What makes it fast, in the order of the gain:
- x is never dense: G costs |U| n m operations where the dense passes cost 6 B n m;
- samples without an active feature share one z = b;
- samples with feature i alone share the row G_i: output j can fire in one of them only if b_j > 0 or
  b_j + max(v) G_ij > 0, so one look at the row serves all of them;
- soon few outputs are positive (0.3-7 %), and the backward pass goes over these alone;
- outputs whose sign a bound settles are left out of all this, see `outputs`;
- outputs come in blocks of columns, so that G stays in the cache whatever n.

At the start up to 40 % of the outputs are positive. Then the backward pass is dense: R by whole rows, four samples of a
feature alone at a time, and two products.
"""

import numba
import numpy as np

from scaling.toy.engines.compiled import inlined, kernel
from scaling.toy.engines.outputs import outputs_on, sort_outputs
from scaling.toy.engines.rows import (
    add,
    add_outer,
    collect,
    exchange,
    positive,
    pre_activation,
    reach_alone,
    rectify,
    rectify_four,
    rectify_pair,
    rectify_two,
)
from scaling.toy.engines.workspace import COLUMNS


SILENT_PRODUCT = np.float32(-1e30)  # in place of a product: its output does not fire
LANES = 8  # rows of W are padded by zero columns to a whole number of float32 vectors


@kernel
def sums_alone(values, start, stop, b, g):
    """Sums over samples of another feature alone for output j: x_i d_j, d_j and d_j^2; d = b + v g where positive."""
    x_d, d_sum, error = np.float32(0), np.float32(0), np.float32(0)
    for t in range(start, stop):
        v = values[t]
        d = max(b + v * g, np.float32(0))
        x_d += v * d
        d_sum += d
        error += d * d
    return x_d, d_sum, error


@numba.njit(cache=True)
def sums_own(values, start, stop, b, g):
    """The same for the feature's own output, where d = z - v, and d^2 - v^2 in place of d^2.

    z and v may almost cancel, so this is float64; each v^2, rounded to float32, is taken off as it was put on.
    """
    x_d, d_sum, error = 0.0, 0.0, 0.0
    for t in range(start, stop):
        v = values[t]
        z = np.float64(b) + np.float64(v) * np.float64(g)
        if z > 0:
            d = z - v
            x_d += v * d
            d_sum += d
            error += d * d - np.float64(v * v)
    return np.float32(x_d), np.float32(d_sum), error


@kernel
def dense_alone(db, R, b, own, G, r, values, start, stop):
    """The samples of the feature of row r alone, over all outputs of a block; its own output is `own`, if in the block.

    They are taken by two, then by fours, filled up by samples of value 0, which are as empty ones. Adds sum_s d_s to db
    and writes sum_s x_s d_s to row r of R; returns the change of the squared error and how many outputs fired.
    """
    zero = np.float32(0)
    loss, hits = 0.0, zero
    if start == stop:
        R[r] = zero
        return loss, hits
    here = 0 <= own < G.shape[1]
    g, x_d, d_sum = zero, zero, zero
    if here:  # d = z - x is summed as such, since z and x may almost cancel
        g = G[r, own]
        x_d, d_sum, loss = sums_own(values, start, stop, b[own], g)
        G[r, own] = SILENT_PRODUCT
    error, found = rectify_two(R, db, b, G, r, values[start], values[start + 1] if start + 1 < stop else zero)
    loss += error
    hits += found
    for t in range(start + 2, stop, 4):
        v0 = values[t]
        v1 = values[t + 1] if t + 1 < stop else zero
        v2 = values[t + 2] if t + 2 < stop else zero
        v3 = values[t + 3] if t + 3 < stop else zero
        error, found = rectify_four(R, db, b, G, r, v0, v1, v2, v3)
        loss += error
        hits += found
    if here:
        G[r, own] = g
        R[r, own] += x_d
        db[own] += d_sum
    return loss, hits


@inlined
def dense_group(z, db, R, b, first, G, place, rows, values, start, stop):
    """One sample of several features over all outputs of a block: adds d to db and x d^T to R.

    Every output that fires is first taken as if its x were 0; those of the sample's own features are then corrected.
    Returns the change of the squared error and how many outputs fired.
    """
    if stop - start == 2:
        r, r1, v, v1 = rows[start], rows[start + 1], values[start], values[start + 1]
        squares, found = rectify_pair(R, db, b, G, r, r1, v, v1)
    else:
        pre_activation(z, b, G, rows, values, start, stop)
        squares, found = rectify(z, db)
        for t in range(start, stop):
            add_outer(R, rows[t], z, values[t])
    error = np.float64(squares)
    for t in range(start, stop):
        j = place[rows[t]] - first
        if 0 <= j < G.shape[1]:
            y = b[j]
            for s in range(start, stop):
                y += values[s] * G[rows[s], j]
            if y > 0:
                x = values[t]
                d = y - x
                error += np.float64(d * d) - np.float64(x * x) - np.float64(y * y)
                db[j] -= x
                for s in range(start, stop):
                    R[rows[s], j] -= values[s] * x
    return error, found


@kernel
def gram_step(W, b, work, u, empty, groups, dense_backward):
    """Summed squared error of the batch in `work` less sum x^2, and half its gradients in work.dW and work.db.

    Returns the error, the numbers of live outputs and of those on in all samples, and how many (sample, output) pairs
    were looked at and fired. Both ways of the backward pass give the same gradients.
    """
    zero, one = np.float32(0), np.float32(1)
    active, place, h, dh, fired, flags = work.active, work.place_live_U, work.h, work.dh, work.fired, work.flags
    z, words = work.z, work.words
    alone_start, alone_value = work.alone_start, work.alone_value
    group_start, group_row, group_value = work.group_start, work.group_row, work.group_value
    W_U, dW_U, W_L, dW_L, db_L = work.W_U[:u], work.dW_U[:u], work.W_L, work.dW_L, work.db_L
    work.dW[:] = zero
    work.db[:] = zero
    dW_U[:] = zero
    h[:groups] = zero
    loss = 0.0
    filled, calls = 0, 0  # of the dense passes over samples of one feature: samples filled up, and passes
    for r in range(u):
        W_U[r] = W[active[r]]
        alone = alone_start[r + 1] - alone_start[r]
        if alone > 0:
            fours = (alone + 1) // 4
            filled += 2 + 4 * fours - alone
            calls += 1 + fours
        work.reach[r] = zero
        for t in range(alone_start[r], alone_start[r + 1]):
            work.reach[r] = max(work.reach[r], alone_value[t])
    for g in range(groups):
        for t in range(group_start[g], group_start[g + 1]):
            add(h, g, W_U, group_row[t], group_value[t])
    live, on = sort_outputs(work, W, b, u, groups)
    dW_L[:live] = zero
    dh[:groups] = zero
    if on > 0:
        loss += outputs_on(W, b, work, u, groups, on)

    looks, hits = 0, 0
    for first in range(0, live, COLUMNS):
        width = min(COLUMNS, live - first)
        W_J, b_J, db_J = W_L[first : first + width], work.b_L[first : first + width], db_L[first : first + width]
        G = work.G[: u * width].reshape(u, width)
        np.dot(W_U, W_J.T, G)
        rest = empty - (filled if dense_backward else 0)
        for j in range(width):
            y = max(b_J[j], zero)
            loss += rest * y * y
            db_J[j] = rest * y

        if dense_backward:
            R = work.R[: u * width].reshape(u, width)
            for r in range(u):
                start, stop = alone_start[r], alone_start[r + 1]
                error, found = dense_alone(db_J, R, b_J, place[r] - first, G, r, alone_value, start, stop)
                loss += error
                hits += found
            for g in range(groups):
                start, stop = group_start[g], group_start[g + 1]
                error, found = dense_group(z, db_J, R, b_J, first, G, place, group_row, group_value, start, stop)
                loss += error
                hits += found
            looks += (calls + groups) * width
            np.dot(R.T, W_U, dW_L[first : first + width])
            dW_U += np.dot(R, W_J)
            continue

        for r in range(u):
            start, stop = alone_start[r], alone_start[r + 1]
            if start == stop:
                continue
            reach_alone(flags, b_J, G, r, work.reach[r])
            found = collect(flags, words, width, fired)
            looks += width
            hits += found
            own_place = place[r] - first
            for q in range(found):
                j = fired[q]
                if j == own_place:
                    x_d, d_sum, error = sums_own(alone_value, start, stop, b_J[j], G[r, j])
                else:
                    x_d, d_sum, error = sums_alone(alone_value, start, stop, b_J[j], G[r, j])
                loss += error
                db_J[j] += d_sum
                exchange(dW_L, W_L, first + j, dW_U, W_U, r, x_d)

        for g in range(groups):
            start, stop = group_start[g], group_start[g + 1]
            pre_activation(z, b_J, G, group_row, group_value, start, stop)
            positive(flags, z, width)
            for t in range(start, stop):
                j = place[group_row[t]] - first
                if 0 <= j < width and z[j] > 0:
                    z[j] -= group_value[t]
                    loss -= group_value[t] * group_value[t]
            found = collect(flags, words, width, fired)
            looks += width
            hits += found
            for q in range(found):
                j = fired[q]
                loss += z[j] * z[j]
                db_J[j] += z[j]
                exchange(dW_L, W_L, first + j, dh, h, g, z[j])

    if not dense_backward:
        for g in range(groups):
            for t in range(group_start[g], group_start[g + 1]):
                add(dW_U, group_row[t], dh, g, group_value[t])
    for r in range(u):
        add(work.dW, active[r], dW_U, r, one)
    for j in range(live):
        add(work.dW, work.live[j], dW_L, j, one)
        work.db[work.live[j]] = db_L[j]
    return loss, live, on, looks, hits
