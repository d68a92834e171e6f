"""Figures that say how far to trust the others: training curves, other learning rates, scatter between seeds."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from scaling.curves import CURVE
from scaling.figures import strips, style
from scaling.figures.study import USUAL_GAMMA, Study, described, fullest, nearest, of_curve, thinned
from scaling.frequency_laws import FREQUENCY_LAWS


SPLIT: dict[str, dict[str, Any]] = {  # looks of the loss and of the packing loss
    "loss": {"marker": "o", "linestyle": "-", "ms": 4},
    "packing": {"marker": "s", "linestyle": ":", "ms": 4, "mfc": "white"},
}
FIRST_STEP = 0.05  # training curves begin at this share of the steps: step 1000 of 20000
FEWEST_SEEDS = 4  # for a scatter between seeds
M, LOSS = "model dimension $m$", "loss $L$"


def training_curves(study: Study) -> Figure:
    """Training loss against step, first seed, one colour per width, smallest and largest alpha of each regime."""
    chosen: list[tuple[str, pd.DataFrame]] = []
    for name in ("weak", "strong"):
        part = study.sweep[study.sweep["regime"] == name]
        if len(part):
            part = part[part["gamma"] == fullest(part, "gamma", "alpha", USUAL_GAMMA[name])]
        chosen += [(name, part[part["alpha"] == alpha]) for alpha in thinned(part["alpha"], 2)]
    rows, columns = (len(chosen) + 1) // 2 or 1, 2 if len(chosen) > 1 else 1
    figure, axes = style.panels(rows, columns, height=2.4 * rows, letters=[""] * rows * columns)
    for panel in axes[len(chosen) :]:
        panel.set_axis_off()
    for letter, panel, (name, models) in zip("abcd", axes, chosen, strict=False):
        key = models.iloc[0]
        settings = rf"$\gamma$ = {style.number(key['gamma'])}, $\alpha$ = {style.number(key['alpha'])}"
        style.panel_title(panel, letter, f"{name}: {settings}")
        _training_lines(panel, study, models)
    if not chosen:
        style.missing(axes[0], "no curve under weak or strong superposition")
    drawn = pd.concat(
        [models[models["seed"] == models["seed"].min()] for _, models in chosen] or [study.sweep.iloc[:0]]
    )
    style.foot(
        figure,
        described(drawn, "none") + " Points: means of the steps since the point before. At the right: slope of the last"
        " tenth of the steps, with its standard error.",
    )
    return figure


def _training_lines(axes: Axes, study: Study, models: pd.DataFrame) -> None:
    widths = thinned(models["m"], 6)
    labels = []
    for m in widths:
        rows = models[models["m"] == m]
        first = rows.sort_values("seed")["model"].iloc[0]
        curve = study.curves[study.curves["model"] == first]
        last = curve[(curve["step"] >= 0.9 * curve["step"].max()) & (curve["loss"] > 0)]
        label = f"$m$ = {m:g}"
        if len(last) > 2:
            line = stats.linregress(np.log(last["step"]), np.log(last["loss"]))
            label += rf": {style.fixed(line.slope)} $\pm$ {line.stderr:.2f}"
        shown = curve[curve["step"] >= FIRST_STEP * curve["step"].max()].sort_values("step")
        colour = style.width_colour(m, widths)
        axes.plot(shown["step"], shown["loss"], color=colour, linewidth=0.9)
        if len(shown):
            labels.append((float(shown["loss"].iloc[-1]), label, colour))
    steps = study.curves["step"].max() * np.array([FIRST_STEP, 0.1, 0.25, 0.5, 1])
    style.log_axis(axes, "x", steps)
    style.log_axis(axes, "y")
    axes.set(xlabel="step", ylabel=LOSS)
    strips.end_labels(axes, labels)


def learning_rate_check(study: Study) -> Figure:
    """Loss at other learning rates over the loss at the recipe's, with the band of seeds, and the exponents."""
    titles = ["loss over the loss at the recipe's learning rate", "exponent"]
    figure, (left, right) = style.panels(1, 2, height=2.9, titles=titles)
    models, exponents = study.varying("learning_rate_factor")
    if models.empty:
        for panel in (left, right):
            style.missing(panel, "no curve was trained at two learning rates")
        return figure
    looks = ["-", ":", "-."]
    factors = sorted(models["learning_rate_factor"].unique())
    same = [column for column in CURVE if column != "learning_rate_factor"]
    curves = models[same].drop_duplicates().head(len(looks))
    for look, (_, curve) in zip(looks, curves.iterrows(), strict=False):
        law = (
            FREQUENCY_LAWS[curve["frequency_law"]].label
            if pd.isna(curve["alpha"])
            else rf"$\alpha$ = {style.number(curve['alpha'])}"
        )
        some = of_curve(models, curve, same)
        _loss_ratios(left, some, look)
        _seed_band(left, of_curve(study.models, curve, same), some["m"])
        fits = of_curve(exponents, curve, same)
        if len(fits):
            style.points(
                right, fits["learning_rate_factor"], fits["exponent"], fits["exponent_stderr"], color=style.BLACK,
                linestyle=look, linewidth=0.7, label=rf"$\gamma$ = {style.number(curve['gamma'])}, {law}",
            )  # fmt: skip
    left.axhline(1, **style.THEORY)
    style.log_axis(left, "x", models["m"])
    left.set(xlabel=M, ylabel=r"$L\,/\,L_{\mathrm{recipe}}$")
    others = [factor for factor in factors if factor != 1]
    style.legend_below(left, style.colour_key(left, others, _factor_colour, "learning rate ×"), gap=0.25)
    if exponents.empty:
        style.missing(right, "no curve has enough widths for a line")
    else:
        style.log_axis(right, "x", factors)
        right.set(xlabel="learning rate, relative to the recipe", ylabel=r"model exponent $\alpha_m$")
        middle = exponents["exponent"].mean()
        low, high = right.get_ylim()
        right.set_ylim(min(low, middle - 0.15), max(high, middle + 0.15))
    style.legend(right)
    words = (
        " Bars on ratios: held-out standard errors; band: SD between seeds at the recipe's rate, where it has several."
    )
    style.foot(figure, described(models, "none") + words + " Bars on exponents: standard error of the slope.")
    return figure


def _loss_ratios(axes: Axes, models: pd.DataFrame, look: str) -> None:
    """Loss at each learning rate over that of the same width and seed at the recipe's, averaged over seeds."""
    recipe = models[models["learning_rate_factor"] == 1]
    pairs = models[models["learning_rate_factor"] != 1].merge(recipe, on=["m", "seed"], suffixes=("", "_recipe"))
    pairs = pairs.assign(
        ratio=pairs["loss"] / pairs["loss_recipe"],
        error=np.hypot(pairs["loss_stderr"] / pairs["loss"], pairs["loss_stderr_recipe"] / pairs["loss_recipe"]),
    )
    for _, part in pairs.groupby("learning_rate_factor"):
        mean = part.groupby("m")[["ratio", "error"]].mean()
        colour = _factor_colour(part["learning_rate_factor"].iloc[0])
        style.points(axes, mean.index, mean["ratio"], mean["ratio"] * mean["error"], linestyle=look, color=colour)


def _seed_band(axes: Axes, models: pd.DataFrame, widths: pd.Series) -> None:
    """Band 1 ± SD of log L between the seeds trained at the recipe's learning rate."""
    models = models[(models["learning_rate_factor"] == 1) & models["m"].isin(widths)]
    spread = models.assign(log=np.log(models["loss"])).groupby("m")["log"].std(ddof=1).dropna()
    if len(spread):
        axes.fill_between(spread.index, np.exp(-spread), np.exp(spread), color=style.GREY, alpha=0.25, linewidth=0)


def _factor_colour(factor: float) -> str:
    """Black at the recipe's own learning rate, sky below, orange above."""
    return style.BLACK if factor == 1 else style.SKY if factor < 1 else style.ORANGE


def seed_scatter(study: Study) -> Figure:
    """What scatters between seeds: the loss of frequent features that lost their row, not the packing loss.

    Drawn: loss and packing loss (loss - loss_unrepresented) a seed; SD of their logarithms between seeds; the exponents
    of both. Not in the paper, which sets no seed.
    """
    figure, (total, packing, spread, exponent) = style.panels(
        2,
        2,
        height=5.1,
        titles=["loss, one line per seed", "packing loss, one line per seed", "scatter between seeds", "exponents"],
    )
    models = study.sweep
    models = models.assign(packing=models["loss"] - models["loss_unrepresented"])
    models = models[models["regime"] == "strong"]
    seeds = models.groupby([*CURVE, "m"], dropna=False)["seed"].transform("nunique")
    several = models[seeds >= FEWEST_SEEDS]
    if several.empty:
        for panel in (total, packing, spread):
            style.missing(panel, f"no curve under strong superposition has {FEWEST_SEEDS} seeds")
    else:
        gamma = fullest(several, "gamma", "model", USUAL_GAMMA["strong"])
        curve = several[several["gamma"] == gamma]
        alpha = nearest(curve["alpha"], 1)
        curve = curve[curve["alpha"] == alpha]
        for panel, column in ((total, "loss"), (packing, "packing")):
            for k, (_, rows) in enumerate(curve[curve[column] > 0].groupby("seed")):
                rows = rows.sort_values("m")
                panel.plot(rows["m"], rows[column], marker="o", ms=3, linewidth=0.8, color=style.seed_colour(k))
            for axis, ticks in (("x", curve["m"]), ("y", ())):
                style.log_axis(panel, axis, ticks)
            panel.set(xlabel=M, ylabel=LOSS)
            style.note(panel, rf"$\gamma$ = {style.number(gamma)}, $\alpha$ = {style.number(alpha)}")
        low, high = zip(total.get_ylim(), packing.get_ylim(), strict=True)
        for panel in (total, packing):
            panel.set_ylim(min(low), max(high))
        packing.set(ylabel=r"packing loss $L - L_{\mathrm{unrepresented}}$")
        _spread_between_seeds(spread, several[several["gamma"] == gamma])
        models = models[models["gamma"] == gamma]
    _exponents_of_both(exponent, study)
    style.foot(figure, described(models, "none"))
    return figure


def _spread_between_seeds(axes: Axes, models: pd.DataFrame) -> None:
    """SD between seeds of the logarithm of both losses against m, one colour an alpha."""
    alphas = thinned(models["alpha"], 3)
    for alpha in alphas:
        for column, look in SPLIT.items():
            rows = models[(models["alpha"] == alpha) & (models[column] > 0)]
            spread = rows.assign(log=np.log(rows[column].astype(float))).groupby("m")["log"].std(ddof=1).dropna()
            axes.plot(spread.index, spread, color=style.alpha_colour(alpha), **look)
    style.log_axis(axes, "x", models["m"])
    style.log_axis(axes, "y")
    handles = style.colour_key(axes, alphas, style.alpha_colour, r"$\alpha$ =")
    names = {"loss": "loss", "packing": "packing loss"}
    handles += [Line2D([], [], color=style.BLACK, label=names[column], **look) for column, look in SPLIT.items()]
    style.legend_below(axes, handles, columns=len(handles), gap=0.27)
    axes.set(xlabel=M, ylabel="SD of the logarithm")


def _exponents_of_both(axes: Axes, study: Study) -> None:
    frame = study.sweep_exponents
    frame = frame[(frame["regime"] == "strong") & frame["exponent"].notna()]
    if len(frame):
        frame = frame[frame["gamma"] == fullest(frame, "gamma", "alpha", USUAL_GAMMA["strong"])]
        style.note(axes, rf"$\gamma$ = {style.number(frame['gamma'].iloc[0])}", "lower right")
    for column, shift, look in (
        ("exponent", -0.015, {"color": style.BLUE, "label": "loss"}),
        ("exponent_represented", 0.015, {"color": style.GREEN, "marker": "s", "label": "packing loss"}),
    ):
        rows = frame.dropna(subset=[column, "alpha"])
        style.points(axes, rows["alpha"] + shift, rows[column], rows[f"{column}_stderr"], **look)
    axes.axhline(1, **style.THEORY)
    axes.set(xlabel=r"data exponent $\alpha$", ylabel=r"model exponent $\alpha_m$", xlim=(-0.1, 2.1))
    if frame["exponent"].notna().any():
        axes.legend()
    else:
        style.note(axes, "no curve has enough widths for a line")
