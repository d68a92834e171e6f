r"""What predicts the loss of toy models under strong superposition: overlaps of rows, or the number of features?

Linear fits log y = c + sum_k b_k predictor_k, with errors clustered by curve, tested on held-out curves:

- live: y = (L - L_silent) / sum of p_i over live features, on functions of m and of the overlaps of live rows. Each
  curve has its own c, because losses differ between alphas by more than overlaps explain.
- rows_*: y = loss after a change of the directions of rows (interventions.csv); the packings are the curves,
  with one common c per alpha.
- counting: y = L, for the rival hypothesis that only the number of features matters: L = 4/3 sum_{i > k} p_i, with
  k = m^2/2 (the number of rows that nearly form an equiangular tight frame) or a fitted k = c m^d.

    python -m scaling.fits.mediation --models toy_models.csv --features toy_features.csv \
        --one-active toy_one_active.csv --interventions interventions.csv --output mediation.csv
"""

import argparse
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

from scaling import command, geometry, tables
from scaling.curves import CURVE, STRONG
from scaling.fits.inputs import FloatArray


PREDICTORS: dict[str, list[str]] = {
    "log_m": ["log_m"],
    "log_welch": ["log_welch"],
    "log_welch + tightness": ["log_welch", "tightness"],
    "log_mean": ["log_mean"],
    "log_fourth": ["log_fourth"],
    "log_quantile": ["log_quantile"],
    "log_max": ["log_max"],
    "log_welch + tightness + log_m": ["log_welch", "tightness", "log_m"],
}
Chosen = NDArray[np.bool_]  # rows of a fit

LEAST_CURVES = 3  # for errors by cluster and a test on curves left out


def least_squares(X: FloatArray, y: FloatArray) -> FloatArray:
    """Return the coefficients of the least-squares fit y = X coefficients."""
    return np.asarray(np.linalg.lstsq(X, y, rcond=None)[0])


def clustered_errors(X: FloatArray, residual: FloatArray, cluster: FloatArray) -> FloatArray:
    """Return standard errors of the coefficients, residuals shared within a cluster (CR1 sandwich).

    Source: Cameron, Miller 2015, with the factor G/(G - 1) (n - 1)/(n - k).
    """
    bread = np.linalg.pinv(X.T @ X)
    names = np.unique(cluster)
    scores = np.array([X[cluster == name].T @ residual[cluster == name] for name in names])
    n, k, groups = *X.shape, len(names)
    factor = groups / (groups - 1) * (n - 1) / max(n - k, 1)
    return np.asarray(np.sqrt(np.diag(factor * bread @ (scores.T @ scores) @ bread)))


def slopes_against_m(log_m: FloatArray, y: FloatArray, curve: FloatArray) -> FloatArray:
    """Return the slope of y against log m on each curve, by name; NaN with fewer than three widths."""
    slopes = []
    for name in np.unique(curve):
        rows = (curve == name) & np.isfinite(y)
        enough = np.unique(log_m[rows]).size >= 3
        slopes.append(np.polyfit(log_m[rows], y[rows], 1)[0] if enough else np.nan)
    return np.array(slopes)


def root_mean_square(values: FloatArray) -> float:
    """Return the root mean square of the finite values; NaN without any."""
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else float("nan")


def left_out(curve: FloatArray, predict: Callable[[Chosen], FloatArray]) -> FloatArray:
    """Return predictions for each curve by a fit to the other curves; predict(rows fitted) gives all predictions."""
    predicted = np.full(len(curve), np.nan)
    for name in np.unique(curve):
        out = curve == name
        predicted[out] = predict(~out)[out]
    return predicted


def errors(
    y: FloatArray, inside: FloatArray, outside: FloatArray, log_m: FloatArray, curve: FloatArray
) -> dict[str, Any]:
    """Return the columns of mediation.csv that say how good predictions are; -inf is a predicted loss of zero."""
    undefined = ~np.isfinite(inside)
    y = np.where(undefined, np.nan, y)
    measured = slopes_against_m(log_m, y, curve)
    predicted = slopes_against_m(log_m, np.where(undefined, np.nan, outside), curve)
    return {
        "error_inside": root_mean_square(y - inside),
        "error_outside": root_mean_square(y - outside),
        "exponent_error": root_mean_square(measured - predicted),
        "n_models": len(y),
        "n_curves": len(np.unique(curve)),
        "n_undefined": int(undefined.sum()),
    }


def centred(values: FloatArray, group: FloatArray) -> FloatArray:
    """Return values (n, ...) less their mean over each group."""
    values = values.copy()
    for name in np.unique(group):
        values[group == name] -= values[group == name].mean(axis=0)
    return values


def line_rows(data: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows for each set of predictors; `frame` has log_y, curve, constant and the predictors.

    Models with one value of `constant` share the constant c, also those that are left out of the fit of the slopes.
    """
    rows: list[dict[str, Any]] = []
    y, curve = frame["log_y"].to_numpy(np.float64), frame["curve"].to_numpy()
    constant = frame["constant"].to_numpy()
    counts = {"data": data, "n_models": len(y), "n_curves": len(np.unique(curve)), "n_undefined": 0}
    log_m = frame["log_m"].to_numpy(np.float64)
    for name, predictors in PREDICTORS.items():
        X = frame[predictors].to_numpy(np.float64)
        if len(np.unique(curve)) < LEAST_CURVES or len(y) <= X.shape[1] + 1:
            note = f"needs at least {LEAST_CURVES} curves and {X.shape[1] + 2} models"
            rows.append({**counts, "predictors": name, "note": note})
            continue
        X, values = centred(X, constant), centred(y, constant)

        def prediction(fitted: Chosen, X: FloatArray = X, values: FloatArray = values) -> FloatArray:
            return np.asarray(X @ least_squares(X[fitted], values[fitted]))

        coefficients = least_squares(X, values)
        inside = X @ coefficients
        stderr = clustered_errors(X, values - inside, curve)
        shared = {
            "data": data,
            "predictors": name,
            "rsquared": 1 - float(np.sum((values - inside) ** 2) / np.sum((values - values.mean()) ** 2)),
            **errors(values, inside, left_out(curve, prediction), log_m, curve),
        }
        rows += [
            {**shared, "predictor": predictor, "slope": coefficients[k], "slope_stderr": stderr[k]}
            for k, predictor in enumerate(predictors)
        ]
    return rows


def overlap_predictors(frame: pd.DataFrame, n_live: pd.Series) -> pd.DataFrame:
    """Return `frame` with the predictors, from the columns m and *_live; rows without them are left out."""
    welch = pd.Series(
        [geometry.welch_bound(int(nu), int(m)) for nu, m in zip(n_live, frame["m"], strict=True)], frame.index
    )
    mean = frame["mean_sq_overlap_live"].astype(float)
    random = 1 / frame["m"].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        frame = frame.assign(
            log_m=np.log(frame["m"].astype(float)),
            log_welch=np.log(welch),
            tightness=(mean - welch) / (random - welch),
            log_mean=np.log(mean),
            log_fourth=np.log(frame["mean_fourth_overlap_live"].astype(float)) / 2,
            log_quantile=2 * np.log(frame["overlap_quantile_live"].astype(float)),
            log_max=2 * np.log(frame["max_overlap_live"].astype(float)),
        )
    names = sorted({name for names in PREDICTORS.values() for name in names})
    defined = np.isfinite(frame[names].to_numpy(np.float64)).all(axis=1)
    return frame.loc[pd.Series(defined, frame.index)]


def strong_models(models: pd.DataFrame) -> pd.DataFrame:
    """Return each model of a curve under strong superposition at E = 1 and the recipe's learning rate once."""
    models = models.drop_duplicates("model")
    models = models[(models["activation_density"] - 1).abs() < 1e-6]
    models = models[models["learning_rate_factor"] == 1]
    phi = models.groupby(CURVE, dropna=False)["phi_half"].transform("mean")
    models = models[phi > STRONG]
    curve = models["model"].str.rsplit("/", n=1).str[0]
    return models.assign(curve=curve)


def live_rows(models: pd.DataFrame, one_active: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of mediation.csv for the loss on live features."""
    frame = strong_models(models).merge(one_active, on="model", validate="one_to_one")
    frame = frame[(frame["n_live"] > frame["m"]) & (frame["frequency_live"] > 0)]
    live = (frame["loss"] - frame["loss_silent"]) / frame["frequency_live"]
    frame = overlap_predictors(frame.assign(log_y=np.log(live.astype(float))), frame["n_live"])
    return line_rows("live", frame.assign(constant=frame["curve"]))


def new_row_rows(interventions: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of mediation.csv for the loss after other directions of the rows."""
    rows = []
    some = interventions[interventions["intervention"].str.startswith("rows_")]
    for refit in ("bias", "bias_and_norms", "all"):
        part = some[some["refit"] == refit]
        part = part.assign(curve=part["intervention"], log_y=np.log(part["loss"].astype(float)))
        part = overlap_predictors(part, part["n"] - part["n_silent"])
        rows += line_rows(f"rows_{refit}", part.assign(constant=part["alpha"].fillna(-1.0)))
    return rows


def counted_loss(p: FloatArray, k: float) -> float:
    """Return 4/3 sum_{i > k} p_i for frequencies in falling order; the k-th feature counts in part."""
    tail = np.concatenate([np.cumsum(p[::-1])[::-1], [0.0]])
    return float(4 / 3 * np.interp(k, np.arange(len(tail)), tail))


def counting_rows(models: pd.DataFrame, features: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of mediation.csv for the counting rival: k = m^2/2, and k = c m^d fitted to the other curves."""
    models = strong_models(models)
    of_curve = features.assign(curve=features["model"].str.rsplit("/", n=1).str[0])
    p = {
        name: np.sort(rows.drop_duplicates("feature")["frequency"].to_numpy(np.float64))[::-1]
        for name, rows in of_curve.groupby("curve")
    }
    models = models[models["curve"].isin(list(p))]
    y, curve = np.log(models["loss"].to_numpy(np.float64)), models["curve"].to_numpy()
    m = models["m"].to_numpy(np.float64)

    def prediction(law: FloatArray) -> FloatArray:
        counts = np.exp(law[0]) * m ** law[1]
        with np.errstate(divide="ignore"):
            return np.log([counted_loss(p[name], k) for name, k in zip(curve, counts, strict=True)])

    def fitted(rows: Chosen) -> FloatArray:
        def error(law: FloatArray) -> float:
            return float(np.mean(np.clip(prediction(law)[rows] - y[rows], -10, 10) ** 2))

        return np.asarray(optimize.minimize(error, [np.log(10.0), 1.0], method="Nelder-Mead").x)

    every = np.ones(len(y), bool)
    shared = {"data": "counting", "n_models": len(y), "n_curves": len(np.unique(curve)), "n_undefined": 0}
    if len(np.unique(curve)) < LEAST_CURVES:
        return [{**shared, "predictors": "k = m^2/2", "note": f"needs at least {LEAST_CURVES} curves"}]
    given = prediction(np.array([-np.log(2.0), 2.0]))
    best = fitted(every)
    outside = left_out(curve, lambda rows: prediction(fitted(rows)))
    return [
        {**shared, "predictors": "k = m^2/2", **errors(y, given, given, np.log(m), curve)},
        {
            **shared,
            "predictors": "k = c m^d",
            "predictor": "d",
            "slope": best[1],
            **errors(y, prediction(best), outside, np.log(m), curve),
        },
    ]


def mediation_table(
    models: pd.DataFrame, features: pd.DataFrame, one_active: pd.DataFrame, interventions: pd.DataFrame
) -> pd.DataFrame:
    """Return table mediation."""
    rows = live_rows(models, one_active) + new_row_rows(interventions) + counting_rows(models, features)
    return pd.DataFrame(rows, columns=list(tables.dictionary()["mediation"]["columns"]))


def main() -> None:
    """Command line: tables of models, features and interventions to the table mediation."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.fits.mediation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("models", "features", "one-active", "interventions"):
        table = name if name == "interventions" else f"toy_{name.replace('-', '_')}"
        parser.add_argument(f"--{name}", required=True, help=f"table {table}")
    parser.add_argument("--output", required=True, help="table mediation to write")
    options = parser.parse_args()
    read = {
        name: tables.read(name if name == "interventions" else f"toy_{name}", getattr(options, name))
        for name in ("models", "features", "one_active", "interventions")
    }
    found = mediation_table(**read)
    tables.write("mediation", found, options.output)
    for row in found.itertuples():
        logging.info("%s, %s: error outside %.3g", row.data, row.predictors, row.error_outside)


if __name__ == "__main__":
    command.run(main)
