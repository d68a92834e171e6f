"""The Numba engine against float64 autograd of the definition: gradients, trajectories, seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_oracle import (
    CASES,
    TOLERANCE,
    autograd,
    batch_of,
    double,
    errors,
    model_state,
    relative_error,
    samples,
    unavoidable,
)

from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.features import dense, draw_batch, frequencies
from scaling.toy.model import PlainTraining, ToyModel
from scaling.toy.recipe import Recipe, initial_state


PATHS = ("sparse", "dense", "screened")


def engine(W: np.ndarray, b: np.ndarray, batch_size: int) -> NumbaEngine:
    """An engine with room for any batch, on which steps are given."""
    p = np.ones(len(b))
    return NumbaEngine(W, b, p, 0.0, Recipe(steps=1, warmup_steps=0, batch_size=batch_size), np.random.default_rng(0))


@pytest.mark.parametrize(("n", "m", "sign", "kind", "law"), CASES)
def test_gradients_are_those_of_autograd(n: int, m: int, sign: str, kind: str, law: str) -> None:
    rng = np.random.default_rng([n, m])
    batch_size = 256 if n < 1000 else 2048
    (W, b), x = model_state(n, m, sign, rng), samples(kind, law, n, batch_size, rng)
    model, expected = engine(W, b, batch_size), autograd(W, b, x)
    for path in PATHS:
        assert max(errors(model.gradients(batch_of(x), path), expected)) < TOLERANCE


@settings(max_examples=60)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 9),
    st.floats(0, 1),
    st.sampled_from(PATHS),
    st.integers(0, 2**32),
)
def test_gradients_of_any_small_model(n: int, m: int, batch_size: int, p: float, path: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, b = initial_state(n, min(m, n), rng)
    x = (rng.uniform(0, 2, (batch_size, n)) * (rng.random((batch_size, n)) < p)).astype(np.float32)
    expected = autograd(W, b, x)
    found = engine(W, b, batch_size).gradients(batch_of(x), path)
    assert max(errors(found, expected)) < max(TOLERANCE, 4 * unavoidable(W, b, x))


def test_gradients_leave_the_model_alone() -> None:
    W, b = initial_state(20, 4, np.random.default_rng(1))
    model = engine(W, b, 8)
    model.gradients(batch_of(samples("one", "linear", 20, 8, np.random.default_rng(2))))
    np.testing.assert_array_equal(model.W, W)
    np.testing.assert_array_equal(model.b, b)


@pytest.mark.parametrize("gamma", [-1.0, -0.556, 0.0, 0.333, 1.0])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_trajectory_is_that_of_the_plain_loop(gamma: float, factor: float) -> None:
    rng = np.random.default_rng(3)
    recipe = Recipe(steps=200, warmup_steps=20, batch_size=128, bias_learning_rate=0.005, loss_scale=3.0)
    p = frequencies("power_law", 60, 1.0, 1.5)
    W, b = initial_state(60, 7, rng)
    ours = NumbaEngine(W, b, p, gamma, recipe, rng, factor)
    plain = PlainTraining(ToyModel(double(W), double(b)), gamma, recipe, factor)
    losses = []
    for _ in range(200):
        batch = draw_batch(rng, p, 128)
        losses.append((ours.train_on(batch), plain.train_on(double(dense(batch, 60)))))
    found, expected = np.transpose(losses)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE)
    assert relative_error(ours.W, plain.model.W.detach().numpy()) < TOLERANCE
    assert relative_error(ours.b, plain.model.b.detach().numpy()) < TOLERANCE


def test_advance_draws_and_trains_as_step_by_step() -> None:
    p, recipe = frequencies("linear", 50, None, 2.0), Recipe(steps=30, warmup_steps=3, batch_size=64)
    W, b = initial_state(50, 5, np.random.default_rng(4))
    whole, steps = (NumbaEngine(W, b, p, -0.5, recipe, np.random.default_rng(5)) for _ in range(2))
    rng = np.random.default_rng(5)
    losses = [steps.train_on(draw_batch(rng, p, 64)) for _ in range(30)]
    np.testing.assert_allclose(whole.advance(30), losses, rtol=1e-6)
    np.testing.assert_allclose(whole.W, steps.W, rtol=1e-5, atol=1e-6)


def test_the_seed_makes_every_bit() -> None:
    p, recipe = frequencies("exponential", 80, None, 1.0), Recipe(steps=40, warmup_steps=4, batch_size=128)
    W, b = initial_state(80, 6, np.random.default_rng(6))
    one, same, other = (NumbaEngine(W, b, p, 0.3, recipe, np.random.default_rng(seed)) for seed in (7, 7, 8))
    losses = one.advance(40)
    again = np.concatenate([same.advance(15), same.advance(25)])
    assert losses.tobytes() == again.tobytes()
    assert (one.W.tobytes(), one.b.tobytes()) == (same.W.tobytes(), same.b.tobytes())
    assert np.any(other.advance(40) != losses)


def test_training_learns() -> None:
    p, recipe = frequencies("power_law", 100, 1.0, 1.0), Recipe(steps=1500, warmup_steps=100, batch_size=256)
    W, b = initial_state(100, 10, np.random.default_rng(9))
    losses = NumbaEngine(W, b, p, -0.5, recipe, np.random.default_rng(10)).advance(1500)
    assert losses.shape == (1500,)
    assert losses[-100:].mean() < 0.5 * np.sum(4 / 3 * p - p**2)  # half of what a bias alone reaches


def test_what_does_not_fit_is_refused() -> None:
    p = frequencies("power_law", 10, 1.0, 1.0)
    rng = np.random.default_rng(0)
    model = NumbaEngine(*initial_state(10, 2, rng), p, 0.1, Recipe(steps=5, warmup_steps=1, batch_size=8), rng)
    with pytest.raises(ValueError, match="6 steps asked of a recipe of 5"):
        model.advance(6)
    with pytest.raises(ValueError, match="a batch of 4 samples"):
        model.gradients(draw_batch(rng, p, 4))
