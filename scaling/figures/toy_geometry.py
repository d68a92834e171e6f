"""Figures of the rows of W under strong superposition: norms, overlaps against their bounds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling import geometry
from scaling.figures import style
from scaling.figures.study import USUAL_GAMMA, Study, described, fullest, over_seeds, thinned
from scaling.figures.toy_exponents import exponent_against_alpha
from scaling.figures.toy_representation import chosen_curve, norm_density


M = "model dimension $m$"
ONE = r"$\varphi_1$"
ABOVE_ONE = {True: style.BLUE, False: style.ORANGE}


def fig6_geometry(study: Study) -> Figure:
    """Strong superposition seen in the rows of W, and its exponent.

    Drawn: norm against frequency and density of norms; phi_1 with m/n and m^2/(2n); m times the mean squared overlap of
    rows with norm > 1, with the Welch bound; alpha_m against alpha. Source: paper Fig. 6a-e; final version Fig. 5d.
    """
    rows = chosen_curve(study, "strong") if "toy_features" in study.given else study.models.iloc[:0]
    top = ["a", "b", "c"] if len(rows) else []
    layout = [top, ["d", "e", "e"]] if top else [["c", "d", "e"]]
    figure, axes = style.mosaic(
        layout,
        height=5.8 if top else 3.0,
        titles={
            "a": ("a", "norm and frequency"),
            "b": ("b", "norms"),
            "c": ("c", "rows with norm > 1"),
            "d": ("d", "overlaps of rows with norm > 1"),
            "e": ("e", "exponent"),
        },
    )
    if top:
        _norm_against_frequency(axes["a"], rows)
        widths = sorted(rows["m"].unique())
        for m in widths:
            norm_density(axes["b"], rows.loc[rows["m"] == m, "norm"], style.width_colour(m, widths), f"$m$ = {m}")
        axes["b"].axvline(1, **style.THEORY)
        axes["b"].legend(loc="upper left")
    models = study.sweep
    models = models[models["regime"] == "strong"]
    if models.empty:
        for name in ("c", "d"):
            style.missing(axes[name], "no curve under strong superposition (mean phi_half > 3/4)")
    else:
        models = models[models["gamma"] == fullest(models, "gamma", "alpha", USUAL_GAMMA["strong"])]
        _above_one(axes["c"], study, models)
        _overlaps(axes["d"], study, models)
    exponent_against_alpha(axes["e"], study)
    style.foot(figure, described(models, "mean") + " Grey: read off the paper. e: no bars; fig6e_exponent has them.")
    return figure


def _norm_against_frequency(axes: Axes, rows: pd.DataFrame) -> None:
    """Norm against p_i at the middle width, coloured by norm > 1 or not."""
    widths = sorted(rows["m"].unique())
    m = widths[len(widths) // 2]
    rows = rows[rows["m"] == m]
    for above, some in rows.groupby(rows["norm"] > 1):
        name = "norm > 1" if above else r"norm $\leq$ 1"
        axes.plot(
            some["frequency"], some["norm"], "o", ms=2, color=ABOVE_ONE[bool(above)], label=name, alpha=0.7, mew=0
        )
    axes.axhline(1, **style.THEORY)
    if rows["frequency"].nunique() > 1:
        style.log_axis(axes, "x")
    axes.set(xlabel="frequency $p_i$", ylabel=r"norm $\|W_i\|$", ylim=(-0.03, None))
    title = rf"$m$ = {m}, $\alpha$ = {style.number(rows['alpha'].iloc[0])}"
    axes.legend(title=title, loc="lower left", handletextpad=0.2, markerscale=1.5)


def _above_one(axes: Axes, study: Study, models: pd.DataFrame) -> None:
    alphas = thinned(models["alpha"], 5)
    published = study.comparable("fig6c_phi_one", models)
    for alpha in alphas:
        if len(published):
            grey = published[published["alpha"] == alpha]
            axes.plot(grey["m"], grey["phi_1"], **{**style.PUBLISHED, "ms": 5})
        rows = over_seeds(models[models["alpha"] == alpha], "phi_1", ["m"])
        style.points(axes, rows["m"], rows["value"], rows["error"], color=style.alpha_colour(alpha), ms=3)
    m = np.linspace(models["m"].min(), models["m"].max(), 100)
    n = int(models["n"].iloc[0])
    axes.plot(m, np.minimum(geometry.etf_like_rows(1) * m**2 / n, 1), **style.THEORY)
    axes.plot(m, m / n, **style.THEORY)
    axes.text(np.sqrt(2 * n), 1.01, r"$m^2/(2n)$", size=7.5, va="bottom", color="#555555", clip_on=True)
    axes.text(m[-20], m[-20] / n - 0.02, "$m/n$", size=7.5, va="top", color="#555555")
    handles = style.colour_key(axes, alphas, style.alpha_colour, r"$\alpha$ =")
    if len(published):
        handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published"}))
    axes.legend(handles=handles, loc="center right", bbox_to_anchor=(1, 0.4))
    axes.set(xlabel=M, ylabel=f"share {ONE}", ylim=(-0.03, 1.12))


def _overlaps(axes: Axes, study: Study, models: pd.DataFrame) -> None:
    """m times the mean squared overlap of rows with norm > 1, by alpha; dashed: its Welch bound."""
    alphas = thinned(models["alpha"], 5)
    published = study.comparable("final_fig5d_mean_square_overlap", models)
    for k, alpha in enumerate(alphas):
        colour = style.alpha_colour(alpha)
        if len(published):
            grey = published[published["alpha"] == alpha]
            axes.plot(grey["m"], grey["m"] * grey["mean_square_overlap"], **{**style.PUBLISHED, "ms": 5})
        some = models[models["alpha"] == alpha].dropna(subset=["mean_sq_overlap_strong"])
        some = some.assign(
            ours=some["m"] * some["mean_sq_overlap_strong"], bound=some["m"] * some["welch_bound_strong"]
        )
        rows = over_seeds(some, "ours", ["m"])
        at = rows["m"] * (1 + 0.012 * (k - (len(alphas) - 1) / 2))
        style.points(axes, at, rows["value"], rows["error"], color=colour, ms=3)
        if alpha in (alphas[0], alphas[-1]):
            bound = over_seeds(some[some["bound"] > 0], "bound", ["m"])
            axes.plot(bound["m"], bound["value"], **{**style.THEORY, "color": colour})
    axes.axhline(1, linestyle=":", color=style.BLACK, linewidth=0.8)
    style.log_axis(axes, "x", models["m"])
    handles = [
        Line2D([], [], label=r"Welch bound, outer $\alpha$", **style.THEORY),
        Line2D([], [], linestyle=":", color=style.BLACK, linewidth=0.8, label="random rows"),
    ]
    if len(published):
        handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published (final version)"}))
    axes.legend(handles=handles, loc="lower left")
    axes.set(xlabel=M, ylabel=r"$m\,\langle (w_i \cdot w_j)^2 \rangle$")
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.35 * (high - low), high)  # room for the legend


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
