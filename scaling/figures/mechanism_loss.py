"""Figures of what the toy models' loss is made of, at the paper's initial bias and from b = 0."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from scaling.curves import LARGE_N, main_recipe
from scaling.figures import style
from scaling.figures.heat_map import heat_map
from scaling.figures.study import Study, described, fullest, local_slopes, nearest, over_seeds, rounded, thinned


GAMMA = -0.5556  # weight decay drawn, the paper's Fig. 7
INITIAL_BIAS = {
    "normal": (r"$b \sim N(0, 1)$, the paper's", style.BLUE, "o"),
    "zero": ("$b$ = 0", style.VERMILION, "s"),
}
PART = {
    "silent": (style.GREY, "silent features"),
    "shrink": (style.BLUE, "shrink"),
    "interference": (style.ORANGE, "interference"),
    "false": (style.GREEN, "false firing"),
}
M, LOSS = "model dimension $m$", "loss $L$"


def strong(study: Study) -> pd.DataFrame:
    """Return the models at gamma nearest to GAMMA, E = 1, power-law frequencies and the recipe's learning rate."""
    models = study.models
    models = models[(models["frequency_law"] == "power_law") & (models["n"] < LARGE_N) & (models["gamma"] < 0)]
    models = models[(models["learning_rate_factor"] == 1) & (models["activation_density"].sub(1).abs() < 0.02)]
    if models.empty:
        return models
    models = models[models["n"] == models["n"].mode().iloc[0]]
    return models[models["gamma"] == nearest(models["gamma"], GAMMA)]


def paired(study: Study) -> pd.DataFrame:
    """Return the models of `strong` whose data exponent was trained from both initial biases."""
    models = main_recipe(strong(study))
    models = models[models["initial_bias"].isin(list(INITIAL_BIAS))]
    both = models.groupby("alpha")["initial_bias"].transform("nunique") == len(INITIAL_BIAS)
    return models[both]


def mechanism_loss(study: Study) -> Figure:
    """Loss against m from both initial biases, local slopes, and the exponent against alpha.

    Drawn: seed means; slopes between neighbouring widths at their geometric mean; grey: paper Fig. 7b (E = 1), 6e.
    """
    figure, axes = style.panels(2, 2, height=5.2, titles=["", "", "local exponents", "exponents of the lines"])
    models = paired(study)
    alphas = thinned(models["alpha"], 2)
    for panel, letter, k in zip(axes[:2], "ab", range(2), strict=True):
        if k >= len(alphas):
            style.missing(panel, "no data exponent was trained from both initial biases")
            continue
        style.panel_title(panel, letter, rf"$\alpha$ = {style.number(alphas[k])}")
        _losses(panel, models[models["alpha"] == alphas[k]])
        published = study.published("fig7b_density_scaling")
        if alphas[k] == 1 and not published.empty:
            rows = published[published["activation_density"] == 1]
            panel.plot(rows["m"], rows["loss"], label="published", **style.PUBLISHED)
        panel.legend(loc="lower left")
    _local_slopes(axes[2], models)
    _exponents(axes[3], study)
    style.foot(figure, described(models))
    return figure


def _losses(axes: Axes, models: pd.DataFrame) -> None:
    for start, (name, colour, marker) in INITIAL_BIAS.items():
        rows = over_seeds(models[models["initial_bias"] == start], "loss", ["m"])
        style.points(
            axes, rows["m"], rows["value"], rows["error"], color=colour, marker=marker, linestyle="-", label=name
        )
    for axis, ticks in (("x", models["m"]), ("y", ())):
        style.log_axis(axes, axis, ticks)
    axes.set(xlabel=M, ylabel=LOSS)


def _local_slopes(axes: Axes, models: pd.DataFrame) -> None:
    """Slopes -d log L / d log m between neighbouring widths; open symbols for the largest alpha."""
    drawn = False
    alphas = thinned(models["alpha"], 2)
    for start, (_, colour, marker) in INITIAL_BIAS.items():
        for alpha, fill in zip(alphas, (colour, "white"), strict=False):
            part = models[(models["initial_bias"] == start) & (models["alpha"] == alpha)]
            slopes = local_slopes(over_seeds(part, "loss", ["m"]))
            if slopes.empty:
                continue
            axes.plot(slopes["m"], slopes["slope"], marker=marker, color=colour, mfc=fill, linewidth=0.8)
            drawn = True
    axes.axhline(1, **style.THEORY)
    if drawn:
        style.log_axis(axes, "x", models["m"])
        handles = [
            Line2D(
                [],
                [],
                linestyle="none",
                marker="o",
                color="#555555",
                mfc=fill,
                label=rf"$\alpha$ = {style.number(alpha)}",
            )
            for alpha, fill in zip(alphas, ("#555555", "white"), strict=False)
        ]
        axes.legend(handles=handles, loc="lower right")
    else:
        style.missing(axes, "no curve from both initial biases")
    axes.set(xlabel=M, ylabel=r"$-\,d \log L\,/\,d \log m$")


def _exponents(axes: Axes, study: Study) -> None:
    published = study.published("fig6e_model_exponent")
    if not published.empty:
        rows = published[(published["gamma"] - GAMMA).abs() < 1e-3]
        style.points(axes, rows["alpha"], rows["model_exponent"], rows["err"], label="published", **style.PUBLISHED)
    models = paired(study)
    fits = study.exponents
    for start, (name, colour, marker) in INITIAL_BIAS.items():
        if models.empty:
            break
        rows = fits[(fits["initial_bias"] == start) & (fits["gamma"] == models["gamma"].iloc[0])]
        rows = rows[(rows["frequency_law"] == "power_law") & (rows["n"] == models["n"].iloc[0])]
        rows = rows[(rows["learning_rate_factor"] == 1) & (rows["activation_density"].sub(1).abs() < 0.02)]
        rows = rows[rows["training"] == models["training"].iloc[0]].dropna(subset=["exponent"])
        style.points(
            axes, rows["alpha"], rows["exponent"], rows["exponent_stderr"], color=colour, marker=marker, label=name
        )
    axes.axhline(1, **style.THEORY)
    axes.set(xlabel=r"data exponent $\alpha$", ylabel=r"model exponent $\alpha_m$")
    if models.empty:
        style.missing(axes, "no curve from both initial biases")
    style.legend(axes, loc="upper left")


def mechanism_parts(study: Study) -> Figure:
    """Shares of the loss against m: silent features, shrink, interference, false firing; above each bar, n_silent."""
    models = paired(study)
    alphas = thinned(models["alpha"], 2)
    figure, axes = style.panels(2, 2, height=5.2, sharey=True)
    handles = [Line2D([], [], linewidth=6, color=colour, label=name) for colour, name in PART.values()]
    for k, panel in enumerate(axes):
        start = list(INITIAL_BIAS)[k % 2]
        if k // 2 >= len(alphas):
            style.missing(panel, "no data exponent was trained from both initial biases")
            continue
        part = models[(models["initial_bias"] == start) & (models["alpha"] == alphas[k // 2])]
        style.panel_title(panel, "abcd"[k], rf"$\alpha$ = {style.number(alphas[k // 2])}, {INITIAL_BIAS[start][0]}")
        _shares(panel, part)
    if alphas:
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
    style.foot(figure, described(models, "none") + " Above the bars: number of silent features.")
    return figure


def _shares(axes: Axes, models: pd.DataFrame) -> None:
    columns = [f"loss_{part}" for part in PART]
    mean = models.groupby("m")[["loss", "n_silent", *columns]].mean()
    below, sunk = np.zeros(len(mean)), np.zeros(len(mean))
    for part, (colour, _) in PART.items():
        share = (mean[f"loss_{part}"] / mean["loss"]).to_numpy(np.float64)
        axes.bar(range(len(mean)), share, bottom=np.where(share >= 0, below, sunk), color=colour, width=0.75)
        below, sunk = below + np.maximum(share, 0), sunk + np.minimum(share, 0)
    for k, count in enumerate(mean["n_silent"]):
        axes.text(k, below[k] + 0.02, f"{count:.0f}", ha="center", size=7)
    axes.set_xticks(range(len(mean)), [f"{m:g}" for m in mean.index])
    axes.set(xlabel=M, ylabel="share of the loss", ylim=(min(0, sunk.min()) - 0.02, 1.15))


def mechanism_live(study: Study) -> Figure:
    """Represented features by norm (phi_half) and by function (phi_live): over (gamma, alpha), or against gamma."""
    models = main_recipe(study.sweep)
    figure, axes = style.panels(
        1, 2, height=2.8, sharey=True, titles=[r"by norm: $\varphi_{1/2}$", r"by function: $\varphi_{\mathrm{live}}$"]
    )
    columns = ("phi_half", "phi_live")
    cells = models[["gamma", "alpha"]].drop_duplicates()
    if cells["gamma"].nunique() < 2:
        for panel in axes:
            style.missing(panel, "no second weight decay was trained")
        return figure
    if len(cells) >= 0.8 * cells["gamma"].nunique() * cells["alpha"].nunique() and cells["alpha"].nunique() > 3:
        mean = models.groupby(["gamma", "alpha"], as_index=False)[list(columns)].mean()
        for panel, column in zip(axes, columns, strict=True):
            heat_map(panel, mean, column, limits=(0.0, 1.0))
    else:
        models = models[models["alpha"] == fullest(models, "alpha", "gamma", 1)]
        widths = thinned(models["m"], 4)
        for panel, column in zip(axes, columns, strict=True):
            for m in widths:
                rows = models[models["m"] == m].groupby("gamma")[column].mean()
                panel.plot(rows.index, rows, marker="o", linewidth=0.8, color=style.width_colour(m, widths))
            panel.set(xlabel=r"weight decay $\gamma$", ylim=(-0.03, 1.06))
        axes[0].set(ylabel="share of features")
        handles = style.colour_key(axes[0], widths, lambda m: style.width_colour(m, widths), "$m$ =")
        axes[0].legend(handles=handles, loc="lower left")
    style.foot(figure, described(models, "none"))
    return figure


def mechanism_onset(study: Study) -> Figure:
    """Where features begin to fall silent: against the spread of the initial bias, and in other recipes.

    Panels without data are left out.
    """
    models, ratios = _spreads(study), _recipe_ratios(study)
    titles = ["silent features", "loss"] if len(models) else []
    titles += ["other recipes"] if ratios else []
    width = max(style.ONE_COLUMN, style.TWO_COLUMN * len(titles) / 3)
    figure, axes = style.panels(1, max(len(titles), 1), width=width, height=2.9, titles=titles or [""])
    if not titles:
        style.missing(axes[0], "no third spread of the initial bias and no second recipe was trained")
    if len(models):
        _onset(axes[0], axes[1], models)
        style.foot(figure, described(models, "none"))
    if ratios:
        _recipes(axes[-1], ratios)
    return figure


def _spreads(study: Study) -> pd.DataFrame:
    """Return the models at one alpha by the standard deviation of b at the start; empty with fewer than three."""
    models = main_recipe(strong(study))
    spread = models["initial_bias"].str.extract(r"^normal([\d.]*)$")[0].replace("", "1")
    models = models.assign(spread=pd.to_numeric(spread.where(models["initial_bias"] != "zero", "0")))
    models = models.dropna(subset=["spread"])
    models = models[models.groupby(["alpha", "m"])["spread"].transform("nunique") >= 3]
    if models["spread"].nunique() < 3:
        return models.iloc[:0]
    return models[models["alpha"] == fullest(models, "alpha", "spread", 0)]


def _onset(left: Axes, right: Axes, models: pd.DataFrame) -> None:
    """Draw silent features and loss against the spread of b, one line per width."""
    widths = thinned(models["m"], 4)
    for m in widths:
        rows = models[models["m"] == m].groupby("spread")[["n_silent", "loss"]].mean()
        look = {"marker": "o", "linewidth": 0.8, "color": style.width_colour(m, widths)}
        left.plot(rows.index, rows["n_silent"], **look)
        right.plot(rows.index, rows["loss"], **look)
    style.log_axis(right, "y")
    handles = style.colour_key(left, widths, lambda m: style.width_colour(m, widths), "$m$ =")
    left.legend(handles=handles, loc="center left")
    for panel, name in ((left, "silent features"), (right, LOSS)):
        panel.set(xlabel="standard deviation of $b$ at the start", ylabel=name)


def _recipe_ratios(study: Study) -> dict[str, pd.Series]:
    """Return loss from b ~ N(0, 1) over loss from b = 0 by m, for each recipe; empty with fewer than two recipes."""
    models = rounded(study.read("toy_models")).drop_duplicates("model")
    models = models[models["initial_bias"].isin(list(INITIAL_BIAS)) & (models["gamma"] < 0) & (models["n"] < LARGE_N)]
    models = models[(models["alpha"] == 0) & (models["activation_density"].sub(1).abs() < 0.02)]
    ratios = {}
    for (training, factor), rows in models.groupby(["training", "learning_rate_factor"]):
        loss = rows.groupby(["m", "initial_bias"])["loss"].mean().unstack()
        if set(loss.columns) == set(INITIAL_BIAS):
            name = str(training).replace("_", " ") + ("" if factor == 1 else f", rates × {factor:g}")
            ratios[name] = (loss["normal"] / loss["zero"]).dropna()
    return ratios if len(ratios) > 1 else {}


def _recipes(axes: Axes, ratios: dict[str, pd.Series]) -> None:
    """Draw one line per recipe and learning rate against m."""
    for name, ratio in ratios.items():
        axes.plot(ratio.index, ratio, marker="o", linewidth=0.8, label=name)
    axes.axhline(1, **style.THEORY)
    axes.set(xlabel=M, ylabel="loss from $b$ ~ N(0, 1) / from $b$ = 0")
    style.log_axis(axes, "x", sorted({m for ratio in ratios.values() for m in ratio.index}))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
