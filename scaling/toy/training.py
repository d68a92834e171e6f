"""Train toy models and write each to one safetensors file: W, b, p and the loss curve. Nothing is measured here.

    python -m scaling.toy.training --n 1000 --m 10 25 63 --gamma -0.5556 --alpha 1 --folder results/toy/models

trains one model per combination of the values given. `--engine numba` trains them one by one on one CPU thread;
`--engine torch` trains them in stacks on a GPU (or, slowly, on the CPU); `--engine plain` trains what
scaling/toy/model.py defines, by autograd, and is slow.
"""

import argparse
import dataclasses
import importlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from scaling.command import InputError, run
from scaling.frequency_laws import FREQUENCY_LAWS
from scaling.settings import add_options, from_options
from scaling.toy.cell import AXES, Cell
from scaling.toy.engines import Engine, check_definition
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.initial_bias import ALLOWED
from scaling.toy.model_file import TrainedModel, write_model
from scaling.toy.recipe import Recipe, initial_state


CURVE_POINTS = 200  # of the saved loss curve
TAIL = 100  # training batches that the paper averages
STACK_SHARE = 0.8  # of a GPU's free memory for a stack; the rest is for libraries and what a graph keeps
STACK_MEMORY = 4  # GiB for a stack on the CPU

ENGINES = ("numba", "torch", "plain")

log = logging.getLogger(__name__)


class DivergedError(InputError):
    """A training whose loss or weights are no longer finite: names the model and the step."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread, so that results do not depend on the number of cores."""
    # Numba calls SciPy's BLAS: loaded now, so that the limit reaches it.
    importlib.import_module("scipy.linalg.cython_blas")
    with threadpool_limits(1):
        yield


def windows(steps: int) -> Iterator[int]:
    """Lengths of about CURVE_POINTS equal windows that make up `steps`."""
    length = max(steps // CURVE_POINTS, 1)
    yield from (min(length, steps - start) for start in range(0, steps, length))


def check_finite(cell: Cell, step: int, *arrays: NDArray[np.floating]) -> None:
    """Raise DivergedError unless the arrays (losses of the last window, W, b) are finite."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise DivergedError(
            f"{cell.name} diverged by step {step}: the loss, W or b is not finite; try a smaller learning rate or gamma"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """A finished training: W (n, m) and b (n,), float32, and the loss of each training step, summed over features."""

    cell: Cell
    recipe: Recipe
    W: NDArray[np.float32]
    b: NDArray[np.float32]
    losses: NDArray[np.float64]
    device: str
    seconds: float

    @property
    def p(self) -> NDArray[np.float64]:
        """Feature frequencies, shape (n,)."""
        return self.cell.p

    def __repr__(self) -> str:
        return (
            f"toy model {self.cell.name}: {self.recipe.steps} steps in {self.seconds:.1f} s, "
            f"mean training loss of the last {self.losses[-TAIL:].size} steps {self.losses[-TAIL:].mean():.4g}"
        )


def save(trained: Trained, path: Path) -> None:
    """Write a trained model; its losses are saved as about 200 window means."""
    cell, recipe, losses = trained.cell, trained.recipe, trained.losses
    lengths = np.array(list(windows(recipe.steps)))
    ends = np.cumsum(lengths)
    tail = losses[-TAIL:]
    training = {
        "steps": recipe.steps,
        "batch_size": recipe.batch_size,
        "loss_train_tail": float(tail.mean()),
        "loss_train_tail_std": float(tail.std()),
        "device": trained.device,
        "seconds": trained.seconds,
    }
    curve = np.add.reduceat(losses, ends - lengths) / lengths
    settings = dataclasses.asdict(recipe)
    write_model(TrainedModel(cell, trained.W, trained.b, cell.p, ends, curve, training, settings), path)
    log.info("%s: training loss %.5g, written to %s", cell.name, tail.mean(), path)


def drive(
    engine: Engine, recipe: Recipe, name: str, check: Callable[[NDArray[np.float64]], None]
) -> NDArray[np.float64]:
    """Run an engine to the end of the recipe and return its losses; `check` is given those of each window."""
    losses = []
    with tqdm(total=recipe.steps, desc=name, unit=" steps", disable=None) as bar:
        for window in windows(recipe.steps):
            losses.append(engine.advance(window))
            check(losses[-1])
            bar.update(window)
            bar.set_postfix(loss=f"{losses[-1].mean():.4g}")
            if len(losses) % (CURVE_POINTS // 10) == 0:
                log.info("%s: step %d of %d, mean loss %.5g", name, engine.step, recipe.steps, losses[-1].mean())
    return np.concatenate(losses)


def one_model_engine(name: str, cell: Cell, recipe: Recipe) -> Engine:
    """Return the engine `name` (numba or plain) with the initial state of a cell."""
    initial, samples, _ = cell.random_streams()
    W, b = initial_state(cell.n, cell.m, initial, cell.initial_bias)
    kind: Callable[..., Engine] = NumbaEngine
    if name == "plain":
        from scaling.toy.engines.plain_engine import PlainEngine  # torch is slow to load, see train_stack

        kind = PlainEngine
    else:
        check_definition(name)
    return kind(W, b, cell.p, cell.gamma, recipe, samples, cell.learning_rate_factor)


def train_model(cell: Cell, recipe: Recipe, engine: str = "numba") -> Trained:
    """Train one model on one CPU thread with the engine numba or plain. Raises InputError, DivergedError."""
    start = time.perf_counter()
    running = one_model_engine(engine, cell, recipe)
    losses = drive(
        running, recipe, cell.name, lambda window: check_finite(cell, running.step, window, *running.state())
    )
    seconds = time.perf_counter() - start
    W, b = running.state()
    return Trained(cell=cell, recipe=recipe, W=W, b=b, losses=losses, device=f"{engine}, 1 thread", seconds=seconds)


def train_one(cell: Cell, recipe: Recipe, path: Path, engine: str = "numba") -> None:
    """Train one model on one CPU thread and save it. Raises InputError, DivergedError."""
    save(train_model(cell, recipe, engine), path)


def train_stack(cells: list[Cell], recipe: Recipe, folder: Path, cuda_graph: bool = True) -> None:
    """Train models of one n together in PyTorch and save each; a diverged one is named after the others are saved.

    A model's samples follow from its own seed, whatever else is in the stack.
    """
    # Imported here since torch takes seconds to load and the CPU engine needs none of it.
    import torch

    from scaling.toy.engines.torch_engine import TorchStack

    check_definition("torch")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    start = time.perf_counter()
    states = [initial_state(cell.n, cell.m, cell.random_streams()[0], cell.initial_bias) for cell in cells]
    seeds = [int(cell.random_streams()[1].integers(2**63)) for cell in cells]
    stack = TorchStack(
        [W for W, _ in states],
        [b for _, b in states],
        [cell.p for cell in cells],
        [cell.gamma for cell in cells],
        recipe,
        seeds,
        [cell.learning_rate_factor for cell in cells],
        device=device,
        cuda_graph=cuda_graph and device == "cuda",
    )
    losses = drive(stack, recipe, f"{len(cells)} models", lambda window: None)
    seconds = (time.perf_counter() - start) / len(cells)
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    label = f"torch, {name}, {len(cells)} models"
    diverged = []
    for k, (cell, W, b) in enumerate(zip(cells, *stack.state(), strict=True)):
        try:
            check_finite(cell, recipe.steps, losses[:, k], W, b)
        except DivergedError as error:
            diverged.append(str(error))
            continue
        path = folder / f"{cell.name}.safetensors"
        trained = Trained(cell=cell, recipe=recipe, W=W, b=b, losses=losses[:, k], device=label, seconds=seconds)
        save(trained, path)
    if diverged:
        raise DivergedError("; ".join(diverged))


def stack_memory(gibibytes: float | None) -> int:
    """Bytes for a stack: those asked for, else a share of the GPU's free memory, or 4 GiB on a CPU."""
    import torch  # slow to load, see train_stack

    if gibibytes is None and torch.cuda.is_available():
        return int(STACK_SHARE * torch.cuda.mem_get_info()[0])
    return int((STACK_MEMORY if gibibytes is None else gibibytes) * 2**30)


def stacks_that_fit(cells: Iterable[Cell], batch_size: int, memory: int) -> Iterator[list[Cell]]:
    """Stacks of cells of one n, widest first, that fit into `memory` bytes; raises InputError when a cell does not."""
    from scaling.toy.engines.torch_engine import hazards, models_that_fit  # torch is slow to load, see train_stack

    for _, group in itertools.groupby(sorted(cells, key=lambda cell: (cell.n, -cell.m)), key=lambda cell: cell.n):
        rest = list(group)
        while rest:
            densest = max((cell.p for cell in rest), key=lambda p: float(hazards(p).sum()))
            room = models_that_fit(densest, rest[0].m, batch_size, memory)
            if room < 1:
                raise InputError(f"{rest[0].name} does not fit into {memory / 2**30:.1f} GiB; raise --stack-memory")
            yield rest[:room]
            rest = rest[room:]


def make_folders(cells: Iterable[Cell], folder: Path) -> None:
    """Make the folders of the models before anything is trained. Raises InputError where nothing can be written."""
    for place in {(folder / cell.name).parent for cell in cells}:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{place}: cannot be made ({error.strerror}); choose another --folder") from None
        if not os.access(place, os.W_OK):
            raise InputError(f"{place}: cannot be written to; choose another --folder")


def arguments_parser() -> argparse.ArgumentParser:
    """The command line: values of each axis, and the recipe's settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="models are written below this folder")
    parser.add_argument(
        "--engine", choices=ENGINES, default="numba", help="numba: CPU; torch: stacks, CUDA; plain: autograd, CPU"
    )
    parser.add_argument(
        "--training", default=Cell.training, help="name of the recipe, the first part of each model's path"
    )
    parser.add_argument(
        "--frequency-law", choices=FREQUENCY_LAWS, default=Cell.frequency_law, help="law of frequencies p_i"
    )
    parser.add_argument("--n", type=int, default=Cell.n, help=f"number of features (default {Cell.n})")
    parser.add_argument("--m", type=int, nargs="+", required=True, help="model dimensions (widths)")
    parser.add_argument(
        "--gamma", type=float, nargs="+", required=True, help="weight decays of W; negative pulls row norms to 1"
    )
    parser.add_argument(
        "--alpha", type=float, nargs="+", default=[Cell.alpha], help="data exponents of the power law (default 1)"
    )
    parser.add_argument(
        "--activation-density",
        type=float,
        nargs="+",
        default=[Cell.activation_density],
        help="E = sum of p_i, mean number of active features per sample (default 1)",
    )
    parser.add_argument(
        "--learning-rate-factor",
        type=float,
        nargs="+",
        default=[Cell.learning_rate_factor],
        help="factors on both learning rates of the recipe (default 1)",
    )
    parser.add_argument("--initial-bias", nargs="+", default=[Cell.initial_bias], help=f"b at the start: {ALLOWED}")
    parser.add_argument("--seed", type=int, nargs="+", default=[Cell.seed], help="seeds (default 0)")
    parser.add_argument(
        "--stack-memory",
        type=float,
        help="GiB for a stack of the torch engine; without it 0.8 of the GPU's free memory",
    )
    parser.add_argument(
        "--cuda-graph", action=argparse.BooleanOptionalAction, default=True, help="replay each step as one CUDA graph"
    )
    parser.add_argument("--except", nargs="+", default=[], dest="elsewhere", help="names of models to skip")
    add_options(parser, Recipe, "recipe")
    return parser


def asked_cells(arguments: argparse.Namespace) -> list[Cell]:
    """The product of the values given, less the models that are left out. Raises InputError."""
    cells = [
        Cell(
            training=arguments.training,
            frequency_law=arguments.frequency_law,
            n=arguments.n,
            **dict(zip(AXES, point, strict=True)),
        )
        for point in itertools.product(*(getattr(arguments, name) for name in AXES))
    ]
    return [cell for cell in cells if cell.name not in arguments.elsewhere]


def main() -> None:
    """Train what the command line asks for, one file a model."""
    arguments = arguments_parser().parse_args()
    recipe = from_options(Recipe, arguments)
    cells = asked_cells(arguments)
    make_folders(cells, arguments.folder)
    if arguments.engine != "torch":
        with one_thread():
            for cell in cells:
                train_one(cell, recipe, arguments.folder / f"{cell.name}.safetensors", arguments.engine)
    else:
        for stack in stacks_that_fit(cells, recipe.batch_size, stack_memory(arguments.stack_memory)):
            train_stack(stack, recipe, arguments.folder, arguments.cuda_graph)


if __name__ == "__main__":
    run(main)
