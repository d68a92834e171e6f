"""What a curve is: models that differ in anything but width and seed lie on different curves."""

import pandas as pd
import pytest
import synthetic_toy

from scaling import tables
from scaling.curves import CURVE, decay_sweep, main_recipe, usual
from scaling.figures.study import Study
from scaling.fits.parts import part_table
from scaling.fits.toy import exponent_table, start_table
from scaling.toy.cell import Cell


OTHER = {"training": "no_warmup", "learning_rate_factor": 0.3, "initial_bias": "zero", "n": 500, "gamma": -1.0}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    paths = synthetic_toy.study(tmp_path_factory.mktemp("study"), gammas=[-0.5556], alphas=[0.0], seeds=1)
    models = tables.read("toy_models", paths["toy_models"])
    return models[models["experiment"] == "decay_sweep"]


def test_a_curve_has_every_setting_of_a_model_but_width_and_seed():
    assert set(CURVE) == set(Cell.__dataclass_fields__) - {"m", "seed"}


@pytest.mark.parametrize("column", OTHER)
def test_another_setting_is_another_curve(models, column):
    other = models.assign(model=models["model"] + "other", loss=10 / models["m"], **{column: OTHER[column]})
    both = pd.concat([models, other])
    exponents = exponent_table(both)
    assert len(exponents) == 2
    assert sorted(exponents["n_points"]) == [6, 6]
    assert exponents.set_index(column).loc[OTHER[column], "exponent"] == pytest.approx(1)
    assert start_table(both).groupby(CURVE, dropna=False).ngroups == 2
    assert part_table(both).groupby(CURVE, dropna=False).ngroups == 2


@pytest.mark.parametrize("column", ["training", "learning_rate_factor", "initial_bias"])
def test_variants_are_not_usual(models, column, tmp_path):
    other = models[models["m"] > 15].assign(**{column: OTHER[column]})
    other = other.assign(experiment="other", model=other["model"] + "other")
    both = pd.concat([models, other])
    assert set(usual(both)["model"]) == set(decay_sweep(both)["model"]) == set(models["model"])
    tables.write("toy_models", both, tmp_path / "toy_models.csv")
    assert set(Study({"toy_models": tmp_path / "toy_models.csv"}).sweep["model"]) == set(models["model"])


def test_each_size_has_its_main_recipe(models):
    large = models.assign(n=10240, training="large")
    variant = models.head(2).assign(training="long")
    kept = main_recipe(pd.concat([models, large, variant]))
    assert set(zip(kept["n"], kept["training"], strict=True)) == {(1000, "paper"), (10240, "large")}
    assert main_recipe(models.head(0)).empty
