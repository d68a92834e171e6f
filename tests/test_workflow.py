"""The whole graph on tests/smoke.yaml as a user runs it, after a kill, and with a wrong config."""

import contextlib
import os
import signal
import subprocess
import time

import pandas as pd
import pytest
from smoke_run import CONFIGS, ROOT, command, snakemake


def toy_tables(folder):
    """The toy tables as text; wall time, the one column that may differ between runs, is left out."""
    tables = {path.name: path.read_text() for path in sorted(folder.glob("results/tables/toy_*.csv"))}
    models = pd.read_csv(folder / "results/tables/toy_models.csv", dtype=str)
    return {**tables, "toy_models.csv": models.drop(columns="seconds").to_csv()}


def test_the_whole_graph_leaves_tables_and_figures(whole):
    tables = {path.stem for path in whole.glob("results/tables/*.csv")}
    assert {"toy_models", "toy_curves", "toy_features", "toy_exponents", "llm_overlaps", "claims"} <= tables
    figures = list(whole.glob("results/figures/*.svg"))
    assert len(figures) >= 12
    assert all(figure.with_suffix(".png").stat().st_size > 1000 for figure in figures)
    assert not list(whole.glob("results/**/.*"))


def test_nothing_is_left_to_do_after_it(whole):
    done = snakemake(whole, "--cores", "2", "--dry-run")
    assert "Nothing to be done" in done.stderr + done.stdout


def test_one_core_and_a_killed_run_give_the_same_bits(whole, tmp_path):
    run = subprocess.Popen(
        command(tmp_path, "toy", "--cores", "1", "--until", "train_model"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(list(tmp_path.glob("results/**/m*.safetensors"))) < 2 and run.poll() is None:
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "results/tables/toy_models.csv").exists()
    done = snakemake(tmp_path, "toy", "--cores", "1")
    assert done.returncode == 0, done.stderr
    expected = {name: text for name, text in toy_tables(whole).items() if (tmp_path / "results/tables" / name).exists()}
    assert toy_tables(tmp_path) == expected
    assert {"toy_models.csv", "toy_curves.csv", "toy_features.csv"} <= set(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("toy: {experimets: {}}", "config: toy: unknown key 'experimets'"),
        ("toys: {}", "unknown key 'toys'"),
        ("toy: {experiments: {a: [{training: paper, m: [10, 2000], gamma: 1}]}}", "a: m = 2000, n = 1000"),
        ("toy: {experiments: {a: [{training: paper, m: 10, gamma: .nan}]}}", "a: 0: gamma: nan is not a finite number"),
        ("toy: {experiments: {a: [{training: paper, m: 10, gamma: 1, activation_density: 8}]}}", "largest activation"),
        ("toy: {engine: jax}", "config: toy: engine: 'jax' is not one of"),
        ("llm: {family: {models: [{m: 50, gamma: 1}]}}", "config: llm: family: m = 50: gives 3 attention heads"),
        ("llm: {family: {stepz: 5}}", "config: llm: family: unknown key 'stepz'"),
        ("llm: {losses: {texts: [{name: c4}]}}", "texts: c4 needs either path or dataset"),
        ("llm: {losses: {texts: [{name: c4, window: 1, path: a.txt}]}}", "1 is less than the minimum of 2"),
    ],
)
def test_a_bad_config_stops_before_anything_runs(tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    done = snakemake(tmp_path, "--cores", "1", configs=[CONFIGS[0], str(tmp_path / "bad.yaml")])
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("engine", ["numba", "torch"])
def test_the_paper_s_grid_plans(tmp_path, engine):
    (tmp_path / "engine.yaml").write_text(f"toy: {{engine: {engine}}}")
    configs = [CONFIGS[0], str(ROOT / "config" / "paper.yaml"), str(tmp_path / "engine.yaml")]
    done = snakemake(tmp_path, "toy", "--cores", "1", "--dry-run", "--quiet", "rules", configs=configs)
    assert done.returncode == 0, done.stderr


def test_the_losses_of_the_paper_s_models_plan(tmp_path):
    configs = [CONFIGS[0], *(str(ROOT / "config" / name) for name in ("paper.yaml", "losses.yaml"))]
    done = snakemake(tmp_path, "llm", "--cores", "1", "--dry-run", "--quiet", "rules", configs=configs)
    assert done.returncode == 0, done.stderr


def test_two_runs_in_one_folder_are_refused(tmp_path):
    import fcntl

    (tmp_path / ".snakemake").mkdir()
    with open(tmp_path / ".snakemake" / "superposition-scaling.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = snakemake(tmp_path, "toy", "--cores", "1")
    assert done.returncode == 1
    assert "another snakemake is running in" in done.stderr
    assert not (tmp_path / "results" / "toy").exists()
