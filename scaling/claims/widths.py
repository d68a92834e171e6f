"""One number per curve for claims about every width: the number at the width that contradicts the claim most."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from scaling.claims import toy
from scaling.claims.registry import Result
from scaling.claims.study import Study
from scaling.fits import estimate
from scaling.fits.estimate import Estimate


READS = ["toy_models"]


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
