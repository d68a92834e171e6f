"""Claims about what the toy model represents: phi_half, phi_1, norms, overlaps, and the loss of missing features."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from scaling import geometry
from scaling.claims import toy
from scaling.claims.registry import EXPONENT, RATIO, SHARE, Result, claim
from scaling.claims.study import Study, records
from scaling.curves import decay_sweep
from scaling.fits import curve, estimate
from scaling.fits.estimate import Estimate


READS = ["toy_models"]
FEWEST_ROWS = 10  # rows of norm > 1 below which a model is left out of claims about their overlaps
FULL_GAMMA = -0.55  # at or below this weight decay all features are represented (Fig. 3a)
OVERLAP_GAMMA = -0.5556  # Fig. 6c and 5d of the final version do not state their gamma; this is that of Fig. 7b
FACTOR_TWO = 1.0  # margin of log2 of a ratio, where the paper says "about"


def regime(study: Study, name: str) -> pd.DataFrame:
    """Models of the decay sweep in one regime, strong or weak."""
    return toy.models((toy.strong if name == "strong" else toy.weak)(study.table("toy_models")))


def at_every_width(
    models: pd.DataFrame,
    value: Callable[[pd.DataFrame], Any],
    name: str,
    expected: float,
    relation: str = "equal",
) -> list[Result]:
    """For each curve, `value` (mean over seeds) at the width that contradicts the claim most.

    The scatter of seeds is pooled over all repeated cells of `models`.
    """
    if models.empty:
        return []
    models = models.assign(value=value(models).astype(float))
    seeds = estimate.scatter([models[key] for key in ("gamma", "alpha", "m")], models["value"])
    results = []
    for (gamma, alpha), part in models.groupby(["gamma", "alpha"]):
        ours = estimate.farthest(part["m"], part["value"], expected, seeds, relation)
        mean = part.groupby("m")["value"].mean()
        setting = f"gamma = {gamma:.3g}, alpha = {alpha:g}"
        note = f"over the widths {mean.min():.3g} to {mean.max():.3g}, median {mean.median():.3g}"
        note += "; error by the seeds of all curves" if seeds.df else "; one seed, so no error"
        results.append(Result(ours=ours, setting=setting, expected=expected, curve=f"{name}, {setting}", note=note))
    return toy.over_grid(results, expected, relation)


def as_drawn(models: pd.DataFrame, points: pd.DataFrame, column: str) -> list[Result]:
    """For each curve, `column` over its published value at the width where this ratio is farthest from 1.

    `points` holds m, the published `value`, and gamma or alpha where the figure gives them. Both sides are draws with
    the scatter of seeds, pooled over all repeated cells of `models`; the published value is one seed.
    """
    models, points = models[models[column] > 0], points[points["value"] > 0]
    if models.empty:
        return []
    logs = models.assign(log=np.log(models[column].astype(float)))
    seeds = estimate.scatter([logs[key] for key in ("gamma", "alpha", "m")], logs["log"])
    results = []
    for (gamma, alpha), part in logs.groupby(["gamma", "alpha"]):
        keys: dict[str, Any] = {key: value for key, value in (("gamma", gamma), ("alpha", alpha)) if key in points}
        pair = part.merge(toy.near(points, **keys)[["m", "value"]], on="m")
        if pair.empty:
            continue
        ratio = pair["log"] - np.log(pair["value"])
        found = estimate.farthest(pair["m"], ratio, 0.0, seeds)
        each = np.exp(ratio.groupby(pair["m"]).mean())
        setting = f"gamma = {gamma:.3g}, alpha = {alpha:g}"
        results.append(
            Result(
                ours=Estimate(
                    value=float(np.exp(found.value)),
                    stderr=float(np.exp(found.value) * found.stderr),
                    df=found.df,
                    n=found.n,
                ),
                setting=setting,
                expected=1.0,
                expected_err=seeds.sd if seeds.df else None,
                expected_df=float(seeds.df),
                curve=f"{column}, {setting}",
                note=f"over the widths {each.min():.3g} to {each.max():.3g}, median {each.median():.3g}",
            )
        )
    return toy.over_grid(results, 1.0)


# ---- what is represented


@claim(
    id="toy.phi_half_strong",
    text="strong superposition: all features are represented",
    origin="statement",
    where="Fig. 3a",
    quantity="phi_half at the width farthest from 1, gamma <= -0.55",
    expected=1.0,
    expected_kind="published",
    delta=SHARE,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_half_strong(study: Study) -> list[Result]:
    """phi_half = 1 at every alpha and width once gamma <= -0.55."""
    models = regime(study, "strong")
    return at_every_width(models[models["gamma"] <= FULL_GAMMA], lambda rows: rows["phi_half"], "phi_half", 1.0)


@claim(
    id="toy.phi_half_weak",
    text="weak superposition: about m features are represented (within a factor of two)",
    origin="statement",
    where="Fig. 3a",
    quantity="log2(phi_half n/m) at the width farthest from 0",
    expected=0.0,
    expected_kind="published",
    delta=FACTOR_TWO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_half_weak(study: Study) -> list[Result]:
    """The paper says "about m/n"."""
    models = regime(study, "weak")
    return at_every_width(
        models, lambda rows: np.log2((rows["phi_half"] * rows["n"] / rows["m"]).astype(float)), "phi_half", 0.0
    )


@claim(
    id="toy.phi_half_figure",
    text="the share of represented features is as drawn",
    origin="figure",
    where="Fig. 3a",
    quantity="phi_half, ours over the figure, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_half_figure(study: Study) -> list[Result]:
    """Fig. 3a at every gamma that was trained with alpha = 1."""
    points = study.published("fig3a_phi_half", ["gamma", "m", "phi_half"]).rename(columns={"phi_half": "value"})
    models = toy.models(decay_sweep(study.table("toy_models")))
    return as_drawn(models[models["alpha"] == 1], points, "phi_half")


@claim(
    id="toy.phi_1_formula",
    text="about m^2/(2n) of the features have norm > 1 (within a factor of two)",
    origin="statement",
    where="Fig. 6c",
    quantity="log2(phi_1 2n/m^2) at the width farthest from 0, m^2/2 < n",
    expected=0.0,
    expected_kind="published",
    delta=FACTOR_TWO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_1_formula(study: Study) -> list[Result]:
    """The guide line of Fig. 6c, against which the paper draws its points."""
    models = regime(study, "strong")
    models = models[(models["m"].map(geometry.etf_like_rows) < models["n"]) & (models["phi_1"] > 0)]
    return at_every_width(
        models,
        lambda rows: np.log2((rows["phi_1"] * rows["n"] / rows["m"].map(geometry.etf_like_rows)).astype(float)),
        "phi_1",
        0.0,
    )


@claim(
    id="toy.phi_1_figure",
    text="the share of features with norm > 1 is as drawn",
    origin="figure",
    where="Fig. 6c",
    quantity="phi_1, ours over the figure, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def phi_1_figure(study: Study) -> list[Result]:
    """Fig. 6c at every alpha, with the gamma of Fig. 7b, since the figure states none."""
    points = study.published("fig6c_phi_one", ["alpha", "m", "phi_1"]).rename(columns={"phi_1": "value"})
    return as_drawn(toy.near(regime(study, "strong"), gamma=OVERLAP_GAMMA), points, "phi_1")


def norms(study: Study, name: str) -> pd.DataFrame:
    """Rows of toy_features in one regime, with gamma, alpha and m of their models."""
    models = regime(study, name)[["model", "gamma", "alpha", "m", "seed"]]
    return study.table("toy_features").merge(models, on="model", how="inner")


@claim(
    id="toy.norms_two_groups",
    text="norms form two groups near 0 and 1",
    origin="figure",
    where="Fig. 3, inset",
    quantity="share of norms in (0.1, 0.9), mean over models",
    expected=0.0,
    expected_kind="published",
    delta=SHARE,
    tables=["toy_models", "toy_features"],
    how_to_run=toy.TRAIN,
)
def norms_two_groups(study: Study) -> Iterator[Result]:
    """Few norms lie between the groups, in both regimes."""
    for name in ("strong", "weak"):
        features = norms(study, name)
        between = features["norm"].between(0.1, 0.9).groupby(features["model"]).mean()
        if len(between):
            note = f"from {between.min():.2f} to {between.max():.2f} over the models"
            ours = estimate.mean_over(between.index, between, unit="models")
            yield Result(ours=ours, setting=f"{name} superposition", note=note)


@claim(
    id="toy.norms_by_frequency",
    text="strong superposition: the features with norm > 1 are the frequent ones",
    origin="statement",
    where="Fig. 6c",
    quantity="AUC of frequency for norm > 1, mean over models with alpha > 0",
    expected=1.0,
    expected_kind="published",
    delta=SHARE,
    tables=["toy_models", "toy_features"],
    how_to_run=toy.TRAIN,
)
def norms_by_frequency(study: Study) -> list[Result]:
    """1 if every feature with norm > 1 is more frequent than every other, 1/2 if frequency says nothing."""
    features = norms(study, "strong")
    features = features[features["alpha"] > 0]
    results = []
    for (gamma, alpha), part in features.groupby(["gamma", "alpha"]):
        each = part.groupby("model")[["frequency", "norm"]].apply(
            lambda rows: estimate.auc(rows["frequency"], rows["norm"] > 1)
        )
        each = each.dropna()
        ours = estimate.mean_over(each.index, each, unit="models")
        note = f"from {each.min():.2f} to {each.max():.2f} over the models" if len(each) else ""
        results.append(Result(ours=ours, setting=f"gamma = {gamma:.3g}, alpha = {alpha:g}", note=note))
    return toy.over_grid(results, 1.0)


# ---- overlaps


def packed(study: Study) -> pd.DataFrame:
    """Strong models with enough rows of norm > 1 and a Welch bound above 0 for them."""
    models = regime(study, "strong")
    return models[(models["n_strong"] >= FEWEST_ROWS) & (models["welch_bound_strong"] > 0)]


def overlap_slopes(
    models: pd.DataFrame, column: str, expected: str | float, note: str = "; 1 is the value of independent rows"
) -> list[Result]:
    """Exponent in m of a column for each curve; `expected` is a number or a column with its own slope.

    `note` says what m times the column would be for independent rows.
    """
    results = []
    for (gamma, alpha), part in models[models[column] > 0].groupby(["gamma", "alpha"]):
        m = part["m"].astype(float)
        line = curve.line(m, part[column])
        if line.status != "converged":
            continue
        theirs = expected if isinstance(expected, float) else curve.line(m, part[expected]).exponent
        level = part["m"] * part[column]
        setting = f"gamma = {gamma:.3g}, alpha = {alpha:g}"
        results.append(
            Result(
                ours=estimate.exponent(line),
                setting=setting,
                expected=theirs,
                curve=f"{column}, {setting}",
                note=f"m x mean from {level.min():.2f} to {level.max():.2f}{note}",
            )
        )
    return toy.over_grid(results)


@claim(
    id="toy.overlap_all_rows",
    text="strong superposition: the mean squared overlap falls as 1/m (all rows)",
    origin="statement",
    where="Fig. 6d",
    quantity="exponent of the mean squared overlap in m",
    expected=1.0,
    expected_kind="published",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_all_rows(study: Study) -> list[Result]:
    """All rows of W, those that share one direction included."""
    return overlap_slopes(regime(study, "strong"), "mean_sq_overlap", 1.0)


@claim(
    id="toy.overlap_strong_rows",
    text="strong superposition: the mean squared overlap falls like the Welch bound (rows with norm > 1)",
    origin="statement",
    where="Fig. 6d",
    quantity="exponent of the mean squared overlap in m, norm > 1",
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_strong_rows(study: Study) -> list[Result]:
    """Compared with the slope of the Welch bound of as many rows; independent rows have slope 1, too."""
    return overlap_slopes(packed(study), "mean_sq_overlap_strong", "welch_bound_strong")


@claim(
    id="toy.own_loss",
    text="strong superposition: the loss of Eq. 10 falls as 1/m",
    origin="hypothesis",
    where="Eq. 10",
    quantity="exponent in m of the mean of Eq. 10 over rows",
    expected=1.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def own_loss(study: Study) -> list[Result]:
    """All of Eq. 10. With norms near 1 it stays near log(1 + (n - 1)/e), whatever the overlaps."""
    return overlap_slopes(regime(study, "strong"), "own_loss", 1.0, "")


@claim(
    id="toy.own_loss_overlaps",
    text="strong superposition: what overlaps add to the loss of Eq. 10 falls as 1/m",
    origin="hypothesis",
    where="Eq. 10",
    quantity="exponent in m of the mean of Eq. 10 minus its value at zero overlaps",
    expected=1.0,
    expected_kind="derived",
    delta=EXPONENT,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def own_loss_overlaps(study: Study) -> list[Result]:
    """For many rows of norm 1 and mean squared overlap q it is q/2 to second order in the overlaps."""
    return overlap_slopes(
        regime(study, "strong"), "own_loss_overlaps", 1.0, "; about 1/2 for independent rows of norm 1"
    )


@claim(
    id="toy.overlap_figure",
    text="the mean squared overlap is as drawn in the final version",
    origin="figure",
    where="Fig. 5d, final version",
    quantity="mean squared overlap of rows with norm > 1, ours over the figure, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_figure(study: Study) -> list[Result]:
    """The figure does not state its rows or its gamma; rows with norm > 1 at the gamma of Fig. 7b are compared."""
    points = study.published("final_fig5d_mean_square_overlap", ["alpha", "m", "mean_square_overlap"])
    points = points.rename(columns={"mean_square_overlap": "value"})
    return as_drawn(toy.near(packed(study), gamma=OVERLAP_GAMMA), points, "mean_sq_overlap_strong")


@claim(
    id="toy.overlap_welch",
    text="overlaps lie above the Welch bound",
    origin="theorem",
    where="Fig. 6d",
    quantity="least of mean squared overlap / Welch bound, norm > 1",
    expected=1.0,
    expected_kind="derived",
    delta=RATIO,
    relation="at least",
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_welch(study: Study) -> list[Result]:
    """How near the rows come to a tight frame, which has ratio 1."""
    return at_every_width(
        packed(study),
        lambda rows: rows["mean_sq_overlap_strong"] / rows["welch_bound_strong"],
        "welch",
        1.0,
        "at least",
    )


@claim(
    id="toy.overlap_variance",
    text="squared overlaps scatter less than those of independent rows",
    origin="statement",
    where="Fig. 5c, final version",
    quantity="Var/mean^2 of squared overlaps over that of independent rows, largest over the widths, norm > 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    relation="at most",
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_variance(study: Study) -> list[Result]:
    """Relative to the squared mean, so that a smaller mean does not count. Independent rows: 2 (m - 1)/(m + 2)."""

    def ratio(rows: pd.DataFrame) -> pd.Series:
        relative = rows["std_sq_overlap_strong"] ** 2 / rows["mean_sq_overlap_strong"] ** 2
        return relative / (2 * (rows["m"] - 1) / (rows["m"] + 2))

    return at_every_width(packed(study), ratio, "variance of squared overlaps", 1.0, "at most")


@claim(
    id="toy.overlap_variance_floor",
    text="squared overlaps scatter as little as so many rows can (as an ETF does where one exists)",
    origin="statement",
    where="Fig. 5c, final version",
    quantity="(Var - least)/(Var of independent rows - least), farthest from 0 over the widths, norm > 1",
    expected=0.0,
    expected_kind="derived",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def overlap_variance_floor(study: Study) -> list[Result]:
    """0 at the least possible variance for the number of rows and their mean, 1 for independent rows."""

    def share(rows: pd.DataFrame) -> pd.Series:
        least = pd.Series(
            [
                geometry.least_sq_overlap_variance(int(row.n_strong), int(row.m), float(row.mean_sq_overlap_strong))
                for row in records(rows)
            ],
            index=rows.index,
        )
        independent = rows["m"].map(lambda m: geometry.random_sq_overlap_variance(int(m)))
        return (rows["std_sq_overlap_strong"] ** 2 - least) / (independent - least)

    return at_every_width(packed(study), share, "variance of squared overlaps", 0.0)


# ---- where the loss comes from under weak superposition


@claim(
    id="toy.weak_loss",
    text="weak superposition: the loss is that of the features that are not represented",
    origin="statement",
    where="Eq. 4, Fig. 5a",
    quantity="loss / sum of 4/3 p - p^2 over features with norm <= 1/2, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def weak_loss(study: Study) -> list[Result]:
    """Features are counted by their norms, not by the formula with the m most frequent ones."""
    return at_every_width(
        regime(study, "weak"), lambda rows: rows["loss"] / rows["loss_unlearned"], "loss over prediction", 1.0
    )


@claim(
    id="toy.weak_loss_figure",
    text="weak superposition: loss over predicted loss is as drawn",
    origin="figure",
    where="Fig. 5a",
    quantity="loss / prediction, ours over the figure, at the width farthest from 1, alpha = 0",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN_PAPER,
)
def weak_loss_figure(study: Study) -> list[Result]:
    """Fig. 5a at every gamma > 0 that was trained with alpha = 0."""
    points = study.published("fig5a_loss_vs_unlearned_alpha0", ["loss_by_unlearned", "loss", "gamma", "m"])
    points = points.assign(value=points["loss"] / points["loss_by_unlearned"])
    models = regime(study, "weak")
    models = models[models["alpha"] == 0]
    return as_drawn(models.assign(ratio=models["loss"] / models["loss_unlearned"]), points, "ratio")
