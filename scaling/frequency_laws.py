"""Laws of the feature frequencies p_i. A law is registered here and nowhere else: docs/extending.md shows how."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


FloatArray = NDArray[np.float64]
DECAY_LENGTH = 400  # features, of the exponential law (the paper's exponential1)


@dataclass(frozen=True, kw_only=True)
class FrequencyLaw:
    """A law p_i ~ weight(i, n, alpha) for i = 1 .. n, and how figures show it."""

    weight: Callable[[FloatArray, int, float], FloatArray]  # any scale: p is normalised so that its sum is E
    formula: str  # in plain text, for the data dictionary
    label: str  # in figures
    marker: str  # in figures: a marker of Matplotlib
    has_alpha: bool = False  # whether the data exponent is a parameter of the law


FREQUENCY_LAWS = {
    "power_law": FrequencyLaw(
        weight=lambda i, n, alpha: i**-alpha,
        formula="i^-alpha",
        label="power law",
        marker="o",
        has_alpha=True,
    ),
    "exponential": FrequencyLaw(
        weight=lambda i, n, alpha: np.exp(-i / DECAY_LENGTH),
        formula=f"e^(-i/{DECAY_LENGTH})",
        label="exponential",
        marker="s",
    ),
    "linear": FrequencyLaw(
        weight=lambda i, n, alpha: (n - i) / n,
        formula="(n - i)/n",
        label="linear",
        marker="^",
    ),
}
