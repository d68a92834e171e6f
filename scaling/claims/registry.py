"""The registry of claims: one function per claim, registered under a stable id.

    @claim(
        id="toy.phi_half_strong",
        text="strong superposition: all features are represented",
        origin="statement",
        where="Fig. 3",
        quantity="mean phi_half",
        expected=1.0,
        expected_kind="published",
        delta=SHARE,
        tables=["toy_models"],
    )
    def phi_half_strong(study: Study) -> Iterator[Result]:
        rows = toy.strong(study.table("toy_models"))
        for alpha, part in rows.groupby("alpha"):
            yield Result(setting=f"alpha = {alpha:g}", ours=mean_over(part["m"], part["phi_half"]))

A function that yields nothing gives one row with the verdict not_run.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from scaling import tables
from scaling.claims import verdict
from scaling.claims.study import Study
from scaling.fits.estimate import Estimate


Origin = Literal["statement", "figure", "theorem", "hypothesis"]
Kind = Literal["published", "derived", "hypothesis"]
Relation = Literal["equal", "at least", "at most"]

# Margins, fixed in advance: half the gap between rival predictions of an exponent, 10 % of a ratio, 0.05 of a share.
EXPONENT = 0.25
RATIO = 0.10
SHARE = 0.05

PAPERS = ("toy", "llm")  # studies of the paper, in its order


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number of a claim at one setting.

    `expected`, `expected_err` and `source` override the claim's own. `curve` names the data behind the number: results
    from the same data give it the same name, and Holm's correction counts it once (default: a curve of its own).
    """

    ours: Estimate
    setting: str = ""
    expected: float | None = None
    expected_err: float | None = None
    expected_df: float = math.inf
    source: str = ""
    curve: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is known of a claim before any number is read; the fields are the arguments of `claim`."""

    id: str
    text: str
    origin: Origin
    where: str
    quantity: str
    expected_kind: Kind
    delta: float
    tables: list[str]
    function: Callable[[Study], Iterable[Result]]
    expected: float = math.nan
    expected_err: float = math.nan
    relation: Relation = "equal"
    how_to_run: str = "`snakemake --cores all fits`"

    def rows(self, study: Study) -> Iterator[dict[str, Any]]:
        """Rows of claims.csv without the columns of the verdict: one per result, or one that was not run."""
        results = list(self.function(study.only(self.tables)))
        common = {
            "id": self.id,
            "claim": self.text,
            "origin": self.origin,
            "where": self.where,
            "relation": self.relation,
            "expected_kind": self.expected_kind,
            "delta": self.delta,
        }
        if not results:
            nothing = Estimate(value=math.nan, n=0)
            results = [Result(ours=nothing, note=f"not in this study: {self.how_to_run}")]
        for result in results:
            quantity = ", ".join(filter(None, (self.quantity, result.setting)))
            source = result.source or study.name
            yield {
                **common,
                "quantity": quantity,
                "expected": self.expected if result.expected is None else result.expected,
                "expected_err": self.expected_err if result.expected_err is None else result.expected_err,
                "expected_df": result.expected_df if math.isfinite(result.expected_df) else math.nan,
                "ours": result.ours.value,
                "ours_err": result.ours.stderr,
                "ours_df": result.ours.df if math.isfinite(result.ours.df) else math.nan,
                "n": result.ours.n,
                "unit": result.ours.unit,
                "curve": f"{source}: {result.curve or f'{self.id}, {quantity}'}",
                "source": source,
                "note": result.note,
            }


REGISTRY: dict[str, Claim] = {}


def claim(**fields: Any) -> Callable[[Callable[[Study], Iterable[Result]]], Callable[[Study], Iterable[Result]]]:
    """Register the decorated function under `id`; the other fields are those of Claim.

    Raises ValueError for an id that is taken, an origin, kind or relation that the table does not allow, a table that
    the data dictionary does not have, and a margin that is not positive.
    """

    def register(function: Callable[[Study], Iterable[Result]]) -> Callable[[Study], Iterable[Result]]:
        entry = Claim(function=function, **fields)
        columns = tables.dictionary()["claims"]["columns"]
        if entry.id in REGISTRY:
            raise ValueError(f"claim {entry.id!r} is registered already")
        for column in ("origin", "expected_kind", "relation"):
            if getattr(entry, column) not in columns[column]["values"]:
                allowed = ", ".join(columns[column]["values"])
                raise ValueError(
                    f"claim {entry.id!r}: {column} must be one of {allowed}, got {getattr(entry, column)!r}"
                )
        unknown = [name for name in entry.tables if name not in tables.dictionary()]
        if unknown:
            raise ValueError(f"claim {entry.id!r}: no table {', '.join(unknown)} in scaling/dictionary")
        if not entry.delta > 0:
            raise ValueError(f"claim {entry.id!r}: the margin delta must be above 0, got {entry.delta}")
        REGISTRY[entry.id] = entry
        return function

    return register


def table(study: Study, claims: Iterable[Claim] | None = None) -> pd.DataFrame:
    """Table `claims`: the rows of every registered claim with their verdicts, the paper's own studies first."""
    columns = list(tables.dictionary()["claims"]["columns"])
    chosen = sorted(REGISTRY.values(), key=lambda entry: _place(entry.id)) if claims is None else claims
    rows = [row for entry in chosen for row in entry.rows(study)]
    frame = verdict.judged(pd.DataFrame(rows))
    return frame[columns]


def _place(name: str) -> int:
    prefix = name.split(".")[0]
    return PAPERS.index(prefix) if prefix in PAPERS else len(PAPERS)
