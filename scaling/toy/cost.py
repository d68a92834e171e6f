"""Model of the training time on the CPU engine, fitted to trainings whose seconds are known."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from scaling.toy.cell import Cell
from scaling.toy.recipe import Recipe


def terms(cell: Cell, recipe: Recipe) -> NDArray[np.float64]:
    """Return the predictors of the training time, shape (8,): four terms for each sign of gamma."""
    active = -np.expm1(recipe.batch_size * np.log1p(-np.minimum(cell.p, 1 - 1e-12))).sum()
    entries = recipe.batch_size * cell.p.sum()
    step = np.array([1, active * cell.n * cell.m, entries * cell.n, cell.n * cell.m])
    zero = np.zeros(4)
    return recipe.steps * np.concatenate([zero, step] if cell.gamma < 0 else [step, zero])


class CostModel:
    """Training time fitted to a timed sample; relative_error is the standard deviation over the sample."""

    def __init__(self, cells: Sequence[Cell], recipes: Sequence[Recipe], seconds: NDArray[np.float64]) -> None:
        design = np.array([terms(cell, recipe) for cell, recipe in zip(cells, recipes, strict=True)])
        self.scale = np.maximum(design.max(axis=0), 1e-300)
        self.coefficients, _ = nnls(design / self.scale / seconds[:, None], np.ones(len(seconds)))
        self.relative_error = float(np.std(design @ (self.coefficients / self.scale) / seconds - 1))

    def seconds(self, cell: Cell, recipe: Recipe) -> float:
        """Predicted CPU seconds of one training."""
        return float(terms(cell, recipe) @ (self.coefficients / self.scale))
