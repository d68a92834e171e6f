"""The recipe: learning-rate schedule against PyTorch's own schedulers, refused values, initial state."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler

from scaling.command import InputError
from scaling.toy.recipe import Recipe, initial_state


def test_defaults_are_the_paper() -> None:
    recipe = Recipe()
    assert (recipe.steps, recipe.batch_size, recipe.warmup_steps) == (20_000, 2048, 2000)
    assert (recipe.beta1, recipe.beta2, recipe.epsilon, recipe.loss_scale) == (0.9, 0.999, 1e-8, 1)
    assert recipe.learning_rates(10) == recipe.learning_rates(100) == (0.01, 0.01)


def rates(scheduler_of: Callable[[torch.optim.Optimizer], LRScheduler], count: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = scheduler_of(optimizer), []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_schedule_is_linear_warm_up_then_cosine() -> None:
    warm_up = rates(lambda optimizer: LinearLR(optimizer, 1 / 20, total_iters=19), 20)
    cosine = rates(lambda optimizer: CosineAnnealingLR(optimizer, 180, eta_min=0.05), 180)
    schedule = Recipe(steps=200, warmup_steps=20, final_share=0.05).schedule()
    np.testing.assert_allclose(schedule, warm_up + cosine, rtol=1e-12)


@pytest.mark.parametrize("warmup_steps", [0, 1, 50])
def test_schedule_reaches_1_once_and_never_leaves_its_range(warmup_steps: int) -> None:
    share = Recipe(steps=50, warmup_steps=warmup_steps).schedule()
    assert share.shape == (50,)
    assert share.max() == 1
    assert share[max(warmup_steps - 1, 0)] == 1
    assert share.min() >= (1 / 50 if warmup_steps else 0.05)


def test_learning_rates_of_the_large_study() -> None:
    recipe = Recipe(
        learning_rate=0.02, learning_rate_exponent=-0.25, bias_learning_rate=0.25, bias_learning_rate_exponent=-1
    )
    for m in (8, 64, 1024):
        assert recipe.learning_rates(m) == pytest.approx((0.02 * (8 / m) ** 0.25, 2 / m), rel=1e-12)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0), ("batch_size", 0), ("reference_width", 0), ("warmup_steps", -1), ("warmup_steps", 20_001),
        ("learning_rate", 0.0), ("learning_rate", math.nan), ("bias_learning_rate", math.inf), ("loss_scale", -1.0),
        ("epsilon", 0.0), ("beta1", 1.0), ("beta2", 1.0), ("beta2", -0.1), ("final_share", 1.1),
        ("learning_rate_exponent", math.nan), ("bias_learning_rate_exponent", math.inf),
    ],
)  # fmt: skip
def test_a_value_that_no_training_can_have_is_named(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{key} = {value}: must"):
        Recipe(**{key: value})


def test_initial_state_is_normal_and_follows_its_seed() -> None:
    W, b = initial_state(3000, 16, np.random.default_rng(1))
    assert W.dtype == b.dtype == np.float32
    assert (W.shape, b.shape) == ((3000, 16), (3000,))
    assert stats.kstest(W.ravel(), stats.norm(0, 1 / 4).cdf).pvalue > 1e-4
    assert stats.kstest(b, stats.norm(0, 1).cdf).pvalue > 1e-4
    assert initial_state(3000, 16, np.random.default_rng(1))[0].tobytes() == W.tobytes()
    assert initial_state(3000, 16, np.random.default_rng(2))[0].tobytes() != W.tobytes()
