"""How the bias b of a toy model starts: it decides how many features never fire after training.

| initial_bias | b at the start |
| --- | --- |
| normal | b_i ~ N(0, 1), the paper's |
| zero | b = 0 |
| a number c, such as -1 | b_i = c |
| normal times s, such as normal0.5 | b_i ~ N(0, s^2) |
"""

import math
import re

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError


ALLOWED = "normal, zero, a number, or normal followed by a factor such as normal0.5"


def parse(initial_bias: str | float) -> tuple[float, float]:
    """Return the mean and the standard deviation of b_i at the start. Raises InputError."""
    text = str(initial_bias)
    if text == "zero":
        return 0.0, 0.0
    spread = re.fullmatch(r"normal(\d+(\.\d+)?)?", text)
    if spread:
        return 0.0, float(spread[1] or 1)
    try:
        mean = float(text)
    except ValueError:
        mean = math.nan
    if isinstance(initial_bias, bool) or not math.isfinite(mean):
        raise InputError(f"initial_bias = {initial_bias!r}: must be {ALLOWED}")
    return mean, 0.0


def initial_bias_name(initial_bias: str | float) -> str:
    """Return the one spelling of an initial bias that names and tables use. Raises InputError."""
    mean, spread = parse(initial_bias)
    if spread:
        return "normal" if spread == 1 else f"normal{shortest(spread)}"
    return shortest(mean) if mean else "zero"


def shortest(value: float) -> str:
    """Return a number to six digits without an exponent, which argparse would take for an option."""
    return np.format_float_positional(float(f"{value:.6g}"), trim="-")


def draw_initial_bias(initial_bias: str | float, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return b at the start, shape (n,), float32. Raises InputError."""
    mean, spread = parse(initial_bias)
    return np.float32(mean) + np.float32(spread) * rng.standard_normal(n, dtype=np.float32)
