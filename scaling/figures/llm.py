"""Pictures of language-model heads from tables: `python -m scaling.figures.llm --figure fig8a_llm_overlaps ...`."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaling import tables
from scaling.command import run
from scaling.figures import style


NOT_MEASURED = "no head measured: give models or local checkpoints under llm: models"


@dataclass(frozen=True)
class Tables:
    """What the figures are drawn from."""

    overlaps: pd.DataFrame
    norms: pd.DataFrame
    frequencies: pd.DataFrame
    ranks: pd.DataFrame

    @property
    def measured(self) -> pd.DataFrame:
        """Heads with numbers of our own."""
        return self.overlaps[self.overlaps["status"] == "measured"]

    def by_family(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """The measured heads of each family."""
        for family, models in self.measured.groupby("family", sort=False):
            yield str(family), models


def middle_rank(bins: pd.DataFrame) -> NDArray[np.float64]:
    """Geometric middle of each bin of ranks."""
    return np.sqrt(bins["rank_low"].to_numpy(float) * bins["rank_high"].to_numpy(float))


TRAINED_HERE = "local_gamma"  # families of models trained here are named so, with the weight decay after it


def colour(family: str) -> Any:
    """Colour of a family: that of its gamma when it was trained here, black for others outside the paper."""
    if family.startswith(TRAINED_HERE):
        return style.gamma_colour(float(family.removeprefix(TRAINED_HERE)))
    return style.FAMILY.get(family, style.FAMILY["local"])


def name_of(family: str) -> str:
    """A family's name in a legend."""
    if family.startswith(TRAINED_HERE):
        return rf"trained here, $\gamma$ = {style.number(float(family.removeprefix(TRAINED_HERE)))}"
    return family


LEAST_CHANGE = 0.01  # relative, of the overlap by rows of tokens never seen, from which it is marked
OVERLAPS = {"all rows": "mean_sq_overlap", "mean row removed": "centred_mean_sq_overlap"}


def overlaps_against_width(content: Tables) -> Figure:
    """m times the mean squared overlap of each head against m, raw and centred; 1 for random rows.

    Open symbols are read off the paper's Fig. 8a; the Welch bound is drawn at the width of each measured head.
    """
    figure, axes = style.panels(
        1, 2, height=3.5, titles=[f"overlaps, {name}" for name in OVERLAPS], sharex=True, sharey=True
    )
    published = content.overlaps[content.overlaps["status"] == "published"]
    for axis, column in zip(axes, OVERLAPS.values(), strict=True):
        axis.axhline(1, label="random rows", **style.THEORY)
        for family, heads in published.groupby("family", sort=False):
            known = heads.dropna(subset=[column])
            if len(known):
                look = {**style.MEASURED, "color": colour(str(family)), "mfc": "white"}
                axis.plot(known["m"], known["m"] * known[column], label=f"{family}, published", **look)
        for family, heads in content.by_family():
            look = {**style.MEASURED, "color": colour(family)}
            axis.plot(heads["m"], heads["m"] * heads[column], label=name_of(family), **look)
        heads = content.measured
        if column == "mean_sq_overlap":  # what the rows that are left out would do
            never = heads[(heads["mean_sq_overlap_all_rows"] / heads[column] - 1).abs() > LEAST_CHANGE]
            for family, some in never.groupby("family"):
                axis.plot(some["m"], some["m"] * some["mean_sq_overlap_all_rows"], "x", ms=5, color=colour(str(family)))
            if len(never):
                axis.plot([], [], "x", ms=5, color=style.GREY, label="with tokens never seen")
        bound: dict[str, Any] = {"marker": "_", "ms": 7, "color": style.GREY, "linestyle": "none"}
        axis.plot(heads["m"], heads["m"] * heads["welch_bound"], label="Welch bound, head's own m", **bound)
        style.log_axis(axis, "x")
        style.log_axis(axis, "y")
        axis.set_xlabel("model dimension $m$")
    handles = axes[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper left", ncols=5, columnspacing=1.2)
    axes[0].set_ylabel(r"$m\,\langle (w_i \cdot w_j)^2 \rangle$")
    if not len(content.measured):
        style.missing(axes[1], NOT_MEASURED)
    style.foot(
        figure,
        f"{len(published)} heads read off the paper's Fig. 8a (open symbols, not centred), {len(content.measured)} "
        "measured here. A horizontal line means that the mean squared overlap falls as 1/m.",
    )
    return figure


def norm_distributions(content: Tables) -> Figure:
    """Norms over their mean: their distribution, and against the frequency rank of the token."""
    figure, axes = style.panels(1, 2, titles=["distribution of norms", "norm against frequency rank"])
    beyond = 0.0
    widest = content.norms[content.norms["m"] == content.norms.groupby("family")["m"].transform("max")]
    for _, bins in widest.groupby("family", sort=False):
        bins = bins[bins["model"] == bins["model"].iloc[0]]
        beyond = max(beyond, float(bins["n_rows"].iloc[-1] / bins["n_rows"].sum()))
        bins = bins.iloc[:-1]  # the last bin holds all larger norms
        share = bins["n_rows"] / bins["n_rows"].sum() / (bins["norm_high"] - bins["norm_low"])
        axes[0].stairs(
            share, [*bins["norm_low"], bins["norm_high"].iloc[-1]], color=colour(bins["family"].iloc[0]), baseline=None
        )
    axes[0].set(xlabel="norm / mean norm", ylabel="density")
    families = content.measured.set_index("model")["family"]
    with_head = content.ranks.dropna(subset=["mean_norm"])
    for (tokenizer, _), bins in with_head.groupby(["tokenizer", "text"], sort=False):
        mean = np.average(bins["mean_norm"], weights=bins["n_rows"].astype(float))
        axes[1].plot(middle_rank(bins), bins["mean_norm"] / mean, color=colour(families.get(tokenizer, "local")))
    axes[1].set(xscale="log", xlabel="rank of the token", ylabel="norm / mean norm")
    if not len(content.norms):
        style.missing(axes[0], NOT_MEASURED)
    if not len(with_head):
        style.missing(axes[1], "no measured model's tokenizer counted: give its name under llm: tokens")
    for family in content.measured["family"].unique():
        axes[0].plot([], [], color=colour(family), label=name_of(family))
    style.legend(axes[0])
    if len(content.norms):
        edge = content.norms["norm_low"].max()
        style.foot(
            figure,
            f"Norms above {edge:g} times the mean are not shown: at most {100 * beyond:.2g} % of a head. "
            "One head per family, the widest.",
        )
    return figure


def excluded_rows(content: Tables) -> Figure:
    """How many rows of each head were left out, and why."""
    models = content.measured
    height = max(2.0, 0.8 + 0.18 * len(models))
    figure, (axis,) = style.panels(1, 1, height=height, titles=["rows left out"])
    left = np.zeros(len(models))
    reasons = {"n_padded": "beyond the tokenizer", "n_zero": "norm zero", "n_duplicate": "copy of another row"}
    for (column, reason), shade in zip(reasons.items(), (style.SKY, style.BLACK, style.ORANGE), strict=True):
        count = models[column].to_numpy(float)
        axis.barh(models["model"], count, left=left, color=shade, label=reason)
        left += count
    axis.set_xlabel("rows")
    axis.invert_yaxis()
    axis.set_xlim(0, max(1.0, 1.05 * left.max(initial=0)))
    if not len(models):
        style.missing(axis, NOT_MEASURED)
    elif left.any():
        style.legend(axis)
    else:
        style.note(axis, "every row of every head counts", "upper right")
    return figure


def frequency_against_rank(content: Tables) -> Figure:
    """Share of the text against rank, with the line of the fitted window."""
    figure, (axis,) = style.panels(1, 1, width=style.ONE_COLUMN, height=3.2)
    for number, row in enumerate(content.frequencies.to_dict("records")):
        bins = content.ranks[(content.ranks["tokenizer"] == row["tokenizer"]) & (content.ranks["text"] == row["text"])]
        rank, share, slope = middle_rank(bins), bins["frequency"].to_numpy(float), row["exponent"]
        name = f"{row['tokenizer']}, {row['text']}"
        if not pd.isna(row["exponent"]):
            name += rf": $\alpha$ = {row['exponent']:.3f} $\pm$ {row['exponent_stderr']:.3f}"
        if len(bins):
            axis.plot(rank, share, marker=".", ms=3, color=f"C{number}", label=name)
        if not pd.isna(slope):
            inside = (rank >= row["rank_min"]) & (rank <= row["rank_max"])
            level = np.exp(np.mean(np.log(share[inside] * rank[inside] ** slope)))
            axis.plot(rank[inside], level * rank[inside] ** -slope, **style.THEORY)
    style.log_axis(axis, "x")
    style.log_axis(axis, "y")
    axis.set(xlabel="rank", ylabel="share of the text")
    if not axis.has_data():
        style.missing(axis, "no tokens counted: give texts under llm: tokens")
    else:
        style.legend_below(axis, axis.get_legend_handles_labels()[0], columns=1, gap=0.18)
    return figure


FIGURES: dict[str, Callable[[Tables], Figure]] = {
    "fig8a_llm_overlaps": overlaps_against_width,
    "llm_norms": norm_distributions,
    "llm_excluded_rows": excluded_rows,
    "token_frequencies": frequency_against_rank,
}


def main() -> None:
    """Parse the command line, read the tables, draw one figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", nargs="+", required=True, choices=FIGURES, help="which figures")
    parser.add_argument("--overlaps", type=Path, required=True, help="CSV table llm_overlaps")
    parser.add_argument("--norms", type=Path, required=True, help="CSV table llm_norms")
    parser.add_argument("--frequencies", type=Path, required=True, help="CSV table token_frequencies")
    parser.add_argument("--ranks", type=Path, required=True, help="CSV table token_ranks")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="pictures to write, .svg or .png")
    arguments = parser.parse_args()
    content = Tables(
        tables.read("llm_overlaps", arguments.overlaps),
        tables.read("llm_norms", arguments.norms),
        tables.read("token_frequencies", arguments.frequencies),
        tables.read("token_ranks", arguments.ranks),
    )
    style.write_figures(FIGURES, arguments.figure, content, arguments.output)


if __name__ == "__main__":
    run(main)
