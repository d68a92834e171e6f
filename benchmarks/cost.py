"""Predict the training time of the toy models of a config on the CPU engine from a timed sample.

    python -m benchmarks.cost config.yaml config/paper.yaml

A random sample of the models of each stage (of each experiment, in a config without stages) is timed over the first
fifth of its training: the slow phase, in which many outputs are positive, and the start of the fast phase. The
remaining steps are extrapolated from the last steps timed. The time per step is modelled as
c_0 + c_1 |U| n m + c_2 A n + c_3 n m, where |U| and A are the expected numbers of active features and active entries in
a batch. The coefficients are fitted to relative errors, nonnegative, and separate for both signs of gamma; they predict
the time of all models. Times are process times on one core.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from scaling.config import merged, with_defaults
from scaling.plan.config import read_schemas
from scaling.toy.cell import Cell
from scaling.toy.cost import CostModel
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.recipe import Recipe, initial_state
from scaling.toy.study import experiments, stages


TIMED = 0.2  # share of the steps that are timed
WINDOWS = 10  # parts of the timed steps; the last one gives the rate of the remaining steps
SCHEMAS = Path(__file__).parent.parent / "workflow" / "schemas"


def read_toy(files: Iterable[str]) -> dict[str, Any]:
    """Return the `toy` section of config files, merged in order as by Snakemake."""
    return dict(with_defaults(merged(files)["toy"], read_schemas(SCHEMAS)["toy"]))


def timed_seconds(cell: Cell, recipe: Recipe, limit: float) -> float:
    """Estimate the CPU seconds of training a cell from its first fifth, or from the first `limit` s."""
    initial, samples, _ = cell.random_streams()
    W, b = initial_state(cell.n, cell.m, initial, cell.initial_bias)
    engine = NumbaEngine(W, b, cell.p, cell.gamma, recipe, samples, cell.learning_rate_factor)
    window = max(int(TIMED * recipe.steps) // WINDOWS, 1)
    start = time.process_time()
    while True:
        before, first = time.process_time(), engine.step
        while engine.step < first + window and time.process_time() - start < limit:
            engine.advance(min(max(window // 10, 1), recipe.steps - engine.step))
        spent, rate = time.process_time() - start, (time.process_time() - before) / (engine.step - first)
        if spent >= limit or engine.step >= TIMED * recipe.steps:
            return spent + rate * (recipe.steps - engine.step)


def predict(toy: dict[str, Any], sample: int, limit: float) -> tuple[CostModel, dict[str, list[float]]]:
    """The model, fitted to about `sample` cells of each experiment, and the predicted seconds of each cell by part."""
    study = {part: cells for part, cells in (stages(toy) or experiments(toy)).items() if cells}
    recipes = {name: Recipe(**settings) for name, settings in toy["trainings"].items()}
    rng = np.random.default_rng(0)
    timed: dict[Cell, None] = {}
    for cells in study.values():
        timed |= dict.fromkeys(cells[k] for k in rng.permutation(len(cells))[:sample])
    timed_seconds(next(iter(timed)), Recipe(steps=5, warmup_steps=0), 1)  # compiles
    seconds = []
    for cell in timed:
        seconds.append(timed_seconds(cell, recipes[cell.training], limit))
        print(f"timed {cell.name}: {seconds[-1]:.1f} s", flush=True)
    model = CostModel(list(timed), [recipes[cell.training] for cell in timed], np.array(seconds))
    parts = {}
    for experiment, cells in study.items():
        parts[experiment] = [model.seconds(cell, recipes[cell.training]) for cell in cells]
    return model, parts


def main() -> None:
    """Print one row per stage, then the total with each model counted once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="+", help="config files, in the order of --configfile")
    parser.add_argument("--sample", type=int, default=20, help="number of models to time per stage")
    parser.add_argument("--limit", type=float, default=60, help="largest number of CPU seconds per timed model")
    parser.add_argument("--cores", type=int, default=2, help="number of parallel jobs")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        model, parts = predict(read_toy(arguments.config), arguments.sample, arguments.limit)
    print(f"\n{'stage':24} models  s/model    CPU hours  hours on {arguments.cores} cores")
    for experiment, seconds in parts.items():
        hours = sum(seconds) / 3600
        print(
            f"{experiment:24} {len(seconds):6d} {np.mean(seconds):10.1f} {hours:10.2f} {hours / arguments.cores:10.2f}"
        )
    print(f"relative error of the time of one model: {model.relative_error:.2f}; shared models are trained once")


if __name__ == "__main__":
    main()
