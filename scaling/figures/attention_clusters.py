"""Figures of tokens that cluster: pictures on the sphere, k-means, the phase diagram, the circle."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling.figures import style
from scaling.figures.attention_tables import Tables


BETA, TIME = r"inverse temperature $\beta$", "time $t$"
DATA_COLOUR = {"blobs": style.BLUE, "iris": style.VERMILION, "digits": style.GREEN, "pixels": style.ORANGE}
FLOW_LOOK: dict[str, dict[str, Any]] = {
    "SA": {"color": style.BLUE, "marker": "o"},
    "USA": {"color": style.ORANGE, "marker": "s", "mfc": "white"},
}
KIND_COLOUR = {"aligned": style.BLUE, "random": style.ORANGE, "transformer": style.GREY}
PHASE_COLUMNS = 3


def attention_tokens(tables: Tables) -> Figure:
    """Strip of pictures: 150 uniform tokens on the sphere under SA, one row per beta, one column per time."""
    table = tables.read("attention_tokens")
    betas, times = sorted(table["beta"].unique()), sorted(table["time"].unique())
    figure, axes = style.panels(
        len(betas), len(times), height=1.5 * len(betas), letters=[""] * (len(betas) * len(times))
    )
    angle = np.linspace(0, 2 * np.pi, 200)
    for panel, (beta, time) in zip(axes, [(b, t) for b in betas for t in times], strict=True):
        x, y, z = table[(table["beta"] == beta) & (table["time"] == time)][["x", "y", "z"]].to_numpy(float).T
        panel.plot(np.cos(angle), np.sin(angle), color=style.GREY, linewidth=0.6)
        order = np.argsort(y)  # the viewer looks along y: far tokens first, and lighter
        panel.scatter(
            x[order], z[order], c=y[order], cmap="Blues", vmin=-1.6, vmax=1, s=7, linewidths=0.2, edgecolors="white"
        )
        panel.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), xticks=[], yticks=[], aspect="equal")
        for side in panel.spines.values():
            side.set_visible(False)
        if beta == betas[0]:
            panel.set_title(rf"$t$ = {time:g}", loc="center")
        if time == times[0]:
            panel.set_ylabel(rf"$\beta$ = {beta:g}")
    style.foot(
        figure, "150 tokens in d = 3 from one uniform start, seen from one side; dark tokens are near the viewer."
    )
    return figure


def attention_k_means(tables: Tables) -> Figure:
    """The circuit against scikit-learn, soft k-means and its transition, and networks trained on Lloyd's algorithm."""
    titles = ["circuit against scikit-learn", "limit of large β", "phase transition", "learned layers"]
    figure, axes = style.panels(2, 2, height=5.0, titles=titles)
    _circuit(axes[0], tables.read("attention_k_means"))
    soft = tables.read("attention_soft_k_means")
    for data, part in soft.groupby("data", sort=False):
        look: dict[str, Any] = {"color": DATA_COLOUR[str(data)], "marker": "o", "label": str(data)}
        limit = part[(part["part"] == "limit") & (part["distance_to_lloyd"] > 0)]
        axes[1].plot(limit["beta"], limit["distance_to_lloyd"], **look)
        near = part[part["part"] == "transition"]
        ratio = near["beta"] / near["beta_critical"]
        largest = near["spread"].max()
        axes[2].plot(ratio, near["spread"] / largest, **look)
    for axis in "xy":
        style.log_axis(axes[1], axis)
    axes[1].set(xlabel=BETA, ylabel="difference from Lloyd's centres")
    axes[1].legend(title="data")
    axes[2].axvline(1, **style.THEORY)
    axes[2].text(1.02, 0.03, r"$\beta_c = 1/\lambda_{\max}$", size=8, color="#555555")
    axes[2].set(xlabel=r"$\beta / \beta_c$", ylabel="spread of the centres, relative")
    _learned(axes[3], tables.read("attention_lloyd_network"))
    return figure


def _circuit(axes: Axes, table: pd.DataFrame) -> None:
    """Share of iterations that differ, with and without a jitter that breaks exact ties."""
    names = list(dict.fromkeys(table["data"]))
    for shift, (name, part) in zip((-0.2, 0.2), table.groupby("jitter"), strict=False):
        part = part.set_index("data").loc[names]
        share = 100 * part["n_different"] / part["n_steps"]
        label = "as given" if name == 0 else "ties broken by noise of $10^{-6}$"
        bars = axes.bar(
            np.arange(len(names)) + shift, share, 0.38, label=label, color=style.VERMILION if name == 0 else style.BLUE
        )
        text = [f"{different}/{steps}" for different, steps in zip(part["n_different"], part["n_steps"], strict=True)]
        axes.bar_label(bars, text, size=6, padding=1)
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="iterations that differ (%)", ylim=(0, 1.35 * max(axes.get_ylim()[1], 1)))
    axes.legend(loc="upper left")


def _learned(axes: Axes, table: pd.DataFrame) -> None:
    """Error of networks of one layer, applied once and repeatedly, relative to the distance of the first centres."""
    table = table[table["depth"] == 1]
    for kind, part in table.groupby("kind", sort=False):
        for _, rows in part.groupby("seed"):
            axes.plot(
                rows["layer"], rows["error"] / rows["error_of_start"], color=KIND_COLOUR[str(kind)], marker="o", ms=2.5,
                linewidth=0.8,
            )  # fmt: skip
    axes.axhline(1, **style.THEORY)
    axes.set(xlabel="times the layer is applied, iterations of Lloyd", ylabel="error / distance of the start")
    style.log_axis(axes, "y")
    names = {"aligned": "circuit, aligned start", "random": "circuit, random start", "transformer": "transformer layer"}
    handles = [
        Line2D([], [], color=KIND_COLOUR[kind], marker="o", ms=2.5, label=name)
        for kind, name in names.items()
        if kind in set(table["kind"])
    ]
    style.legend_below(axes, handles, columns=3, gap=0.25)


def attention_phase(tables: Tables) -> Figure:
    """Share of clustered pairs over (beta, t) for each dimension, with the equiangular curve, exact and by steps."""
    shares, times = tables.read("attention_phase"), tables.read("attention_phase_times")
    dimensions = sorted(shares["d"].unique())
    rows = -(-(len(dimensions) + 1) // PHASE_COLUMNS)
    titles = [rf"$d$ = {d}" for d in dimensions] + ["time to half of the pairs"]
    titles += [""] * (rows * PHASE_COLUMNS - len(titles))
    figure, axes = style.panels(rows, PHASE_COLUMNS, height=2.3 * rows, titles=titles)
    image = None
    for panel, d in zip(axes, dimensions, strict=False):
        grid = shares[shares["d"] == d].pivot_table(index="time", columns="beta", values="share")
        image = panel.pcolormesh(grid.columns, grid.index, grid, vmin=0, vmax=1, shading="nearest", rasterized=True)
        _curves(panel, times[times["d"] == d], light=True)
        panel.set(xlabel=BETA, ylabel=TIME, ylim=(0, grid.index.max()))
    if image is not None:
        figure.colorbar(image, ax=axes[: len(dimensions)], label="share of clustered pairs", pad=0.01, aspect=40)
    last = axes[len(dimensions)]
    _curves(last, times[times["d"] == dimensions[0]], light=False)
    for d in dimensions:
        rows_d = times[times["d"] == d].dropna(subset="time_half")
        style.points(
            last, rows_d["beta"], rows_d["time_half"], rows_d["time_half_stderr"], label=rf"$d$ = {d}", ms=3,
            color=style.width_colour(d, dimensions),
        )  # fmt: skip
    style.log_axis(last, "y")
    last.set(xlabel=BETA, ylabel=TIME, ylim=(4.5, 60))
    style.legend_below(last, last.get_legend_handles_labels()[0], columns=3, gap=0.28)
    for panel in axes[len(dimensions) + 1 :]:
        panel.set_visible(False)
    style.foot(figure, "Pairs count as clustered above an inner product of 0.999. Bars: jackknife over starts.")
    return figure


def _curves(axes: Axes, times: pd.DataFrame, light: bool) -> None:
    """The time at which orthogonal tokens reach 0.999, exact and by the authors' step."""
    look: dict[str, Any] = {**style.THEORY, "zorder": 3, "color": "white" if light else "#555555"}
    axes.plot(times["beta"], times["time_ode"], **look, label="equiangular")
    axes.plot(
        times["beta"], times["time_euler"], **{**look, "linestyle": ":", "linewidth": 1.2}, label="by steps of 0.1"
    )


def attention_circle(tables: Tables) -> Figure:
    """Growth of modes, metastable clusters, Renyi centres, and the thresholds, for tokens on the circle."""
    titles = ["growth of the fastest modes", "metastable clusters of SA", "causal mask", "noise: jump beyond β*"]
    figure, (modes, free, causal, noise) = style.panels(2, 2, height=5.0, titles=titles)
    table = tables.read("attention_modes")
    for flow, part in table.groupby("flow"):
        modes.plot(
            part["beta"], part["rate"] / part["rate_predicted"], linestyle="none", label=flow, **FLOW_LOOK[str(flow)]
        )
    modes.axhline(1, **style.THEORY)
    style.log_axis(modes, "x", table["beta"])
    modes.set(xlabel=BETA, ylabel="growth rate, measured / predicted", ylim=(0.99, 1.01))
    modes.legend()
    table = tables.read("attention_metastable")
    for panel, masked in ((free, False), (causal, True)):
        part = table[table["causal"] == masked]
        mean, error = (part.groupby("beta")["n_clusters"].agg(how) for how in ("mean", "sem"))
        style.points(panel, mean.index, mean, 1.96 * error, color=style.BLUE, label="clusters")
        style.log_axis(panel, "x", mean.index)
        style.log_axis(panel, "y")
        panel.set(xlabel=BETA, ylabel="number of clusters")
    betas = np.geomspace(3, 300, 50)
    free.plot(betas, np.sqrt(betas), **style.THEORY, label=r"$\sqrt{\beta}$")
    part = table[table["causal"].astype(bool)]
    renyi, error = (part.groupby("beta")["n_renyi"].agg(how) for how in ("mean", "sem"))
    style.points(
        causal,
        renyi.index * 1.08,
        renyi.astype(float),
        1.96 * error,
        color=style.ORANGE,
        marker="s",
        label="Rényi centres",
    )
    causal.plot(
        renyi.index, part.groupby("beta")["n_renyi_expected"].mean(), **style.THEORY, label="parking, many tokens"
    )
    for panel in (free, causal):
        panel.legend()
    table = tables.read("attention_noise")
    noise.plot(table["d"], table["beta_root"], **style.THEORY, label=r"root of $I_{d/2+1}/I_{d/2} = 1/d$")
    style.points(
        noise, table["d"], table["beta_measured"], table["beta_resolution"], color=style.BLUE, label="free energy"
    )
    style.log_axis(noise, "x", table["d"])
    noise.set(xlabel="dimension $d$", ylabel=r"$\beta_*$")
    noise.legend()
    style.foot(
        figure,
        "Bars: 95 % over starts (b, c), half width of the bisection (d). 200 tokens, t = 100 (b) and 150 (c), "
        "Rényi centres with δ = 4/√β.",
    )
    return figure
