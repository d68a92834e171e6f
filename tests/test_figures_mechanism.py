"""Figures of the mechanism: from full and nearly empty tables."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import synthetic_toy
from matplotlib.figure import Figure
from synthetic_toy import filled

from scaling import tables
from scaling.command import InputError
from scaling.figures import mechanism, style
from scaling.figures.study import Study
from scaling.fits.toy import exponent_table
from scaling.mean_field import MeanField


ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "resources" / "published"
WIDTHS = (4, 8, 16)


def from_other_biases(models: pd.DataFrame) -> pd.DataFrame:
    """The models from other initial biases: loss and silent features rise with the spread of b."""
    copies = []
    for name, spread in (("normal", 1.0), ("normal0.5", 0.5), ("zero", 0.0)):
        factor = 0.5 + spread / 2
        copy = models.assign(initial_bias=name, model=models["model"] + name, loss=models["loss"] * factor)
        silent = copy["loss"] * spread / 2
        copy = copy.assign(n_silent=int(100 * spread), phi_live=1 - spread / 4, loss_silent=silent)
        copies.append(
            copy.assign(loss_shrink=(copy["loss"] - silent) * 1.1, loss_interference=(silent - copy["loss"]) / 10)
        )
    return pd.concat(copies)


def interventions() -> pd.DataFrame:
    """Every kind of intervention at each width."""
    key = {"training": "paper", "frequency_law": "power_law", "n": 200, "gamma": -0.5556, "alpha": 0.0, "seed": 0}
    rows = []
    for m in WIDTHS:
        base = key | {"m": m, "model": f"m{m}", "loss_before": 2 / m, "loss_stderr": 0.01}
        rows += [base | {"intervention": name, "refit": "all", "loss": 1 / m} for name in mechanism.TRAINED_ON]
        rows += [
            base | {"intervention": "overlaps", "refit": refit, "scale": scale, "loss": (0.1 + scale**2) / m}
            for scale in (0.0, 0.5, 1.0)
            for refit in ("none", "bias")
        ]
        rows += [
            base | {"intervention": name, "refit": "bias", "loss": (1 + k) / m, "overlap_quantile_live": 1 / m**0.5}
            for k, name in enumerate(mechanism.PACKING)
        ]
    return filled("interventions", rows)


def mediation() -> pd.DataFrame:
    return filled(
        "mediation",
        [
            {"data": "live", "predictors": "log_welch", "predictor": "log_welch", "exponent_error": 0.1},
            {"data": "counting", "predictors": "k = m^2/2", "exponent_error": 0.5},
        ],
    )


def mean_field() -> pd.DataFrame:
    rows = [{"n": n, "m": m, "activation_density": 1.0, "loss": 2 / m} for n in (1000, 10**6) for m in WIDTHS]
    return filled("mean_field", rows)


def written(folder: Path, models: pd.DataFrame, **others: pd.DataFrame) -> Study:
    contents = {"toy_models": models, "toy_exponents": exponent_table(models), **others}
    for name, frame in contents.items():
        tables.write(name, frame, folder / f"{name}.csv")
    return Study({name: folder / f"{name}.csv" for name in contents}, [PUBLISHED])


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study from three spreads of the initial bias, with every intervention."""
    folder = tmp_path_factory.mktemp("full")
    paths = synthetic_toy.study(folder, n=200, widths=WIDTHS, alphas=(0.0, 1.0))
    models = from_other_biases(tables.read("toy_models", paths["toy_models"]))
    return written(folder, models, interventions=interventions(), mediation=mediation(), mean_field=mean_field())


@pytest.fixture(scope="module")
def nearly_empty(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One curve at the paper's initial bias, no interventions."""
    folder = tmp_path_factory.mktemp("nearly_empty")
    few = {"gammas": [-0.5556], "alphas": [1.0], "densities": [], "factors": []}
    models = tables.read("toy_models", synthetic_toy.study(folder, n=30, widths=(2, 4), seeds=1, **few)["toy_models"])
    empty = {name: frame.iloc[:0] for name, frame in (("interventions", interventions()), ("mediation", mediation()))}
    return written(folder, models, **empty, mean_field=mean_field())


def words(figure: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", mechanism.FIGURES)
def test_every_figure_draws_from_full_tables(name: str, full: Study, tmp_path: Path) -> None:
    figure = mechanism.FIGURES[name](full)
    assert all(axes.has_data() for axes in figure.axes)
    assert not re.search(r"\bno (intervention|curve|recipe|data exponent|overlaps)\b", words(figure))
    style.save(figure, tmp_path / "a.png")


@pytest.mark.parametrize("name", mechanism.FIGURES)
def test_every_figure_says_what_is_missing(name: str, nearly_empty: Study, tmp_path: Path) -> None:
    figure = mechanism.FIGURES[name](nearly_empty)
    assert re.search(r"\bno\b", words(figure))
    style.save(figure, tmp_path / "a.svg")


def test_panels_without_data_are_not_drawn(full: Study, tmp_path: Path) -> None:
    assert len(mechanism.FIGURES["mechanism_onset"](full).axes) == 2  # one recipe, so no panel of recipes
    assert len(mechanism.FIGURES["mechanism_geometry"](full).axes) == 3
    models = full.read("toy_models")
    long = models.assign(training="long", model=models["model"] + "long").sample(frac=0.9, random_state=0)
    scaled = interventions().query("intervention == 'overlaps'")
    few = written(tmp_path, pd.concat([models, long]), interventions=scaled, mediation=mediation().iloc[:0])
    assert len(mechanism.FIGURES["mechanism_onset"](few).axes) == 3
    (panel,) = mechanism.FIGURES["mechanism_geometry"](few).axes
    assert "overlaps scaled" in panel.get_title(loc="left")


def test_slopes_of_the_theory_are_drawn(full: Study) -> None:
    figure = mechanism.FIGURES["mechanism_theory"](full)
    dashed = figure.axes[1].lines[0]
    np.testing.assert_allclose(dashed.get_ydata(), 1)
    assert MeanField(1, 2, 3, 1, 0).loss == 6


def test_the_command_reports_wrong_input(full: Study, tmp_path: Path) -> None:
    models = str(full.paths["toy_models"])
    with pytest.raises(InputError, match="needs the table mean_field"):
        mechanism.main(
            ["--figure", "mechanism_theory", "--models", models, "--output", str(tmp_path / "mechanism_theory.svg")]
        )
    mechanism.main(["--figure", "mechanism_parts", "--models", models, "--output", str(tmp_path / "a.svg")])
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
