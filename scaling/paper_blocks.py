"""The marked blocks of docs/paper_study.md and docs/differences.md about the recorded part of the paper's study."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling.config import merged
from scaling.curves import CURVE, decay_sweep, regime
from scaling.markdown import NOT_RECORDED, markdown_table, recorded_table
from scaling.toy.cost import CostModel
from scaling.toy.recipe import Recipe
from scaling.toy.study import distinct_cells, stages


FILES = ("config.yaml", "config/paper.yaml")  # of the paper's study
LEVEL = 0.05  # p-value below which a line does not fit
SHOWN_ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0)
LISTED = 12  # cells that differ most


def minus(value: float) -> str:
    """Return a number of three digits with a true minus sign."""
    return f"{value:.3g}".replace("-", "−")


def paper_recorded(recorded: Path) -> str:
    """Models recorded of each stage of the paper's study, their seconds, and the predicted cost of the others.

    The cost model is fitted to the seconds of all recorded models, which were trained at n = 1000.
    """
    models = recorded_table(recorded / "paper", "toy_models")
    if models is None:
        return NOT_RECORDED
    toy: dict[str, Any] = merged(recorded.parents[1] / file for file in FILES)["toy"]
    cells = distinct_cells(toy)
    recipes = {name: Recipe(**settings) for name, settings in toy["trainings"].items()}
    seconds = models.drop_duplicates("model").set_index("model")["seconds"].astype(float).to_dict()
    known = [name for name in seconds if name in cells]
    cost = CostModel(
        [cells[name] for name in known],
        [recipes[cells[name].training] for name in known],
        np.array([seconds[name] for name in known]),
    )
    rows, total = [], np.zeros(4)
    for stage, part in stages(toy).items():
        done = [seconds[cell.name] for cell in part if cell.name in seconds]
        rest = [cost.seconds(cell, recipes[cell.training]) for cell in part if cell.name not in seconds]
        numbers = np.array([len(part), len(done), sum(done) / 3600, sum(rest) / 3600])
        total += numbers
        rows.append([stage.replace("_", " "), *_counted(numbers)])
    rows.append(["**all**", *_counted(total)])
    unpriced = sum(cost.seconds(cell, recipes[cell.training]) == 0 for cell in cells.values())
    head = ["stage", "models", "recorded", "core hours spent", "core hours predicted for the others"]
    return markdown_table(head, rows) + (
        "\n\nThe prediction is a cost model fitted to the seconds of the recorded models; its error for one model has "
        f"a standard deviation of {100 * cost.relative_error:.0f} %. Seconds are wall-clock times of the recordings; "
        "other jobs ran at the same time, so they overstate the cost."
        + (f" No model with their sign of γ is recorded yet: {unpriced} models count as 0 hours." if unpriced else "")
    )


def _counted(numbers: NDArray[np.float64]) -> list[str]:
    return [f"{numbers[0]:.0f}", f"{numbers[1]:.0f}", f"{numbers[2]:.1f}", f"{numbers[3]:.1f}"]


def paper_published(recorded: Path) -> str:
    """Per figure and sign of gamma: cells, median absolute difference, and cells within one and two errors."""
    frame = recorded_table(recorded / "paper", "toy_published")
    if frame is None or frame.empty:
        return NOT_RECORDED
    rows = []
    for (figure, quantity, weak), part in frame.groupby(["figure", "quantity", frame["gamma"] > 0]):
        z = part["z"].dropna().abs()
        difference = part["difference"].abs()
        mine = np.log(part[["ours", "ours_held_out"]]) if quantity == "loss" else part[["ours", "ours_held_out"]]
        held_out = mine["ours_held_out"] - mine["ours"]
        rows.append(
            [
                str(figure),
                str(quantity).replace("_", " ") if quantity != "loss" else "log of loss",
                "γ > 0" if weak else "γ < 0",
                str(len(part)),
                f"{difference.median():.2g}",
                f"{difference.max():.2g}",
                f"{(z <= 1).sum()} of {len(z)}" if len(z) else "",
                f"{(z <= 2).sum()} of {len(z)}" if len(z) else "",
                "" if held_out.isna().all() else f"{held_out.abs().median():.2g}",
            ]
        )
    head = ["figure", "quantity", "decay", "cells", "median difference", "largest", "within s", "within 2 s"]
    return markdown_table([*head, "held-out − tail, median"], rows)


def paper_differences(recorded: Path) -> str:
    """The cells that differ most from the published points, of those that differ by more than two errors."""
    frame = recorded_table(recorded / "paper", "toy_published")
    if frame is None or frame.empty:
        return NOT_RECORDED
    far = frame[frame["z"].abs() > 2]
    counts = ", ".join(f"{figure}: {count}" for figure, count in far["figure"].value_counts(sort=False).items())
    if far.empty:
        return f"None of {frame['z'].notna().sum()} cells with an error differs by more than 2 s."
    far = far.reindex(far["z"].abs().sort_values(ascending=False).index).head(LISTED)
    rows = [
        [
            row["figure"],
            row["quantity"].replace("_", " "),
            minus(row["gamma"]),
            "" if pd.isna(row["alpha"]) else f"{row['alpha']:g}",
            f"{row['activation_density']:.3g}",
            "" if pd.isna(row["m"]) else str(row["m"]),
            f"{row['ours']:.3g}",
            f"{row['published']:.3g}",
            minus(row["z"]),
        ]
        for row in far.to_dict("records")
    ]
    table = markdown_table(["figure", "quantity", "γ", "α", "E", "m", "ours", "published", "z"], rows)
    cells = frame["z"].notna().sum()
    return f"Cells that differ by more than 2 s: {counts}, of {cells}. Those with the largest z:\n\n{table}"


def paper_map(recorded: Path) -> str:
    """Per weight decay of the decay sweep: curves, regimes, phi_half, exponents, and curves that no line fits."""
    exponents = recorded_table(recorded / "paper", "toy_exponents")
    if exponents is None:
        return NOT_RECORDED
    frame = decay_sweep(exponents).dropna(subset=["exponent"])
    frame = frame[frame["n_points"] >= 6].sort_values("n_points", ascending=False).drop_duplicates(CURVE)
    rows = []
    for gamma, part in frame.groupby(frame["gamma"].round(4)):
        phi_half = part["mean_phi_half"]
        kinds = phi_half.map(regime).value_counts(sort=False)
        bad = part["lack_of_fit_pvalue"].dropna() < LEVEL
        by_alpha = {
            row["alpha"]: f"{row['exponent']:.2f} ± {row['exponent_stderr']:.2f}" for row in part.to_dict("records")
        }
        rows.append(
            [
                minus(float(gamma)),
                str(len(part)),
                ", ".join(f"{count} {kind}" for kind, count in kinds.items()),
                f"{phi_half.min():.2f} to {phi_half.max():.2f}",
                *(by_alpha.get(alpha, "") for alpha in SHOWN_ALPHAS),
                f"{bad.sum()} of {len(bad)}" if len(bad) else "",
            ]
        )
    head = ["γ", "curves", "regime", "φ_½", *(f"α_m, α = {alpha:g}" for alpha in SHOWN_ALPHAS), "a line does not fit"]
    return markdown_table(head, rows)


def paper_packings(recorded: Path) -> str:
    """Rows of recorded toy models that cannot be orthogonal, per gamma, alpha and norm: overlaps over their bounds."""
    frame = recorded_table(recorded / "paper", "attention_trained_rows")
    if frame is None:
        return NOT_RECORDED
    rows = []
    for (kind, gamma, alpha), part in frame[frame["nu"] > frame["m"]].groupby(["rows", "gamma", "alpha"]):
        mean, floor = part["mean_sq"] / part["welch_bound"], part["variance_floor"] / part["variance_random"]
        variance = part["variance_sq"] / part["variance_random"]
        filling = f"{part['filling'].min():.2g} to {part['filling'].max():.2g}"
        ranges = [f"{ratio.min():.3g} to {ratio.max():.3g}" for ratio in (mean, variance, floor)]
        rows.append([str(kind), minus(float(str(gamma))), f"{alpha:g}", str(len(part)), filling, *ranges])
    head = ["rows", "γ", "α", "models", "filling ν/(m(m + 1)/2)", "mean / Welch bound", "variance / random"]
    return markdown_table([*head, "lower bound of the variance at the Welch bound / random"], rows)
