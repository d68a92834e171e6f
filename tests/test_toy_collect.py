import json
import subprocess
import sys

import pytest

from scaling import tables
from scaling.command import InputError
from scaling.toy.collect import collect
from scaling.toy.measurement import measure_model
from scaling.toy.model_file import read_model
from scaling.toy.recipe import Recipe
from scaling.toy.study import cells_by_curve
from scaling.toy.training import train_one, windows


RECIPE = Recipe(steps=430, batch_size=64, warmup_steps=40)
GRID = {"training": "paper", "n": 40, "m": [4, 6, 8], "gamma": -0.5}
TOY = {"trainings": {"paper": {}}, "experiments": {"one": [GRID], "two": [{**GRID, "m": 6, "initial_bias": "normal"}]}}


@pytest.fixture
def study(tmp_path):
    """Trained and measured models of TOY; the folder that holds models and measured."""
    for curve, cells in cells_by_curve(TOY).items():
        rows = []
        for cell in cells:
            train_one(cell, RECIPE, tmp_path / "models" / f"{cell.name}.safetensors")
            rows.append(measure_model(read_model(tmp_path / "models" / f"{cell.name}.safetensors"), 64))
        path = tmp_path / "measured" / f"{curve}.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return tmp_path


def test_collect_writes_each_model_under_each_experiment(study):
    collect(TOY, study / "models", study / "measured", study / "tables")
    lines = {path.stem: len(path.read_text().splitlines()) for path in (study / "tables").glob("*.csv")}
    assert lines["toy_models"] == 1 + 3 + 1
    assert lines["toy_curves"] == 1 + 3 * len(list(windows(RECIPE.steps)))
    assert lines["toy_features"] == 1 + 3 * 40


def test_missing_and_broken_measurements_are_named(study):
    (path,) = (study / "measured").rglob("*.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match=r"no measurements of .*m8_seed0 \(1 models\)"):
        collect(TOY, study / "models", study / "measured", study / "tables")
    path.write_text("{")
    with pytest.raises(InputError, match="not a file of measurements"):
        collect(TOY, study / "models", study / "measured", study / "tables")
    path.unlink()
    with pytest.raises(InputError, match="no such file; make it with"):
        collect(TOY, study / "models", study / "measured", study / "tables")
    assert not (study / "tables").exists()


def test_collect_by_hand_takes_json_text(tmp_path):
    command = [sys.executable, "-m", "scaling.toy.collect", "--folder", str(tmp_path), "--measured", str(tmp_path)]
    arguments = ["--output", str(tmp_path / "t"), "--study", json.dumps(TOY)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no such file; make it with" in done.stderr


def test_part_of_a_study_is_collected_and_what_has_no_measurement_is_measured(study, caplog):
    (path,) = (study / "measured").rglob("*.jsonl")
    first, second, _ = path.read_text().splitlines()
    again = {**json.loads(second), "seconds": -1.0}  # of an earlier training of the model
    path.with_suffix(".json").write_text(f"{first}\n")
    path.write_text(f"{json.dumps(again)}\n")
    toy = {**TOY, "held_out_samples": 64, "experiments": {**TOY["experiments"], "three": [{**GRID, "m": 20}]}}
    with caplog.at_level("INFO"):
        collect(toy, study / "models", study / "measured", study / "tables", partial=True)
    assert "3 of the study's 4 models are trained and measured" in caplog.text
    assert [line for line in caplog.messages if "measuring" in line] == [
        f"measuring {json.loads(row)['model'].replace('m4', m)}" for row, m in ((first, "m6"), (first, "m8"))
    ]
    whole = {**toy, "experiments": TOY["experiments"]}
    collect(whole, study / "models", study / "measured", study / "whole", partial=True)
    for name in ("toy_models", "toy_curves"):
        assert tables.read(name, study / "tables" / f"{name}.csv").equals(
            tables.read(name, study / "whole" / f"{name}.csv")
        )
    with pytest.raises(InputError, match="none of the study's 3 models"):
        collect(TOY, study / "none", study / "none", study / "tables", partial=True)
