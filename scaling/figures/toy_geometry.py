"""Figures of the rows of W: norms, who is represented, overlaps against their bounds."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling import geometry
from scaling.figures import style
from scaling.figures.heat_map import heat_map
from scaling.figures.study import Study, described, fullest, nearest, over_seeds, thinned
from scaling.figures.toy_exponents import exponent_against_alpha


USUAL_GAMMA = {"weak": 0.3333, "strong": -0.5556}  # weight decay drawn when several were trained alike
M = "model dimension $m$"
HALF, ONE = r"$\varphi_{1/2}$", r"$\varphi_1$"


def fig3_representation(study: Study) -> Figure:
    """Weight decay tunes superposition. Drawn: phi_half against gamma for each m; its mean over (gamma, alpha).

    Dashed: m/n, as many features as dimensions. Source: paper Fig. 3a, b; final version Fig. 3b.
    """
    figure, (left, right) = style.panels(
        1, 2, height=2.9, titles=[f"represented features {HALF}", f"{HALF}, mean over widths"]
    )
    models = study.sweep
    if models.empty:
        for panel in (left, right):
            style.missing(panel, "no model with power-law frequencies")
        return figure
    alpha = fullest(models, "alpha", "gamma", near=1)
    part = models[models["alpha"] == alpha]
    gammas_of = part.groupby("m")["gamma"].nunique()
    widths = thinned(list(gammas_of.index[gammas_of == gammas_of.max()]), 6)
    part = part[part["m"].isin(widths)]
    for m in widths:
        rows = over_seeds(part[part["m"] == m], "phi_half", ["gamma"])
        colour = style.width_colour(m, widths)
        look = {"linestyle": "-", "linewidth": 0.8} if len(rows) > 2 else {}
        style.points(left, rows["gamma"], rows["value"], rows["error"], color=colour, **look)
        left.axhline(m / part["n"].iloc[0], **{**style.THEORY, "color": colour})
    left.set(xlabel=r"weight decay $\gamma$", ylabel=f"represented features {HALF}", ylim=(-0.03, 1.06))
    handles = style.colour_key(left, widths, lambda m: style.width_colour(m, widths), "$m$ =")
    handles.append(Line2D([], [], label="$m/n$", **style.THEORY))
    gammas = sorted(part["gamma"].unique())
    title = rf"$\alpha$ = {style.number(alpha)}" + ("\nfew weight decays trained" if len(gammas) < 3 else "")
    left.legend(handles=handles, title=title, loc="center right" if len(gammas) > 2 else "center")
    if len(gammas) < 3:
        left.margins(x=0.2)
        left.set_xticks(gammas, [style.number(gamma) for gamma in gammas])
    heat_map(right, models, "phi_half", limits=(0.0, 1.0))
    style.foot(figure, described(models, "mean"))
    return figure


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
        _norm_histogram(norms, largest, style.REGIME[name], f"{name}, $m$ = {largest['m'].iloc[0]}")
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
    norms.set(xlabel=r"norm $\|W_i\|$", ylabel="features")
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


def _norm_histogram(axes: Axes, rows: pd.DataFrame, colour: Any, label: str) -> None:
    top = max(1.3, float(rows["norm"].max()))
    axes.hist(rows["norm"], bins=list(np.linspace(0, top, 50)), histtype="step", color=colour, linewidth=1)
    axes.plot([], [], color=colour, linewidth=1, label=label)
    axes.set(yscale="log", ylim=(0.7, 8 * len(rows)))  # room for the legend


def fig6_geometry(study: Study) -> Figure:
    """Strong superposition seen in the rows of W, and its exponent.

    Drawn: norm against frequency; norm histogram; phi_1 with the guide m^2/(2n); mean square overlap of all rows with
    the Welch bound, and of rows with norm > 1; alpha_m against alpha. Source: paper Fig. 6a-e (6e in grey).
    """
    figure, (a, b, c, d, longer, e) = style.panels(
        2, 3, height=5.0, letters=["a", "b", "c", "d", "d", "e"],
        titles=["norm and frequency", "norms", "norm > 1", "overlaps, all rows", "overlaps, norm > 1", "exponent"],
    )  # fmt: skip
    rows = chosen_curve(study, "strong")
    if rows.empty:
        for panel in (a, b):
            style.missing(panel, "no features of a curve under strong superposition")
    else:
        _norm_against_frequency(a, rows)
        widths = sorted(rows["m"].unique())
        for m in widths:
            _norm_histogram(b, rows[rows["m"] == m], style.width_colour(m, widths), f"$m$ = {m}")
        b.axvline(0.5, **style.THEORY)
        b.legend(loc="upper right")
        b.set(xlabel=r"norm $\|W_i\|$", ylabel="features")
    models = study.sweep
    models = models[models["regime"] == "strong"]
    if models.empty:
        for panel in (c, d, longer):
            style.missing(panel, "no curve under strong superposition (mean phi_half > 3/4)")
    else:
        models = models[models["gamma"] == fullest(models, "gamma", "alpha", USUAL_GAMMA["strong"])]
        _above_one(c, models)
        _overlaps(d, models, "mean_sq_overlap", "welch_bound")
        _overlaps(longer, models, "mean_sq_overlap_strong", "welch_bound_strong")
    exponent_against_alpha(e, study)
    style.foot(figure, described(models, "mean") + " Bars on exponents: standard error of the slope.")
    return figure


def _norm_against_frequency(axes: Axes, rows: pd.DataFrame) -> None:
    """Norm against p_i at the middle width, coloured by represented (norm > 1/2) or not."""
    widths = sorted(rows["m"].unique())
    m = widths[len(widths) // 2]
    rows = rows[rows["m"] == m]
    for represented, some in rows.groupby(rows["norm"] > 0.5):
        name = "represented" if represented else "not represented"
        axes.plot(some["frequency"], some["norm"], "o", ms=2, color=style.REPRESENTED[bool(represented)], label=name)
    axes.axhline(0.5, **style.THEORY)
    if rows["frequency"].nunique() > 1:
        style.log_axis(axes, "x")
    axes.set(xlabel="frequency $p_i$", ylabel=r"norm $\|W_i\|$", ylim=(-0.03, None))
    title = rf"$m$ = {m}, $\alpha$ = {style.number(rows['alpha'].iloc[0])}"
    axes.legend(title=title, loc="lower left", handletextpad=0.2)


def _above_one(axes: Axes, models: pd.DataFrame) -> None:
    alphas = thinned(models["alpha"], 5)
    for alpha in alphas:
        rows = over_seeds(models[models["alpha"] == alpha], "phi_1", ["m"])
        style.points(axes, rows["m"], rows["value"], rows["error"], color=style.alpha_colour(alpha), ms=3)
    m = np.geomspace(models["m"].min(), models["m"].max(), 50)
    n = int(models["n"].iloc[0])
    axes.plot(m, np.minimum(geometry.etf_like_rows(1) * m**2 / n, 1), **style.THEORY)
    style.log_axis(axes, "x", models["m"])
    style.log_axis(axes, "y")
    handles = style.colour_key(axes, alphas, style.alpha_colour, r"$\alpha$ =")
    handles.append(Line2D([], [], label=r"$m^2/(2n)$", **style.THEORY))
    axes.legend(handles=handles, loc="lower right")
    axes.set(xlabel=M, ylabel=f"rows with norm > 1, {ONE}")


def _overlaps(axes: Axes, models: pd.DataFrame, column: str, bound: str) -> None:
    """Mean square overlap against m by alpha; dashed: Welch bound; dotted: 1/m of random rows."""
    alphas = thinned(models["alpha"], 5)
    for alpha in alphas:
        some = models[models["alpha"] == alpha]
        rows = over_seeds(some, column, ["m"])
        style.points(axes, rows["m"], rows["value"], rows["error"], color=style.alpha_colour(alpha), ms=3)
        limit = over_seeds(some[some[bound] > 0], bound, ["m"])
        colour = style.THEORY["color"] if bound == "welch_bound" else style.alpha_colour(alpha)
        axes.plot(limit["m"], limit["value"], **{**style.THEORY, "color": colour})
    m = np.array([models["m"].min(), models["m"].max()], dtype=float)
    axes.plot(m, 1 / m, ":", color=style.BLACK, linewidth=0.8)
    style.log_axis(axes, "x", models["m"])
    style.log_axis(axes, "y")
    if bound == "welch_bound":  # the same lines in both panels
        handles = [
            Line2D([], [], label="Welch bound", **style.THEORY),
            Line2D([], [], linestyle=":", color=style.BLACK, linewidth=0.8, label="random rows, $1/m$"),
        ]
        axes.legend(handles=handles, loc="upper right")
    axes.set(xlabel=M, ylabel=r"mean $(w_i \cdot w_j)^2$")


def final_fig5c_overlap_variance(study: Study) -> Figure:
    """Variance of the squared overlap of rows with norm > 1, as a ratio to random unit rows, against m.

    Near 0 the rows are an equiangular tight frame; dashed: 1, random rows. Source: final version, Fig. 5c.
    """
    figure, (axes,) = style.panels(1, 1, width=style.ONE_COLUMN, height=2.8, titles=["rows with norm > 1"])
    models = study.sweep
    models = models[(models["regime"] == "strong") & models["std_sq_overlap_strong"].notna() & (models["m"] > 1)]
    if models.empty:
        style.missing(axes, "no curve under strong superposition with two rows of norm > 1")
    else:
        models = models[models["gamma"] == fullest(models, "gamma", "alpha", USUAL_GAMMA["strong"])]
        random = np.array([geometry.random_sq_overlap_variance(m) for m in models["m"]])
        models = models.assign(ratio=models["std_sq_overlap_strong"] ** 2 / random)
        alphas = thinned(models["alpha"], 5)
        for alpha in alphas:
            rows = over_seeds(models[models["alpha"] == alpha], "ratio", ["m"])
            style.points(axes, rows["m"], rows["value"], rows["error"], linestyle="-", color=style.alpha_colour(alpha))
        axes.axhline(1, **style.THEORY)
        style.log_axis(axes, "x", models["m"])
        handles = style.colour_key(axes, alphas, style.alpha_colour, r"$\alpha$ =")
        handles.append(Line2D([], [], label="random rows", **style.THEORY))
        axes.set_ylim(0, 1.4 * axes.get_ylim()[1])
        axes.legend(handles=handles, loc="upper right", ncols=2)
    axes.set(xlabel=M, ylabel=r"variance of $(w_i \cdot w_j)^2$ / random")
    style.foot(figure, described(models, "mean"))
    return figure
