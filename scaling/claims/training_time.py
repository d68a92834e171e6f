"""Claims about the loss against training time at a fixed width: t^-1 for toy models under superposition, t^-1/3 for
next-token prediction with peaked targets.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from scipy import stats

from scaling.claims.registry import EXPONENT, Result, claim
from scaling.claims.study import Study, records
from scaling.fits.estimate import Estimate


COMMON: dict[str, Any] = {
    "origin": "hypothesis",
    "expected_kind": "published",
    "delta": EXPONENT,
    "quantity": "exponent of loss - constant against time, last decade",
    "tables": ["time_exponents"],
}
CONSTANT = "constant"  # the recipe whose learning rate is constant: a schedule makes a curve of its own
STRONG = 0.75  # phi_half of strong superposition


def results(rows: pd.DataFrame) -> Iterator[Result]:
    """Exponents with a free constant; the standard error is the half-width of the profile interval over t_0.975."""
    bounded = rows.dropna(subset=["exponent_with_constant_low", "exponent_with_constant_high"])
    for row in records(bounded):
        df = row.n_points - 3
        width = row.exponent_with_constant_high - row.exponent_with_constant_low
        stderr = width / 2 / float(stats.t.ppf(0.975, df))
        ours = Estimate(
            value=row.exponent_with_constant, stderr=stderr, df=df, n=row.n_points, unit="steps of log time"
        )
        yield Result(ours=ours, setting=row.model, curve=f"time, {row.model}")


@claim(
    id="time.toy_strong",
    text="toy model, strong superposition: the loss approaches its limit as 1/t at a constant learning rate",
    where="Chen et al. 2026, arXiv 2602.01045",
    expected=1.0,
    how_to_run="`snakemake --cores all fits` with toy models of a training named constant",
    **COMMON,
)
def toy_strong(study: Study) -> Iterator[Result]:
    """Toy models of the recipe `constant` with phi_half > 3/4."""
    rows = study.table("time_exponents")
    yield from results(rows[(rows["study"] == "toy") & (rows["training"] == CONSTANT) & (rows["phi_half"] > STRONG)])


@claim(
    id="time.bigram",
    text="bigram model: the excess over the floor approaches its limit as t^(-1/3) under gradient flow",
    where="Liu et al. 2026, arXiv 2602.03685",
    expected=1 / 3,
    how_to_run="`snakemake --cores all bigram fits` with `bigram: flow`",
    **COMMON,
)
def bigram(study: Study) -> Iterator[Result]:
    """Every gradient flow of the study."""
    rows = study.table("time_exponents")
    yield from results(rows[rows["study"] == "bigram"])
