"""The bigram matrices and models that the config lists.

A model is a matrix, a width m, a weight decay gamma, tied or not, and a seed. The Snakefile imports this module.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from scaling.command import InputError


COUNTED_LAWS = ("text", "smoothed", "shuffled")  # made from the bigram counts of a text
SYNTHETIC_LAWS = ("independent", "blocks", "sparse", "spectrum", "random")
LAWS = COUNTED_LAWS + SYNTHETIC_LAWS
JOB_OPERATIONS = 2e13  # floating-point operations per job: about five minutes on one core


@dataclass(frozen=True, kw_only=True)
class MatrixSettings:
    """The bigram matrix to train on. Raises InputError for settings that do not define a matrix.

    text: the counts of a text. smoothed: the same after interpolated Kneser-Ney smoothing. shuffled: the counts of the
    same tokens in random order. The other laws are synthetic, with n tokens of frequencies r_i ~ i^-alpha:
    independent P = 1 r^T; blocks: most next tokens are in the block of the token; sparse: each token
    has few successors; spectrum: log P has singular values k^-exponent; random: log P has independent normal entries.
    """

    law: str
    vocabulary: int | None = None  # tokens of the tokenizer, for the counted laws
    n: int | None = None  # tokens, for the synthetic laws
    alpha: float = 1.0
    blocks: int = 16
    successors: int = 8
    exponent: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError(f"law {self.law!r}: must be one of {', '.join(LAWS)}")
        wanted, unwanted = ("vocabulary", "n") if self.law in COUNTED_LAWS else ("n", "vocabulary")
        if getattr(self, wanted) is None or getattr(self, unwanted) is not None:
            raise InputError(f"the law {self.law} takes {wanted}, not {unwanted}")
        if self.n is not None:
            for name in ("blocks", "successors"):
                if not 1 <= getattr(self, name) <= self.n:
                    raise InputError(f"{name} = {getattr(self, name)}: must lie between 1 and n = {self.n}")
        for name in ("alpha", "exponent"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"{name} = {getattr(self, name)}: must be finite")

    @property
    def is_counted(self) -> bool:
        """Whether the matrix is computed from the counts of a text."""
        return self.law in COUNTED_LAWS

    @property
    def size(self) -> int:
        """Number of tokens, or an upper bound: a text may not use the whole vocabulary."""
        return int(self.vocabulary or self.n or 0)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A model to train. Raises InputError for an invalid value."""

    matrix: str
    m: int
    gamma: float
    tied: bool = False
    iterations: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("m", "iterations"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}: must be at least 1")
        if not math.isfinite(self.gamma):
            raise InputError(f"gamma = {self.gamma}: must be finite")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: must be at least 0")

    @property
    def curve(self) -> str:
        """Path of the curve (excess loss against m) that the model belongs to."""
        return f"{self.matrix}/gamma{self.gamma:.6g}{'_tied' if self.tied else ''}"

    @property
    def name(self) -> str:
        """Path of the model below results/bigram/models, without its extension."""
        return f"{self.curve}/m{self.m}_seed{self.seed}"


def matrices(section: Mapping[str, Any]) -> dict[str, MatrixSettings]:
    """Return the matrices of the config's `bigram` section by name. Raises InputError with the name of the matrix."""
    found = {}
    for name, settings in section["matrices"].items():
        try:
            found[name] = MatrixSettings(**settings)
        except InputError as error:
            raise InputError(f"config: bigram: matrices: {name}: {error}") from None
    return found


def as_list(value: Any) -> list[Any]:
    """An axis of a grid: one value, or a list of them."""
    return list(value) if isinstance(value, list | tuple) else [value]


def cells(section: Mapping[str, Any]) -> dict[str, Cell]:
    """Return the models of the config's `bigram` section by name; a model in two grids is listed once.

    Raises InputError for an unknown matrix and for two models that would share a name.
    """
    known = matrices(section)
    found: dict[str, Cell] = {}
    for grid in section["models"]:
        axes = {name: as_list(grid[name]) for name in ("matrix", "gamma", "tied", "m") if name in grid}
        axes["seed"] = list(range(grid.get("seeds", 1)))
        for point in itertools.product(*axes.values()):
            values = dict(zip(axes, point, strict=True))
            if values["matrix"] not in known:
                raise InputError(
                    f"config: bigram: models: matrix {values['matrix']!r} is not one of {', '.join(known)}"
                )
            if "iterations" in grid:
                values["iterations"] = grid["iterations"]
            cell = Cell(**values)
            if found.setdefault(cell.name, cell) != cell:
                raise InputError(
                    f"config: bigram: models: {cell} and {found[cell.name]} share a name; "
                    "give equal iterations, and gammas that differ in 6 digits"
                )
    return found


def flows(section: Mapping[str, Any]) -> list[tuple[Cell, float, float]]:
    """Return the runs of gradient flow that the config lists: model, time, and step size.

    Raises InputError for an unknown matrix.
    """
    known = matrices(section)
    found = []
    for grid in section.get("flow", []):
        for matrix, m, step_size in itertools.product(*(as_list(grid[name]) for name in ("matrix", "m", "step_size"))):
            if matrix not in known:
                raise InputError(f"config: bigram: flow: matrix {matrix!r} is not one of {', '.join(known)}")
            found.append((Cell(matrix=matrix, m=m, gamma=0.0), float(grid["time"]), float(step_size)))
    return found


def operations(cell: Cell, size: int) -> float:
    """Estimate the floating-point operations of a training: three n x n x m products per iteration, exponentials."""
    return float(cell.iterations) * size**2 * (6 * cell.m + 60)


def jobs(section: Mapping[str, Any]) -> dict[str, list[Cell]]:
    """Return the models of each job by name: the widths of one curve and seed; expensive models have their own job."""
    known = matrices(section)
    curves: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in cells(section).values():
        curves.setdefault((cell.curve, cell.iterations, cell.seed), []).append(cell)
    found: dict[str, list[Cell]] = {}
    for members in curves.values():
        cost = 0.0
        job: list[Cell] = []
        for cell in sorted(members, key=lambda member: member.m):
            own = operations(cell, known[cell.matrix].size)
            if not job or cost + own > JOB_OPERATIONS:
                job, cost = [], 0.0
                found[cell.name.replace("/", "_")] = job
            job.append(cell)
            cost += own
    return found


def memory(job: Sequence[Cell], section: Mapping[str, Any]) -> int:
    """Return the memory of a job in MB: libraries, five n x n float64 arrays, and 30 weight vectors for L-BFGS."""
    size = matrices(section)[job[0].matrix].size
    return 500 + int((5 * size**2 + 60 * size * max(cell.m for cell in job)) * 8e-6)


def options(settings: MatrixSettings) -> list[str]:
    """Return the command-line options for these settings."""
    given = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


def training_arguments(job: Sequence[Cell], section: Mapping[str, Any]) -> list[str]:
    """Return the arguments of `python -m scaling.bigram.training` that train the models of one job."""
    first = job[0]
    arguments = [f"--matrix={first.matrix}", *options(matrices(section)[first.matrix])]
    arguments += ["--m", *(str(cell.m) for cell in job), f"--gamma={first.gamma}"]
    arguments += [f"--iterations={first.iterations}", f"--model-seed={first.seed}"]
    return [*arguments, "--tied"] if first.tied else arguments
