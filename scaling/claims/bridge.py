"""Rows of claims that are not registered yet."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scaling.fits.estimate import Estimate


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One row of claims.csv without its verdict; NaN stands for a number that is missing."""

    claim: str
    where: str
    quantity: str
    published: float
    published_err: float = math.nan
    ours: float = math.nan
    ours_err: float = math.nan
    n: int = 0
    source: str
    relation: str = "equal"
    note: str = ""


def rows(prefix: str, claims: Iterable[Claim]) -> list[dict[str, Any]]:
    """Rows of claims.csv for claims of one study, without the columns of the verdict."""
    made = []
    for claim in claims:
        ours = Estimate(value=claim.ours, stderr=claim.ours_err, df=max(claim.n - 2, 1), n=claim.n)
        made.append(
            {
                "id": f"{prefix}.{claim.claim}",
                "claim": claim.claim,
                "origin": "hypothesis" if claim.where == "not in the paper" else "statement",
                "where": claim.where,
                "quantity": claim.quantity,
                "relation": claim.relation,
                "expected": claim.published,
                "expected_err": claim.published_err,
                "expected_df": math.nan,
                "expected_kind": "hypothesis" if claim.where == "not in the paper" else "published",
                "ours": ours.value,
                "ours_err": ours.stderr,
                "ours_df": ours.df,
                "n": ours.n,
                "unit": ours.unit,
                "delta": 0.25 if "exponent" in claim.quantity or "alpha_m" in claim.quantity else 0.1,
                "curve": f"{claim.source}: {claim.quantity}",
                "source": claim.source,
                "note": claim.note,
            }
        )
    return made
