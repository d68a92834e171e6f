"""Draw the loss against training time: toy models at a constant learning rate, and bigram models under gradient flow.

python -m scaling.figures.training_time --exponents time_exponents.csv --curves toy_curves.csv --flow bigram_flow.csv
    --output results/figures/training_time.svg
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaling import tables
from scaling.command import run
from scaling.figures import style


CONSTANT = "constant"  # the recipe without a schedule
GUIDES = {"toy": (1.0, "$t^{-1}$"), "bigram": (1 / 3, "$t^{-1/3}$")}


def training_time(exponents: pd.DataFrame, curves: pd.DataFrame, flow: pd.DataFrame) -> Figure:
    """Loss against step for each toy model of the recipe `constant`, and excess against time for each flow."""
    titles = ["toy models, constant learning rate", "bigram models, gradient flow"]
    figure, axes = style.panels(1, 2, height=3.1, titles=titles)
    toy = exponents[(exponents["study"] == "toy") & (exponents["training"] == CONSTANT)]
    for k, row in enumerate(records(toy.sort_values(["gamma", "alpha"]))):
        part = curves[curves["model"] == row.model]
        label = rf"$\gamma$ = {style.number(row.gamma)}, $\alpha$ = {row.alpha:g}: {interval(row)}"
        axes[0].plot(part["step"], part["loss"], color=style.gamma_colour(row.gamma), **look(k), label=label)
        limit(axes[0], row, style.gamma_colour(row.gamma))
    if toy.empty:
        style.missing(axes[0], "no toy model of a training named constant")
    bigram = exponents[exponents["study"] == "bigram"]
    for k, row in enumerate(records(bigram)):
        matrix, run_name = row.model.split("/")
        m_is, step_is = run_name.split("_step")
        here = (flow["matrix"] == matrix) & (flow["m"] == row.m) & np.isclose(flow["step_size"], row.step_size)
        colour = style.seed_colour(k)
        label = f"{matrix}, m = {m_is[1:]}, step {step_is}: {interval(row)}"
        axes[1].plot(flow.loc[here, "time"], flow.loc[here, "excess"], color=colour, label=label, linewidth=1)
        limit(axes[1], row, colour)
    if bigram.empty:
        style.missing(axes[1], "no gradient flow: give bigram: flow in the config")
    for axis, part, study in ((axes[0], toy, "toy"), (axes[1], bigram, "bigram")):
        if not part.empty:
            style.log_axis(axis, "x")
            style.log_axis(axis, "y")
            guide(axis, part, *GUIDES[study])
            axis.set_ylim(bottom=float(part["final_loss"].min()) / 100)  # room for the legend
            axis.legend(loc="lower left", fontsize=6.5)
    axes[0].set(xlabel="training step $t$", ylabel="training loss $L$")
    axes[1].set(xlabel="time $t$ (steps × step size)", ylabel="excess $L - H$ (nats per token)")
    style.foot(
        figure,
        "Numbers: exponent $a$ of $C t^{-a} + L_0$ fitted to the last decade, with the 95 % profile interval. "
        "Dotted: that $L_0$. Dashed: published exponents.",
    )
    return figure


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows one by one, their columns as attributes."""
    return iter(frame.itertuples())


def look(k: int) -> dict[str, Any]:
    """Line styles that tell curves of one colour apart."""
    return {"linestyle": ["-", ":", "-."][k % 3], "linewidth": 1.0}


def interval(row: Any) -> str:
    """The exponent with a constant and its interval, as text."""
    names = ("", "_low", "_high")
    value, low, high = (getattr(row, f"exponent_with_constant{name}") for name in names)
    if pd.isna(value):
        return "no exponent"
    ends = "unbounded" if pd.isna(low) or pd.isna(high) else f"{low:.2f} to {high:.2f}"
    return f"{value:.2f} ({ends})"


def limit(axis: Axes, row: Any, colour: Any) -> None:
    """A short dotted line at the fitted constant."""
    if not pd.isna(row.constant) and row.constant > 0:
        axis.plot([row.t_max / 10, row.t_max], [row.constant] * 2, color=colour, linestyle=":", linewidth=0.8)


def guide(axis: Axes, part: pd.DataFrame, exponent: float, label: str) -> None:
    """A dashed line of the published exponent above the curves of the last decade."""
    end = float(part["t_max"].max())
    t = np.array([end / 10, end])
    top = 1.5 * float(part["final_loss"].max())
    axis.plot(t, top * (t / end) ** -exponent, label=label, **style.THEORY)


def main() -> None:
    """Parse the command line, read the tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exponents", type=Path, required=True, help="table time_exponents")
    parser.add_argument("--curves", type=Path, required=True, help="table toy_curves")
    parser.add_argument("--flow", type=Path, required=True, help="table bigram_flow")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="pictures to write, .svg or .png")
    arguments = parser.parse_args()
    figure = training_time(
        tables.read("time_exponents", arguments.exponents),
        tables.read("toy_curves", arguments.curves),
        tables.read("bigram_flow", arguments.flow),
    )
    style.save(figure, *arguments.output)
    logging.info("training_time: wrote %s", ", ".join(map(str, arguments.output)))


if __name__ == "__main__":
    run(main)
