"""Which step the next batch takes, the Gram step or the screened step: whichever is cheaper, judged by counts alone.

A count follows from the model and its samples, so the choice, and with it every bit of the result, does not depend on
the speed of the machine. The costs below turn counts into nanoseconds of one core; only their ratios matter.

A Gram step shows what a screened step would cost apart from false candidates and renewed rows, which depend on how fast
W moves. So the screened step is tried whenever it could be cheaper, and its mean cost over the life of a reference C is
compared with the last Gram step. If it loses, the next trial comes WAIT steps later. One step in RECHECK is a Gram step
in any case: only that step shows what a Gram step costs.
"""

import numba
import numpy as np
from numpy.typing import NDArray


DENSE_SHARE = 0.07  # above this share of fired outputs two matrix products are cheaper than a pass over them
WAIT, RECHECK = 200, 1000  # steps
SCREENED, SHARE, WAITING, STEPS, GRAM_COST, COST, LIFE = range(7)  # places in the state of a choice
PRODUCT = 0.0133  # ns per multiplication and addition in a matrix product


def first_choice(screening: bool = True) -> NDArray[np.float64]:
    """State before the first step, a Gram step with a dense backward pass; without `screening` all are Gram steps."""
    state = np.zeros(7)
    state[WAITING] = 0 if screening else np.inf
    state[SHARE] = 1.0
    return state


@numba.njit(cache=True)
def gram_cost(m, u, samples, entries, live, hits, dense):
    """Cost of a Gram step with |U| = u.

    `samples` are those looked at (all samples of one feature alone count once), `entries` their active features,
    `live` the outputs whose sign depends on the sample, `hits` the pairs of a sample and an output that fires.
    """
    looks = entries + 2 * samples
    if dense:
        return live * (3 * PRODUCT * m * u + 0.2 * looks)
    return live * (PRODUCT * m * u + 0.07 * looks) + hits * (8 + 0.25 * m)


@numba.njit(cache=True)
def row_cost(n, m):
    """Cost of renewing one row of bounds, in false candidates."""
    return n * (PRODUCT * m + 0.15) / (4 + 0.08 * m)


@numba.njit(cache=True)
def screened_cost(n, m, samples, entries, false, hits, renewed):
    """Cost of a screened step with `false` candidates that do not fire and `renewed` rows; the rest as in gram_cost."""
    looks = 0.04 * n * (entries + 2 * samples) + 150 * samples
    return looks + (false + renewed * row_cost(n, m)) * (4 + 0.08 * m) + hits * (8 + 0.17 * m)


@numba.njit(cache=True)
def after_gram_step(state, gram, screened):
    """Take note of the cost of a Gram step; `screened` is the least that a screened step would have cost.

    Returns whether the references of a screened step are outdated.
    """
    outdated = state[STEPS] == 0
    state[GRAM_COST] = gram
    state[WAITING] -= 1
    state[STEPS], state[COST], state[LIFE] = 0, 0, 0
    state[SCREENED] = state[WAITING] <= 0 and screened < 0.9 * gram
    return outdated


@numba.njit(cache=True)
def after_screened_step(state, cost, dead):
    """Take note of the cost of a screened step; `dead`: its reference C is not used any more."""
    state[STEPS] += 1
    state[LIFE] += 1
    state[COST] += cost
    if dead:
        if state[COST] > state[GRAM_COST] * state[LIFE]:
            state[SCREENED], state[WAITING] = 0, WAIT
        state[COST], state[LIFE] = 0, 0
    if state[STEPS] >= RECHECK:
        state[SCREENED] = 0
