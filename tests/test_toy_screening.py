"""The screened step: its bound holds, its gradients are those of float64 sums, its trainings those of the Gram step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_oracle import TOLERANCE, Floats, Gradients, errors, relative_error, unavoidable

from scaling.toy.engines import choice
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.engines.screening import LONGEST_C, SCALE, measure, renew_rows, screen
from scaling.toy.features import dense, draw_batch, frequencies
from scaling.toy.recipe import Recipe


def sums(W: Floats, b: Floats, x: Floats) -> Gradients:
    """Mean loss and its gradients by W and b, dense and in float64."""
    W, b, x = (np.asarray(array, np.float64) for array in (W, b, x))
    z = x @ W @ W.T + b
    d = np.where(z > 0, z - x, 0)
    R = x.T @ d
    scale = 2 / x.size
    return np.mean((np.maximum(z, 0) - x) ** 2), scale * (R @ W + R.T @ W), scale * d.sum(0)


def law(n: int, alpha: float, E: float) -> np.ndarray:
    """Power-law frequencies with sum E, or the most that they allow."""
    return frequencies("power_law", n, alpha, min(E, 0.95 / frequencies("power_law", n, alpha, 1.0)[0]))


def model_state(n: int, m: int, spread: float, level: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Rows with norms around 1 (log-normal of width `spread`) and b around `level`."""
    W = rng.standard_normal((n, m)) / np.sqrt(m) * np.exp(spread * rng.standard_normal((n, 1)))
    return W.astype(np.float32), (level + 0.3 * rng.standard_normal(n)).astype(np.float32)


def always_screened(engine: NumbaEngine) -> None:
    """Let no Gram step be cheaper."""
    engine.choice[choice.SCREENED], engine.choice[choice.GRAM_COST] = 1, np.inf


@settings(max_examples=60)
@given(
    n=st.integers(2, 300),
    m=st.integers(1, 70),
    alpha=st.sampled_from([0.0, 1.0, 1.5, 2.0]),
    E=st.sampled_from([0.5, 1.0, 3.0, 7.4, 30.0]),
    spread=st.sampled_from([0.0, 0.5, 1.5]),
    level=st.floats(-2, 0.3),
    drift=st.sampled_from([0.0, 1e-3, 0.02, 0.2, 2.0]),
    moving=st.sampled_from([0.1, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_gradients_whatever_the_age_of_the_references(
    n: int, m: int, alpha: float, E: float, spread: float, level: float, drift: float, moving: float, seed: int
) -> None:
    """360 batches: W moves between the six of each case, and references are renewed only as the step sees fit."""
    rng = np.random.default_rng(seed)
    W, b = model_state(n, m, spread, level, rng)
    p = law(n, alpha, E)
    engine = NumbaEngine(W, b, p, -0.5, Recipe(batch_size=128), rng)
    for _ in range(6):
        batch = draw_batch(rng, p, 128)
        x = dense(batch, n)
        error = max(errors(engine.gradients(batch, "screened"), sums(engine.W, engine.b, x)))
        assert error < TOLERANCE or error < 4 * unavoidable(engine.W, engine.b, x)
        step = drift / np.sqrt(m) * rng.standard_normal((n, m)) * (rng.random((n, 1)) < moving)
        engine.W[:] += step.astype(np.float32)
        engine.b[:] += np.float32(0.01) * rng.standard_normal(n, dtype=np.float32)


@settings(max_examples=60)
@given(
    n=st.integers(1, 150),
    m=st.integers(1, 40),
    spread=st.sampled_from([0.0, 1.0]),
    drift=st.sampled_from([0.0, 1e-3, 0.1, 3.0]),
    seed=st.integers(0, 2**32),
)
def test_the_bound_holds(n: int, m: int, spread: float, drift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, b = model_state(n, m, spread, -0.3, rng)
    bounds = screen(n, m)
    measure(bounds, W, b)
    bounds.stale[:] = np.arange(n)
    renew_rows(bounds, W, n)
    scale = bounds.number[SCALE]
    reference = bounds.R.astype(np.float64) @ bounds.C.astype(np.float64).T
    above = scale * bounds.q[:, :n] - reference
    rounding = 1e-5 * (1 + bounds.number[LONGEST_C] ** 2)
    assert above.min() >= -rounding
    assert above.max() <= scale + rounding

    W += (drift * rng.standard_normal(W.shape)).astype(np.float32)
    longest, _, step = measure(bounds, W, b)
    if not np.array_equal(bounds.C, W):  # else the columns were renewed
        distances = np.linalg.norm(W.astype(np.float64) - bounds.C, axis=1)
        assert (step * bounds.drift_q[:n].astype(np.float64) >= distances * (1 - 1e-5)).all()
        x = rng.uniform(0, 2, (20, n)) * (rng.random((20, n)) < 0.1)
        h, r = x @ W, x @ bounds.R
        z = b + h @ W.T.astype(np.float64)
        bound = b + scale * x @ bounds.q[:, :n]
        bound += step * np.linalg.norm(r, axis=1)[:, None] * bounds.drift_q[:n]
        bound += longest * np.linalg.norm(h - r, axis=1)[:, None]
        assert (bound - z).min() >= -1e-5 * (1 + np.abs(z).max())


@pytest.mark.parametrize(
    ("n", "m", "alpha", "E", "gamma"),
    [(190, 12, 0.0, 1.0, -0.5), (321, 30, 1.0, 1.0, -0.5), (100, 17, 1.0, 4.0, -1.0), (257, 9, 1.5, 2.0, 0.3)],
)
def test_a_training_is_that_of_the_gram_step(n: int, m: int, alpha: float, E: float, gamma: float) -> None:
    """300 steps of the compiled loop, all of them screened; n columns do not fill whole words."""
    rng = np.random.default_rng(n)
    W, b = model_state(n, m, 0.0, -0.8, rng)
    p, recipe = law(n, alpha, E), Recipe(steps=300, warmup_steps=30, batch_size=512)
    ours, reference = (
        NumbaEngine(W, b, p, gamma, recipe, np.random.default_rng(1), screening=screening)
        for screening in (True, False)
    )
    always_screened(ours)
    found, expected = ours.advance(300), reference.advance(300)
    assert ours.choice[choice.SCREENED] == 1
    assert reference.choice[choice.SCREENED] == 0
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE)
    assert relative_error(ours.W, reference.W) < 1e-4
    assert relative_error(ours.b, reference.b) < 1e-4


def test_the_seed_makes_every_bit_of_a_screened_training() -> None:
    W, b = model_state(190, 12, 0.0, -0.8, np.random.default_rng(0))
    p, recipe = law(190, 1.0, 1.0), Recipe(steps=60, warmup_steps=6, batch_size=256)
    one, same = (NumbaEngine(W, b, p, -0.5, recipe, np.random.default_rng(7)) for _ in range(2))
    always_screened(one)
    always_screened(same)
    losses = one.advance(60)
    assert one.choice[choice.SCREENED] != 0
    assert losses.tobytes() == np.concatenate([same.advance(25), same.advance(35)]).tobytes()
    assert one.W.tobytes() == same.W.tobytes()


def test_a_screened_step_that_costs_more_is_given_up_and_tried_again() -> None:
    state = choice.first_choice()
    choice.after_gram_step(state, 100.0, 50.0)
    assert state[choice.SCREENED] == 1
    choice.after_screened_step(state, 150.0, False)
    choice.after_screened_step(state, 150.0, True)
    assert state[choice.SCREENED] == 0
    for _ in range(choice.WAIT - 1):
        choice.after_gram_step(state, 100.0, 50.0)
        assert state[choice.SCREENED] == 0
    assert choice.after_gram_step(state, 100.0, 50.0)  # its references are outdated
    assert state[choice.SCREENED] == 1
    for _ in range(choice.RECHECK):
        assert state[choice.SCREENED] == 1
        choice.after_screened_step(state, 80.0, False)
    assert state[choice.SCREENED] == 0
    assert not choice.after_gram_step(state, 100.0, 50.0)
    assert state[choice.SCREENED] == 1
