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

from scaling import geometry, tables
from scaling.command import run
from scaling.figures import style


GPT2_VOCABULARY = 50257  # rows for the Welch bound when nothing is measured
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


def overlaps_against_width(content: Tables) -> Figure:
    """Mean squared overlap against 1/m: raw beside the published points, and centred; lines 1/m and Welch."""
    figure, axes = style.panels(
        1, 2, height=3.4, titles=["mean squared overlap", "mean row removed"], sharex=True, sharey=True
    )
    published = content.overlaps[content.overlaps["status"] == "published"]
    if len(published):
        x = 1 / published["m"].to_numpy(float)
        y = published["mean_sq_overlap"].to_numpy(float)
        axes[0].plot(x, y, label="published", **style.PUBLISHED)
        scale = float(np.exp(np.mean(np.log(y / x))))
        ends = np.array([x.min(), x.max()])
        axes[0].plot(ends, scale * ends, color=style.GREY, linewidth=0.8, zorder=1, label=f"${scale:.0f}/m$")
    for axis, column in zip(axes, ("mean_sq_overlap", "centred_mean_sq_overlap"), strict=True):
        for family, models in content.by_family():
            axis.plot(
                1 / models["m"].to_numpy(float),
                models[column],
                color=colour(family),
                label=name_of(family),
                **style.MEASURED,
            )
    if not len(content.measured):
        style.missing(axes[1], NOT_MEASURED)
    known = content.overlaps.dropna(subset=["m"])
    widths = np.geomspace(known["m"].min(), known["m"].max(), 100) if len(known) else np.geomspace(32, 1024, 100)
    rows = content.measured["n_rows"] - content.measured["n_excluded"]
    nu = int(rows.min()) if len(rows) else GPT2_VOCABULARY
    for axis in axes:
        axis.plot(1 / widths, 1 / widths, label="random rows: $1/m$", **style.THEORY)
        bound = np.array([geometry.welch_bound(nu, round(m)) for m in widths])
        line = {**style.THEORY, "linestyle": ":"}
        axis.plot(1 / widths[bound > 0], bound[bound > 0], label=rf"Welch bound, $\nu = {nu}$", **line)
        style.log_axis(axis, "x")
        style.log_axis(axis, "y")
        axis.set_xlabel("$1/m$")
    style.legend_below(axes[0], axes[0].get_legend_handles_labels()[0], gap=0.24)
    if len(content.measured):
        style.legend_below(axes[1], axes[1].get_legend_handles_labels()[0], gap=0.24)
    axes[0].set_ylabel(r"$\langle (w_i \cdot w_j)^2 \rangle$")
    style.foot(
        figure,
        f"{len(published)} heads read off the paper's Fig. 8a, {len(content.measured)} measured here; "
        f"grey line: slope 1 through the published ones' geometric mean.",
    )
    return figure


def norm_distributions(content: Tables) -> Figure:
    """Norms over their mean: their distribution, and against the frequency rank of the token."""
    figure, axes = style.panels(1, 2, titles=["distribution of norms", "norm against frequency rank"])
    for _, bins in content.norms.groupby("model", sort=False):
        share = bins["n_rows"] / bins["n_rows"].sum() / (bins["norm_high"] - bins["norm_low"])
        axes[0].stairs(share, [*bins["norm_low"], bins["norm_high"].iloc[-1]], color=colour(bins["family"].iloc[0]))
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
        rank, share, slope = middle_rank(bins), bins["frequency"].to_numpy(float), row["exponent_window"]
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
