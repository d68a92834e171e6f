"""Draw the bigram study from its tables.

python -m scaling.figures.bigram --figure bigram_excess --models results/tables/bigram_models.csv --ranks ...
    --exponents ... --rivals ... --output results/figures/bigram_excess.svg
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling import tables
from scaling.command import run
from scaling.figures import style


NONE = "no such bigram model: give matrices and grids under bigram: in the config"
COUNTED = {"text": style.BLUE, "smoothed": style.VERMILION, "shuffled": style.GREEN}
CONTROLS = ("independent", "blocks", "sparse", "spectrum", "random")
RIVALS = {
    "overlap": ("overlaps of W, constant fitted", style.PURPLE, "o"),
    "chi_square": (r"spectrum of $\chi^2$", style.ORANGE, "s"),
    "log_spectrum": (r"spectrum of log $P$", style.GREEN, "^"),
    "truncated": (r"truncated log $P$, exact", style.SKY, "v"),
    "frequency": ("one context per dimension", style.BLACK, "D"),
    "successors": ("two dimensions per successor", style.BLUE, "P"),
}
PREDICTED = {rival: f"predicted_{rival}" for rival in RIVALS} | {"overlap": "balanced_mean_sq_overlap"}
LEAST = 1e-6  # nats per token: a smaller excess is the error of the optimiser, and is not drawn


@dataclass(frozen=True)
class Study:
    """The tables bigram_models, bigram_ranks, bigram_exponents and bigram_rivals."""

    models: pd.DataFrame
    ranks: pd.DataFrame
    exponents: pd.DataFrame
    rivals: pd.DataFrame

    @property
    def free(self) -> pd.DataFrame:
        """Untied models without decay: one curve per matrix."""
        return self.models[(self.models["gamma"] == 0) & ~self.models["tied"]]


def groups(frame: pd.DataFrame, by: list[str] | str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows of each value of some columns, in order of appearance."""
    return iter(frame.groupby(by, sort=False))


def sizes(frame: pd.DataFrame) -> dict[int, str]:
    """A marker for each number of tokens n of the counted matrices."""
    ns = sorted(frame.loc[frame["law"].isin(COUNTED), "n"].unique())
    return dict(zip(ns, style.MARKERS, strict=False))


def mean_and_spread(curve: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean and standard deviation over seeds of a column at each width, but for means below 1e-6."""
    table = curve.groupby("m")[column].agg(["mean", "std"]).astype(float).reset_index()
    return table[table["mean"] > LEAST]


def width_axes(axes: list[Axes]) -> None:
    """Label the x axis as the model dimension, logarithmic."""
    for axis in axes:
        style.log_axis(axis, "x")
        axis.set_xlabel("model dimension $m$")


def law_handles(frame: pd.DataFrame) -> list[Line2D]:
    """Legend entries for laws by colour and for numbers of tokens by marker."""
    laws = [law for law in COUNTED if (frame["law"] == law).any()]
    entries = [Line2D([], [], color=COUNTED[law], marker="o", label=law) for law in laws]
    return entries + [
        Line2D([], [], color=style.GREY, marker=marker, linestyle="none", label=f"n = {n}")
        for n, marker in sizes(frame).items()
    ]


def bigram_excess(study: Study) -> Figure:
    """Excess loss against m, the rivals' predictions of one matrix, and the local exponent against m/n."""
    figure, axes = style.panels(
        1, 3, height=3.4, titles=["excess loss", "predictions, smoothed counts", "local exponent"]
    )
    counted = study.free[study.free["law"].isin(COUNTED)]
    if counted.empty:
        for axis in axes:
            style.missing(axis, NONE)
        return figure
    marker = sizes(counted)
    for (law, n), curve in groups(counted, ["law", "n"]):
        table = mean_and_spread(curve, "excess")
        look = {"color": COUNTED[law], "marker": marker[n], "linestyle": "-", "linewidth": 0.8}
        style.points(axes[0], table["m"], table["mean"], table["std"], **look)
    m = np.geomspace(counted["m"].min(), counted["m"].max() / 2, 20)
    top = float(counted["excess"].max())
    axes[0].plot(m, 1.3 * top * m[0] / m, **style.THEORY)
    handles = [*law_handles(counted), Line2D([], [], label=r"$\propto 1/m$", **style.THEORY)]
    axes[0].legend(handles=handles, loc="lower left")
    draw_rivals(axes[1], counted)
    draw_local_exponents(axes[2], study.exponents, marker)
    width_axes(axes[:2])
    for axis in axes[:2]:
        style.log_axis(axis, "y")
    axes[0].set_ylabel(r"excess $L - H$ (nats per token)")
    axes[1].set_ylabel("excess (nats per token)")
    style.foot(
        figure,
        "No decay, A and W untied. Bars: standard deviation over seeds; in the last panel standard error of a line "
        "through three widths. H is the conditional entropy of the matrix.",
    )
    return figure


def draw_rivals(axis: Axes, counted: pd.DataFrame) -> None:
    """Measured excess of the smoothed matrix with most widths, and what each rival predicts."""
    smoothed = counted[counted["law"] == "smoothed"]
    if smoothed.empty:
        style.missing(axis, "no smoothed matrix")
        return
    chosen = smoothed.groupby("n")["m"].nunique().idxmax()
    curve = smoothed[(smoothed["n"] == chosen) & (smoothed["m"] < smoothed["n"] / 2)]
    measured = mean_and_spread(curve, "excess").set_index("m")["mean"]
    style.points(axis, measured.index, measured, color=style.VERMILION, label=f"measured, n = {chosen}")
    for rival, (label, colour, _) in RIVALS.items():
        predicted = curve.groupby("m")[PREDICTED[rival]].mean().astype(float).loc[measured.index]
        if rival == "overlap":
            predicted *= np.exp(np.mean(np.log(measured / predicted)))
        axis.plot(predicted.index, predicted, color=colour, linewidth=1.0, linestyle=(0, (4, 2)), label=label)
    handles = axis.get_legend_handles_labels()[0]
    axis.figure.legend(handles=handles, loc="outside upper center", ncols=4, title="panel b")


def draw_local_exponents(axis: Axes, exponents: pd.DataFrame, marker: dict[int, str]) -> None:
    """Slope of each three successive widths against their middle one over n."""
    rows = exponents[(exponents["gamma"] == 0) & ~exponents["tied"] & exponents["law"].isin(COUNTED)]
    rows = rows[rows["window"].str.contains("-") & rows["exponent"].notna()]
    for (law, n), part in groups(rows, ["law", "n"]):
        middle = np.sqrt(part["m_min"] * part["m_max"]) / n
        look = {"color": COUNTED[law], "marker": marker[n], "linestyle": "-", "linewidth": 0.8}
        order = np.argsort(middle)
        style.points(
            axis, middle.iloc[order], part["exponent"].iloc[order], part["exponent_stderr"].iloc[order], **look
        )
    axis.axhline(1, **style.THEORY)
    style.log_axis(axis, "x")
    axis.set(xlabel="$m/n$", ylabel=r"exponent $\alpha_m$", ylim=(0, 4))


def bigram_geometry(study: Study) -> Figure:
    """Overlaps against m, the effect of the decay on norms and excess, and the contexts that pay the excess."""
    titles = ["overlaps of W, no decay", "excess under decay", "rows of W under decay", "who pays the excess"]
    figure, axes = style.panels(2, 2, height=5.2, titles=titles)
    counted = study.models[study.models["law"].isin(["text", "smoothed"]) & ~study.models["tied"]]
    counted = counted[counted["m"] < counted["n"] / 2]
    if counted.empty:
        for axis in axes:
            style.missing(axis, NONE)
        return figure
    draw_overlaps(axes[0], counted[counted["gamma"] == 0])
    draw_decay(axes[1], axes[2], counted)
    draw_payers(axes[3], study, counted[counted["gamma"] == 0])
    width_axes(axes[:3])
    for axis in axes[:2]:
        style.log_axis(axis, "y")
    axes[0].set_ylabel(r"$m \, \langle (w_i \cdot w_j)^2 \rangle$")
    axes[1].set_ylabel("excess (nats per token)")
    axes[2].set(ylabel="share of rows with norm > 1/2", ylim=(-0.03, 1.05))
    style.foot(
        figure,
        "Balanced: mean row removed and A and W scaled such that their Gram matrices agree; the loss fixes no other "
        "overlaps. Contexts are ordered by frequency; means over seeds.",
    )
    return figure


def draw_overlaps(axis: Axes, free: pd.DataFrame) -> None:
    """m times the mean squared overlap: raw and balanced, with random rows at 1 and the Welch bound."""
    marker = sizes(free)
    for (law, n), curve in groups(free, ["law", "n"]):
        means = curve.groupby("m")[["mean_sq_overlap", "balanced_mean_sq_overlap"]].mean().astype(float)
        look: dict[str, Any] = {"color": COUNTED[law], "marker": marker[n], "linewidth": 0.8}
        axis.plot(means.index, means.index * means["balanced_mean_sq_overlap"], **look)
        axis.plot(means.index, means.index * means["mean_sq_overlap"], **look, linestyle=":", mfc="white")
    axis.axhline(1, **style.THEORY)
    kinds = [
        Line2D([], [], color=style.GREY, marker="o", label="balanced"),
        Line2D([], [], color=style.GREY, marker="o", mfc="white", linestyle=":", label="as trained"),
        Line2D([], [], label="random rows", **style.THEORY),
    ]
    axis.legend(handles=[*law_handles(free), *kinds], loc="upper left", ncols=2)


def draw_decay(excess: Axes, norms: Axes, counted: pd.DataFrame) -> None:
    """Excess and phi_half against m for each gamma, on the matrices that were trained with more than one."""
    several = counted.groupby("matrix")["gamma"].transform("nunique") > 1
    if not several.any():
        style.missing(excess, "one weight decay")
        style.missing(norms, "one weight decay")
        return
    lines: dict[str, Any] = {"text": "-", "smoothed": ":"}
    for (law, gamma), curve in groups(counted[several], ["law", "gamma"]):
        table = mean_and_spread(curve, "excess")
        look: dict[str, Any] = {"color": style.gamma_colour(gamma) if gamma else style.GREY, "linestyle": lines[law]}
        look |= {"marker": "o", "linewidth": 0.8, "mfc": None if law == "text" else "white"}
        excess.plot(table["m"], table["mean"], **look)
        means = curve.groupby("m")["phi_half"].mean().astype(float)
        norms.plot(means.index, means, **look)
    gammas = sorted(counted.loc[several, "gamma"].unique())
    handles = [
        Line2D(
            [],
            [],
            color=style.gamma_colour(gamma) if gamma else style.GREY,
            marker="o",
            label=rf"$\gamma$ = {style.number(gamma)}",
        )
        for gamma in gammas
    ]
    handles += [Line2D([], [], color=style.GREY, linestyle=kind, label=law) for law, kind in lines.items()]
    excess.legend(handles=handles, loc="lower left")


def draw_payers(axis: Axes, study: Study, free: pd.DataFrame) -> None:
    """Cumulated share of the excess over contexts by rank, of the text with most tokens, at a few widths."""
    text = free[(free["law"] == "text") & (free["seed"] == 0)]
    if text.empty:
        style.missing(axis, "no counts of a text")
        return
    text = text[text["n"] == text["n"].max()].sort_values("m")
    for row in text.iloc[:: max(len(text) // 3, 1)].itertuples():
        part = study.ranks[study.ranks["model"] == row.model].sort_values("rank_min")
        share = part["excess_context"].cumsum() / part["excess_context"].sum()
        colour = style.width_colour(row.m, text["m"].tolist())
        axis.plot(part["rank_max"], share, color=colour, marker="o", ms=3, label=f"excess, m = {row.m}")
    axis.plot(part["rank_max"], part["frequency"].cumsum(), color=style.GREY, linestyle=":", label="frequency")
    style.log_axis(axis, "x")
    axis.set(xlabel="rank of the context by frequency", ylabel="cumulated share", ylim=(0, 1.03))
    axis.legend(loc="upper left")


def bigram_controls(study: Study) -> Figure:
    """Excess of synthetic matrices, and measured exponents of all matrices against each rival's."""
    titles = ["synthetic matrices", "exponents, measured against predicted"]
    figure, axes = style.panels(1, 2, height=3.1, titles=titles)
    controls = study.free[study.free["law"].isin(CONTROLS)]
    if controls.empty:
        style.missing(axes[0], "no synthetic matrix")
    for k, (name, curve) in enumerate(controls.groupby("matrix", sort=False)):
        share = mean_and_spread(curve.dropna(subset=["excess_share"]), "excess_share")
        if len(share):
            look: dict[str, Any] = {"marker": style.MARKERS[k % len(style.MARKERS)], "linewidth": 0.8}
            axes[0].plot(share["m"], share["mean"], label=name, **look)
    if len(controls):
        width_axes(axes[:1])
        style.log_axis(axes[0], "y")
        axes[0].set_ylabel("excess / mutual information")
        style.legend(axes[0], loc="lower left", fontsize=6.5)
    rows = study.rivals[(study.rivals["gamma"] == 0) & ~study.rivals["tied"] & (study.rivals["window"] == "all")]
    for rival, part in groups(rows, "rival"):
        label, colour, marker = RIVALS[rival]
        counted = part["law"].isin(COUNTED)
        for chosen, face in ((counted, colour), (~counted, "white")):
            axes[1].plot(
                part.loc[chosen, "predicted_exponent"],
                part.loc[chosen, "exponent"],
                linestyle="none",
                marker=marker,
                color=colour,
                mfc=face,
                label=label if face == colour else None,
            )
    if rows.empty:
        style.missing(axes[1], "no curve with three widths and an excess above zero")
    else:
        limits = [-0.1, 1.1 * float(rows["exponent"].max())]
        axes[1].plot(limits, limits, **style.THEORY)
        axes[1].set(xlabel=r"predicted $\alpha_m$", ylabel=r"measured $\alpha_m$", xlim=limits, ylim=limits)
        axes[1].legend(loc="lower right", fontsize=6.5)
    style.foot(
        figure,
        "No decay, A and W untied; lines through all widths below n/2. Filled: matrices counted from a text, open: "
        "synthetic ones; dashed: predicted = measured.",
    )
    return figure


FIGURES = {
    "bigram_excess": bigram_excess,
    "bigram_geometry": bigram_geometry,
    "bigram_controls": bigram_controls,
}


def main() -> None:
    """Parse the command line, read the tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", nargs="+", required=True, help=f"figures to draw: {', '.join(FIGURES)}")
    for name in ("models", "ranks", "exponents", "rivals"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table bigram_{name}")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="pictures to write, .svg or .png")
    arguments = parser.parse_args()
    read = {name: tables.read(f"bigram_{name}", getattr(arguments, name)) for name in Study.__dataclass_fields__}
    style.write_figures(FIGURES, arguments.figure, Study(**read), arguments.output)


if __name__ == "__main__":
    run(main)
