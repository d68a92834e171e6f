"""Draw the family of language models trained here from its table.

python -m scaling.figures.family --family results/tables/llm_family.csv --output results/figures/llm_family.svg
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from scaling import geometry, tables
from scaling.command import run
from scaling.figures import style


NONE = "no language model trained: give grids under llm: family: models"
BY_GAMMA = ["loss", "mean_sq_overlap", "centred_mean_sq_overlap", "phi_half", "phi_1"]


def by_gamma(family: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """The study's members of each gamma, means over seeds against m."""
    study = family[family["learning_rate_factor"] == 1]
    for gamma in sorted(study["gamma"].astype(float).unique()):
        members = study[study["gamma"] == gamma]
        yield gamma, members.groupby("m")[[*BY_GAMMA, "loss_stderr"]].mean().astype(float).reset_index()


def llm_family(family: pd.DataFrame) -> Figure:
    """Held-out loss, overlaps and represented tokens against m, for each weight decay gamma of the head's rows."""
    titles = ["held-out loss", "difference of the loss", "mean squared overlap of the head", "tokens with a row"]
    figure, (losses, difference, overlaps, tokens) = style.panels(2, 2, height=4.8, titles=titles)
    axes = (losses, difference, overlaps, tokens)
    if family.empty:
        for axis in axes:
            style.missing(axis, NONE)
        return figure
    widths = sorted(family["m"].unique())
    for gamma, curve in by_gamma(family):
        look = {"color": style.gamma_colour(gamma), **style.MEASURED, "linestyle": "-"}
        other = {**look, "linestyle": ":", "mfc": "white"}
        style.points(losses, curve["m"], curve["loss"], 1.96 * curve["loss_stderr"], **look)
        overlaps.plot(curve["m"], curve["mean_sq_overlap"], **look)
        overlaps.plot(curve["m"], curve["centred_mean_sq_overlap"], **other)
        tokens.plot(curve["m"], curve["phi_half"], **look)
        tokens.plot(curve["m"], curve["phi_1"], **other)
    other_rates(losses, family)
    paired_difference(difference, family)
    m = np.geomspace(widths[0], widths[-1], 50)
    overlaps.plot(m, [geometry.random_sq_overlap_mean(width) for width in m], **style.THEORY)
    for axis in axes:
        style.log_axis(axis, "x", widths)
        axis.set_xlabel("model dimension $m$")
    style.log_axis(overlaps, "y")
    losses.set_ylabel("nats per token")
    overlaps.set_ylabel(r"$\langle (w_i \cdot w_j)^2 \rangle$")
    tokens.set(ylabel="share of the vocabulary", ylim=(-0.03, 1.05))
    handles = [
        Line2D([], [], color=style.gamma_colour(gamma), marker="o", label=rf"$\gamma$ = {style.number(gamma)}")
        for gamma, _ in by_gamma(family)
    ]
    handles.append(Line2D([], [], color=style.GREY, marker="x", linestyle="none", label="other learning rate"))
    losses.legend(handles=handles)
    solid = Line2D([], [], color=style.GREY, marker="o")
    open_circles = Line2D([], [], color=style.GREY, marker="o", mfc="white", linestyle=":")
    theory = Line2D([], [], **style.THEORY)
    overlaps.legend([solid, open_circles, theory], ["raw", "mean row removed", "random rows: 1/m"], loc="lower left")
    tokens.legend([solid, open_circles], ["norm > 1/2", "norm > 1"])
    one = family.iloc[0]
    style.foot(
        figure,
        f"{one['architecture']}, {one['n_layers']} layers, vocabulary {one['vocabulary']}, trained on "
        f"{one['n_tokens']:,} tokens of Python's documentation ({one['n_epochs']:.1f} times over); means over seeds. "
        "Bars on losses: 95 % over held-out documents, the same for every model; on differences: 95 % t-interval of "
        "pairs with the same seed, their variance pooled over m. Crosses: other learning rates.",
    )
    return figure


def paired_differences(family: pd.DataFrame) -> pd.DataFrame:
    """Loss at the largest gamma less that at the smallest, in pairs of equal m and seed: m, difference, half_width.

    half_width is that of the 95 % t-interval; the variance of the pairs is pooled over m. It is empty with one seed.
    """
    study = family[family["learning_rate_factor"] == 1]
    low, high = (study[study["gamma"] == gamma] for gamma in (study["gamma"].min(), study["gamma"].max()))
    pairs = high.merge(low, on=["m", "seed"], suffixes=("_high", "_low"))
    pairs = pairs.assign(difference=pairs["loss_high"] - pairs["loss_low"])
    groups = pairs.groupby("m")["difference"]
    found = groups.agg(difference="mean", n="size").reset_index()
    freedom = len(pairs) - len(found)
    if freedom < 1:
        return found.assign(half_width=np.nan)
    variance = ((pairs["difference"] - groups.transform("mean")) ** 2).sum() / freedom
    return found.assign(half_width=stats.t.ppf(0.975, freedom) * np.sqrt(variance / found["n"]))


def paired_difference(axis: Axes, family: pd.DataFrame) -> None:
    """Loss at the largest weight decay less that at the smallest, against m."""
    found = paired_differences(family)
    low, high = (style.number(gamma) for gamma in (family["gamma"].min(), family["gamma"].max()))
    style.points(axis, found["m"], found["difference"], found["half_width"], color=style.BLACK, linestyle="-")
    axis.axhline(0, **style.THEORY)
    axis.set_ylabel(rf"$L(\gamma = {high}) - L(\gamma = {low})$ (nats)".replace("−", "-"))


def other_rates(axis: Axes, family: pd.DataFrame) -> None:
    """Members at another learning rate than the recipe's, which should lie above the curve."""
    others = family[family["learning_rate_factor"] != 1]
    for gamma in others["gamma"].astype(float).unique():
        members = others[others["gamma"] == gamma]
        axis.plot(members["m"], members["loss"], "x", ms=4, color=style.gamma_colour(gamma), zorder=2)


def main() -> None:
    """Parse the command line, read the table, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", type=Path, required=True, help="CSV table llm_family")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="pictures to write, .svg or .png")
    arguments = parser.parse_args()
    style.save(llm_family(tables.read("llm_family", arguments.family)), *arguments.output)
    logging.info("llm_family: wrote %s", ", ".join(map(str, arguments.output)))


if __name__ == "__main__":
    run(main)
