"""The training recipe: how a toy model is initialised and how its learning rates run."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.settings import check, setting
from scaling.toy.initial_bias import draw_initial_bias


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training; the defaults are the paper's (appendix on toy models) for n = 1000.

    The learning rates at width m are learning_rate (m / reference_width)^learning_rate_exponent for W, and
    bias_learning_rate (m / reference_width)^bias_learning_rate_exponent for b.
    Raises InputError for a value that no training can have.
    """

    steps: int = setting(20_000, description="training steps", minimum=1, maximum=10_000_000)
    batch_size: int = setting(2048, description="fresh samples per step", minimum=1, maximum=1_000_000)
    learning_rate: float = setting(
        0.01, description="peak learning rate of W at the reference width", exclusiveMinimum=0
    )
    learning_rate_exponent: float = setting(
        0.0, description="power of m / reference_width in the learning rate of W", minimum=-10, maximum=10
    )
    bias_learning_rate: float = setting(
        0.01, description="peak learning rate of b at the reference width", exclusiveMinimum=0
    )
    bias_learning_rate_exponent: float = setting(
        0.0, description="power of m / reference_width in the learning rate of b", minimum=-10, maximum=10
    )
    reference_width: int = setting(8, description="width m at which the learning rates are given", minimum=1)
    warmup_steps: int = setting(
        2000, description="steps of linear warm-up before the cosine", minimum=0, maximum=10_000_000
    )
    final_share: float = setting(
        0.05, description="share of the peak learning rate at the last step", minimum=0, maximum=1
    )
    loss_scale: float = setting(1.0, description="factor on the loss before the gradient is taken", exclusiveMinimum=0)
    beta1: float = setting(0.9, description="Adam's decay of the mean gradient", minimum=0, exclusiveMaximum=1)
    beta2: float = setting(
        0.999, description="Adam's decay of the mean squared gradient", minimum=0, exclusiveMaximum=1
    )
    epsilon: float = setting(1e-8, description="Adam's epsilon", exclusiveMinimum=0)

    def __post_init__(self) -> None:
        check(self)
        if self.warmup_steps > self.steps:
            raise InputError(f"warmup_steps = {self.warmup_steps}: must lie between 0 and steps = {self.steps}")

    def schedule(self) -> NDArray[np.float64]:
        """Share of the peak learning rate at each step, shape (steps,): linear warm-up, then cosine to final_share."""
        step = np.arange(self.steps)
        rest = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        cosine = self.final_share + (1 - self.final_share) * 0.5 * (1 + np.cos(np.pi * rest))
        return np.where(step < self.warmup_steps, (step + 1) / max(self.warmup_steps, 1), cosine)

    def learning_rates(self, m: int) -> tuple[float, float]:
        """Peak learning rates of W and b at width m."""
        width = m / self.reference_width
        return (
            self.learning_rate * width**self.learning_rate_exponent,
            self.bias_learning_rate * width**self.bias_learning_rate_exponent,
        )


def initial_state(
    n: int, m: int, rng: np.random.Generator, initial_bias: str | float = "normal"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return W ~ N(0, 1/m), shape (n, m), and b ~ N(0, 1) unless initial_bias says otherwise, shape (n,), float32.

    W does not depend on initial_bias. Source: the paper's appendix on toy models. Raises InputError.
    """
    W = rng.standard_normal((n, m), dtype=np.float32) / np.float32(math.sqrt(m))
    return W, draw_initial_bias(initial_bias, n, rng)
