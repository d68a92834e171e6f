"""What the documents say of the recorded part of the paper's study, from made-up tables and from the recorded ones."""

from pathlib import Path
from typing import Any

import pytest
from synthetic_toy import filled

from scaling import paper_blocks, tables
from scaling.markdown import NOT_RECORDED
from scaling.tables import table_path


ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "resources" / "recorded"


def point(**values: Any) -> dict[str, Any]:
    """A row of toy_published."""
    row = {"figure": "Fig. 7b", "quantity": "loss", "frequency_law": "power_law", "n": 1000, "gamma": -0.5556}
    row |= {"alpha": 1.0, "activation_density": 1.0, "m": 10, "n_seeds": 2, "ours": 0.7, "ours_held_out": 0.7}
    return row | {"published": 0.6, "difference": 0.154, "ours_err": 0.1, "published_err": 0.1, "z": 1.1} | values


def test_published_points_are_counted_and_the_farthest_listed(tmp_path: Path) -> None:
    rows = [point(), point(m=15, z=0.5, difference=-0.1), point(m=25, z=-4.0, difference=-0.3), point(m=39, z=None)]
    tables.write("toy_published", filled("toy_published", rows), tmp_path / "paper" / "toy_published.csv")
    text = paper_blocks.paper_published(tmp_path)
    assert "| Fig. 7b | log of loss | γ < 0 | 4 | 0.15 | 0.3 | 1 of 3 | 2 of 3 | 0 |" in text
    text = paper_blocks.paper_differences(tmp_path)
    assert "Cells that differ by more than 2 s: Fig. 7b: 1, of 3." in text
    assert "| Fig. 7b | loss | −0.556 | 1 | 1 | 25 | 0.7 | 0.6 | −4 |" in text


def test_every_recorded_model_is_counted_in_one_stage() -> None:
    models = tables.read("toy_models", table_path(RECORDED / "paper", "toy_models"))
    last = paper_blocks.paper_recorded(RECORDED).split("\n\n")[0].splitlines()[-1]
    assert f"| **all** | 4016 | {models['model'].nunique()} |" in last


@pytest.mark.parametrize("name", ["paper_recorded", "paper_published", "paper_differences", "paper_map"])
def test_a_block_without_a_recording_says_so(tmp_path: Path, name: str) -> None:
    assert getattr(paper_blocks, name)(tmp_path) == NOT_RECORDED


def test_strong_and_weak_rows_are_listed_apart(tmp_path: Path) -> None:
    assert paper_blocks.paper_packings(tmp_path) == NOT_RECORDED
    row = {"source": "toy", "rows": "strong", "gamma": -1.0, "alpha": 0.0, "nu": 20, "m": 5, "filling": 20 / 15}
    row |= {
        "model": "a",
        "mean_sq": 0.3,
        "welch_bound": 0.15,
        "variance_sq": 0.01,
        "variance_random": 0.02,
        "variance_floor": 0.005,
    }
    rows = [
        row,
        row | {"model": "b", "mean_sq": 0.6},
        row | {"rows": "weak"},
        row | {"model": "c", "nu": 5},
    ]  # 5 rows may be orthogonal
    tables.write(
        "attention_trained_rows",
        filled("attention_trained_rows", rows),
        tmp_path / "paper" / "attention_trained_rows.csv",
    )
    lines = paper_blocks.paper_packings(tmp_path).splitlines()
    assert lines[2] == "| strong | −1 | 0 | 2 | 1.3 to 1.3 | 2 to 4 | 0.5 to 0.5 | 0.25 to 0.25 |"
    assert lines[3] == "| weak | −1 | 0 | 1 | 1.3 to 1.3 | 2 to 2 | 0.5 to 0.5 | 0.25 to 0.25 |"
    assert len(lines) == 4
