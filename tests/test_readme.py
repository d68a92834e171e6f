"""The README's blocks: written from a recorded run, and equal to it."""

import datetime
import math
from pathlib import Path

import pandas as pd
import pytest

from scaling import readme, tables
from scaling.claims import verdict
from scaling.claims.verdict import Claim
from scaling.command import InputError


ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "resources" / "recorded"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A recorded run of three made-up claims."""
    common = {"where": "Fig. 1", "source": "default"}
    claims = [
        Claim(claim="one", quantity="a|b", published=1.0, ours=1.021, ours_err=0.013, n=6, **common),
        Claim(claim="two", quantity="q", published=0.5, relation="at least", ours=0.2, n=3, **common),
        Claim(claim="three", quantity="q", published=1.0, note="how to run it", **common),
    ]
    tables.write("claims", verdict.table(claims), tmp_path / "results" / "claims.csv")
    config = tmp_path / "config.yaml"
    config.write_text("toy: {engine: numba}\n")
    readme.record([tmp_path / "results" / "claims.csv"], [config], tmp_path / "recorded", datetime.date(2026, 1, 2))
    return tmp_path / "recorded"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.9106, 0.0874, "0.911 ± 0.087"),
        (2.522643, 0.02583, "2.523 ± 0.026"),
        (1.2, math.nan, "1.2"),
        (123.4, 12.3, "123 ± 12"),
        (1.0, 0.0, "1"),
        (math.nan, 0.1, ""),
        (1.0, 1e-8, "1.0000 ± 0.0000"),
    ],
)
def test_numbers(value: float, error: float, text: str) -> None:
    assert readme.number(value, error) == text


def test_blocks_are_written_once_and_stay(recorded: Path) -> None:
    text = "# Title\n<!-- claims: begin -->\nold\n<!-- claims: end -->\nprose\n<!-- run: begin --><!-- run: end -->\n"
    once = readme.with_blocks(text, recorded)
    assert readme.with_blocks(once, recorded) == once
    assert "old" not in once
    assert once.startswith("# Title\n")
    assert "prose" in once
    assert "| one | Fig. 1 | a\\|b | 1 | 1.021 ± 0.013 | 6 | default | reproduced |" in once
    assert "| ≥ 0.5 | 0.2 | 3 | default | differs |" in once
    assert "Not run in this study" in once
    assert "three (1 row)" in once
    assert "Recorded on 2026-01-02" in once


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- claims: begin -->", "one begin mark"),
        ("<!-- claims: end --><!-- claims: begin -->", "one begin mark"),
        ("<!-- claims: begin --><!-- claims: end -->" * 2, "one begin mark"),
        ("<!-- other: begin --><!-- other: end -->", "no block 'other'"),
    ],
)
def test_wrong_marks_are_named(recorded: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        readme.with_blocks(text, recorded)


def test_recording_keeps_tables_config_and_versions(recorded: Path) -> None:
    run = readme.read_run(recorded)
    assert run["config"] == {"config.yaml": {"toy": {"engine": "numba"}}}
    assert "numpy" in run["versions"]
    assert len(tables.read("claims", recorded / "claims.csv")) == 3
    with pytest.raises(InputError, match="no table nonsense"):
        readme.record([Path("nonsense.csv")], [], recorded, datetime.date(2026, 1, 2))


def test_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.yaml: no recorded run"):
        readme.read_run(tmp_path)


def test_the_readme_shows_the_recorded_run() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- claims: begin -->" in text
    assert readme.with_blocks(text, RECORDED) == text, "type `snakemake --cores all readme`"


def test_recorded_verdicts_follow_from_their_numbers() -> None:
    frame = tables.read("claims", RECORDED / "claims.csv")
    numbers = frame[["published", "published_err", "ours", "ours_err"]].astype(float)
    again = [verdict.verdict(how, *row) for how, row in zip(frame["relation"], numbers.to_numpy(), strict=True)]
    pd.testing.assert_series_equal(frame["verdict"].astype(str), pd.Series(again, name="verdict"), check_dtype=False)
