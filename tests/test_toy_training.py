import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from scaling.command import InputError
from scaling.toy.cell import Cell
from scaling.toy.measurement import measure_model
from scaling.toy.model_file import read_model
from scaling.toy.recipe import Recipe
from scaling.toy.training import DivergedError, stack_memory, stacks_that_fit, train_one, train_stack, windows


TENSORS = ("W", "b", "p", "curve_step", "curve_loss")
RECIPE = Recipe(steps=430, batch_size=64, warmup_steps=40)


def cell(**changes):
    settings = {"training": "paper", "frequency_law": "power_law", "n": 40, "m": 5, "gamma": -0.5, "alpha": 1.0}
    return Cell(**{**settings, "activation_density": 1.0, "seed": 0, **changes})


@pytest.mark.parametrize("steps", [1, 7, 199, 200, 430, 20_000])
def test_windows_make_up_the_training(steps):
    lengths = list(windows(steps))
    assert sum(lengths) == steps
    assert len(lengths) <= 300
    assert min(lengths) >= 1


def test_same_seed_same_bits_and_a_whole_record(tmp_path):
    for name in ("a", "b"):
        train_one(cell(), RECIPE, tmp_path / name)
    model, same = read_model(tmp_path / "a"), read_model(tmp_path / "b")
    assert all(np.array_equal(getattr(model, key), getattr(same, key)) for key in TENSORS)
    assert {**model.training, "seconds": 0} == {**same.training, "seconds": 0}
    assert model.W.shape == (40, 5)
    assert model.curve_step[-1] == RECIPE.steps
    assert model.cell == same.cell == cell()
    assert model.recipe == dataclasses.asdict(RECIPE)
    assert measure_model(model, 4096)["loss"] == pytest.approx(model.training["loss_train_tail"], abs=0.1)


def test_models_that_differ_in_initial_bias_alone_start_from_the_same_rows(tmp_path):
    short = dataclasses.replace(RECIPE, steps=1, warmup_steps=1, learning_rate=1e-9, bias_learning_rate=1e-9)
    models = {}
    for bias in ("normal", "zero", "-1"):
        train_one(cell(initial_bias=bias, gamma=0.0), short, tmp_path / bias)
        models[bias] = read_model(tmp_path / bias)
    for model in models.values():
        np.testing.assert_allclose(model.W, models["normal"].W, atol=1e-8)
    assert abs(models["zero"].b).max() < 1e-8
    np.testing.assert_allclose(models["-1"].b, -1, atol=1e-6)
    assert models["normal"].b.std() > 0.5


def test_kept_curve_holds_the_mean_of_all_steps(tmp_path):
    train_one(cell(), RECIPE, tmp_path / "a")
    model = read_model(tmp_path / "a")
    weight = np.diff(np.concatenate([[0], model.curve_step]))
    assert weight.sum() == RECIPE.steps
    assert model.curve_loss[-50:].mean() == pytest.approx(model.training["loss_train_tail"], rel=0.05)


def test_a_diverging_run_names_the_model_and_the_step(tmp_path):
    wild = dataclasses.replace(RECIPE, learning_rate=1e30, bias_learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"gamma-0.5/m5_seed0 diverged by step \d+"):
        train_one(cell(), wild, tmp_path / "a")
    with pytest.raises(DivergedError, match="m5_seed0 diverged"):
        train_stack([cell()], wild, tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_stack_gives_the_engine_s_loss_within_sampling_error(tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=1500, batch_size=256)
    cells = [cell(m=m, gamma=gamma) for m in (4, 8) for gamma in (-0.5, 0.5)]
    (stack,) = stacks_that_fit(cells, recipe.batch_size, 2**30)
    train_stack(stack, recipe, tmp_path)
    for one in cells:
        train_one(one, recipe, tmp_path / "one")
        alone, stacked = read_model(tmp_path / "one"), read_model(tmp_path / f"{one.name}.safetensors")
        losses = [measure_model(model, 2**14)["loss"] for model in (stacked, alone)]
        assert losses[0] == pytest.approx(losses[1], rel=0.2)
        assert stacked.training["device"].startswith("torch, cpu")


def test_stacks_fit_into_the_memory_given():
    cells = [cell(m=m, seed=seed) for m in (4, 8) for seed in range(20)]
    few = list(stacks_that_fit(cells, 64, 2**21))
    assert [c for stack in few for c in stack] == sorted(cells, key=lambda c: -c.m)
    assert len(few) > 1
    with pytest.raises(InputError, match=r"does not fit into 0\.0 GiB"):
        list(stacks_that_fit(cells, 64, 100))


def test_memory_for_a_stack_is_what_is_asked_or_a_share_of_what_is_free(monkeypatch):
    assert stack_memory(0.5) == 2**29
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert stack_memory(None) == 4 * 2**30
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (100 * 2**30, 141 * 2**30))
    assert stack_memory(None) == 80 * 2**30


def test_how_a_grid_is_split_does_not_change_a_model_s_samples(tmp_path):
    cells = [cell(alpha=alpha, seed=seed) for alpha in (0.0, 1.0) for seed in (0, 1)]
    train_stack(cells, RECIPE, tmp_path / "whole")
    for one in cells:
        train_stack([one], RECIPE, tmp_path / "split")
        whole, split = (read_model(tmp_path / run / f"{one.name}.safetensors") for run in ("whole", "split"))
        np.testing.assert_allclose(whole.curve_loss[:20], split.curve_loss[:20], rtol=1e-4)
        assert whole.training["loss_train_tail"] == pytest.approx(split.training["loss_train_tail"], rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--n 10 --m 20 --gamma 1 --alpha 1", "m = 20, n = 10"),
        ("--n 10 --m 2 --gamma nan --alpha 1", "gamma = nan"),
        ("--n 10 --m 2 --gamma 1 --frequency-law linear --alpha 1", "alpha = 1.0: the linear law has no data exponent"),
        ("--n 10 --m 2 --gamma 1 --alpha 1 --activation-density 9", "feature 1 would be active"),
        ("--n 10 --m 2 --gamma 1 --alpha 1 --steps 5", "warmup_steps = 2000"),
        ("--n 10 --m 2 --gamma 1 --alpha 1 --initial-bias none", "initial_bias = 'none': must be normal"),
    ],
)
def test_command_line_answers_bad_input_in_one_line(tmp_path, arguments, message):
    command = [sys.executable, "-m", "scaling.toy.training", "--folder", str(tmp_path), *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*"))


def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path):
    (tmp_path / "paper").write_text("a file, where a folder is needed")
    command = [sys.executable, "-m", "scaling.toy.training", "--folder", str(tmp_path)]
    long = ["--n", "1000", "--m", "100", "--gamma", "1", "--alpha", "1"]
    done = subprocess.run([*command, *long], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be made" in done.stderr
    assert done.stderr.count("\n") == 1
