"""What a step of the CPU engine works on: its arrays, allocated once, and a batch sorted by feature and by sample."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray


COLUMNS = 256  # outputs per block: |U| x 256 float32 fit into a core's own cache
LARGE = 31  # active features from which on samples are not told apart by their number


class Workspace(NamedTuple):
    """Arrays of one step, allocated once: a batch, its sorting by feature and by sample, products and gradients."""

    sample: NDArray[np.int32]  # (room,) active entries of the batch, in the order of features
    feature: NDArray[np.int32]
    value: NDArray[np.float32]
    active_count: NDArray[np.int32]  # (batch_size,) active features of each sample
    active: NDArray[np.int32]  # (n,) U, the features active in the batch
    alone_start: NDArray[np.int32]  # (n + 1,) where the samples with that feature alone begin in alone_value
    alone_value: NDArray[np.float32]  # (room,)
    reach: NDArray[np.float32]  # (n,) the largest of these values
    group_start: NDArray[np.int32]  # (batch_size + 1,) samples with several active features: where each begins
    group_row: NDArray[np.int32]  # (room,) row in U of the active feature
    group_value: NDArray[np.float32]  # (room,)
    place: NDArray[np.int32]  # (batch_size,) where the next active feature of such a sample goes
    size: NDArray[np.int32]  # (2, LARGE + 1) samples with so many active features, and their entries
    G: NDArray[np.float32]  # (n, COLUMNS)
    R: NDArray[np.float32]  # (n, COLUMNS)
    W_U: NDArray[np.float32]  # (n, m)
    dW_U: NDArray[np.float32]  # (n, m)
    h: NDArray[np.float32]  # (batch_size, m) sum_i x_si W_i of samples with several active features
    dh: NDArray[np.float32]  # (batch_size, m)
    z: NDArray[np.float32]  # (COLUMNS,)
    flags: NDArray[np.uint8]  # (COLUMNS,) which outputs can be positive
    words: NDArray[np.uint64]  # (COLUMNS / 8,) the same memory
    fired: NDArray[np.int32]  # (2 COLUMNS,) their indices
    live: NDArray[np.int32]  # (n,) outputs whose sign depends on the sample
    place_live: NDArray[np.int32]  # (n,) where a feature stands in live, else negative
    place_live_U: NDArray[np.int32]  # (n,) the same for the rows of U
    W_L: NDArray[np.float32]  # (n, m) their rows
    b_L: NDArray[np.float32]  # (n,)
    dW_L: NDArray[np.float32]  # (n, m)
    db_L: NDArray[np.float32]  # (n,)
    on: NDArray[np.int32]  # (n,) outputs that are positive in every sample; what follows: see outputs_on
    W_on: NDArray[np.float32]  # (n, m)
    dW_on: NDArray[np.float32]  # (n, m)
    X: NDArray[np.float64]  # (n,)
    q: NDArray[np.float32]  # (n, m)
    q_M: NDArray[np.float32]  # (n, m)
    C: NDArray[np.float32]  # (m, m)
    M: NDArray[np.float32]  # (m, m)
    S: NDArray[np.float64]  # (m,)
    sums: NDArray[np.float64]  # (n,)
    c_on: NDArray[np.float32]  # (m,)
    own: NDArray[np.float32]  # (m,)
    dW: NDArray[np.float32]  # (n, m) gradient of the summed loss, halved
    db: NDArray[np.float32]  # (n,)


def workspace(n: int, m: int, batch_size: int, length: int) -> Workspace:
    """Arrays for batches of at most `length` active entries."""
    integer, real = np.int32, np.float32
    flags = np.zeros(COLUMNS, np.uint8)
    return Workspace(
        sample=np.zeros(length, integer),
        feature=np.zeros(length, integer),
        value=np.zeros(length, real),
        active_count=np.zeros(batch_size, integer),
        active=np.zeros(n, integer),
        alone_start=np.zeros(n + 1, integer),
        alone_value=np.zeros(length, real),
        reach=np.zeros(n, real),
        group_start=np.zeros(batch_size + 1, integer),
        group_row=np.zeros(length, integer),
        group_value=np.zeros(length, real),
        place=np.zeros(batch_size, integer),
        size=np.zeros((2, LARGE + 1), integer),
        G=np.zeros(n * COLUMNS, real),
        R=np.zeros(n * COLUMNS, real),
        W_U=np.zeros((n, m), real),
        dW_U=np.zeros((n, m), real),
        h=np.zeros((batch_size, m), real),
        dh=np.zeros((batch_size, m), real),
        z=np.zeros(COLUMNS, real),
        flags=flags,
        words=flags.view(np.uint64),
        fired=np.zeros(2 * COLUMNS, integer),
        live=np.zeros(n, integer),
        place_live=np.zeros(n, integer),
        place_live_U=np.zeros(n, integer),
        W_L=np.zeros((n, m), real),
        b_L=np.zeros(n, real),
        dW_L=np.zeros((n, m), real),
        db_L=np.zeros(n, real),
        on=np.zeros(n, integer),
        W_on=np.zeros((n, m), real),
        dW_on=np.zeros((n, m), real),
        X=np.zeros(n),
        q=np.zeros((n, m), real),
        q_M=np.zeros((n, m), real),
        C=np.zeros((m, m), real),
        M=np.zeros((m, m), real),
        S=np.zeros(m),
        sums=np.zeros(n),
        c_on=np.zeros(m, real),
        own=np.zeros(m, real),
        dW=np.zeros((n, m), real),
        db=np.zeros(n, real),
    )


@numba.njit(cache=True)
def sort_batch(work, k):
    """Sort the k entries: U, the values of samples with one feature by feature, the other samples by sample.

    Samples with several features come in the order of how many they have, so that a processor foresees the lengths of
    the loops over them. Returns |U|, the number of samples without and of samples with several active features.
    """
    count, place, size = work.active_count, work.place, work.size
    count[:] = 0
    for t in range(k):
        count[work.sample[t]] += 1
    size[:] = 0  # first the number of samples with c features, then where the next of them goes
    for s in range(count.shape[0]):
        size[0, min(count[s], LARGE)] += 1
        size[1, min(count[s], LARGE)] += count[s]
    empty, groups, entries = size[0, 0], 0, 0
    for c in range(2, LARGE + 1):
        groups, size[0, c] = groups + size[0, c], groups
        entries, size[1, c] = entries + size[1, c], entries
    for s in range(count.shape[0]):
        c = min(count[s], LARGE)
        if c > 1:
            place[s] = size[1, c]
            work.group_start[size[0, c]] = place[s]
            size[0, c] += 1
            size[1, c] += count[s]
    work.group_start[groups] = entries
    u, alone = 0, 0
    for t in range(k):
        i, s = work.feature[t], work.sample[t]
        if u == 0 or work.active[u - 1] != i:
            work.active[u] = i
            work.alone_start[u] = alone
            u += 1
        if count[s] == 1:
            work.alone_value[alone] = work.value[t]
            alone += 1
        else:
            work.group_row[place[s]] = u - 1
            work.group_value[place[s]] = work.value[t]
            place[s] += 1
    work.alone_start[u] = alone
    return u, empty, groups
