"""Choose the form of a curve L(m): power law, with or without a constant, exponential, logarithmic, or linear.

Every form is C shape(m), with C projected out of the log residuals. At most two parameters remain: the parameter q of
the shape, and the constant's share s of the loss at the largest width M.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from scaling.fits import inputs
from scaling.fits.curve import by_width
from scaling.fits.inputs import FloatArray


@dataclass(frozen=True)
class Form:
    """log shape(m / M) with shape(1) = 1, and the range of q to search."""

    shape: Callable[[FloatArray, FloatArray], FloatArray]
    low: float
    high: float


# q is, in order: an exponent, an inverse decay length in units of M, and (twice) a slope in units of L(M).
FORMS = {
    "power": Form(lambda u, q: u**-q, 0.0, 8.0),
    "exponential": Form(lambda u, q: np.exp(q * (1 - u)), 0.0, 40.0),
    "logarithmic": Form(lambda u, q: 1 - q * np.log(u), 0.0, 1e4),
    "linear": Form(lambda u, q: 1 + q * (1 - u), 0.0, 1e4),
}
CALLED = 4.0  # smallest difference in AICc that decides between forms with the same number of parameters
SIZE = 0.05  # of the one-sided test for a constant, which cannot be negative
LARGEST_SHARE = 0.9999
NOISELESS = 1e-9  # residuals in log L below this are rounding


@dataclass(frozen=True)
class FormFit:
    """Fit of one form: q, share of the constant at the largest width (0 without one), residual squares of log L."""

    q: float
    share: float
    rss: float


@dataclass(frozen=True)
class Decision:
    """The form that the points support, the reason, and the exponent with a free constant."""

    form: str
    reason: str
    exponent: float  # of the power law plus constant
    exponent_low: float  # profile interval; NaN where these widths do not bound it
    exponent_high: float
    constant: float
    constant_pvalue: float  # of "the constant is zero", one-sided


def _rss(form: Form, u: FloatArray, y: FloatArray, q: ArrayLike, share: ArrayLike) -> FloatArray:
    """Return the residual squares of log L with C projected out, shape (k,), for q and share of shape (k,)."""
    part = np.atleast_1d(share)[:, None]
    residual = y - np.log((1 - part) * form.shape(u, np.atleast_1d(q)[:, None]) + part)
    residual -= residual.mean(axis=1, keepdims=True)
    return np.asarray(np.sum(residual**2, axis=1))


def _grid(form: Form, constant: bool) -> tuple[FloatArray, FloatArray]:
    """Return a grid of q, denser at small values, and of the share of the constant."""
    q = form.high * np.linspace(0, 1, 81) ** (2 if form.high < 100 else 8)
    share = np.concatenate([[0.0], np.linspace(0.02, 0.98, 33)]) if constant else np.zeros(1)
    cells = np.stack(np.meshgrid(q, share, indexing="ij"), axis=-1).reshape(-1, 2)
    return cells[:, 0], cells[:, 1]


def fit_form(name: str, m: FloatArray, y: FloatArray, constant: bool = False, starts: int = 3) -> FormFit:
    """Fit one form to y = log L at distinct widths m: a grid over (q, share), then local searches."""
    form, u = FORMS[name], m / m.max()
    q, share = _grid(form, constant)
    rss = _rss(form, u, y, q, share)
    best = [FormFit(float(q[i]), float(share[i]), float(rss[i])) for i in np.argsort(rss, kind="stable")[:starts]]

    def residual(parameters: FloatArray) -> FloatArray:
        part = y - np.log((1 - parameters[1]) * form.shape(u, parameters[0]) + parameters[1])
        return np.asarray(part - part.mean())

    if constant:
        for cell in best[:starts]:
            inside = np.clip([cell.q, cell.share], [form.low + 1e-9, 1e-9], [form.high - 1e-9, LARGEST_SHARE - 1e-9])
            end = optimize.least_squares(
                residual, inside, bounds=([form.low, 0], [form.high, LARGEST_SHARE]), x_scale="jac", xtol=1e-12
            )
            best.append(FormFit(float(end.x[0]), float(end.x[1]), float(2 * end.cost)))
        best.append(fit_form(name, m, y))  # a constant of zero is allowed, so the fit is never worse than one without
    else:
        edges = np.unique(q)
        i = int(np.searchsorted(edges, best[0].q))
        around = (edges[max(i - 1, 0)], edges[min(i + 1, edges.size - 1)])
        end = optimize.minimize_scalar(
            lambda value: _rss(form, u, y, value, 0.0)[0], bounds=around, method="bounded", options={"xatol": 1e-12}
        )
        best.append(FormFit(float(end.x), 0.0, float(end.fun)))
    return min(best, key=lambda cell: cell.rss)


def profile_rss(m: FloatArray, y: FloatArray, exponent: float) -> float:
    """Return the minimal residual squares of C m^-a + L0 at a fixed exponent a, L0 >= 0."""
    form, u = FORMS["power"], m / m.max()
    share = np.concatenate([[0.0], np.linspace(0.01, LARGEST_SHARE, 60)])
    rss = _rss(form, u, y, np.full(share.size, exponent), share)
    i = int(np.argmin(rss))
    around = (share[max(i - 1, 0)], share[min(i + 1, share.size - 1)])
    end = optimize.minimize_scalar(
        lambda value: _rss(form, u, y, exponent, value)[0], bounds=around, method="bounded", options={"xatol": 1e-12}
    )
    return min(float(end.fun), float(rss[i]))


def interval_with_constant(m: FloatArray, y: FloatArray, fit: FormFit, level: float = 0.95) -> tuple[float, float]:
    """Return the profile interval of the exponent with a constant, {a : RSS(a) <= RSS_min (1 + F_{1, n - 3}/(n - 3))}.

    An end beyond 0.02 .. 8 is NaN: these widths do not bound it.
    """
    freedom = m.size - 3
    threshold = fit.rss * (1 + stats.f.ppf(level, 1, freedom) / freedom)
    ends = []
    for bound in (0.02, FORMS["power"].high):
        between = sorted((bound, fit.q))
        closed = between[0] < between[1] and profile_rss(m, y, bound) > threshold >= profile_rss(m, y, fit.q)
        root = optimize.brentq(lambda a: profile_rss(m, y, a) - threshold, *between, xtol=1e-7) if closed else np.nan
        ends.append(float(root))
    return ends[0], ends[1]


def decide(m: ArrayLike, loss: ArrayLike) -> Decision:
    """Decide the form of L(m) by a fixed rule; entries with equal m are seeds and enter as the mean of log L.

    1. The four forms with two parameters are ranked by n log RSS (AICc with equal penalties). The first is chosen
       only if the second is at least 4 behind.
    2. If the power law leads, a constant L0 >= 0 is tested one-sided at 5 %: (RSS_2 - RSS_3) over the variance
       between seeds, or over RSS_3 / (n - 3) without seeds, against F_{0.90; 1, freedom}.
    3. If the constant is needed, the exponential with a constant must be at least 4 behind, too.
    Everything else, and fewer than four widths, is `undecided`. AICc never compares two with three parameters:
    below ten widths its penalty alone excludes the constant. Raises InputError for entries not finite and positive.
    """
    widths, losses = inputs.positive(m=m, loss=loss)
    x, y, count = by_width(widths, np.log(losses))
    n, nan = x.size, float("nan")
    if n < 4:
        return Decision("undecided", f"forms need at least 4 widths, got {n}", nan, nan, nan, nan, nan)
    fits = {name: fit_form(name, x, y) for name in FORMS}
    floor = n * NOISELESS**2
    score = {name: n * np.log(max(fit.rss, floor)) for name, fit in fits.items()}
    first, second = sorted(score, key=lambda name: score[name])[:2]
    behind = score[second] - score[first]
    free = fit_form("power", x, y, constant=True)
    gain = fits["power"].rss - free.rss
    if widths.size > n:
        freedom = int(widths.size - n)
        pure = np.sum((np.log(losses) - y[np.searchsorted(x, widths)]) ** 2) / freedom
        variance, ruler = float(pure) / stats.hmean(count), "the scatter of seeds"
    else:
        freedom, ruler = n - 3, "the residuals"
        variance = free.rss / freedom
    F = gain / max(variance, NOISELESS**2)
    pvalue = float(stats.f.sf(F, 1, freedom)) / 2
    low, high = interval_with_constant(x, y, free)
    share = free.share if free.share > NOISELESS else 0.0  # at its bound, up to rounding
    constant = share * float(np.exp(np.mean(y - np.log((1 - share) * (x / x[-1]) ** -free.q + share))))
    form = first
    reason = f"{first} leads {second} by {behind:.1f} in AICc"
    if behind < CALLED:
        form, reason = "undecided", f"{reason}, less than {CALLED:g}"
    elif first == "power":
        test = f"a constant gains F = {F:.2f} (p = {pvalue:.2g}) against {ruler}"
        reason = f"{reason}; {test}"
        if pvalue < SIZE:
            rival = fit_form("exponential", x, y, constant=True)
            ahead = n * np.log(max(rival.rss, floor) / max(free.rss, floor))
            form = "power_plus_constant" if ahead >= CALLED else "undecided"
            if ahead <= -CALLED:
                form = "exponential_plus_constant"
            reason = f"{reason}; it leads exponential plus constant by {ahead:.1f}"
    return Decision(form, reason, free.q, low, high, constant, pvalue)
