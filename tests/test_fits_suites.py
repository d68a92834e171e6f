"""Suites of other groups: entries of the config, selections, and the numbers of the public files where they are."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from scaling import command, tables
from scaling.command import InputError
from scaling.config import with_defaults
from scaling.figures import fits as figures
from scaling.fits import suites
from scaling.fits.suite import Rules


ROOT = Path(__file__).parents[1]
SHAPES = ROOT / "resources" / "published" / "chinchilla_model_shapes.csv"
SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "fits.schema.yaml").read_text())
FITS = with_defaults(yaml.safe_load((ROOT / "config.yaml").read_text())["fits"], SCHEMA)


def entry(**changes: Any) -> dict[str, Any]:
    """An entry as the config gives it, of a table with columns m, l, D, L and M."""
    selections = {"all": {"terms": [], "keep": {}, "highest_losses_left_out": 0}}
    columns = {"width": "m", "depth": "l", "data": "D"}
    return {
        "format": "table",
        "columns": columns,
        "losses": {"one": "L", "two": "M"},
        "selections": selections,
    } | changes


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file of 24 runs of 2 + 30/m (text one) and 3 + 20/m (text two)."""
    m = np.repeat([64.0, 128, 256, 512, 1024, 2048], 4)
    frame = pd.DataFrame({"m": m, "l": 4, "D": np.tile([1e9, 2e9, 4e9, 8e9], 6), "L": 2 + 30 / m, "M": 3 + 20 / m})
    frame.to_csv(tmp_path / "runs.csv", index=False)
    return tmp_path / "runs.csv"


def test_defaults_of_config_and_package_are_the_same() -> None:
    assert Rules(**FITS["suite_verdict"]) == Rules()


def test_texts_and_selections_become_rows(table: Path) -> None:
    chosen = {"keep": {"data": {"max": 4e9}}, "terms": [], "highest_losses_left_out": 0}
    asked = entry(source=str(table), selections=entry()["selections"] | {"few tokens": chosen})
    runs = tables.validate("suite_runs", suites.suite_runs("mine", asked), "test")
    assert len(runs) == 48
    rows, profiles = suites.fit_entry("mine", asked, runs, Rules())
    found = pd.DataFrame(rows).set_index(["text", "selection"])
    assert found["n_runs"].to_dict() == {
        ("one", "all"): 24, ("one", "few tokens"): 18, ("two", "all"): 24, ("two", "few tokens"): 18
    }  # fmt: skip
    assert found["a"].to_numpy() == pytest.approx(1, abs=1e-6)
    assert found["primary"].tolist() == [True, False, False, False]
    assert len(profiles) == 4


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ({"width": {"min": 128, "max": 512}}, 12),
        ({"width": {"equals": 64}}, 4),
        ({"aspect": {"max": 16}}, 4),
        ({"tokens_per_parameter": {"min": 2.0}}, 18),
        ({"run": {"starts_with": "a"}}, 12),
        ({"run": {"starts_with": "a"}, "width": {"equals": 64}}, 2),
    ],
)
def test_selections(keep: dict[str, Any], kept: int) -> None:
    m = np.repeat([64.0, 128, 256, 512, 1024, 2048], 4)
    runs = pd.DataFrame({"run": ["a", "b"] * 12, "width": m, "depth": 4.0, "data": np.tile([1e9, 2e9, 4e9, 8e9], 6)})
    runs = runs.assign(parameters=1e9, loss=1 / m)
    selection = {"keep": keep, "terms": [], "highest_losses_left_out": 0}
    assert len(suites.select(runs, selection)) == kept
    without = suites.select(runs, selection | {"highest_losses_left_out": 1})
    assert without["loss"].max() < suites.select(runs, selection)["loss"].max() or without.empty


def test_a_bound_on_a_column_that_is_not_there_is_named() -> None:
    runs = pd.DataFrame({"width": [1.0], "depth": np.nan, "data": 1.0, "parameters": 1.0, "loss": 1.0})
    with pytest.raises(InputError, match="has bounds on depth, but the suite has no such column"):
        suites.select(runs, {"keep": {"depth": {"min": 2}}, "highest_losses_left_out": 0})


def test_the_commands_say_what_was_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    entries = {
        "here": entry(source=str(table)),
        "gone": entry(source="http://127.0.0.1:9/runs.csv"),
        "unnamed": entry(),
    }
    runs = [str(tmp_path / f"{name}_runs.csv") for name in entries]
    monkeypatch.setattr(sys, "argv", ["suites", "runs", "--entries", json.dumps(entries), "--output", *runs])
    command.run(suites.main)
    out, profiles = tmp_path / "width_suites.csv", tmp_path / "profiles.csv"
    arguments = ["suites", "fit", "--entries", json.dumps(entries), "--runs", *runs]
    monkeypatch.setattr(sys, "argv", [*arguments, "--suites", str(out), "--profiles", str(profiles)])
    command.run(suites.main)
    rows = tables.read("width_suites", out).set_index("suite")
    assert set(rows.loc["here", "status"]) == {"converged"}
    assert set(rows.loc["gone", "verdict"]) == set(rows.loc["unnamed", "verdict"]) == {"not run"}
    assert rows.loc["gone", "note"].str.contains("source").all()
    assert set(tables.read("width_suite_profiles", profiles)["suite"]) == {"here"}
    for number in (None, 0):  # with the suites that ran, and without any
        table = tables.read("width_suites", out)
        tables.write("width_suites", table if number is None else table[table["status"] == "not run"], out)
        picture = tmp_path / "figure.png"
        arguments = ["fits", "--figure", "width_suites", "--suites", str(out), "--suite-profiles", str(profiles)]
        monkeypatch.setattr(sys, "argv", [*arguments, "--output", str(picture)])
        command.run(figures.main)
        assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "--entries", "[]", "--output"], "must be a JSON object of suites by name"),
        (["runs", "--entries", '{"a": 3}', "--output", "a.csv"], "must be a JSON object of suites by name"),
        (["runs", "--entries", "{}", "--output", "a.csv"], "0 suites in --entries, 1 tables"),
        (
            ["fit", "--entries", "{}", "--rules", '{"min_width": 4}', "--runs"],
            "--rules: must be a JSON object with keys",
        ),
    ],
)
def test_wrong_options_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tables_of_a_fit = ["--suites", "s.csv", "--profiles", "p.csv"] if arguments[0] == "fit" else []
    monkeypatch.setattr(sys, "argv", ["suites", *arguments, *tables_of_a_fit])
    with pytest.raises(SystemExit, match=message):
        command.run(suites.main)
    assert not list(tmp_path.iterdir())


def test_another_file_than_the_pinned_one_is_refused(table: Path) -> None:
    with pytest.raises(InputError, match="sha256 is"):
        suites.suite_runs("mine", entry(source=str(table), sha256="0" * 64))


def copy_of(name: str) -> dict[str, Any]:
    """The entry of a suite with a copy of its file as source; a test that needs one is skipped where it is not."""
    folder = Path(os.environ.get("SCALING_SUITES", ROOT.parent / "shared" / "data" / "suites"))
    files = {
        "gemstones_cooled": folder / "gemstones_cooled.jsonl",
        "olmo_ladder": folder / "olmo_ladder_final_losses.csv",
        "marin_dclm": folder / "isoflop-dclm.csv",
        "supercollapse_chess": folder / "supercollapse_final_losses.csv",
        "chinchilla": folder.parent / "chinchilla_points.csv",
    }
    if not files[name].is_file():
        pytest.skip("the suites' files are not carried; name their folder in SCALING_SUITES")
    return {**FITS["suites"][name], "source": str(files[name])}


@pytest.mark.parametrize(
    ("name", "n_runs", "n_widths", "a", "verdict"),
    [
        ("gemstones_cooled", 199, 11, 0.331, "differs"),
        ("olmo_ladder", 24, 4, 0.385, "not determined"),
        ("marin_dclm", 85, 22, 0.977, "agrees with both"),
        ("supercollapse_chess", 40, 8, 0.580, "differs"),
        ("chinchilla", 240, 19, 0.898, "agrees with both"),
    ],
)
def test_recorded_answers(name: str, n_runs: int, n_widths: int, a: float, verdict: str) -> None:
    asked = copy_of(name)
    runs = tables.validate("suite_runs", suites.suite_runs(name, asked, SHAPES), "test")
    first = {key: dict([next(iter(asked[key].items()))]) for key in ("losses", "selections")}
    (row,), _ = suites.fit_entry(name, asked | first, runs, Rules(**FITS["suite_verdict"]))
    assert (row["n_runs"], row["n_widths"], row["verdict"]) == (n_runs, n_widths, verdict)
    assert row["a"] == pytest.approx(a, abs=5e-4)
