"""Toy models on correlated features: train the models of one curve, and measure those of a study.

    python -m scaling.toy.correlated train --n 1000 --m 10 25 63 --gamma -0.5556 --alpha 1 --correlation 0.4
        --block-size 50 --folder results/toy/correlated
    python -m scaling.toy.correlated measure --study '{...}' --folder results/toy/correlated --output correlation.csv

The study is the config's `correlation` section as JSON.
"""

import argparse
import itertools
import json
import logging
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scaling import arrays, geometry, tables
from scaling.command import InputError, run
from scaling.study_option import section
from scaling.toy import correlation, features
from scaling.toy.engines.numba_engine import NumbaEngine
from scaling.toy.evaluation import held_out_loss
from scaling.toy.recipe import Recipe, initial_state
from scaling.toy.training import one_thread


Sampler = Callable[[np.random.Generator, NDArray[np.float64], int], features.Batch]

ACTIVITIES = ("copula", "mixed")
CHECKED = 2**18  # samples on which frequencies are counted
MOST = 16  # room of a batch in units of that of independent features


@dataclass(frozen=True, kw_only=True)
class CorrelatedCell:
    """One toy model on power-law frequencies p_i ~ i^-alpha, E = 1, with correlated activity.

    activity: copula keeps every p_i; mixed is the rule of another public implementation, which changes them.

    Raises InputError for an invalid value.
    """

    n: int = 1000
    m: int
    gamma: float
    alpha: float
    correlation: float
    block_size: int
    activity: str = "copula"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.m <= self.n:
            raise InputError(f"m = {self.m}, n = {self.n}: the model dimension m must lie between 1 and n")
        if self.activity not in ACTIVITIES:
            raise InputError(f"activity = {self.activity!r}: must be one of {', '.join(ACTIVITIES)}")
        if not 0 <= self.correlation < 1 or (self.activity == "mixed" and self.correlation == 0):
            raise InputError(f"correlation = {self.correlation}: must be at least 0 and below 1, and above 0 if mixed")
        if self.block_size < 1:
            raise InputError(f"block_size = {self.block_size}: must be at least 1 feature")
        if not math.isfinite(self.gamma):
            raise InputError(f"gamma = {self.gamma}: the weight decay must be a finite number")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: must be 0 or more")

    @property
    def p(self) -> NDArray[np.float64]:
        """Frequencies without correlation, shape (n,)."""
        return features.frequencies("power_law", self.n, self.alpha, 1.0)

    @property
    def curve(self) -> str:
        """Path of the curve L(m) that contains the model."""
        blocks = f"rho{self.correlation:.6g}_block{self.block_size}"
        return f"{self.activity}_n{self.n}_alpha{self.alpha:.6g}_{blocks}/gamma{self.gamma:.6g}"

    @property
    def name(self) -> str:
        """Path of the model below results/toy/correlated, without its suffix."""
        return f"{self.curve}/m{self.m}_seed{self.seed}"

    def random_streams(self) -> list[np.random.Generator]:
        """Independent generators for the initial state, the training samples, held-out samples and frequencies."""
        entropy = [self.seed, zlib.crc32(self.name.encode())]
        return [np.random.default_rng(stream) for stream in np.random.SeedSequence(entropy).spawn(4)]

    def sampler(self) -> Sampler:
        """The function that draws a batch, draw(rng, p, batch_size)."""
        if self.activity == "mixed":
            rho, block_size = self.correlation, self.block_size
            return lambda rng, p, size: correlation.draw_mixed_batch(rng, p, rho, block_size, size)
        copula = correlation.copula(self.p, self.correlation, self.block_size)
        return lambda rng, _, size: correlation.draw_correlated_batch(rng, copula, size)


def cells(section: Mapping[str, Any]) -> dict[str, CorrelatedCell]:
    """The models of the config's `correlation` section by name. Raises InputError for values that no model can have."""
    found = {}
    for grid in section["models"]:
        names = ("activity", "alpha", "gamma", "correlation", "block_size", "m")
        axes = {name: grid[name] if isinstance(grid[name], list) else [grid[name]] for name in names if name in grid}
        axes["seed"] = list(range(grid.get("seeds", 1)))
        for point in itertools.product(*axes.values()):
            try:
                cell = CorrelatedCell(n=section["n"], **dict(zip(axes, point, strict=True)))
            except InputError as error:
                raise InputError(f"config: correlation: models: {error}") from None
            found[cell.name] = cell
    return found


def curves(section: Mapping[str, Any]) -> dict[str, list[CorrelatedCell]]:
    """The models that one job trains, by the name of the job: one curve and seed."""
    found: dict[str, list[CorrelatedCell]] = {}
    for cell in cells(section).values():
        found.setdefault(f"{cell.curve}_seed{cell.seed}".replace("/", "_"), []).append(cell)
    return found


def training_arguments(job: list[CorrelatedCell], section: Mapping[str, Any]) -> list[str]:
    """Arguments of the command `train` for the models of one job."""
    first = asdict(job[0])
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in first.items() if name != "m"]
    arguments += [f"--{name.replace('_', '-')}={value}" for name, value in section["training"].items()]
    return [*arguments, "--m", *(str(cell.m) for cell in job)]


def train(cell: CorrelatedCell, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """W (n, m) and b (n,) after training on correlated samples. Raises InputError where they are not finite."""
    initial, samples, _, _ = cell.random_streams()
    p, draw = cell.p, cell.sampler()
    W, b = initial_state(cell.n, cell.m, initial)
    room = min(cell.n * recipe.batch_size, MOST * features.room(p, recipe.batch_size))
    engine = NumbaEngine(W, b, p, cell.gamma, recipe, samples, room=room)
    for _ in range(recipe.steps):
        engine.train_on(draw(samples, p, recipe.batch_size))
    W, b = engine.state()
    if not (np.isfinite(W).all() and np.isfinite(b).all()):
        raise InputError(f"{cell.name} diverged; try a smaller learning rate")
    return W, b


def measure(cell: CorrelatedCell, W: NDArray[np.float32], b: NDArray[np.float32], n_samples: int) -> dict[str, Any]:
    """The row of table toy_correlation for a trained model."""
    _, _, held_out, counting = cell.random_streams()
    p, draw = cell.p, cell.sampler()
    found = held_out_loss(W, b, p, n_samples, held_out, draw)
    chunks = -(-CHECKED // 2048)
    counts = sum(np.bincount(draw(counting, p, 2048).feature, minlength=cell.n) for _ in range(chunks))
    realised = np.asarray(counts) / (2048 * chunks)
    spread = np.sqrt(p * (1 - p) / (2048 * chunks))
    norms = geometry.row_norms(W)
    return {
        "model": cell.name,
        **asdict(cell),
        "loss": found.loss,
        "loss_stderr": found.loss_stderr,
        "n_samples": found.n_samples,
        "realised_density": float(realised.sum()),
        "frequency_chi_square": float(np.mean(((realised - p) / spread) ** 2)),
        "phi_half": geometry.phi(norms, 0.5),
        "mean_norm": float(norms.mean()),
    }


def main() -> None:
    """Train the models of one curve, or measure those of a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train the models of one curve")
    training.add_argument("--n", type=int, default=1000, help="number of features")
    training.add_argument("--m", type=int, nargs="+", required=True, help="model dimensions")
    training.add_argument("--gamma", type=float, required=True, help="weight decay; negative pulls norms to 1")
    training.add_argument("--alpha", type=float, default=1.0, help="data exponent of p_i ~ i^-alpha")
    training.add_argument("--correlation", type=float, required=True, help="rho of the normal copula, or of the mixing")
    training.add_argument("--block-size", type=int, required=True, help="features per block of correlated ones")
    training.add_argument("--activity", choices=ACTIVITIES, default="copula", help="mixed changes the frequencies")
    training.add_argument("--seed", type=int, default=0, help="seed of the model")
    for name in ("steps", "batch_size", "warmup_steps"):
        training.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Recipe(), name), help=name)
    training.add_argument("--folder", type=Path, required=True, help="models are written below this folder")
    measuring = commands.add_parser("measure", help="measure the models of a study")
    measuring.add_argument("--study", required=True, help="config file (YAML), or its correlation section as JSON text")
    measuring.add_argument("--folder", type=Path, required=True, help="folder of the trained models")
    measuring.add_argument("--output", type=Path, required=True, help="table toy_correlation to write")
    given = vars(parser.parse_args())
    folder = given.pop("folder")
    with one_thread():
        if given.pop("command") == "train":
            recipe = Recipe(**{name: given.pop(name) for name in ("steps", "batch_size", "warmup_steps")})
            for m in given.pop("m"):
                cell = CorrelatedCell(m=m, **given)
                W, b = train(cell, recipe)
                path = folder / f"{cell.name}.safetensors"
                path.parent.mkdir(parents=True, exist_ok=True)
                arrays.write(path, {"W": W, "b": b}, {"cell": json.dumps(asdict(cell))})
                logging.info("%s: trained", cell.name)
            return
        study, rows = section(given["study"], "correlation", ["n", "models", "held_out_samples"]), []
        for name, cell in cells(study).items():
            _, tensors = arrays.read(folder / f"{name}.safetensors")
            rows.append(measure(cell, tensors["W"], tensors["b"], study["held_out_samples"]))
        columns = list(tables.dictionary()["toy_correlation"]["columns"])
        tables.write("toy_correlation", pd.DataFrame(rows, columns=columns), given["output"])


if __name__ == "__main__":
    run(main)
