"""The definition of the toy model against sums written out and Adam as its paper states it."""

import numpy as np
import pytest
import torch
from scipy import stats
from toy_oracle import double, model_state

from scaling.toy.model import PlainTraining, ToyModel, decay_rows, draw_dense, mean_loss
from scaling.toy.recipe import Recipe


def test_output_and_loss_are_the_sums_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    W, b, x = rng.standard_normal((4, 2)), rng.standard_normal(4), rng.uniform(0, 2, (3, 4))
    expected = [
        [
            max(sum(x[s, i] * W[i, c] * W[j, c] for i in range(4) for c in range(2)) + b[j], 0)
            for j in range(4)
        ]
        for s in range(3)
    ]  # fmt: skip
    y = ToyModel(double(W), double(b))(double(x))
    np.testing.assert_allclose(y.detach(), expected, rtol=1e-12)
    total = sum((expected[s][j] - x[s, j]) ** 2 for s in range(3) for j in range(4))
    assert mean_loss(y, double(x)).item() == pytest.approx(total / 12, rel=1e-12)


def test_dense_draws_have_their_frequencies_and_values() -> None:
    p = double(np.array([1.0, 0.3, 0.01, 0.0]))
    x = draw_dense(p, 50_000, torch.Generator().manual_seed(1)).numpy()
    active = (x > 0).sum(0)
    assert active[0] == 50_000
    assert active[3] == 0
    assert stats.binomtest(int(active[1]), 50_000, 0.3).pvalue > 1e-4
    assert stats.binomtest(int(active[2]), 50_000, 0.01).pvalue > 1e-4
    assert stats.kstest(x[:, 0], stats.uniform(0, 2).cdf).pvalue > 1e-4


def test_positive_decay_shrinks_every_row() -> None:
    W = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    before = W.clone()
    decay_rows(W, 0.02)
    torch.testing.assert_close(W, 0.98 * before, rtol=1e-15, atol=0)
    decay_rows(W, 0.0)
    torch.testing.assert_close(W, 0.98 * before, rtol=1e-15, atol=0)


def test_negative_decay_pulls_norms_to_1_and_keeps_directions() -> None:
    norm = torch.tensor([0.0, 0.2, 1.0, 3.0], dtype=torch.float64)[:, None]
    direction = torch.tensor([[0.6, -0.8]], dtype=torch.float64)
    W = norm * direction
    decay_rows(W, -0.05)
    expected = torch.where(norm > 0, norm - 0.05 * (norm - 1), 0)
    torch.testing.assert_close(W, expected * direction, rtol=1e-14, atol=0)


@pytest.mark.parametrize("gamma", [-0.7, 0.0, 0.5])
@pytest.mark.parametrize("loss_scale", [1.0, 100.0])
def test_training_is_decay_then_adam(gamma: float, loss_scale: float) -> None:
    recipe = Recipe(
        steps=4,
        warmup_steps=2,
        batch_size=6,
        bias_learning_rate=0.003,
        learning_rate_exponent=-0.5,
        loss_scale=loss_scale,
    )
    rng = np.random.default_rng(2)
    W, b = (array.astype(np.float64) for array in model_state(5, 2, "mixed", rng))
    model = ToyModel(double(W), double(b))
    training = PlainTraining(model, gamma, recipe, learning_rate_factor=2.0)
    moments = [np.zeros((2, *W.shape)), np.zeros((2, *b.shape))]
    for t in range(4):
        x = rng.uniform(0, 2, (6, 5)) * (rng.random((6, 5)) < 0.4)
        z = x @ W @ W.T + b
        d = np.where(z > 0, z - x, 0)
        loss = np.mean((np.maximum(z, 0) - x) ** 2)
        gradients = [2 / 30 * loss_scale * (d.T @ x + x.T @ d) @ W, 2 / 30 * loss_scale * d.sum(0)]
        rates = 2 * np.array([0.01 * (2 / 8) ** -0.5, 0.003]) * recipe.schedule()[t]
        norm = np.linalg.norm(W, axis=1, keepdims=True)
        pull = 1 - 1 / np.where(norm > 0, norm, 1) if gamma < 0 else -1
        W = W * (1 + rates[0] * gamma * pull)
        steps = []
        for moment, g, rate in zip(moments, gradients, rates, strict=True):
            moment[:] = 0.9 * moment[0] + 0.1 * g, 0.999 * moment[1] + 0.001 * g**2
            first, second = moment[0] / (1 - 0.9 ** (t + 1)), moment[1] / (1 - 0.999 ** (t + 1))
            steps.append(rate * first / (np.sqrt(second) + 1e-8))
        W, b = W - steps[0], b - steps[1]
        assert training.train_on(double(x)) == pytest.approx(5 * loss, rel=1e-12)
        np.testing.assert_allclose(model.W.detach(), W, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model.b.detach(), b, rtol=1e-9, atol=1e-12)
