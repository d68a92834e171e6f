"""Fit several curves with one exponent, L = C m^-a + L0[group], as for language models by family and data set.

For a given exponent, C and all L0 are linear parameters (Frisch-Waugh: subtract group means from m^-a and from L).
Only the exponent is searched, so no starting values are needed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from scaling.command import InputError
from scaling.fits import inputs
from scaling.fits.inputs import FloatArray


# The decaying part as a function of u = m / (geometric mean of m) and one number q, with the range of q.
Basis = tuple[Callable[[FloatArray, float], FloatArray], float, float]
FORMS: dict[str, Basis] = {
    "power": (lambda u, q: u**-q, 0.05, 4.0),
    "exponential": (lambda u, q: np.exp(-q * u), 1e-3, 20.0),
    "logarithmic": (lambda u, q: -np.log(u), 0.0, 1.0),
}


@dataclass(frozen=True)
class Design:
    """Points of the fit: u = m / scale, losses, group numbers 0 .. n_groups - 1."""

    u: FloatArray
    scale: float
    loss: FloatArray
    group: NDArray[np.intp]
    form: str

    def centred(self, values: FloatArray) -> FloatArray:
        """Subtract the group means from `values`."""
        return values - self.group_mean(values)[self.group]

    def group_mean(self, values: FloatArray) -> FloatArray:
        """Mean of `values` in each group."""
        return np.asarray(np.bincount(self.group, values) / np.bincount(self.group))

    def project(self, q: float, loss: FloatArray) -> tuple[float, float]:
        """Return the best c of loss = c basis(u; q) + L0[group], and the residual squares."""
        x, y = self.centred(FORMS[self.form][0](self.u, q)), self.centred(loss)
        xx = float(x @ x)
        c = float(x @ y) / xx if xx > 0 else 0.0
        return c, float(np.sum((y - c * x) ** 2))

    def search(self, loss: FloatArray) -> float:
        """Find the q with the smallest residual squares: a grid of 60 values, then a bounded one-dimensional search."""
        _, low, high = FORMS[self.form]
        grid = np.linspace(low, high, 60)
        i = int(np.argmin([self.project(q, loss)[1] for q in grid]))
        around = (grid[max(i - 1, 0)], grid[min(i + 1, grid.size - 1)])
        end = optimize.minimize_scalar(
            lambda q: self.project(q, loss)[1], bounds=around, method="bounded", options={"xatol": 1e-10}
        )
        return float(end.x)


@dataclass(frozen=True, kw_only=True)
class GroupFit:
    """L = amplitude m^-exponent + intercepts[group]; undetermined numbers are NaN, and `note` gives the reason."""

    design: Design
    groups: list[str]
    status: str
    note: str
    intercepts: FloatArray
    exponent: float = float("nan")
    exponent_stderr: float = float("nan")  # all parameters free, independent errors
    exponent_low: float = float("nan")  # profile interval
    exponent_high: float = float("nan")
    amplitude: float = float("nan")
    amplitude_stderr: float = float("nan")
    correlation: float = float("nan")  # between exponent and log amplitude
    rss: float = float("nan")

    @property
    def n_points(self) -> int:
        return int(self.design.loss.size)

    def curve(self, m: ArrayLike) -> FloatArray:
        """Return the part that depends on m: amplitude m^-exponent, or that of another form."""
        basis = FORMS[self.design.form][0](np.asarray(m, dtype=np.float64) / self.design.scale, self.exponent)
        power = self.design.scale**-self.exponent if self.design.form == "power" else 1.0
        return np.asarray(self.amplitude * power * basis)

    @property
    def residual(self) -> FloatArray:
        """L minus the fit."""
        return self.design.loss - self.curve(self.design.u * self.design.scale) - self.intercepts[self.design.group]

    @property
    def freedom(self) -> int:
        """Points minus parameters (one intercept per group, amplitude, exponent)."""
        return self.n_points - len(self.groups) - 2


def _projected_jacobian(design: Design, c: float, a: float) -> FloatArray:
    """d fit / d (a, log c) with the intercepts projected out, shape (n, 2)."""
    part = c * design.u**-a
    return np.column_stack([design.centred(-part * np.log(design.u)), design.centred(part)])


def group_fit(m: ArrayLike, loss: ArrayLike, group: ArrayLike, form: str = "power", level: float = 0.95) -> GroupFit:
    """Fit L = C m^-a + L0[group] by least squares with all parameters free; residuals in nats.

    The standard error is that of all parameters together; the interval is the profile
    {a : RSS(a) <= RSS_min (1 + F_{level; 1, n - p} / (n - p))}, NaN at an end beyond 0.05 .. 4. `form` may be
    `exponential` or `logarithmic` for comparison; `exponent` is then the parameter of that form and has no error.
    Raises InputError for entries that are not finite and positive. Source: paper, Fig. 8b and its notebook.
    """
    widths, losses = inputs.positive(m=m, loss=loss)
    names, numbers = np.unique(np.asarray(group, dtype=str), return_inverse=True)
    if numbers.size != widths.size:
        raise InputError(f"a fit needs one group per point, got {numbers.size} groups for {widths.size} points")
    scale = float(np.exp(np.log(widths).mean())) if widths.size else 1.0
    design = Design(widths / scale, scale, losses, numbers, form)
    p = names.size + 2
    status, note = inputs.CONVERGED, ""
    if widths.size <= p:
        status, note = inputs.TOO_FEW, f"{p} parameters need more than {p} points, got {widths.size}"
    elif np.unique(np.column_stack([numbers, widths]), axis=0).shape[0] < p:
        status, note = inputs.NOT_IDENTIFIED, "needs two groups with two widths, or one with three, to see a decay"
    if note:
        nothing = np.full(names.size, np.nan)
        return GroupFit(design=design, groups=names.tolist(), status=status, note=note, intercepts=nothing)
    basis, low, high = FORMS[form]
    q = design.search(losses)
    c, rss = design.project(q, losses)
    if c <= 0:
        status, note = inputs.NOT_IDENTIFIED, "the loss does not fall with m"
    elif form != "logarithmic" and min(q - low, high - q) < 1e-3 * (high - low):
        status, note = inputs.BOUND_HIT, f"the best value lies beyond the range {low} .. {high}"
    elif form != "power":
        note = "fitted for comparison of forms only, without errors"
    fit = GroupFit(
        design=design,
        groups=names.tolist(),
        status=status,
        note=note,
        intercepts=design.group_mean(losses - c * basis(design.u, q)),
        exponent=q,
        amplitude=c * scale**q if form == "power" else c,
        rss=max(rss, 0.0),
    )
    return with_errors(fit, level) if form == "power" and status == inputs.CONVERGED else fit


def with_errors(fit: GroupFit, level: float) -> GroupFit:
    """Return the fit with standard errors, correlation and profile interval for independent errors."""
    design, a = fit.design, fit.exponent
    J = _projected_jacobian(design, fit.amplitude * design.scale**-a, a)
    covariance = np.linalg.inv(_crossed(J)) * fit.rss / fit.freedom
    to_log_amplitude = np.array([np.log(design.scale), 1.0])  # log C = log c + a log scale
    stderr = float(np.sqrt(covariance[0, 0]))
    log_amplitude_stderr = float(np.sqrt(to_log_amplitude @ covariance @ to_log_amplitude))
    threshold = fit.rss * (1 + stats.f.ppf(level, 1, fit.freedom) / fit.freedom)
    exact = stderr == 0
    return replace(
        fit,
        exponent_stderr=stderr,
        exponent_low=_profile_end(design, a, FORMS["power"][1], threshold),
        exponent_high=_profile_end(design, a, FORMS["power"][2], threshold),
        amplitude_stderr=fit.amplitude * log_amplitude_stderr,
        correlation=np.nan if exact else float(covariance[0] @ to_log_amplitude) / (stderr * log_amplitude_stderr),
    )


def _crossed(J: FloatArray) -> FloatArray:
    return np.asarray(J.T @ J)


def _profile_end(design: Design, best: float, end: float, threshold: float) -> float:
    """Return where the profile between the optimum and `end` crosses `threshold`; NaN if it does not."""
    if design.project(end, design.loss)[1] <= threshold:
        return float("nan")
    between = sorted((best, end))
    excess = [design.project(q, design.loss)[1] - threshold for q in between]
    if np.sign(excess[0]) == np.sign(excess[1]):
        return best  # no residuals: the interval is a point
    return float(optimize.brentq(lambda q: design.project(q, design.loss)[1] - threshold, *between, xtol=1e-10))


def cluster_stderr(fit: GroupFit, cluster: ArrayLike) -> float:
    """Return the standard error of the exponent for residuals correlated within a cluster (a model): CR1 sandwich.

    V = (G/(G - 1)) ((n - 1)/(n - p)) B^-1 (sum_c J_c^T e_c e_c^T J_c) B^-1, B = J^T J, J without the intercepts.
    """
    number = np.unique(np.asarray(cluster, dtype=str), return_inverse=True)[1]
    size = int(number.max()) + 1
    if size < 2 or fit.status != inputs.CONVERGED:
        return float("nan")
    J = _projected_jacobian(fit.design, fit.amplitude * fit.design.scale**-fit.exponent, fit.exponent)
    scores = np.zeros((size, 2))
    np.add.at(scores, number, J * fit.residual[:, None])
    bread = np.linalg.inv(_crossed(J))
    factor = size / (size - 1) * (fit.n_points - 1) / fit.freedom
    return float(np.sqrt((bread @ scores.T @ scores @ bread)[0, 0] * factor))


def wild_cluster(fit: GroupFit, cluster: ArrayLike, n_resamples: int, random: np.random.Generator) -> FloatArray:
    """Exponents refitted to fit + residual x (+1 or -1, one draw per cluster); shape (n_resamples,)."""
    number = np.unique(np.asarray(cluster, dtype=str), return_inverse=True)[1]
    mean = fit.design.loss - fit.residual
    signs = random.choice([-1.0, 1.0], size=(n_resamples, int(number.max()) + 1))
    return np.array([fit.design.search(mean + fit.residual * sign[number]) for sign in signs])


def authors_stderr(fit: GroupFit) -> float:
    """Return the paper's "+- 0.04" by the formula of its notebook, which is not a standard error of the exponent.

    sqrt(sum_i (log(L_i - L0) - log(C m_i^-a))^2 / sum_i (log m_i - mean)^2 / (n - 3)): C and every L0 count as
    known, and a point with L < L0 enters as log(L - L0) := 0.
    """
    design = fit.design
    above = design.loss - fit.intercepts[design.group]
    drawn = np.log(above, out=np.zeros_like(above), where=above > 0)
    log_m = np.log(design.u * design.scale)
    squares = np.sum((drawn - np.log(fit.curve(design.u * design.scale))) ** 2)
    return float(np.sqrt(squares / np.sum((log_m - log_m.mean()) ** 2) / (fit.n_points - 3)))


def fixed_exponent_pvalue(fit: GroupFit, exponent: float) -> float:
    """Return the p-value of the F test that the exponent is `exponent`, others free (independent errors)."""
    F = (fit.design.project(exponent, fit.design.loss)[1] - fit.rss) / (fit.rss / fit.freedom)
    return float(stats.f.sf(max(F, 0.0), 1, fit.freedom))
