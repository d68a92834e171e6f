"""Which toy models and curves the claims are about, and how many curves become one row."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from scaling.claims.registry import Result
from scaling.curves import CURVE, WEAK, decay_sweep
from scaling.fits import curve, estimate
from scaling.fits.estimate import Estimate, Scatter


STRONG_GAMMA = -0.33  # strong superposition at or below this weight decay (Fig. 6e)
WEAK_GAMMA = 0.6  # weak superposition above 0 and up to this weight decay (Fig. 5b)
MOST_ROWS = 8  # a claim about more curves than this becomes one row over the grid
FEWEST_SEEDS, FEWEST_CELLS = 4, 6  # for the scatter between seeds to replace the misfit of a line
TRAIN = "`snakemake --cores all toy` with a grid that has such models"
TRAIN_PAPER = "`snakemake --cores all --configfile config.yaml config/paper.yaml`"


def strong(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the decay sweep under strong superposition, by weight decay."""
    rows = decay_sweep(frame)
    return rows[rows["gamma"] <= STRONG_GAMMA]


def weak(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the decay sweep under weak superposition: 0 < gamma <= 0.6 and phi_half < 1/2."""
    rows = decay_sweep(frame)
    phi_half = rows["mean_phi_half" if "mean_phi_half" in rows else "phi_half"]
    return rows[rows["gamma"].between(0, WEAK_GAMMA, inclusive="right") & (phi_half < WEAK)]


def models(frame: pd.DataFrame) -> pd.DataFrame:
    """Every model once, of curves with at least three widths; models that serve two experiments are repeated there."""
    rows = frame.drop_duplicates("model")
    return rows[rows.groupby(CURVE, dropna=False)["m"].transform("nunique") >= 3]


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """Every fitted curve once, from the experiment with the most widths."""
    rows = frame[frame["status"] == "converged"].sort_values("n_points", ascending=False, kind="stable")
    return rows.drop_duplicates(CURVE).sort_values(CURVE, kind="stable")


def of_curve(frame: pd.DataFrame, row: Any) -> pd.DataFrame:
    """The models of a curve (a row of toy_exponents), each once."""
    for column in CURVE:
        value = getattr(row, column)
        frame = frame[frame[column].isna() if pd.isna(value) else frame[column] == value]
    return frame.drop_duplicates("model")


def setting(row: Any) -> str:
    """gamma and alpha of a curve, in words."""
    return f"gamma = {row.gamma:.3g}, alpha = {row.alpha:g}"


def near(points: pd.DataFrame, **values: float) -> pd.DataFrame:
    """Published points whose columns agree with `values` to 0.01."""
    for column, value in values.items():
        points = points[np.abs(points[column].astype(float) - value) < 0.01]
    return points


def seed_scatter(models_of_regime: pd.DataFrame) -> Scatter | None:
    """Scatter of log L between seeds over the cells with four seeds; None with fewer than six such cells."""
    if models_of_regime.empty:
        return None
    cells = [models_of_regime[key] for key in ("gamma", "alpha", "m")]
    found = estimate.scatter(cells, np.log(models_of_regime["loss"].astype(float)), FEWEST_SEEDS, FEWEST_CELLS)
    return found if found.df else None


def exponent(row: Any) -> Estimate:
    """The exponent of a curve (a row of toy_exponents) with the standard error of its line."""
    return Estimate(value=row.exponent, stderr=row.exponent_stderr, df=row.n_points - 2, n=row.n_points)


def shape(row: Any, of_row: pd.DataFrame) -> str:
    """Seeds, form, lack of fit and local exponents of a curve: what the exponent alone does not say."""
    words = ["one seed" if row.n_seeds == 1 else f"{row.n_seeds} seeds"]
    words.append("form undecided" if row.form == "undecided" else f"form: {row.form.replace('_', ' ')}")
    if not pd.isna(row.lack_of_fit_pvalue):
        words.append(f"lack of fit p = {row.lack_of_fit_pvalue:.2g}")
    bend = curve.bend(of_row["m"], of_row["loss"])
    if bend.n_points >= 4:
        words.append(f"local exponent {bend.first:.2f} at the smallest m, {bend.last:.2f} at the largest")
    if row.constant == 0:
        words.append("the constant L0 is at its bound 0")
    return "; ".join(words)


def over_grid(results: Iterable[Result], claim_expects: float = np.nan, relation: str = "equal") -> list[Result]:
    """The results, or one row over the grid when there are more than MOST_ROWS.

    The row holds the median of ours - expected over the curves, so that one outlying curve neither makes nor breaks the
    claim, and counts the curves that agree in its note.
    """
    found = [result for result in results if not np.isnan(result.ours.value)]
    if len(found) <= MOST_ROWS:
        return found
    expected = np.array([claim_expects if result.expected is None else result.expected for result in found])
    theirs = np.array([result.expected_err or 0.0 for result in found])
    mine = np.nan_to_num([result.ours.stderr for result in found])
    distance = np.array([result.ours.value for result in found]) - expected
    s = np.hypot(theirs, mine)
    against = {"equal": np.abs(distance), "at least": -distance, "at most": distance}[relation]
    worst = int(np.argmax(against))
    note = (
        f"{int(np.sum(against <= s))} of {len(found)} curves agree within one standard error s,"
        f" {int(np.sum(against <= 2 * s))} within 2 s; median absolute difference {np.median(np.abs(distance)):.2g};"
        f" the farthest is {distance[worst]:+.2g} at {found[worst].setting}"
    )
    return [
        Result(
            ours=estimate.median(distance, unit="curves"),
            setting=f"ours - expected, median over {len(found)} curves",
            expected=0.0,
            expected_err=np.nan,
            note=note,
            curve="all curves of the grid",
        )
    ]
