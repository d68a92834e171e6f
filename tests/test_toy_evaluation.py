import numpy as np
import pytest
import torch

from scaling.toy.evaluation import held_out_loss, measures
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
    assert measured.loss == pytest.approx(error.sum(1).mean().item(), rel=1e-6)
    assert measured.loss_stderr == pytest.approx(error.sum(1).std().item() / 64, rel=1e-5)
    np.testing.assert_allclose(measured.by_feature, error.mean(0), rtol=1e-4)
    assert measured.by_feature.sum() == pytest.approx(measured.loss)


def test_dead_features_cost_what_theory_says():
    n, p = 50, frequencies("linear", 50, None, 1.0)
    W, b = np.zeros((n, 3), np.float32), p.astype(np.float32)  # the bias answers with the mean <v> p_i
    measured = held_out_loss(W, b, p, 2**17, np.random.default_rng(2))
    columns = measures(W, p, measured)
    assert columns["loss_unrepresented"] == pytest.approx(measured.loss)
    assert columns["loss_unlearned"] == pytest.approx(measured.loss, abs=4 * measured.loss_stderr)
    assert columns["n_unrepresented"] == n
    assert columns["mean_sq_overlap"] is None


def test_measures_keep_strong_and_weak_rows_apart():
    p = frequencies("power_law", 5, 0.0, 1.0)
    W = np.array([[2, 0], [0, 2], [0.6, 0], [0.7, 0], [0.1, 0]], np.float32)
    columns = measures(W, p, held_out_loss(W, np.zeros(5, np.float32), p, 64, np.random.default_rng(0)))
    assert (columns["n_strong"], columns["n_weak"], columns["n_unrepresented"]) == (2, 2, 1)
    assert columns["mean_sq_overlap_strong"] == pytest.approx(0, abs=1e-12)
    assert columns["mean_cosine_weak"] == pytest.approx(1)
    assert columns["phi_half"] == pytest.approx(0.8)
    assert columns["phi_1"] == pytest.approx(0.4)
