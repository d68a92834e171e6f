"""Draw figures of what the toy models' loss is made of, of interventions on them, and of the theory.

python -m scaling.figures.mechanism --figure mechanism_loss --models results/tables/toy_models.csv
    --exponents results/tables/toy_exponents.csv --published resources/published
    --output results/figures/mechanism_loss.svg
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaling.command import run
from scaling.curves import main_recipe
from scaling.figures import style
from scaling.figures.mechanism_loss import (
    LOSS,
    M,
    mechanism_live,
    mechanism_loss,
    mechanism_onset,
    mechanism_parts,
    strong,
)
from scaling.figures.study import Study, over_seeds, span


TRAINED_ON = {
    "continued": ("trained on", style.SKY, "v"),
    "longer": ("trained on, 5 times longer", style.PURPLE, "D"),
    "gamma_zero": (r"trained on, $\gamma$ = 0", style.GREEN, "^"),
    "gamma_annealed": (r"trained on, $\gamma$ to 0", style.ORANGE, "<"),
    "revived": ("silent features revived", style.VERMILION, "s"),
    "revived_gamma_zero": (r"revived, $\gamma$ = 0", style.BLACK, "P"),
}
PACKING = {
    "rows_kept": ("trained", style.BLACK, "o"),
    "rows_least_coherent": ("least coherent", style.BLUE, "s"),
    "rows_tight_frame": ("tight frame", style.GREEN, "^"),
    "rows_random": ("random", style.ORANGE, "D"),
    "rows_clustered": ("clustered", style.VERMILION, "v"),
}
REFIT = {"none": ("$b$ kept", style.SKY, "o"), "bias": ("$b$ refitted", style.BLUE, "s")}


def mechanism_interventions(study: Study) -> Figure:
    """Loss after interventions that train on: against m at the smallest alpha, and relative to the loss before."""
    figure, (left, right) = style.panels(1, 2, height=3.3, titles=["loss", "loss after / before"])
    frame = study.read("interventions")
    frame = frame[frame["intervention"].isin(list(TRAINED_ON))]
    if frame.empty:
        for panel in (left, right):
            style.missing(panel, "no intervention that trains on was run")
        return figure
    frame = frame[frame["alpha"].fillna(-1) == frame["alpha"].fillna(-1).min()]
    before = frame.drop_duplicates("model").assign(loss_stderr=0)
    rows = over_seeds(before.assign(loss=before["loss_before"]), "loss", ["m"])
    style.points(left, rows["m"], rows["value"], color=style.BLUE, linestyle="-", label="before")
    models = main_recipe(strong(study))
    zero = models[(models["initial_bias"] == "zero") & models["alpha"].isin(frame["alpha"])]
    if len(zero):
        rows = over_seeds(zero, "loss", ["m"])
        left.plot(rows["m"], rows["value"], **style.FIT, color="#555555", label="trained from $b$ = 0")
    for name, (label, colour, marker) in TRAINED_ON.items():
        part = frame[frame["intervention"] == name]
        if part.empty:
            continue
        rows = over_seeds(part, "loss", ["m"])
        style.points(left, rows["m"], rows["value"], rows["error"], color=colour, marker=marker, label=label)
        ratio = part.assign(ratio=np.log(part["loss"] / part["loss_before"])).groupby("m")["ratio"].mean()
        right.plot(ratio.index, np.exp(ratio), color=colour, marker=marker, linewidth=0.8, label=label)
    right.axhline(1, **style.THEORY)
    for panel, widths in ((left, [*frame["m"], *zero["m"]]), (right, frame["m"])):
        style.log_axis(panel, "x", widths)
        panel.set(xlabel=M)
    style.log_axis(left, "y")
    left.set(ylabel=LOSS)
    right.set(ylabel="ratio of losses", ylim=(0, None))
    left.legend(loc="lower left")
    style.foot(figure, _what(frame) + " Bars: seed SD/√S; held-out standard error with one seed.")
    return figure


def _what(frame: pd.DataFrame) -> str:
    alphas = ", ".join(style.number(alpha) for alpha in sorted(frame["alpha"].dropna().unique()))
    gamma = style.number(frame["gamma"].iloc[0])
    return f"n = {span(frame['n'])} features; γ = {gamma}; α = {alphas}; m = {span(frame['m'])}."


def mechanism_geometry(study: Study) -> Figure:
    """What about the overlaps sets the loss: scaled overlaps, other packings, and which statistic predicts the loss.

    Panels without data are left out.
    """
    frame, mediation = study.read("interventions"), study.read("mediation")
    drawn = [
        ("overlaps scaled", _scaled, frame[frame["intervention"] == "overlaps"]),
        ("other directions", _packings, frame[frame["intervention"].isin(list(PACKING))]),
        ("left-out curves", _predictions, _tested(mediation)),
    ]
    drawn = [panel for panel in drawn if len(panel[2])]
    width = max(style.ONE_COLUMN, style.TWO_COLUMN * len(drawn) / 3)
    titles = [title for title, _, _ in drawn]
    figure, axes = style.panels(1, max(len(drawn), 1), width=width, height=3.1, titles=titles or [""])
    for panel, (_, draw, rows) in zip(axes, drawn, strict=False):
        draw(panel, rows)
    if not drawn:
        style.missing(axes[0], "no overlaps were scaled, no directions replaced, and no three curves are strong")
    if len(frame):
        dashed = " Dashed: ∝ s²." if "overlaps scaled" in titles else ""
        style.foot(figure, _what(frame) + dashed)
    return figure


def _scaled(axes: Axes, frame: pd.DataFrame) -> None:
    """Loss against the factor s on the overlaps, one line per width; dashed: s^2 through s = 1."""
    axes.set(xlabel="factor $s$ on the overlaps", ylabel=LOSS)
    frame = frame[frame["alpha"].fillna(-1) == frame["alpha"].fillna(-1).min()]
    for refit, (label, colour, marker) in REFIT.items():
        for k, (m, rows) in enumerate(frame[(frame["refit"] == refit) & (frame["scale"] > 0)].groupby("m")):
            mean = rows.groupby("scale")["loss"].mean()
            name = label if k == 0 else None
            axes.plot(mean.index, mean, color=colour, marker=marker, linewidth=0.8, label=name)
            if refit == "bias":
                axes.plot(mean.index, mean.iloc[-1] * np.asarray(mean.index, np.float64) ** 2, **style.THEORY)
                axes.annotate(
                    f"$m$ = {m:g}", (mean.index[0], mean.iloc[0]), xytext=(3, -9), textcoords="offset points", size=7
                )
    style.log_axis(axes, "x", frame[frame["scale"] > 0]["scale"])
    style.log_axis(axes, "y")
    axes.legend(loc="upper left")


def _packings(axes: Axes, frame: pd.DataFrame) -> None:
    """Loss with b refitted against the squared 99 % quantile of the signed overlaps, one symbol per packing."""
    axes.set(xlabel="99 % quantile of $w_i \\cdot w_j$, squared", ylabel=f"{LOSS}, $b$ refitted")
    frame = frame[(frame["alpha"].fillna(-1) == frame["alpha"].fillna(-1).min()) & (frame["refit"] == "bias")]
    for name, (label, colour, marker) in PACKING.items():
        rows = frame[frame["intervention"] == name].groupby("m")[["overlap_quantile_live", "loss"]].mean()
        if len(rows):
            look = {"color": colour, "marker": marker, "label": label}
            style.points(axes, rows["overlap_quantile_live"] ** 2, rows["loss"], **look)
    for axis in "xy":
        style.log_axis(axes, axis)
    axes.legend(loc="best")


def _tested(mediation: pd.DataFrame) -> pd.DataFrame:
    """Return the sets of predictors with an error of the exponent, the largest error first."""
    rows = mediation[mediation["data"].isin(["live", "counting"])].dropna(subset=["exponent_error"])
    rows = rows[~rows["predictors"].str.contains("tightness")]  # not drawn: near m << n its denominator is nearly 0
    return rows.drop_duplicates(["data", "predictors"]).sort_values("exponent_error", ascending=False)


def _predictions(axes: Axes, rows: pd.DataFrame) -> None:
    """Root mean square error of predicted exponents of curves left out of the fit, one bar per set of predictors."""
    colours = [style.BLUE if data == "live" else style.ORANGE for data in rows["data"]]
    names = {"k = m^2/2": "count $k = m^2/2$", "k = c m^d": "count $k = c\\, m^d$", "log_m": "$m$"}
    names |= {"log_welch": r"$\kappa^2$", "log_mean": "mean square", "log_fourth": "fourth moment"}
    names |= {"log_quantile": "99 % quantile", "log_max": "largest"}
    axes.barh(range(len(rows)), rows["exponent_error"], color=colours, height=0.7)
    axes.set_yticks(range(len(rows)), [names.get(name, name) for name in rows["predictors"]], size=7)
    axes.set(xlabel="RMS error of the exponent")


def mechanism_theory(study: Study) -> Figure:
    """Mean-field theory of even frequencies (dashed) beside models trained from b = 0, and its local exponents."""
    figure, (left, right) = style.panels(1, 2, height=3.0, titles=["loss", "local exponent"])
    theory = study.read("mean_field")
    models = main_recipe(strong(study))
    models = models[(models["initial_bias"] == "zero") & (models["alpha"] == 0)]
    sizes = sorted(theory["n"].unique())
    for k, n in enumerate(sizes):
        rows = theory[theory["n"] == n].sort_values("m")
        m, loss = rows["m"].to_numpy(np.float64), rows["loss"].to_numpy(np.float64)
        some = loss > 1e-6
        colour = (style.VERMILION, style.PURPLE, style.GREEN, style.BLACK)[k % 4]
        look = {**style.THEORY, "color": colour, "label": f"theory, $n$ = $10^{{{np.log10(n):g}}}$"}
        left.plot(m[some], loss[some], **look)
        _slopes(right, m[some], loss[some], **look)
    if models.empty:
        style.missing(left, "no models with even frequencies from b = 0")
    else:
        rows = over_seeds(models, "loss", ["m"])
        look = {"color": style.VERMILION, "marker": "s", "label": f"trained, $n$ = {span(models['n'])}"}
        style.points(left, rows["m"], rows["value"], rows["error"], **look)
        _slopes(right, rows["m"].to_numpy(np.float64), rows["value"].to_numpy(np.float64), **look, linewidth=0.8)
    right.axhline(1, color=style.GREY, linewidth=0.7)
    for panel in (left, right):
        style.log_axis(panel, "x")
        panel.set(xlabel=M)
    style.log_axis(left, "y")
    left.set(ylabel=LOSS)
    right.set(ylabel=r"$-\,d \log L\,/\,d \log m$")
    left.legend(loc="lower left")
    style.foot(
        figure,
        "α = 0; E = 1; γ = −0.556 where trained. Theory: Gaussian overlaps at the Welch bound, no fitted parameter.",
    )
    return figure


def _slopes(axes: Axes, m: NDArray[np.float64], loss: NDArray[np.float64], **look: Any) -> None:
    axes.plot(np.sqrt(m[1:] * m[:-1]), -np.diff(np.log(loss)) / np.diff(np.log(m)), **look)


DRAWINGS: tuple[Callable[[Study], Figure], ...] = (
    mechanism_loss,
    mechanism_parts,
    mechanism_live,
    mechanism_onset,
    mechanism_interventions,
    mechanism_geometry,
    mechanism_theory,
)
FIGURES = {drawing.__name__: drawing for drawing in DRAWINGS}
TABLES = {
    "models": "toy_models",
    "exponents": "toy_exponents",
    "interventions": "interventions",
    "mediation": "mediation",
    "mean-field": "mean_field",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, draw the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.figures.mechanism", description="Draw figures of what the toy models' loss is made of."
    )
    parser.add_argument("--figure", nargs="+", required=True, help=f"of {', '.join(FIGURES)}")
    for option, table in TABLES.items():
        parser.add_argument(f"--{option}", type=Path, help=f"the table {table}.csv")
    parser.add_argument(
        "--published", type=Path, nargs="+", default=[], help="points read off the paper, drawn in grey"
    )
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="files to write, .svg or .png")
    given = parser.parse_args(arguments)
    paths = {table: getattr(given, option.replace("-", "_")) for option, table in TABLES.items()}
    style.write_figures(FIGURES, given.figure, Study(paths, given.published), given.output)


if __name__ == "__main__":
    run(main)
