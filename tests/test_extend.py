"""A recording grows: models stay, are added or are replaced, and the curves are fitted again."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from synthetic_toy import filled

from scaling import extend, recorded, tables, verify
from scaling.config import merged
from scaling.tables import table_path
from scaling.toy.study import distinct_cells


GRID = {"training": "paper", "n": 40, "m": [4, 8, 16], "gamma": -0.5, "seeds": 2}
CONFIG: dict[str, Any] = {
    "toy": {"trainings": {"paper": {}}, "experiments": {"one": [GRID], "two": [{**GRID, "m": 8, "seeds": 1}]}}
}
MADE_BY = {"machine": "here", "code": "1"}


def run(folder: Path, widths: list[int], scale: float = 1.0, experiment: str = "one") -> Path:
    """Write a run's tables of these widths, with the loss scale / m."""
    cells = [cell for cell in distinct_cells(CONFIG["toy"]).values() if cell.m in widths]
    rows: list[dict[str, Any]] = [
        {"model": cell.name, "training": "paper", "frequency_law": "power_law", "n": cell.n, "m": cell.m}
        | {"gamma": cell.gamma, "alpha": 1.0, "activation_density": 1.0, "learning_rate_factor": 1.0}
        | {"initial_bias": "normal", "seed": cell.seed, "loss": scale / cell.m, "loss_train_tail": scale / cell.m}
        | {"experiment": experiment, "phi_half": 1.0, "capacity": 1.0}
        for cell in cells
    ]
    curves = [{"model": cell.name, "step": step, "loss": 1 / step} for cell in cells for step in range(100, 20001, 100)]
    tables.write("toy_models", filled("toy_models", rows), folder / "toy_models.csv")
    tables.write("toy_curves", pd.DataFrame(curves), folder / "toy_curves.csv")
    return folder


def test_models_are_kept_added_and_replaced(tmp_path: Path) -> None:
    record = tmp_path / "record"
    first = extend.extend(run(tmp_path / "a", [4, 8]), CONFIG, ["a.yaml"], MADE_BY, record)
    assert {what: len(names) for what, names in first.items()} == {"kept": 0, "added": 4, "replaced": 0}
    (tmp_path / "b").mkdir()
    frames = [
        tables.read("toy_models", run(tmp_path / name, widths, scale) / "toy_models.csv")
        for name, widths, scale in (("c", [8, 16], 3.0), ("d", [4], 1.0))
    ]
    run(tmp_path / "b", [4, 8, 16])
    tables.write("toy_models", pd.concat(frames), tmp_path / "b" / "toy_models.csv")
    changed = extend.extend(tmp_path / "b", CONFIG, ["a.yaml"], {**MADE_BY, "code": "2"}, record)
    assert {what: len(names) for what, names in changed.items()} == {"kept": 2, "added": 2, "replaced": 2}

    models = tables.read("toy_models", record / "toy_models.csv")
    assert models.groupby("experiment").size().to_dict() == {"one": 6, "two": 1}
    losses = models.groupby("m")["loss"].first() * [4, 8, 16]
    assert losses.to_list() == [1, 3, 3]
    numbers = tables.read("toy_recordings", record / "toy_recordings.csv").set_index("model")["recording"]
    assert [set(numbers[numbers.index.str.contains(f"/m{m}_")]) for m in (4, 8, 16)] == [{1}, {2}, {2}]
    content = yaml.safe_load((record / "run.yaml").read_text())
    assert [one["code"] for one in content["recordings"]] == ["1", "2"]
    assert content["recorded"] == {"one": {"models": 6, "recorded": 6}, "two": {"models": 1, "recorded": 1}}
    assert content["config"] == {"a.yaml": CONFIG}
    assert verify.verify(record, n_models=0, seed=0) == []
    since = verify.changes_since(content, record)
    assert {len(names) for names in since.values()} == {len(recorded.provenance())}

    exponents = tables.read("toy_exponents", record / "toy_exponents.csv").set_index("experiment")
    assert exponents.loc["one", "n_points"] == 3
    assert exponents.loc["one", "exponent"] == pytest.approx(-np.polyfit(np.log([4, 8, 16]), np.log(losses), 1)[0] + 1)
    assert len(tables.read("toy_part_exponents", record / "toy_part_exponents.csv"))
    curves = tables.read("toy_curves", record / "toy_curves.csv")
    assert curves["model"].str.endswith("seed0").all()
    steps = curves.groupby("model")["step"].apply(list)
    assert len(steps) == 3
    assert steps.iloc[0][0] == 100
    assert steps.iloc[0][-1] == 20000
    assert 15 <= len(steps.iloc[0]) <= extend.CURVE_POINTS


def test_a_record_made_at_once_is_its_first_recording(tmp_path: Path) -> None:
    record, part = tmp_path / "record", run(tmp_path / "a", [4], experiment="gone")
    part_of_old = pd.read_csv(part / "toy_models.csv").drop(columns="mean_cosine_weak")
    record.mkdir()
    part_of_old.assign(model="old").iloc[:1].to_csv(record / "toy_models.csv", index=False)
    made = {"date": "2026-01-02", "versions": {}, "provenance": {"machine": "there", "code": "0"}, "config": {}}
    (record / "run.yaml").write_text(yaml.safe_dump(made))
    changed = extend.extend(part, CONFIG, ["a.yaml"], MADE_BY, record)
    assert changed["kept"] == ["old"]
    models = tables.read("toy_models", record / "toy_models.csv").set_index("model")
    assert models.loc["old", "experiment"] == "gone"
    assert pd.isna(models.loc["old", "mean_cosine_weak"])
    content = yaml.safe_load((record / "run.yaml").read_text())
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    assert content["recordings"] == [
        {"date": "2026-01-02", "machine": "there", "code": "0"},
        {"date": today, **MADE_BY},
    ]
    again = extend.extend(part, CONFIG, ["a.yaml"], MADE_BY, record)
    assert len(again["kept"]) == 3
    assert len(yaml.safe_load((record / "run.yaml").read_text())["recordings"]) == 2


def test_large_tables_are_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, part = tmp_path / "record", run(tmp_path / "a", [4, 8])
    for largest, ending in ((0, ".gz"), (2**20, ".csv"), (0, ".gz")):
        monkeypatch.setattr(extend, "LARGEST", largest)
        changed = extend.extend(part, CONFIG, ["a.yaml"], MADE_BY, record)
        assert table_path(record, "toy_models").suffix == ending
        assert len(list(record.glob("toy_*"))) == 7
        assert recorded.check_manifest(record) == 8
    assert len(changed["kept"]) == 4


def test_the_paper_s_study_has_its_recorded_models() -> None:
    root = Path(__file__).parents[1]
    cells = distinct_cells(merged([root / "config.yaml", root / "config" / "paper.yaml"])["toy"])
    models = tables.read("toy_models", table_path(root / "resources" / "recorded" / "paper", "toy_models"))
    assert set(models["model"]) <= set(cells)
