"""The toy study's tables as claims use them: the paper's learning rate only, each model and each curve once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scaling.claims.study import Study
from scaling.fits import published


HOW_TO_TRAIN = "no such models, or fewer than three widths: `snakemake --cores all toy` with a grid that has them"
HOW_TO_TRAIN_PAPER = "not in the default study: `snakemake --cores all --configfile config.yaml config/paper.yaml`"
STRONG_GAMMA = -0.33  # at or below this weight decay a curve is meant to be in strong superposition (Fig. 6e)
WEAK_GAMMA = 0.6  # above 0 and up to this one it is meant to be in weak superposition (the weak points of Fig. 6e)
LARGE = 10_000  # the paper's large study has n = 10240
SETTING = ["frequency_law", "n", "gamma", "alpha", "activation_density"]


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows one by one, their columns as attributes."""
    return iter(frame.itertuples())


def standard_error(values: pd.Series) -> float:
    """Standard deviation over the square root of the count; NaN for fewer than two values."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


@dataclass(frozen=True, kw_only=True)
class ToyStudy:
    """Tables of one run (empty where they were not made), the folder of published points, and the run's name."""

    models: pd.DataFrame
    exponents: pd.DataFrame
    starts: pd.DataFrame
    features: pd.DataFrame
    resources: Path
    name: str = field(default="default")

    @classmethod
    def of(cls, study: Study) -> "ToyStudy":
        """The toy tables of a study, without rows at another learning rate or another initial bias.

        Curves without a line (fewer than three widths) are left out, too.
        """
        rows, curves, windows = (
            frame[(frame["learning_rate_factor"] == 1) & (frame["initial_bias"] == "normal")]
            for frame in map(study.table, ("toy_models", "toy_exponents", "toy_exponent_starts"))
        )
        curves = curves[curves["status"] == "converged"].sort_values("n_points", ascending=False, kind="stable")
        return cls(
            models=rows.drop_duplicates("model"),
            exponents=curves.drop_duplicates(SETTING).sort_values(SETTING, kind="stable"),
            starts=windows.drop_duplicates([*SETTING, "quantity", "start_index"]),
            features=study.table("toy_features"),
            resources=study.resources,
            name=study.name,
        )

    def published(self, figure: str, columns: list[str]) -> pd.DataFrame:
        """Points read off a figure of the paper."""
        return published.read(self.resources / f"{figure}.csv", columns)

    @property
    def sweep_curves(self) -> pd.DataFrame:
        """Curves of the decay sweep: power-law frequencies, E = 1."""
        return sweep(self.exponents)

    @property
    def strong_models(self) -> pd.DataFrame:
        """Models at or below STRONG_GAMMA of the decay sweep's curves with three widths or more."""
        rows = in_curves(sweep(self.models))
        return rows[rows["gamma"] <= STRONG_GAMMA]

    @property
    def weak_models(self) -> pd.DataFrame:
        """Models with 0 < gamma <= WEAK_GAMMA and phi_half < 1/2 of the decay sweep's curves with three widths."""
        rows = in_curves(sweep(self.models))
        return rows[rows["gamma"].between(0, WEAK_GAMMA, inclusive="right") & (rows["phi_half"] < 0.5)]


def sweep(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with power-law frequencies, E = 1 and n below the large study's."""
    near_one = np.abs(frame["activation_density"].astype(float) - 1) < 0.02
    return frame[(frame["frequency_law"] == "power_law") & near_one & (frame["n"] < LARGE)]


def in_curves(models: pd.DataFrame) -> pd.DataFrame:
    """Models whose curve has three widths or more."""
    return models[models.groupby(SETTING, dropna=False)["m"].transform("nunique") >= 3]
