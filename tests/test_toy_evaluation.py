import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling.toy.evaluation import held_out_loss, silent_features
from scaling.toy.features import dense, draw_batch, frequencies
from scaling.toy.model import ToyModel
from scaling.toy.recipe import initial_state


def test_held_out_loss_equals_the_definition_on_the_same_samples():
    p = frequencies("power_law", 60, 1.0, 1.5)
    W, b = initial_state(60, 7, np.random.default_rng(0))
    measured = held_out_loss(W, b, p, 4096, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    x = torch.from_numpy(np.concatenate([dense(draw_batch(rng, p, 2048), 60) for _ in range(2)])).double()
    model = ToyModel(torch.from_numpy(W).double(), torch.from_numpy(b).double())
    with torch.no_grad():
        error = (model(x) - x) ** 2
        own = (torch.relu(x * (model.W**2).sum(1) + model.b) - x) ** 2
    assert measured.loss == pytest.approx(error.sum(1).mean().item(), rel=1e-6)
    assert measured.loss_stderr == pytest.approx(error.sum(1).std().item() / 64, rel=1e-5)
    np.testing.assert_allclose(measured.by_feature, error.mean(0), rtol=1e-4)
    assert measured.by_feature.sum() == pytest.approx(measured.loss)
    active, silent = x > 0, torch.from_numpy(silent_features(W, b))
    parts = {
        "silent": error * (active & silent),
        "shrink": own * (active & ~silent),
        "interference": (error - own) * (active & ~silent),
        "false": error * ~active,
    }
    assert 0 < silent.sum() < 60
    for name, part in parts.items():
        mean, stderr = measured.parts[name]
        assert mean == pytest.approx(part.sum(1).mean().item(), rel=1e-4)
        assert stderr == pytest.approx(part.sum(1).std().item() / 64, rel=1e-4)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40), st.floats(0, 2), st.floats(-2, 1), st.floats(0.3, 2))
def test_the_parts_sum_to_the_loss(seed, n, alpha, bias, scale):
    p = frequencies("power_law", n, alpha, 0.9)
    W, b = initial_state(n, max(n // 4, 1), np.random.default_rng(seed), bias)
    measured = held_out_loss(np.float32(scale) * W, b, p, 64, np.random.default_rng(seed))
    assert sum(mean for mean, _ in measured.parts.values()) == pytest.approx(measured.loss, rel=1e-9, abs=1e-12)


def test_one_feature_alone_is_answered_as_worked_out_by_hand():
    """y = ReLU(x |W|^2 + b) with |W|^2 = 1 and b = -1/2, x ~ U(0, 2)."""
    p = np.array([0.5])
    measured = held_out_loss(np.ones((1, 1), np.float32), np.float32([-0.5]), p, 2**17, np.random.default_rng(0))
    # x < 1/2 gives no output: int_0^.5 x^2 dx/2 = 1/48; else the error is 1/2: (1/4) (1.5/2) = 3/16
    mean, stderr = measured.parts["shrink"]
    assert mean == pytest.approx(0.5 * (1 / 48 + 3 / 16), abs=5 * stderr)
    assert measured.parts["silent"] == measured.parts["false"] == (0, 0)
    assert measured.parts["interference"][0] == pytest.approx(0, abs=1e-6)  # float32 against float64


def test_a_feature_is_silent_when_it_cannot_fire_at_its_largest_value():
    W = np.array([[1.0], [1.0], [0.5], [0.0]], np.float32)
    assert list(silent_features(W, np.float32([-1.99, -2, -0.6, 0]))) == [False, True, True, True]
