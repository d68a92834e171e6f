"""The definition as an engine: the same samples and losses as the CPU engine, and what model.py is changed to."""

from pathlib import Path

import numpy as np
import pytest
import torch

import scaling
from scaling.command import InputError
from scaling.toy import engines, model, training
from scaling.toy.cell import Cell
from scaling.toy.recipe import Recipe


RECIPE = Recipe(steps=30, batch_size=64, warmup_steps=3)
CELL = Cell(n=30, m=4, gamma=-0.5, alpha=1.0)


def test_it_trains_the_model_of_the_cpu_engine() -> None:
    plain, fast = (training.train_model(CELL, RECIPE, engine) for engine in ("plain", "numba"))
    np.testing.assert_allclose(plain.losses, fast.losses, rtol=1e-4)
    np.testing.assert_allclose(plain.W, fast.W, atol=1e-3)
    assert plain.device == "plain, 1 thread"


def test_more_steps_than_the_recipe_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0 \+ 31 steps, but the recipe has 30"):
        training.one_model_engine("plain", CELL, RECIPE).advance(31)


def test_a_changed_loss_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scaling.train(n=30, m=4, gamma=-0.5, steps=30, warmup_steps=3, batch_size=64, engine="plain")
    monkeypatch.setattr(model, "mean_loss", lambda y, x: torch.mean((y - x).abs()))
    after = scaling.train(n=30, m=4, gamma=-0.5, steps=30, warmup_steps=3, batch_size=64, engine="plain")
    assert abs(after.losses[0] / before.losses[0] - 1) > 0.1
    assert not np.allclose(after.W, before.W)


def test_the_other_engines_refuse_a_changed_definition(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engines, "DEFINITION", "of another model")
    with pytest.raises(InputError, match=r"engine numba: scaling/toy/model.py was changed.*use the engine plain"):
        training.train_model(CELL, RECIPE)
    with pytest.raises(InputError, match="engine torch"):
        training.train_stack([CELL], RECIPE, tmp_path)
    assert training.train_model(CELL, RECIPE, "plain").losses.shape == (30,)


def test_the_fast_engines_are_those_of_the_definition() -> None:
    """If this fails after a change of model.py: let the engines follow it, then set DEFINITION to this value."""
    assert engines.definition() == engines.DEFINITION


def test_the_library_names_the_engines_it_has() -> None:
    with pytest.raises(InputError, match="must be numba or plain"):
        scaling.train(m=3, gamma=1, engine="torch")
