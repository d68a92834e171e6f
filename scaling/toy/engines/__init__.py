"""Engines that train the toy model; each implements `Engine`.

- numba_engine: one model on one CPU thread, compiled by Numba.
- torch_engine: a stack of models in PyTorch, on a GPU.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """A training in progress: one model, or a stack of models along the first axis of its results."""

    step: int  # steps done

    def advance(self, steps: int) -> NDArray[np.float64]:
        """Train `steps` steps on fresh samples; return the training loss of each, summed over features.

        Raises ValueError for more steps than the recipe has.
        """

    def state(self) -> tuple[Any, Any]:
        """Return copies of W (n, m) and b (n,), float32; a stack returns one list of each."""
