"""The marked block of docs/correlation.md, from the tables of a recorded run."""

from pathlib import Path

import pandas as pd

from scaling.markdown import NOT_RECORDED, markdown_table, recorded_table


CURVE = ["activity", "gamma", "alpha", "correlation", "block_size"]


def mean_loss(models: pd.DataFrame) -> str:
    """Return the mean loss over seeds and the error of its evaluation; nothing without models."""
    if models.empty:
        return ""
    return f"{models['loss'].mean():.3f} ± {(models['loss_stderr'] ** 2).sum() ** 0.5 / len(models):.3f}"


def correlation(recorded: Path) -> str:
    """Return a table of all curves: loss at each width, exponent, and mean share of represented features."""
    models, exponents = (recorded_table(recorded, name) for name in ("toy_correlation", "correlation_exponents"))
    if models is None or exponents is None:
        return NOT_RECORDED
    widths = sorted(models["m"].unique())
    rows = []
    for curve in exponents.sort_values(CURVE).to_dict("records"):
        part = models[(models[CURVE] == pd.Series({name: curve[name] for name in CURVE})).all(axis=1)]
        rows.append(
            [
                str(curve["activity"]),
                f"{curve['gamma']:.3f}".replace("-", "−"),
                f"{curve['alpha']:g}",
                f"{curve['correlation']:g}",
                *(mean_loss(part[part["m"] == m]) for m in widths),
                f"{curve['exponent']:.2f} ± {curve['exponent_stderr']:.2f}",
                f"{curve['mean_phi_half']:.2f}",
            ]
        )
    head = ["activity", "γ", "α", "ρ", *(f"loss at m = {m}" for m in widths), "α_m", "mean φ_1/2"]
    return markdown_table(head, rows)
