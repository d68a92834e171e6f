"""Exponents and rival predictors of the bigram study: `bigram_exponents.csv` and `bigram_rivals.csv`."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.fits import curve, inputs


CURVE = ["matrix", "law", "n", "gamma", "tied"]
NARROW = 1 / 16  # of n: widths up to this count as m << n
WIDE = 1 / 2  # of n: larger widths are excluded from power laws
LEAST = 1e-4  # nats per token; a smaller excess counts as zero, because training is in single precision
FLOOR_REACHED = "floor reached"
FLOOR_SHARE = 0.01  # of the information: below this excess the floor counts as reached
RIVALS = {
    "overlap": "balanced_mean_sq_overlap",
    "chi_square": "predicted_chi_square",
    "log_spectrum": "predicted_log_spectrum",
    "truncated": "predicted_truncated",
    "frequency": "predicted_frequency",
    "successors": "predicted_successors",
}


def windows(models: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the windows of widths of a curve: narrow, all, and every three successive widths below n/2."""
    n = int(models["n"].iloc[0])
    below = models[models["m"] < WIDE * n]
    yield "narrow", models[models["m"] <= NARROW * n]
    yield "all", below
    widths = sorted(below["m"].unique())
    for first, last in zip(widths, widths[2:], strict=False):
        yield f"{first}-{last}", below[below["m"].between(first, last)]


def curves(models: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield each curve of table bigram_models with the columns that identify it."""
    for key, part in models.groupby(CURVE, sort=True):
        yield dict(zip(CURVE, key, strict=True)), part


def floor_width(models: pd.DataFrame) -> float:
    """Return the width at which the excess falls to 1 % of the information, log-interpolated; NaN if it never does."""
    level = FLOOR_SHARE * float(models["information"].iloc[0])
    excess = models.groupby("m")["excess"].mean().astype(float).sort_index()
    reached = np.flatnonzero(excess.to_numpy() <= level)
    if level <= LEAST or not reached.size:
        return 0.0 if level <= LEAST else np.nan
    last = int(reached[0])
    if last == 0:
        return np.nan
    steps = slice(last - 1, last + 1)
    log_excess = np.log(np.maximum(excess.to_numpy()[steps], LEAST))
    log_m = np.log(excess.index.to_numpy(dtype=float)[steps])
    return float(np.exp(np.interp(-np.log(level), -log_excess, log_m)))


def excess_line(models: pd.DataFrame) -> curve.Line:
    """Fit log excess against log m; without a fit if the floor is reached within the window."""
    if (models["excess"] <= LEAST).any():
        return replace(curve.line([], []), status=FLOOR_REACHED, note="")
    return curve.line(models["m"], models["excess"])


def exponent_table(models: pd.DataFrame) -> pd.DataFrame:
    """Compute table `bigram_exponents` from table `bigram_models`."""
    rows = []
    for names, part in curves(models):
        m_floor = floor_width(part)
        for window, inside in windows(part):
            if inside.empty:
                continue
            line = excess_line(inside)
            overlaps = curve.line(inside["m"], inside["balanced_mean_sq_overlap"])
            rows.append(
                {
                    **names,
                    "window": window,
                    "m_min": inside["m"].min(),
                    "m_max": inside["m"].max(),
                    "n_points": inside["m"].nunique(),
                    "n_seeds": inside.groupby("m").size().min(),
                    "exponent": line.exponent,
                    "exponent_stderr": line.exponent_stderr,
                    "overlap_exponent": overlaps.exponent,
                    "overlap_exponent_stderr": overlaps.exponent_stderr,
                    "mean_m_overlap": (inside["m"] * inside["balanced_mean_sq_overlap"]).mean(),
                    "mean_phi_half": inside["phi_half"].mean(),
                    "seed_std": line.seed_std,
                    "m_floor": m_floor,
                    "status": line.status,
                }
            )
    return pd.DataFrame(rows, columns=list(tables.dictionary()["bigram_exponents"]["columns"]))


def rival_table(models: pd.DataFrame) -> pd.DataFrame:
    """Compute table `bigram_rivals` from table `bigram_models`: windows with three widths above the floor."""
    rows = []
    for names, part in curves(models):
        for window, inside in windows(part):
            line = excess_line(inside)
            if window not in ("narrow", "all") or line.status != inputs.CONVERGED:
                continue
            for rival, column in RIVALS.items():
                predicted = inside[column].astype(float)
                if predicted.isna().any() or (predicted <= 0).any() or predicted.max() < predicted.min() * (1 + 1e-9):
                    continue  # no prediction, zero within the window, or constant
                log_ratio = (predicted / inside["excess"]).map(np.log).groupby(inside["m"]).mean()
                prediction = curve.line(inside["m"], predicted)
                rows.append(
                    {
                        **names,
                        "window": window,
                        "rival": rival,
                        "n_points": line.n_points,
                        "exponent": line.exponent,
                        "exponent_stderr": line.exponent_stderr,
                        "predicted_exponent": prediction.exponent,
                        "predicted_exponent_stderr": prediction.exponent_stderr,
                        "ratio": 1.0 if rival == "overlap" else float(np.exp(log_ratio.mean())),
                        "log_rms": float(log_ratio.std(ddof=0)),
                    }
                )
    return pd.DataFrame(rows, columns=list(tables.dictionary()["bigram_rivals"]["columns"]))


def main() -> None:
    """Command line: fit every curve of a table of bigram models."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.bigram", description=__doc__)
    parser.add_argument("--models", required=True, help="table bigram_models")
    parser.add_argument("--exponents", required=True, help="table bigram_exponents to write")
    parser.add_argument("--rivals", required=True, help="table bigram_rivals to write")
    options = parser.parse_args()
    models = tables.read("bigram_models", options.models)
    tables.write("bigram_exponents", exponent_table(models), options.exponents)
    tables.write("bigram_rivals", rival_table(models), options.rivals)


if __name__ == "__main__":
    command.run(main)
