"""Draw one figure of the fits from their tables.

python -m scaling.figures.fits --figure claims --claims results/tables/claims.csv --output results/figures/claims.svg
"""

import argparse
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from scaling import tables
from scaling.command import InputError, run
from scaling.figures import claims as claims_figure
from scaling.figures import style, suites
from scaling.figures.llm import colour, name_of
from scaling.fits import inputs, llm


class Tables:
    """The tables that the command line names, read when a figure asks for them."""

    def __init__(self, paths: Mapping[str, Path | None]) -> None:
        self.paths = paths

    def path(self, option: str) -> Path:
        """The file given as --option; raises InputError when there is none."""
        path = self.paths.get(option)
        if path is None:
            raise InputError(f"this figure needs --{option.replace('_', '-')}")
        return path

    def read(self, option: str, name: str) -> pd.DataFrame:
        """Table `name` from the file given as --option."""
        return tables.read(name, self.path(option))


def _records(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples())


def fig8b_llm_loss(given: Tables) -> Figure:
    """Loss of language models less L0[family, data set] against m, its power law with a band, and its exponents.

    Source: paper, Fig. 8b.
    """
    figure, axes = style.mosaic(
        [["loss", "exponents"], ["residuals", "exponents"]],
        height=4.6,
        titles={
            "loss": ("a", "part of the loss that falls with $m$"),
            "exponents": ("b", r"exponent $\alpha_m$, with 95 % intervals"),
        },
        width_ratios=[1, 0.9],
        height_ratios=[2.2, 1],
    )
    power = given.read("llm_fit", "llm_loss_fit").query("form == 'power'")
    fits = power[power["source"] == "published"]
    intercepts = given.read("llm_intercepts", "llm_loss_intercepts")
    points = llm.published_losses(str(given.path("losses")))
    points = points.merge(intercepts[intercepts["source"] == "published"], on=["family", "dataset"])
    points["part"] = points["loss"] - points["intercept"]
    whole = fits[fits["subset"] == "all"].iloc[0]
    _loss_against_width(axes["loss"], points, whole)
    _residuals(axes["residuals"], points, whole)
    _exponents_by_subset(axes["exponents"], fits, whole, power[power["source"] != "published"])
    style.foot(
        figure,
        f"{whole['n_points']} losses of {whole['n_models']} models read off the paper's Fig. 8b, "
        f"all {whole['n_groups']} L0 free. Band: 95 %, errors by model. Arrows: not bounded. Grey: error by the "
        "authors' formula, times 1.96.",
    )
    return figure


def _loss_against_width(axes: Axes, points: pd.DataFrame, fit: pd.Series) -> None:
    markers = dict(zip(sorted(points["dataset"].unique()), style.MARKERS, strict=False))
    for key, part in points[points["part"] > 0].groupby(["family", "dataset"]):
        family, dataset = map(str, key)
        axes.plot(
            part["m"],
            part["part"],
            markers[dataset],
            color=style.FAMILY.get(family, style.GREY),
            mfc="none",
            ms=3.5,
        )
    m = np.geomspace(points["m"].min(), points["m"].max(), 60)
    drawn = fit["amplitude"] * m ** -fit["exponent"]
    axes.plot(m, drawn, color=style.BLACK, **style.FIT)
    # log C and a go together almost perfectly; the ratio of errors carries the band from points to models.
    relative = fit["amplitude_stderr"] / fit["amplitude"]
    cross = fit["correlation"] * relative * fit["exponent_stderr"]
    variance = relative**2 + np.log(m) ** 2 * fit["exponent_stderr"] ** 2 - 2 * np.log(m) * cross
    wider = fit["exponent_stderr_cluster"] / fit["exponent_stderr"]
    half = stats.t.ppf(0.975, max(fit["n_models"] - 1, 1)) * np.sqrt(np.maximum(variance, 0)) * wider
    axes.fill_between(m, drawn * np.exp(-half), drawn * np.exp(half), color=style.BLACK, alpha=0.12, linewidth=0)
    style.log_axis(axes, "x", [512, 1024, 2048, 4096, 8192])
    style.log_axis(axes, "y")
    axes.set(xlabel="model dimension $m$", ylabel=r"$L - L_0$ (nats)")
    families = [
        Line2D(
            [], [], marker="o", linestyle="none", mfc="none", color=style.FAMILY.get(family, style.GREY), label=family
        )
        for family in sorted(points["family"].unique())
    ]
    texts = [
        Line2D([], [], marker=marker, linestyle="none", mfc="none", color=style.GREY, label=dataset)
        for dataset, marker in markers.items()
    ]
    axes.legend(handles=[*families, *texts], ncols=2, loc="lower left", columnspacing=0.8, handletextpad=0.1)
    below = int((points["part"] <= 0).sum())
    if below:
        style.note(axes, f"{below} point{'s' * (below > 1)} with $L \\leq L_0$ not drawable", "upper right")


def _residuals(axes: Axes, points: pd.DataFrame, fit: pd.Series) -> None:
    """Loss less the fitted law, against m, in the colours of the families."""
    rest = points["part"] - fit["amplitude"] * points["m"] ** -fit["exponent"]
    for family, part in points.assign(rest=rest).groupby("family"):
        axes.plot(part["m"], part["rest"], "o", ms=3, mfc="none", color=style.FAMILY.get(str(family), style.GREY))
    axes.axhline(0, **style.THEORY)
    style.log_axis(axes, "x", [512, 1024, 2048, 4096, 8192])
    axes.set(xlabel="model dimension $m$", ylabel="residual (nats)")


def _exponents_by_subset(axes: Axes, fits: pd.DataFrame, whole: pd.Series, measured: pd.DataFrame) -> None:
    """Exponents of all models, of subsets and of models trained here; every bar is a 95 % interval."""
    grey, black = {"color": style.GREY}, {"color": style.BLACK}
    a, formula = whole["exponent"], 1.96 * whole["exponent_stderr_authors"]
    t = stats.t.ppf(0.975, max(whole["n_points"] - whole["n_groups"] - 2, 1)) * whole["exponent_stderr"]
    by_model = stats.t.ppf(0.975, max(whole["n_models"] - 1, 1)) * whole["exponent_stderr_cluster"]
    rows: list[tuple[str, float, float, float, dict[str, Any]]] = [
        ("paper", 0.91, 0.91 - 1.96 * 0.04, 0.91 + 1.96 * 0.04, {**grey, "mfc": "white"}),
        ("authors' formula", a, a - formula, a + formula, grey),
        ("all, independent errors", a, a - t, a + t, black),
        ("all, errors by model", a, a - by_model, a + by_model, black),
        ("all, wild bootstrap", a, whole["exponent_wild_low"], whole["exponent_wild_high"], black),
    ]
    for row in _records(fits[fits["subset"] != "all"]):
        family = row.subset.removeprefix("without ").removesuffix(" alone")
        look = {"color": style.FAMILY.get(family, style.GREY)}
        rows.append((row.subset, row.exponent, row.exponent_low, row.exponent_high, look))
    measured = measured[measured["status"] == inputs.CONVERGED]
    for row in _records(measured[(measured["subset"] == "all") | measured["subset"].str.endswith(" alone")]):
        family = row.subset.removesuffix(" alone")
        whole_source = row.subset == "all"
        look = {"color": style.BLACK if whole_source else colour(family), "mfc": "white"}
        label = row.source if whole_source else name_of(family)
        rows.append((label, row.exponent, row.exponent_low, row.exponent_high, look))
    right = 1.1 * max(value for row in rows for value in row[1:4] if np.isfinite(value))
    for place, (_, value, low, high, look) in enumerate(rows):
        _interval(axes, -place, value, low, high, (0.0, right), look)
        axes.annotate(
            interval_text(value, low, high), (1.01, -place), xycoords=axes.get_yaxis_transform(), size=7, va="center"
        )
    axes.axvline(1, **style.THEORY)
    axes.set_yticks([-place for place in range(len(rows))], [row[0] for row in rows])
    axes.set(xlabel=r"$\alpha_m$", xlim=(0, right))


def interval_text(value: float, low: float, high: float) -> str:
    """A value with its interval, with a bound alone where one end is missing: "0.91 [0.73, 1.09]" or "0.25, < 0.54"."""
    ends = [style.fixed(end) if np.isfinite(end) else "" for end in (low, high)]
    if all(ends):
        return f"{style.fixed(value)} [{', '.join(ends)}]"
    bounds = [f"{sign} {end}" for sign, end in zip("><", ends, strict=True) if end]
    return f"{style.fixed(value)}, {bounds[0] if bounds else 'no bound'}"


def _interval(
    axes: Axes, y: float, value: float, low: float, high: float, view: tuple[float, float], look: dict[str, Any]
) -> None:
    """A value with its interval; an end that is missing is an arrow to the edge of `view`."""
    axes.plot([value], [y], marker="o", ms=4, linestyle="none", **look)
    for end, edge in zip((low, high), view, strict=True):
        cap, at = ("|", end) if np.isfinite(end) else ("<" if edge == view[0] else ">", edge)
        axes.plot([value, at], [y, y], color=look["color"], linewidth=1.2, zorder=1)
        axes.plot([at], [y], marker=cap, ms=4, color=look["color"], linestyle="none", clip_on=False)


def chinchilla_profile(given: Tables) -> Figure:
    """How well the Chinchilla points determine alpha and beta: profile of the squares, and every estimator's value."""
    figure, axes = style.panels(
        1, 2, height=2.7, titles=[r"exponent of parameters $\alpha$", r"exponent of tokens $\beta$"]
    )
    fits = given.read("chinchilla", "chinchilla_fit")
    profiles = given.read("profile", "chinchilla_profile")
    if profiles.empty:
        for panel in axes:
            style.missing(panel, "not run: the 245 points were not there")
        return figure
    threshold = float(stats.f.ppf(0.95, 1, fits["n_points"].max() - 5))
    colours = dict(zip(sorted(fits["n_excluded"].unique(), reverse=True), (style.BLUE, style.ORANGE), strict=False))
    shapes = {"huber": "o", "least_absolute": "s", "least_squares": "^"}
    for panel, name in zip(axes, ("alpha", "beta"), strict=True):
        for n_excluded, part in profiles[profiles["exponent"] == name].groupby("n_excluded"):
            label = f"squares, {n_excluded} points left out"
            panel.plot(part["value"], part["excess"], color=colours[n_excluded], label=label, **style.FIT)
        panel.axhline(threshold, **style.THEORY)
        for place, row in enumerate(_records(fits)):
            value, low, high = (getattr(row, f"{name}{ending}") for ending in ("", "_low", "_high"))
            bars = np.nan_to_num(np.array([[value - low], [high - value]], dtype=float))
            options: dict[str, Any] = {
                "marker": shapes[row.estimator],
                "color": colours[row.n_excluded],
                "ms": 4,
                "linestyle": "none",
            }
            panel.errorbar([value], [12 - place], xerr=bars, **options)
        panel.set(ylim=(-0.5, 13), xlabel=rf"$\{name}$", ylabel=r"$(RSS/RSS_{min} - 1)(n - 5)$")
    marks = [
        Line2D([], [], marker=marker, linestyle="none", color=style.GREY, label=name.replace("_", " "))
        for name, marker in shapes.items()
    ]
    lines = axes[0].get_legend_handles_labels()[0]
    figure.legend(handles=[*lines[::-1], *marks], loc="outside upper right", ncols=5, columnspacing=1)
    style.foot(
        figure, "Dashed: 95 % threshold of the profile. Bars: 95 % of the pairs bootstrap; least absolute has none."
    )
    return figure


def width_suites(given: Tables) -> Figure:
    """Exponents of width in training suites of other groups, and the profiles behind them."""
    return suites.draw(given.read("suites", "width_suites"), given.read("suite_profiles", "width_suite_profiles"))


def claims(given: Tables) -> Figure:
    """The paper's claims that were run as z-scores, coloured by verdict (scaling.figures.claims)."""
    frame = given.read("claims", "claims")
    return claims_figure.draw(frame[frame["id"].str.startswith(("toy.", "llm."))])


DRAWINGS: tuple[Callable[[Tables], Figure], ...] = (fig8b_llm_loss, chinchilla_profile, width_suites, claims)
FIGURES = {drawing.__name__: drawing for drawing in DRAWINGS}
OPTIONS = {
    "llm_fit": "table llm_loss_fit",
    "llm_intercepts": "table llm_loss_intercepts",
    "losses": "losses read off Fig. 8b (fig8b_llm_loss.csv)",
    "chinchilla": "table chinchilla_fit",
    "profile": "table chinchilla_profile",
    "suites": "table width_suites",
    "suite_profiles": "table width_suite_profiles",
    "claims": "table claims",
}


def main() -> None:
    """Command line: draw one figure."""
    parser = argparse.ArgumentParser(prog="python -m scaling.figures.fits", description=__doc__)
    parser.add_argument("--figure", required=True, choices=list(FIGURES), help="which figure")
    for option, meaning in OPTIONS.items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=Path, help=meaning)
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="files to write, .svg or .png")
    options = parser.parse_args()
    figure = FIGURES[options.figure](Tables({option: getattr(options, option) for option in OPTIONS}))
    style.save(figure, *options.output)
    logging.info("%s: wrote %s", options.figure, ", ".join(map(str, options.output)))


if __name__ == "__main__":
    run(main)
