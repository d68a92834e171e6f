"""The generated tables of docs/bigram.md show the numbers of the recorded tables."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from scaling import bigram_blocks, tables
from scaling.markdown import NOT_RECORDED


RECORDED = Path(__file__).parents[1] / "resources" / "recorded"


@pytest.mark.parametrize("name", ["bigram_exponents", "bigram_excess", "bigram_rivals", "time_exponents"])
def test_a_missing_table_is_reported(tmp_path: Path, name: str) -> None:
    block: Callable[[Path], str] = getattr(bigram_blocks, name)
    assert block(tmp_path) == NOT_RECORDED
    assert block(RECORDED).startswith("| m")


def test_rivals_show_measured_and_predicted_exponents() -> None:
    table = tables.read("bigram_rivals", RECORDED / "bigram_rivals.csv")
    table = table[(table["gamma"] == 0) & ~table["tied"].astype(bool) & (table["window"] == "all")]
    row = table[table["rival"] == "chi_square"].iloc[0]
    (line,) = [text for text in bigram_blocks.bigram_rivals(RECORDED).split("\n") if f"| {row['matrix']} |" in text]
    assert f"{row['exponent']:.2f} ± {row['exponent_stderr']:.2f}" in line
    assert f"{row['predicted_exponent']:.2f} ({row['ratio']:.3g})" in line


def test_the_excess_is_a_share_of_the_mutual_information() -> None:
    models = tables.read("bigram_models", RECORDED / "bigram_models.csv")
    some = models[(models["matrix"] == "text_512") & (models["gamma"] == -1) & (models["m"] == 8)]
    assert len(some) == 1
    assert f" {(some['excess'] / some['information']).item():.3f} " in bigram_blocks.bigram_excess(RECORDED)


def test_a_missing_number_is_an_empty_cell() -> None:
    assert bigram_blocks.value(float("nan"), float("nan")) == ""
    assert bigram_blocks.value(pd.NA, pd.NA) == ""
    assert bigram_blocks.value(1.234, 0.056) == "1.23 ± 0.06"
