"""Words of the toy study's tables: curve, regime, usual training, decay sweep. Fits, figures and claims use these."""

import pandas as pd


# The columns of toy_models.csv whose values all models of one curve L(m) share. They differ in width and seed only.
CURVE = [
    "training",
    "frequency_law",
    "n",
    "gamma",
    "alpha",
    "activation_density",
    "learning_rate_factor",
    "initial_bias",
]
STRONG, WEAK = 3 / 4, 1 / 2  # mean phi_half of a curve above, or below, which superposition is strong or weak
LARGE_N = 10_000  # features; the decay sweep has fewer, the paper's large study has 10240
DENSITY_MARGIN = 0.02  # E of the decay sweep is 1 up to this


def regime(mean_phi_half: float) -> str:
    """Return strong, weak or between, by the mean of phi_half over the widths of a curve (paper, section 3)."""
    if mean_phi_half > STRONG:
        return "strong"
    return "weak" if mean_phi_half < WEAK else "between"


def main_recipe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the recipe that most rows of the same n have; variants of a recipe are other curves."""
    counts = frame.groupby(["n", "training"]).size().sort_values(ascending=False, kind="stable")
    main = counts.reset_index().drop_duplicates("n").set_index("n")["training"]
    return frame[frame["training"] == frame["n"].map(main)]


def usual(frame: pd.DataFrame, initial_bias: str = "normal") -> pd.DataFrame:
    """Return the rows of the main recipe at its own learning rate, from one initial bias (default: the paper's)."""
    frame = main_recipe(frame)
    return frame[(frame["learning_rate_factor"] == 1) & (frame["initial_bias"] == initial_bias)]


def decay_sweep(frame: pd.DataFrame, initial_bias: str = "normal") -> pd.DataFrame:
    """Return the rows of the decay sweep: usual training, power-law frequencies, E = 1, n below LARGE_N."""
    frame = usual(frame, initial_bias)
    near_one = (frame["activation_density"].astype(float) - 1).abs() < DENSITY_MARGIN
    return frame[(frame["frequency_law"] == "power_law") & near_one & (frame["n"] < LARGE_N)]
