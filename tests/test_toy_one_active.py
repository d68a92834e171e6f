import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from scaling.command import InputError
from scaling.toy.evaluation import silent_features
from scaling.toy.features import frequencies
from scaling.toy.model import ToyModel
from scaling.toy.one_active import false_error, live_columns, odds_weights, one_active_loss, own_error
from scaling.toy.recipe import initial_state


V = (np.arange(200_000) + 0.5) / 100_000  # midpoints of (0, 2)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.floats(0, 4), st.floats(-3, 3))
def test_own_error_is_the_integral(g, b):
    expected = np.mean((np.maximum(V * g + b, 0) - V) ** 2)
    assert own_error(g, b) == pytest.approx(expected, rel=1e-6, abs=1e-8)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.floats(-2, 2), st.floats(-3, 3))
def test_false_error_is_the_integral(g, b):
    ends = [0.0, 2.0] if g == 0 else sorted({0.0, 2.0, float(np.clip(-b / g, 0, 2))})
    pieces = [
        integrate.quad(lambda v: max(v * g + b, 0) ** 2 / 2, low, high)[0] for low, high in itertools.pairwise(ends)
    ]
    assert false_error(g, b) == pytest.approx(sum(pieces), rel=1e-6, abs=1e-9)


def test_false_error_without_cancellation_at_tiny_overlaps():
    np.testing.assert_allclose(false_error([1e-12, -1e-12, 0.0], 0.3), 0.09, rtol=1e-9)
    assert list(false_error([0.0, 1e-12, 0.1], [-0.1, -0.1, -0.2])) == [0, 0, 0]


def test_silent_features_cost_four_thirds():
    assert own_error([0.5, 0.3, 0.0], [-1.0, -2.0, 0.0]) == pytest.approx([4 / 3] * 3)


def test_odds_weights_count_samples_with_one_active_feature():
    p = np.array([0.9, 0.5, 0.1])
    alone = np.array([0.9 * 0.5 * 0.9, 0.1 * 0.5 * 0.9, 0.1 * 0.5 * 0.1])
    np.testing.assert_allclose(odds_weights(p), alone / alone.sum())
    np.testing.assert_allclose(odds_weights(np.array([1.0, 0.5])), [1, 0])
    with pytest.raises(InputError, match="no sample has exactly one"):
        odds_weights(np.array([1.0, 1.0]))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_parts_equal_the_definition_on_every_value_of_every_feature(alpha):
    """Brute force: each feature alone at 400 values, by the plain model in float64, weighted by odds."""
    p = frequencies("power_law", 30, alpha, 1.2)
    W, b = initial_state(30, 4, np.random.default_rng(0))
    values = (np.arange(2000) + 0.5) / 1000
    model = ToyModel(torch.from_numpy(W).double(), torch.from_numpy(b).double())
    parts = {"silent": 0.0, "shrink": 0.0, "false": 0.0}
    silent = silent_features(W, b)
    assert 0 < silent.sum() < 30
    for i, q in enumerate(odds_weights(p)):
        x = torch.zeros(len(values), 30, dtype=torch.float64)
        x[:, i] = torch.from_numpy(values)
        with torch.no_grad():
            error = ((model(x) - x) ** 2).mean(0).numpy()
        parts["silent" if silent[i] else "shrink"] += q * error[i]
        parts["false"] += q * (error.sum() - error[i])
    split = one_active_loss(W, b, p)
    for name, expected in parts.items():
        assert getattr(split, name) == pytest.approx(expected, rel=1e-5)
    assert split.loss == pytest.approx(sum(parts.values()), rel=1e-5)


def test_closed_form_against_sampling_of_the_features():
    """Samples of the frequencies themselves, those with one active feature kept: within four standard errors."""
    p, rng = frequencies("power_law", 60, 1.0, 1.0), np.random.default_rng(1)
    W, b = initial_state(60, 6, rng)
    x = np.where(rng.random((60_000, 60)) < p, 2 * rng.random((60_000, 60)), 0)
    x = x[(x > 0).sum(axis=1) == 1]
    losses = np.square(np.maximum(x @ W @ W.T + b, 0) - x).sum(axis=1)
    assert one_active_loss(W, b, p).loss == pytest.approx(losses.mean(), abs=4 * losses.std() / len(x) ** 0.5)


def test_without_bias_features_are_silent_exactly_when_their_row_is_zero():
    """Weak superposition: rows are 0 or unit vectors, so the split is the one by represented features."""
    W = np.zeros((5, 3))
    W[:3] = np.eye(3)
    p = np.array([0.5, 0.4, 0.3, 0.2, 0.1])
    split = one_active_loss(W, np.zeros(5), p)
    assert split.silent == pytest.approx(4 / 3 * odds_weights(p)[3:].sum())
    assert (split.shrink, split.false) == (0, 0)


def test_columns_of_live_features():
    W, b, p = np.eye(4)[:, :3] * 1.1, np.float64([-0.2, -0.4, -3, 0]), np.full(4, 0.25)
    columns = live_columns(W, b, p)
    assert columns["n_live"] == 2
    assert columns["frequency_live"] == 0.5
    assert columns["mean_bias_live"] == pytest.approx(-0.3)
    assert columns["mean_sq_norm_live"] == pytest.approx(1.21)
    assert columns["mean_fourth_overlap_live"] == 0
    assert live_columns(W, np.full(4, -9.0), p)["mean_bias_live"] is None
