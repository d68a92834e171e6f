"""Figures of weak superposition: loss and exponent against the prediction from unrepresented features."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling import theory
from scaling.figures import style
from scaling.figures.study import Study, described, of_curve, thinned


LOSS = "loss $L$"


def fig5_weak(study: Study) -> Figure:
    """Weak superposition against its prediction. Drawn: L over sum of 4/3 p_i - p_i^2, against alpha; alpha_m.

    Source: paper Eq. 4 and Fig. 5a, b; grey: Fig. 5a (alpha = 0, against the continuum formula) and 5b.
    """
    figure, (left, right) = style.panels(
        1, 2, height=3.1, titles=["loss over its prediction", "exponent against its prediction"]
    )
    models = study.sweep
    weak = models[(models["regime"] == "weak") & (models["loss_unlearned"] > 0)] if len(models) else models
    _loss_over_prediction(left, study, weak)
    _weak_exponents(right, study)
    style.foot(
        figure,
        described(weak, "none")
        + " Bars: quartiles over models (a), standard error of the slope (b). Grey: read off the"
        " paper. Dashed: the prediction.",
    )
    return figure


def _loss_over_prediction(axes: Axes, study: Study, weak: pd.DataFrame) -> None:
    """Loss over the loss of the features without a row: every model as a dot, medians and quartiles by gamma."""
    axes.axhline(1, **style.THEORY)
    axes.set(xlabel=r"data exponent $\alpha$", ylabel=r"$L\,/\,\sum\, (\frac{4}{3} p_i - p_i^2)$, $i$ unrepresented")
    if weak.empty:
        style.missing(axes, "no curve under weak superposition (mean phi_half < 1/2)")
        return
    weak = weak.assign(ratio=weak["loss"] / weak["loss_unlearned"])
    gammas = thinned(weak["gamma"], 5)
    width = 0.02
    handles = style.colour_key(axes, gammas, style.gamma_colour, r"$\gamma$ =")
    published = study.comparable("fig5a_loss_vs_unlearned_alpha0", weak)
    if len(published):
        rows = published[published["gamma"].round(4).isin(gammas)]
        at = rows["alpha_inferred"] - 0.07 + width * rows["gamma"]
        axes.plot(at, rows["loss"] / rows["loss_by_unlearned"], **{**style.PUBLISHED, "ms": 3.5})
        if len(rows):
            handles.append(Line2D([], [], **{**style.PUBLISHED, "label": "published"}))
    for k, gamma in enumerate(gammas):
        rows = weak[weak["gamma"] == gamma]
        at = rows["alpha"] + width * (k - (len(gammas) - 1) / 2)
        colour = style.gamma_colour(gamma)
        axes.plot(at, rows["ratio"], "o", ms=2.2, color=colour, alpha=0.45, mew=0)
        middle = rows.groupby("alpha")["ratio"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
        axes.errorbar(
            middle.index + width * (k - (len(gammas) - 1) / 2),
            middle[0.5],
            yerr=[middle[0.5] - middle[0.25], middle[0.75] - middle[0.5]],
            marker="_", ms=6, linestyle="none", color=colour, zorder=4,
        )  # fmt: skip
    axes.legend(handles=handles, loc="best")
    title = f"loss over its prediction: median {weak['ratio'].median():.3f}, {len(weak)} models"
    style.panel_title(axes, "a", title)


def _weak_exponents(axes: Axes, study: Study) -> None:
    frame = study.sweep_exponents.dropna(subset=["exponent"])
    frame = frame[(frame["regime"] == "weak") & (frame["alpha"] > 1)]
    axes.plot([0, 1.05], [0, 1.05], label=r"$\alpha_m = \alpha - 1$", **style.THEORY)
    published = study.comparable("fig5b_model_exponent", frame)
    if len(published):
        look = {**style.PUBLISHED, "ms": 5, "marker": "^"}
        style.points(
            axes, published["alpha"] - 1, published["model_exponent"], published["err"], label="published", **look
        )
    gammas = sorted(frame["gamma"].unique())
    gammas = gammas if len(gammas) < 4 else [gamma for gamma in gammas if 0 < gamma < 0.6]
    for k, gamma in enumerate(gammas):
        rows = frame[frame["gamma"] == gamma]
        style.points(
            axes, rows["alpha"] - 1 + 0.012 * (k + 1), rows["exponent"], rows["exponent_stderr"], marker="^",
            color=style.gamma_colour(gamma), label=rf"$\gamma$ = {style.number(gamma)}",
        )  # fmt: skip
    axes.set(xlabel=r"$\alpha - 1$", ylabel=r"model exponent $\alpha_m$")
    if frame.empty:
        style.missing(axes, "no curve under weak superposition with alpha > 1")
    axes.legend(loc="upper left")


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
