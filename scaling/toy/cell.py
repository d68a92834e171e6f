"""One toy model to train: its settings, its name, and its random numbers."""

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.frequency_laws import FREQUENCY_LAWS
from scaling.toy.features import frequencies
from scaling.toy.initial_bias import initial_bias_name


DEFAULT_ALPHA = 1.0  # of laws that have a data exponent
AXES = ("m", "gamma", "alpha", "activation_density", "learning_rate_factor", "initial_bias", "seed")


def has_exponent(frequency_law: str) -> bool:
    """Return whether the law has a data exponent alpha; unknown laws are refused elsewhere."""
    return frequency_law in FREQUENCY_LAWS and FREQUENCY_LAWS[frequency_law].has_alpha


@lru_cache(maxsize=16)
def check_frequencies(frequency_law: str, n: int, alpha: float | None, activation_density: float) -> None:
    """Raise InputError for impossible frequencies, such as p_i > 1; cached, since many cells share them."""
    frequencies(frequency_law, n, alpha, activation_density)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One toy model to train: everything that its result depends on, except the recipe that `training` names.

    The command line, the config and the library take their defaults from here. alpha = None means 1 for the power law;
    laws without a data exponent have none. initial_bias is `normal`, `zero`, a number, or `normal` with a factor, see
    `scaling.toy.initial_bias`. Raises InputError for a value that no model can have.
    """

    training: str = "paper"
    frequency_law: str = "power_law"
    n: int = 1000
    m: int
    gamma: float
    alpha: float | None = None
    activation_density: float = 1.0
    seed: int = 0
    learning_rate_factor: float = 1.0
    initial_bias: str = "normal"

    def __post_init__(self) -> None:
        if not 1 <= self.m <= self.n:
            raise InputError(f"m = {self.m}, n = {self.n}: the model dimension m must lie between 1 and n")
        if not math.isfinite(self.gamma):
            raise InputError(f"gamma = {self.gamma}: the weight decay must be a finite number")
        if not (math.isfinite(self.learning_rate_factor) and self.learning_rate_factor > 0):
            raise InputError(f"learning_rate_factor = {self.learning_rate_factor}: must be finite and above 0")
        if self.seed < 0:
            raise InputError(f"seed = {self.seed}: must be 0 or more")
        has_alpha = has_exponent(self.frequency_law)
        if has_alpha and self.alpha is None:
            object.__setattr__(self, "alpha", DEFAULT_ALPHA)
        if not has_alpha and self.alpha is not None:
            raise InputError(
                f"alpha = {self.alpha}: the {self.frequency_law} law has no data exponent; leave alpha out"
            )
        object.__setattr__(self, "initial_bias", initial_bias_name(self.initial_bias))
        check_frequencies(self.frequency_law, self.n, self.alpha, self.activation_density)

    @property
    def p(self) -> NDArray[np.float64]:
        """Feature frequencies, shape (n,)."""
        return frequencies(self.frequency_law, self.n, self.alpha, self.activation_density)

    @property
    def setting(self) -> str:
        """Path that names the recipe and the features."""
        alpha = "" if self.alpha is None else f"_alpha{self.alpha:.6g}"
        return f"{self.training}/{self.frequency_law}_n{self.n}{alpha}_E{self.activation_density:.6g}"

    @property
    def paired_curve(self) -> str:
        """Path of the curve without its initial bias, which cells that differ in nothing else share."""
        rate = "" if self.learning_rate_factor == 1 else f"_lr{self.learning_rate_factor:.6g}"
        return f"{self.setting}/gamma{self.gamma:.6g}{rate}"

    @property
    def curve(self) -> str:
        """Path of the curve L(m) that contains the cell."""
        bias = "" if self.initial_bias == "normal" else f"_bias_{self.initial_bias}"
        return f"{self.paired_curve}{bias}"

    @property
    def name(self) -> str:
        """Path of the model below results/toy/models, without its suffix."""
        return f"{self.curve}/m{self.m}_seed{self.seed}"

    def random_streams(self) -> list[np.random.Generator]:
        """Independent generators for the initial state, the training samples and the held-out samples.

        They do not depend on the initial bias: cells that differ in it alone start from the same W and see the same
        samples, which makes their difference a paired comparison.
        """
        entropy = [self.seed, zlib.crc32(f"{self.paired_curve}/m{self.m}_seed{self.seed}".encode())]
        return [np.random.default_rng(stream) for stream in np.random.SeedSequence(entropy).spawn(3)]
