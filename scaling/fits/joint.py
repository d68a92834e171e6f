"""The joint law of width, depth and data, L = c_m/m^a + c_l/l^b + c_D/D^c + L0: `joint_fit.csv`.

Fitted to the Chinchilla points; shapes come from Table A9 of Hoffmann et al. 2022, joined by parameter count.
"""

import argparse
import logging
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.fits import chinchilla, errors, inputs, power_sum, published
from scaling.fits.points import HOW_TO
from scaling.fits.power_sum import Estimator, PowerSum


EXPONENTS = ["width_exponent", "depth_exponent", "data_exponent"]
AMPLITUDES = ["width_amplitude", "depth_amplitude", "data_amplitude"]
ESTIMATORS: tuple[Estimator, ...] = ("huber", "least_squares")
TOLERANCE = 0.012  # in log N: the counts in the table are rounded to a million, and the smallest is 44 million


def join_shapes(points: pd.DataFrame, shapes: pd.DataFrame, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """Add `width` and `depth` of the shape nearest in parameter count to `points`; NaN if none is within `tolerance`.

    The tolerance is a difference in log N.
    """
    table = np.log(1e6 * shapes["params_millions"].to_numpy(float))
    distance = np.abs(np.log(points["parameters"].to_numpy(float))[:, None] - table)
    nearest = distance.argmin(axis=1)
    near = distance.min(axis=1) <= tolerance
    width = shapes["d_model"].to_numpy(float)[nearest]
    depth = shapes["n_layers"].to_numpy(float)[nearest]
    return points.assign(width=np.where(near, width, np.nan), depth=np.where(near, depth, np.nan))


def joint_row(law: PowerSum, parameters: np.ndarray, n_resamples: int, seed: int) -> dict[str, Any]:
    """Return a row of joint_fit: parameters with profile (least squares) or cluster bootstrap (Huber) intervals."""
    row: dict[str, Any] = {
        **dict(zip(EXPONENTS, law.exponents, strict=True)),
        **dict(zip(AMPLITUDES, law.amplitudes, strict=True)),
        "constant": law.constant,
        "objective": law.objective,
        "n_starts": law.n_starts,
        "n_starts_agreeing": law.n_starts_agreeing,
        "n_resamples": 0,
        "status": law.status,
        "note": law.note,
    }
    if law.status != inputs.CONVERGED:
        return row
    if law.estimator == "least_squares":
        intervals = [errors.profile_interval(law, k) for k in range(len(EXPONENTS))]
    else:
        clusters = chinchilla.model_sizes(parameters)
        refits = errors.bootstrap(law, n_resamples, np.random.default_rng(seed), clusters)[:, -len(EXPONENTS) :]
        row["n_resamples"] = n_resamples
        intervals = [tuple(np.percentile(refits[:, k], [2.5, 97.5])) for k in range(len(EXPONENTS))]
    for name, (low, high) in zip(EXPONENTS, intervals, strict=True):
        row[f"{name}_low"], row[f"{name}_high"] = low, high
    open_ends = [name for name, ends in zip(EXPONENTS, intervals, strict=True) if np.isnan(ends).any()]
    if open_ends:
        low, high = power_sum.LIMITS
        row["note"] = f"not bounded within {low} .. {high}: {', '.join(open_ends)}"
    return row


def joint_table(
    points: pd.DataFrame, shapes: pd.DataFrame, exclusions: list[int], n_resamples: int, seed: int
) -> pd.DataFrame:
    """Return table joint_fit; without points, the status of its rows is `not run`."""
    rows = []
    for n_excluded in exclusions:
        joined = join_shapes(points, shapes)
        joined = joined[chinchilla.kept(points["loss"].to_numpy(), n_excluded)] if len(points) else joined
        some = joined.dropna()
        for estimator in ESTIMATORS:
            row: dict[str, Any] = {"estimator": estimator, "n_excluded": n_excluded, "n_points": len(some)}
            row |= {"n_unmatched": len(joined) - len(some), "seed": seed}
            if points.empty:
                row |= {"n_starts": 0, "n_starts_agreeing": 0, "n_resamples": 0}
                row |= {"status": inputs.NOT_RUN, "note": f"the points are not available: {HOW_TO}"}
            else:
                law = power_sum.fit([some["width"], some["depth"], some["tokens"]], some["loss"], estimator, n_starts=6)
                row |= joint_row(law, some["parameters"].to_numpy(), n_resamples, seed)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(tables.dictionary()["joint_fit"]["columns"]))


def main() -> None:
    """Command line: join shapes to points, fit, write the table."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.joint", description=__doc__)
    parser.add_argument("--points", required=True, help="table chinchilla_points (empty without a network)")
    parser.add_argument("--shapes", required=True, help="Table A9 (chinchilla_model_shapes.csv)")
    parser.add_argument("--excluded", type=int, default=5, help="number of points with the highest losses to exclude")
    parser.add_argument("--resamples", type=command.at_least(0), default=400, help="refits of the cluster bootstrap")
    parser.add_argument("--seed", type=command.at_least(0), default=42, help="seed of the bootstrap")
    parser.add_argument("--output", required=True, help="table joint_fit to write")
    options = parser.parse_args()
    points = tables.read("chinchilla_points", options.points)
    shapes = published.read(options.shapes, chinchilla.SHAPES)
    exclusions = sorted({options.excluded, 0}, reverse=True)
    table = joint_table(points, shapes, exclusions, options.resamples, options.seed)
    tables.write("joint_fit", table, options.output)
    for row in table.itertuples():
        logging.info(
            "%s, %d excluded, %d points (%d without a shape): a %.3f [%.3f, %.3f], b %.3f [%.3f, %.3f], c %.3f (%s)",
            *(row.estimator, row.n_excluded, row.n_points, row.n_unmatched),
            *(row.width_exponent, row.width_exponent_low, row.width_exponent_high),
            *(row.depth_exponent, row.depth_exponent_low, row.depth_exponent_high, row.data_exponent, row.status),
        )


if __name__ == "__main__":
    command.run(main)
