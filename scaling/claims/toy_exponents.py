"""Claims about the toy model's exponents: regimes, data exponents, densities, frequency laws."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from scaling import theory
from scaling.claims.bridge import Claim
from scaling.claims.toy_study import (
    HOW_TO_TRAIN,
    HOW_TO_TRAIN_PAPER,
    LARGE,
    STRONG_GAMMA,
    WEAK_GAMMA,
    ToyStudy,
    records,
)
from scaling.fits import curve


PAPER_N = 1000  # features in the paper's decay and density sweeps
DENSITY_GAMMA = -0.5556  # of Fig. 7b
LARGE_GAMMA = {"strong": -1.0, "weak": 0.1}  # of Fig. 1 and 4a
LAWS = ["power_law", "exponential", "linear"]


def _setting(row: Any) -> str:
    return f"gamma = {row.gamma:.3g}, alpha = {row.alpha:g}"


def _note(row: Any) -> str:
    seeds = "one seed" if row.n_seeds == 1 else f"{row.n_seeds} seeds"
    form = "form undecided" if row.form == "undecided" else f"form: {row.form.replace('_', ' ')}"
    size = "" if row.n == PAPER_N else f"; n = {row.n}, the paper's is {PAPER_N}"
    return f"{seeds}; {form}{size}"


def _exponent(row: Any) -> dict[str, Any]:
    """Our side of a claim about the exponent of a curve (a row of toy_exponents)."""
    return {"ours": row.exponent, "ours_err": row.exponent_stderr, "n": row.n_points, "note": _note(row)}


def regimes(study: ToyStudy) -> Iterator[Claim]:
    """alpha_m = 1 and 2 (alpha - 1) under strong superposition, alpha - 1 under weak: each curve trained."""
    curves = study.sweep_curves
    strong = curves[curves["gamma"] <= STRONG_GAMMA]
    weak = curves[curves["gamma"].between(0, WEAK_GAMMA, inclusive="right") & (curves["mean_phi_half"] < 0.5)]
    weak = weak[weak["alpha"] > 1]
    kinds = {
        "strong superposition, even frequencies: alpha_m = 1": (strong[strong["alpha"] <= 1], theory.strong_exponent),
        "strong superposition, skewed frequencies: alpha_m = 2 (alpha - 1)": (
            strong[strong["alpha"] >= 1.75],
            theory.strong_exponent,
        ),
        "weak superposition: alpha_m = alpha - 1": (weak, theory.weak_exponent),
    }
    for claim, (rows, prediction) in kinds.items():
        where = "Fig. 5b" if claim.startswith("weak") else "Fig. 6e"
        if rows.empty:
            untried = 1.0 if claim.endswith("= 1") else math.nan
            yield Claim(
                claim=claim, where=where, quantity="alpha_m", published=untried, source=study.name, note=HOW_TO_TRAIN
            )
        for row in records(rows):
            expected = prediction(row.alpha)
            yield Claim(
                claim=claim,
                where=where,
                quantity=f"alpha_m, {_setting(row)}",
                published=math.nan if expected is None else expected,
                source=study.name,
                **_exponent(row),
            )


def figure_6e(study: ToyStudy) -> Iterator[Claim]:
    """The exponents read off Fig. 6e, at every (gamma, alpha) that was trained."""
    points = study.published("fig6e_model_exponent", ["alpha", "gamma", "model_exponent", "err"])
    claim = "alpha_m as in the paper's figure"
    found = False
    for row in records(study.sweep_curves):
        near = points[(np.abs(points["gamma"] - row.gamma) < 0.01) & (np.abs(points["alpha"] - row.alpha) < 0.01)]
        for point in records(near):
            found = True
            yield Claim(
                claim=claim,
                where="Fig. 6e",
                quantity=f"alpha_m as drawn, {_setting(row)}",
                published=point.model_exponent,
                published_err=point.err,
                source=study.name,
                **_exponent(row),
            )
    if not found:
        yield Claim(
            claim=claim, where="Fig. 6e", quantity="alpha_m", published=math.nan, source=study.name, note=HOW_TO_TRAIN
        )


def packing_exponent(study: ToyStudy) -> Iterator[Claim]:
    """The packing loss (loss less that of features without a row) falls as 1/m: each strong curve with alpha <= 1."""
    curves = study.sweep_curves
    rows = curves[(curves["gamma"] <= STRONG_GAMMA) & (curves["alpha"] <= 1)]
    common: dict[str, Any] = {
        "claim": "the loss of represented features falls as 1/m",
        "where": "not in the paper",
        "published": 1.0,
        "source": study.name,
    }
    if rows.empty:
        yield Claim(**common, quantity="exponent of loss - loss_unrepresented", note=HOW_TO_TRAIN)
    for row in records(rows):
        yield Claim(
            **common,
            quantity=f"exponent of loss - loss_unrepresented, {_setting(row)}",
            ours=row.exponent_represented,
            ours_err=row.exponent_represented_stderr,
            n=row.n_points,
            note=_note(row),
        )


def density(study: ToyStudy) -> Iterator[Claim]:
    """alpha_m at alpha = 1 does not hang on the activation density: the exponents printed in Fig. 7b.

    A curve trained at other widths than the paper's is held against the slope of the published points at these widths,
    since the points of high densities lie on a bent curve.
    """
    points = study.published("fig7b_density_scaling", ["activation_density", "m", "loss", "printed_exponent"])
    rows = study.exponents
    rows = rows[(rows["alpha"] == 1) & (rows["frequency_law"] == "power_law") & (rows["n"] < LARGE)]
    rows = rows[np.abs(rows["gamma"].astype(float) - DENSITY_GAMMA) < 0.01]
    for point in records(points.drop_duplicates("activation_density")):
        value, error = map(float, point.printed_exponent.split("+-"))
        common: dict[str, Any] = {
            "claim": "alpha_m is robust to the activation density",
            "where": "Fig. 7b",
            "quantity": f"alpha_m, E = {point.activation_density:.3g}, alpha = 1, gamma = {DENSITY_GAMMA:.3g}",
            "published": value,
            "published_err": error,
            "source": study.name,
        }
        densities = rows["activation_density"].astype(float)
        near = rows[np.abs(densities / point.activation_density - 1) < 0.02]
        drawn = points[points["activation_density"] == point.activation_density]
        line = f"a line through the figure's points has slope {curve.line(drawn['m'], drawn['loss']).exponent:.2f}"
        if near.empty:
            yield Claim(**common, note=f"this density was not trained; {line}; {HOW_TO_TRAIN_PAPER}")
        for row in records(near.head(1)):
            widths = _widths(study, row)
            ours = _exponent(row) | {"note": f"{_note(row)}; {line}"}
            if widths != set(drawn["m"]):
                same = curve.line(*drawn.loc[drawn["m"].isin(widths), ["m", "loss"]].to_numpy(float).T)
                if same.status != "converged":
                    yield Claim(**common, note=f"not trained at the figure's widths; {HOW_TO_TRAIN_PAPER}")
                    continue
                common["claim"] = "loss at other activation densities falls as in the paper's figure"
                common["quantity"] += f", m = {', '.join(f'{m:g}' for m in sorted(widths))}"
                common |= {"published": same.exponent, "published_err": same.exponent_stderr}
            yield Claim(**common, **ours)


def _widths(study: ToyStudy, row: Any) -> set[int]:
    """The widths that a curve (a row of toy_exponents) was trained at."""
    models = study.models
    same = models["frequency_law"] == row.frequency_law
    for column in ("n", "gamma", "alpha", "activation_density"):
        same &= models[column] == getattr(row, column)
    return set(models.loc[same, "m"])


def frequency_laws(study: ToyStudy) -> Iterator[Claim]:
    """R^2 of the log-log lines of the large study (Fig. 4a) and the slopes of Fig. 1d, in the paper's windows."""
    windows = study.published(
        "fig4a_r_squared", ["regime", "feature_importance", "fit_start_index", "r_squared_recomputed_from_fig1"]
    )
    slopes = study.published("fig1d_strong_loss", ["feature_importance", "m", "loss"])
    starts = study.starts
    starts = starts[(starts["n"] >= LARGE) & (starts["quantity"] == "loss_train_tail")]
    for window in records(windows):
        law, regime, first = window.feature_importance, window.regime, int(window.fit_start_index)
        near = starts[
            (starts["frequency_law"] == law)
            & (starts["start_index"] == first)
            & (np.abs(starts["gamma"].astype(float) - LARGE_GAMMA[regime]) < 0.02)
        ]
        row = None if near.empty else next(records(near))
        setting = f"{law.replace('_', ' ')} frequencies, n = 10240, without the {first} smallest m"
        note = HOW_TO_TRAIN_PAPER if row is None else "R^2 is descriptive: it has no error"
        yield Claim(
            claim=f"power law in m under {regime} superposition",
            where="Fig. 4a",
            quantity=f"R^2, {setting}",
            published=window.r_squared_recomputed_from_fig1,
            ours=math.nan if row is None else row.rsquared,
            n=0 if row is None else row.n_points,
            source=study.name,
            note=note,
        )
        if regime == "strong":
            points = slopes[slopes["feature_importance"] == law].sort_values("m").iloc[first:]
            drawn = curve.line(points["m"], points["loss"])
            yield Claim(
                claim="loss falls nearly as 1/m under strong superposition for all three frequency laws",
                where="Fig. 1d",
                quantity=f"alpha_m, {setting}",
                published=drawn.exponent,
                published_err=drawn.exponent_stderr,
                ours=math.nan if row is None else row.exponent,
                ours_err=math.nan if row is None else row.exponent_stderr,
                n=0 if row is None else row.n_points,
                source=study.name,
                note=HOW_TO_TRAIN_PAPER if row is None else "",
            )


def claims(study: ToyStudy) -> list[Claim]:
    """All claims of this module."""
    parts = (regimes, figure_6e, packing_exponent, density, frequency_laws)
    return [claim for part in parts for claim in part(study)]
