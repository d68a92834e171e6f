"""Outputs whose sign a bound settles: the bound holds, and their closed form is the gradient of the definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_oracle import TOLERANCE, autograd, batch_of, errors, unavoidable

from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.engines.outputs import ON, SILENT
from scaling.toy.features import dense, draw_batch, frequencies
from scaling.toy.recipe import Recipe


def engine(W: np.ndarray, b: np.ndarray, batch_size: int) -> NumbaEngine:
    recipe = Recipe(steps=1, warmup_steps=0, batch_size=batch_size)
    return NumbaEngine(W, b, np.ones(len(b)), 0.0, recipe, np.random.default_rng(0))


def weak(n: int, m: int, kept: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A model in the weak regime: `kept` rows of length near 1, the others almost empty with b of either sign."""
    W = rng.standard_normal((n, m)) / np.sqrt(m)
    W[kept:] *= 10.0 ** rng.uniform(-6, -1, (n - kept, 1))
    b = np.where(rng.random(n) < 0.5, 1, -1) * 10.0 ** rng.uniform(-4, 0, n)
    return W.astype(np.float32), b.astype(np.float32)


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 40), st.floats(0.2, 4), st.booleans(), st.integers(0, 999))
def test_a_model_in_the_weak_regime(n: int, m: int, kept: int, E: float, backward: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, b = weak(n, min(m, n), min(kept, n), rng)
    batch = draw_batch(rng, frequencies("linear", n, None, min(E, n / 3)), 50)
    model, x = engine(W, b, 50), dense(batch, n)
    found = model.gradients(batch, "dense" if backward else "sparse")
    expected = autograd(W, b, x)
    assert max(errors(found, expected)) < max(TOLERANCE, 4 * unavoidable(W, b, x))

    z = x.astype(np.float64) @ W @ W.T + b
    place = model.work.place_live
    settled_on = place == ON
    assert (z[:, settled_on] > 0).all()
    assert (z[:, place == SILENT] <= 0).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_empty_rows_are_all_settled(sign: int) -> None:
    n = 30
    W, b = np.zeros((n, 4), np.float32), np.full(n, sign * 0.1, np.float32)
    batch = draw_batch(np.random.default_rng(1), frequencies("power_law", n, 1.0, 2.0), 64)
    model = engine(W, b, 64)
    assert max(errors(model.gradients(batch), autograd(W, b, dense(batch, n)))) < TOLERANCE
    assert (model.work.place_live == (ON if sign > 0 else SILENT)).all()


def test_outputs_far_above_zero_are_linear() -> None:
    """With every output positive the loss is a polynomial of W and b; one sample of every kind is in the batch."""
    rng = np.random.default_rng(2)
    W, b = (rng.standard_normal((20, 5)) / 5).astype(np.float32), np.full(20, 9, np.float32)
    x = (rng.uniform(0, 2, (40, 20)) * (rng.random((40, 20)) < 0.08)).astype(np.float32)
    assert {0, 1, 2} <= set((x > 0).sum(1))
    model = engine(W, b, 40)
    assert max(errors(model.gradients(batch_of(x)), autograd(W, b, x))) < TOLERANCE
    assert (model.work.place_live == ON).all()
