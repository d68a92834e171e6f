import json
import subprocess
import sys

import numpy as np
import pytest

from scaling.toy.cell import Cell
from scaling.toy.evaluation import held_out_loss
from scaling.toy.features import frequencies
from scaling.toy.measurement import geometry_columns, measure_model, unrepresented_columns
from scaling.toy.model_file import read_model
from scaling.toy.recipe import Recipe
from scaling.toy.training import train_one


CELL = Cell(
    training="paper", frequency_law="power_law", n=40, m=5, gamma=-0.5, alpha=1.0, activation_density=1.0, seed=0
)


def test_features_without_a_row_cost_what_theory_says():
    n, p = 50, frequencies("linear", 50, None, 1.0)
    W, b = np.zeros((n, 3), np.float32), p.astype(np.float32)  # the bias answers with the mean <v> p_i
    held_out = held_out_loss(W, b, p, 2**17, np.random.default_rng(2))
    columns = unrepresented_columns(W, p, held_out)
    assert columns["loss_unrepresented"] == pytest.approx(held_out.loss)
    assert columns["loss_unlearned"] == pytest.approx(held_out.loss, abs=4 * held_out.loss_stderr)
    assert columns["n_unrepresented"] == n
    assert geometry_columns(W, b)["mean_sq_overlap"] is None


def test_strong_weak_and_live_rows_are_kept_apart():
    W = np.array([[2, 0], [0, 2], [0.6, 0], [0.7, 0], [0.1, 0]], np.float32)
    columns = geometry_columns(W, np.float32([-1, -1, -1, -0.9, 0]))
    assert (columns["n_strong"], columns["n_weak"], columns["n_silent"]) == (2, 2, 1)
    assert columns["mean_sq_overlap_strong"] == pytest.approx(0, abs=1e-12)
    assert columns["mean_cosine_weak"] == pytest.approx(1)
    assert columns["max_overlap_live"] == pytest.approx(1)
    assert (columns["phi_half"], columns["phi_1"], columns["phi_live"]) == pytest.approx((0.8, 0.4, 0.8))


def test_capacity_and_equation_10_of_orthogonal_and_equal_rows():
    """Orthogonal rows use every dimension and have no overlaps; equal rows share one dimension."""
    b = np.zeros(4, np.float32)
    columns = geometry_columns(2 * np.eye(4, dtype=np.float32), b)
    assert (columns["capacity"], columns["capacity_share"]) == pytest.approx((4, 1))
    assert (columns["own_loss"], columns["own_loss_overlaps"]) == pytest.approx((np.log(1 + 3 * np.exp(-2)), 0))
    columns = geometry_columns(np.repeat(np.eye(1, 2, dtype=np.float32), 4, axis=0), b)
    assert (columns["capacity"], columns["capacity_share"]) == pytest.approx((1, 0.5))
    assert columns["own_loss"] == pytest.approx(np.log(4))
    assert columns["own_loss_overlaps"] == pytest.approx(np.log(4) - np.log(1 + 3 * np.exp(-1)))


def test_command_line_measures_models_below_a_folder(tmp_path):
    train_one(CELL, Recipe(steps=100, batch_size=64, warmup_steps=10), tmp_path / f"{CELL.name}.safetensors")
    command = [sys.executable, "-m", "scaling.toy.measurement", "--folder", str(tmp_path), "--models", CELL.name]
    arguments = ["--samples", "64", "--output", str(tmp_path / "measured.jsonl")]
    subprocess.run([*command, *arguments], check=True, capture_output=True)
    (line,) = (tmp_path / "measured.jsonl").read_text().splitlines()
    expected = measure_model(read_model(tmp_path / f"{CELL.name}.safetensors"), 64)
    assert json.loads(line) == json.loads(json.dumps(expected))
    done = subprocess.run([*command, *arguments, "--samples", "1"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: samples = 1: a standard error needs at least 2\n")
