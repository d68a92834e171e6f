"""How often the rule gives each verdict when the paper is exactly right, when a rival is, and halfway between.

    python -m scaling.claims.simulation --repeats 1000 --seed 0 --output claim_rule.csv

A study of `n_curves` curves is drawn: log L at six widths falls with the true exponent, bends by `bend` (change of the
local exponent over the widths), and scatters by `seed_std` between seeds. Three ways of comparing are tried:

- statement: the paper states the exponent, and ours comes from a line with its standard error;
- figure: the paper draws a line through one seed, and both exponents have the standard errors of their lines;
- figure, seed scatter: the same with the scatter between seeds as the error of both.
"""

import argparse
import logging
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.claims import verdict
from scaling.claims.registry import EXPONENT


WIDTHS = np.array([10.0, 15.0, 25.0, 39.0, 63.0, 100.0])
STATED = 1.0
WORLDS = {"paper right": 0.0, "halfway": EXPONENT, "rival right": 2 * EXPONENT}
# (comparison, bend, standard deviation of log L between seeds, our seeds)
SETTINGS = [
    ("statement", 0.0, 0.1, 1),
    ("statement", 0.0, 0.1, 4),
    ("statement", 0.0, 0.02, 1),
    ("statement", 0.75, 0.1, 1),
    ("figure", 0.75, 0.1, 1),
    ("figure", 0.75, 0.1, 4),
    ("figure", 0.75, 0.02, 4),
    ("figure, seed scatter", 0.75, 0.1, 4),
    ("figure, seed scatter", 0.75, 0.02, 4),
]
CURVES = (1, 12)


def lines(log_loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exponents and standard errors of log-log lines; log_loss has shape (..., widths)."""
    x = np.log(WIDTHS) - np.log(WIDTHS).mean()
    slope = log_loss @ x / (x @ x)
    residual = log_loss - log_loss.mean(axis=-1, keepdims=True) - slope[..., None] * x
    return -slope, np.sqrt(np.sum(residual**2, axis=-1) / (len(x) - 2) / (x @ x))


def draw(rng: np.random.Generator, shape: tuple[int, ...], exponent: float, bend: float, seed_std: float) -> np.ndarray:
    """log L of shape (*shape, widths): mean local exponent `exponent`, linear in log m, and seeds about it."""
    x = np.log(WIDTHS) - np.log(WIDTHS).mean()
    middle = (x[0] + x[-1]) / 2
    curve = -exponent * x - bend / (x[-1] - x[0]) * ((x - middle) ** 2 - ((x - middle) ** 2).mean()) / 2
    tilt = lines(curve)[0] - exponent  # the bend of a curve with unequal steps tilts its line
    return curve + tilt * x + seed_std * rng.standard_normal((*shape, len(x)))


def verdicts(
    comparison: str, bend: float, seed_std: float, seeds: int, n_curves: int, offset: float, repeats: int,
    rng: np.random.Generator,
) -> pd.Series:  # fmt: skip
    """Share of each verdict over `repeats` studies of `n_curves` curves whose exponent is the paper's plus `offset`."""
    ours_all = draw(rng, (repeats, n_curves, seeds), STATED + offset, bend, seed_std)
    value, stderr = lines(ours_all.mean(axis=2))
    expected, expected_err, df = np.full_like(value, STATED), np.zeros_like(value), len(WIDTHS) - 2.0
    if comparison != "statement":
        expected, expected_err = lines(draw(rng, (repeats, n_curves), STATED, bend, seed_std))
    if comparison == "figure, seed scatter":
        # As in the claims, the scatter is pooled over the cells of the study.
        df = float(n_curves * len(WIDTHS) * (seeds - 1))
        sd = np.sqrt(ours_all.var(axis=2, ddof=1).mean(axis=(1, 2)))[:, None]
        spread = np.sum((np.log(WIDTHS) - np.log(WIDTHS).mean()) ** 2)
        stderr = np.broadcast_to(sd / np.sqrt(seeds * spread), value.shape)
        expected_err = np.broadcast_to(sd / np.sqrt(spread), value.shape)
    rows = pd.DataFrame(
        {
            "id": np.repeat([f"{number}.exponent" for number in range(repeats)], n_curves),
            "curve": np.tile([f"curve {number}" for number in range(n_curves)], repeats),
            "origin": "statement",
            "relation": "equal",
            "expected": expected.ravel(),
            "expected_err": expected_err.ravel(),
            "expected_df": df,
            "ours": value.ravel(),
            "ours_err": stderr.ravel(),
            "ours_df": df,
            "n": len(WIDTHS),
            "unit": "widths",
            "delta": EXPONENT,
        }
    )
    return verdict.judged(rows)["verdict"].value_counts(normalize=True)


def table(repeats: int, seed: int) -> pd.DataFrame:
    """Table `claim_rule`: rates of the verdicts in every setting and world."""
    rows: list[dict[str, Any]] = []
    for place, (setting, n_curves, (world, offset)) in enumerate(product(SETTINGS, CURVES, WORLDS.items())):
        comparison, bend, seed_std, seeds = setting
        rng = np.random.default_rng([seed, place])
        rates = verdicts(comparison, bend, seed_std, seeds, n_curves, offset, repeats, rng)
        rows.append(
            {
                "comparison": comparison,
                "bend": bend,
                "seed_std": seed_std,
                "n_seeds": seeds,
                "n_curves": n_curves,
                "world": world,
                "offset": offset,
                **{name: float(rates.get(name, 0.0)) for name in ("reproduced", "inconclusive", "differs")},
                "n_repeats": repeats,
                "seed": seed,
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Command line: simulate and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.claims.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeats", type=int, default=1000, help="simulated studies per row")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation")
    parser.add_argument("--output", required=True, help="table claim_rule to write")
    options = parser.parse_args()
    if options.repeats < 1:
        raise command.InputError(f"--repeats {options.repeats}: must be at least 1")
    frame = table(options.repeats, options.seed)
    tables.write("claim_rule", frame, options.output)
    logging.info("%s: %d settings of %d studies", options.output, len(frame), options.repeats)


if __name__ == "__main__":
    command.run(main)
