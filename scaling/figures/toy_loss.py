"""Figures of the loss: against the model dimension m, and against the number of represented features."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling import theory
from scaling.curves import CURVE
from scaling.figures import style
from scaling.figures.study import Study, at_one_density, described, fullest, of_curve, over_seeds, thinned
from scaling.frequency_laws import FREQUENCY_LAWS


PUBLISHED_GAMMA = {"weak": 0.1, "strong": -1.0}  # weight decay of the paper's Fig. 1b, d
M, LOSS = "model dimension $m$", "loss $L$"


def fig1_loss(study: Study) -> Figure:
    """Loss against model dimension in both regimes. Drawn: the largest n trained, with power-law lines.

    Source: paper Fig. 1b, d, in grey with its n = 10240.
    """
    models = at_one_density(study.models)
    models = models[models["n"] == models["n"].max()]
    figure, axes = style.panels(
        1, 2, height=3.6, sharey=True, titles=["weak superposition", "strong superposition"], letters=["b", "d"]
    )
    drawn = []
    for panel, name in zip(axes, PUBLISHED_GAMMA, strict=True):
        published = study.published("fig1b_weak_loss" if name == "weak" else "fig1d_strong_loss")
        if not published.empty:
            for law in FREQUENCY_LAWS:
                rows = published[published["feature_importance"] == law]
                look = {
                    **style.PUBLISHED,
                    "marker": FREQUENCY_LAWS[law].marker,
                    "linestyle": "-",
                    "linewidth": 0.5,
                }
                panel.plot(rows["m"], rows["loss"], **look)
        part = models[models["regime"] == name]
        if len(part):
            part = part[part["gamma"] == fullest(part, "gamma", "model", PUBLISHED_GAMMA[name])]
            drawn.append(part)
        handles = _loss_lines(panel, part, study.exponents)
        if not published.empty:
            handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published, n = 10240"}))
        style.legend_below(panel, handles)
        if part.empty:
            style.note(panel, f"ours: no model under {name} superposition")
        for axis in "xy":
            style.log_axis(panel, axis)
        panel.set(xlabel=M)
    axes[0].set(ylabel=LOSS)
    style.foot(figure, described(pd.concat(drawn)) + f" Grey: {_law_shapes()}." if drawn else "")
    return figure


def _law_shapes() -> str:
    return "circles power law (α = 1.2), squares exponential, triangles linear frequencies"


def _loss_lines(axes: Axes, models: pd.DataFrame, exponents: pd.DataFrame) -> list[Line2D]:
    """Seed means with error bars and the power-law line of each curve; returns the legend entries."""
    handles = []
    keys = models[CURVE].drop_duplicates()
    several = models["frequency_law"].nunique() > 1
    if not several and len(keys):
        keys = keys[keys["alpha"].isin(thinned(keys["alpha"], 5))]
    for _, key in keys.sort_values(["frequency_law", "alpha"]).iterrows():
        law = key["frequency_law"]
        rows = over_seeds(of_curve(models, key), "loss", ["m"])
        colour = style.law_colour(law) if several else style.alpha_colour(key["alpha"])
        marker = FREQUENCY_LAWS[law].marker
        style.points(axes, rows["m"], rows["value"], rows["error"], color=colour, marker=marker)
        name = FREQUENCY_LAWS[law].label if several else rf"$\alpha$ = {style.number(key['alpha'])}"
        fit = of_curve(exponents, key)
        if len(fit) and pd.notna(fit["exponent"].iloc[0]):
            line = fit.iloc[0]
            x = np.array([rows["m"].min(), rows["m"].max()], dtype=float)
            axes.plot(x, line["amplitude"] * x ** -line["exponent"], color=colour, **style.FIT)
            name += rf": $\alpha_m$ = {line['exponent']:.2f} ± {line['exponent_stderr']:.2f}"
        handles.append(Line2D([], [], color=colour, marker=marker, linewidth=1, label=name))
    return handles


def final_fig4a_loss_against_represented(study: Study) -> Figure:
    """Loss against the number of represented features under weak superposition, one colour an alpha.

    Dashed: sum of 4/3 p_i - p_i^2 over all but the k most frequent features (theory.loss_by_count). Source: final
    version, Fig. 4a.
    """
    figure, (axes,) = style.panels(1, 1, width=style.ONE_COLUMN, height=2.9, titles=["weak superposition"])
    models = study.sweep
    models = models[models["regime"] == "weak"] if len(models) else models
    if models.empty:
        style.missing(axes, "no curve under weak superposition (mean phi_half < 1/2)")
    else:
        alphas = thinned(models["alpha"], 5)
        models = models[models["alpha"].isin(alphas)]
        for alpha in alphas:
            rows = models[models["alpha"] == alpha]
            axes.plot(
                rows["phi_half"] * rows["n"].astype(float),
                rows["loss"],
                "o",
                ms=3,
                color=style.alpha_colour(alpha),
                zorder=3,
            )
            one = of_curve(study.features, rows.iloc[0])
            if len(one):
                p = one[one["model"] == one["model"].iloc[0]]["frequency"].to_numpy()
                most = min(3 * rows["phi_half"].max() * len(p), len(p) - 1)
                k = np.unique(np.geomspace(1, max(most, 1), 60).astype(int))
                axes.plot(k, theory.loss_by_count(p, k), **{**style.THEORY, "color": style.alpha_colour(alpha)})
        for axis in "xy":
            style.log_axis(axes, axis)
        handles = style.colour_key(axes, alphas, style.alpha_colour, r"$\alpha$ =")
        handles.append(Line2D([], [], label="theory: the $k$ most\nfrequent represented", **style.THEORY))
        axes.legend(handles=handles, loc="lower left")
    axes.set(xlabel=r"represented features $\varphi_{1/2}\, n$", ylabel=LOSS)
    style.foot(figure, described(models, "none"))
    return figure
