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
    titles = ["held-out loss", "mean squared overlap of the head", "tokens with a row"]
    figure, axes = style.panels(1, 3, height=2.7, titles=titles)
    if family.empty:
        for axis in axes:
            style.missing(axis, NONE)
        return figure
    widths = sorted(family["m"].unique())
    for gamma, curve in by_gamma(family):
        look = {"color": style.gamma_colour(gamma), **style.MEASURED, "linestyle": "-"}
        other = {**look, "linestyle": ":", "mfc": "white"}
        style.points(axes[0], curve["m"], curve["loss"], 1.96 * curve["loss_stderr"], **look)
        axes[1].plot(curve["m"], curve["mean_sq_overlap"], **look)
        axes[1].plot(curve["m"], curve["centred_mean_sq_overlap"], **other)
        axes[2].plot(curve["m"], curve["phi_half"], **look)
        axes[2].plot(curve["m"], curve["phi_1"], **other)
    other_rates(axes[0], family)
    m = np.geomspace(widths[0], widths[-1], 50)
    axes[1].plot(m, [geometry.random_sq_overlap_mean(width) for width in m], **style.THEORY)
    for axis in axes:
        style.log_axis(axis, "x", widths)
        axis.set_xlabel("model dimension $m$")
    style.log_axis(axes[1], "y")
    axes[0].set_ylabel("nats per token")
    axes[1].set_ylabel(r"$\langle (w_i \cdot w_j)^2 \rangle$")
    axes[2].set(ylabel="share of the vocabulary", ylim=(-0.03, 1.05))
    handles = [
        Line2D([], [], color=style.gamma_colour(gamma), marker="o", label=rf"$\gamma$ = {style.number(gamma)}")
        for gamma, _ in by_gamma(family)
    ]
    handles.append(Line2D([], [], color=style.GREY, marker="x", linestyle="none", label="other learning rate"))
    axes[0].legend(handles=handles)
    solid = Line2D([], [], color=style.GREY, marker="o")
    open_circles = Line2D([], [], color=style.GREY, marker="o", mfc="white", linestyle=":")
    theory = Line2D([], [], **style.THEORY)
    axes[1].legend([solid, open_circles, theory], ["raw", "mean row removed", "random rows: 1/m"], loc="lower left")
    axes[2].legend([solid, open_circles], ["norm > 1/2", "norm > 1"])
    one = family.iloc[0]
    style.foot(
        figure,
        f"{one['architecture']}, {one['n_layers']} layers, vocabulary {one['vocabulary']}, trained on "
        f"{one['n_tokens']:,} tokens of Python's documentation ({one['n_epochs']:.1f} times over); means over seeds. "
        "Bars: 95 % over held-out documents, the same for every model. Crosses: other learning rates.",
    )
    return figure


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
