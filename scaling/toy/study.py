"""What is trained: the cells of the config's experiments, grids of widths, decays, exponents, densities and seeds."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scaling.command import InputError
from scaling.grid import axis
from scaling.toy.cell import AXES, DEFAULT_ALPHA, Cell, has_exponent
from scaling.toy.features import frequencies
from scaling.toy.recipe import Recipe


MOST_CELLS = 100_000  # of one grid, before any is made

GRID_DEFAULTS = {
    "n": Cell.n,
    "frequency_law": Cell.frequency_law,
    "alpha": DEFAULT_ALPHA,
    "activation_density": Cell.activation_density,
    "learning_rate_factor": Cell.learning_rate_factor,
    "initial_bias": Cell.initial_bias,
    "seeds": 1,
}


def grid_cells(grid: Mapping[str, Any]) -> list[Cell]:
    """The cells of one grid: the product of its axes, seeds innermost. Raises InputError for an empty axis."""
    grid = {**GRID_DEFAULTS, **grid}
    cells: list[Cell] = []
    for law in axis("frequency_law", grid["frequency_law"]):
        alphas = axis("alpha", grid["alpha"]) if has_exponent(law) else [None]
        for alpha in alphas:
            largest = 1e-9 / float(frequencies(law, grid["n"], alpha, 1e-9).max())
            axes = {
                "activation_density": axis("activation_density", grid["activation_density"], largest),
                "gamma": axis("gamma", grid["gamma"]),
                "learning_rate_factor": axis("learning_rate_factor", grid["learning_rate_factor"]),
                "initial_bias": axis("initial_bias", grid["initial_bias"]),
                "m": axis("m", grid["m"]),
                "seed": list(range(grid["seeds"])),
            }
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


def cells_by_curve(toy: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """Every cell of the study, grouped by its curve L(m), in order of width and seed."""
    found: dict[str, list[Cell]] = {}
    for cell in sorted(distinct_cells(toy).values(), key=lambda cell: (cell.m, cell.seed)):
        found.setdefault(cell.curve, []).append(cell)
    return found


def interventions(toy: Mapping[str, Any]) -> dict[str, list[str]]:
    """The interventions on each model of the config's `toy` section, by the model's name, each named once.

    Raises InputError for a model that no experiment trains.
    """
    trained = distinct_cells(toy)
    found: dict[str, list[str]] = {}
    for item in toy.get("interventions", []):
        try:
            cells = grid_cells(item["models"])
        except InputError as error:
            raise InputError(f"config, toy: interventions: {error}") from None
        for cell in cells:
            if cell.name not in trained:
                raise InputError(
                    f"config, toy: interventions: no experiment trains {cell.name}; add it to an experiment"
                )
            names = found.setdefault(cell.name, [])
            names += [name for name in item["interventions"] if name not in names]
    return found


def stages(toy: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """The cells of each stage of the config's `toy` section in order, each in the first stage that names it.

    A stage lists names of experiments and grids. Raises InputError for one that no experiment trains.
    """
    trained, groups = distinct_cells(toy), experiments(toy)
    found: dict[str, list[Cell]] = {}
    done: set[str] = set()
    for stage, items in toy.get("stages", {}).items():
        where = f"config, toy: stages: {stage}"
        cells: list[Cell] = []
        for item in items:
            if isinstance(item, str) and item not in groups:
                raise InputError(f"{where}: no experiment {item!r}; the experiments are {', '.join(groups)}")
            cells += groups[item] if isinstance(item, str) else grid_cells(item)
        if strange := [cell.name for cell in cells if cell.name not in trained]:
            raise InputError(f"{where}: no experiment trains {strange[0]}; add it to an experiment")
        found[stage] = [cell for name, cell in {cell.name: cell for cell in cells}.items() if name not in done]
        done |= {cell.name for cell in cells}
    return found


def stacks(toy: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """Cells that one job of the torch engine trains, by name; no cell is in two jobs.

    They share all that sets the cost of a step, training, law, n, m and density, so that none is padded for another;
    exponents, decays and seeds lie along the stack.
    """
    found: dict[str, list[Cell]] = {}
    for cell in distinct_cells(toy).values():
        rate = "" if cell.learning_rate_factor == 1 else f"_lr{cell.learning_rate_factor:.6g}"
        name = f"{cell.training}_{cell.frequency_law}_n{cell.n}_m{cell.m}_E{cell.activation_density:.6g}{rate}"
        found.setdefault(name, []).append(cell)
    return found


def plain(value: float | str) -> str:
    """A number in full, without an exponent, since argparse takes -1e-05 for an option; a text as it is."""
    return str(value) if isinstance(value, int | str) else np.format_float_positional(value, trim="0")


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
            arguments += [f"--{name.replace('_', '-')}", *map(plain, points)]
    for key, value in toy["trainings"][first.training].items():
        arguments += [f"--{key.replace('_', '-')}", plain(value)]
    elsewhere = [name for name in product if name not in names]
    return arguments + (["--except", *elsewhere] if elsewhere else [])
