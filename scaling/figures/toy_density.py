"""Figures of the activation density E: the loss against E, against m at each E, and the exponent."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from scaling.curves import CURVE
from scaling.figures import strips, style
from scaling.figures.study import USUAL_GAMMA, Study, described, fullest, nearest, of_curve, over_seeds, thinned


E_NAME, LOSS, ALPHA_M = "activation density $E$", "loss $L$", r"model exponent $\alpha_m$"


def fig7_density(study: Study) -> Figure:
    """Loss against E by weight decay and against m by E, and the exponent of each E.

    Drawn: alpha nearest 1; a at the width with most densities. Source: paper Fig. 7a, b; grey: Fig. 7b (gamma = -0.556)
    and slopes through its points at the widths drawn.
    """
    figure, (by_gamma, by_density, exponent) = style.panels(
        1, 3, height=3.0, titles=["loss", "loss by density", "exponent"], letters=["a", "b", ""]
    )
    models, _ = study.varying("activation_density")
    models = models[models["alpha"].notna()]
    if models.empty:
        for axes in (by_gamma, by_density, exponent):
            style.missing(axes, "no sweep of the activation density")
        return figure
    models = models[models["alpha"] == nearest(models["alpha"], 1)]
    one = models[models["gamma"] == fullest(models, "gamma", "activation_density", USUAL_GAMMA["strong"])]
    one = study.models.merge(one[CURVE].drop_duplicates(), on=CURVE, how="inner")  # with widths of other experiments
    _loss_against_density(by_gamma, models)
    fits = _fits(study, one)
    _loss_by_density(by_density, study, one)
    _exponents(exponent, study, one, fits)
    style.foot(
        figure,
        described(pd.concat([models, one]))
        + " Bars on exponents: 95 % t-intervals of the slope. Grey: read off the paper; its exponents"
        " are slopes at the widths drawn here.",
    )
    return figure


def _loss_against_density(axes: Axes, models: pd.DataFrame) -> None:
    m = fullest(models, "m", "model", models["m"].median())
    gammas = thinned(models["gamma"], 5)
    for gamma in gammas:
        rows = over_seeds(models[(models["m"] == m) & (models["gamma"] == gamma)], "loss", ["activation_density"])
        look = {"color": style.gamma_colour(gamma), "linestyle": "-", "linewidth": 0.8, "ms": 3}
        style.points(axes, rows["activation_density"], rows["value"], rows["error"], **look)
    for axis in "xy":
        style.log_axis(axes, axis)
    axes.legend(
        handles=style.colour_key(axes, gammas, style.gamma_colour, r"$\gamma$ ="),
        title=f"$m$ = {m:g}",
        loc="lower right",
    )
    axes.set(xlabel=E_NAME, ylabel=LOSS)


def _loss_by_density(axes: Axes, study: Study, models: pd.DataFrame) -> None:
    parts = {E: models[models["activation_density"] == E] for E in models["activation_density"].unique()}
    densities = thinned([E for E, part in parts.items() if len(_published(study, part))], 5)
    densities = densities or thinned(models["activation_density"], 5)
    labels, widths = [], set(models["m"])
    for E in densities:
        part = models[models["activation_density"] == E]
        published = _published(study, part)
        axes.plot(published["m"], published["loss"], **{**style.PUBLISHED, "ms": 5})
        widths |= set(published["m"])
        rows = over_seeds(part, "loss", ["m"])
        look = {"color": style.density_colour(E), "linestyle": "-", "linewidth": 0.8, "ms": 3}
        style.points(axes, rows["m"], rows["value"], rows["error"], **look)
        labels.append((float(rows.sort_values("m")["value"].iloc[-1]), f"$E$ = {style.number(E)}", look["color"]))
    style.log_axis(axes, "x", widths)
    style.log_axis(axes, "y")
    axes.set(xlabel="model dimension $m$", ylabel=LOSS)
    strips.end_labels(axes, labels)


def _published(study: Study, models: pd.DataFrame) -> pd.DataFrame:
    """The paper's losses at the setting of `models`; its densities count as ours when they differ by less than 1 %."""
    key, frame = models.iloc[0], study.published_losses
    near = (frame["activation_density"] / key["activation_density"] - 1).abs() < 0.01
    return of_curve(frame[near], key, ["frequency_law", "n", "gamma", "alpha"])


def _fits(study: Study, models: pd.DataFrame) -> pd.DataFrame:
    """The exponent of each density with its 95 % interval, from the experiment with most widths."""
    curves = models[CURVE].drop_duplicates()
    return study.exponents.merge(curves, on=CURVE, how="inner").dropna(subset=["exponent"])


def _exponents(axes: Axes, study: Study, models: pd.DataFrame, fits: pd.DataFrame) -> None:
    grey = []
    for row in fits.to_dict("records"):
        part = models[models["activation_density"] == row["activation_density"]]
        published = _published(study, part)
        published = published[published["m"].between(row["m_min"], row["m_max"])]
        if len(published) > 2:
            m, loss = (published[column].to_numpy(float) for column in ("m", "loss"))
            grey.append((row["activation_density"], -stats.linregress(np.log(m), np.log(loss)).slope))
    if grey:
        axes.plot(*zip(*grey, strict=True), **{**style.PUBLISHED, "ms": 5}, label="published")
    axes.axhline(1, **style.THEORY)
    if fits.empty:
        style.missing(axes, "no density has enough widths for a line")
    else:
        bars = np.array(
            [fits["exponent"] - fits["exponent_low"], fits["exponent_high"] - fits["exponent"]], dtype=float
        )
        label = rf"ours, $\gamma$ = {style.number(models['gamma'].iloc[0])}"
        style.points(axes, fits["activation_density"], fits["exponent"], bars, color=style.BLUE, label=label)
        for row in fits.to_dict("records"):
            where = (row["activation_density"], row["exponent"])
            axes.annotate(f"{row['n_points']}", where, (3, 3), textcoords="offset points", size=6.5, color=style.BLUE)
    axes.set(xlabel=E_NAME, ylabel=ALPHA_M)
    style.legend(axes, loc="best")
