"""Claims about what the toy model represents: counts, norms, overlaps, and where the loss comes from."""

import math
from collections.abc import Iterator
from typing import Any

import diptest
import numpy as np
import pandas as pd
from scipy import stats

from scaling import geometry
from scaling.claims.bridge import Claim
from scaling.claims.toy_study import HOW_TO_TRAIN, ToyStudy, standard_error
from scaling.fits import curve


FEWEST_ROWS = 10  # rows of norm > 1 below which their overlaps say nothing
DIP_SIZE = 0.05


def _by_alpha(frame: pd.DataFrame, common: dict[str, Any], name: str) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """Models of one data exponent with the claim's fixed part; a claim that is not run when there are none."""
    if frame.empty:
        yield frame, {**common, "quantity": name, "note": HOW_TO_TRAIN}
    for alpha, part in frame.groupby("alpha", sort=True):
        yield part, {**common, "quantity": f"{name}, alpha = {alpha:g}", "n": len(part)}


def _mean(values: pd.Series) -> dict[str, Any]:
    """Our side of a claim about the mean of one value a model, with the standard error of that mean."""
    return {"ours": float(values.mean()), "ours_err": standard_error(values)} if len(values) else {}


def _median(values: pd.Series) -> dict[str, Any]:
    """Our side of a claim about the median; its standard error is about 1.25 times that of the mean."""
    return {"ours": float(values.median()), "ours_err": 1.2533 * standard_error(values)} if len(values) else {}


def unlearned(study: ToyStudy) -> Iterator[Claim]:
    """Weak superposition: the loss is the sum of 4/3 p_i - p_i^2 over the features that are not represented."""
    rows = study.weak_models
    common: dict[str, Any] = {
        "claim": "weak superposition: loss is that of the unrepresented features",
        "where": "Fig. 5a",
        "published": 1.0,
        "source": study.name,
    }
    names = ("slope of log loss on log prediction", "correlation of log loss and log prediction")
    if len(rows) < 3:
        for name in names:
            yield Claim(**common, quantity=name, note=HOW_TO_TRAIN)
    else:
        line = stats.linregress(np.log(rows["loss_unlearned"]), np.log(rows["loss"]))
        yield Claim(**common, quantity=names[0], ours=line.slope, ours_err=line.stderr, n=len(rows))
        yield Claim(**common, quantity=names[1], ours=line.rvalue, n=len(rows))
    above = "the paper's own points lie 1.6-1.9 times above the sum where alpha >= 1; features are counted by norm here"
    for part, claim in _by_alpha(rows, common, "median of loss / prediction"):
        ratio = part["loss"] / part["loss_unlearned"]
        note = {"note": above} if len(part) else {}
        yield Claim(**{**claim, **_median(ratio), **note})


def seed_scatter(study: ToyStudy) -> Iterator[Claim]:
    """Scatter between seeds is dead features: share of the variance of log loss that the packing loss does not have."""
    common: dict[str, Any] = {
        "claim": "more than half of the scatter between seeds comes from features without a row",
        "where": "not in the paper",
        "published": 0.5,
        "relation": "at least",
        "source": study.name,
    }
    rows = study.strong_models
    rows = rows[rows["loss"] > rows["loss_unrepresented"]]
    count = rows.groupby(["gamma", "alpha", "m"])["seed"].transform("count")
    repeated = rows[count > 1]
    if len(rows) and repeated.empty:
        yield Claim(**common, quantity="share of the variance of log L", note="needs two seeds or more a width")
        return
    for part, claim in _by_alpha(repeated, common, "share of the variance of log L"):
        if part.empty:
            yield Claim(**claim)
            continue
        cells = [part["gamma"], part["m"]]
        freedom = len(part) - part.groupby(["gamma", "m"]).ngroups
        logs = [np.log(part["loss"]), np.log(part["loss"] - part["loss_unrepresented"])]
        whole, packing = (float(((y - y.groupby(cells).transform("mean")) ** 2).sum()) / freedom for y in logs)
        note = f"sd of log L between seeds {math.sqrt(whole):.3f}, of the packing loss {math.sqrt(packing):.3f}"
        yield Claim(**claim, ours=1 - packing / whole if whole > 0 else math.nan, note=note)


def represented(study: ToyStudy) -> Iterator[Claim]:
    """phi_half: 1 under strong superposition, m/n under weak."""
    common: dict[str, Any] = {"where": "Fig. 3", "published": 1.0, "source": study.name}
    strong = {**common, "claim": "strong superposition: all features are represented, phi_half -> 1"}
    weak = {**common, "claim": "weak superposition: phi_half -> m/n"}
    for part, claim in _by_alpha(study.strong_models, strong, "mean phi_half"):
        yield Claim(**claim, **_mean(part["phi_half"]))
    for part, claim in _by_alpha(study.weak_models, weak, "mean of phi_half n/m"):
        ratio = part["phi_half"] * part["n"] / part["m"]
        note = {"note": f"from {ratio.min():.2f} to {ratio.max():.2f}"} if len(part) else {}
        yield Claim(**{**claim, **_mean(ratio), **note})


def overlaps(study: ToyStudy) -> Iterator[Claim]:
    """Mean squared overlap falls as 1/m, lies above Welch's bound, and scatters less than at random (norm > 1)."""
    models = study.strong_models
    strong = models[models["n_strong"] >= FEWEST_ROWS]
    law: dict[str, Any] = {
        "claim": "strong superposition: mean squared overlap falls as 1/m",
        "where": "Fig. 6d",
        "published": 1.0,
        "source": study.name,
    }
    for kind, column, rows in (
        ("all rows", "mean_sq_overlap", models),
        ("rows with norm > 1", "mean_sq_overlap_strong", strong),
    ):
        some = rows.dropna(subset=[column])
        for part, claim in _by_alpha(some[some[column] > 0], law, f"exponent of the mean squared overlap, {kind}"):
            if part.empty:
                yield Claim(**claim)
                continue
            line = curve.line(part["m"].astype(float), part[column])
            level = f"m x mean from {(part['m'] * part[column]).min():.2f} to {(part['m'] * part[column]).max():.2f}"
            note = level if line.status == "converged" else f"{line.status}: {line.note}"
            yield Claim(**{**claim, "note": note}, ours=line.exponent, ours_err=line.exponent_stderr)
    bound = {**law, "claim": "overlaps lie above the Welch bound", "relation": "at least"}
    some = strong[strong["welch_bound_strong"] > 0]
    for part, claim in _by_alpha(some, bound, "least of mean squared overlap / Welch, norm > 1"):
        ratio = part["mean_sq_overlap_strong"] / part["welch_bound_strong"]
        value = {"ours": float(ratio.min()), "note": f"median {ratio.median():.3f}; 1 is a tight frame"}
        yield Claim(**{**claim, **(value if len(part) else {})})
    random = {**law, "claim": "squared overlaps scatter less than at random", "relation": "at most", "where": "Fig. 5c"}
    for part, claim in _by_alpha(strong, random, "median variance / random variance, norm > 1"):
        at_random = np.array([geometry.random_sq_overlap_variance(int(m)) for m in part["m"]])
        ratio = part["std_sq_overlap_strong"] ** 2 / at_random
        yield Claim(**claim, **_median(ratio))


def rows_above_one(study: ToyStudy) -> Iterator[Claim]:
    """phi_1 = m^2 / (2n): about m^2/2 rows of norm > 1 fit as nearly an equiangular tight frame."""
    rows = study.strong_models
    rows = rows[(geometry.etf_like_rows(1) * rows["m"] ** 2 < rows["n"]) & (rows["phi_1"] > 0)]
    common: dict[str, Any] = {"claim": "phi_1 = m^2 / (2 n)", "where": "Fig. 6c", "source": study.name}
    for part, claim in _by_alpha(rows, {**common, "published": 2.0}, "exponent of phi_1 in m while m^2/2 < n"):
        if part.empty:
            yield Claim(**claim)
            continue
        line = curve.line(part["m"].astype(float), part["phi_1"])
        note = "" if line.status == "converged" else f"{line.status}: {line.note}"
        yield Claim(**{**claim, "note": note}, ours=-line.exponent, ours_err=line.exponent_stderr)
    for part, claim in _by_alpha(rows, {**common, "published": 1.0}, "median of phi_1 2n/m^2 while m^2/2 < n"):
        ratio = part["phi_1"] * part["n"] / (part["m"] ** 2 / 2)
        yield Claim(**claim, **_median(ratio))


def bimodal(study: ToyStudy) -> Iterator[Claim]:
    """Norms have two modes: share of models whose norms Hartigan's dip test finds not to have one (p < 0.05)."""
    features = study.features
    for regime, models in {"strong": study.strong_models, "weak": study.weak_models}.items():
        common: dict[str, Any] = {
            "claim": f"norms are bimodal under {regime} superposition",
            "where": "Fig. 3",
            "quantity": f"{regime}: share of models with p < 0.05 in Hartigan's dip test of the norms",
            "published": 1.0,
            "source": study.name,
        }
        some = features[features["model"].isin(models["model"])]
        if some.empty:
            yield Claim(**common, note="needs toy_features.csv: `snakemake --cores all toy`")
            continue
        widths = models.set_index("model")["m"]
        pvalues = some.groupby("model")["norm"].apply(lambda norms: diptest.diptest(norms.to_numpy(float))[1])
        share = float((pvalues < DIP_SIZE).mean())
        one = sorted({int(widths[model]) for model in pvalues.index[pvalues >= DIP_SIZE]})
        note = f"one mode is not rejected at m = {', '.join(map(str, one))}" if one else ""
        if regime == "weak" and one:
            note += "; a mode of m/n = few per cent of the rows is too small for the test"
        error = math.sqrt(share * (1 - share) / len(pvalues))
        yield Claim(**common, ours=share, ours_err=error, n=len(pvalues), note=note)


def claims(study: ToyStudy) -> list[Claim]:
    """All claims of this module."""
    parts = (unlearned, seed_scatter, represented, overlaps, rows_above_one, bimodal)
    return [claim for part in parts for claim in part(study)]
