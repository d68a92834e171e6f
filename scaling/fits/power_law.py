"""Fit one curve L(m) and print a readable report: `scaling.fit_power_law`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scaling.fits import curve, forms, inputs


@dataclass(frozen=True)
class PowerLawFit:
    """The line log L = log C - a log m, and the form that the points support; its repr is a report."""

    line: curve.Line
    decision: forms.Decision

    @property
    def exponent(self) -> float:
        """Exponent a of L = C m^-a; NaN with fewer than three widths."""
        return self.line.exponent

    @property
    def exponent_stderr(self) -> float:
        """Standard error of the exponent from the scatter of the widths about the line."""
        return self.line.exponent_stderr

    @property
    def amplitude(self) -> float:
        """Amplitude C of L = C m^-a."""
        return self.line.amplitude

    def predict(self, m: ArrayLike) -> NDArray[np.float64]:
        """Return C m^-a at each m."""
        return np.asarray(self.amplitude * np.asarray(m, dtype=np.float64) ** -self.exponent)

    def __repr__(self) -> str:
        line, decision = self.line, self.decision
        seeds = f"{line.n_seeds} seed{'' if line.n_seeds == 1 else 's'}"
        head = f"power law L = C m^-a: {line.n_points} widths, {line.m_min:g} to {line.m_max:g}, {seeds} per width"
        if line.status != inputs.CONVERGED:
            return f"{head}\n  {line.status}: {line.note}"
        rows = {
            "a": f"{line.exponent:.4f} ± {line.exponent_stderr:.4f}, 95 % interval "
            f"{line.exponent_low:.3f} to {line.exponent_high:.3f}",
            "C": f"{line.amplitude:.4g}",
            "R²": f"{line.rsquared:.5f}",
        }
        if not np.isnan(line.lack_of_fit):
            rows["lack of fit"] = f"F = {line.lack_of_fit:.2f}, p = {line.lack_of_fit_pvalue:.2g}"
        rows["form"] = f"{decision.form.replace('_', ' ')} ({decision.reason})"
        if not np.isnan(decision.exponent):
            low, high = (
                "unbounded" if np.isnan(end) else f"{end:.3f}"
                for end in (decision.exponent_low, decision.exponent_high)
            )
            constant = decision.constant if decision.constant > 1e-9 * line.amplitude else 0.0
            rows["a with L0"] = f"{decision.exponent:.4f}, 95 % interval {low} to {high}; L0 = {constant:.3g}"
        return "\n".join([head, *(f"  {name:<12}{text}" for name, text in rows.items())])


def fit_power_law(m: ArrayLike, loss: ArrayLike) -> PowerLawFit:
    """Fit L = C m^-a to losses at widths m, both shape (k,); entries with equal m are seeds of one width.

    The line and its t-interval are those of `scaling.fits.curve.line`; the form (power law, the same with a constant,
    exponential, logarithmic, linear, or undecided) is that of `scaling.fits.forms.decide`.
    Raises InputError for entries that are not finite and positive, and for lengths that differ.
    """
    return PowerLawFit(curve.line(m, loss), forms.decide(m, loss))
