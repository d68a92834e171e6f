"""Figures of the model exponent alpha_m: over (gamma, alpha), under weak superposition, over activation density."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from scaling.curves import CURVE, DENSITY_MARGIN, usual
from scaling.figures import style
from scaling.figures.heat_map import heat_map
from scaling.figures.study import Study, described, fullest, nearest, over_seeds, thinned
from scaling.frequency_laws import FREQUENCY_LAWS


DRAWN_GAMMAS = (-0.7778, -0.5556, -0.3333, 0.3333)  # weight decays of Fig. 6e, drawn when more were trained
PUBLISHED_DENSITY_GAMMA = -0.5556  # weight decay of the published activation density sweep (Fig. 7b)


def fig4_phase(study: Study) -> Figure:
    """R^2 and exponent of the line log L = a - alpha_m log m. Drawn: maps over (gamma, alpha); R^2 by frequency law.

    Source: paper Fig. 4a, b; grey in the last panel: R^2 read off Fig. 4a.
    """
    figure, (left, middle, right) = style.panels(
        1, 3, height=2.6, titles=[r"$R^2$ of a power law", r"model exponent $\alpha_m$", r"$R^2$ by frequency law"],
    )  # fmt: skip
    frame = study.sweep_exponents.dropna(subset=["exponent", "rsquared"])
    if frame.empty:
        for axes in (left, middle):
            style.missing(axes, "no curve has enough widths for a line")
    else:
        low = min(0.9, np.floor(frame["rsquared"].min() * 10) / 10)
        heat_map(left, frame, "rsquared", limits=(max(low, 0.5), 1.0), ticks=4)
        heat_map(middle, frame, "exponent", limits=(0.0, 2.2), ticks=4)
    _rsquared_by_law(right, study)
    drawn = study.sweep if frame.empty else study.sweep.merge(frame[CURVE], on=CURVE, how="inner")
    style.foot(figure, described(drawn, "none"))
    return figure


def _rsquared_by_law(axes: Axes, study: Study) -> None:
    """R^2 by frequency law and regime: points of the largest n trained, published ones in grey."""
    laws = list(FREQUENCY_LAWS)
    published = study.published("fig4a_r_squared")
    shapes = {"strong": "o", "weak": "^"}
    for name, marker in shapes.items():
        if not published.empty:
            rows = published[published["regime"] == name]
            at = [laws.index(law) - 0.12 for law in rows["feature_importance"]]
            axes.plot(at, rows["r_squared_recomputed_from_fig1"], **{**style.PUBLISHED, "marker": marker, "ms": 5})
    frame = study.exponents.dropna(subset=["rsquared"])
    frame = usual(frame[frame["activation_density"].sub(1).abs() < DENSITY_MARGIN])
    frame = frame[frame["n"] == frame["n"].max()]
    for name, marker in shapes.items():
        rows = frame[frame["regime"] == name]
        at = [laws.index(law) + 0.12 for law in rows["frequency_law"]]
        axes.plot(at, rows["rsquared"], marker, color=style.REGIME[name], alpha=0.8, ms=4)
    axes.set(xlim=(-0.6, len(laws) - 0.5), ylim=(axes.get_ylim()[0] - 0.15, 1.02))
    axes.set_xticks(range(len(laws)), [law.label for law in FREQUENCY_LAWS.values()], size=7.5)
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=style.REGIME[name], label=f"{name} superposition")
        for name, marker in shapes.items()
    ]
    handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published, n = 10240"}))
    absent = [law.label for name, law in FREQUENCY_LAWS.items() if name not in set(frame["frequency_law"])]
    title = f"not trained:\n{', '.join(absent)}" if absent else None
    axes.legend(handles=handles, loc="lower left", title=title, alignment="left", handletextpad=0.2)


def fig5_weak(study: Study) -> Figure:
    """Weak superposition against its prediction. Drawn: L against sum of 4/3 p_i - p_i^2; alpha_m against alpha - 1.

    Source: paper Eq. 4 and Fig. 5a, b; grey: the points with gamma > 0 read off Fig. 6e.
    """
    figure, (left, right) = style.panels(
        1, 2, height=2.9, titles=["loss, weak superposition", "exponent, weak superposition"]
    )
    models = study.sweep
    weak = models[(models["regime"] == "weak") & (models["loss_unlearned"] > 0)] if len(models) else models
    if weak.empty:
        style.missing(left, "no curve under weak superposition (mean phi_half < 1/2)")
    else:
        left.scatter(
            weak["loss_unlearned"], weak["loss"], s=9, c=[style.alpha_colour(a) for a in weak["alpha"]], zorder=3
        )
        ends = np.array([weak["loss_unlearned"].min(), weak["loss_unlearned"].max()])
        left.plot(ends, ends, **style.THEORY)
        for axis in "xy":
            style.log_axis(left, axis)
        handles = style.colour_key(left, weak["alpha"], style.alpha_colour, r"$\alpha$ =")
        handles.append(Line2D([], [], label="loss = prediction", **style.THEORY))
        left.legend(handles=handles, loc="upper left")
        ratio = weak["loss"] / weak["loss_unlearned"]
        style.note(left, f"median ratio {ratio.median():.2f},\n{len(weak)} models", "lower right")
    left.set(xlabel=r"predicted loss, $\sum\, (\frac{4}{3} p_i - p_i^2)$ over unrepresented $i$", ylabel="loss $L$")
    _weak_exponents(right, study)
    style.foot(figure, described(weak, "none") + r" Bars on exponents: standard error of the slope.")
    return figure


def _weak_exponents(axes: Axes, study: Study) -> None:
    published = study.published("fig6e_model_exponent")
    if not published.empty:
        rows = published[published["gamma"] > 0]
        style.points(axes, rows["alpha"] - 1, rows["model_exponent"], rows["err"], label="published", **style.PUBLISHED)
    frame = study.sweep_exponents.dropna(subset=["exponent"])
    frame = frame[(frame["regime"] == "weak") & (frame["alpha"] > 1)]
    for gamma in sorted(frame["gamma"].unique()):
        rows = frame[frame["gamma"] == gamma]
        style.points(
            axes, rows["alpha"] - 1, rows["exponent"], rows["exponent_stderr"], marker="^",
            color=style.gamma_colour(gamma), label=rf"$\gamma$ = {style.number(gamma)}",
        )  # fmt: skip
    axes.plot([0, 1.05], [0, 1.05], label=r"$\alpha_m = \alpha - 1$", **style.THEORY)
    axes.set(xlabel=r"$\alpha - 1$", ylabel=r"model exponent $\alpha_m$")
    axes.legend(loc="upper left")
    if frame.empty:
        style.note(axes, "ours: no curve under weak\nsuperposition with alpha > 1", "lower right")


def exponent_against_alpha(axes: Axes, study: Study) -> None:
    """alpha_m against alpha in both regimes; dashed: 1 and 2 (alpha - 1). Source: paper Fig. 6e (published in grey)."""
    published = study.published("fig6e_model_exponent")
    if not published.empty:
        for marker, rows in (("o", published[published["gamma"] < 0]), ("^", published[published["gamma"] > 0])):
            style.points(
                axes, rows["alpha"], rows["model_exponent"], rows["err"],
                **{**style.PUBLISHED, "marker": marker, "ms": 2.5, "elinewidth": 0.4, "capsize": 0},
            )  # fmt: skip
    axes.plot([0, 2], [1, 1], **style.THEORY)
    axes.plot([1, 2.1], [0, 2.2], **style.THEORY)
    frame = study.sweep_exponents.dropna(subset=["exponent", "alpha"])
    frame = frame[(frame["regime"] == "strong") | ((frame["regime"] == "weak") & (frame["alpha"] > 1))]
    gammas = sorted(frame["gamma"].unique())
    if len(gammas) > 4:  # too many to tell apart: those that were published
        gammas = sorted({nearest(gammas, gamma) for gamma in DRAWN_GAMMAS})
    for k, gamma in enumerate(gammas):
        rows = frame[frame["gamma"] == gamma]
        for name, marker in (("strong", "o"), ("weak", "^")):
            some = rows[rows["regime"] == name]
            shift = 0.02 * (k - (len(gammas) - 1) / 2) if len(gammas) > 1 else 0
            style.points(
                axes, some["alpha"] + shift, some["exponent"], some["exponent_stderr"],
                marker=marker, color=style.gamma_colour(gamma), ms=3.5,
            )  # fmt: skip
    handles = style.colour_key(axes, gammas, style.gamma_colour, r"$\gamma$ =", most=4) if gammas else []
    for handle, gamma in zip(handles, gammas, strict=False):
        if (frame.loc[frame["gamma"] == gamma, "regime"] == "weak").all():
            handle.set_marker("^")
    handles += [
        Line2D([], [], label=r"1 and $2(\alpha - 1)$", **style.THEORY),
        Line2D([], [], **{**style.PUBLISHED, "label": "published"}),
    ]
    axes.legend(handles=handles, loc="upper left", handletextpad=0.4, labelspacing=0.25)
    axes.set(xlabel=r"data exponent $\alpha$", ylabel=r"model exponent $\alpha_m$", ylim=(0, 2.6))
    if frame.empty:
        style.note(axes, "ours: no curve with\nenough widths")


def fig7_density(study: Study) -> Figure:
    """Activation density E leaves the exponent as it is. Drawn: alpha_m against E; L against m for several E.

    Source: paper Fig. 7a, b; grey: the points of Fig. 7b (gamma = -0.556, alpha = 1), and slopes through those
    at the widths trained here, since at high E they bend.
    """
    figure, (left, right) = style.panels(1, 2, height=2.9, titles=["exponent", "loss"])
    published = study.published("fig7b_density_scaling")
    models, frame = study.varying("activation_density")
    models = models[models["alpha"].notna()]
    if len(models):
        models = models[models["alpha"] == nearest(models["alpha"], 1)]
        frame = frame[frame["alpha"] == nearest(models["alpha"], 1)]
    if not published.empty:
        shared = published[published["m"].isin(models["m"])]
        same = shared if shared["m"].nunique() >= 3 else published
        densities = [float(E) for E in same["activation_density"].unique()]
        slopes = [_slope(same[same["activation_density"] == E]) for E in densities]
        name = "published" if same["m"].nunique() == published["m"].nunique() else "published, at these m"
        left.plot(densities, slopes, label=name, **style.PUBLISHED)
    left.axhline(1, **style.THEORY)
    for gamma in sorted(frame["gamma"].unique()):
        rows = frame[frame["gamma"] == gamma]
        style.points(
            left, rows["activation_density"], rows["exponent"], rows["exponent_stderr"],
            color=style.gamma_colour(gamma), label=rf"$\gamma$ = {style.number(gamma)}",
        )  # fmt: skip
    left.set(xlabel="activation density $E$", ylabel=r"model exponent $\alpha_m$")
    left.set_ylim(0, 1.2 * left.get_ylim()[1])
    style.legend(left, loc="lower left", ncols=2)
    if len(models):
        models = models[models["gamma"] == fullest(models, "gamma", "activation_density", PUBLISHED_DENSITY_GAMMA)]
    if frame.empty:
        lack = "enough widths for a line" if len(models) else "two activation densities"
        style.note(left, f"ours: no curve has {lack}", "upper left")
    _loss_by_density(right, models, published)
    style.foot(figure, described(models) + " Bars on exponents: standard error of the slope.")
    return figure


def _slope(rows: pd.DataFrame) -> float:
    """alpha_m of the line through log L against log m."""
    return -float(stats.linregress(np.log(rows["m"].astype(float)), np.log(rows["loss"].astype(float))).slope)


def _loss_by_density(axes: Axes, models: pd.DataFrame, published: pd.DataFrame) -> None:
    if not published.empty:
        for _, rows in published.groupby("activation_density"):
            axes.plot(rows["m"], rows["loss"], **{**style.PUBLISHED, "linestyle": "-", "linewidth": 0.6})
    densities = thinned(models["activation_density"], 6)
    for E in densities:
        rows = over_seeds(models[models["activation_density"] == E], "loss", ["m"])
        style.points(axes, rows["m"], rows["value"], rows["error"], linestyle="-", color=style.density_colour(E))
    style.log_axis(axes, "x", [*models["m"], *([] if published.empty else published["m"])])
    style.log_axis(axes, "y")
    handles = style.colour_key(axes, densities, style.density_colour, "$E$ =")
    if not published.empty:
        handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published"}))
    if handles:
        axes.legend(handles=handles, loc="lower left")
    axes.set(xlabel="model dimension $m$", ylabel="loss $L$")
    if models.empty:
        style.note(axes, "ours: no sweep of the activation density", "upper right")
