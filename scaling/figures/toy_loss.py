"""Figure of the loss against the model dimension m, with its local slopes and its ratio to the published loss."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaling.curves import CURVE
from scaling.figures import strips, style
from scaling.figures.study import (
    USUAL_GAMMA,
    Study,
    at_one_density,
    described,
    fullest,
    of_curve,
    over_seeds,
    thinned,
)
from scaling.frequency_laws import FREQUENCY_LAWS


LETTER = {"weak": "b", "strong": "d"}
MOST_CURVES = 5


def fig1_loss(study: Study) -> Figure:
    """Loss against m in each regime, its local slopes, and its ratio to the paper's loss at the same setting.

    Drawn: the largest n trained, with power-law lines. Source: paper Fig. 1b, d. Grey: Fig. 1b, d (n = 10240),
    or Fig. 5a (alpha = 0) and 7b (alpha = 1, gamma = -0.556) with n = 1000.
    """
    parts = {name: part for name in LETTER if len(part := _models(study, name))}
    if not parts:
        figure, (empty,) = style.panels(1, 1)
        style.missing(empty, "no curve under weak or strong superposition")
        return figure
    curves = {name: _curves(study, part) for name, part in parts.items()}
    compared = [name for name in parts if any(len(published) for *_, published in curves[name])]
    rows = ["loss", "slope", *(["ratio"] if compared else [])]
    titles = {
        f"{name} loss": (LETTER[name], f"{name} superposition, " + rf"$\gamma$ = {style.number(part['gamma'].iloc[0])}")
        for name, part in parts.items()
    }
    # A regime without points in the paper has taller slopes instead of ratios.
    kinds = {name: rows if name in compared or not compared else ["loss", "slope", "slope"] for name in parts}
    figure, axes = style.mosaic(
        [[f"{name} {kinds[name][k]}" for name in parts] for k in range(len(rows))],
        height=1.6 + 1.1 * len(rows),
        titles=titles,
        height_ratios=[3, 1.1, 1.1][: len(rows)],
    )
    labels = {}
    for name, part in parts.items():
        column = {row: axes[f"{name} {row}"] for row in kinds[name]}
        labels[name] = _column(column, part, curves[name], study.exponents)
    panels = [axes[f"{name} loss"] for name in parts]
    low, high = zip(*(panel.get_ylim() for panel in panels), strict=True)
    for (name, part), panel in zip(parts.items(), panels, strict=True):
        panel.set_ylim(min(low), 3 * max(high))  # one scale for both regimes, room for the triangle
        narrow, wide = part["m"].min(), part["m"].max()
        strips.triangle(panel, narrow * (wide / narrow) ** 0.7, 2.6 * max(high))
        strips.end_labels(panel, labels[name])
    grey = " Grey: read off the paper." if compared else ""
    style.foot(
        figure,
        described(pd.concat(list(parts.values())))
        + f"{grey} Lines: power laws; at the right $\\alpha_m$ ± its standard error. Slopes: between neighbours.",
    )
    return figure


def _models(study: Study, name: str) -> pd.DataFrame:
    """Models of the largest n in a regime: E = 1, the gamma with most models, at most MOST_CURVES alphas."""
    models = at_one_density(study.models)
    models = models[models["n"] == models["n"].max()]
    models = models[models["regime"] == name]
    if len(models):
        models = models[models["gamma"] == fullest(models, "gamma", "model", USUAL_GAMMA[name])]
    if models["frequency_law"].nunique() == 1:
        models = models[models["alpha"].isin(thinned(models["alpha"], MOST_CURVES))]
    return models


def _curves(study: Study, models: pd.DataFrame) -> list[tuple[pd.Series, pd.DataFrame, pd.DataFrame]]:
    """Each curve of `models`: its setting, its losses over seeds, and the paper's at the same setting."""
    keys = [key for _, key in models[CURVE].drop_duplicates().sort_values(["frequency_law", "alpha"]).iterrows()]
    return [(key, over_seeds(of_curve(models, key), "loss", ["m"]), study.published_curve(key)) for key in keys]


def _column(
    axes: dict[str, Axes],
    models: pd.DataFrame,
    curves: list[tuple[pd.Series, pd.DataFrame, pd.DataFrame]],
    exponents: pd.DataFrame,
) -> list[tuple[float, str, Any]]:
    """Draw one regime; returns the labels of its curves: height, text, colour."""
    loss = axes["loss"]
    several = models["frequency_law"].nunique() > 1
    labels = []
    for key, rows, published in curves:
        law = FREQUENCY_LAWS[key["frequency_law"]]
        colour = style.law_colour(key["frequency_law"]) if several else style.alpha_colour(key["alpha"])
        look = {"color": colour, "marker": law.marker}
        loss.plot(published["m"], published["loss"], **{**style.PUBLISHED, "marker": law.marker, "ms": 5.5})
        style.points(loss, rows["m"], rows["value"], rows["error"], ms=3, **look)
        strips.slope_strip(axes["slope"], rows, **look)
        if "ratio" in axes:
            strips.ratio_strip(axes["ratio"], rows, published, **look, linestyle="-", linewidth=0.8, ms=3)
        name = law.label if several else rf"$\alpha$ = {style.number(key['alpha'])}"
        end = float(rows.sort_values("m")["value"].iloc[-1])
        fit = of_curve(exponents, key).dropna(subset=["exponent"])
        for line in fit.head(1).to_dict("records"):
            m = np.array([rows["m"].min(), rows["m"].max()], dtype=float)
            loss.plot(m, line["amplitude"] * m ** -line["exponent"], color=colour, **style.FIT)
            name += rf": {line['exponent']:.2f} ± {line['exponent_stderr']:.2f}"
        labels.append((end, name, colour))
    places = [(axes[row], label) for row, label in (("slope", "local slope"), ("ratio", "ours/paper")) if row in axes]
    strips.finish(loss, places, models["m"], "loss $L$")
    return labels
