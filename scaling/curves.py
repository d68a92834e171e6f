"""Definitions shared by fits, figures and claims of the toy study: curve, regime, usual training, decay sweep."""

import pandas as pd


# The columns of toy_models.csv whose values all models of one curve L(m) share.
CURVE = ["frequency_law", "n", "gamma", "alpha", "activation_density", "learning_rate_factor", "initial_bias"]
STRONG, WEAK = 3 / 4, 1 / 2  # mean phi_half of a curve above, or below, which superposition is strong or weak
LARGE_N = 10_000  # features; the decay sweep has fewer, the paper's large study has 10240
DENSITY_MARGIN = 0.02  # E of the decay sweep is 1 up to this


def regime(mean_phi_half: float) -> str:
    """Return strong, weak or between, by the mean of phi_half over the widths of a curve (paper, section 3)."""
    if mean_phi_half > STRONG:
        return "strong"
    return "weak" if mean_phi_half < WEAK else "between"


def usual(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the recipe's own learning rate and the paper's initial bias."""
    return frame[(frame["learning_rate_factor"] == 1) & (frame["initial_bias"] == "normal")]


def decay_sweep(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the decay sweep: usual training, power-law frequencies, E = 1, n below LARGE_N."""
    frame = usual(frame)
    near_one = (frame["activation_density"].astype(float) - 1).abs() < DENSITY_MARGIN
    return frame[(frame["frequency_law"] == "power_law") & near_one & (frame["n"] < LARGE_N)]
