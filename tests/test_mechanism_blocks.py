"""The blocks of docs/mechanism.md from recorded tables, and without them."""

import pandas as pd
import pytest
import synthetic_toy
from synthetic_toy import filled

from scaling import bias_blocks, geometry, intervention_blocks, mechanism_blocks, tables
from scaling.blocks import BLOCKS
from scaling.fits.toy import exponent_table
from scaling.markdown import NOT_RECORDED, markdown_table


@pytest.fixture
def recorded(tmp_path):
    folder = tmp_path / "made"
    models = tables.read("toy_models", synthetic_toy.study(folder, gammas=[-0.5555555556], seeds=1)["toy_models"])
    models["gamma"] = models["gamma"].where(models["gamma"] > -0.5555, -0.5555555556)
    zero = models.assign(model=models["model"] + "zero", initial_bias="zero", loss=models["loss"] / 2)
    models = pd.concat([models, zero])
    tables.write("toy_models", models, tmp_path / "toy_models.csv")
    tables.write("toy_exponents", exponent_table(models), tmp_path / "toy_exponents.csv")
    key = {"training": "paper", "frequency_law": "power_law", "n": 1000, "gamma": -0.5555555556, "alpha": 0.0}
    key |= {"activation_density": 1.0, "learning_rate_factor": 1.0, "m": 25, "initial_bias": "normal"}
    key |= {"n_silent": 0, "loss_interference": 0.0}
    rows = []
    for seed in (0, 1):
        base = key | {"model": f"m25_{seed}", "seed": seed, "loss_before": 0.726, "n_silent_before": 392}
        rows += [base | {"intervention": "revived", "refit": "all", "loss": 0.53 + seed / 100, "n_silent": 8}]
        base |= {"initial_bias": "zero"}
        for scale in (0.5, 1.0):
            row = base | {"intervention": "overlaps", "scale": scale, "loss_interference": scale**2, "loss": scale}
            rows += [row | {"refit": refit} for refit in ("none", "bias")]
        for name, quantile in (("rows_random", 0.4), ("rows_kept", 0.25)):
            row = base | {"intervention": name, "overlap_quantile_live": quantile, "mean_sq_overlap_live": 1 / 25}
            row |= {"max_overlap_live": 0.5, "loss": quantile}
            rows += [row | {"refit": refit} for refit in ("bias", "bias_and_norms", "all")]
    tables.write("interventions", filled("interventions", rows), tmp_path / "interventions.csv")
    return tmp_path


def test_blocks_show_the_recorded_numbers(recorded):
    parts = mechanism_blocks.mechanism_parts(recorded).splitlines()
    assert len(parts) == 2 + 2 * 6
    exponents = mechanism_blocks.mechanism_exponents(recorded).splitlines()
    assert len(exponents) == 2 + 2 * 3
    assert exponents[2].startswith("| 0 | N(0, 1) | ")
    after = intervention_blocks.mechanism_interventions(recorded)
    assert "| 0 | 25 | 2 | 0.7260 (392) | 0.5350 ± 0.0071 (8) | 0.0" in after  # standard deviation of 0.53 and 0.54
    assert "| p of lack of fit |" in exponents[0]


def test_other_directions_and_scaled_overlaps(recorded):
    directions = intervention_blocks.mechanism_directions(recorded).splitlines()
    assert directions[2].startswith("| 0 | 25 | trained | 1.000 | 0.50 | 0.250 | 0.2500 ± 0.0000 |")
    assert directions[3].startswith("| 0 | 25 | random |")
    scales = intervention_blocks.mechanism_scales(recorded).splitlines()
    assert scales[0] == "| α | m |  | s = 1 | s = 0.5 |"
    assert scales[5] == "| 0 | 25 | interference | 1.0000 | 0.2500 |"


def test_predictors_and_theory(recorded):
    row = {"data": "live", "predictors": "log_mean", "slope": 1.2, "slope_stderr": 0.02, "error_outside": 0.24}
    row |= {"exponent_error": 0.07, "n_models": 45, "n_curves": 8}
    rival = {"data": "counting", "predictors": "k = m^2/2", "error_outside": 1.42, "exponent_error": 0.7}
    rival |= {"n_models": 45, "n_curves": 8}
    tables.write("mediation", filled("mediation", [row, rival]), recorded / "mediation.csv")
    lines = intervention_blocks.mechanism_mediation(recorded).splitlines()
    assert lines[2] == "| loss of live features | mean square | 1.20 ± 0.02 | 0.24 | 0.07 | 45 in 8 |"
    assert lines[3].startswith("| loss | 4/3 Σ p_i over i > k, k = m^2/2 |  | 1.42 |")
    theory = [{"n": 1000, "m": m, "activation_density": 1.0, "loss": 1 / m} for m in (25, 50, 100)]
    tables.write("mean_field", filled("mean_field", theory), recorded / "mean_field.csv")
    lines = intervention_blocks.mechanism_theory(recorded).splitlines()
    assert lines[2:] == ["| 25 to 50 | 1.00 |", "| 50 to 100 | 1.00 |"]


@pytest.fixture
def varied(recorded):
    """The recorded models with wide ones, another recipe, another spread, another density, and gamma > 0."""
    models = tables.read("toy_models", recorded / "toy_models.csv")
    even = models[(models["alpha"] == 0) & (models["gamma"] < 0)]
    zero = even[(even["initial_bias"] == "zero") & (even["m"] == 100)]
    bound = 4 / 3 * geometry.welch_bound(1000, 400)
    wide = zero.assign(m=400, loss=zero["loss"] / 16, loss_interference=2 * bound, model="wide")
    long = even.assign(training="long", model=even["model"] + "long")
    half = even[even["initial_bias"] == "normal"].assign(initial_bias="normal0.5", model=even["model"] + "half")
    return pd.concat([models, wide, long, half]), recorded


def test_blocks_of_the_initial_bias(varied):
    models, recorded = varied
    tables.write("toy_models", models, recorded / "toy_models.csv")
    wide = bias_blocks.mechanism_wide(recorded).splitlines()
    assert len(wide) == 2 + 5  # m = 25, 39, 63, 100, 400
    assert "| 2.00 | " in wide[-1]  # the local exponent, loss / 16 from m = 100 to 400, and interference over its bound
    assert wide[-1].count("| 2.00 |") == 2
    recipes = bias_blocks.mechanism_recipes(recorded).splitlines()
    assert len(recipes) == 2 + 2 * 6
    assert all(line.endswith("| 2.00 |") for line in recipes[2:])
    spreads = bias_blocks.mechanism_spreads(recorded).splitlines()
    assert [line.split(" | ")[1] for line in spreads[2:]] == ["0", "N(0, 0.5²)", "N(0, 1)"]
    densities = bias_blocks.mechanism_densities(recorded).splitlines()
    assert len(densities) == 2 + 2 * 2
    weak = bias_blocks.mechanism_weak(recorded).splitlines()
    assert all("| 0.500 to 0.500 |" in line for line in weak[2:]) or weak == [NOT_RECORDED]


def test_a_bar_in_a_cell_is_escaped():
    assert markdown_table(["|w|"], [["1"]]) == "| \\|w\\| |\n| --- |\n| 1 |"
    assert markdown_table(["a"], []) == NOT_RECORDED


def test_blocks_of_the_paper_study_read_its_folder(recorded):
    assert mechanism_blocks.paper_exponents(recorded) == NOT_RECORDED
    (recorded / "paper").mkdir()
    for name in ("toy_models", "toy_exponents"):
        (recorded / f"{name}.csv").rename(recorded / "paper" / f"{name}.csv")
    assert len(mechanism_blocks.paper_exponents(recorded).splitlines()) == 2 + 2 * 3
    silent = mechanism_blocks.paper_silent(recorded).splitlines()
    assert len(silent) == 2 + 2 * 6
    assert silent[2].startswith("| N(0, 1) | 10 | ")


def test_blocks_without_tables_say_so(tmp_path):
    for name, block in BLOCKS.items():
        if name.startswith("mechanism") or name.startswith("paper"):
            assert block(tmp_path) == NOT_RECORDED


def test_blocks_without_rows_say_so(recorded):
    for name in ("wide", "recipes", "spreads"):
        assert getattr(bias_blocks, f"mechanism_{name}")(recorded) == NOT_RECORDED
