"""The interactive chart of the toy models of one (gamma, alpha) cell, which the reader chooses on a grid."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from scaling.curves import decay_sweep
from scaling.figures import style, vega
from scaling.figures.study import rounded


CURVE_POINTS = 40  # of a training curve, evenly in log step
NORM_EDGES = np.linspace(0, 2, 41)  # of the histogram of norms; the last bin holds larger ones too
START_COLOURS = [style.BLUE, style.GREEN]
PART_COLOURS = [style.GREY, style.BLUE, style.ORANGE, style.GREEN]
STARTS = {"normal": "b ~ N(0, 1)", "zero": "b = 0"}  # initial biases that are shown
PARTS = {"loss_silent": "silent", "loss_shrink": "shrink", "loss_interference": "interference", "loss_false": "false"}


def models_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Models of the decay sweep from either initial bias, with the n that most have; one row per model."""
    models = rounded(frame).drop_duplicates("model")
    models = _as_in_the_sweep(models).dropna(subset=["alpha"])
    if len(models):
        models = models[models["n"] == models["n"].mode().iloc[0]]
    models = models.sort_values(["gamma", "alpha", "initial_bias", "m", "seed"], kind="stable").reset_index(drop=True)
    start = models["initial_bias"].map(STARTS)
    return models.assign(cell=_cell(models), start=start)


def _as_in_the_sweep(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the decay sweep, and those that differ from them by an initial bias of STARTS alone."""
    known = frame[frame["initial_bias"].isin(list(STARTS))]
    return known.loc[decay_sweep(known.assign(initial_bias="normal")).index]


def _cell(frame: pd.DataFrame) -> pd.Series:
    """The name of each row's (gamma, alpha) cell."""
    return frame["gamma"].map("γ = {:.3g}".format) + frame["alpha"].map(", α = {:.3g}".format)


def norms_of(models: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Share of the rows of W per bin of the norm (its middle), by cell, start, m and seed; no empty bins."""
    joined = features[["model", "norm"]].merge(models[["model", "cell", "start", "m", "seed"]], on="model")
    place = np.digitize(joined["norm"].clip(0, NORM_EDGES[-1] - 1e-9), NORM_EDGES) - 1
    middle = (NORM_EDGES[:-1] + NORM_EDGES[1:]) / 2
    keys = ["cell", "start", "m", "seed"]
    counts = joined.assign(norm=middle[place]).groupby([*keys, "norm"]).size().rename("share")
    return (counts / counts.groupby(keys).transform("sum")).round(5).reset_index()


def curves_of(models: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Training curves thinned to about CURVE_POINTS points: cell, start, m, seed, step, loss."""
    columns = ["cell", "start", "m", "seed"]
    joined = curves.merge(models[["model", *columns]], on="model")
    if joined.empty:
        return joined[[*columns, "step", "loss"]]
    steps = np.sort(joined["step"].unique())
    wanted = np.geomspace(steps[0], steps[-1], CURVE_POINTS)
    kept = steps[np.abs(steps[:, None] - wanted).argmin(axis=0)]
    joined = joined[joined["step"].isin(kept)]
    return joined.assign(loss=joined["loss"].map("{:.4g}".format))[[*columns, "step", "loss"]]


def cells_of(models: pd.DataFrame, exponents: pd.DataFrame) -> pd.DataFrame:
    """One row per (gamma, alpha) cell: phi_half, widths, seeds, and the exponent from each initial bias."""
    fits = _as_in_the_sweep(rounded(exponents)).dropna(subset=["alpha"])
    fits = fits[fits["n"].isin(models["n"])].sort_values(["n_points", "n_seeds"], ascending=False, kind="stable")
    fits = fits.drop_duplicates(["gamma", "alpha", "initial_bias"])
    found = models.groupby(["gamma", "alpha", "cell"], as_index=False).agg(
        phi_half=("phi_half", "mean"), widths=("m", "nunique"), seeds=("seed", "nunique")
    )
    for start, column in (("normal", "exponent"), ("zero", "exponent from b = 0")):
        some = fits.loc[fits["initial_bias"] == start, ["gamma", "alpha", "exponent"]]
        found = found.merge(some.rename(columns={"exponent": column}), on=["gamma", "alpha"], how="left")
    return found.round(4)


def cells_chart(
    models: pd.DataFrame, exponents: pd.DataFrame, features: pd.DataFrame | None, curves: pd.DataFrame | None
) -> Any:
    """Choose a (gamma, alpha) cell: its L(m) by seed, split of the loss, norms of the rows, training curves.

    The last two are left out without `features` and `curves`; a cell may have neither.
    """
    cells = cells_of(models, exponents)
    # The first cell shown: the one with most widths, nearest to the paper's example.
    start = cells.assign(distance=(cells["gamma"] + 5 / 9).abs() + (cells["alpha"] - 1).abs())
    start = start.sort_values(["widths", "distance"], ascending=[False, True])["cell"].iloc[0]
    chosen = alt.selection_point(name="chosen", fields=["cell"], value=[{"cell": start}], toggle=False, empty=False)
    grid = (
        alt.Chart(vega.data(cells), title="choose a cell: click")
        .mark_square(size=200, strokeWidth=2, cursor="pointer")
        .encode(
            x=alt.X("alpha:Q", title="data exponent α", scale=alt.Scale(padding=15)),
            y=alt.Y("gamma:Q", title="weight decay γ", scale=alt.Scale(padding=15)),
            color=alt.Color("exponent:Q", title="α_m", scale=alt.Scale(scheme="cividis")),
            stroke=alt.when(chosen).then(alt.value(style.VERMILION)).otherwise(alt.value("transparent")),
            tooltip=[f"{column}:N" for column in cells],
        )
        .add_params(chosen)
        .properties(width=300, height=260)
    )
    columns = ["cell", "start", "m", "seed", "loss", *PARTS.values(), "phi_half", "phi_1", "model"]
    rows = alt.Chart(vega.data(vega.numbers(models.rename(columns=PARTS), columns))).transform_filter(chosen)
    axis = alt.Axis(values=sorted(models["m"].unique().tolist()))
    log_m = alt.X("m:Q", title="model dimension m", axis=axis, scale=alt.Scale(type="log", nice=False, padding=10))
    starts = alt.Scale(domain=list(STARTS.values()))
    dash = alt.StrokeDash(
        "start:N", title="start", scale=starts, legend=alt.Legend(symbolType="stroke", symbolStrokeColor="black")
    )
    lines = (
        rows.mark_line(point={"size": 60})
        .encode(
            x=log_m,
            y=alt.Y("loss:Q", title="loss L").scale(type="log"),
            color=alt.Color(
                "start:N", title="start", scale=alt.Scale(domain=list(STARTS.values()), range=START_COLOURS)
            ),
            shape=alt.Shape("seed:N", title="seed"),
            detail="seed:N",
            tooltip=["model:N", "start:N", "seed:N", "m:Q", "loss:Q"],
        )
        .properties(width=260, height=260, title="L(m), one line per seed")
    )
    split = (
        rows.transform_fold(list(PARTS.values()), as_=["part", "value"])
        .transform_aggregate(value="mean(value)", groupby=["m", "start", "part"])
        .mark_bar()
        .encode(
            x=alt.X("m:O", axis=alt.Axis(labelAngle=0), title="m (left: b ~ N(0, 1), right: b = 0)"),
            xOffset=alt.XOffset("start:N", scale=alt.Scale(domain=list(STARTS.values()), paddingInner=0.1)),
            y=alt.Y("value:Q", title="loss, mean over seeds"),
            color=alt.Color(
                "part:N", title="part of the loss", scale=alt.Scale(domain=list(PARTS.values()), range=PART_COLOURS)
            ),
            tooltip=["m:O", "start:N", "part:N", alt.Tooltip("value:Q", format=".4g")],
        )
        .properties(width=300, height=260, title="split of the loss")
    )
    drawn = [grid, lines, split, _shares(rows, log_m, dash)]
    if features is not None and len(features):
        drawn.append(_norms(models, features, chosen, dash))
    if curves is not None and len(curves):
        drawn.append(_training(models, curves, chosen, dash))
    # Two in a row fit a window of 1000 pixels.
    pairs = [_own_scales(alt.hconcat(*drawn[k : k + 2])) for k in range(0, len(drawn), 2)]
    return _own_scales(alt.vconcat(*pairs))


def _own_scales(charts: Any) -> Any:
    """A concatenation whose charts have their own colours, shapes and dashes."""
    return charts.resolve_scale(color="independent", shape="independent", strokeDash="independent")


WIDTH = alt.Color("m:O", title="m", scale=alt.Scale(scheme="viridis", reverse=True))


def _norms(models: pd.DataFrame, features: pd.DataFrame, chosen: Any, dash: alt.StrokeDash) -> Any:
    """Histograms of the norms of the rows, mean over seeds, one line per width and start."""
    return (
        alt.Chart(vega.data(norms_of(models, features)))
        .transform_filter(chosen)
        .transform_aggregate(share="mean(share)", groupby=["m", "start", "norm"])
        .mark_line()
        .encode(
            x=alt.X("norm:Q", title="norm of the row (last bin: 1.95 and more)"),
            y=alt.Y("share:Q", title="share of the rows"),
            color=WIDTH,
            strokeDash=dash,
            tooltip=["m:O", "start:N", "norm:Q", alt.Tooltip("share:Q", format=".3g")],
        )
        .properties(width=300, height=220, title="norms of the rows, mean over seeds")
    )


def _shares(rows: alt.Chart, log_m: alt.X, dash: alt.StrokeDash) -> Any:
    """Shares of the rows with norm above 1/2 and above 1 against m, mean over seeds."""
    names = {"phi_half": "norm > 1/2", "phi_1": "norm > 1"}
    return (
        rows.transform_fold(list(names), as_=["column", "share"])
        .transform_calculate(bound="datum.column == 'phi_half' ? 'norm > 1/2' : 'norm > 1'")
        .transform_aggregate(share="mean(share)", groupby=["m", "start", "bound"])
        .mark_line()
        .encode(
            x=log_m,
            y=alt.Y("share:Q", title="share of the rows").scale(domain=[0, 1]),
            color=alt.Color("bound:N", title="rows"),
            strokeDash=dash,
            tooltip=["m:Q", "start:N", "bound:N", alt.Tooltip("share:Q", format=".3g")],
        )
        .properties(width=260, height=220, title="share of large rows, mean over seeds")
    )


def _training(models: pd.DataFrame, curves: pd.DataFrame, chosen: Any, dash: alt.StrokeDash) -> Any:
    """Training curves, one line per model."""
    return (
        alt.Chart(vega.data(curves_of(models, curves)))
        .transform_filter(chosen)
        .mark_line()
        .encode(
            x=alt.X("step:Q", scale=alt.Scale(type="log", nice=False), title="step"),
            y=alt.Y("loss:Q", scale=alt.Scale(type="log"), title="training loss"),
            color=WIDTH,
            strokeDash=dash,
            detail="seed:N",
            tooltip=["m:O", "start:N", "seed:N", "step:Q", "loss:Q"],
        )
        .properties(width=300, height=220, title="training curves")
    )
