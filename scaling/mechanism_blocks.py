"""The marked blocks of docs/mechanism.md, from the tables of a recorded run."""

from pathlib import Path

import numpy as np
import pandas as pd

from scaling import geometry
from scaling.curves import DENSITY_MARGIN, main_recipe
from scaling.markdown import NOT_RECORDED, markdown_table, recorded_table


GAMMA = -0.5555555556
START = {"normal": "N(0, 1)", "zero": "0"}


def at_gamma(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at gamma = -5/9 with power-law frequencies, whatever their recipe and density."""
    return frame[((frame["gamma"] - GAMMA).abs() < 1e-6) & (frame["frequency_law"] == "power_law")]


def at_one_density(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with E = 1."""
    return frame[(frame["activation_density"] - 1).abs() < DENSITY_MARGIN]


def strong(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at gamma = -5/9, E = 1, power-law frequencies, main recipe and its own learning rate."""
    frame = at_one_density(at_gamma(main_recipe(frame)))
    return frame[frame["learning_rate_factor"] == 1]


def strong_exponents(exponents: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of toy_exponents that `strong` selects and that have alpha and a fit, one per alpha and bias.

    Of experiments that share a curve, the one with most models is kept.
    """
    rows = strong(exponents).dropna(subset=["alpha", "exponent"]).sort_values("n_points", ascending=False)
    return rows.drop_duplicates(["alpha", "initial_bias"])


def mechanism_parts(recorded: Path) -> str:
    """Loss and parts at even frequencies, seed 0, from both initial biases."""
    models = recorded_table(recorded, "toy_models")
    if models is None:
        return NOT_RECORDED
    models = strong(models).drop_duplicates("model")
    models = models[(models["alpha"] == 0) & (models["seed"] == 0) & models["initial_bias"].isin(list(START))]
    parts = ("silent", "shrink", "interference", "false")
    rows = []
    for row in models.sort_values(["initial_bias", "m"]).to_dict("records"):
        welch = geometry.welch_bound(row["n"], row["m"])
        rows.append(
            [
                START[row["initial_bias"]],
                str(row["m"]),
                f"{row['loss']:.4f} ± {row['loss_stderr']:.4f}",
                *(f"{row[f'loss_{part}']:.4f}" for part in parts),
                str(row["n_silent"]),
                f"{row['phi_half']:.3f}",
                f"{row['loss_interference'] / (4 / 3 * welch):.2f}",
            ]
        )
    head = ["b at the start", "m", "loss", *parts, "silent features", "φ_½", "interference / (4/3 κ²)"]
    return markdown_table(head, rows)


def mechanism_exponents(recorded: Path) -> str:
    """Exponents and local exponents from both initial biases, for each alpha that has both."""
    exponents, models = (recorded_table(recorded, name) for name in ("toy_exponents", "toy_models"))
    if exponents is None or models is None:
        return NOT_RECORDED
    models = strong(models).drop_duplicates("model")
    rows = []
    for row in strong_exponents(exponents).sort_values(["alpha", "initial_bias"]).to_dict("records"):
        if row["initial_bias"] not in START:
            continue
        curve = models[(models["alpha"] == row["alpha"]) & (models["initial_bias"] == row["initial_bias"])]
        curve = curve[curve["m"].between(row["m_min"], row["m_max"])]
        mean = np.log(curve["loss"].astype(float)).groupby(curve["m"]).mean()
        local = -np.diff(mean) / np.diff(np.log(mean.index.to_numpy(np.float64)))
        rows.append(
            [
                f"{row['alpha']:g}",
                START[row["initial_bias"]],
                ", ".join(f"{np.exp(value):.3g}" for value in mean),
                f"{row['exponent']:.2f} ± {row['exponent_stderr']:.2f}",
                f"{row['exponent_low']:.2f} to {row['exponent_high']:.2f}",
                "" if pd.isna(row["lack_of_fit_pvalue"]) else f"{row['lack_of_fit_pvalue']:.2g}",
                ", ".join(f"{slope:.2f}" for slope in local),
            ]
        )
    head = ["α", "b at the start", "losses by m", "α_m", "95 %", "p of lack of fit", "local exponents"]
    return markdown_table(head, rows)


def paper_exponents(recorded: Path) -> str:
    """Exponents of the recorded part of the paper's study, in the folder `paper` below `recorded`."""
    return mechanism_exponents(recorded / "paper")


def paper_silent(recorded: Path) -> str:
    """Least and largest silent share of the loss over the recorded alphas of the paper's study, by width and bias."""
    models = recorded_table(recorded / "paper", "toy_models")
    if models is None:
        return NOT_RECORDED
    models = strong(models).drop_duplicates("model")
    models = models.assign(share=100 * models["loss_silent"] / models["loss"])
    rows = []
    for bias, start in START.items():
        for m, group in models[models["initial_bias"] == bias].groupby("m"):
            share, silent = group["share"], group["n_silent"]
            rows.append(
                [
                    start,
                    str(m),
                    str(len(group)),
                    f"{silent.min()} to {silent.max()}",
                    f"{share.min():.0f} to {share.max():.0f} %",
                ]
            )
    return markdown_table(["b at the start", "m", "models", "silent features", "share of the loss"], rows)


def finding(recorded: Path) -> str:
    """The main finding in one paragraph: silent features, losses and exponents from both initial biases."""
    exponents, models = (recorded_table(recorded, name) for name in ("toy_exponents", "toy_models"))
    if exponents is None or models is None:
        return NOT_RECORDED
    models = strong(models).drop_duplicates("model")
    even = models[(models["alpha"] == 0) & (models["seed"] == 0)].set_index(["initial_bias", "m"])
    paper, zero = even.loc["normal"], even.loc["zero"]
    share = 100 * (paper["loss_silent"] / paper["loss"])[lambda part: part.index >= 25]
    live_from, widest = zero.index[zero["n_silent"] == 0].min(), zero.index.max()
    fits = strong_exponents(exponents).set_index(["alpha", "initial_bias"])

    def exponent(alpha: float, initial_bias: str) -> str:
        row = fits.xs((alpha, initial_bias))
        return f"{row['exponent']:.2f} ± {row['exponent_stderr']:.2f}"

    changes = " and ".join(
        f"{exponent(alpha, 'zero')} instead of {exponent(alpha, 'normal')} (α = {alpha:g})" for alpha in (0.0, 1.0)
    )
    return (
        "**At the paper's settings the exponent near 1 mostly measures features that fall silent at the start.** "
        "Under strong superposition "
        f"(γ = −0.556, b ~ N(0, 1) at the start), {share.min():.0f} to {share.max():.0f} % of the loss at m ≥ 25 and "
        "α = 0 is on features that never fire, although their rows have norm 1. From b = 0 no feature is silent at "
        f"m ≥ {live_from}, the loss at m = {widest} is {zero.loc[widest, 'loss']:.3f} instead of "
        f"{paper.loc[widest, 'loss']:.3f}, and α_m is {changes}; errors are standard errors of a line through six "
        "widths. "
        "[docs/mechanism.md](docs/mechanism.md) has the evidence, interventions, a lower bound by which the exponent "
        "tends to 1 as n → ∞, and a check that takes five minutes." + over_alpha(recorded / "paper")
    )


def over_alpha(recorded: Path) -> str:
    """Exponents from both initial biases over the alphas of the recorded part of the paper's study, one sentence."""
    exponents = recorded_table(recorded, "toy_exponents")
    if exponents is None:
        return ""
    fits = strong_exponents(exponents).pivot(index="alpha", columns="initial_bias", values="exponent")
    larger = (fits["zero"] > fits["normal"]).sum()
    return (
        f" Over the {len(fits)} values of α of the paper's study ([recorded at this γ](docs/paper_study.md)), α_m from "
        f"b = 0 is {fits['zero'].min():.2f} to {fits['zero'].max():.2f}, larger than from b ~ N(0, 1) at {larger}."
    )
