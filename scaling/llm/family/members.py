"""The family of language models trained here: the members that the config requests, and their names.

A member is a width m, a weight decay gamma of the rows of its head, a learning-rate factor and a seed; all other
settings form one `Recipe`. This module imports little, because the Snakefile imports it.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from scaling.command import InputError
from scaling.grid import axis
from scaling.settings import check, setting


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How every member is built and trained.

    The learning rate at width m is learning_rate (m / reference_width)^learning_rate_exponent, with linear warm-up and
    a cosine to 5 % of it. Raises InputError for a value that no training can have.
    """

    architecture: str = setting("gpt2", description="class of transformers", enum=["gpt2", "llama"])
    n_layers: int = setting(2, description="transformer layers", minimum=1, maximum=1000)
    head_width: int = setting(16, description="dimensions of an attention head", minimum=2)
    tied: bool = setting(True, description="whether input embedding and head are one matrix")
    vocabulary: int = setting(
        2048,
        description="tokens of the byte-level BPE, trained on the same text: 256 bytes, the end of text, and merges",
        minimum=257,
        maximum=1_000_000,
    )
    context: int = setting(64, description="tokens per window", minimum=2)
    steps: int = setting(800, description="training steps", minimum=1)
    batch_size: int = setting(16, description="windows per step", minimum=1)
    learning_rate: float = setting(0.03, description="peak learning rate at reference_width", exclusiveMinimum=0)
    learning_rate_exponent: float = setting(-0.67, description="power of m / reference_width in the learning rate")
    reference_width: int = setting(16, description="width m at which learning_rate is given", minimum=1)
    warmup_steps: int = setting(80, description="steps of linear warm-up before the cosine", minimum=0)
    body_decay: float = setting(0.1, description="AdamW's weight decay of all matrices but the embeddings", minimum=0)

    def __post_init__(self) -> None:
        check(self)
        if self.warmup_steps > self.steps:
            raise InputError(f"warmup_steps = {self.warmup_steps}: must lie between 0 and steps = {self.steps}")

    @property
    def stride(self) -> int:
        """Tokens by which evaluation windows advance, so that half a context precedes each scored token."""
        return self.context // 2

    def rate(self, m: int) -> float:
        """The highest learning rate at width m."""
        return float(self.learning_rate * (m / self.reference_width) ** self.learning_rate_exponent)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model of the family. Raises InputError for a value that no model can have."""

    m: int
    gamma: float
    learning_rate_factor: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.m < 1:
            raise InputError(f"m = {self.m}: the width must be at least 1")
        if not math.isfinite(self.gamma):
            raise InputError(f"gamma = {self.gamma}: must be finite")
        if not (math.isfinite(self.learning_rate_factor) and self.learning_rate_factor > 0):
            raise InputError(f"learning_rate_factor = {self.learning_rate_factor}: must be finite and above 0")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: must be at least 0")

    @property
    def family(self) -> str:
        """Family in the tables: members of one gamma, which share an intercept and a factor of their overlaps."""
        return f"local_gamma{self.gamma:g}"

    @property
    def factor(self) -> str:
        """The learning-rate factor as a part of names; empty for the recipe's own rate."""
        return "" if self.learning_rate_factor == 1 else f"_lr{self.learning_rate_factor:g}"

    @property
    def curve(self) -> str:
        """Name of the members that differ from it in width and seed alone."""
        return f"{self.family}{self.factor}"

    @property
    def name(self) -> str:
        """Its name in the tables; also its path below results/llm/family."""
        return f"{self.family}/m{self.m}{self.factor}_seed{self.seed}"


def n_heads(m: int, recipe: Recipe) -> int:
    """Return the number of attention heads at width m. Raises InputError if their width is not an even integer."""
    heads = max(1, m // recipe.head_width)
    if m % heads or (m // heads) % 2:
        raise InputError(
            f"m = {m}: gives {heads} attention heads of an odd or broken width; take a multiple of head_width"
        )
    return heads


def members(grids: Iterable[Mapping[str, Any]], recipe: Recipe) -> dict[str, Member]:
    """Return every member by name: the product of the axes of each grid, without duplicates.

    Raises InputError for an empty axis, a value that no model can have, and members that would share a name.
    """
    found: dict[str, Member] = {}
    for grid in grids:
        axes = {name: axis(name, grid.get(name, 1)) for name in ("m", "gamma", "learning_rate_factor")}
        axes["seed"] = list(range(grid.get("seeds", 1)))
        for point in itertools.product(*axes.values()):
            member = Member(**dict(zip(axes, point, strict=True)))
            n_heads(member.m, recipe)
            if found.setdefault(member.name, member) != member:
                raise InputError(f"{member} and {found[member.name]} share a name; give gammas that differ in 6 digits")
    return found


def by_curve(found: Mapping[str, Member]) -> dict[str, list[Member]]:
    """Return the members by the name of their curve."""
    curves: dict[str, list[Member]] = {}
    for member in found.values():
        curves.setdefault(member.curve, []).append(member)
    return curves


def recipe_of(section: Mapping[str, Any]) -> Recipe:
    """The recipe in the config's `llm: family` section."""
    return Recipe(**{field.name: section[field.name] for field in fields(Recipe) if field.name in section})
