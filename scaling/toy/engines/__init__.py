"""Engines that train the toy model; each implements `Engine`.

- numba_engine: one model on one CPU thread, compiled by Numba.
- torch_engine: a stack of models in PyTorch, on a GPU.
- plain_engine: the definition in model.py with autograd, one model on the CPU; the slow one.

The first two are written for the definition in model.py as it was when DEFINITION was set. They refuse a changed one.
"""

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError


DEFINITION = "84fc47e925bbd81b"  # of model.py; set it when the engines follow a change there


def definition() -> str:
    """Return 16 hexadecimal digits of the code in model.py that can change a number."""
    from scaling.sources import code_of  # here, so that fingerprints of trainings do not follow it

    return hashlib.sha256(code_of(Path(__file__).parents[1] / "model.py").encode()).hexdigest()[:16]


def check_definition(engine: str) -> None:
    """Raise InputError when model.py defines another model, loss or step than the engine computes."""
    if definition() != DEFINITION:
        raise InputError(
            f"engine {engine}: scaling/toy/model.py was changed, and this engine computes the model as it was; "
            "use the engine plain, which follows model.py"
        )


class Engine(Protocol):
    """A training in progress: one model, or a stack of models along the first axis of its results."""

    @property
    def step(self) -> int:
        """Steps done."""

    def advance(self, steps: int) -> NDArray[np.float64]:
        """Train `steps` steps on fresh samples; return the training loss of each, summed over features.

        Raises ValueError for more steps than the recipe has.
        """

    def state(self) -> tuple[Any, Any]:
        """Return copies of W (n, m) and b (n,), float32; a stack returns one list of each."""
