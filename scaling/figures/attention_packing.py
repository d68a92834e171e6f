"""Figures of superposition as repulsive attention: packings against Welch's bounds, the toy loss as a pair energy."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling import geometry
from scaling.figures import style
from scaling.figures.attention_tables import Tables


MINIMUM_LOOK = {
    "random": ("x", style.GREY, "random rows"),
    "frame": ("v", style.SKY, "frame potential"),
    "exp": ("s", style.ORANGE, "exp, β = 4"),
    "cosh": ("D", style.GREEN, "cosh, β = 4"),
}
SOURCE_MARKER = {"toy": "o", "bigram": "^", "family": "P"}
HIGHEST = 1.25  # variance ratio at the top of panel a
FILLINGS = (0.02, 0.1, 0.5, 2, 10, 50)
FILLING = r"filling $\nu / \frac{1}{2}m(m+1)$"


def attention_packing(tables: Tables) -> Figure:
    """Variance of squared overlaps against filling with its floor, Welch ratio, and the repulsive flow in time."""
    minima, trained = tables.read("attention_packing"), tables.read("attention_trained_rows")
    figure, axes = style.panels(
        1, 3, height=3.5, titles=["scatter of squared overlaps", "mean squared overlap", "repulsive flow"],
        gridspec_kw={"width_ratios": [1.5, 1, 1]},
    )  # fmt: skip
    scatter, mean, flow = axes
    sets = minima[minima["time"].isna()]
    sets = sets[(sets["rows"] != "cosh") | (sets["beta"] == 4)]
    shown = trained[trained["rows"].isin(["strong", "raw"]) & (trained["nu"] > trained["m"])]
    for panel, value in ((scatter, "variance"), (mean, "mean")):
        for rows, (marker, colour, _) in MINIMUM_LOOK.items():
            part = sets[sets["rows"] == rows]
            panel.plot(part["filling"], _ratio(part, value), marker, ms=3.5, color=colour, zorder=4)
        for source, part in shown.groupby("source"):
            for alpha, some in part.groupby("alpha", dropna=False):
                colour = style.BLACK if pd.isna(alpha) else style.alpha_colour(float(str(alpha)))
                panel.plot(
                    some["filling"], _ratio(some, value), SOURCE_MARKER[str(source)], ms=4.5, color=colour, mfc="white",
                    mew=1.1, zorder=5,
                )  # fmt: skip
        style.log_axis(panel, "x", FILLINGS)
        panel.set_xlabel(FILLING)
    _floor(scatter)
    scatter.axhline(1, color=style.GREY, linewidth=0.8, linestyle=":")
    scatter.set(ylabel="variance / variance of random rows", ylim=(-0.06, HIGHEST))
    mean.axhline(1, **style.THEORY)
    style.log_axis(mean, "y", (1, 1.5, 2, 3, 5, 10, 20))
    mean.set(ylabel="mean squared overlap / Welch bound", ylim=(0.95, None))
    _flow(flow, minima[minima["rows"] == "flow"])
    handles = [
        Line2D([], [], marker=marker, linestyle="none", color=colour, ms=3.5, label=name)
        for marker, colour, name in MINIMUM_LOOK.values()
    ]
    alphas = sorted(shown.loc[shown["source"] == "toy", "alpha"].dropna().unique())
    handles += [
        Line2D(
            [],
            [],
            marker="o",
            mfc="white",
            linestyle="none",
            color=style.alpha_colour(a),
            label=rf"toy rows, $\alpha$ = {a:g}",
        )
        for a in alphas[:: max(len(alphas) // 3, 1)]
    ]
    handles += [
        Line2D([], [], marker=SOURCE_MARKER[source], mfc="white", linestyle="none", color=style.BLACK, label=name)
        for source, name in (("bigram", "bigram rows"), ("family", "heads trained here"))
        if source in set(shown["source"])
    ]
    handles.append(Line2D([], [], **style.THEORY, label="lower bounds"))
    figure.legend(handles=handles, loc="outside upper center", ncols=4, columnspacing=1.2)
    style.foot(figure, _beyond(shown))
    return figure


def _ratio(part: pd.DataFrame, value: str) -> Any:
    """Variance over that of random rows, or mean squared overlap over the Welch bound (NaN where that is 0)."""
    if value == "variance":
        return part["variance_sq"] / part["variance_random"]
    return part["mean_sq"] / part["welch_bound"].where(part["welch_bound"] > 0)


def _floor(axes: Axes) -> None:
    """Least variance at the Welch bound over that of random rows, for a small and a large dimension."""
    for m in (10, 100):
        filling = np.geomspace(0.02, 40, 400)
        nu = np.maximum((filling * m * (m + 1) / 2).astype(int), 2)
        floor = [geometry.sq_overlap_variance_floor(int(k), m) for k in nu]
        axes.plot(filling, np.array(floor) / geometry.random_sq_overlap_variance(m), **style.THEORY)


def _flow(axes: Axes, rows: pd.DataFrame) -> None:
    """Welch ratio minus 1 and variance ratio along the repulsive flow."""
    late = rows[rows["time"] > 0]
    axes.plot(late["time"], late["mean_sq"] / late["welch_bound"] - 1, marker="o", color=style.BLUE)
    excess = (late["variance_sq"] - late["variance_floor"]) / late["variance_random"]
    axes.plot(late["time"], excess, marker="s", mfc="white", color=style.ORANGE)
    for axis in "xy":
        style.log_axis(axes, axis)
    axes.set(xlabel="time $t$", ylabel="distance from the bound")
    handles = [
        Line2D([], [], marker="o", color=style.BLUE, label="mean / Welch − 1"),
        Line2D([], [], marker="s", mfc="white", color=style.ORANGE, label="(variance − least) / random"),
    ]
    low, high = axes.get_ylim()
    axes.set_ylim(low, 30 * high)
    setting = rows.iloc[0]
    title = rf"$\nu$ = {setting['nu']}, $m$ = {setting['m']}, $\beta$ = {setting['beta']:g}"
    axes.legend(handles=handles, loc="upper right", title=title)


def _beyond(shown: pd.DataFrame) -> str:
    """What is drawn, and what lies beyond panel a."""
    text = "Toy and bigram rows: norm > 1; heads: all rows. One point per model. Lower bound in (a): m = 10 and 100."
    ratio = _ratio(shown[shown["source"] != "toy"], "variance")
    if (ratio > HIGHEST).any():
        text += f" Beyond (a): bigram rows and heads with variances up to {ratio.max():.0f} times that of random rows."
    return text


def toy_pair_energy(tables: Tables) -> Figure:
    """The exact loss against samples, the share of pairs, and overlaps against the threshold -b/2."""
    table = tables.read("toy_pair_energy").dropna(subset="alpha")
    titles = ["exact and sampled", "share of pair terms", "overlaps and threshold"]
    figure, (exact, share, threshold) = style.panels(1, 3, height=2.8, titles=titles)
    if table.empty:
        for panel in (exact, share, threshold):
            style.missing(panel, "no toy model with power-law frequencies in strong superposition")
        return figure
    z = (table["loss_sampled"] - table["loss"]) / table["loss_sampled_stderr"]
    alphas = sorted(table["alpha"].dropna().astype(float).unique())
    widths = sorted(table["m"].unique())
    for alpha in alphas:
        some = table["alpha"] == alpha
        look = {"color": style.alpha_colour(alpha), "marker": "o", "linestyle": "none"}
        exact.plot(table["m"][some], z[some], **look)
        share.plot(table["m"][some], 100 * table["share_pairs"][some].clip(lower=1e-6), **look)
    for value in (-2, 2):
        exact.axhline(value, **style.THEORY)
    exact.set(ylabel="(sampled − exact) / standard error", ylim=(-4.5, 4.5))
    style.log_axis(share, "y")
    share.set(ylabel="pairs, share of the loss (%)")
    share.legend(handles=style.colour_key(share, alphas, style.alpha_colour, r"$\alpha$ ="))
    alpha = 0.0 if 0.0 in alphas else alphas[0]
    rows = table[table["alpha"] == alpha].groupby("m")[["threshold", "largest_overlap", "rms_overlap"]].mean()
    for column, marker, label in (
        ("threshold", "o", r"threshold $-b/2$"),
        ("largest_overlap", "s", "largest overlap"),
        ("rms_overlap", "^", "root mean square"),
    ):
        threshold.plot(rows.index, rows[column], marker=marker, label=label)
    m = np.array(widths, dtype=float)
    anchor = rows["rms_overlap"].iloc[0] * np.sqrt(rows.index[0])
    threshold.plot(m, anchor / np.sqrt(m), **style.THEORY, label=r"$\propto m^{-1/2}$")
    style.log_axis(threshold, "y")
    threshold.set(ylabel=rf"$W_i \cdot W_j$, medians ($\alpha$ = {alpha:g})")
    threshold.legend()
    for panel in (exact, share, threshold):
        style.log_axis(panel, "x", widths)
        panel.set_xlabel("model dimension $m$")
    style.foot(
        figure,
        "One point per model; the loss with exactly one active feature, chosen with odds p/(1 − p). "
        "Shares below 0.0001 % are drawn there.",
    )
    return figure
