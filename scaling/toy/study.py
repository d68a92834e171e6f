"""What is trained: the cells of the config's experiments, grids of widths, decays, exponents, densities and seeds."""

import dataclasses
import itertools
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from scaling.command import InputError
from scaling.toy.features import frequencies
from scaling.toy.recipe import Recipe


@lru_cache(maxsize=16)
def check_frequencies(frequency_law: str, n: int, alpha: float | None, activation_density: float) -> None:
    """Raise InputError for frequencies that no features have, such as p_i > 1; once for all cells that share them."""
    frequencies(frequency_law, n, alpha, activation_density)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One toy model to train: everything that its result depends on, but for the recipe that `training` names."""

    training: str
    frequency_law: str
    n: int
    m: int
    gamma: float
    alpha: float | None
    activation_density: float
    seed: int
    learning_rate_factor: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.m <= self.n:
            raise InputError(f"m = {self.m}, n = {self.n}: the model dimension m must lie between 1 and n")
        if not math.isfinite(self.gamma):
            raise InputError(f"gamma = {self.gamma}: the weight decay must be a finite number")
        if not (math.isfinite(self.learning_rate_factor) and self.learning_rate_factor > 0):
            raise InputError(f"learning_rate_factor = {self.learning_rate_factor}: must be finite and above 0")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: must be 0 or more")
        if self.frequency_law != "power_law" and self.alpha is not None:
            raise InputError(
                f"alpha = {self.alpha}: the {self.frequency_law} law has no data exponent; leave alpha out"
            )
        check_frequencies(self.frequency_law, self.n, self.alpha, self.activation_density)

    @property
    def p(self) -> np.ndarray:
        """Feature frequencies, shape (n,)."""
        return frequencies(self.frequency_law, self.n, self.alpha, self.activation_density)

    @property
    def setting(self) -> str:
        """Path of the recipe and the features that the cell is trained with."""
        alpha = "" if self.alpha is None else f"_alpha{self.alpha:.6g}"
        return f"{self.training}/{self.frequency_law}_n{self.n}{alpha}_E{self.activation_density:.6g}"

    @property
    def curve(self) -> str:
        """Path of the curve L(m) that the cell is a point of."""
        rate = "" if self.learning_rate_factor == 1 else f"_lr{self.learning_rate_factor:.6g}"
        return f"{self.setting}/gamma{self.gamma:.6g}{rate}"

    @property
    def name(self) -> str:
        """Path of the model below results/toy/models, without its ending."""
        return f"{self.curve}/m{self.m}_seed{self.seed}"

    def random_streams(self) -> list[np.random.Generator]:
        """Independent generators for the initial state, the training samples and the held-out samples."""
        entropy = [self.seed, zlib.crc32(self.name.encode())]
        return [np.random.default_rng(stream) for stream in np.random.SeedSequence(entropy).spawn(3)]


def axis(value: Any, largest: float = math.nan) -> list[Any]:
    """The points of one axis of a grid: a number, a list, or {from, to, points} for equal steps.

    `to: largest` stands for the largest activation density, 1/p_1 at E = 1.
    """
    if isinstance(value, Mapping):
        stop = largest if value["to"] == "largest" else value["to"]
        with np.errstate(over="ignore", invalid="ignore"):  # points that are not finite are refused as such
            return [float(point) for point in np.linspace(value["from"], stop, value["points"])]
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


MOST_CELLS = 100_000  # of one grid, before any is made

GRID_DEFAULTS = {
    "n": 1000,
    "frequency_law": "power_law",
    "alpha": 1,
    "activation_density": 1,
    "learning_rate_factor": 1,
    "seeds": 1,
}


def grid_cells(grid: Mapping[str, Any]) -> list[Cell]:
    """The cells of one grid: the product of its axes, seeds innermost. Raises InputError for an empty axis."""
    grid = {**GRID_DEFAULTS, **grid}
    cells: list[Cell] = []
    for law in axis(grid["frequency_law"]):
        alphas = axis(grid["alpha"]) if law == "power_law" else [None]
        for alpha in alphas:
            largest = 1e-9 / float(frequencies(law, grid["n"], alpha, 1e-9).max())
            axes = {
                "activation_density": axis(grid["activation_density"], largest),
                "gamma": axis(grid["gamma"]),
                "learning_rate_factor": axis(grid["learning_rate_factor"]),
                "m": axis(grid["m"]),
                "seed": list(range(grid["seeds"])),
            }
            for name, points in axes.items():
                if not points:
                    raise InputError(f"{name} is empty; give at least one value")
            if len(cells) + math.prod(len(points) for points in axes.values()) > MOST_CELLS:
                raise InputError(f"more than {MOST_CELLS} models in one grid; give fewer values")
            for point in itertools.product(*axes.values()):
                values = dict(zip(axes, point, strict=True))
                cells.append(Cell(training=grid["training"], frequency_law=law, n=grid["n"], alpha=alpha, **values))
    return cells


def experiments(toy: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """The cells of each experiment of the config's `toy` section; a cell asked for twice stands once.

    Raises InputError naming the experiment for a value that no cell can have, for an unknown training, and for cells
    that differ by less than the six digits of their names.
    """
    found: dict[str, list[Cell]] = {}
    names: dict[str, Cell] = {}
    for experiment, grids in toy["experiments"].items():
        try:
            cells = [cell for grid in grids for cell in grid_cells(grid)]
        except InputError as error:
            raise InputError(f"config, toy: experiments: {experiment}: {error}") from None
        for cell in cells:
            if cell.training not in toy["trainings"]:
                raise InputError(
                    f"config, toy: experiments: {experiment}: training {cell.training!r} is not one of "
                    f"{', '.join(toy['trainings'])}"
                )
            if names.setdefault(cell.name, cell) != cell:
                raise InputError(f"config, toy: experiments: {experiment}: {cell} and {names[cell.name]} share a name")
        found[experiment] = list(dict.fromkeys(cells))
    for training, settings in toy["trainings"].items():
        try:
            Recipe(**settings)
        except InputError as error:
            raise InputError(f"config, toy: trainings: {training}: {error}") from None
    return found


def distinct_cells(toy: Mapping[str, Any]) -> dict[str, Cell]:
    """Every cell of the study by name, each once, however many experiments ask for it."""
    return {cell.name: cell for cells in experiments(toy).values() for cell in cells}


AXES = ("m", "gamma", "alpha", "activation_density", "learning_rate_factor", "seed")


def stacks(toy: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """Cells that one job of the torch engine trains, by name; no cell stands in two.

    They share all that sets the cost of a step, training, law, n, m and density, so that none is padded for another;
    exponents, decays and seeds lie along the stack.
    """
    found: dict[str, list[Cell]] = {}
    for cell in distinct_cells(toy).values():
        rate = "" if cell.learning_rate_factor == 1 else f"_lr{cell.learning_rate_factor:.6g}"
        name = f"{cell.training}_{cell.frequency_law}_n{cell.n}_m{cell.m}_E{cell.activation_density:.6g}{rate}"
        found.setdefault(name, []).append(cell)
    return found


def plain_number(value: float) -> str:
    """A number in full, without an exponent: argparse takes -1e-05 for an option."""
    return str(value) if isinstance(value, int) else np.format_float_positional(value, trim="0")


def training_arguments(cells: Sequence[Cell], toy: Mapping[str, Any]) -> list[str]:
    """Arguments of `python -m scaling.toy.training` that train just these cells, which share training, law and n."""
    first = cells[0]
    axes = {name: list(dict.fromkeys(getattr(cell, name) for cell in cells)) for name in AXES}
    product = [
        dataclasses.replace(first, **dict(zip(AXES, point, strict=True))).name
        for point in itertools.product(*axes.values())
    ]
    names = {cell.name for cell in cells}
    arguments = ["--training", first.training, "--frequency-law", first.frequency_law, "--n", str(first.n)]
    for name, points in axes.items():
        if points != [None]:
            arguments += [f"--{name.replace('_', '-')}", *map(plain_number, points)]
    arguments += ["--samples", str(toy["held_out_samples"])]
    for key, value in toy["trainings"][first.training].items():
        arguments += [f"--{key.replace('_', '-')}", plain_number(value)]
    elsewhere = [name for name in product if name not in names]
    return arguments + (["--except", *elsewhere] if elsewhere else [])
