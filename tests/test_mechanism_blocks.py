"""The blocks of docs/mechanism.md from recorded tables, and without them."""

import pandas as pd
import pytest
import synthetic_toy
from synthetic_toy import filled

from scaling import mechanism_blocks, tables
from scaling.fits.toy import exponent_table


@pytest.fixture
def recorded(tmp_path):
    folder = tmp_path / "made"
    models = tables.read("toy_models", synthetic_toy.study(folder, gammas=[-0.5555555556], seeds=1)["toy_models"])
    models["gamma"] = models["gamma"].where(models["gamma"] > -0.5555, -0.5555555556)
    zero = models.assign(model=models["model"] + "zero", initial_bias="zero", loss=models["loss"] / 2)
    models = pd.concat([models, zero])
    tables.write("toy_models", models, tmp_path / "toy_models.csv")
    tables.write("toy_exponents", exponent_table(models), tmp_path / "toy_exponents.csv")
    row = {"model": "m25", "m": 25, "alpha": 0.0, "seed": 0, "intervention": "revived", "refit": "all"}
    row |= {"loss_before": 0.726, "n_silent_before": 392, "loss": 0.532, "loss_stderr": 0.004, "n_silent": 8}
    tables.write("interventions", filled("interventions", [row]), tmp_path / "interventions.csv")
    return tmp_path


def test_blocks_show_the_recorded_numbers(recorded):
    parts = mechanism_blocks.mechanism_parts(recorded).splitlines()
    assert len(parts) == 2 + 2 * 6
    exponents = mechanism_blocks.mechanism_exponents(recorded).splitlines()
    assert len(exponents) == 2 + 2 * 3
    assert exponents[2].startswith("| 0 | N(0, 1) | ")
    after = mechanism_blocks.mechanism_interventions(recorded)
    assert "| 0 | 25 | 0 | revived | 0.7260 (392) | 0.5320 ± 0.0040 (8) | 0.0" in after


def test_blocks_of_the_paper_study_read_its_folder(recorded):
    assert mechanism_blocks.paper_exponents(recorded) == mechanism_blocks.NOT_RECORDED
    (recorded / "paper").mkdir()
    for name in ("toy_models", "toy_exponents"):
        (recorded / f"{name}.csv").rename(recorded / "paper" / f"{name}.csv")
    assert len(mechanism_blocks.paper_exponents(recorded).splitlines()) == 2 + 2 * 3
    silent = mechanism_blocks.paper_silent(recorded).splitlines()
    assert len(silent) == 2 + 2 * 6
    assert silent[2].startswith("| N(0, 1) | 10 | ")


def test_blocks_without_tables_say_so(tmp_path):
    for block in ("mechanism_parts", "mechanism_exponents", "mechanism_interventions", "paper_silent"):
        assert getattr(mechanism_blocks, block)(tmp_path) == mechanism_blocks.NOT_RECORDED
