"""The width exponent in training suites of other groups: a forest plot, and the profiles of a against L0."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from scaling.figures import style
from scaling.fits import inputs


VERDICT = {
    "agrees with 1": style.GREEN,
    "agrees with published": style.BLUE,
    "agrees with both": style.BLACK,
    "differs": style.VERMILION,
    "not determined": style.GREY,
}
LINES = ["solid", (0, (5, 1.5)), (0, (1, 1)), "dashdot"]  # suites of one group share a colour
COLOURS = [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.BLACK, style.VERMILION]
RANGE = (-0.1, 2.1)  # of a in the forest plot


def draw(suites: pd.DataFrame, profiles: pd.DataFrame) -> Figure:
    """Exponents by suite and selection with both intervals, and for each suite's answer the profile of a and its L0."""
    suites = suites[suites["status"] != inputs.NOT_RUN].reset_index(drop=True)
    shown = suites[suites["text"] == suites.groupby("suite")["text"].transform("first")].reset_index(drop=True)
    height = 1.3 + 0.16 * max(len(shown), 12)
    figure = Figure(figsize=(style.TWO_COLUMN, height), layout="constrained")
    axes = figure.subplot_mosaic([["a", "b"], ["a", "c"]], width_ratios=[1.25, 1])
    titles = {"a": "exponent of width", "b": "profile of $a$", "c": "$L_0$ fitted at each $a$"}
    for letter, title in titles.items():
        style.panel_title(axes[letter], letter, title)
        axes[letter].spines[["top", "right"]].set_visible(False)
    profile, constant = axes["b"], axes["c"]
    forest(axes["a"], shown)
    curves(profile, constant, shown[shown["primary"]], profiles)
    lines = profile.get_legend_handles_labels()[0]
    if lines:
        figure.legend(handles=lines, loc="outside upper right", ncols=5, columnspacing=1)
    style.foot(
        figure,
        "Each suite's first text; filled: the suite's answer, open: other selections of runs. Thick bars: 95 % by the "
        "jackknife over widths; thin bars: 95 % profile interval for independent residuals; arrows: beyond the axis. "
        "Dashed: a = 1; grey band: 0.91 ± 0.04. b, c: first selections; dotted: 95 %.",
    )
    return figure


def records(rows: pd.DataFrame) -> list[Any]:
    """Rows with their columns as attributes."""
    return list(rows.itertuples())


def forest(axes: Axes, rows: pd.DataFrame) -> None:
    """One line per selection, coloured by verdict, with the jackknife and the profile interval."""
    if rows.empty:
        style.missing(axes, "no suite was run")
        return
    axes.axvspan(0.87, 0.95, color=style.GREY, alpha=0.3, linewidth=0)
    axes.axvline(1, **style.THEORY)
    for place, row in enumerate(records(rows)):
        colour = VERDICT[row.verdict]
        if np.isnan(row.a):
            axes.text(0.02, -place, "not identified", size=6.5, color=colour, va="center")
            continue
        thick: dict[str, Any] = {"linewidth": 2.2, "alpha": 0.55}
        thin: dict[str, Any] = {"linewidth": 0.9}
        intervals = ((row.a_low, row.a_high, thick), (row.a_profile_low, row.a_profile_high, thin))
        for low, high, options in intervals:
            ends = np.clip([np.nan_to_num(low, nan=RANGE[0]), np.nan_to_num(high, nan=RANGE[1])], *RANGE)
            axes.plot(ends, [-place, -place], color=colour, solid_capstyle="butt", **options)
            for end, marker in zip(ends, "<>", strict=True):
                if end in RANGE:
                    axes.plot([end], [-place], marker=marker, color=colour, ms=3, clip_on=False)
        axes.plot([row.a], [-place], "o", color=colour, mfc=colour if row.primary else "white", ms=4, zorder=4)
    labels = [
        f"{row.suite.replace('_', ' ')}: {row.selection}" if row.primary else row.selection for row in records(rows)
    ]
    axes.set_yticks([-place for place in range(len(rows))], labels, size=6.5)
    for tick, primary in zip(axes.get_yticklabels(), rows["primary"], strict=True):
        tick.set_fontweight("bold" if primary else "normal")
    axes.set(xlim=RANGE, ylim=(-len(rows) + 0.4, 0.6), xlabel="exponent of width $a$")
    handles: list[Any] = [
        Line2D([], [], marker="o", linestyle="none", color=colour, label=name.replace("published", "0.91"))
        for name, colour in VERDICT.items()
        if name in set(rows["verdict"])
    ]
    axes.legend(handles=handles, loc="lower right", handletextpad=0.1)


def curves(profile: Axes, constant: Axes, primary: pd.DataFrame, profiles: pd.DataFrame) -> None:
    """Excess residual squares and L0 against a, one line per suite."""
    groups: dict[str, list[str]] = {}
    for name in primary["suite"]:
        groups.setdefault(name.split("_")[0], []).append(name)
    some = profiles.merge(primary[["suite", "text", "selection"]], on=["suite", "text", "selection"])
    if some.empty:
        style.missing(profile, "no suite was run")
        style.missing(constant, "no suite was run")
        return
    for place, names in enumerate(groups.values()):
        for k, name in enumerate(names):
            part = some[some["suite"] == name].sort_values("a")
            if part.empty:
                continue
            look: dict[str, Any] = {"color": COLOURS[place % len(COLOURS)], "linestyle": LINES[k % len(LINES)]}
            near = part[part["excess"] < 60]
            profile.plot(near["a"], near["excess"], label=name.replace("_", " "), linewidth=1.1, **look)
            constant.plot(part["a"], part["L0"], linewidth=1.1, **look)
            best = part.iloc[int(part["rms"].argmin())]
            constant.plot([best["a"]], [best["L0"]], "o", color=look["color"], ms=3.5)
    profile.axhline(float(stats.f.ppf(0.95, 1, 100)), color="#555555", linestyle=":", linewidth=1)
    for axes in (profile, constant):
        axes.axvline(1, **style.THEORY)
        style.log_axis(axes, "x", [0.1, 0.2, 0.5, 1, 2])
    profile.set(ylim=(0, 12), ylabel=r"$(RSS/RSS_{min}-1)(n-p)$", xlabel="exponent of width $a$", xlim=(0.1, 2))
    constant.set(ylabel="$L_0$ (nats per token)", xlabel="exponent of width $a$", xlim=(0.1, 2))
