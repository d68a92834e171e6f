"""A measured number with its standard error and degrees of freedom, and the estimators used by the claims."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from scaling.fits.curve import Line


MEDIAN_EFFICIENCY = math.sqrt(math.pi / 2)  # standard error of the median over that of the mean, for normal values
SMALLEST_SPREAD = 1e-12  # of log m; a smaller spread means that no group has two widths


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """value ± stderr with `df` degrees of freedom, from `n` independent units.

    stderr is NaN if the error is unknown and 0 if the number is exact. df is infinite if the error is known rather than
    estimated from the units.
    """

    value: float
    stderr: float = math.nan
    df: float = math.inf
    n: int = 1
    unit: str = "widths"


def exponent(line: Line) -> Estimate:
    """Return the exponent of a fitted line; n widths give n - 2 degrees of freedom."""
    return Estimate(value=line.exponent, stderr=line.exponent_stderr, df=max(line.n_points - 2, 0), n=line.n_points)


def mean_over(groups: ArrayLike, values: ArrayLike, unit: str) -> Estimate:
    """Return the mean of the group means; standard error sd / sqrt(groups), with groups - 1 degrees of freedom.

    Use it for groups that are draws of one quantity, such as seeds or models; never for widths, whose means differ
    systematically. One group gives no error; no value gives NaN.
    """
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    if not labels.size:
        return Estimate(value=math.nan, n=0, unit=unit)
    means = np.bincount(index, np.asarray(values, dtype=np.float64)) / np.bincount(index)
    error = float(stats.sem(means)) if means.size > 1 else math.nan
    return Estimate(value=float(means.mean()), stderr=error, df=max(means.size - 1, 0), n=means.size, unit=unit)


def median(values: ArrayLike, unit: str) -> Estimate:
    """Return the median of independent values; its standard error is sqrt(pi/2) that of the mean (normal values)."""
    numbers = np.asarray(values, dtype=np.float64)
    if not numbers.size:
        return Estimate(value=math.nan, n=0, unit=unit)
    error = MEDIAN_EFFICIENCY * float(stats.sem(numbers)) if numbers.size > 1 else math.nan
    return Estimate(
        value=float(np.median(numbers)), stderr=error, df=max(numbers.size - 1, 0), n=numbers.size, unit=unit
    )


@dataclass(frozen=True)
class Scatter:
    """Standard deviation between repetitions within a cell, pooled over cells, and its degrees of freedom."""

    sd: float
    df: int


def scatter(cells: Sequence[ArrayLike], values: ArrayLike, fewest: int = 2, fewest_cells: int = 1) -> Scatter:
    """Return the pooled scatter of the cells (one array per key) with at least `fewest` repetitions.

    NaN with 0 degrees of freedom if there are fewer than `fewest_cells` such cells.
    """
    keys = np.column_stack([np.asarray(key, dtype=np.float64) for key in cells])
    numbers = np.asarray(values, dtype=np.float64)
    _, index, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    repeated = count >= fewest
    if int(repeated.sum()) < fewest_cells:
        return Scatter(math.nan, 0)
    mean = np.bincount(index, numbers) / count
    squares = np.bincount(index, (numbers - mean[index]) ** 2)
    df = int((count - 1)[repeated].sum())
    return Scatter(math.sqrt(float(squares[repeated].sum()) / df), df)


def farthest(
    widths: ArrayLike, values: ArrayLike, expected: float, seeds: Scatter, relation: str = "equal"
) -> Estimate:
    """Return the mean at the width that contradicts the claim most, that is, farthest from `expected`.

    A claim about every width is true if it is true at this one. The error is the scatter between seeds over the square
    root of the number of seeds at this width; widths are not draws of one quantity.
    """
    labels, index, count = np.unique(np.asarray(widths), return_inverse=True, return_counts=True)
    mean = np.bincount(index, np.asarray(values, dtype=np.float64)) / count
    against = {"equal": np.abs(mean - expected), "at least": expected - mean, "at most": mean - expected}[relation]
    k = int(np.argmax(against))
    return Estimate(value=float(mean[k]), stderr=seeds.sd / math.sqrt(count[k]), df=seeds.df, n=labels.size)


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first - second of independent estimates: errors in quadrature, Welch-Satterthwaite degrees of freedom."""
    return Estimate(
        value=first.value - second.value,
        stderr=math.hypot(first.stderr, second.stderr),
        df=float(pooled_df(first.stderr, first.df, second.stderr, second.df)),
        n=min(first.n, second.n),
        unit=first.unit,
    )


def pooled_df(first: ArrayLike, first_df: ArrayLike, second: ArrayLike, second_df: ArrayLike) -> Any:
    """Return the Welch-Satterthwaite degrees of freedom of hypot(first, second); an error of zero does not count.

    Infinite if both errors are known, NaN if one is unknown or has no degrees of freedom.
    """
    errors, dfs = np.array([first, second], dtype=np.float64), np.array([first_df, second_df], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(errors == 0, 0.0, errors**4 / np.where(dfs > 0, dfs, np.nan))
        return np.sum(errors**2, axis=0) ** 2 / np.sum(parts, axis=0)


def auc(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the ROC curve: the probability that a positive scores higher, ties counted half.

    NaN without positives or without negatives.
    """
    chosen = np.asarray(positive, dtype=bool)
    n, k = chosen.size, int(chosen.sum())
    if k in (0, n):
        return math.nan
    ranks = stats.rankdata(np.asarray(score, dtype=np.float64))
    return float((ranks[chosen].sum() - k * (k + 1) / 2) / (k * (n - k)))


def common_exponent(groups: ArrayLike, m: ArrayLike, values: ArrayLike) -> Estimate:
    """Fit k of values = c[group] m^-k by least squares on log scales, to means over the entries of a group and width.

    The mean prevents seeds of one width from counting as independent points. NaN without degrees of freedom, or if no
    group has two widths.
    """
    frame = pd.DataFrame({"group": np.asarray(groups, dtype=str), "m": m, "y": np.log(np.asarray(values, dtype=float))})
    points = frame.groupby(["group", "m"], as_index=False)["y"].mean()
    x = np.log(points["m"].astype(float))
    x, y = (column - column.groupby(points["group"]).transform("mean") for column in (x, points["y"]))
    df = len(points) - points["group"].nunique() - 1
    spread = float(x @ x)
    if df < 1 or spread < SMALLEST_SPREAD:
        return Estimate(value=math.nan, n=len(points))
    slope = float(x @ y) / spread
    stderr = math.sqrt(float(((y - slope * x) ** 2).sum()) / df / spread)
    return Estimate(value=-slope, stderr=stderr, df=df, n=len(points))
