"""Figures of who is represented: share of features against weight decay, norms, ranks."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling.figures import style
from scaling.figures.heat_map import heat_map
from scaling.figures.study import USUAL_GAMMA, Study, described, fullest, nearest, over_seeds


HALF, LIVE = r"$\varphi_{1/2}$", r"$\varphi_{\mathrm{live}}$"


def fig3_representation(study: Study) -> Figure:
    """Weight decay tunes superposition. Drawn: phi_half against gamma by m; phi_half and phi_live over both.

    Maps: at one width, with the contour of 1/2. Dashed: m/n. Source: paper Fig. 3a, b; final version Fig. 3b.
    """
    figure, axes = style.mosaic(
        [["a", "b", "live"]],
        height=3.0,
        titles={"a": ("a", f"represented, {HALF}"), "b": ("b", HALF), "live": ("", f"{LIVE} (can fire)")},
        width_ratios=[1.25, 1, 1],
    )
    models = study.sweep
    if models["gamma"].nunique() < 2:
        for panel in axes.values():
            style.missing(panel, "no second weight decay was trained")
        return figure
    _phi_half_against_gamma(axes["a"], study, models)
    counts = models.groupby("m")[["gamma", "alpha"]].apply(lambda part: len(part.drop_duplicates()))
    m = nearest(list(counts.index[counts == counts.max()]), float(models["m"].median()))
    part = models[models["m"] == m]
    for name, column, title in (("b", "phi_half", HALF), ("live", "phi_live", LIVE)):
        if part[column].isna().all():
            axes[name].remove()
            continue
        heat_map(axes[name], part, column, limits=(0.0, 1.0), contour=0.5)
        style.panel_title(axes[name], "b" if name == "b" else "", f"{title}, $m$ = {m:g}")
    style.foot(figure, described(models, "mean"))
    return figure


def _phi_half_against_gamma(axes: Axes, study: Study, models: pd.DataFrame) -> None:
    alpha = fullest(models, "alpha", "gamma", near=1)
    part = models[models["alpha"] == alpha]
    widths = sorted(part["m"].unique())
    published = study.comparable("fig3a_phi_half", part)
    for m in widths:
        colour = style.width_colour(m, widths)
        if len(published) and alpha == published["alpha_inferred"].iloc[0]:
            grey = published[published["m"] == m]
            axes.plot(grey["gamma"], grey["phi_half"], **{**style.PUBLISHED, "ms": 5, "linestyle": "-", "lw": 0.5})
        rows = over_seeds(part[part["m"] == m], "phi_half", ["gamma"])
        look = {"linestyle": "-", "linewidth": 0.8} if len(rows) > 2 else {}
        style.points(axes, rows["gamma"], rows["value"], rows["error"], color=colour, ms=3, **look)
        axes.plot([0.4, 1.05], [m / part["n"].iloc[0]] * 2, **{**style.THEORY, "color": colour})
    axes.set(xlabel=r"weight decay $\gamma$", ylabel=f"share {HALF}", ylim=(-0.03, 1.06))
    handles = style.colour_key(axes, widths, lambda m: style.width_colour(m, widths), "$m$ =")
    handles.append(Line2D([], [], label="$m/n$", **style.THEORY))
    if any(line.get_color() == style.GREY for line in axes.lines):
        handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published"}))
    axes.legend(handles=handles, title=rf"$\alpha$ = {style.number(alpha)}", loc="upper right")


def final_fig3_norms(study: Study) -> Figure:
    """Norms of the rows of W and the ranks of the represented features in both regimes, first seed.

    Dashed: norm 1/2, above which a feature counts as represented. Source: final version, Fig. 3.
    """
    figure, (norms, weak, strong) = style.panels(
        1, 3, height=2.6, titles=["norms of the rows", "represented, weak", "represented, strong"]
    )
    drawn = study.models.iloc[:0]
    for name, panel in (("weak", weak), ("strong", strong)):
        rows = chosen_curve(study, name)
        if rows.empty:
            style.missing(panel, f"no features of a curve under {name} superposition")
            continue
        largest = rows[rows["m"] == rows["m"].max()]
        norm_density(norms, largest["norm"], style.REGIME[name], f"{name}, $m$ = {largest['m'].iloc[0]}")
        norms.set(yscale="log", ylim=(0.01, 300))  # room for the legend
        widths = sorted(rows["m"].unique())
        for height, m in enumerate(widths):
            some = rows[(rows["m"] == m) & (rows["norm"] > 0.5)]
            panel.plot(some["feature"], np.full(len(some), height), "|", ms=13, mew=0.35, color=style.REGIME[name])
            panel.text(1, height + 0.42, f"$m$ = {m}: {len(some)} represented", size=7, va="center")
        style.log_axis(panel, "x")
        panel.set(
            xlabel="feature rank $i$",
            yticks=[],
            ylim=(-0.5, len(widths) - 0.3),
            xlim=(0.8, rows["feature"].max() * 1.2),
        )
        drawn = pd.concat([drawn, study.models[study.models["model"].isin(rows["model"])]])
        settings = rows.iloc[0]
        style.panel_title(
            panel,
            "b" if name == "weak" else "c",
            rf"{name}: $\gamma$ = {style.number(settings['gamma'])}, $\alpha$ = {style.number(settings['alpha'])}",
        )
    if norms.has_data():
        norms.axvline(0.5, **style.THEORY)
        norms.legend(loc="upper right")
    else:
        style.missing(norms, "no features")
    style.foot(figure, described(drawn, "none") + " b, c: one bar a represented feature.")
    return figure


def chosen_curve(study: Study, name: str) -> pd.DataFrame:
    """Features of one curve of the decay sweep in a regime: most widths, alpha nearest 1, then the usual gamma."""
    rows = study.features.merge(study.sweep[["model"]], on="model", how="inner")
    rows = rows[(rows["regime"] == name) & rows["alpha"].notna()]
    if rows.empty:
        return rows
    widths = rows.groupby(["gamma", "alpha"])["m"].transform("nunique")
    rows = rows[widths == widths.max()]
    rows = rows[rows["alpha"] == nearest(rows["alpha"], 1)]
    rows = rows[rows["gamma"] == nearest(rows["gamma"], USUAL_GAMMA[name])]
    return rows.drop_duplicates(["m", "feature"])


def norm_density(axes: Axes, norms: pd.Series, colour: Any, label: str) -> None:
    """Share of the rows per unit of norm, as a step line over bins that hold every row."""
    top = max(1.3, float(norms.max()))
    bins = np.linspace(0, top, 50)
    axes.hist(norms, bins=list(bins), density=True, histtype="step", color=colour, linewidth=1)
    axes.plot([], [], color=colour, linewidth=1, label=label)
    axes.set(xlabel=r"norm $\|W_i\|$", ylabel="density of rows")
