"""Claims about toy models on correlated features, whose frequencies are kept exactly."""

from collections.abc import Iterator
from typing import Any

from scaling.claims.registry import EXPONENT, Result, claim
from scaling.claims.study import Study, records
from scaling.fits.estimate import Estimate


COMMON: dict[str, Any] = {
    "origin": "hypothesis",
    "where": "not in the paper",
    "expected_kind": "hypothesis",
    "delta": EXPONENT,
    "tables": ["correlation_exponents"],
    "how_to_run": "`snakemake correlation --cores all --configfile config.yaml config/correlation.yaml`",
}


@claim(
    id="correlation.strong",
    text="toy model, strong superposition: alpha_m stays near 1 when features are correlated",
    quantity="alpha_m",
    expected=1.0,
    **COMMON,
)
def strong(study: Study) -> Iterator[Result]:
    """Curves with gamma < 0 and alpha <= 1 whose frequencies are kept."""
    rows = study.table("correlation_exponents").dropna(subset=["exponent"])
    rows = rows[(rows["activity"] == "copula") & (rows["gamma"] < 0) & (rows["alpha"] <= 1)]
    for row in records(rows):
        ours = Estimate(value=row.exponent, stderr=row.exponent_stderr, df=row.n_points - 2, n=row.n_points)
        setting = f"rho = {row.correlation:g}, blocks of {row.block_size}, gamma = {row.gamma:g}, alpha = {row.alpha:g}"
        yield Result(ours=ours, setting=setting, curve=setting)
