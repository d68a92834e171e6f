"""A measured number with its standard error and degrees of freedom, and the estimators that the claims share."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from scaling.fits.curve import Line


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """value ± stderr with `df` degrees of freedom, from `n` independent units.

    stderr is NaN where the error is unknown, and 0 where the number is exact. df is infinite for an error that is known
    rather than estimated from the units.
    """

    value: float
    stderr: float = math.nan
    df: float = math.inf
    n: int = 1
    unit: str = "widths"


def exponent(line: Line) -> Estimate:
    """The exponent of a fitted line; n widths leave n - 2 degrees of freedom."""
    return Estimate(value=line.exponent, stderr=line.exponent_stderr, df=max(line.n_points - 2, 0), n=line.n_points)


def mean_over(groups: ArrayLike, values: ArrayLike, unit: str = "widths") -> Estimate:
    """Mean of the group means and its standard error, sd / sqrt(groups), with groups - 1 degrees of freedom.

    Values of one group (the seeds of a width) are not independent evidence, so each group counts once.
    One group gives no error; no value gives NaN.
    """
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    numbers = np.asarray(values, dtype=np.float64)
    if not labels.size:
        return Estimate(value=math.nan, n=0, unit=unit)
    means = np.bincount(index, numbers) / np.bincount(index)
    error = float(stats.sem(means)) if means.size > 1 else math.nan
    return Estimate(value=float(means.mean()), stderr=error, df=max(means.size - 1, 0), n=means.size, unit=unit)
