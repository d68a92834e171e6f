import numpy as np
import pytest
from scipy import optimize

from scaling import geometry
from scaling.toy.evaluation import held_out_loss
from scaling.toy.features import dense, draw_batch, frequencies
from scaling.toy.recipe import Recipe, initial_state
from scaling.toy.refit import STEP, best_bias, refit_bias_and_norms


def test_best_bias_is_the_minimum_of_the_loss_on_the_same_samples():
    p = frequencies("power_law", 12, 1.0, 1.0)
    W, _ = initial_state(12, 3, np.random.default_rng(0))
    found = best_bias(W, p, 2048, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    x = dense(draw_batch(rng, p, 2048), 12).astype(np.float64)
    z = x @ W @ W.T

    def loss(bias, j):
        return np.mean((np.maximum(z[:, j] + bias, 0) - x[:, j]) ** 2)

    for j in range(12):
        best = optimize.brute(loss, [slice(-4, 2, 0.005)], args=(j,), finish=None, full_output=True)[1]
        assert loss(found[j], j) == pytest.approx(best, abs=STEP**2)


def test_best_bias_of_orthogonal_rows_is_zero():
    assert np.abs(best_bias(np.eye(5), np.full(5, 0.2), 4096, np.random.default_rng(0))).max() <= STEP


def test_refit_of_bias_and_norms_keeps_directions_and_lowers_the_loss():
    p = frequencies("power_law", 40, 1.0, 1.0)
    W, b = initial_state(40, 6, np.random.default_rng(0))
    recipe = Recipe(steps=300, batch_size=256, warmup_steps=0)
    W_after, b_after = refit_bias_and_norms(W, b, p, recipe, np.random.default_rng(1))
    alignment = np.abs(np.einsum("ij,ij->i", geometry.unit_rows(W), geometry.unit_rows(W_after)))
    np.testing.assert_allclose(alignment, 1, rtol=1e-5)
    before, after = (
        held_out_loss(*state, p, 8192, np.random.default_rng(2)).loss for state in ((W, b), (W_after, b_after))
    )
    assert after < 0.8 * before
