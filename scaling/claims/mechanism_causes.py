"""Claims about causes: interventions on trained models, what about the overlaps sets the loss, and the theory."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from scaling.claims import toy
from scaling.claims.mechanism import PAGE, at_gamma, over_seeds
from scaling.claims.registry import EXPONENT, RATIO, SHARE, Result, claim
from scaling.claims.study import Study, records
from scaling.fits import curve, estimate
from scaling.fits.estimate import Estimate


UNREVIVED = ("continued", "longer", "gamma_zero")
STATISTICS = {
    "99 % quantile": "overlap_quantile_live",
    "mean square": "mean_sq_overlap_live",
    "fourth moment": "mean_fourth_overlap_live",
    "largest": "max_overlap_live",
}
FEWEST_PACKINGS = 4  # sets of directions of one model, for a line through their losses
THEORY_N, THEORY_FROM = 1_000_000, 400  # features and smallest width of the theory's limit


def quotient(first: Estimate, second: Estimate) -> Estimate:
    """first / second of independent positive estimates, relative errors in quadrature."""
    relative = [part.stderr / part.value for part in (first, second)]
    value = first.value / second.value
    df = float(estimate.pooled_df(relative[0], first.df, relative[1], second.df))
    return Estimate(value=value, stderr=value * math.hypot(*relative), df=df, n=first.n, unit=first.unit)


def cells(frame: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    """((alpha, m), rows) of each cell of a table of models or interventions."""
    return iter(frame.groupby(["alpha", "m"]))


@claim(
    id="mechanism.revived",
    text="strong superposition: with its silent features revived a model reaches the loss from b = 0",
    origin="hypothesis",
    where=PAGE,
    quantity="loss after revival and training / loss from b = 0",
    expected=1.0,
    expected_kind="hypothesis",
    delta=RATIO,
    tables=["interventions", "toy_models"],
    how_to_run=toy.TRAIN,
)
def revived(study: Study) -> list[Result]:
    """Each alpha and width, means over seeds."""
    after = at_gamma(study.table("interventions"))
    after = after[after["intervention"] == "revived"]
    models = at_gamma(study.table("toy_models"), "zero").drop_duplicates("model")
    zero = dict(cells(models))
    results = []
    for key, part in cells(after):
        if key in zero:
            both = [over_seeds(rows["loss"], rows["loss_stderr"]) for rows in (part, zero[key])]
            setting = f"alpha = {key[0]:g}, m = {key[1]:g}"
            note = f"{part['n_silent_before'].mean():.0f} silent features before, {part['n_silent'].mean():.0f} after"
            results.append(Result(ours=quotient(*both), setting=setting, note=note))
    return toy.over_grid(results, 1.0)


@claim(
    id="mechanism.not_revived",
    text="strong superposition: training on without revival leaves the loss as it was",
    origin="hypothesis",
    where=PAGE,
    quantity="loss after / loss before",
    expected=1.0,
    expected_kind="hypothesis",
    delta=RATIO,
    tables=["interventions"],
    how_to_run=toy.TRAIN,
)
def not_revived(study: Study) -> list[Result]:
    """By the same recipe, five times longer, and without decay; both losses are of the same samples."""
    after = at_gamma(study.table("interventions"))
    results = []
    for name in UNREVIVED:
        for (alpha, m), part in cells(after[after["intervention"] == name]):
            ratio = part["loss"] / part["loss_before"]
            ours = over_seeds(ratio, part["loss_stderr"] / part["loss_before"])
            setting = f"{name.replace('_', ' ')}, alpha = {alpha:g}, m = {m:g}"
            results.append(Result(ours=ours, setting=setting))
    return toy.over_grid(results, 1.0)


@claim(
    id="mechanism.overlaps_squared",
    text="without silent features the loss goes as the square of a factor on the overlaps, with b refitted",
    origin="hypothesis",
    where=PAGE,
    quantity="exponent of the loss in the factor, b refitted",
    expected=2.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["intervention_exponents"],
    how_to_run=toy.TRAIN,
)
def overlaps_squared(study: Study) -> list[Result]:
    """Factors from 0.25 to 1. Norms are not refitted, so the loss without overlaps is not 0."""
    rows = study.table("intervention_exponents")
    rows = rows[(rows["against"] == "scale") & (rows["refit"] == "bias") & (rows["status"] == "converged")]
    results = []
    for row in records(rows):
        ours = Estimate(value=row.exponent, stderr=row.exponent_stderr, df=row.n_points - 2, n=row.n_points)
        results.append(Result(ours=ours, setting=f"alpha = {row.alpha:g}, m = {row.m:g}"))
    return toy.over_grid(results, 2.0)


@claim(
    id="mechanism.interference_squared",
    text="without silent features interference goes as the square of a factor on the overlaps",
    origin="hypothesis",
    where=PAGE,
    quantity="exponent of the interference in the factor, b kept",
    expected=2.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=["interventions"],
    how_to_run=toy.TRAIN,
)
def interference_squared(study: Study) -> list[Result]:
    """Two active features add (4/3) p_i p_j (W_i . W_j)^2 each to the other's error, at leading order."""
    scaled = study.table("interventions")
    scaled = scaled[(scaled["intervention"] == "overlaps") & (scaled["refit"] == "none") & (scaled["scale"] > 0)]
    results = []
    for (alpha, m), part in cells(scaled[scaled["loss_interference"] > 0]):
        line = curve.line(part["scale"], part["loss_interference"])
        ours = estimate.exponent(line)
        ours = Estimate(value=-ours.value, stderr=ours.stderr, df=ours.df, n=ours.n)
        results.append(Result(ours=ours, setting=f"alpha = {alpha:g}, m = {m:g}"))
    return toy.over_grid(results, 2.0)


def explained(part: pd.DataFrame, column: str) -> float:
    """R^2 of the line log loss = c + k log statistic over the directions of one model."""
    x, y = (np.log(part[name].to_numpy(np.float64)) for name in (column, "loss"))
    return float(np.corrcoef(x, y)[0, 1] ** 2) if np.ptp(x) > 0 and np.ptp(y) > 0 else 0.0


@claim(
    id="mechanism.overlap_tail",
    text="the upper tail of the overlaps explains the loss of other directions better than their mean square",
    origin="hypothesis",
    where=PAGE,
    quantity="R^2 of log loss on the 99 % quantile of w_i.w_j less R^2 on the mean square, mean over models",
    expected=0.0,
    expected_kind="hypothesis",
    delta=SHARE,
    relation="at least",
    tables=["interventions"],
    how_to_run=toy.TRAIN_PAPER,
)
def overlap_tail(study: Study) -> Iterator[Result]:
    """One line through the directions of each model; norms are the same, so only the overlaps differ."""
    rows = study.table("interventions")
    rows = rows[rows["intervention"].str.startswith("rows_") & (rows["refit"] == "bias")]
    rows = rows[(rows[list(STATISTICS.values())].astype(float) > 0).all(axis=1)]
    found = [
        {name: explained(part, column) for name, column in STATISTICS.items()}
        for _, part in rows.groupby("model")
        if len(part) >= FEWEST_PACKINGS
    ]
    if found:
        table = pd.DataFrame(found)
        gain = table["99 % quantile"] - table["mean square"]
        note = "mean R^2: " + ", ".join(f"{name} {table[name].mean():.2f}" for name in STATISTICS)
        yield Result(ours=estimate.mean_over(table.index, gain, unit="models"), note=note)


@claim(
    id="mechanism.live_loss_overlaps",
    text="strong superposition: the loss per live feature is proportional to the mean squared overlap of their rows",
    origin="hypothesis",
    where=PAGE,
    quantity="slope of the log of the loss on the log of the mean squared overlap, each curve with its own constant",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=["mediation"],
    how_to_run=toy.TRAIN,
)
def live_loss_overlaps(study: Study) -> Iterator[Result]:
    """Errors are clustered by curve."""
    rows = study.table("mediation")
    rows = rows[(rows["data"] == "live") & (rows["predictors"] == "log_mean")]
    for row in records(rows.dropna(subset=["slope", "slope_stderr"])):
        ours = Estimate(value=row.slope, stderr=row.slope_stderr, df=row.n_curves - 1, n=row.n_curves, unit="curves")
        note = f"R^2 {row.rsquared:.2f}; error of alpha_m on curves left out {row.exponent_error:.2f}"
        yield Result(ours=ours, note=note)


def rms(row: Any) -> Estimate:
    """The RMS error of alpha_m over curves left out; its standard error is rms / sqrt(2 n) for normal errors."""
    value, n = float(row.exponent_error), int(row.n_curves)
    return Estimate(value=value, stderr=value / math.sqrt(2 * n), df=n, n=n, unit="curves")


@claim(
    id="mechanism.counting_rival",
    text="counting features predicts alpha_m of other curves worse than the overlaps of live rows do",
    origin="hypothesis",
    where=PAGE,
    quantity="RMS error of alpha_m on curves left out, by L = 4/3 sum_{i > k} p_i, less that by the mean square",
    expected=0.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    relation="at least",
    tables=["mediation"],
    how_to_run=toy.TRAIN,
)
def counting_rival(study: Study) -> Iterator[Result]:
    """k = m^2/2 and k = c m^d, fitted to the other curves."""
    rows = study.table("mediation").dropna(subset=["exponent_error"])
    overlaps = rows[(rows["data"] == "live") & (rows["predictors"] == "log_mean")]
    if len(overlaps):
        ours = rms(next(records(overlaps)))
        for row in records(rows[rows["data"] == "counting"]):
            rival = rms(row)
            note = f"{rival.value:.2f} - {ours.value:.2f}"
            note += f"; {row.n_undefined} models with a predicted loss of zero left out" if row.n_undefined else ""
            yield Result(ours=estimate.difference(rival, ours), setting=row.predictors, note=note)


@claim(
    id="mechanism.theory_random_rows",
    text="even frequencies: mean-field theory gives the loss of random rows",
    origin="hypothesis",
    where=PAGE,
    quantity="loss with random directions, b and norms refitted / loss of the theory, alpha = 0",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    tables=["interventions", "mean_field"],
    how_to_run=toy.TRAIN_PAPER,
)
def theory_random_rows(study: Study) -> list[Result]:
    """Each width; the theory has Gaussian overlaps, one norm and one bias, and no fitted parameter."""
    rows = study.table("interventions")
    rows = rows[(rows["intervention"] == "rows_random") & (rows["refit"] == "bias_and_norms") & (rows["alpha"] == 0)]
    theory = study.table("mean_field")
    keys = ["n", "m", "activation_density"]
    rows = rows.merge(theory[[*keys, "loss"]].rename(columns={"loss": "theory"}), on=keys)
    results = []
    for m, part in rows.groupby("m"):
        ours = over_seeds(part["loss"] / part["theory"], part["loss_stderr"] / part["theory"])
        results.append(Result(ours=ours, setting=f"m = {m:g}"))
    return toy.over_grid(results, 1.0)


@claim(
    id="mechanism.theory_limit",
    text="even frequencies: without silent features alpha_m tends to 1 as n grows",
    origin="hypothesis",
    where=PAGE,
    quantity="alpha_m of the mean-field theory at n = 10^6, m >= 400",
    expected=1.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=["mean_field"],
)
def theory_limit(study: Study) -> Iterator[Result]:
    """A number of the theory, not of trained models."""
    rows = study.table("mean_field")
    rows = rows[(rows["n"] == THEORY_N) & (rows["m"] >= THEORY_FROM)]
    if rows["m"].nunique() > 2:
        yield Result(ours=estimate.exponent(curve.line(rows["m"], rows["loss"])))
