"""Exponents of parts of the loss and of losses after interventions, from made-up tables with known answers."""

import numpy as np
import pandas as pd
import pytest
from synthetic_toy import filled

from scaling import tables
from scaling.fits.parts import intervention_exponents, part_table, scatter_explained


KEY = {"training": "paper", "frequency_law": "power_law", "n": 1000, "gamma": -0.5, "alpha": 0.0}
KEY |= {"activation_density": 1.0, "learning_rate_factor": 1.0, "initial_bias": "normal"}


def made_up_models(seeds: int = 3) -> pd.DataFrame:
    """Live loss 4/m without scatter; silent loss 6/m times a factor of the seed."""
    rows = []
    for m in (10, 20, 40, 80):
        for seed in range(seeds):
            silent, live = 6 / m * (1 + 0.1 * (seed - 1)), 4 / m
            parts = {"loss_silent": silent, "loss_shrink": 0.9 * live, "loss_interference": -0.1 * live}
            row = KEY | parts | {"loss_false": 0.2 * live, "loss": silent + live, "m": m, "seed": seed}
            row |= {"own_loss": 6.0, "own_loss_overlaps": 1 / m**2}
            rows.append(row | {"experiment": "sweep", "model": f"m{m}_seed{seed}", "loss_train_tail": silent + live})
    return filled("toy_models", rows)


def test_parts_have_their_exponents_and_shares():
    table = tables.validate("toy_part_exponents", part_table(made_up_models()), "test").set_index("part")
    for part in ("loss", "silent", "live", "shrink", "false"):
        assert table.loc[part, "exponent"] == pytest.approx(1, abs=0.01)
        assert (table.loc[part, "n_points"], table.loc[part, "n_seeds"]) == (4, 3)
    assert table.loc["silent", "mean_share"] == pytest.approx(0.6, abs=0.01)
    assert table.loc["silent", "scatter_explained"] == pytest.approx(1)
    assert table.loc["live", "scatter_explained"] == pytest.approx(0, abs=1e-9)
    assert table.loc["own_loss_overlaps", "exponent"] == pytest.approx(2, abs=1e-9)
    assert np.isnan(table.loc["own_loss_overlaps", "mean_share"])
    assert table.loc["interference", "status"] == "not identified"
    assert table.loc["interference", "note"] == "zero or negative at m = 10, 20, 40, 80"


def test_scatter_explained_by_hand():
    m, loss, part = pd.Series([1, 1]), pd.Series([1.0, 3.0]), pd.Series([0.0, 1.0])
    assert scatter_explained(m, loss, part) == pytest.approx(1 - (0.5**2 / 1**2))
    assert np.isnan(scatter_explained(pd.Series([1, 2]), loss, part))


def test_interventions_against_width_and_against_scale():
    rows = [
        KEY | {"m": m, "seed": 0, "model": f"m{m}", "intervention": "revived", "refit": "all"}
        | {"loss_before": 10 / m, "loss": 100 / m**2, "n_silent_before": 30, "n_silent": 0}
        for m in (10, 20, 40)
    ]  # fmt: skip
    rows += [
        KEY | {"m": 10, "seed": 0, "model": "m10", "intervention": "overlaps", "refit": "bias", "scale": scale}
        | {"n_silent_before": 0, "n_silent": 0, "loss_before": 1.0, "loss": scale**2 + (scale == 0) * 1e-3}
        for scale in (0.0, 0.25, 0.5, 1.0)
    ]  # fmt: skip
    table = tables.validate("intervention_exponents", intervention_exponents(filled("interventions", rows)), "test")
    revived = table[(table["intervention"] == "revived") & (table["against"] == "m")].iloc[0]
    assert (revived["exponent"], revived["exponent_before"]) == (pytest.approx(2), pytest.approx(1))
    assert revived["mean_ratio"] == pytest.approx(np.exp(np.log([1, 0.5, 0.25]).mean()))
    assert (revived["mean_n_silent_before"], revived["mean_n_silent"]) == (30, 0)
    scaled = table[table["against"] == "scale"].iloc[0]
    assert (scaled["exponent"], scaled["n_points"], scaled["m"]) == (pytest.approx(2), 3, 10)


def test_a_study_without_interventions_gives_an_empty_table():
    empty = filled("interventions", [KEY]).iloc[:0]
    assert len(tables.validate("intervention_exponents", intervention_exponents(empty), "test")) == 0
