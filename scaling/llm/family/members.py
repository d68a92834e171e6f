"""The family of language models trained here: which members the config asks for, and their names.

A member is a width m, a weight decay gamma of the rows of its head, a learning-rate factor and a seed; all else is one
`Recipe`. Light to import, for the Snakefile does.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from scaling.command import InputError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How every member is built and trained.

    The learning rate at width m is learning_rate (m / reference_width)^learning_rate_exponent, with linear warm-up and
    a cosine to 5 % of it. Raises InputError for a value that no training can have.
    """

    architecture: str = "gpt2"
    n_layers: int = 2
    head_width: int = 16  # dimensions of an attention head
    tied: bool = True
    vocabulary: int = 2048
    context: int = 64
    steps: int = 800
    batch_size: int = 16  # windows of `context` tokens
    learning_rate: float = 0.03
    learning_rate_exponent: float = -0.67
    reference_width: int = 16
    warmup_steps: int = 80
    body_decay: float = 0.1  # AdamW's weight decay of all matrices but the embeddings

    def __post_init__(self) -> None:
        if self.architecture not in ("gpt2", "llama"):
            raise InputError(f"architecture {self.architecture!r}: must be gpt2 or llama")
        for name in ("n_layers", "head_width", "steps", "batch_size", "reference_width"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} = {getattr(self, name)}: must be at least 1")
        if self.vocabulary < 257:
            raise InputError(f"vocabulary = {self.vocabulary}: must be at least 257, the bytes and the end of text")
        if self.context < 2:
            raise InputError(f"context = {self.context}: must be at least 2 tokens")
        if not 0 <= self.warmup_steps <= self.steps:
            raise InputError(f"warmup_steps = {self.warmup_steps}: must lie between 0 and steps = {self.steps}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"learning_rate = {self.learning_rate}: must be finite and above 0")
        if not math.isfinite(self.learning_rate_exponent):
            raise InputError(f"learning_rate_exponent = {self.learning_rate_exponent}: must be finite")
        if not (math.isfinite(self.body_decay) and self.body_decay >= 0):
            raise InputError(f"body_decay = {self.body_decay}: must be finite and at least 0")

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
        """Members of one gamma are one family in the tables: they share an intercept and a factor of their overlaps."""
        return f"local_gamma{self.gamma:g}"

    @property
    def name(self) -> str:
        """Its name in the tables; also its path below results/llm/family."""
        factor = "" if self.learning_rate_factor == 1 else f"_lr{self.learning_rate_factor:g}"
        return f"{self.family}/m{self.m}{factor}_seed{self.seed}"


def n_heads(m: int, recipe: Recipe) -> int:
    """Attention heads at width m, each head_width wide or a little more; raises InputError when they are not even."""
    heads = max(1, m // recipe.head_width)
    if m % heads or (m // heads) % 2:
        raise InputError(
            f"m = {m}: gives {heads} attention heads of an odd or broken width; take a multiple of head_width"
        )
    return heads


def as_list(value: Any) -> list[Any]:
    """An axis of a grid: a number, or a list of them."""
    return list(value) if isinstance(value, list | tuple) else [value]


def members(grids: Iterable[Mapping[str, Any]], recipe: Recipe) -> dict[str, Member]:
    """Every member by name: the product of the axes of each grid; one asked for twice stands once.

    Raises InputError for an empty axis, a value that no model can have, and members that would share a name.
    """
    found: dict[str, Member] = {}
    for grid in grids:
        axes = {name: as_list(grid.get(name, 1)) for name in ("m", "gamma", "learning_rate_factor")}
        axes["seed"] = list(range(grid.get("seeds", 1)))
        for name, values in axes.items():
            if not values:
                raise InputError(f"{name} is empty; give at least one value")
        for point in itertools.product(*axes.values()):
            member = Member(**dict(zip(axes, point, strict=True)))
            n_heads(member.m, recipe)
            if found.setdefault(member.name, member) != member:
                raise InputError(f"{member} and {found[member.name]} share a name; give gammas that differ in 6 digits")
    return found


def recipe_of(section: Mapping[str, Any]) -> Recipe:
    """The recipe in the config's `llm: family` section."""
    return Recipe(**{field.name: section[field.name] for field in fields(Recipe) if field.name in section})
