"""Outputs whose sign a bound settles: the silent ones cost nothing, those positive in every sample have a closed form.

A sample's pre-activation is z_sj = b_j + h_s . W_j with h_s = sum_i x_si W_i, so |z_sj - b_j| <= max_s ||h_s|| ||W_j||.
Weight decay empties the rows of unrepresented features, and soon this bound settles most outputs of a model in the
weak regime: 0.9 of them and more.
"""

import numpy as np

from scaling.toy.engines.compiled import inlined, kernel


MARGIN = 1 + 1e-4  # of the bound, for rounding
SILENT, ON = -1, -2  # in place of an output's place among the live ones


@kernel
def norm(W, i):
    """Length of row i of W."""
    square = np.float32(0)
    for c in range(W.shape[1]):
        square += W[i, c] * W[i, c]
    return np.sqrt(square)


@inlined
def sort_outputs(work, W, b, u, groups):
    """Sort the outputs into live ones, whose sign depends on the sample, those that are on in all, and silent ones.

    Fills work.live, work.on, work.place_live (where a feature stands in live, else SILENT or ON), work.place_live_U
    (the same for the rows of U) and the rows of W and b of the live ones; returns how many are live and how many on.
    """
    longest = np.float32(0)
    for r in range(u):
        if work.reach[r] > 0:
            longest = max(longest, work.reach[r] * norm(work.W_U, r))
    for g in range(groups):
        longest = max(longest, norm(work.h, g))
    live, on = 0, 0
    for j in range(W.shape[0]):
        work.place_live[j] = SILENT
        most = MARGIN * longest * norm(W, j)
        if b[j] > 0 and b[j] >= most:
            work.on[on] = j
            work.place_live[j] = ON
            on += 1
        elif b[j] + most > 0:
            work.live[live] = j
            work.place_live[j] = live
            work.W_L[live] = W[j]
            work.b_L[live] = b[j]
            live += 1
    for r in range(u):
        work.place_live_U[r] = work.place_live[work.active[r]]
    return live, on


@kernel
def outputs_on(W, b, work, u, groups, on):
    """What the outputs that are on in every sample add to the loss (but for sum x^2), to work.dW, db and dW_U.

    There d_sj = b_j + h_s . W_j - x_sj, and the sums over samples need but X_i = sum_s x_si, q_i = sum_s x_si h_s,
    S = sum_s h_s and C = sum_s h_s h_s^T; with c = sum_j b_j W_j and M = sum_j W_j W_j^T over these outputs

        sum_s d_sj = B b_j + S . W_j - X_j,   sum_s d_sj h_s = b_j S + C W_j - q_j,
        sum_s x_si sum_j d_sj W_j = X_i c + M q_i - sum_s x_si sum_j x_sj W_j.
    """
    batch_size, m = work.active_count.shape[0], W.shape[1]
    W_U, dW_U, X, q, C, M = work.W_U[:u], work.dW_U[:u], work.X[:u], work.q[:u], work.C, work.M
    W_on, dW_on = work.W_on[:on], work.dW_on[:on]
    for o in range(on):
        W_on[o] = W[work.on[o]]
    np.dot(W_on.T, W_on, M)

    X[:] = 0
    q[:] = 0
    for r in range(u):
        v, square = 0.0, np.float32(0)
        for t in range(work.alone_start[r], work.alone_start[r + 1]):
            v += work.alone_value[t]
            square += work.alone_value[t] ** 2
        is_on = work.place_live_U[r] == ON
        X[r] = v
        for c in range(m):
            q[r, c] = square * W_U[r, c]
            dW_U[r, c] -= square * W_U[r, c] if is_on else np.float32(0)
    S, c_on, own = work.S, work.c_on, work.own
    for g in range(groups):
        start, stop = work.group_start[g], work.group_start[g + 1]
        own[:] = 0
        for t in range(start, stop):
            r, v = work.group_row[t], work.group_value[t]
            X[r] += v
            for c in range(m):
                q[r, c] += v * work.h[g, c]
            if work.place_live_U[r] == ON:
                for c in range(m):
                    own[c] += v * W_U[r, c]
        for t in range(start, stop):
            r, v = work.group_row[t], work.group_value[t]
            for c in range(m):
                dW_U[r, c] -= v * own[c]
    S[:] = 0
    c_on[:] = 0
    for r in range(u):
        for c in range(m):
            S[c] += X[r] * W_U[r, c]
    for o in range(on):
        for c in range(m):
            c_on[c] += b[work.on[o]] * W_on[o, c]
    np.dot(q.T, W_U, C)
    np.dot(W_on, C, dW_on)

    loss, sums = 0.0, work.sums[:on]  # sum_s d_sj, whose terms may almost cancel
    for o in range(on):
        j = work.on[o]
        S_W, C_W = 0.0, np.float32(0)
        for c in range(m):
            S_W += S[c] * W_on[o, c]
            C_W += dW_on[o, c] * W_on[o, c]
            work.dW[j, c] += dW_on[o, c] + np.float32(b[j] * S[c])
        loss += b[j] * (batch_size * b[j] + 2 * S_W) + C_W
        sums[o] = batch_size * np.float64(b[j]) + S_W
    q_M = work.q_M[:u]
    np.dot(q, M, q_M)
    for r in range(u):
        j = work.active[r]
        for c in range(m):
            dW_U[r, c] += np.float32(X[r] * c_on[c]) + q_M[r, c]
        if work.place_live_U[r] == ON:
            q_W = np.float32(0)
            for c in range(m):
                q_W += q[r, c] * W_U[r, c]
                work.dW[j, c] -= q[r, c]
            loss -= 2 * (b[j] * X[r] + q_W)
            sums[np.searchsorted(work.on[:on], j)] -= X[r]
    for o in range(on):
        work.db[work.on[o]] = sums[o]
    return loss
