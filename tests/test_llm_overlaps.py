"""The command that measures one head, the table of all heads, their figures, and the rules that run them."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from scaling import command, geometry, tables
from scaling.command import InputError
from scaling.figures import llm as figures
from scaling.llm import overlaps, overlaps_table, tokens
from scaling.llm.join import joined
from scaling.llm.overlaps import Request, measure, record
from scaling.plan.config import read_schemas


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "resources/published/fig8a_llm_overlap.csv"
NU, M = 120, 16


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A head of 120 rows: 100 distinct, two zero, three copies, 15 beyond the tokenizer of 105."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    W = np.random.default_rng(0).standard_normal((NU, M)).astype(np.float32)
    W[10:12] = 0
    W[20:23] = W[5]
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 105}))
    save_file({"wte.weight": W}, folder / "model.safetensors")
    vocabulary = {f"w{number}": number for number in range(105)}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def run_command(module: object, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
    command.run(module.main)


def test_every_column_is_measured(checkpoint: Path) -> None:
    row, norms, energies = measure(Request("local", "gpt2", path=checkpoint))
    assert {entry["head"] for entry in energies} <= {"stored", "with gain"}
    W = load_file(checkpoint / "model.safetensors")["wte.weight"]
    assert (row["n_rows"], row["m"], row["vocabulary"]) == (NU, M, 105)
    assert (row["n_padded"], row["n_zero"], row["n_duplicate"], row["n_excluded"]) == (15, 2, 3, 20)
    kept = W[norms["kept"]]
    whole = geometry.squared_overlaps(kept)
    assert row["mean_sq_overlap"] == pytest.approx(whole.mean_sq, rel=1e-6)
    assert row["std_sq_overlap"] == pytest.approx(whole.std_sq, rel=1e-5)
    assert row["max_abs_overlap"] == pytest.approx(whole.max_abs, rel=1e-6)
    assert row["mean_sq_overlap_all_rows"] == pytest.approx(geometry.squared_overlaps(W).mean_sq, rel=1e-6)
    assert row["centred_mean_sq_overlap"] == pytest.approx(
        geometry.squared_overlaps(kept - kept.mean(axis=0)).mean_sq, rel=1e-5
    )
    norm = geometry.row_norms(kept)
    np.testing.assert_array_equal(norms["norm"], geometry.row_norms(W))
    assert row["welch_bound"] == geometry.welch_bound(100, M)
    assert (row["mean_norm"], row["norm_q50"], row["max_norm"]) == pytest.approx(
        (norm.mean(), np.median(norm), norm.max()), rel=1e-6
    )
    assert (row["phi_half"], row["phi_half_relative"]) == (1.0, float(np.mean(norm > norm.mean() / 2)))
    assert row["pairs"] == "exact"
    assert row["bytes_read"] >= 4 * NU * M
    assert row["peak_memory"] > 1_000_000
    columns = tables.dictionary()["llm_overlaps"]["columns"]
    assert set(row) | {"model", "family", "source", "reason", "attempt"} == set(columns)


def test_same_seed_same_numbers(checkpoint: Path) -> None:
    request = Request("local", "gpt2", path=checkpoint, pairs="sampled", sample_rows=30, seed=4)
    first, second = (measure(request)[0] for _ in range(2))
    for row in (first, second):
        del row["seconds"], row["peak_memory"]
    assert first == second
    assert (first["pairs"], first["n_pair_rows"]) == ("sampled", 30)
    assert first["mean_abs_overlap_stderr"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"m": 32}, "has 16 columns, but the config says m = 32"),
        ({"path": Path("nowhere")}, "no such folder"),
        ({"vocabulary": 1}, "only 1 of 120 rows"),
    ],
)
def test_an_input_error_becomes_a_row_with_its_reason(changes: dict, message: str, checkpoint: Path) -> None:
    frame, norms, energies = record(
        Request(**{"model": "local", "family": "gpt2", "path": checkpoint, **changes}), attempt=2
    )
    row = frame.iloc[0]
    assert (row["status"], row["attempt"], row["source"]) == ("failed", 2, "local")
    assert message in row["reason"]
    assert len(norms["norm"]) == 0
    assert energies.empty
    tables.validate("llm_overlaps", frame, "here")


def test_commands_from_head_to_figure(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    measured = ("--model", "mine", "--family", "gpt2", "--path", checkpoint, "--norms", "mine.safetensors")
    run_command(overlaps, monkeypatch, *measured, "--output", "mine.csv")
    missing = ("--model", "gone", "--path", "nowhere", "--output", "gone.csv", "--norms", "gone.safetensors")
    with pytest.raises(SystemExit, match=r"^error: nowhere: no such folder"):
        run_command(overlaps, monkeypatch, *missing)
    assert not Path("gone.csv").exists()
    run_command(overlaps, monkeypatch, *missing, "--record-failure")
    caplog.set_level("INFO")
    rows = ("--rows", "mine.csv", "gone.csv", "--norms", "mine.safetensors", "gone.safetensors")
    run_command(
        overlaps_table, monkeypatch, *rows, "--published", PUBLISHED, "--output", "all.csv", "--norm-table", "norms.csv"
    )
    assert "not measured: gone: nowhere: no such folder" in caplog.text
    together = tables.read("llm_overlaps", "all.csv")
    assert together["status"].value_counts().to_dict() == {"published": 25, "measured": 1, "failed": 1}
    assert tables.read("llm_norms", "norms.csv")["n_rows"].sum() == 100

    Path("text").write_text(" ".join(f"w{number}" for number in zipf(50_000, 105)))
    for name in ("words", "mine"):
        head = ("--path", checkpoint, "--norms", "mine.safetensors") if name == "mine" else ()
        outputs = ("--frequencies", f"{name}.f.csv", "--ranks", f"{name}.r.csv")
        run_command(tokens, monkeypatch, "--tokenizer", name, "--text", "text", *head, *outputs)
    for kind, name in (("f", "token_frequencies"), ("r", "token_ranks")):
        joined_parts = joined(name, [Path(f"words.{kind}.csv"), Path(f"mine.{kind}.csv")])
        tables.write(name, joined_parts, f"{name}.csv")
    ranks = tables.read("token_ranks", "token_ranks.csv")
    assert ranks.loc[ranks["tokenizer"] == "mine", "n_rows"].sum() == 100
    for figure in figures.FIGURES:
        inputs = ("--overlaps", "all.csv", "--norms", "norms.csv")
        counts = ("--frequencies", "token_frequencies.csv", "--ranks", "token_ranks.csv")
        run_command(figures, monkeypatch, "--figure", figure, *inputs, *counts, "--output", f"{figure}.svg")
        assert Path(f"{figure}.svg").stat().st_size > 5000


def zipf(n: int, kinds: int) -> np.ndarray:
    p = np.arange(1, kinds + 1) ** -1.0
    return np.random.default_rng(0).choice(kinds, n, p=p / p.sum())


def test_figures_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_command(
        overlaps_table, monkeypatch, "--published", PUBLISHED, "--output", "all.csv", "--norm-table", "norms.csv"
    )
    for name in ("token_frequencies", "token_ranks"):
        tables.write(name, joined(name, []), f"{name}.csv")
    inputs = ("--overlaps", "all.csv", "--norms", "norms.csv")
    counts = ("--frequencies", "token_frequencies.csv", "--ranks", "token_ranks.csv")
    for figure in figures.FIGURES:
        run_command(figures, monkeypatch, "--figure", figure, *inputs, *counts, "--output", f"{figure}.png")


def test_published_points_are_as_read() -> None:
    rows = overlaps_table.published_rows(PUBLISHED)
    points = pd.read_csv(PUBLISHED)
    assert len(rows) == 25
    np.testing.assert_array_equal(rows["mean_sq_overlap"], points["mean_square_overlap"])
    assert set(rows["family"]) == {"opt", "qwen", "gpt2", "pythia"}
    for path in (ROOT / "pyproject.toml", ROOT / "nowhere.csv"):
        with pytest.raises(InputError, match=r"not the points of Fig\. 8a"):
            overlaps_table.published_rows(path)


def test_histogram_counts_every_row() -> None:
    bins = overlaps_table.histogram(np.array([1.0, 1.0, 1.0, 100.0]))
    assert bins["n_rows"].sum() == 4
    assert bins["n_rows"].iloc[-1] == 1


# ---- the rules


SNAKEFILE = """
include: "{root}/workflow/rules/common.smk"
LLM_CONFIG = {llm}
config = checked_config({{**config, "llm": LLM_CONFIG}})
include: "{root}/workflow/rules/toy.smk"
include: "{root}/workflow/rules/family.smk"
include: "{root}/workflow/rules/llm.smk"
"""


def workflow(folder: Path, llm: dict, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Snakemake on the rules of heads alone, in a folder of its own."""
    for name in ("workflow", "scaling", "resources"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=folder, llm=llm))
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", "--configfile", str(ROOT / "config.yaml")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_failed_model_is_listed_in_the_table_and_retried(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    models = [
        {"model": "mine", "family": "gpt2", "path": str(checkpoint)},
        {"model": "org/too-wide", "family": "opt", "path": str(checkpoint), "m": 32},
    ]
    target = "results/tables/llm_overlaps.csv"
    done = workflow(folder, {"models": models}, target)
    assert done.returncode == 0, done.stderr
    status = tables.read("llm_overlaps", folder / target).set_index("model")["status"]
    assert (status["mine"], status["org/too-wide"]) == ("measured", "failed")
    again = workflow(folder, {"models": models}, target, "-n", "--quiet", "rules")
    assert "measure_head" in again.stdout + again.stderr
    fixed = [models[0], {**models[1], "m": M}]
    assert workflow(folder, {"models": fixed}, target).returncode == 0
    row = tables.read("llm_overlaps", folder / target).set_index("model").loc["org/too-wide"]
    assert (row["status"], row["attempt"]) == ("measured", 2)
    settled = workflow(folder, {"models": fixed}, target, "-n")
    assert "Nothing to be done" in settled.stdout + settled.stderr


@pytest.mark.parametrize(
    ("llm", "message"),
    [
        ({"models": [{"model": "a/b", "family": "x"}, {"model": "a/b", "family": "y"}]}, "a--b is listed more than"),
        ({"tokens": [{"tokenizer": "a/b"}]}, "tokenizer 'a/b' is not words, bytes, or a model"),
    ],
)
def test_config_that_contradicts_itself_is_one_message(llm: dict, message: str, tmp_path: Path) -> None:
    done = workflow(tmp_path, llm, "llm", "-n")
    assert done.returncode == 1
    assert message in done.stderr + done.stdout


def test_schema_describes_every_key_and_refuses_others() -> None:
    schema = read_schemas(ROOT / "workflow" / "schemas")["llm"]
    check = partial(jsonschema.validate, schema=schema)
    check({})
    check({"models": [{"model": "gpt2", "family": "gpt2"}, {"model": "a/b", "family": "opt", "m": 3, "revision": "x"}]})
    for wrong in (
        {"model": []},
        {"models": [{"model": "../a", "family": "opt"}]},
        {"models": [{"model": "a/b/c", "family": "opt"}]},
        {"models": [{"model": "a b", "family": "opt"}]},
        {"models": [{"model": "a/b", "family": "opt", "revision": "x; rm"}]},
        {"models": [{"model": "a/b"}]},
        {"pairs": "all"},
        {"sample_rows": 1},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(wrong)

    def keys(part: dict) -> None:
        assert part.get("additionalProperties") is False
        for name, entry in part["properties"].items():
            assert "description" in entry, name
            if "properties" in entry.get("items", {}):
                keys(entry["items"])

    keys(schema)
    assert all("default" in entry for entry in schema["properties"].values())
