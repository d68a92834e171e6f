"""The definition as an engine: `scaling.toy.model` with autograd on dense samples, on the CPU.

It takes the model, the loss and the step from model.py, so that a change there is trained as it is. It is slow.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from scaling.toy import features
from scaling.toy.model import PlainTraining, ToyModel
from scaling.toy.recipe import Recipe


class PlainEngine:
    """A training in progress. The samples are those of the CPU engine: the losses differ by rounding only."""

    def __init__(
        self,
        W: NDArray[np.float32],
        b: NDArray[np.float32],
        p: NDArray[np.float64],
        gamma: float,
        recipe: Recipe,
        rng: np.random.Generator,
        learning_rate_factor: float = 1.0,
    ) -> None:
        self.p, self.rng, self.recipe = p, rng, recipe
        model = ToyModel(torch.from_numpy(W), torch.from_numpy(b))
        self.training = PlainTraining(model, gamma, recipe, learning_rate_factor)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.training.step

    def advance(self, steps: int) -> NDArray[np.float64]:
        """Train `steps` steps on fresh samples; return the loss of each. Raises ValueError for too many steps."""
        if self.step + steps > self.recipe.steps:
            raise ValueError(f"{self.step} + {steps} steps, but the recipe has {self.recipe.steps}")
        losses = np.empty(steps)
        for k in range(steps):
            batch = features.draw_batch(self.rng, self.p, self.recipe.batch_size)
            losses[k] = self.training.train_on(torch.from_numpy(features.dense(batch, len(self.p))))
        return losses

    def state(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return copies of W (n, m) and b (n,), float32."""
        model = self.training.model
        return model.W.detach().numpy().copy(), model.b.detach().numpy().copy()
