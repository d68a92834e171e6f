"""Train and evaluate one toy model from Python: `scaling.train` and `scaling.evaluate`."""

from typing import Any

import numpy as np

from scaling.command import InputError
from scaling.toy.cell import Cell
from scaling.toy.evaluation import HeldOut, held_out_loss
from scaling.toy.measurement import HELD_OUT_SAMPLES
from scaling.toy.model_file import TrainedModel
from scaling.toy.recipe import Recipe
from scaling.toy.training import Trained, one_thread, train_model


def train(
    *,
    m: int,
    gamma: float,
    n: int = Cell.n,
    alpha: float | None = Cell.alpha,
    frequency_law: str = Cell.frequency_law,
    activation_density: float = Cell.activation_density,
    initial_bias: str | float = Cell.initial_bias,
    learning_rate_factor: float = Cell.learning_rate_factor,
    seed: int = Cell.seed,
    engine: str = "numba",
    **recipe: Any,
) -> Trained:
    """Train one toy model, y = ReLU(x W W^T + b), on one CPU thread (paper, Eqs. 2 and 3, and its appendix).

    n features, model dimension m, weight decay gamma, data exponent alpha (None: 1 for the power law). `recipe` holds
    settings of `scaling.toy.recipe.Recipe` such as steps, batch_size and warmup_steps; the defaults are the paper's.
    The engine is numba, or plain: autograd on the definition in scaling/toy/model.py.
    The result has W (n, m), b (n,), p (n,) and losses (steps,). Equal arguments give the same bits, also on the command
    line and in the workflow. Raises InputError for a value that no model can have, DivergedError for a loss that is
    not finite.
    """
    if engine not in ("numba", "plain"):
        raise InputError(
            f"engine = {engine!r}: must be numba or plain; stacks on a GPU are trained by the command line"
        )
    cell = Cell(
        n=n,
        m=m,
        gamma=gamma,
        alpha=alpha,
        frequency_law=frequency_law,
        activation_density=activation_density,
        initial_bias=str(initial_bias),
        learning_rate_factor=learning_rate_factor,
        seed=seed,
    )
    with one_thread():
        return train_model(cell, Recipe(**recipe), engine)


def evaluate(
    model: Trained | TrainedModel, n_samples: int = HELD_OUT_SAMPLES, rng: np.random.Generator | None = None
) -> HeldOut:
    """Return the held-out loss of a toy model with its standard error and its parts (see `scaling.toy.evaluation`).

    The default `rng` is the model's own stream of held-out samples: the loss is then that of toy_models.csv.
    Raises InputError for fewer than two samples.
    """
    if n_samples < 2:
        raise InputError(f"n_samples = {n_samples}: a standard error needs at least 2")
    with one_thread():
        return held_out_loss(model.W, model.b, model.p, n_samples, rng or model.cell.random_streams()[2])
