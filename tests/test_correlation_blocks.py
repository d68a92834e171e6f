"""The generated table of docs/correlation.md shows the numbers of the recorded tables."""

from pathlib import Path

import pandas as pd
import pytest

from scaling import tables
from scaling.correlation_blocks import correlation, mean_loss
from scaling.mechanism_blocks import NOT_RECORDED


RECORDED = Path(__file__).parents[1] / "resources" / "recorded"


@pytest.mark.parametrize("name", ["toy_correlation", "correlation_exponents"])
def test_a_missing_table_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.csv").write_bytes((RECORDED / f"{name}.csv").read_bytes())
    assert correlation(tmp_path) == NOT_RECORDED


def test_each_curve_has_its_losses_and_its_exponent() -> None:
    models = tables.read("toy_correlation", RECORDED / "toy_correlation.csv")
    exponents = tables.read("correlation_exponents", RECORDED / "correlation_exponents.csv")
    text = correlation(RECORDED).split("\n")
    assert len(text) == 2 + len(exponents)
    row = exponents[(exponents["gamma"] < 0) & (exponents["alpha"] == 1) & (exponents["correlation"] == 0.8)].iloc[0]
    (line,) = [line for line in text if "| −0.556 | 1 | 0.8 |" in line]
    assert f"| {row['exponent']:.2f} ± {row['exponent_stderr']:.2f} |" in line
    part = models[(models["gamma"] < 0) & (models["alpha"] == 1) & (models["correlation"] == 0.8)]
    cells = line.split(" | ")
    assert [cell.split(" ± ")[0] for cell in cells[4:-2]] == [f"{loss:.3f}" for loss in part.sort_values("m")["loss"]]


def test_seeds_are_averaged() -> None:
    assert mean_loss(pd.DataFrame({"loss": [1.0, 2.0], "loss_stderr": [0.3, 0.4]})) == "1.500 ± 0.250"
    assert mean_loss(pd.DataFrame({"loss": [], "loss_stderr": []})) == ""
