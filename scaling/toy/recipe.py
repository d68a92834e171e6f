"""The training recipe: how a toy model is initialised and how its learning rates run."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.toy.initial_bias import draw_initial_bias


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training; the defaults are the paper's (appendix on toy models) for n = 1000.

    The learning rates at width m are learning_rate (m / reference_width)^learning_rate_exponent for W, and
    bias_learning_rate (m / reference_width)^bias_learning_rate_exponent for b.
    Raises InputError for a value that no training can have.
    """

    steps: int = 20_000
    batch_size: int = 2048
    learning_rate: float = 0.01
    learning_rate_exponent: float = 0.0
    bias_learning_rate: float = 0.01
    bias_learning_rate_exponent: float = 0.0
    reference_width: int = 8
    warmup_steps: int = 2000
    final_share: float = 0.05
    loss_scale: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "reference_width"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}: must be at least 1")
        if not 0 <= self.warmup_steps <= self.steps:
            raise InputError(f"warmup_steps = {self.warmup_steps}: must lie between 0 and steps = {self.steps}")
        for name in ("learning_rate", "bias_learning_rate", "loss_scale", "epsilon"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"{name} = {getattr(self, name)}: must be finite and above 0")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}: must be at least 0 and below 1")
        for name in ("learning_rate_exponent", "bias_learning_rate_exponent"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"{name} = {getattr(self, name)}: must be finite")
        if not 0 <= self.final_share <= 1:
            raise InputError(f"final_share = {self.final_share}: must lie between 0 and 1")

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
