"""Time the stacks of the PyTorch engine: the paper's grid, one large curve against the plain loop, and TF32.

    python -m benchmarks.gpu config.yaml config/paper.yaml

Requires a GPU; without one it runs on the CPU, which is useful only for small configs. The time per step is constant,
so a few hundred steps of each stack give the time of the whole training.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.cost import read_toy
from scaling.toy.cell import Cell
from scaling.toy.engines.torch_engine import TorchStack, models_that_fit
from scaling.toy.model import PlainTraining, ToyModel, draw_dense
from scaling.toy.recipe import Recipe, initial_state
from scaling.toy.study import stacks
from scaling.toy.training import stack_memory, stacks_that_fit


FIRST = 5  # steps before timing: first calls of libraries and capture of the graph
TAIL = 100  # losses averaged in the comparison of precisions


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def engine(cells: Sequence[Cell], recipe: Recipe, cuda_graph: bool = True, tf32: bool = False) -> TorchStack:
    """Return a stack of these cells, built as in scaling.toy.training."""
    W, b = zip(
        *(initial_state(cell.n, cell.m, cell.random_streams()[0], cell.initial_bias) for cell in cells), strict=True
    )
    return TorchStack(
        W,
        b,
        [cell.p for cell in cells],
        [cell.gamma for cell in cells],
        recipe,
        [int(cell.random_streams()[1].integers(2**63)) for cell in cells],
        [cell.learning_rate_factor for cell in cells],
        device=device(),
        cuda_graph=cuda_graph and device() == "cuda",
        tf32=tf32,
    )


def seconds_a_step(advance: Callable[[int], object], steps: int) -> float:
    """Return the mean time of `steps` steps, after the first few."""
    advance(FIRST)
    start = time.perf_counter()
    advance(steps)  # returns losses, so the device has finished
    return (time.perf_counter() - start) / steps


def plain_step(cell: Cell, recipe: Recipe, steps: int) -> float:
    """Return the mean time per step of the plain loop on the same device."""
    W, b = (
        torch.from_numpy(part).to(device())
        for part in initial_state(cell.n, cell.m, cell.random_streams()[0], cell.initial_bias)
    )
    training = PlainTraining(ToyModel(W, b), cell.gamma, recipe, cell.learning_rate_factor)
    generator = torch.Generator(device()).manual_seed(0)
    p = torch.tensor(cell.p, dtype=torch.float32, device=device())

    def advance(count: int) -> None:
        for _ in range(count):
            training.train_on(draw_dense(p, recipe.batch_size, generator))

    return seconds_a_step(advance, steps)


def time_grid(groups: dict[str, list[Cell]], recipes: dict[str, Recipe], steps: int) -> float:
    """Print one row per stack; returns the predicted seconds of all full trainings."""
    print(f"{'stack':44} models  ms per step  us per model  GiB taken  GiB counted  minutes")
    total = 0.0
    for name, cells in groups.items():
        recipe = recipes[cells[0].training]
        for stack in stacks_that_fit(cells, recipe.batch_size, stack_memory(None)):
            if device() == "cuda":
                torch.cuda.reset_peak_memory_stats()
            seconds = seconds_a_step(engine(stack, recipe).advance, steps)
            taken = torch.cuda.max_memory_allocated() / 2**30 if device() == "cuda" else float("nan")
            densest = max((cell.p for cell in stack), key=lambda p: float(p.sum()))
            counted = len(stack) / models_that_fit(densest, stack[0].m, recipe.batch_size, 10**15) * 10**15 / 2**30
            total += seconds * recipe.steps
            row = f"{name:44} {len(stack):6d} {1e3 * seconds:10.3f} {1e6 * seconds / len(stack):11.1f}"
            print(f"{row} {taken:10.2f} {counted:12.2f} {seconds * recipe.steps / 60:8.2f}", flush=True)
    return total


def compare_with_plain(cells: Sequence[Cell], recipe: Recipe, steps: int) -> float:
    """Print one row per model of one curve; return how many times faster than the plain loop the engine trains it."""
    print(f"\n{'n':>6} {'m':>5}  plain, ms  engine, ms  without a graph, ms  ratio")
    plain, ours = 0.0, 0.0
    for cell in cells:
        slow = plain_step(cell, recipe, max(steps // 5, 2))
        fast, bare = (seconds_a_step(engine([cell], recipe, graph).advance, steps) for graph in (True, False))
        plain, ours = plain + slow, ours + fast
        print(f"{cell.n:6d} {cell.m:5d} {1e3 * slow:10.2f} {1e3 * fast:11.2f} {1e3 * bare:20.2f} {slow / fast:6.1f}")
    return plain / ours


def compare_precisions(cells: Sequence[Cell], recipe: Recipe) -> None:
    """Print the training loss of each model with full float32 products and with TF32, from the same samples."""
    full, short = (
        engine(cells, recipe, tf32=tf32).advance(recipe.steps)[-TAIL:].mean(axis=0) for tf32 in (False, True)
    )
    print(f"\nTF32 against float32, {recipe.steps} steps: loss and their ratio")
    for cell, exact, rounded in zip(cells, full, short, strict=True):
        print(f"{cell.name:60} {exact:9.5f} {rounded / exact:8.5f}")
    slopes = [np.polyfit(np.log([cell.m for cell in cells]), np.log(loss), 1)[0] for loss in (full, short)]
    print(f"slope of log loss in log m: {slopes[0]:.4f} in float32, {slopes[1]:.4f} with TF32")


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="+", help="config files, in the order of --configfile")
    parser.add_argument("--steps", type=int, default=200, help="number of timed steps per stack")
    parser.add_argument("--precision-steps", type=int, default=4000, help="training steps to compare precisions")
    arguments = parser.parse_args()
    toy = read_toy(arguments.config)
    recipes = {name: Recipe(**settings) for name, settings in toy["trainings"].items()}
    groups = stacks(toy)
    n = min(cells[0].n for cells in groups.values())
    print("on", torch.cuda.get_device_name() if device() == "cuda" else "cpu")
    grid = {name: cells for name, cells in groups.items() if cells[0].n == n}
    seconds = time_grid(grid, recipes, arguments.steps)
    print(f"{sum(map(len, grid.values()))} models of n = {n}: {seconds / 60:.1f} minutes")

    largest = max((cells[0] for cells in groups.values()), key=lambda cell: cell.n)
    curve = sorted(
        (c for cells in groups.values() for c in cells if c.curve == largest.curve and c.seed == 0),
        key=lambda cell: cell.m,
    )
    ratio = compare_with_plain(curve, recipes[largest.training], max(arguments.steps // 4, 2))
    print(f"the curve of n = {largest.n}: {ratio:.1f} times faster than the plain loop")

    first = min((cell for cells in grid.values() for cell in cells), key=lambda cell: cell.gamma)
    curve = sorted(
        (c for cells in grid.values() for c in cells if c.curve == first.curve and c.seed == 0), key=lambda cell: cell.m
    )
    steps = arguments.precision_steps
    compare_precisions(
        curve, Recipe(**{**toy["trainings"][first.training], "steps": steps, "warmup_steps": steps // 10})
    )


if __name__ == "__main__":
    main()
