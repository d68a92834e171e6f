"""One interactive page: heads, losses and claims with names on hover, and the models of each (gamma, alpha) cell.

python -m scaling.figures.interactive --tables results/tables --losses resources/published/fig8b_llm_loss.csv \
    --output results/pages/interactive.html

The charts are Vega-Lite specifications made by Altair; the page includes Vega and its data and loads nothing.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from scaling import tables
from scaling.command import InputError, run, whole_file
from scaling.curves import decay_sweep, usual
from scaling.figures import style
from scaling.figures.claims import VERDICT
from scaling.figures.study import rounded
from scaling.fits.llm import published_losses


CURVE_POINTS = 40  # of a training curve, evenly in log step
NORM_EDGES = np.linspace(0, 2, 41)  # of the histogram of norms; the last bin holds larger ones too
PARTS = {"loss_silent": "silent", "loss_shrink": "shrink", "loss_interference": "interference", "loss_false": "false"}
NEEDED = ["claims", "llm_overlaps", "llm_loss_intercepts", "toy_models", "toy_exponents", "toy_features", "toy_curves"]
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Interactive figures</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 1.2em; color: #222; }
section { margin-bottom: 2em; overflow-x: auto; }
</style>
<script>$bundle</script>
</head>
<body>
$sections
<script>
const charts = $charts;
for (const [name, spec] of Object.entries(charts)) vegaEmbed("#" + name, spec, { actions: false, renderer: "svg" });
</script>
</body>
</html>
""")


def models_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Models of the decay sweep with the n that most have; one row per model."""
    models = decay_sweep(rounded(frame).drop_duplicates("model")).dropna(subset=["alpha"])
    if len(models):
        models = models[models["n"] == models["n"].mode().iloc[0]]
    models = models.sort_values(["gamma", "alpha", "m", "seed"], kind="stable").reset_index(drop=True)
    return models.assign(cell=_cell(models))


def _cell(frame: pd.DataFrame) -> pd.Series:
    """The name of each row's (gamma, alpha) cell."""
    return frame["gamma"].map("γ = {:.3g}".format) + frame["alpha"].map(", α = {:.3g}".format)


def norms_of(models: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Share of the rows of W per bin of the norm: cell, m, seed, norm (middle of the bin), share; no empty bins."""
    joined = features[["model", "norm"]].merge(models[["model", "cell", "m", "seed"]], on="model")
    place = np.digitize(joined["norm"].clip(0, NORM_EDGES[-1] - 1e-9), NORM_EDGES) - 1
    middle = (NORM_EDGES[:-1] + NORM_EDGES[1:]) / 2
    counts = joined.assign(norm=middle[place]).groupby(["cell", "m", "seed", "norm"]).size().rename("share")
    return (counts / counts.groupby(["cell", "m", "seed"]).transform("sum")).round(5).reset_index()


def curves_of(models: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Training curves thinned to about CURVE_POINTS points: cell, m, seed, step, loss."""
    joined = curves.merge(models[["model", "cell", "m", "seed"]], on="model")
    if joined.empty:
        return joined[["cell", "m", "seed", "step", "loss"]]
    steps = np.sort(joined["step"].unique())
    wanted = np.geomspace(steps[0], steps[-1], CURVE_POINTS)
    kept = steps[np.abs(steps[:, None] - wanted).argmin(axis=0)]
    joined = joined[joined["step"].isin(kept)]
    return joined.assign(loss=joined["loss"].map("{:.4g}".format))[["cell", "m", "seed", "step", "loss"]]


def _data(frame: pd.DataFrame) -> alt.InlineData:
    """Rows as CSV text inside the specification, a third of the size of JSON."""
    numbers = {str(name): "number" for name in frame if pd.to_numeric(frame[name], errors="coerce").notna().any()}
    return alt.InlineData(values=frame.to_csv(index=False), format=alt.CsvDataFormat(type="csv", parse=numbers))


def _numbers(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The columns, with numbers to five digits."""
    part = frame[list(columns)].copy()
    for column in part.select_dtypes("float"):
        part[column] = part[column].map(lambda value: f"{value:.5g}", na_action="ignore")
    return part


def cells_chart(models: pd.DataFrame, exponents: pd.DataFrame, features: pd.DataFrame, curves: pd.DataFrame) -> Any:
    """Choose a (gamma, alpha) cell: its L(m) by seed, split of the loss, norms of the rows, training curves."""
    fits = usual(rounded(exponents)).dropna(subset=["alpha"])
    fits = fits.sort_values("n_points", ascending=False).drop_duplicates(["n", "gamma", "alpha", "activation_density"])
    cells = models.groupby(["n", "gamma", "alpha", "activation_density", "cell"], as_index=False).agg(
        phi_half=("phi_half", "mean"), widths=("m", "nunique"), seeds=("seed", "nunique")
    )
    cells = cells.merge(
        fits[["n", "gamma", "alpha", "activation_density", "exponent"]],
        on=["n", "gamma", "alpha", "activation_density"],
        how="left",
    )
    # The first cell shown: the one with most widths, nearest to the paper's example.
    start = cells.assign(distance=(cells["gamma"] + 5 / 9).abs() + (cells["alpha"] - 1).abs())
    start = start.sort_values(["widths", "distance"], ascending=[False, True])["cell"].iloc[0]
    chosen = alt.selection_point(name="chosen", fields=["cell"], value=[{"cell": start}], toggle=False, empty=False)
    columns = ["cell", "gamma", "alpha", "phi_half", "exponent", "widths", "seeds"]
    grid = (
        alt.Chart(_data(cells[columns].round(4)), title="choose a cell: click")
        .mark_square(size=260, strokeWidth=2, cursor="pointer")
        .encode(
            x=alt.X("alpha:Q", title="data exponent α", scale=alt.Scale(padding=15)),
            y=alt.Y("gamma:Q", title="weight decay γ", scale=alt.Scale(padding=15)),
            color=alt.Color("exponent:Q", title="α_m", scale=alt.Scale(scheme="cividis")),
            stroke=alt.when(chosen).then(alt.value(style.VERMILION)).otherwise(alt.value("transparent")),
            tooltip=[f"{column}:N" for column in columns],
        )
        .add_params(chosen)
        .properties(width=260, height=260)
    )
    rows = models.rename(columns=PARTS)
    loss = alt.Chart(_data(_numbers(rows, ["cell", "m", "seed", "loss", *PARTS.values(), "model"]))).transform_filter(
        chosen
    )
    log_m = alt.X("m:Q", title="model dimension m", scale=alt.Scale(type="log", nice=False, padding=10))
    seed = alt.Color("seed:N", title="seed")
    lines = (
        loss.mark_line(point={"size": 60})
        .encode(x=log_m, y=alt.Y("loss:Q", title="loss L").scale(type="log"), color=seed, tooltip=["model:N", "loss:Q"])
        .properties(width=240, height=260, title="L(m), one line per seed")
    )
    split = (
        loss.transform_fold(list(PARTS.values()), as_=["part", "value"])
        .transform_aggregate(value="mean(value)", groupby=["m", "part"])
        .mark_bar()
        .encode(
            x=alt.X("m:O", title="model dimension m"),
            y=alt.Y("value:Q", title="loss, mean over seeds"),
            color=alt.Color("part:N", title="part of the loss"),
            tooltip=["m:O", "part:N", alt.Tooltip("value:Q", format=".4g")],
        )
        .properties(width=240, height=260, title="split of the loss")
    )
    width = alt.Color("m:O", title="m", scale=alt.Scale(scheme="viridis", reverse=True))
    norms = (
        alt.Chart(_data(norms_of(models, features)))
        .transform_filter(chosen)
        .transform_aggregate(share="mean(share)", groupby=["m", "norm"])
        .mark_line(point=True)
        .encode(
            x=alt.X("norm:Q", title="norm of the row (last bin: 1.95 and more)"),
            y=alt.Y("share:Q", title="share of the rows"),
            color=width,
            tooltip=["m:O", "norm:Q", alt.Tooltip("share:Q", format=".3g")],
        )
        .properties(width=350, height=220, title="norms of the rows, mean over seeds")
    )
    training = (
        alt.Chart(_data(curves_of(models, curves)))
        .transform_filter(chosen)
        .mark_line()
        .encode(
            x=alt.X("step:Q", scale=alt.Scale(type="log"), title="step"),
            y=alt.Y("loss:Q", scale=alt.Scale(type="log"), title="training loss"),
            color=width,
            detail="seed:N",
            tooltip=["m:O", "seed:N", "step:Q", "loss:Q"],
        )
        .properties(width=350, height=220, title="training curves")
    )
    top = alt.hconcat(grid, lines, split).resolve_scale(color="independent")
    return alt.vconcat(top, alt.hconcat(norms, training)).resolve_scale(color="independent")


def overlaps_chart(overlaps: pd.DataFrame) -> Any:
    """Fig. 8a: m times the mean squared overlap of each head against m, raw and centred, with its name on hover."""
    heads = overlaps[overlaps["status"] != "failed"].dropna(subset=["m", "mean_sq_overlap"])
    kinds = {"raw": "mean_sq_overlap", "mean row removed": "centred_mean_sq_overlap"}
    long = pd.concat([heads.assign(kind=kind, value=heads["m"] * heads[column]) for kind, column in kinds.items()])
    columns = ["model", "family", "status", "m", "kind", "value"]
    return (
        alt.Chart(_data(long[columns].dropna()))
        .mark_point(filled=True, size=60)
        .encode(
            x=alt.X("m:Q", scale=alt.Scale(type="log"), title="model dimension m"),
            y=alt.Y("value:Q", scale=alt.Scale(type="log"), title="m × mean squared overlap (random rows: 1)"),
            color=alt.Color("family:N"),
            shape=alt.Shape("status:N"),
            tooltip=["model:N", "family:N", "status:N", "m:Q", alt.Tooltip("value:Q", format=".3g")],
        )
        .properties(width=380, height=300)
        .facet(column=alt.Column("kind:N", title=None, sort=list(kinds)))
    )


def losses_chart(losses: pd.DataFrame, intercepts: pd.DataFrame) -> Any:
    """Fig. 8b: loss less its fitted L0 against m, with the model's name on hover."""
    points = losses.merge(intercepts[intercepts["source"] == "published"], on=["family", "dataset"])
    points = points.assign(excess=points["loss"] - points["intercept"]).query("excess > 0")
    return (
        alt.Chart(_data(_numbers(points, ["model", "family", "dataset", "m", "loss", "excess"])))
        .mark_point(size=60)
        .encode(
            x=alt.X("m:Q", scale=alt.Scale(type="log"), title="model dimension m"),
            y=alt.Y("excess:Q", scale=alt.Scale(type="log"), title="L − L0 (nats per token)"),
            color="family:N",
            shape="dataset:N",
            tooltip=["model:N", "family:N", "dataset:N", "m:Q", "loss:Q", "excess:Q"],
        )
        .properties(width=500, height=320)
    )


def claims_chart(claims: pd.DataFrame) -> Any:
    """z of every claim that was run; a click on the legend shows one verdict."""
    done = claims.dropna(subset=["z"]).assign(shown=lambda frame: frame["z"].clip(-8, 8).round(3))
    columns = ["verdict", "id", "claim", "where", "quantity", "expected", "ours", "ours_err", "z", "shown"]
    verdict = alt.selection_point(name="verdict", fields=["verdict"], bind="legend")
    return (
        alt.Chart(_data(done[columns]), title="click a verdict in the legend; double click: all")
        .transform_filter(verdict)
        .mark_point(filled=True, size=60)
        .encode(
            x=alt.X("shown:Q", title="z = (ours − expected)/s, cut at ±8", scale=alt.Scale(domain=[-8.5, 8.5])),
            y=alt.Y("id:N", title=None, axis=alt.Axis(labelLimit=300)),
            color=alt.Color(
                "verdict:N", scale=alt.Scale(domain=list(VERDICT), range=list(VERDICT.values())), title="verdict"
            ),
            tooltip=[f"{column}:N" for column in columns[:6]]
            + [alt.Tooltip(f"{column}:Q", format=".3g") for column in columns[6:9]],
        )
        .add_params(verdict)
        .properties(width=420)
    )


def charts(given: dict[str, pd.DataFrame], losses: pd.DataFrame) -> dict[str, tuple[str, Any]]:
    """Charts by name with their headings; a study without models of the decay sweep has no chart of cells."""
    found = {}
    models = models_of(given["toy_models"])
    if len(models):
        cells = cells_chart(models, given["toy_exponents"], given["toy_features"], given["toy_curves"])
        found["cells"] = ("Toy models by weight decay and data exponent", cells)
    found["overlaps"] = ("Overlaps of language-model heads (Fig. 8a)", overlaps_chart(given["llm_overlaps"]))
    found["losses"] = ("Losses of language models (Fig. 8b)", losses_chart(losses, given["llm_loss_intercepts"]))
    found["claims"] = ("Claims", claims_chart(given["claims"]))
    return found


def page(given: dict[str, pd.DataFrame], losses: pd.DataFrame) -> str:
    """The page as HTML that needs no other file; `given` has the tables of NEEDED by name."""
    found = charts(given, losses)
    # "</" inside a script would end it.
    specs = json.dumps({name: chart.to_dict() for name, (_, chart) in found.items()}).replace("</", "<\\/")
    return PAGE.substitute(
        bundle=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script"),
        sections="\n".join(
            f'<section><h2>{head}</h2><div id="{name}"></div></section>' for name, (head, _) in found.items()
        ),
        charts=specs,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the run's tables, such as results/tables")
    parser.add_argument("--losses", type=Path, required=True, help="losses read off Fig. 8b (fig8b_llm_loss.csv)")
    parser.add_argument("--output", type=Path, required=True, help="page to write, .html")
    options = parser.parse_args(arguments)
    if options.output.suffix != ".html":
        raise InputError(f"{options.output}: the page is HTML; end the name with .html")
    given = {name: tables.read(name, options.tables / f"{name}.csv") for name in NEEDED}
    text = page(given, published_losses(str(options.losses)))
    with whole_file(options.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    logging.info("wrote %s, %.1f MB", options.output, len(text) / 1e6)


if __name__ == "__main__":
    run(main)
