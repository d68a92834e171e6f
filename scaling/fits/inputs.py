"""The checks that every fit applies to its points, and the statuses that it reports."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.command import InputError


FloatArray = NDArray[np.float64]

CONVERGED = "converged"
TOO_FEW = "too few points"
NOT_IDENTIFIED = "not identified"
BOUND_HIT = "bound hit"
NOT_CONVERGED = "not converged"
NOT_RUN = "not run"


def positive(**columns: ArrayLike) -> list[FloatArray]:
    """The columns as float64 arrays of one length, all entries finite and above zero, in the order given.

    Too few points are not an error here; the fit reports them in its status. Raises InputError naming the column, the
    position and the value when a number is missing, infinite, zero or negative, or when lengths differ.
    """
    arrays = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        raise InputError(f"a fit needs columns of one length, got {lengths}")
    for name, array in arrays.items():
        wrong = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
        if wrong.size:
            raise InputError(
                f"{name} must contain finite numbers above zero, but entry {wrong[0]} is {array[wrong[0]]:g} "
                f"({wrong.size} such entries); leave such points out of the fit"
            )
    return list(arrays.values())
