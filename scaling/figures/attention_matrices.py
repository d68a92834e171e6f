"""Figures of attention as a matrix: Markov generators, and the mixers of HCFormer."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaling.figures import style
from scaling.figures.attention_tables import Tables


KIND_COLOUR = {"symmetric": style.BLUE, "causal": style.GREEN, "random": style.ORANGE}
MIXER_COLOUR = {"hyperbolic": style.BLUE, "euclidean": style.GREEN, "attention": style.ORANGE}


def attention_markov(tables: Tables) -> Figure:
    """Share of embeddable attention matrices, the triangle conjecture, distance from the nearest exponential."""
    titles = ["exponential of a generator", "triangles, β = 256", "distance from exponentials"]
    figure, (share, triangles, distance) = style.panels(1, 3, height=3.2, titles=titles)
    table = tables.read("attention_embeddable")
    sizes = list(dict.fromkeys(zip(table["n"], table["d"], strict=True)))
    betas = sorted(table["beta"].unique())
    for kind, part in table.groupby("kind", sort=False):
        for beta in betas:
            rows = part[part["beta"] == beta].set_index(["n", "d"]).loc[sizes]
            x = np.arange(len(sizes)) + 0.27 * (betas.index(beta) - 1) + 0.07 * (list(KIND_COLOUR).index(str(kind)) - 1)
            size = 2.5 + betas.index(beta)
            label = str(kind) if beta == betas[0] else None
            style.points(
                share, x, rows["share_embeddable"], 1.96 * rows["share_embeddable_stderr"], ms=size,
                color=KIND_COLOUR[str(kind)], label=label, alpha=0.85,
            )  # fmt: skip
    share.set_xticks(range(len(sizes)), [f"{n}, {d}" for n, d in sizes])
    share.set(xlabel="tokens $n$, dimension $d$", ylabel="share embeddable", ylim=(-0.05, 1.3))
    share.legend(ncols=3, loc="upper center", columnspacing=0.6, handletextpad=0.1)
    _triangles(triangles, tables.read("attention_triangles"))
    table = tables.read("attention_generator_distance")
    for kind, part in table.groupby("kind", sort=False):
        distance.plot(part["beta"], part["nearest"], marker="o", color=KIND_COLOUR[str(kind)])
        distance.plot(part["beta"], part["euler"], marker="s", mfc="white", linestyle=":", color=KIND_COLOUR[str(kind)])
    distance.plot([], [], marker="o", color=style.GREY, label="nearest generator")
    distance.plot([], [], marker="s", mfc="white", linestyle=":", color=style.GREY, label=r"$S - I$")
    style.log_axis(distance, "y")
    style.log_axis(distance, "x", table["beta"])
    distance.set(xlabel=r"inverse temperature $\beta$", ylabel=r"$\|S - e^G\| / \|S - I\|$")
    distance.legend()
    style.foot(
        figure,
        f"(a) Larger points: β = {', '.join(f'{beta:g}' for beta in betas)}; bars: 95 %, binomial. "
        "(b) Sets of 4 tokens. (c) 5 tokens in d = 2, medians; colours as in (a).",
    )
    return figure


def _triangles(axes: Axes, table: pd.DataFrame) -> None:
    """Counts of acute and obtuse sets of tokens, embeddable or not."""
    x = np.arange(len(table))
    for shift, kind in ((-0.2, "acute"), (0.2, "obtuse")):
        embeddable = table[f"n_{kind}_embeddable"]
        rest = table[f"n_{kind}"] - embeddable
        colour = style.BLUE if kind == "acute" else style.VERMILION
        axes.bar(x + shift, embeddable, 0.36, color=colour, label=f"{kind}, embeddable")
        bars = axes.bar(
            x + shift,
            rest,
            0.36,
            bottom=embeddable,
            color="white",
            edgecolor=colour,
            hatch="////",
            label=f"{kind}, not",
        )
        axes.bar_label(
            bars, [f"{e}/{e + r}" for e, r in zip(embeddable, rest, strict=True)], size=6, padding=1
        )  # fmt: skip
    axes.set_xticks(x, table["d"])
    axes.set(xlabel="dimension $d$", ylabel="sets of tokens", ylim=(0, 1.1 * axes.get_ylim()[1]))
    style.legend_below(axes, axes.get_legend_handles_labels()[0], gap=0.25)


def _standard_error(values: NDArray[np.float64]) -> float:
    """Standard deviation over the square root of the count; 0, no bar, for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def attention_mixers(tables: Tables) -> Figure:
    """Held-out accuracy of the mixers on digits by seed, and parameters of HCFormer against the published numbers."""
    titles = ["digits, 500 held-out images", "parameters of HCFormer"]
    figure, (accuracy, size) = style.panels(1, 2, height=2.7, titles=titles)
    table = tables.read("attention_mixers")
    kinds = [kind for kind in MIXER_COLOUR if kind in set(table["mixer"])]
    for place, kind in enumerate(kinds):
        values = 100 * table[table["mixer"] == kind]["accuracy"].to_numpy(float)
        offsets = 0.08 * (np.arange(len(values)) - (len(values) - 1) / 2)
        accuracy.plot(
            place + offsets, values, linestyle="none", marker="o", ms=3, mfc="white", color=MIXER_COLOUR[kind]
        )
        style.points(
            accuracy, [place], [values.mean()], [1.96 * _standard_error(values)], ms=6, color=MIXER_COLOUR[kind],
            marker="_", elinewidth=1.5,
        )  # fmt: skip
    names = [f"{kind}\n{table[table['mixer'] == kind]['n_parameters'].iloc[0]:,} par." for kind in kinds]
    accuracy.set_xticks(range(len(kinds)), names)
    accuracy.set(ylabel="accuracy (%)", xlim=(-0.5, len(kinds) - 0.5))
    table = tables.read("attention_hcformer_sizes")
    x = np.arange(len(table))
    size.plot(x, table["published_millions"], **{**style.PUBLISHED, "ms": 8}, label="published")
    size.plot(x, table["millions"], "o", ms=3.5, color=style.BLUE, label="built here")
    size.plot(x, table["millions_without_head"], "x", ms=4, color=style.ORANGE, label="without the classifier")
    size.set_xticks(x, table["size"])
    style.log_axis(size, "y")
    size.set(ylabel="millions of parameters")
    size.legend()
    style.foot(
        figure, "(a) Open circles: seeds; networks of one seed share the split of the images. Bars: 95 % over seeds."
    )
    return figure
