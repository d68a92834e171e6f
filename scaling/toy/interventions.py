r"""Change a trained toy model and measure what becomes of its loss: does the change cause the difference?

    python -m scaling.toy.interventions --folder results/toy/models \
        --model paper/power_law_n1000_alpha0_E1/gamma-0.555556/m39_seed0 --intervention revived --output revived.jsonl

writes one JSON line per refit. Interventions that train on, by the model's own recipe from its W and b:

| intervention | change |
| --- | --- |
| continued | none |
| revived | silent features get a random row of norm 1.2 and the median bias of the live features |
| gamma_zero | no weight decay |
| gamma_annealed | the decay falls linearly to 0 |
| longer | five times as many steps |
| revived_gamma_zero | revived, and no weight decay |

Interventions on the rows (b is refitted on independent samples; norms are kept, but in the refit of b and norms):

| intervention | change |
| --- | --- |
| overlaps | W_i . W_j, i != j, times s = 0, 0.25, 0.5, 0.75, 1; |W_i|^2 is kept; b kept, then refitted |
| rows_kept | none, for comparison |
| rows_random, rows_tight_frame, rows_least_coherent, rows_clustered | directions of scaling.toy.packings |

After a change of rows first b is refitted, then b and the norms, then everything is trained on.
"""

import argparse
import dataclasses
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scaling import geometry
from scaling.command import InputError, run, whole_file
from scaling.toy import packings
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.evaluation import held_out_loss, loss_columns, silent_features
from scaling.toy.measurement import HELD_OUT_SAMPLES
from scaling.toy.model_file import TrainedModel, read_models
from scaling.toy.recipe import Recipe
from scaling.toy.refit import best_bias, refit_bias_and_norms
from scaling.toy.training import check_finite, windows


TRAINED_ON = ("continued", "revived", "gamma_zero", "gamma_annealed", "longer", "revived_gamma_zero")
NEW_ROWS = ("rows_kept", *(f"rows_{name}" for name in packings.PACKINGS))
INTERVENTIONS = (*TRAINED_ON, "overlaps", *NEW_ROWS)

REVIVED_NORM = 1.2
LONGER = 5  # times the recipe's steps
SCALES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the overlaps
REFIT_STEPS = 4000  # of the refit of b and norms

State = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A changed model: W, b, what was refitted, the factor on the overlaps, and the training steps it took."""

    W: NDArray[np.float32]
    b: NDArray[np.float32]
    refit: str  # none, bias, bias_and_norms, all
    scale: float | None = None
    steps: int = 0


def revive(W: NDArray[np.float32], b: NDArray[np.float32], rng: np.random.Generator) -> State:
    """Return W and b with a random row of norm 1.2 and the median live bias for every silent feature."""
    silent = silent_features(W, b)
    W, b = W.copy(), b.copy()
    W[silent] = REVIVED_NORM * packings.random_rows(int(silent.sum()), W.shape[1], rng)
    b[silent] = np.median(b[~silent]) if (~silent).any() else 0
    return W, b


def scale_overlaps(W: NDArray[np.floating], scale: float) -> NDArray[np.float32]:
    """Return rows whose inner products W_i . W_j, i != j, are `scale` times those of W, and |W_i|^2 the same.

    Rows sqrt(s) W_i plus an axis of their own of length sqrt(1 - s) |W_i|: shape (n, m + n). 0 <= scale <= 1.
    """
    own = np.diag(np.sqrt(1 - scale) * geometry.row_norms(W))
    return np.concatenate([np.sqrt(scale) * W, own], axis=1).astype(np.float32)


def train_on(
    model: TrainedModel, state: State, recipe: Recipe, rng: np.random.Generator, gamma: float, annealed: bool = False
) -> State:
    """Return W and b after the recipe from `state`; `annealed` lets gamma fall linearly to 0. Raises DivergedError."""
    engine = NumbaEngine(*state, model.p, gamma, recipe, rng, model.cell.learning_rate_factor)
    for window in windows(recipe.steps):
        if annealed:
            engine.gamma = gamma * (1 - engine.step / recipe.steps)
        losses = engine.advance(window)
        check_finite(model.cell, engine.step, losses, engine.W, engine.b)
    return engine.state()


def trained_on(model: TrainedModel, intervention: str, rng: np.random.Generator) -> Outcome:
    """Return the outcome of an intervention that trains on."""
    recipe = Recipe(**model.recipe)
    if intervention == "longer":
        recipe = dataclasses.replace(recipe, steps=LONGER * recipe.steps)
    state = revive(model.W, model.b, rng) if intervention.startswith("revived") else (model.W, model.b)
    gamma = 0.0 if intervention.endswith("gamma_zero") else model.cell.gamma
    trained = train_on(model, state, recipe, rng, gamma, annealed=intervention == "gamma_annealed")
    return Outcome(*trained, refit="all", steps=recipe.steps)


def scaled_overlaps(model: TrainedModel, n_samples: int, rng: np.random.Generator) -> Iterator[Outcome]:
    """Yield the model with its overlaps scaled, b kept and b refitted."""
    for scale in SCALES:
        W = scale_overlaps(model.W, scale)
        yield Outcome(W, model.b, "none", scale)
        yield Outcome(W, best_bias(W, model.p, n_samples, rng), "bias", scale)


def new_rows(model: TrainedModel, packing: str, n_samples: int, rng: np.random.Generator) -> Iterator[Outcome]:
    """Yield the model with other directions of its rows: b refitted, then b and norms, then all."""
    W = model.W
    if packing != "kept":
        n, m = model.W.shape
        directions = packings.PACKINGS[packing](n, m, rng)
        W = (geometry.row_norms(model.W)[:, None] * directions).astype(np.float32)
    b = best_bias(W, model.p, n_samples, rng)
    yield Outcome(W, b, "bias")
    recipe = Recipe(**model.recipe)
    short = dataclasses.replace(recipe, steps=min(REFIT_STEPS, recipe.steps), warmup_steps=0)
    W, b = refit_bias_and_norms(W, b, model.p, short, rng)
    yield Outcome(W, b, "bias_and_norms", steps=short.steps)
    trained = train_on(model, (W, b), recipe, rng, model.cell.gamma)
    yield Outcome(*trained, "all", steps=short.steps + recipe.steps)


def outcomes(model: TrainedModel, intervention: str, n_samples: int, rng: np.random.Generator) -> Iterator[Outcome]:
    """Yield every outcome of an intervention. Raises InputError for an unknown one."""
    if intervention in TRAINED_ON:
        yield trained_on(model, intervention, rng)
    elif intervention == "overlaps":
        yield from scaled_overlaps(model, n_samples, rng)
    elif intervention in NEW_ROWS:
        yield from new_rows(model, intervention.removeprefix("rows_"), n_samples, rng)
    else:
        raise InputError(f"no intervention {intervention!r}; they are {', '.join(INTERVENTIONS)}")


def overlap_columns(W: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, Any]:
    """Return statistics of the overlaps of the live features' unit rows; empty with fewer than two."""
    live = ~silent_features(W, b)
    names = ("mean_sq_overlap_live", "mean_fourth_overlap_live", "overlap_quantile_live", "max_overlap_live")
    if live.sum() < 2:
        return dict.fromkeys(names)
    overlaps = geometry.squared_overlaps(W[live])
    fourth = overlaps.std_sq**2 + overlaps.mean_sq**2
    quantile = packings.overlap_quantile(W[live], 0.99)
    return dict(zip(names, (overlaps.mean_sq, fourth, quantile, overlaps.max_abs), strict=True))


def intervene(model: TrainedModel, intervention: str, n_samples: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of interventions.csv for one model and intervention.

    Losses before and after are measured on the same samples, those of toy_models.csv; b is refitted on others.
    """
    entropy = [model.cell.seed, zlib.crc32(f"{model.cell.name} {intervention}".encode())]
    rng = np.random.default_rng(entropy)

    def measured(W: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, Any]:
        held_out = held_out_loss(W, b, model.p, n_samples, model.cell.random_streams()[2])
        return {**loss_columns(held_out), "n_silent": int(silent_features(W, b).sum()), **overlap_columns(W, b)}

    before = measured(model.W, model.b)
    start = time.perf_counter()
    for outcome in outcomes(model, intervention, n_samples, rng):
        seconds = time.perf_counter() - start
        yield {
            "model": model.cell.name,
            **dataclasses.asdict(model.cell),
            "intervention": intervention,
            "scale": outcome.scale,
            "refit": outcome.refit,
            "steps": outcome.steps,
            "loss_before": before["loss"],
            "n_silent_before": before["n_silent"],
            **measured(outcome.W, outcome.b),
            "seconds": seconds,
        }
        start = time.perf_counter()


def main() -> None:
    """Command line: one intervention on each of some models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder of the models")
    parser.add_argument("--model", required=True, help="name of the model: its path below the folder, no suffix")
    parser.add_argument("--intervention", choices=INTERVENTIONS, required=True, help="what is changed")
    parser.add_argument(
        "--samples", type=int, default=HELD_OUT_SAMPLES, help="samples for the loss, and as many for each refit of b"
    )
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    arguments = parser.parse_args()
    if arguments.samples < 2:
        raise InputError(f"samples = {arguments.samples}: a standard error needs at least 2")
    with threadpool_limits(1):
        (model,) = read_models([arguments.model], arguments.folder)
        rows = list(intervene(model, arguments.intervention, arguments.samples))
    with whole_file(arguments.output) as temporary:
        temporary.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    run(main)
