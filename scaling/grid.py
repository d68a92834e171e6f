"""Axes of a grid in the config: a number, a list, or {from, to, points} for equal steps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scaling.command import InputError


def axis(name: str, value: Any, largest: float = math.nan) -> list[Any]:
    """Return the points of the axis `name`. Raises InputError for an empty axis.

    Equal steps are rounded to ten digits, so that a config can name the same point: -0.5555555556 for -5/9.
    `to: largest` stands for the number `largest`.
    """
    if isinstance(value, Mapping):
        stop = largest if value["to"] == "largest" else value["to"]
        with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses points that are not finite
            points = [float(f"{point:.10g}") for point in np.linspace(value["from"], stop, value["points"])]
    else:
        points = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not points:
        raise InputError(f"{name} is empty; give at least one value")
    return points
