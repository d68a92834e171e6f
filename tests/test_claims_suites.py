"""Claims about training suites and the joint law, from made-up tables."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaling import tables
from scaling.claims import registry, suites
from scaling.claims.study import Study


ROOT = Path(__file__).parents[1]
CLAIMS = [registry.REGISTRY[name] for name in ("suites.width_exponent", "suites.joint_width", "suites.joint_data")]


def study(**given: pd.DataFrame) -> Study:
    """A study with these tables."""
    empty = {name: pd.DataFrame(columns=list(table["columns"])) for name, table in tables.dictionary().items()}
    return Study(frames=empty | given, resources=ROOT / "resources" / "published")


def suite_row(suite: str, a: float, stderr: float, **changes: object) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(tables.dictionary()["width_suites"]["columns"])
    row |= {"suite": suite, "text": "c4", "selection": "all", "primary": True, "control": False, "n_widths": 8}
    row |= {"a": a, "a_stderr": stderr, "status": "converged", "verdict": "agrees with 1"}
    return row | changes


def test_one_row_per_suite_with_a_verdict() -> None:
    rows = [
        suite_row("close", 1.02, 0.03),
        suite_row("close", 0.7, 0.03, primary=False, selection="few"),
        suite_row("far", 0.3, 0.05),
        suite_row("open", 0.8, 0.5),
        suite_row("moves", 0.3, 0.01, control=True),
        suite_row("chinchilla", 0.9, 0.01),
        suite_row("absent", math.nan, math.nan, status="not run"),
        suite_row("same", math.nan, math.nan, status="not identified", note="width and depth"),
    ]
    table = registry.table(study(width_suites=pd.DataFrame(rows)), CLAIMS[:1])
    assert table["verdict"].tolist() == ["reproduced", "differs", "inconclusive", "not_run"]
    assert "0.70 to 0.70" in table["note"][0]
    assert "width and depth" in table["note"][3]
    tables.validate("claims", table, "test")


def test_the_joint_law_by_estimator_and_points_left_out() -> None:
    columns = list(tables.dictionary()["joint_fit"]["columns"])
    row = dict.fromkeys(columns) | {"estimator": "huber", "n_excluded": 5, "n_points": 240, "status": "converged"}
    row |= {"width_exponent": 0.95, "width_exponent_low": 0.85, "width_exponent_high": 1.05}
    row |= {"data_exponent": 0.40, "data_exponent_low": np.nan, "data_exponent_high": 0.5}
    row["note"] = "not bounded: data_exponent"
    frame = pd.DataFrame([row, row | {"status": "not run", "n_excluded": 0}])
    table = registry.table(study(joint_fit=frame), CLAIMS[1:])
    assert table["verdict"].tolist() == ["reproduced", "no_verdict"]
    assert table["ours_err"][0] == pytest.approx(0.2 / (2 * 1.95996), rel=1e-4)
    assert suites.JOINT["origin"] == "hypothesis"


def test_without_tables_nothing_is_run() -> None:
    assert set(registry.table(study(), CLAIMS)["verdict"]) == {"not_run"}
