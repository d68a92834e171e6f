"""One interactive page: heads, losses and claims with names on hover, and the models of each (gamma, alpha) cell.

python -m scaling.figures.interactive --tables results/tables --losses resources/published/fig8b_llm_loss.csv \
    --output results/pages/interactive.html

A chart is shown if its tables are in the folder: resources/recorded/paper, with the toy models alone, makes a page of
the paper's study. The charts are Vega-Lite specifications made by Altair. The page includes Vega and its data and loads
nothing.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from scaling import tables
from scaling.command import InputError, run, whole_file
from scaling.figures import style, vega
from scaling.figures.claims import VERDICT
from scaling.figures.vega_cells import cells_chart, models_of
from scaling.fits.llm import published_losses
from scaling.tables import table_path


TABLES = ["claims", "llm_overlaps", "llm_loss_intercepts", "toy_models", "toy_exponents", "toy_features", "toy_curves"]
COLOURS = [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.SKY, style.VERMILION, style.BLACK]
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


def overlaps_chart(overlaps: pd.DataFrame) -> Any:
    """Fig. 8a: m times the mean squared overlap of each head against m, raw and centred, with its name on hover."""
    heads = overlaps[overlaps["status"] != "failed"].dropna(subset=["m", "mean_sq_overlap"])
    kinds = {"raw": "mean_sq_overlap", "mean row removed": "centred_mean_sq_overlap"}
    long = pd.concat([heads.assign(kind=kind, value=heads["m"] * heads[column]) for kind, column in kinds.items()])
    columns = ["model", "family", "status", "m", "kind", "value"]
    return (
        alt.Chart(vega.data(long[columns].dropna()))
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
        alt.Chart(vega.data(vega.numbers(points, ["model", "family", "dataset", "m", "loss", "excess"])))
        .mark_point(size=60)
        .encode(
            x=alt.X("m:Q", scale=alt.Scale(type="log", nice=False, padding=15), title="model dimension m"),
            y=alt.Y("excess:Q", scale=alt.Scale(type="log", nice=False, padding=15), title="L − L0 (nats per token)"),
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
        alt.Chart(vega.data(done[columns]), title="click a verdict in the legend; double click: all")
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


def charts(given: dict[str, pd.DataFrame], losses: pd.DataFrame | None) -> dict[str, tuple[str, Any]]:
    """Charts by name with their headings, each if its tables are there; no cells without models of the decay sweep."""
    found = {}
    models = models_of(given["toy_models"]) if "toy_models" in given else pd.DataFrame()
    if len(models) and "toy_exponents" in given:
        cells = cells_chart(models, given["toy_exponents"], given.get("toy_features"), given.get("toy_curves"))
        found["cells"] = ("Toy models by weight decay and data exponent", cells)
    if "llm_overlaps" in given:
        found["overlaps"] = ("Overlaps of language-model heads (Fig. 8a)", overlaps_chart(given["llm_overlaps"]))
    if losses is not None and "llm_loss_intercepts" in given:
        found["losses"] = ("Losses of language models (Fig. 8b)", losses_chart(losses, given["llm_loss_intercepts"]))
    if "claims" in given:
        found["claims"] = ("Claims", claims_chart(given["claims"]))
    return found


def page(given: dict[str, pd.DataFrame], losses: pd.DataFrame | None = None) -> str:
    """The page as HTML that needs no other file; `given` has tables of TABLES by name."""
    found = charts(given, losses)
    # "</" inside a script would end it.
    specs = json.dumps(
        {name: chart.configure_range(category=COLOURS).to_dict() for name, (_, chart) in found.items()}
    ).replace("</", "<\\/")
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
    parser.add_argument("--losses", type=Path, help="losses read off Fig. 8b (fig8b_llm_loss.csv)")
    parser.add_argument("--output", type=Path, required=True, help="page to write, .html")
    options = parser.parse_args(arguments)
    if options.output.suffix != ".html":
        raise InputError(f"{options.output}: the page is HTML; end the name with .html")
    paths = {name: table_path(options.tables, name) for name in TABLES}
    given = {name: tables.read(name, path) for name, path in paths.items() if path.is_file()}
    if not given:
        raise InputError(f"{options.tables}: no table of the page is there; they are {', '.join(TABLES)}")
    text = page(given, published_losses(str(options.losses)) if options.losses else None)
    with whole_file(options.output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    logging.info("wrote %s, %.1f MB", options.output, len(text) / 1e6)


if __name__ == "__main__":
    run(main)
