"""The registry of claims and the rule of the verdict."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scaling import tables
from scaling.claims import __main__ as command
from scaling.claims import registry, verdict
from scaling.claims.registry import REGISTRY, Claim, Result, claim
from scaling.claims.study import Study
from scaling.fits.estimate import Estimate, mean_over, pooled_df


ROOT = Path(__file__).parents[1]
NAN = math.nan
FIELDS: dict[str, Any] = {
    "text": "a made-up claim",
    "origin": "statement",
    "where": "Fig. 1",
    "quantity": "alpha_m",
    "expected": 1.0,
    "expected_kind": "published",
    "delta": 0.25,
    "tables": ["toy_models"],
}
EMPTY = Study.read([], ROOT / "resources" / "published", "default")


def judged(*results: Result, **fields: Any) -> pd.DataFrame:
    made = Claim(id="made_up.claim", function=lambda study: results, **{**FIELDS, **fields})
    return tables.validate("claims", registry.table(EMPTY, [made]), "test")


def one(value: float, stderr: float, df: float = math.inf, n: int = 6, **fields: Any) -> str:
    result = Result(ours=Estimate(value=value, stderr=stderr, df=df, n=n))
    return str(judged(result, **fields)["verdict"].iloc[0])


@pytest.mark.parametrize(
    ("value", "stderr", "fields", "expected"),
    [
        (1.05, 0.05, {}, "reproduced"),
        (1.2, 0.05, {}, "inconclusive"),  # inside the margin, but not by t s
        (1.05, 0.2, {}, "inconclusive"),  # equal, but not known well
        (1.4, 0.05, {}, "differs"),
        (1.4, 0.3, {}, "inconclusive"),
        (1.2, 0.001, {}, "reproduced"),  # z = 200, and still equivalent
        (1.4, 0.05, {"expected_err": 0.3}, "inconclusive"),
        (1.05, 0.05, {"origin": "theorem"}, "no_verdict"),
        (1.05, NAN, {}, "no_verdict"),
        (1.05, 0.05, {"expected": NAN}, "no_verdict"),
        (NAN, NAN, {}, "not_run"),
        (1.3, 0.0, {}, "differs"),  # exact numbers
        (1.2, 0.0, {}, "reproduced"),
        (1.2, 0.1, {"relation": "at least"}, "reproduced"),
        (1.1, 0.1, {"relation": "at least"}, "inconclusive"),
        (0.8, 0.01, {"relation": "at least"}, "inconclusive"),  # below by less than the margin
        (0.5, 0.01, {"relation": "at least"}, "differs"),
        (0.5, 0.01, {"relation": "at most"}, "reproduced"),
    ],
)
def test_verdict(value: float, stderr: float, fields: dict[str, Any], expected: str) -> None:
    assert one(value, stderr, **fields) == expected


def test_fewer_than_four_widths_give_no_verdict() -> None:
    assert one(1.0, 0.01, df=1, n=3) == "no_verdict"
    seeds = Result(ours=Estimate(value=1.0, stderr=0.01, df=2, n=3, unit="seeds"))
    assert list(judged(seeds)["verdict"]) == ["reproduced"]


def test_few_degrees_of_freedom_ask_for_more() -> None:
    reach = 0.2 / 0.1  # |O - P| = 0.05 leaves 0.2 of the margin
    assert stats.t.ppf(0.95, 2) > reach > stats.t.ppf(0.95, 4) - 0.2
    assert one(1.05, 0.1, df=2) == "inconclusive"
    assert one(1.05, 0.1, df=20) == "reproduced"


def test_degrees_of_freedom_are_those_of_welch() -> None:
    a, b = [1.0, 2.0, 4.0, 3.5], [2.0, 2.5, 7.0, 5.0, 9.0, 1.0]
    result = stats.ttest_ind(a, b, equal_var=False)
    assert pooled_df(float(stats.sem(a)), 3, float(stats.sem(b)), 5) == pytest.approx(result.df)
    ours = Estimate(value=np.mean(a), stderr=float(stats.sem(a)), df=3, n=4)
    row = judged(Result(ours=ours, expected=np.mean(b), expected_err=float(stats.sem(b)), expected_df=5)).iloc[0]
    assert row["pvalue_holm"] == pytest.approx(result.pvalue)
    assert row["z"] == pytest.approx(result.statistic)


def test_holm_multiplies_by_the_hypotheses_that_are_left() -> None:
    pvalues = pd.Series([0.04, 0.001, NAN, 0.2, 0.012, 0.041])
    found = verdict.holm(pvalues, pd.Series(["toy"] * 6), pd.Series(list("abcdef")))
    assert found.dropna().to_list() == pytest.approx([3 * 0.04, 5 * 0.001, 0.2, 4 * 0.012, 3 * 0.04])


def test_holm_counts_a_curve_once() -> None:
    pvalues = pd.Series([0.01, 0.02, 0.03])
    assert verdict.holm(pvalues, pd.Series(["toy"] * 3), pd.Series(["a", "a", "b"])).to_list() == pytest.approx(
        [0.02, 0.04, 0.03]
    )


def test_holm_keeps_studies_apart() -> None:
    pvalues = pd.Series([0.01, 0.02, 0.03])
    found = verdict.holm(pvalues, pd.Series(["toy", "llm", "toy"]), pd.Series(["a", "a", "b"]))
    assert found.to_list() == pytest.approx([0.02, 0.02, 0.03])


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    value=st.floats(-3, 3),
    stderr=st.floats(0.01, 1),
    df=st.floats(1, 100),
    relation=st.sampled_from(["equal", "at least", "at most"]),
)
def test_a_larger_error_never_decides(value: float, stderr: float, df: float, relation: str) -> None:
    results = [Result(ours=Estimate(value=value, stderr=factor * stderr, df=df, n=6)) for factor in (1, 2)]
    made = Claim(id="made_up.claim", function=lambda study: results, **{**FIELDS, "relation": relation})
    before, after = registry.table(EMPTY, [made])["verdict"]
    assert before in ("reproduced", "inconclusive", "differs")
    assert after in (before, "inconclusive")


def test_a_claim_is_registered_once_and_checked() -> None:
    def nothing(study: Study) -> Iterator[Result]:
        return iter(())

    before = dict(REGISTRY)
    try:
        claim(id="made_up.once", **FIELDS)(nothing)
        with pytest.raises(ValueError, match="registered already"):
            claim(id="made_up.once", **FIELDS)(nothing)
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)
    for wrong, message in (
        ({"origin": "rumour"}, "origin must be one of"),
        ({"relation": "about"}, "relation must be one of"),
        ({"tables": ["nonsense"]}, "no table nonsense"),
        ({"delta": 0.0}, "delta must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            claim(id="made_up.wrong", **{**FIELDS, **wrong})(nothing)


def test_a_claim_reads_only_the_tables_that_it_names() -> None:
    made = Claim(id="made_up.claim", function=lambda study: [study.table("llm_family")], **FIELDS)  # type: ignore[list-item]
    with pytest.raises(KeyError):
        list(made.rows(EMPTY))


def test_nothing_measured_says_how_to_run_it() -> None:
    (row,) = judged(how_to_run="`snakemake toy`").to_dict("records")
    assert (row["verdict"], row["note"]) == ("not_run", "not in this study: `snakemake toy`")


def test_every_module_of_claims_is_loaded_by_the_command() -> None:
    modules = {path.stem for path in (ROOT / "scaling" / "claims").glob("*.py")} - {"__init__", "__main__"}
    text = Path(command.__file__).read_text(encoding="utf-8")
    with_claims = [
        name
        for name in sorted(modules)
        if "@claim(" in (ROOT / "scaling" / "claims" / f"{name}.py").read_text(encoding="utf-8") and name != "registry"
    ]
    assert not [name for name in with_claims if name not in text], "import these in scaling/claims/__main__.py"


def test_the_workflow_passes_every_table_that_a_claim_reads() -> None:
    rules = (ROOT / "workflow" / "rules" / "fits.smk").read_text(encoding="utf-8")
    named = rules.split("CLAIM_TABLES = [")[1].split("]")[0]
    needed = {name for entry in REGISTRY.values() for name in entry.tables}
    assert not [name for name in sorted(needed) if f'"{name}"' not in named], "add these to CLAIM_TABLES"


def test_mean_over_counts_a_group_once() -> None:
    found = mean_over([10, 10, 20, 40], [1.0, 3.0, 4.0, 6.0], unit="models")
    assert (found.value, found.n, found.df) == (4.0, 3, 2)
    assert found.stderr == pytest.approx(stats.sem([2.0, 4.0, 6.0]))
    assert mean_over([], [], unit="models").n == 0
    assert math.isnan(mean_over([10], [1.0], unit="models").stderr)
