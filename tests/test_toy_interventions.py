import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling import geometry
from scaling.command import InputError
from scaling.toy.cell import Cell
from scaling.toy.evaluation import silent_features
from scaling.toy.interventions import (
    INTERVENTIONS,
    LONGER,
    NEW_ROWS,
    REVIVED_NORM,
    SCALES,
    TRAINED_ON,
    intervene,
    outcomes,
    revive,
    scale_overlaps,
    train_on,
)
from scaling.toy.measurement import measure_model
from scaling.toy.model_file import read_model
from scaling.toy.recipe import Recipe
from scaling.toy.training import train_one


CELL = Cell(
    training="paper", frequency_law="power_law", n=40, m=6, gamma=-0.5, alpha=0.0, activation_density=1.0, seed=0
)
RECIPE = Recipe(steps=400, batch_size=64, warmup_steps=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    train_one(CELL, RECIPE, folder / f"{CELL.name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return read_model(folder / f"{CELL.name}.safetensors")


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_scaled_overlaps_keep_the_norms(seed, scale):
    W = np.random.default_rng(seed).standard_normal((9, 3))
    scaled, gram = scale_overlaps(W, scale).astype(np.float64), W @ W.T
    expected = scale * gram + (1 - scale) * np.diag(np.diag(gram))
    np.testing.assert_allclose(scaled @ scaled.T, expected, atol=1e-5)


def test_revival_changes_silent_features_alone():
    W, b = np.eye(4, 3, dtype=np.float32), np.float32([-0.1, -0.3, -3, -0.5])
    new_W, new_b = revive(W, b, np.random.default_rng(0))
    assert list(silent_features(W, b)) == [False, False, True, True]
    np.testing.assert_array_equal(new_W[:2], W[:2])
    np.testing.assert_allclose(geometry.row_norms(new_W[2:]), REVIVED_NORM, rtol=1e-6)
    np.testing.assert_allclose(new_b, [-0.1, -0.3, -0.2, -0.2])
    assert not silent_features(new_W, new_b).any()
    np.testing.assert_array_equal(revive(W, np.full(4, -9, np.float32), np.random.default_rng(0))[1], 0)


def test_losses_before_are_those_of_the_table(model):
    (row,) = intervene(model, "continued", 2048)
    assert row["loss_before"] == measure_model(model, 2048)["loss"]
    assert row["loss"] == pytest.approx(
        sum(row[f"loss_{part}"] for part in ("silent", "shrink", "interference", "false"))
    )
    assert (row["steps"], row["refit"], row["scale"]) == (RECIPE.steps, "all", None)


@pytest.mark.parametrize("intervention", TRAINED_ON)
def test_trained_on_models_are_finite_and_follow_from_the_seed(model, intervention):
    first, again = (next(intervene(model, intervention, 2048)) for _ in range(2))
    del first["seconds"], again["seconds"]
    assert first == again
    assert first["steps"] == (LONGER if intervention == "longer" else 1) * RECIPE.steps


def test_annealing_ends_without_decay(model):
    """Trained from rows without gradient (b far below), the norms move by the decay alone."""
    far = np.full(CELL.n, -99, np.float32)
    rates = 0.01 * RECIPE.schedule()
    norms = geometry.row_norms(model.W)
    for annealed in (False, True):
        W, _ = train_on(model, (model.W, far), RECIPE, np.random.default_rng(0), -0.5, annealed)
        lengths = np.array([2] * 200)
        gamma = -0.5 * np.repeat(1 - (np.cumsum(lengths) - lengths) / 400, lengths) if annealed else -0.5
        expected = 1 + (norms - 1) * np.prod(1 + rates * gamma)
        np.testing.assert_allclose(geometry.row_norms(W), expected, rtol=1e-4)


def test_overlaps_at_full_scale_and_without_overlaps(model):
    rows = list(intervene(model, "overlaps", 8192))
    assert [(row["scale"], row["refit"]) for row in rows] == [(s, fit) for s in SCALES for fit in ("none", "bias")]
    by = {(row["scale"], row["refit"]): row for row in rows}
    assert by[1.0, "none"]["loss"] == pytest.approx(by[1.0, "none"]["loss_before"], rel=1e-5)
    assert by[0.0, "bias"]["loss_interference"] == pytest.approx(0, abs=1e-6)
    refitted = [by[s, "bias"]["loss"] for s in SCALES]
    assert refitted == sorted(refitted)


@pytest.mark.parametrize("intervention", NEW_ROWS)
def test_new_rows_are_refitted_in_three_steps(model, intervention):
    rows = list(intervene(model, intervention, 4096))
    assert [row["refit"] for row in rows] == ["bias", "bias_and_norms", "all"]
    if intervention == "rows_kept":
        assert rows[0]["loss"] < 1.02 * rows[0]["loss_before"]


def test_unknown_interventions_are_named(model):
    with pytest.raises(InputError, match="no intervention 'none'; they are continued"):
        next(outcomes(model, "none", 64, np.random.default_rng(0)))
    assert len(set(INTERVENTIONS)) == len(INTERVENTIONS)


def test_command_writes_one_line_per_refit(folder, tmp_path):
    output = tmp_path / "kept.jsonl"
    command = [sys.executable, "-m", "scaling.toy.interventions", "--folder", str(folder), "--model", CELL.name]
    arguments = ["--intervention", "rows_kept", "--samples", "2048", "--output", str(output)]
    subprocess.run([*command, *arguments], check=True, capture_output=True)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 3
    assert rows[0]["model"] == CELL.name
    assert {field.name for field in dataclasses.fields(Cell)} < set(rows[0])
