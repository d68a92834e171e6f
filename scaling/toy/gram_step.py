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
- outputs come in blocks of columns, so that G stays in the cache whatever n.
"""

import numba
import numpy as np

from scaling.toy.workspace import COLUMNS, sort_batch


LANES = 8  # rows of W are padded by zero columns to a whole number of float32 vectors


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def add(Y, i, X, j, a):
    """Row i of Y += a (row j of X)."""
    for c in range(Y.shape[1]):
        Y[i, c] += a * X[j, c]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def exchange(dY, Y, i, dX, X, j, a):
    """Both halves of the gradient of a y_i . x_j: dY_i += a X_j and dX_j += a Y_i."""
    for c in range(Y.shape[1]):
        dY[i, c] += a * X[j, c]
    for c in range(Y.shape[1]):
        dX[j, c] += a * Y[i, c]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def reach_alone(flags, b, G, r, v):
    """Flag the outputs that can fire in samples whose one active feature is at most v: max(b, b + v G_r) > 0."""
    for j in range(G.shape[1]):
        flags[j] = max(b[j], b[j] + v * G[r, j]) > 0


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def pre_activation(z, b, G, rows, values, start, stop):
    """z = b + sum_i x_i G_i of one sample over the outputs of a block."""
    r, v = rows[start], values[start]
    for j in range(G.shape[1]):
        z[j] = b[j] + v * G[r, j]
    for t in range(start + 1, stop):
        r, v = rows[t], values[t]
        for j in range(G.shape[1]):
            z[j] += v * G[r, j]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def positive(flags, z, width):
    """Flag the outputs with z > 0."""
    for j in range(width):
        flags[j] = z[j] > 0


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def rectify(z, width):
    """z = max(z, 0); returns how many are positive."""
    zero, one = np.float32(0), np.float32(1)
    found = zero
    for j in range(width):
        found += one if z[j] > 0 else zero
        z[j] = max(z[j], zero)
    return found


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def absorb(db, d):
    """Add d to db; returns sum_j d_j^2."""
    error = np.float32(0)
    for j in range(db.shape[0]):
        db[j] += d[j]
        error += d[j] * d[j]
    return error


@numba.njit(cache=True, fastmath=True, error_model="numpy")
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


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def sums_alone(values, start, stop, b, g, own):
    """Sums over samples of feature i alone for one output j: x_i d_j, d_j and the change of the squared error.

    own is 1 if j = i, else 0; z = b + v g fires where positive, and then d = z - own v.
    """
    x_d, d_sum, error = np.float32(0), np.float32(0), np.float32(0)
    for t in range(start, stop):
        v = values[t]
        z = b + v * g
        d = z - own * v if z > 0 else np.float32(0)
        x_d += v * d
        d_sum += d
        error += d * d - own * v * v if z > 0 else np.float32(0)
    return x_d, d_sum, error


@numba.njit(cache=True)
def dense_sample(z, db, R, b, first, G, active, rows, values, start, stop):
    """One sample over all outputs of a block: adds d to db and x d^T to R.

    Returns the change of the squared error and how many outputs fired.
    """
    width = G.shape[1]
    pre_activation(z, b, G, rows, values, start, stop)
    found = rectify(z, width)
    error = np.float32(0)
    for t in range(start, stop):
        j = active[rows[t]] - first
        if 0 <= j < width and z[j] > 0:
            z[j] -= values[t]
            error -= values[t] * values[t]
    error += absorb(db, z)
    for t in range(start, stop):
        add_outer(R, rows[t], z, values[t])
    return error, found


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def loss_and_gradients(W, b, k, work, dense_backward):
    """Summed squared error of the k entries in `work` and, in work.dW and work.db, half its gradients.

    Returns the error and the share of the outputs looked at that fired. Both ways of the backward pass give the same
    gradients.
    """
    n = W.shape[0]
    zero, one = np.float32(0), np.float32(1)
    u, empty, groups = sort_batch(work, k, W)
    active, dW, db, h, dh, fired, flags = work.active, work.dW, work.db, work.h, work.dh, work.fired, work.flags
    z, words = work.z, work.words
    alone_start, alone_value = work.alone_start, work.alone_value
    group_start, group_row, group_value = work.group_start, work.group_row, work.group_value
    W_U, dW_U = work.W_U[:u], work.dW_U[:u]
    dW[:] = zero
    dW_U[:] = zero
    loss = 0.0
    for t in range(k):
        loss += work.value[t] * work.value[t]
    for r in range(u):
        work.reach[r] = zero
        for t in range(alone_start[r], alone_start[r + 1]):
            work.reach[r] = max(work.reach[r], alone_value[t])
    if not dense_backward:
        h[:groups] = zero
        dh[:groups] = zero
        for g in range(groups):
            for t in range(group_start[g], group_start[g + 1]):
                add(h, g, W_U, group_row[t], group_value[t])

    looks, hits = 0, 0
    for first in range(0, n, COLUMNS):
        width = min(COLUMNS, n - first)
        W_J, b_J, db_J = W[first : first + width], b[first : first + width], db[first : first + width]
        G = work.G[: u * width].reshape(u, width)
        np.dot(W_U, W_J.T, G)
        for j in range(width):
            y = max(b_J[j], zero)
            loss += empty * y * y
            db_J[j] = empty * y

        if dense_backward:
            R = work.R[: u * width].reshape(u, width)
            R[:] = zero
            for t in range(alone_start[u]):
                error, found = dense_sample(z, db_J, R, b_J, first, G, active, work.alone_row, alone_value, t, t + 1)
                loss += error
                hits += found
            for g in range(groups):
                start, stop = group_start[g], group_start[g + 1]
                error, found = dense_sample(z, db_J, R, b_J, first, G, active, group_row, group_value, start, stop)
                loss += error
                hits += found
            looks += (alone_start[u] + groups) * width
            dW[first : first + width] += np.dot(R.T, W_U)
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
            for q in range(found):
                j = first + fired[q]
                own = one if j == active[r] else zero
                x_d, d_sum, error = sums_alone(alone_value, start, stop, b[j], G[r, fired[q]], own)
                loss += error
                db[j] += d_sum
                exchange(dW, W, j, dW_U, W_U, r, x_d)

        for g in range(groups):
            start, stop = group_start[g], group_start[g + 1]
            pre_activation(z, b_J, G, group_row, group_value, start, stop)
            positive(flags, z, width)
            found = collect(flags, words, width, fired)
            looks += width
            hits += found
            for q in range(found):
                j = first + fired[q]
                d = z[fired[q]]
                for t in range(start, stop):
                    if active[group_row[t]] == j:
                        loss -= group_value[t] * group_value[t]
                        d -= group_value[t]
                loss += d * d
                db[j] += d
                exchange(dW, W, j, dh, h, g, d)

    if not dense_backward:
        for g in range(groups):
            for t in range(group_start[g], group_start[g + 1]):
                add(dW_U, group_row[t], dh, g, group_value[t])
    for r in range(u):
        add(dW, active[r], dW_U, r, one)
    return loss, hits / max(looks, 1)
