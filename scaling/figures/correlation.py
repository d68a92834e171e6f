"""Draw toy models on correlated features.

python -m scaling.figures.correlation --models toy_correlation.csv --exponents correlation_exponents.csv --output a.svg
"""

import argparse
import logging
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling import tables
from scaling.command import run
from scaling.figures import style


NONE = "no such model: config/correlation.yaml has some"
REGIMES = {"strong superposition": True, "weak superposition": False}
LOOK: dict[str, dict[str, Any]] = {
    "copula": {"linestyle": "-"},
    "mixed": {"linestyle": ":", "mfc": "white"},
}
MARKERS = "osD^v"  # by alpha
NAME = {"copula": "frequencies kept", "mixed": "frequencies changed"}


def groups(frame: pd.DataFrame, by: list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows of each value of some columns, in order."""
    return iter(frame.groupby(by, sort=True))


def colour(rho: float) -> Any:
    """Colour of correlation rho in 0..1."""
    return matplotlib.colormaps["viridis"](0.9 * rho)


def toy_correlation(models: pd.DataFrame, exponents: pd.DataFrame) -> Figure:
    """Loss against m at each correlation in both regimes, and the exponent against the correlation.

    Blocks of the most frequent size are shown.
    """
    size = models["block_size"].mode()
    models, exponents = (frame[frame["block_size"].isin(size[:1])] for frame in (models, exponents))
    marker = dict(zip(sorted(models["alpha"].unique()), cycle(MARKERS), strict=False))
    figure, axes = style.panels(1, 3, height=2.8, titles=[*REGIMES, "exponent"])
    for axis, strong in zip(axes, REGIMES.values(), strict=False):
        part = models[(models["gamma"] < 0) == strong]
        if part.empty:
            style.missing(axis, NONE)
            continue
        for (activity, alpha, rho), curve in groups(part, ["activity", "alpha", "correlation"]):
            table = curve.groupby("m")["loss"].agg(["mean", "std"]).astype(float)
            style.points(
                axis,
                table.index,
                table["mean"],
                table["std"],
                color=colour(rho),
                marker=marker[alpha],
                **LOOK[activity],
            )
        style.log_axis(axis, "x", sorted(part["m"].unique()))
        style.log_axis(axis, "y")
        axis.set(xlabel="model dimension $m$", ylabel="loss $L$")
        handles = [
            Line2D([], [], color=colour(rho), label=rf"$\rho$ = {style.number(rho)}")
            for rho in sorted(part["correlation"].unique())
        ]
        kinds = [kind for kind in LOOK if (part["activity"] == kind).any()]
        handles += [
            Line2D([], [], color=style.GREY, linestyle="none", marker=marker[alpha], label=rf"$\alpha$ = {alpha:g}")
            for alpha in sorted(part["alpha"].unique())
        ]
        if len(kinds) > 1:
            handles += [Line2D([], [], color=style.GREY, **LOOK[kind], label=NAME[kind]) for kind in kinds]
        axis.legend(handles=handles, loc="lower left", fontsize=6.5)
    rows = exponents.dropna(subset=["exponent"])
    if rows.empty:
        style.missing(axes[2], NONE)
    for (activity, gamma, alpha), part in groups(rows, ["activity", "gamma", "alpha"]):
        look = {**LOOK[activity], "color": style.gamma_colour(gamma), "marker": marker[alpha]}
        label = rf"$\gamma$ = {style.number(gamma)}, $\alpha$ = {alpha:g}"
        label += "" if activity == "copula" else f", {NAME[activity]}"
        style.points(axes[2], part["correlation"], part["exponent"], part["exponent_stderr"], **look, label=label)
    if len(rows):
        axes[2].axhline(1, **style.THEORY)
        axes[2].set(xlabel=r"correlation $\rho$", ylabel=r"exponent $\alpha_m$")
        axes[2].legend(fontsize=6.5)
    blocks = ", ".join(f"blocks of {features} features" for features in size[:1])
    style.foot(
        figure,
        f"Bars: standard deviation over seeds; in (c) standard error of the line. Dashed: 1. {blocks.capitalize()}.",
    )
    return figure


def main() -> None:
    """Parse the command line, read the tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="table toy_correlation")
    parser.add_argument("--exponents", type=Path, required=True, help="table correlation_exponents")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="pictures to write, .svg or .png")
    arguments = parser.parse_args()
    models = tables.read("toy_correlation", arguments.models)
    figure = toy_correlation(models, tables.read("correlation_exponents", arguments.exponents))
    style.save(figure, *arguments.output)
    logging.info("toy_correlation: wrote %s", ", ".join(map(str, arguments.output)))


if __name__ == "__main__":
    run(main)
