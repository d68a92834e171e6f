"""Figures of the model exponent alpha_m: against alpha in both regimes, over (gamma, alpha), by frequency law."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling.curves import CURVE, DENSITY_MARGIN, main_recipe, usual
from scaling.figures import strips, style
from scaling.figures.heat_map import heat_map
from scaling.figures.study import (
    LARGE_PUBLISHED_N,
    USUAL_GAMMA,
    Study,
    described,
    fullest,
    nearest,
    of_curve,
    over_seeds,
)
from scaling.frequency_laws import FREQUENCY_LAWS


DRAWN_GAMMAS = (-0.7778, -0.5556, -0.3333, 0.3333)  # weight decays of Fig. 6e, drawn when more were trained
FROM_ZERO = {"color": style.GREEN, "marker": "s"}  # models from b = 0, which the paper has not
REGIME_MARKER = {"strong": "o", "weak": "^"}
LINES: dict[
    str, tuple[list[float], list[float], tuple[float, float]]
] = {  # theory of alpha_m: alpha, alpha_m, where its name stands
    "1": ([0, 2], [1, 1], (0.05, 1.03)),
    r"$2(\alpha - 1)$": ([1, 2.1], [0, 2.2], (0.78, 0.52)),
    r"$\alpha - 1$": ([1, 2.1], [0, 1.1], (1.63, 0.42)),
}
ALPHA, ALPHA_M = r"data exponent $\alpha$", r"model exponent $\alpha_m$"


def fig6e_exponent(study: Study) -> Figure:
    """The exponent against alpha in both regimes, beside L(m) under strong superposition and its ratio to the paper's.

    Drawn: one weight decay per regime; squares: models from b = 0. Source: paper Fig. 6e; grey: Fig. 6e, 5a and 7b.
    """
    figure, axes = style.mosaic(
        [["exponent", "loss"], ["exponent", "ratio"]],
        height=3.9,
        titles={"exponent": ("e", "exponent against the skew of the data"), "loss": ("", "strong superposition")},
        width_ratios=[1.25, 1],
        height_ratios=[2.6, 1],
    )
    gammas = _usual_gammas(study)
    _exponents_by_regime(axes["exponent"], study, gammas)
    drawn = _losses(axes["loss"], axes["ratio"], study, gammas.get("strong"))
    models = pd.concat([study.sweep[study.sweep["gamma"].isin(list(gammas.values()))], drawn])
    style.foot(
        figure,
        described(models) + " Bars on exponents: standard error of the slope. Grey: read off the paper, its own bars."
        " Dashed: theory. Squares: b = 0 at the start, not in the paper.",
    )
    return figure


def _usual_gammas(study: Study) -> dict[str, float]:
    """The weight decay drawn in each regime: the one with most data exponents, nearest to the usual one."""
    frame = study.sweep_exponents.dropna(subset=["exponent"])
    parts = {name: frame[frame["regime"] == name] for name in USUAL_GAMMA}
    return {name: fullest(part, "gamma", "alpha", USUAL_GAMMA[name]) for name, part in parts.items() if len(part)}


def from_zero(study: Study, frame: pd.DataFrame, gamma: float | None) -> pd.DataFrame:
    """Rows of `frame` (models or exponents) like those of the decay sweep, but from b = 0, at one weight decay."""
    frame = main_recipe(frame)
    same = (frame["initial_bias"] == "zero") & (frame["frequency_law"] == "power_law") & (frame["gamma"] == gamma)
    same &= (frame["learning_rate_factor"] == 1) & (frame["activation_density"].sub(1).abs() < DENSITY_MARGIN)
    return frame[same & frame["n"].isin(study.sweep["n"])]


def _theory_lines(axes: Axes) -> None:
    for name, (x, y, (at, height)) in LINES.items():
        axes.plot(x, y, **style.THEORY)
        axes.text(at, height, name, size=7.5, color="#555555", ha="left", va="bottom")


def _exponents_by_regime(axes: Axes, study: Study, gammas: dict[str, float]) -> None:
    """alpha_m at one weight decay per regime on the paper's points; weak only for alpha > 1, as in the paper."""
    _theory_lines(axes)
    published = study.comparable("fig6e_model_exponent", study.sweep)
    frame = study.sweep_exponents.dropna(subset=["exponent"])
    for name, gamma in gammas.items():
        marker, colour = REGIME_MARKER[name], style.REGIME[name]
        if len(published):
            rows = published[(published["gamma"] - gamma).abs() < 1e-3]
            look = {**style.PUBLISHED, "marker": marker, "ms": 5, "elinewidth": 0.8}
            style.points(axes, rows["alpha"] - 0.015, rows["model_exponent"], rows["err"], **look)
        rows = frame[(frame["gamma"] == gamma) & (frame["regime"] == name)]
        rows = rows[rows["alpha"] > 1] if name == "weak" else rows
        label = rf"{name}, $\gamma$ = {style.number(gamma)}"
        style.points(
            axes, rows["alpha"] + 0.015, rows["exponent"], rows["exponent_stderr"],
            color=colour, marker=marker, label=label,
        )  # fmt: skip
    zero = from_zero(study, study.exponents, gammas.get("strong")).dropna(subset=["exponent"])
    if len(zero):
        look = {**FROM_ZERO, "label": "strong, from $b$ = 0"}
        style.points(axes, zero["alpha"], zero["exponent"], zero["exponent_stderr"], **look)
    handles = axes.get_legend_handles_labels()[0]
    if len(published):
        handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published"}))
    axes.set(xlabel=ALPHA, ylabel=ALPHA_M, xlim=(-0.08, 2.12), ylim=(0, None))
    axes.legend(handles=handles, loc="upper left")


def _losses(loss: Axes, ratio: Axes, study: Study, gamma: float | None) -> pd.DataFrame:
    """L(m) and its ratio to the published one at the alphas that the paper shows, from both initial biases."""
    strong = study.sweep[(study.sweep["regime"] == "strong") & (study.sweep["gamma"] == gamma)]
    if strong.empty:
        style.missing(loss, "no curve under strong superposition")
        ratio.remove()
        return strong
    models = pd.concat([strong, from_zero(study, study.models, gamma)])
    keys = [key for _, key in strong[CURVE].drop_duplicates().sort_values("alpha").iterrows()]
    shown = [key for key in keys if len(study.published_curve(key))][:2]
    shown = shown or [key for key in keys if key["alpha"] == nearest(strong["alpha"], 1)]
    labels = []
    for key in shown:
        published = study.published_curve(key)
        fill = {} if key["alpha"] < 0.5 or len(shown) == 1 else {"mfc": "white"}
        loss.plot(published["m"], published["loss"], **{**style.PUBLISHED, "ms": 6})
        for bias, look in (("normal", {"color": style.REGIME["strong"], "marker": "o"}), ("zero", FROM_ZERO)):
            rows = of_curve(models, pd.Series({**key, "initial_bias": bias}))
            if rows.empty:
                continue
            mean = over_seeds(rows, "loss", ["m"])
            line = {**look, **fill, "ms": 3.2, "linewidth": 0.8, "linestyle": "-"}
            style.points(loss, mean["m"], mean["value"], mean["error"], **line)
            strips.ratio_strip(ratio, mean, published, **line)
            end = float(mean.sort_values("m")["value"].iloc[-1])
            start = "" if bias == "normal" else ", $b$ = 0"
            labels.append((end, rf"$\alpha$ = {style.number(key['alpha'])}{start}", look["color"]))
    compared = ratio.has_data()
    strips.finish(loss, [(ratio, "ours/paper")] if compared else [], models["m"], "loss $L$")
    if compared:
        ratio.set_ylim(0, 1.35)
    else:
        ratio.remove()
    low, high = float(models["m"].min()), loss.get_ylim()[1]
    loss.set_ylim(top=2.2 * high)
    strips.triangle(loss, low * (models["m"].max() / low) ** 0.65, 1.9 * high)
    strips.end_labels(loss, labels)
    return models[models["alpha"].isin([key["alpha"] for key in shown])]


def exponent_against_alpha(axes: Axes, study: Study) -> None:
    """alpha_m against alpha in both regimes at the published weight decays. Source: paper Fig. 6e (in grey)."""
    _theory_lines(axes)
    published = study.comparable("fig6e_model_exponent", study.sweep)
    frame = study.sweep_exponents.dropna(subset=["exponent", "alpha"])
    frame = frame[(frame["regime"] == "strong") | ((frame["regime"] == "weak") & (frame["alpha"] > 1))]
    gammas = sorted(frame["gamma"].unique())
    if len(gammas) > len(DRAWN_GAMMAS):  # too many to tell apart: those that were published
        gammas = sorted({nearest(gammas, gamma) for gamma in DRAWN_GAMMAS})
    for gamma in gammas:
        for name, marker in REGIME_MARKER.items():
            rows = frame[(frame["gamma"] == gamma) & (frame["regime"] == name)].sort_values("alpha")
            if rows.empty:
                continue
            if len(published):
                grey = published[(published["gamma"] - gamma).abs() < 1e-3]
                look = {**style.PUBLISHED, "marker": marker, "ms": 4.5}
                axes.plot(grey["alpha"], grey["model_exponent"], **look)
            axes.plot(
                rows["alpha"], rows["exponent"], marker=marker, color=style.gamma_colour(gamma), ms=3, linestyle="none"
            )
    handles = style.colour_key(axes, gammas, style.gamma_colour, r"$\gamma$ =", most=4) if gammas else []
    for handle, gamma in zip(handles, gammas, strict=False):
        if (frame.loc[frame["gamma"] == gamma, "regime"] == "weak").all():
            handle.set_marker("^")
    if len(published):
        handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published"}))
    axes.legend(handles=handles, loc="upper left", handletextpad=0.4, labelspacing=0.25)
    axes.set(xlabel=ALPHA, ylabel=ALPHA_M, ylim=(0, None))


def fig4_phase(study: Study) -> Figure:
    """R^2 and the exponents of both regimes, the exponent over (gamma, alpha), how far losses lie from their lines.

    By frequency law where several were trained, else the exponents against alpha. Source: paper Fig. 4a, b.
    """
    frame = study.sweep_exponents.dropna(subset=["exponent", "rsquared"])
    by_law = _rsquared_rows(study)
    laws = by_law["frequency_law"].nunique() > 1
    panels = [["laws", "map"], ["both", "residuals"]] if laws else [["both", "map", "residuals"]]
    figure, axes = style.mosaic(
        panels,
        height=4.6 if laws else 2.9,
        titles={
            "laws": ("a", r"$R^2$ by frequency law"),
            "both": ("b", "exponents of both regimes"),
            "map": ("", ALPHA_M),
            "residuals": ("", "losses about their power laws"),
        },
        width_ratios=[1, 1.1] if laws else [1, 1.1, 1],
    )
    if laws:
        _rsquared_by_law(axes["laws"], study, by_law)
        _exponents_by_law(axes["both"], by_law)
    else:
        exponent_against_alpha(axes["both"], study)
    if frame.empty:
        for name in ("map", "residuals"):
            style.missing(axes[name], "no curve has enough widths for a line")
    else:
        heat_map(axes["map"], frame, "exponent", limits=(0.0, 2.2))
        _residuals(axes["residuals"], study, frame)
    drawn = study.sweep if frame.empty else study.sweep.merge(frame[CURVE], on=CURVE, how="inner")
    style.foot(figure, described(drawn, "none"))
    return figure


def _residuals(axes: Axes, study: Study, frame: pd.DataFrame) -> None:
    """log10 of the loss over its line, against m: median and quartiles over the curves of each regime."""
    models = study.sweep.merge(frame[[*CURVE, "exponent", "amplitude"]], on=CURVE, how="inner")
    line = models["amplitude"] * models["m"].astype(float) ** -models["exponent"]
    models = models.assign(residual=np.log10(models["loss"] / line))
    for k, (name, marker) in enumerate(REGIME_MARKER.items()):
        rows = models[models["regime"] == name]
        if rows.empty:
            continue
        curves = rows[CURVE].drop_duplicates().shape[0]
        middle = rows.groupby("m")["residual"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
        at = middle.index.to_numpy(float) * (0.98 + 0.04 * k)
        bars = [middle[0.5] - middle[0.25], middle[0.75] - middle[0.5]]
        axes.errorbar(
            at, middle[0.5], yerr=bars, marker=marker, color=style.REGIME[name], linewidth=0.8, ms=3.5,
            label=f"{name}, {curves} curves",
        )  # fmt: skip
    axes.axhline(0, **style.THEORY)
    style.log_axis(axes, "x", models["m"])
    axes.set(xlabel="model dimension $m$", ylabel=r"$\log_{10}$ (loss / line)")
    style.legend(axes, loc="best")


def _rsquared_rows(study: Study) -> pd.DataFrame:
    """Exponents with R^2 of the largest n trained, usual training, E = 1, in either regime."""
    frame = study.exponents.dropna(subset=["rsquared"])
    frame = usual(frame[frame["activation_density"].sub(1).abs() < DENSITY_MARGIN])
    frame = frame[frame["n"] == frame["n"].max()]
    return frame[frame["regime"].isin(list(REGIME_MARKER))]


def _rsquared_by_law(axes: Axes, study: Study, frame: pd.DataFrame) -> None:
    laws = [law for law in FREQUENCY_LAWS if law in set(frame["frequency_law"])]
    published = study.published("fig4a_r_squared")
    published = published if set(frame["n"]) == {LARGE_PUBLISHED_N} else published.iloc[:0]
    for name, marker in REGIME_MARKER.items():
        if len(published):
            rows = published[(published["regime"] == name) & published["feature_importance"].isin(laws)]
            at = [laws.index(law) - 0.12 for law in rows["feature_importance"]]
            axes.plot(at, rows["r_squared_recomputed_from_fig1"], **{**style.PUBLISHED, "marker": marker, "ms": 5})
        rows = frame[frame["regime"] == name]
        at = [laws.index(law) + 0.12 for law in rows["frequency_law"]]
        axes.plot(at, rows["rsquared"], marker, color=style.REGIME[name], ms=4, label=f"{name} superposition")
    handles = axes.get_legend_handles_labels()[0]
    if len(published):
        handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published"}))
    axes.set(xlim=(-0.6, len(laws) - 0.4), ylim=(axes.get_ylim()[0] - 0.1, 1.02), ylabel="$R^2$")
    axes.set_xticks(range(len(laws)), [FREQUENCY_LAWS[law].label for law in laws], size=7.5)
    axes.legend(handles=handles, loc="lower left")


def _exponents_by_law(axes: Axes, frame: pd.DataFrame) -> None:
    """alpha_m by frequency law in both regimes, with the standard error of the slope."""
    laws = [law for law in FREQUENCY_LAWS if law in set(frame["frequency_law"])]
    for name, marker in REGIME_MARKER.items():
        rows = frame[frame["regime"] == name]
        at = [laws.index(law) + (-0.1 if name == "strong" else 0.1) for law in rows["frequency_law"]]
        look = {"marker": marker, "color": style.REGIME[name], "label": f"{name} superposition"}
        style.points(axes, at, rows["exponent"], rows["exponent_stderr"], **look)
    axes.axhline(1, **style.THEORY)
    axes.set(xlim=(-0.6, len(laws) - 0.4), ylabel=ALPHA_M)
    axes.set_xticks(range(len(laws)), [FREQUENCY_LAWS[law].label for law in laws], size=7.5)
