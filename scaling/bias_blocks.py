"""The blocks of docs/mechanism.md on the initial bias: wide models, recipes, spreads of b, densities, weak decay."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from scaling import geometry
from scaling.curves import CURVE, main_recipe
from scaling.fits import curve
from scaling.markdown import NOT_RECORDED, markdown_table, number, recorded_table
from scaling.mechanism_blocks import START, at_gamma, at_one_density, strong
from scaling.toy.initial_bias import parse


WIDEST_OF_THE_PAPER = 100


def trained(recorded: Path) -> pd.DataFrame | None:
    """Return every toy model once: those of the recorded part of the paper's study, else of the default study."""
    for folder in (recorded / "paper", recorded):
        models = recorded_table(folder, "toy_models")
        if models is not None:
            return models.drop_duplicates("model")
    return None


def mean_loss(rows: pd.DataFrame) -> float:
    """Return the geometric mean of the loss over seeds."""
    return float(np.exp(np.log(rows["loss"].astype(float)).mean()))


def with_silent(rows: pd.DataFrame) -> str:
    """The mean loss and, in brackets, the mean number of silent features; empty without models."""
    return f"{mean_loss(rows):.3g} ({rows['n_silent'].mean():.0f})" if len(rows) else ""


def exponent(rows: pd.DataFrame) -> str:
    """The exponent of the line through the models of a curve; empty with fewer than four widths."""
    line = curve.line(rows["m"], rows["loss"])
    return number(line.exponent, line.exponent_stderr) if line.n_points > 3 else ""


def mechanism_wide(recorded: Path) -> str:
    """Models from b = 0 over all recorded widths, at each alpha that has wide ones: parts, local exponent, bounds."""
    models = trained(recorded)
    if models is None:
        return NOT_RECORDED
    models = strong(models)
    models = models[(models["initial_bias"] == "zero") & (models["m"] >= 25)]
    theory = recorded_table(recorded, "mean_field")
    rows = []
    for alpha, of_alpha in models.groupby("alpha"):
        if of_alpha["m"].max() <= WIDEST_OF_THE_PAPER:
            continue
        before: tuple[int, float] | None = None
        for m, part in by_width(of_alpha):
            loss = mean_loss(part)
            welch = geometry.welch_bound(int(part["n"].iloc[0]), m)
            local = "" if before is None else f"{np.log(before[1] / loss) / np.log(m / before[0]):.2f}"
            even = alpha == 0
            rows.append(
                [
                    f"{alpha:g}",
                    str(m),
                    str(len(part)),
                    f"{loss:.3g}",
                    *(f"{part[f'loss_{name}'].mean():.2g}" for name in ("silent", "shrink", "interference", "false")),
                    local,
                    f"{loss / welch:.1f}",
                    f"{part['loss_interference'].mean() / (4 / 3 * welch):.2f}" if even else "",
                    theory_loss(theory, part) if even else "",
                ]
            )
            before = (m, loss)
    head = ["α", "m", "seeds", "loss", "silent", "shrink", "interference", "false", "local exponent", "loss / κ²"]
    return markdown_table([*head, "interference / (4/3 κ²)", "loss of the theory"], rows)


def theory_loss(theory: pd.DataFrame | None, part: pd.DataFrame) -> str:
    """The loss of mean_field.csv at the n and m of the models; empty if it is not there."""
    if theory is None:
        return ""
    row = theory[(theory["n"] == part["n"].iloc[0]) & (theory["m"] == part["m"].iloc[0])]
    return f"{row['loss'].iloc[0]:.3g}" if len(row) else ""


def by_width(models: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield (m, its models) in increasing order of m."""
    for m in sorted(map(int, models["m"].unique())):
        yield m, models[models["m"] == m]


def pairs(models: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """Yield (m, models from b ~ N(0, 1), models from b = 0) of each width that has both."""
    for m, part in by_width(models):
        normal, zero = (part[part["initial_bias"] == start] for start in START)
        if len(normal) and len(zero):
            yield m, normal, zero


def mechanism_recipes(recorded: Path) -> str:
    """Loss and silent features from both initial biases for each training recipe and learning rate, alpha = 0."""
    models = trained(recorded)
    if models is None:
        return NOT_RECORDED
    models = at_one_density(at_gamma(models))
    rows = []
    recipes = models[models["alpha"] == 0].groupby(["training", "learning_rate_factor"])
    for (training, factor), part in recipes:
        for m, normal, zero in pairs(part):
            rows.append(
                [
                    str(training).replace("_", " "),
                    f"{factor:g}",
                    f"{m:g}",
                    with_silent(normal),
                    with_silent(zero),
                    f"{mean_loss(normal) / mean_loss(zero):.2f}",
                ]
            )
    variants = {(row[0], row[1]) for row in rows}
    head = ["recipe", "rates ×", "m", "loss from N(0, 1) (silent features)", "loss from 0", "ratio"]
    return markdown_table(head, rows if len(variants) > 1 else [])


def mechanism_spreads(recorded: Path) -> str:
    """Loss and silent features at each width, by the spread of b at the start; alphas with at least three spreads."""
    models = trained(recorded)
    if models is None:
        return NOT_RECORDED
    models = strong(models)
    widths = sorted(models.loc[models["m"] <= WIDEST_OF_THE_PAPER, "m"].unique())
    rows = []
    for alpha, part in models.groupby("alpha"):
        starts = sorted(part["initial_bias"].unique(), key=lambda start: parse(start)[::-1])
        if len(starts) < 3:
            continue
        for start in starts:
            mean, spread = parse(start)
            of_start = part[part["initial_bias"] == start]
            name = f"{mean:g}".replace("-", "−") if spread == 0 else f"N(0, {spread:g}²)" if spread != 1 else "N(0, 1)"
            rows.append([f"{alpha:g}", name, *(with_silent(of_start[of_start["m"] == m]) for m in widths)])
    table = markdown_table(["α", "b at the start", *(f"m = {m:g}" for m in widths)], rows)
    picture = recorded / "figures" / "mechanism_onset.png"  # drawn only where spreads or recipes were trained
    if rows and picture.is_file():
        table += f"\n\n![Spread of the initial bias, and recipes](../resources/recorded/figures/{picture.name})"
    return table


def mechanism_densities(recorded: Path) -> str:
    """Loss, silent features and exponent from both initial biases at each activation density, alpha = 1."""
    models = trained(recorded)
    if models is None:
        return NOT_RECORDED
    models = at_gamma(main_recipe(models))
    models = models[(models["learning_rate_factor"] == 1) & (models["alpha"] == 1)]
    models = models[models["m"] <= WIDEST_OF_THE_PAPER]
    rows = []
    for density, part in models.groupby("activation_density"):
        if set(START) <= set(part["initial_bias"]):
            for start, name in START.items():
                of_start = part[part["initial_bias"] == start]
                losses = ", ".join(with_silent(of_width) for _, of_width in by_width(of_start))
                rows.append([f"{density:.3g}", name, losses, exponent(of_start)])
    head = ["E", "b at the start", "losses (silent features) by m", "α_m"]
    return markdown_table(head, rows if len(rows) > len(START) else [])


def mechanism_weak(recorded: Path) -> str:
    """Ratio of the losses from both initial biases, and both exponents, for each curve with gamma > 0."""
    models = trained(recorded)
    if models is None:
        return NOT_RECORDED
    models = at_one_density(main_recipe(models))
    models = models[(models["gamma"] > 0) & (models["learning_rate_factor"] == 1)]
    rows = []
    keys = [key for key in CURVE if key != "initial_bias"]
    for _, part in models.groupby(keys, dropna=False):
        widths = list(pairs(part))
        if not widths:
            continue
        ratio = [mean_loss(zero) / mean_loss(normal) for _, normal, zero in widths]
        normal = pd.concat([of_width for _, of_width, _ in widths])
        zero = pd.concat([of_width for _, _, of_width in widths])
        alpha = part["alpha"].iloc[0]
        rows.append(
            [
                f"{part['gamma'].iloc[0]:.3g}",
                "" if pd.isna(alpha) else f"{alpha:g}",
                f"{part['phi_half'].mean():.2f}",
                f"{widths[0][0]} to {widths[-1][0]}",
                f"{min(ratio):.3f} to {max(ratio):.3f}",
                exponent(normal),
                exponent(zero),
            ]
        )
    head = ["γ", "α", "φ_½", "m", "loss from 0 / loss from N(0, 1)", "α_m from N(0, 1)", "α_m from 0"]
    return markdown_table(head, rows)
