"""Claims about models trained from b = 0: exponents, silent features, and a bound on interference."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from scaling import geometry
from scaling.claims import toy
from scaling.claims.mechanism import EARLIER, PAGE, at_gamma, over_seeds
from scaling.claims.registry import EXPONENT, RATIO, Result, claim
from scaling.claims.study import Study, records
from scaling.claims.widths import regime
from scaling.curves import decay_sweep
from scaling.fits import curve, estimate
from scaling.fits.estimate import Estimate


READS = ["toy_models", "toy_exponents"]
# alpha_m and the standard error of its line through six widths, from b = 0, by alpha.
EARLIER_EXPONENT = {0.0: (1.33, 0.09), 1.0: (1.53, 0.10), 1.5: (1.89, 0.06), 2.0: (2.10, 0.02)}
EARLIER_DF = 4
LIVE_FROM = 39  # width from which no feature is silent from b = 0
BOUND_FROM = 25  # width from which the interference bound is compared


def exponents(study: Study, initial_bias: str) -> pd.DataFrame:
    """Fitted curves at GAMMA from one initial bias, one per alpha."""
    return toy.curves(at_gamma(study.table("toy_exponents"), initial_bias))


def measured(study: Study, row: Any, **expected: Any) -> Result:
    """The exponent of a curve from b = 0, with its form, lack of fit and local exponents in the note."""
    note = toy.shape(row, toy.of_curve(study.table("toy_models"), row))
    name = f"alpha_m from b = 0, alpha = {row.alpha:g}"
    earlier = "; " + EARLIER if expected else ""
    return Result(ours=toy.exponent(row), setting=f"alpha = {row.alpha:g}", curve=name, note=note + earlier, **expected)


@claim(
    id="mechanism.zero_exponent",
    text="strong superposition from b = 0: alpha_m is 1.3 to 2.1",
    origin="hypothesis",
    where=PAGE,
    quantity="alpha_m from b = 0",
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def zero_exponent(study: Study) -> Iterator[Result]:
    """At the four alphas that were measured before."""
    for row in records(exponents(study, "zero")):
        if row.alpha in EARLIER_EXPONENT:
            value, error = EARLIER_EXPONENT[row.alpha]
            yield measured(study, row, expected=value, expected_err=error, expected_df=EARLIER_DF)


@claim(
    id="mechanism.zero_exponent_one",
    text="strong superposition from b = 0, alpha <= 1: alpha_m = 1",
    origin="hypothesis",
    where=PAGE,
    quantity="alpha_m from b = 0",
    expected=1.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def zero_exponent_one(study: Study) -> list[Result]:
    """What the argument by squared overlaps of 1/m says where no feature is silent."""
    rows = exponents(study, "zero")
    return toy.over_grid((measured(study, row) for row in records(rows[rows["alpha"] <= 1])), 1.0)


@claim(
    id="mechanism.bias_changes_exponent",
    text="strong superposition: alpha_m is larger from b = 0 than from b ~ N(0, 1)",
    origin="hypothesis",
    where=PAGE,
    quantity="alpha_m from b = 0 less alpha_m from b ~ N(0, 1)",
    expected=0.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    relation="at least",
    tables=READS,
    how_to_run=toy.TRAIN,
)
def bias_changes_exponent(study: Study) -> list[Result]:
    """Each alpha that has both curves; errors of the lines, which share their misfit in part."""
    pairs = exponents(study, "zero").merge(exponents(study, "normal"), on="alpha", suffixes=("_zero", "_normal"))
    results = []
    for row in records(pairs):
        both = [
            Estimate(value=value, stderr=error, df=n - 2, n=n)
            for value, error, n in (
                (row.exponent_zero, row.exponent_stderr_zero, row.n_points_zero),
                (row.exponent_normal, row.exponent_stderr_normal, row.n_points_normal),
            )
        ]
        note = f"{both[0].value:.2f} - {both[1].value:.2f}"
        results.append(Result(ours=estimate.difference(*both), setting=f"alpha = {row.alpha:g}", note=note))
    return toy.over_grid(results, 0.0, "at least")


@claim(
    id="mechanism.zero_power_law",
    text="strong superposition from b = 0: the loss is a power law in m",
    origin="hypothesis",
    where=PAGE,
    quantity="change of the local exponent over the widths, from b = 0",
    expected=0.0,
    expected_kind="hypothesis",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def zero_power_law(study: Study) -> list[Result]:
    """A power law has one exponent at every width; the note gives the exponent without the two smallest widths."""
    results = []
    for row in records(exponents(study, "zero")):
        models = toy.of_curve(study.table("toy_models"), row)
        bend = curve.bend(models["m"], models["loss"])
        lines = curve.lines_by_start(models["m"], models["loss"])
        without = f", {lines[2].exponent:.2f} without the two smallest" if len(lines) > 2 else ""
        results.append(
            Result(
                ours=Estimate(value=bend.change, stderr=bend.change_stderr, df=bend.df, n=bend.n_points),
                setting=f"alpha = {row.alpha:g}",
                curve=f"bend from b = 0, alpha = {row.alpha:g}",
                note=f"alpha_m {row.exponent:.2f} over all widths{without}",
            )
        )
    return toy.over_grid(results, 0.0)


@claim(
    id="mechanism.zero_silent",
    text=f"strong superposition from b = 0: no feature is silent at m >= {LIVE_FROM}",
    origin="hypothesis",
    where=PAGE,
    quantity=f"largest number of silent features over all models with m >= {LIVE_FROM}",
    expected=0.0,
    expected_kind="hypothesis",
    delta=0.5,  # of one feature
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def zero_silent(study: Study) -> Iterator[Result]:
    """Every alpha and seed at GAMMA; a count has no error."""
    models = at_gamma(study.table("toy_models"), "zero").drop_duplicates("model")
    models = models[models["m"] >= LIVE_FROM]
    if len(models):
        worst = float(models["n_silent"].max())
        yield Result(ours=Estimate(value=worst, stderr=0.0, n=len(models), unit="models"))


@claim(
    id="mechanism.interference_bound",
    text="even frequencies without silent features: interference is at least (4/3) E^2 kappa^2",
    origin="hypothesis",
    where=PAGE,
    quantity="interference / (4/3 E^2 kappa^2), alpha = 0 from b = 0",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    relation="at least",
    tables=["toy_models"],
    how_to_run=toy.TRAIN,
)
def interference_bound(study: Study) -> list[Result]:
    """Each width; the bound is of leading order in the number of active features, for features that are all live."""
    models = at_gamma(study.table("toy_models"), "zero").drop_duplicates("model")
    models = models[(models["alpha"] == 0) & (models["m"] >= BOUND_FROM)]
    results = []
    for m, part in models.groupby("m"):
        first = part.iloc[0]
        bound = 4 / 3 * first["activation_density"] ** 2 * geometry.welch_bound(int(first["n"]), int(first["m"]))
        ours = over_seeds(part["loss_interference"] / bound, part["loss_interference_stderr"] / bound)
        silent = f"{part['n_silent'].min()} to {part['n_silent'].max()} silent features"
        results.append(Result(ours=ours, setting=f"m = {m:g}", note=silent))
    return toy.over_grid(results, 1.0, "at least")


@claim(
    id="mechanism.weak_bias",
    text="weak superposition: the loss does not depend on the initial bias",
    origin="hypothesis",
    where=PAGE,
    quantity="loss from b = 0 / loss from b ~ N(0, 1), at the width farthest from 1",
    expected=1.0,
    expected_kind="hypothesis",
    delta=RATIO,
    tables=["toy_models"],
    how_to_run=toy.TRAIN_PAPER,
)
def weak_bias(study: Study) -> list[Result]:
    """Each weak curve that was trained from both; the scatter of seeds is pooled over all of them."""
    normal = regime(study, "weak")
    zero = decay_sweep(study.table("toy_models"), "zero").drop_duplicates("model")
    cells = normal[["gamma", "alpha"]].drop_duplicates()
    both = pd.concat([normal, zero.merge(cells, on=["gamma", "alpha"])])
    if both.empty:
        return []
    both = both.assign(log=np.log(both["loss"].astype(float)), zero=both["initial_bias"] == "zero")
    seeds = estimate.scatter([both[key] for key in ("gamma", "alpha", "m", "zero")], both["log"])
    results = []
    for (gamma, alpha), part in both.groupby(["gamma", "alpha"]):
        cell = part.groupby(["m", "zero"])["log"].agg(["mean", "size"]).unstack().dropna()
        if True not in cell["mean"] or cell.empty:
            continue
        log = cell["mean"][True] - cell["mean"][False]
        m = log.abs().idxmax()
        ratio = math.exp(log[m])
        error = ratio * seeds.sd * math.sqrt((1 / cell["size"].loc[m]).sum())
        ours = Estimate(value=ratio, stderr=error, df=seeds.df, n=len(log))
        results.append(Result(ours=ours, setting=f"gamma = {gamma:.3g}, alpha = {alpha:g}", note=f"at m = {m:g}"))
    return toy.over_grid(results, 1.0)
