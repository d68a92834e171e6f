"""Time a training step of the CPU engine against the plain PyTorch loop, one thread each, over a whole training.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.toy_step

The plain loop's step costs the same at all times, so a few dozen of its steps are timed, before and after the engine's
training; the engine trains in full, since its step gets cheaper as outputs fall silent. Both draw their own samples.
Seconds are of the processor, which other work on the machine changes less than those of the clock.
"""

import argparse
import itertools
import multiprocessing
import re
import time
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.features import frequencies
from scaling.toy.model import PlainTraining, ToyModel, draw_dense
from scaling.toy.recipe import Recipe, initial_state


def plain_step(n: int, m: int, alpha: float, gamma: float, density: float, recipe: Recipe, steps: int) -> float:
    """Median seconds a step of the plain loop, samples included."""
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


def engine_step(n: int, m: int, alpha: float, gamma: float, density: float, recipe: Recipe) -> tuple[float, float]:
    """Mean seconds a step of the engine over a whole training, and the mean over its last tenth."""
    rng = np.random.default_rng(0)
    W, b = initial_state(n, m, rng)
    p = frequencies("power_law", n, alpha, density)
    NumbaEngine(W, b, p, gamma, recipe, rng).advance(1)  # compiles
    engine = NumbaEngine(W, b, p, gamma, recipe, rng)
    start = time.process_time()
    engine.advance(recipe.steps - recipe.steps // 10)
    late = time.process_time()
    engine.advance(recipe.steps // 10)
    end = time.process_time()
    return (end - start) / recipe.steps, (end - late) / (recipe.steps // 10)


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
    """Print one row a case, then the geometric mean of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1000])
    parser.add_argument("--m", type=int, nargs="+", default=[10, 39, 100])
    parser.add_argument("--alpha", type=float, nargs="+", default=[0, 1, 2])
    parser.add_argument("--gamma", type=float, nargs="+", default=[-5 / 9])
    parser.add_argument("--activation-density", type=float, nargs="+", default=[1])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[2048])
    parser.add_argument("--steps", type=int, default=20_000, help="of the engine's training; warm-up is a tenth")
    parser.add_argument("--plain-steps", type=int, default=20, help="of the plain loop, twice")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("    n     m  alpha   gamma     E  batch   plain ms  engine ms  late ms  ratio")
    ratios = []
    with threadpool_limits(1):
        axes = ("n", "m", "alpha", "gamma", "activation_density", "batch_size")
        for case in itertools.product(*(getattr(arguments, name) for name in axes)):
            n, m, alpha, gamma, density, batch_size = case
            recipe = Recipe(steps=arguments.steps, warmup_steps=arguments.steps // 10, batch_size=batch_size)
            before = plain_step(n, m, alpha, gamma, density, recipe, arguments.plain_steps)
            engine, late = engine_step(n, m, alpha, gamma, density, recipe)
            plain = (before + plain_step(n, m, alpha, gamma, density, recipe, arguments.plain_steps)) / 2
            ratios.append(plain / engine)
            row = f"{n:5d} {m:5d} {alpha:6g} {gamma:7.3f} {density:5g} {batch_size:6d}"
            print(f"{row} {1e3 * plain:10.2f} {1e3 * engine:10.3f} {1e3 * late:8.3f} {ratios[-1]:6.1f}", flush=True)
    print(f"geometric mean of the ratios: {np.exp(np.mean(np.log(ratios))):.1f}")
    n, m = max(arguments.n), max(arguments.m)
    # Each in a process of its own, started afresh, so that none inherits another's peak.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = {kind: pool.apply(peak_memory, (kind, n, m, Recipe())) for kind in ("none", "engine", "plain")}
    extra = {kind: peaks[kind] - peaks["none"] for kind in ("engine", "plain")}
    print(f"peak memory at n = {n}, m = {m}, beyond imports: {extra['engine']:.0f} MiB, plain {extra['plain']:.0f} MiB")


if __name__ == "__main__":
    main()
