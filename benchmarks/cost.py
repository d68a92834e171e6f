"""Predict what the toy models of a config cost on the CPU engine, from a timed sample of them.

    python -m benchmarks.cost config.yaml config/paper.yaml

A random sample of the models of each stage of the config (or experiment, without stages) is timed over the first fifth
of its training (the costly part, in which many outputs are positive, and the start of the cheap one); the rest counts
at the rate of the last steps timed. A model of the time a step takes, c_0 + c_1 |U| n m + c_2 A n + c_3 n m with |U|
and A the expected numbers of features active in a batch and of active entries, is fitted to the sample, for both signs
of gamma apart, on relative errors and with coefficients that are not negative; it prices all models. Seconds are of one
core (process time).
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


TIMED = 0.2  # share of the steps that is timed
WINDOWS = 10  # of the timed steps; the last one gives the rate of the rest
SCHEMAS = Path(__file__).parent.parent / "workflow" / "schemas"


def read_toy(files: Iterable[str]) -> dict[str, Any]:
    """The `toy` section of config files merged in their order, as Snakemake does."""
    return dict(with_defaults(merged(files)["toy"], read_schemas(SCHEMAS)["toy"]))


def timed_seconds(cell: Cell, recipe: Recipe, limit: float) -> float:
    """CPU seconds that training a cell takes, from its first fifth or, where that takes longer, the first `limit` s."""
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
    """Print one row a stage, then all models, each counted once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="+", help="config files, in the order of --configfile")
    parser.add_argument("--sample", type=int, default=20, help="models timed of each stage")
    parser.add_argument("--limit", type=float, default=60, help="CPU seconds a timed model at most")
    parser.add_argument("--cores", type=int, default=2, help="jobs side by side")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        model, parts = predict(read_toy(arguments.config), arguments.sample, arguments.limit)
    print(f"\n{'stage':24} models  s a model  CPU hours  hours on {arguments.cores} cores")
    for experiment, seconds in parts.items():
        hours = sum(seconds) / 3600
        print(
            f"{experiment:24} {len(seconds):6d} {np.mean(seconds):10.1f} {hours:10.2f} {hours / arguments.cores:10.2f}"
        )
    print(f"relative error of one model's time: {model.relative_error:.2f}; a model of two experiments is trained once")


if __name__ == "__main__":
    main()
