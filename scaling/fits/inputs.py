"""Checks that every fit applies to its points, and the statuses that a fit can have."""

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
    """Return the columns as float64 arrays of one length, all entries finite and above zero, in the order given.

    Too few points are not an error here; the fit reports them in its status. Raises InputError with the column, the
    position and the value of a number that is missing, infinite, zero or negative, and for different lengths.
    """
    arrays = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        raise InputError(f"a fit needs columns of equal length, got {lengths}")
    for name, array in arrays.items():
        wrong = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
        if wrong.size:
            raise InputError(
                f"{name} must contain finite numbers above zero, but entry {wrong[0]} is {array[wrong[0]]:g} "
                f"({wrong.size} such entries); exclude these points from the fit"
            )
    return list(arrays.values())
