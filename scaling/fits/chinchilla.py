"""The Chinchilla law L = E + A/N^alpha + B/D^beta, N ~ m^k from model shapes, and alpha_m = k alpha.

Writes `width_fit.csv`, `chinchilla_fit.csv` and `chinchilla_profile.csv`; without points, the last two say so.
"""

import argparse
import logging
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from scaling import command, tables
from scaling.command import InputError
from scaling.fits import errors, inputs, power_sum, published
from scaling.fits.inputs import FloatArray
from scaling.fits.points import HOW_TO
from scaling.fits.power_sum import Estimator, PowerSum


SHAPES = ["params_millions", "d_model", "n_layers"]
ESTIMATORS: tuple[Estimator, ...] = ("huber", "least_absolute", "least_squares")
PARAMETERS = ["A", "B", "E", "alpha", "beta"]  # in the order of PowerSum.parameters
PROFILE_REACH = 4.0  # standard errors to each side of the optimum


def kept(loss: FloatArray, n_excluded: int) -> np.ndarray:
    """Return the points (boolean) except the `n_excluded` highest losses (Besiroglu et al. 2024 exclude 5)."""
    if not 0 <= n_excluded < max(loss.size, 1):
        raise InputError(f"the number of excluded points must be 0 .. {loss.size - 1}, got {n_excluded}")
    return loss < np.sort(loss)[-n_excluded] if n_excluded else np.ones(loss.size, dtype=bool)


def model_sizes(parameters: FloatArray) -> np.ndarray:
    """Return the cluster of each point: runs of one model size, whose digitized N agree to about 1 %."""
    return np.unique(np.round(np.log(parameters), 2), return_inverse=True)[1]


def width_exponent(width: FloatArray, parameters: FloatArray) -> dict[str, Any]:
    """Fit k of N ~ m^k on log scales, with its standard error and one clustered by width (CR1)."""
    width, parameters = inputs.positive(d_model=width, params=parameters)
    if np.unique(width).size < 3:
        note = f"a line with an error needs at least 3 different widths, got {np.unique(width).size}"
        return {"n_points": width.size, "status": inputs.TOO_FEW, "note": note}
    x, y = np.log(width), np.log(parameters)
    line = stats.linregress(x, y)
    X = np.column_stack([np.ones_like(x), x])
    residual = y - line.intercept - line.slope * x
    cluster = np.unique(x, return_inverse=True)[1]
    scores = np.zeros((cluster.max() + 1, 2))
    np.add.at(scores, cluster, X * residual[:, None])
    bread = np.linalg.inv(X.T @ X)
    factor = len(scores) / (len(scores) - 1) * (x.size - 1) / (x.size - 2)
    return {
        "exponent": line.slope,
        "exponent_stderr": line.stderr,
        "exponent_stderr_cluster": np.sqrt((bread @ scores.T @ scores @ bread)[1, 1] * factor),
        "amplitude": np.exp(line.intercept),
        "rsquared": line.rvalue**2,
        "n_points": x.size,
        "status": inputs.CONVERGED,
        "note": "",
    }


def width_table(shapes: pd.DataFrame) -> pd.DataFrame:
    """Compute table width_fit: all shapes, N <= 10 billion, and d_model >= 1000."""
    subsets = {
        "all": shapes,
        "N <= 1e10": shapes[shapes["params_millions"] <= 1e4],
        "d_model >= 1000": shapes[shapes["d_model"] >= 1000],
    }
    rows = [
        {
            "subset": name,
            **width_exponent(part["d_model"].to_numpy(float), 1e6 * part["params_millions"].to_numpy(float)),
        }
        for name, part in subsets.items()
    ]
    return pd.DataFrame(rows, columns=list(tables.dictionary()["width_fit"]["columns"]))


def law_row(law: PowerSum, parameters: FloatArray, n_resamples: int, seed: int) -> dict[str, Any]:
    """Return a row of chinchilla_fit without alpha_m: parameters with errors from bootstrap and covariance."""
    row: dict[str, Any] = {
        "estimator": law.estimator,
        "n_points": law.n_points,
        **dict(zip(PARAMETERS, law.parameters, strict=True)),
        "objective": law.objective,
        "n_starts": law.n_starts,
        "n_starts_agreeing": law.n_starts_agreeing,
        "n_resamples": 0,
        "seed": seed,
        "status": law.status,
        "note": law.note,
    }
    if law.status in (inputs.TOO_FEW, inputs.NOT_IDENTIFIED):
        return row
    if law.estimator == "least_absolute":
        row["note"] = law.note or "no error: a refit takes 0.1 s and more, so it is not resampled; see the Huber row"
        return row
    pairs = errors.bootstrap(law, n_resamples, np.random.default_rng(seed))
    clusters = errors.bootstrap(law, n_resamples, np.random.default_rng(seed), model_sizes(parameters))
    row["n_resamples"] = n_resamples
    for i, name in enumerate(PARAMETERS):
        row[f"{name}_stderr"] = pairs[:, i].std(ddof=1)
        if name in ("alpha", "beta"):
            row[f"{name}_low"], row[f"{name}_high"] = np.percentile(pairs[:, i], [2.5, 97.5])
            row[f"{name}_stderr_cluster"] = clusters[:, i].std(ddof=1)
    if law.estimator == "least_squares":
        variances = np.diag(errors.covariance(law))
        row["alpha_stderr_covariance"], row["beta_stderr_covariance"] = np.sqrt(variances[3:])
    return row


def with_alpha_m(row: dict[str, Any], k: pd.Series) -> dict[str, Any]:
    """Add alpha_m = k alpha to `row`; the relative errors of k and alpha add in quadrature."""
    if "alpha" not in row or k["status"] != inputs.CONVERGED:
        return row
    alpha_m = float(k["exponent"]) * row["alpha"]
    row["alpha_m"] = alpha_m
    for ending in ("", "_cluster"):
        of_alpha = row.get(f"alpha_stderr{ending}", np.nan) / row["alpha"]
        row[f"alpha_m_stderr{ending}"] = alpha_m * float(
            np.hypot(of_alpha, k[f"exponent_stderr{ending}"] / k["exponent"])
        )
    return row


def profile_rows(law: PowerSum, n_excluded: int, cells: int = 41) -> list[dict[str, Any]]:
    """Return rows of chinchilla_profile for a least-squares fit: alpha, then beta, fixed at values near the optimum."""
    rows = []
    stderr = np.sqrt(np.diag(errors.covariance(law)))[3:]
    freedom = law.n_points - law.theta.size
    for k, name in enumerate(("alpha", "beta")):
        best = float(law.exponents[k])
        values = np.linspace(max(best - PROFILE_REACH * stderr[k], 0.01), best + PROFILE_REACH * stderr[k], cells)
        excess = (errors.profile(law, k, values) / law.objective - 1) * freedom
        rows += [
            {"n_excluded": n_excluded, "exponent": name, "value": value, "excess": part}
            for value, part in zip(values, excess, strict=True)
        ]
    return rows


def chinchilla_tables(
    points: pd.DataFrame, k: pd.Series, exclusions: list[int], n_resamples: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables chinchilla_fit and chinchilla_profile; alpha_m = k alpha uses the row `k` of width_fit."""
    rows: list[dict[str, Any]] = []
    profiles: list[dict[str, Any]] = []
    for n_excluded in exclusions:
        for estimator in ESTIMATORS:
            if points.empty:
                nothing = {"n_points": 0, "n_starts": 0, "n_starts_agreeing": 0, "n_resamples": 0, "seed": seed}
                why = {"status": inputs.NOT_RUN, "note": f"the points are not available: {HOW_TO}"}
                rows.append({"estimator": estimator, "n_excluded": n_excluded, **nothing, **why})
                continue
            some = points[kept(points["loss"].to_numpy(), n_excluded)]
            law = power_sum.fit([some["parameters"], some["tokens"]], some["loss"], estimator)
            row = law_row(law, some["parameters"].to_numpy(), n_resamples, seed)
            rows.append({"n_excluded": n_excluded, **with_alpha_m(row, k)})
            if estimator == "least_squares" and law.status == inputs.CONVERGED:
                profiles += profile_rows(law, n_excluded)
    fit_columns = list(tables.dictionary()["chinchilla_fit"]["columns"])
    profile_columns = list(tables.dictionary()["chinchilla_profile"]["columns"])
    return pd.DataFrame(rows, columns=fit_columns), pd.DataFrame(profiles, columns=profile_columns)


def main() -> None:
    """Command line: fit shapes and points, write the three tables."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.chinchilla", description=__doc__)
    parser.add_argument("--points", required=True, help="table chinchilla_points (empty without a network)")
    parser.add_argument("--shapes", required=True, help="Table A9 (chinchilla_model_shapes.csv)")
    parser.add_argument("--excluded", type=int, default=5, help="number of points with the highest losses to exclude")
    parser.add_argument("--resamples", type=command.at_least(0), default=1000, help="refits of each bootstrap")
    parser.add_argument("--seed", type=command.at_least(0), default=42, help="seed of the bootstrap")
    parser.add_argument("--widths", required=True, help="table width_fit to write")
    parser.add_argument("--fit", required=True, help="table chinchilla_fit to write")
    parser.add_argument("--profile", required=True, help="table chinchilla_profile to write")
    options = parser.parse_args()
    points = tables.read("chinchilla_points", options.points)
    widths = width_table(published.read(options.shapes, SHAPES))
    exclusions = sorted({options.excluded, 0}, reverse=True)
    fits, profiles = chinchilla_tables(points, widths.iloc[0], exclusions, options.resamples, options.seed)
    tables.write("width_fit", widths, options.widths)
    tables.write("chinchilla_fit", fits, options.fit)
    tables.write("chinchilla_profile", profiles, options.profile)
    logging.info("N ~ m^%.4f +- %.4f", widths["exponent"][0], widths["exponent_stderr"][0])
    for row in fits.itertuples():
        logging.info(
            "%s, %d excluded: alpha %.4f +- %.4f, beta %.4f +- %.4f, alpha_m %.3f +- %.3f (%s)",
            *(row.estimator, row.n_excluded, row.alpha, row.alpha_stderr, row.beta, row.beta_stderr),
            *(row.alpha_m, row.alpha_m_stderr, row.status),
        )


if __name__ == "__main__":
    command.run(main)
