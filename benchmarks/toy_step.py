"""Time a training step of the CPU engine against the plain PyTorch loop, one thread each, over a whole training.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.toy_step

A step of the plain loop costs the same at all times, so a few dozen of its steps are timed, before and after the
engine's training. The engine trains in full, since its step gets cheaper as outputs fall silent. After each of its
stretches of steps an engine without screening takes some steps from the same state, so that the two are timed side by
side. Seconds are of the processor, which other work on the machine changes less than those of the clock.
"""

import argparse
import itertools
import multiprocessing
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.cost import read_toy
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.features import frequencies
from scaling.toy.model import PlainTraining, ToyModel, draw_dense
from scaling.toy.recipe import Recipe, initial_state


ROOT = Path(__file__).parent.parent


def plain_step(n: int, m: int, alpha: float, gamma: float, density: float, recipe: Recipe, steps: int) -> float:
    """Median seconds per step of the plain loop, samples included."""
    p = frequencies("power_law", n, alpha, density)
    W, b = initial_state(n, m, np.random.default_rng(0))
    training = PlainTraining(ToyModel(torch.from_numpy(W), torch.from_numpy(b)), gamma, recipe)
    generator, p32 = torch.Generator().manual_seed(0), torch.tensor(p, dtype=torch.float32)
    seconds = []
    for _ in range(steps):
        start = time.process_time()
        training.train_on(draw_dense(p32, recipe.batch_size, generator))
        seconds.append(time.process_time() - start)
    return float(np.median(seconds[2:]))


def copy_state(source: NumbaEngine, target: NumbaEngine) -> None:
    """Give an engine the parameters, moments and step of another one."""
    target.W[:], target.b[:], target.step = source.W, source.b, source.step
    for to, of in zip(target.moments, source.moments, strict=True):
        to[:] = of


def engine_steps(
    n: int, m: int, alpha: float, gamma: float, density: float, recipe: Recipe, stretch: int, gram_steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean seconds per step in each stretch of a whole training: of the engine, and without screening."""
    rng = np.random.default_rng(0)
    W, b = initial_state(n, m, rng)
    p = frequencies("power_law", n, alpha, density)
    engine = NumbaEngine(W, b, p, gamma, recipe, rng)
    gram = NumbaEngine(W, b, p, gamma, recipe, np.random.default_rng(1), screening=False)
    gram.advance(1)  # compiles
    copy_state(engine, gram)
    seconds, gram_seconds = [], []
    for done in range(0, recipe.steps, stretch):
        steps = min(stretch, recipe.steps - done)
        copy_state(engine, gram)
        warm_up = 2 if steps > gram_steps + 2 else 0  # the backward pass follows the step before
        gram.advance(warm_up)
        start = time.process_time()
        gram.advance(min(gram_steps, steps))
        middle = time.process_time()
        engine.advance(steps)
        gram_seconds.append((middle - start) / min(gram_steps, steps))
        seconds.append((time.process_time() - middle) / steps)
    return np.array(seconds), np.array(gram_seconds)


def peak_memory(kind: str, n: int, m: int, recipe: Recipe) -> float:
    """Peak memory in MiB of a process that trains three steps by "engine" or "plain"; "none": imports alone."""
    rng = np.random.default_rng(0)
    W, b = initial_state(n, m, rng)
    p = frequencies("power_law", n, 1.0, 1.0)
    if kind == "engine":
        NumbaEngine(W, b, p, -5 / 9, recipe, rng).advance(3)
    elif kind == "plain":
        plain_step(n, m, 1.0, -5 / 9, 1.0, recipe, 3)
    # Not getrusage: there a process starts with the peak of the one that started it.
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def main() -> None:
    """Print one row per case, then the geometric mean of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1000])
    parser.add_argument("--m", type=int, nargs="+", default=[10, 39, 100])
    parser.add_argument("--alpha", type=float, nargs="+", default=[0, 1, 2])
    parser.add_argument("--gamma", type=float, nargs="+", default=[-5 / 9])
    parser.add_argument("--activation-density", type=float, nargs="+", default=[1])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[2048])
    parser.add_argument(
        "--steps",
        type=int,
        default=20_000,
        help="steps of the engine's training; the recipe's schedule is shortened to them",
    )
    parser.add_argument("--plain-steps", type=int, default=20, help="steps of the plain loop, twice")
    parser.add_argument("--stretch", type=int, default=500, help="steps of the engine between those without screening")
    parser.add_argument("--gram-steps", type=int, default=20, help="steps without screening after each stretch")
    parser.add_argument("--training", default="paper", help="name of the recipe in config.yaml or config/paper.yaml")
    parser.add_argument("--stages", type=int, default=1, help="parts of a training that are also printed by themselves")
    arguments = parser.parse_args()
    trained = Recipe(
        **read_toy([ROOT / "config.yaml", ROOT / "config" / "paper.yaml"])["trainings"][arguments.training]
    )
    torch.set_num_threads(1)
    print("    n     m  alpha   gamma     E  batch   plain ms  gram ms  engine ms  late ms  plain/engine  gram/engine")
    ratios, gains = [], []
    with threadpool_limits(1):
        axes = ("n", "m", "alpha", "gamma", "activation_density", "batch_size")
        for case in itertools.product(*(getattr(arguments, name) for name in axes)):
            n, m, alpha, gamma, density, batch_size = case
            warm_up = int(arguments.steps * trained.warmup_steps / trained.steps)
            recipe = replace(trained, steps=arguments.steps, warmup_steps=warm_up, batch_size=batch_size)
            before = plain_step(n, m, alpha, gamma, density, recipe, arguments.plain_steps)
            seconds, gram_seconds = engine_steps(
                n, m, alpha, gamma, density, recipe, arguments.stretch, arguments.gram_steps
            )
            engine, gram, late = seconds.mean(), gram_seconds.mean(), seconds[-max(len(seconds) // 10, 1) :].mean()
            plain = (before + plain_step(n, m, alpha, gamma, density, recipe, arguments.plain_steps)) / 2
            ratios.append(plain / engine)
            gains.append(gram / engine)
            row = f"{n:5d} {m:5d} {alpha:6g} {gamma:7.3f} {density:5g} {batch_size:6d} {1e3 * plain:10.2f}"
            row += f" {1e3 * gram:8.3f} {1e3 * engine:10.3f} {1e3 * late:8.3f} {ratios[-1]:13.1f} {gains[-1]:12.2f}"
            print(row, flush=True)
            if arguments.stages > 1:
                stages = zip(*(np.array_split(part, arguments.stages) for part in (gram_seconds, seconds)), strict=True)
                for stage, (before, now) in enumerate(stages, start=1):
                    print(
                        f"    stage {stage}: gram {1e3 * before.mean():.3f} ms, engine {1e3 * now.mean():.3f} ms",
                        flush=True,
                    )
    mean, gain = (np.exp(np.mean(np.log(values))) for values in (ratios, gains))
    print(f"geometric means of the ratios: {mean:.1f} to the plain loop, {gain:.2f} to the engine without screening")
    n, m = max(arguments.n), max(arguments.m)
    # Each in a process of its own, started afresh, so that none inherits another's peak.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = {kind: pool.apply(peak_memory, (kind, n, m, Recipe())) for kind in ("none", "engine", "plain")}
    extra = {kind: peaks[kind] - peaks["none"] for kind in ("engine", "plain")}
    print(f"peak memory at n = {n}, m = {m}, beyond imports: {extra['engine']:.0f} MiB, plain {extra['plain']:.0f} MiB")


if __name__ == "__main__":
    main()
