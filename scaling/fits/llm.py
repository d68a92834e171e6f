"""Fit language models as in the paper, L = C/m^a + L0[family, data set]: `llm_loss_fit.csv`, `llm_loss_intercepts.csv`.

The 108 published losses are always fitted. Losses measured here (table llm_losses) are fitted separately.
"""

import argparse
import logging
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.fits import inputs, published
from scaling.fits.group import (
    GroupFit,
    authors_stderr,
    cluster_stderr,
    fixed_exponent_pvalue,
    group_fit,
    wild_cluster,
)


POINTS = ["source", "model", "family", "dataset", "m", "loss"]


def published_losses(path: str) -> pd.DataFrame:
    """Return the 108 losses of Fig. 8b (27 models, 4 texts) with the columns POINTS, source `published`."""
    frame = published.read(path, ["family", "dataset", "m", "model_name_guess", "loss"])
    families = frame["family"].str.lower()  # as in llm_overlaps and llm_losses
    return frame.rename(columns={"model_name_guess": "model"}).assign(source="published", family=families)[POINTS]


def group_names(points: pd.DataFrame) -> pd.Series:
    """Return the name of the intercept of each point: source, family and data set."""
    return points["source"] + " | " + points["family"] + " | " + points["dataset"]


def fit_row(fit: GroupFit, models: pd.Series, n_resamples: int, seed: int) -> dict[str, Any]:
    """Return a row of llm_loss_fit, without source and subset."""
    row: dict[str, Any] = {
        "form": fit.design.form,
        "exponent": fit.exponent,
        "exponent_stderr": fit.exponent_stderr,
        "exponent_low": fit.exponent_low,
        "exponent_high": fit.exponent_high,
        "amplitude": fit.amplitude,
        "amplitude_stderr": fit.amplitude_stderr,
        "correlation": fit.correlation,
        "rss": fit.rss,
        "n_points": fit.n_points,
        "n_groups": len(fit.groups),
        "n_models": models.nunique(),
        "n_resamples": 0,
        "seed": seed,
        "status": fit.status,
        "note": fit.note,
    }
    if fit.status != inputs.CONVERGED:
        return row
    row["n_below"] = int(np.sum(fit.design.loss <= fit.intercepts[fit.design.group]))
    if fit.design.form != "power":
        return row
    row["exponent_stderr_authors"] = authors_stderr(fit)
    row["pvalue_exponent_one"] = fixed_exponent_pvalue(fit, 1.0)
    if models.nunique() < 8:
        row["note"] = f"{models.nunique()} models are too few clusters for a cluster-robust error (8 needed)"
        return row
    row["exponent_stderr_cluster"] = cluster_stderr(fit, models)
    exponents = wild_cluster(fit, models, n_resamples, np.random.default_rng(seed))
    row["n_resamples"] = n_resamples
    row["exponent_stderr_wild"] = float(exponents.std(ddof=1))
    row["exponent_wild_low"], row["exponent_wild_high"] = np.percentile(exponents, [2.5, 97.5])
    return row


def loss_fits(points: pd.DataFrame, n_resamples: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute tables llm_loss_fit and llm_loss_intercepts for points with the columns POINTS.

    Each source is fitted separately: the small models trained here and the paper's models have different C.
    """
    rows, intercepts = [], []
    for source, part in points.groupby("source", sort=False):
        families = list(part["family"].unique())
        subsets = {"all": np.ones(len(part), dtype=bool)}
        if len(families) > 1:
            subsets |= {f"without {family}": (part["family"] != family).to_numpy() for family in families}
            subsets |= {f"{family} alone": (part["family"] == family).to_numpy() for family in families}
        for subset, chosen in subsets.items():
            some = part[chosen]
            for form in ("power", "exponential", "logarithmic") if subset == "all" else ("power",):
                fit = group_fit(some["m"], some["loss"], group_names(some), form)
                rows.append({"source": source, "subset": subset, **fit_row(fit, some["model"], n_resamples, seed)})
                if subset == "all" and form == "power":
                    numbers = part.groupby(["source", "family", "dataset"], as_index=False).agg(n_points=("m", "size"))
                    found = dict(zip(fit.groups, fit.intercepts, strict=True))
                    intercepts.append(numbers.assign(intercept=group_names(numbers).map(found)))
    fits = pd.DataFrame(rows, columns=list(tables.dictionary()["llm_loss_fit"]["columns"]))
    return fits, pd.concat(intercepts)


def main() -> None:
    """Command line: fit the published losses and, if given, measured ones."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.llm", description=__doc__)
    parser.add_argument("--published", required=True, help="losses read off Fig. 8b (fig8b_llm_loss.csv)")
    parser.add_argument("--losses", help="table llm_losses, losses measured here")
    parser.add_argument(
        "--resamples", type=command.at_least(0), default=999, help="refits of the wild cluster bootstrap"
    )
    parser.add_argument("--seed", type=command.at_least(0), default=42, help="seed of the bootstrap")
    parser.add_argument("--fit", required=True, help="table llm_loss_fit to write")
    parser.add_argument("--intercepts", required=True, help="table llm_loss_intercepts to write")
    options = parser.parse_args()
    points = [published_losses(options.published)]
    if options.losses:
        measured = tables.read("llm_losses", options.losses)
        points.append(measured[measured["status"] == "measured"][POINTS])
    fits, intercepts = loss_fits(pd.concat(points, ignore_index=True), options.resamples, options.seed)
    tables.write("llm_loss_fit", fits, options.fit)
    tables.write("llm_loss_intercepts", intercepts, options.intercepts)
    for row in fits.itertuples():
        logging.info(
            "%s, %s, %s: exponent %.4f, errors %.4f independent, %.4f by model, %.4f authors' formula (%s)",
            *(row.source, row.subset, row.form, row.exponent, row.exponent_stderr),
            *(row.exponent_stderr_cluster, row.exponent_stderr_authors, row.status),
        )


if __name__ == "__main__":
    command.run(main)
