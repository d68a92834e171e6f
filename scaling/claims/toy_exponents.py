"""Claims about the exponents of the toy model at n = 1000: both regimes, the figures, the activation density."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from scaling import geometry, theory
from scaling.claims import toy
from scaling.claims.registry import EXPONENT, Result, claim
from scaling.claims.study import Study, records
from scaling.curves import LARGE_N, usual
from scaling.fits import curve, estimate
from scaling.fits.estimate import Estimate


READS = ["toy_models", "toy_exponents"]
DENSITY_GAMMA = -0.5556  # of Fig. 7b


def regime(study: Study, name: str) -> pd.DataFrame:
    """Fitted curves of the decay sweep in one regime, strong or weak."""
    select = toy.strong if name == "strong" else toy.weak
    return toy.curves(select(study.table("toy_exponents")))


def against(study: Study, rows: pd.DataFrame, expected: dict[float, float] | None = None) -> Iterator[Result]:
    """The exponent of each curve, and what the claim expects at its alpha (default: the claim's own number)."""
    models = study.table("toy_models")
    for row in records(rows):
        yield Result(
            ours=toy.exponent(row),
            setting=toy.setting(row),
            expected=None if expected is None else expected[row.alpha],
            curve=f"alpha_m, {toy.setting(row)}",
            note=toy.shape(row, toy.of_curve(models, row)),
        )


@claim(
    id="toy.exponent_strong_even",
    text="strong superposition, alpha <= 1: alpha_m = 1",
    origin="statement",
    where="Fig. 6e",
    quantity="alpha_m",
    expected=1.0,
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_strong_even(study: Study) -> list[Result]:
    """Each strong curve with alpha <= 1."""
    rows = regime(study, "strong")
    return toy.over_grid(against(study, rows[rows["alpha"] <= 1]), 1.0)


@claim(
    id="toy.exponent_strong_skewed",
    text="strong superposition, skewed frequencies: alpha_m = 2 (alpha - 1)",
    origin="statement",
    where="Fig. 6e",
    quantity="alpha_m",
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_strong_skewed(study: Study) -> list[Result]:
    """Each strong curve with alpha >= 1.75, where the paper calls the frequencies skewed."""
    rows = regime(study, "strong")
    rows = rows[rows["alpha"] >= 1.75]
    return toy.over_grid(against(study, rows, {alpha: 2 * (alpha - 1) for alpha in rows["alpha"]}))


@claim(
    id="toy.exponent_strong_tail",
    text="strong superposition, skewed frequencies: the loss is that of the features beyond the m^2/2 most frequent",
    origin="statement",
    where="section on strong superposition",
    quantity="alpha_m over the widths with m^2/2 < n",
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_strong_tail(study: Study) -> list[Result]:
    """The argument for 2 (alpha - 1) at finite n: its tail is steeper, and empty from m = 45 on at n = 1000."""
    rows, models = regime(study, "strong"), study.table("toy_models")
    results = []
    for row in records(rows[rows["alpha"] >= 1.75]):
        of_row = toy.of_curve(models, row)
        of_row = of_row[of_row["m"].map(geometry.etf_like_rows) < row.n]
        m = np.unique(of_row["m"].to_numpy(int))
        rows_that_fit = np.array([int(geometry.etf_like_rows(int(width))) for width in m], dtype=int)
        p = theory.power_law(row.n, row.alpha, row.activation_density)
        tail = curve.line(m.astype(float), theory.loss_by_count(p, rows_that_fit))
        line = curve.line(of_row["m"], of_row["loss"])
        if line.status == "converged":
            ours, curve_name = estimate.exponent(line), f"alpha_m, {toy.setting(row)}"
            results.append(Result(ours=ours, setting=toy.setting(row), expected=tail.exponent, curve=curve_name))
    return toy.over_grid(results)


@claim(
    id="toy.exponent_weak",
    text="weak superposition: alpha_m = alpha - 1, the limit n -> infinity of Eq. 4",
    origin="statement",
    where="Fig. 5b",
    quantity="alpha_m",
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_weak(study: Study) -> list[Result]:
    """Each weak curve with alpha > 1."""
    rows = regime(study, "weak")
    rows = rows[rows["alpha"] > 1]
    return toy.over_grid(against(study, rows, {alpha: alpha - 1 for alpha in rows["alpha"]}))


@claim(
    id="toy.exponent_weak_finite",
    text="weak superposition: alpha_m of Eq. 4 with the m most frequent of n features",
    origin="statement",
    where="Eq. 4",
    quantity="alpha_m",
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_weak_finite(study: Study) -> list[Result]:
    """The slope of Eq. 4 through the widths that were trained: 0.61 and 1.02 for alpha = 1.5 and 2 at n = 1000."""
    rows = regime(study, "weak")
    rows = rows[rows["alpha"] > 1]
    models = study.table("toy_models")
    expected = {}
    for row in records(rows):
        m = np.unique(toy.of_curve(models, row)["m"].to_numpy(int))
        loss = theory.loss_by_count(theory.power_law(row.n, row.alpha, row.activation_density), m)
        expected[row.alpha] = curve.line(m.astype(float), loss).exponent
    return toy.over_grid(against(study, rows, expected))


def drawn(study: Study, name: str, figure: str) -> Iterator[Result]:
    """Exponents read off a figure at each (gamma, alpha) that was trained, compared at equal widths.

    Both curves bend alike, so the misfit of the line cancels, and the error is the scatter between seeds where enough
    seeds were trained. Without them it is the standard error of each line, which is too large.
    """
    points = study.published(figure, ["alpha", "gamma", "model_exponent", "err"])
    models = study.table("toy_models")
    select = toy.strong if name == "strong" else toy.weak
    seeds = toy.seed_scatter(toy.models(select(models)))
    for row in records(regime(study, name)):
        of_row = toy.of_curve(models, row)
        for point in records(toy.near(points, gamma=row.gamma, alpha=row.alpha)):
            ours, theirs, df = toy.exponent(row), point.err, row.n_points - 2
            error = "errors of the lines, since fewer than six cells have four seeds"
            if seeds is not None:
                stderr = curve.slope_stderr(of_row["m"], seeds.sd)
                ours = Estimate(value=row.exponent, stderr=stderr, df=seeds.df, n=row.n_points)
                theirs, df = curve.slope_stderr(of_row["m"].unique(), seeds.sd), seeds.df
                error = f"errors by the scatter between seeds, sd of log L {seeds.sd:.3f}"
            yield Result(
                ours=ours,
                setting=toy.setting(row),
                expected=point.model_exponent,
                expected_err=theirs,
                expected_df=df,
                curve=f"alpha_m, {toy.setting(row)}",
                note=f"{error}; {toy.shape(row, of_row)}",
            )


@claim(
    id="toy.exponent_strong_figure",
    text="strong superposition: alpha_m as drawn",
    origin="figure",
    where="Fig. 6e",
    quantity="alpha_m",
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_strong_figure(study: Study) -> list[Result]:
    """Fig. 6e at each (gamma, alpha) that was trained."""
    return toy.over_grid(drawn(study, "strong", "fig6e_model_exponent"))


@claim(
    id="toy.exponent_weak_figure",
    text="weak superposition: alpha_m as drawn",
    origin="figure",
    where="Fig. 5b",
    quantity="alpha_m",
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_weak_figure(study: Study) -> list[Result]:
    """Fig. 5b at each (gamma, alpha) that was trained."""
    return toy.over_grid(drawn(study, "weak", "fig5b_model_exponent"))


def gap(rows: pd.DataFrame, first: Any, second: Any) -> tuple[Estimate, str] | None:
    """Exponent of the curve chosen by `first` less that of `second`; None unless both were trained."""
    pair = [toy.near(rows, **choice) for choice in (first, second)]
    if any(part.empty for part in pair):
        return None
    one, two = (next(records(part)) for part in pair)
    return estimate.difference(toy.exponent(one), toy.exponent(two)), f"{one.exponent:.3f} - {two.exponent:.3f}"


def rises(study: Study, figure: bool) -> Iterator[Result]:
    """alpha_m at alpha = 1 less alpha_m at alpha = 0, at each gamma; what the figure shows or what the text says."""
    points = study.published("fig6e_model_exponent", ["alpha", "gamma", "model_exponent", "err"])
    rows = regime(study, "strong")
    for gamma in sorted(rows["gamma"].unique()):
        found = gap(rows, {"gamma": gamma, "alpha": 1}, {"gamma": gamma, "alpha": 0})
        ends = [toy.near(points, gamma=gamma, alpha=alpha) for alpha in (1, 0)]
        if found is None or (figure and any(end.empty for end in ends)):
            continue
        theirs: dict[str, Any] = {}
        if figure:
            values, errors = ([float(end[name].iloc[0]) for end in ends] for name in ("model_exponent", "err"))
            theirs = {"expected": values[0] - values[1], "expected_err": math.hypot(*errors), "expected_df": 8}
        setting = f"gamma = {gamma:.3g}"
        yield Result(ours=found[0], setting=setting, curve=f"rise of alpha_m, {setting}", note=found[1], **theirs)


@claim(
    id="toy.exponent_rise",
    text="strong superposition: alpha_m does not depend on alpha in [0, 1]",
    origin="statement",
    where="Fig. 6e",
    quantity="alpha_m at alpha = 1 less alpha_m at alpha = 0",
    expected=0.0,
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_rise(study: Study) -> Iterator[Result]:
    """The text: alpha_m is 1 wherever alpha <= 1."""
    return rises(study, figure=False)


@claim(
    id="toy.exponent_rise_figure",
    text="strong superposition: alpha_m rises with alpha in [0, 1]",
    origin="figure",
    where="Fig. 6e",
    quantity="alpha_m at alpha = 1 less alpha_m at alpha = 0",
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_rise_figure(study: Study) -> Iterator[Result]:
    """The figure: alpha_m rises by 0.13 to 0.36, depending on gamma."""
    return rises(study, figure=True)


@claim(
    id="toy.exponent_strong_minus_weak",
    text="strong superposition has the larger exponent: alpha_m(strong) - alpha_m(weak) = alpha - 1 at alpha = 2",
    origin="statement",
    where="Fig. 4b",
    quantity="alpha_m(strong) - alpha_m(weak), alpha = 2",
    expected=1.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def exponent_strong_minus_weak(study: Study) -> list[Result]:
    """Every pair of a strong and a weak curve at alpha = 2."""
    rows = pd.concat([regime(study, "strong"), regime(study, "weak")])
    rows = rows[rows["alpha"] == 2]
    results = []
    for one in sorted(rows.loc[rows["gamma"] < 0, "gamma"].unique()):
        for two in sorted(rows.loc[rows["gamma"] > 0, "gamma"].unique()):
            found = gap(rows, {"gamma": one}, {"gamma": two})
            if found is not None:
                setting = f"gamma = {one:.3g} and {two:.3g}"
                results.append(Result(ours=found[0], setting=setting, curve=f"gap, {setting}", note=found[1]))
    return toy.over_grid(results, 1.0)


def densities(study: Study) -> Iterator[tuple[Any, pd.DataFrame, pd.DataFrame]]:
    """(curve, its models, the published points at its E) of each curve with alpha = 1 at the gamma of Fig. 7b."""
    points = study.published("fig7b_density_scaling", ["activation_density", "m", "loss", "printed_exponent"])
    rows = toy.curves(usual(study.table("toy_exponents")))
    rows = rows[(rows["alpha"] == 1) & (rows["frequency_law"] == "power_law") & (rows["n"] < LARGE_N)]
    for row in records(toy.near(rows, gamma=DENSITY_GAMMA)):
        ratio = points["activation_density"] / row.activation_density
        drawn_at = points[np.abs(ratio - 1) < 0.02]
        if len(drawn_at):
            yield row, toy.of_curve(study.table("toy_models"), row), drawn_at


@claim(
    id="toy.exponent_density",
    text="alpha_m hardly depends on the activation density: the printed exponents",
    origin="statement",
    where="Fig. 7b",
    quantity="alpha_m at alpha = 1, gamma = -0.556",
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN_PAPER,
)
def exponent_density(study: Study) -> Iterator[Result]:
    """Each density that was trained at the paper's widths, compared with the exponent printed beside the line."""
    for row, models, drawn_at in densities(study):
        if set(models["m"]) != set(drawn_at["m"]):
            continue
        value, error = map(float, drawn_at["printed_exponent"].iloc[0].split("+-"))
        line = curve.line(drawn_at["m"], drawn_at["loss"])
        yield Result(
            ours=toy.exponent(row),
            setting=f"E = {row.activation_density:.3g}",
            expected=value,
            expected_err=error,
            expected_df=len(drawn_at) - 2,
            curve=f"alpha_m, {toy.setting(row)}, E = {row.activation_density:.3g}",
            note=f"a line through the points of the figure has slope {line.exponent:.2f}; {toy.shape(row, models)}",
        )


@claim(
    id="toy.exponent_density_figure",
    text="at other activation densities the loss falls as drawn",
    origin="figure",
    where="Fig. 7b",
    quantity="alpha_m at alpha = 1, gamma = -0.556",
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN_PAPER,
)
def exponent_density_figure(study: Study) -> Iterator[Result]:
    """Each density that was trained, compared with a line through the published points at the same widths."""
    for row, models, drawn_at in densities(study):
        same = drawn_at[drawn_at["m"].isin(models["m"])]
        line = curve.line(same["m"], same["loss"])
        if line.status != "converged" or abs(row.activation_density - 1) < 0.02:
            continue
        widths = ", ".join(f"{m:g}" for m in sorted(same["m"]))
        yield Result(
            ours=toy.exponent(row),
            setting=f"E = {row.activation_density:.3g}, m = {widths}",
            expected=line.exponent,
            expected_err=line.exponent_stderr,
            expected_df=line.n_points - 2,
            curve=f"alpha_m, {toy.setting(row)}, E = {row.activation_density:.3g}",
            note=toy.shape(row, models),
        )
