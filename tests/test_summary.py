"""The first page of the report: its numbers are those of the tables, and it loads nothing."""

import re
from pathlib import Path

import pytest

from scaling import summary, tables
from scaling.command import InputError


RECORDED = Path(__file__).parents[1] / "resources" / "recorded"
PICTURE = RECORDED / "figures" / "mechanism_loss.png"


def test_the_tally_counts_every_number_that_was_run() -> None:
    claims = tables.read("claims", RECORDED / "claims.csv")
    cells = re.findall(r'<td class="\w+">(\d+)</td>', "".join(summary.tally(claims)))
    assert sum(map(int, cells)) == sum(claims["verdict"] != "not_run")


def test_sentences_have_the_numbers_of_the_tables() -> None:
    claims = tables.read("claims", RECORDED / "claims.csv")
    text = " ".join(summary.sentences(RECORDED, claims))
    row = claims[claims["id"] == "llm.loss"].iloc[0]
    assert f"{row['ours']:.3f} ± {row['ours_err']:.3f}" in text
    assert "From b = 0 instead of b ~ N(0, 1)" in text
    assert not list(summary.exponents_by_start(tables.read("toy_exponents", RECORDED / "toy_exponents.csv").head(0)))
    assert not list(summary.silent_features(tables.read("toy_models", RECORDED / "toy_models.csv").head(0)))


def test_the_command_writes_a_page_that_loads_nothing(tmp_path: Path) -> None:
    output = tmp_path / "summary.html"
    summary.main(["--tables", str(RECORDED), "--picture", str(PICTURE), "--output", str(output)])
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", output.read_text(encoding="utf-8")) == []
    with pytest.raises(InputError, match="no such PNG figure"):
        summary.main(["--tables", str(RECORDED), "--picture", "none.png", "--output", str(output)])
