"""Toy models on correlated features: training, measuring, exponents, claims and the figure."""

import dataclasses
import itertools
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from scaling import arrays, tables
from scaling.claims import correlation as claims
from scaling.claims import registry
from scaling.claims.study import Study
from scaling.command import InputError
from scaling.figures import correlation as figure
from scaling.figures import style
from scaling.fits import correlation as fits
from scaling.toy import correlated
from scaling.toy.correlated import CorrelatedCell


ROOT = Path(__file__).parents[1]
SECTION = {
    "n": 30,
    "held_out_samples": 4096,
    "training": {"steps": 60, "batch_size": 64, "warmup_steps": 6},
    "models": [
        {"m": [2, 4], "gamma": -0.5, "alpha": 1, "correlation": [0, 0.5], "block_size": 5},
        {"activity": "mixed", "m": 4, "gamma": 0.3, "alpha": 1, "correlation": 0.3, "block_size": 5, "seeds": 2},
    ],
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Table toy_correlation of SECTION, through the commands."""
    folder = tmp_path_factory.mktemp("correlated")
    with pytest.MonkeyPatch.context() as patch:
        for job in correlated.curves(SECTION).values():
            given = ["train", *correlated.training_arguments(job, SECTION), f"--folder={folder}"]
            patch.setattr(sys, "argv", ["correlated", *given])
            correlated.main()
        study = ["--study", str(SECTION).replace("'", '"'), f"--folder={folder}", f"--output={folder / 'table.csv'}"]
        patch.setattr(sys, "argv", ["correlated", "measure", *study])
        correlated.main()
    text, tensors = arrays.read(folder / f"{next(iter(correlated.cells(SECTION)))}.safetensors")
    assert tensors["W"].shape == (30, 2)
    assert '"correlation": 0' in text["cell"]
    return tables.read("toy_correlation", folder / "table.csv")


def test_every_model_is_trained_once_and_measured(measured: pd.DataFrame) -> None:
    assert measured["model"].tolist() == list(correlated.cells(SECTION))
    assert len(correlated.curves(SECTION)) == 4  # one job per curve and seed
    kept = measured[measured["activity"] == "copula"]
    assert kept["frequency_chi_square"].to_numpy() == pytest.approx(1, abs=0.8)
    assert kept["realised_density"].to_numpy() == pytest.approx(1, abs=0.03)
    changed = measured[measured["activity"] == "mixed"]
    assert changed["realised_density"].max() < 0.9
    assert changed["frequency_chi_square"].min() > 10


def test_the_same_cell_gives_the_same_bits() -> None:
    cell, recipe = (
        CorrelatedCell(n=20, m=3, gamma=-0.5, alpha=1, correlation=0.4, block_size=4),
        correlated.Recipe(steps=20, batch_size=32, warmup_steps=2),
    )
    first, second = (correlated.train(cell, recipe) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"m": 50}, "m = 50, n = 30"),
        ({"correlation": 1.0}, "correlation = 1.0: must be at least 0 and below 1"),
        ({"activity": "mixed", "correlation": 0}, "above 0 if mixed"),
        ({"activity": "both"}, "must be one of copula, mixed"),
        ({"block_size": 0}, "block_size = 0"),
    ],
)
def test_wrong_values_are_named(values: dict, message: str) -> None:
    grid = {"m": 2, "gamma": 1, "alpha": 1, "correlation": 0.5, "block_size": 5, **values}
    with pytest.raises(InputError, match=f"config: correlation: models: .*{message}"):
        correlated.cells({**SECTION, "models": [grid]})


def made_up() -> pd.DataFrame:
    """Table toy_correlation with exponents 1 (gamma < 0) and 0.5, and 2 where frequencies are changed."""
    rows = []
    for activity, gamma, rho, m in itertools.product(("copula", "mixed"), (-0.5, 0.3), (0.2, 0.8), (10, 20, 40, 80)):
        cell = CorrelatedCell(m=m, gamma=gamma, alpha=1.0, correlation=rho, block_size=50, activity=activity)
        slope = 2.0 if activity == "mixed" else 1.0 if gamma < 0 else 0.5
        rows.append(
            {"model": cell.name, **dataclasses.asdict(cell), "loss": 3 * m**-slope, "loss_stderr": 0.01}
            | {
                "n_samples": 100,
                "realised_density": 1.0,
                "frequency_chi_square": 1.0,
                "phi_half": 1.0,
                "mean_norm": 1.0,
            }
        )
    return tables.validate("toy_correlation", pd.DataFrame(rows), "test")


def test_exponents_and_claims_follow_from_the_losses() -> None:
    table = tables.validate("correlation_exponents", fits.exponent_table(made_up()), "test")
    rows = table.set_index(["activity", "gamma", "correlation"])
    assert rows.loc[("copula", -0.5, 0.8), "exponent"] == pytest.approx(1)
    assert rows.loc[("copula", 0.3, 0.2), "exponent"] == pytest.approx(0.5)
    assert rows.loc[("mixed", 0.3, 0.2), "exponent"] == pytest.approx(2)
    empty = Study.read([], ROOT / "resources" / "published", "default")
    study = dataclasses.replace(empty, frames={**empty.frames, "correlation_exponents": table})
    chosen = [entry for name, entry in registry.REGISTRY.items() if name.startswith("correlation.")]
    verdicts = registry.table(study, chosen)
    assert verdicts["verdict"].tolist() == ["reproduced", "reproduced"]
    assert set(registry.table(empty, chosen)["verdict"]) == {"not_run"}
    assert claims.COMMON["delta"] == registry.EXPONENT


def test_the_figure_draws_full_and_empty_tables(tmp_path: Path) -> None:
    models = made_up()
    drawn = figure.toy_correlation(models, fits.exponent_table(models))
    assert all(axes.has_data() for axes in drawn.axes)
    style.save(drawn, tmp_path / "a.svg")
    many = pd.concat([models.assign(alpha=alpha) for alpha in range(7)])  # more than there are markers
    assert figure.toy_correlation(many, fits.exponent_table(many)).axes[0].has_data()
    nothing = figure.toy_correlation(models.iloc[:0], fits.exponent_table(models).iloc[:0])
    assert "no such model" in " ".join(
        text.get_text().replace("\n", " ") for text in nothing.findobj(matplotlib.text.Text)
    )
    style.save(nothing, tmp_path / "b.png")
    assert (ROOT / "workflow" / "report" / "toy_correlation.rst").read_text().startswith("**")
