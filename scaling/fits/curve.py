"""Fit one curve L(m): the line log L = log C - a log m, where the seeds of one width form a cluster."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from scaling.fits import inputs
from scaling.fits.inputs import FloatArray


@dataclass(frozen=True, kw_only=True)
class Line:
    """L = amplitude m^-exponent; undetermined numbers are NaN, and `note` gives the reason."""

    n_points: int  # widths
    n_seeds: int  # fewest seeds at a width
    status: str
    note: str
    m_min: float = float("nan")
    m_max: float = float("nan")
    exponent: float = float("nan")
    exponent_stderr: float = float("nan")
    exponent_low: float = float("nan")
    exponent_high: float = float("nan")
    amplitude: float = float("nan")
    rsquared: float = float("nan")
    lack_of_fit: float = float("nan")  # F: scatter of the seed means about the line over scatter between seeds
    lack_of_fit_pvalue: float = float("nan")
    seed_std: float = float("nan")  # pooled standard deviation of log L between seeds


def by_width(m: FloatArray, log_loss: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return widths in increasing order, and the mean of log L and the number of seeds at each."""
    widths, index, count = np.unique(m, return_inverse=True, return_counts=True)
    return widths, np.bincount(index, log_loss) / count, count.astype(np.float64)


def line(m: ArrayLike, loss: ArrayLike, level: float = 0.95) -> Line:
    """Fit a line to the mean of log L at each width by least squares; a = -slope, t-interval with n - 2 d.o.f.

    Entries with equal m are seeds; their mean is one point, because pooling seeds would give a small standard
    error exactly when the line is wrong. Lack of fit:
    F = [(SSE - SSPE)/(n_widths - 2)] / [SSPE/(n - n_widths)] with SSPE the squares of seeds about their means.
    Fewer than three widths give the status `too few points`. Raises InputError for entries that are not finite and
    positive.
    """
    widths_all, losses = inputs.positive(m=m, loss=loss)
    y = np.log(losses)
    widths, mean, count = by_width(widths_all, y)
    n, freedom = widths.size, int(y.size - widths.size)
    pure = float(np.sum((y - mean[np.searchsorted(widths, widths_all)]) ** 2))
    base = Line(
        n_points=n,
        n_seeds=int(count.min()) if n else 0,
        m_min=float(widths[0]) if n else np.nan,
        m_max=float(widths[-1]) if n else np.nan,
        seed_std=float(np.sqrt(pure / freedom)) if freedom else np.nan,
        status=inputs.CONVERGED,
        note="" if freedom else "one seed per width: no seed scatter, no lack-of-fit test",
    )
    if n < 3:
        return replace(
            base, status=inputs.TOO_FEW, note=f"a line with an error needs at least 3 different widths, got {n}"
        )
    result = stats.linregress(np.log(widths), mean)
    half = float(stats.t.ppf(0.5 + level / 2, n - 2) * result.stderr)
    lack, pvalue = np.nan, np.nan
    if pure > 0:
        residual = mean - result.intercept - result.slope * np.log(widths)
        lack = float(count @ residual**2) / (n - 2) / (pure / freedom)
        pvalue = float(stats.f.sf(lack, n - 2, freedom))
    return replace(
        base,
        exponent=-float(result.slope),
        exponent_stderr=float(result.stderr),
        exponent_low=-float(result.slope) - half,
        exponent_high=-float(result.slope) + half,
        amplitude=float(np.exp(result.intercept)),
        rsquared=float(result.rvalue**2),
        lack_of_fit=lack,
        lack_of_fit_pvalue=pvalue,
    )


def lines_by_start(m: ArrayLike, loss: ArrayLike, level: float = 0.95) -> list[Line]:
    """Fit `line` without the smallest 0, 1, 2, ... widths, down to three, to show the effect of the window."""
    widths, losses = inputs.positive(m=m, loss=loss)
    starts = np.unique(widths)[:-2]
    return [line(widths[widths >= first], losses[widths >= first], level) for first in starts]


def slope_stderr(m: ArrayLike, sd: float) -> float:
    """Return the standard error of the exponent of `line` due to a scatter `sd` of log L between seeds.

    Var = sd^2 sum_w (x_w - mean x)^2 / k_w / (sum_w (x_w - mean x)^2)^2 over widths w with k_w seeds, x = log m. It
    excludes the misfit of the line, which is the same for two curves of the same shape at equal widths.
    """
    widths, count = np.unique(np.asarray(m, dtype=np.float64), return_counts=True)
    spread = (np.log(widths) - np.log(widths).mean()) ** 2
    return float(sd * np.sqrt(np.sum(spread / count)) / np.sum(spread))


@dataclass(frozen=True, kw_only=True)
class Bend:
    """Change of the local exponent -d log L / d log m from the smallest to the largest width."""

    first: float  # local exponent at the smallest width
    last: float  # at the largest
    change: float  # last - first
    change_stderr: float
    n_points: int

    @property
    def df(self) -> int:
        """Degrees of freedom of change_stderr."""
        return max(self.n_points - 3, 0)


def bend(m: ArrayLike, loss: ArrayLike) -> Bend:
    """Fit a parabola to the mean of log L at each width against log m; a power law has no bend.

    NaN with fewer than four widths. Raises InputError for entries that are not finite and positive.
    """
    widths, losses = inputs.positive(m=m, loss=loss)
    x, y, _ = by_width(widths, np.log(losses))
    nan = float("nan")
    if x.size < 4:
        return Bend(first=nan, last=nan, change=nan, change_stderr=nan, n_points=x.size)
    z = np.log(x)
    X = np.column_stack([np.ones_like(z), z, z**2])
    parameters, _, _, _ = np.linalg.lstsq(X, y, rcond=None)
    residual = y - X @ parameters
    variance = float(residual @ residual) / (x.size - 3)
    stderr = np.sqrt(variance * np.linalg.inv(X.T @ X)[2, 2])
    first, last = (-float(parameters[1] + 2 * parameters[2] * end) for end in (z[0], z[-1]))
    return Bend(
        first=first,
        last=last,
        change=last - first,
        change_stderr=float(2 * (z[-1] - z[0]) * stderr),
        n_points=x.size,
    )
