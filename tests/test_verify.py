"""The recorded run is what its models give: equal to the last bit here, and a changed table or number is named."""

import datetime
import logging
from pathlib import Path

import pandas as pd
import pytest
import toy_run
import yaml

from scaling import readme, recorded, tables, verify
from scaling.command import InputError


ROOT = Path(__file__).parents[1]

TOY = {
    "trainings": {"short": {"steps": 200, "warmup_steps": 20, "batch_size": 64}},
    "experiments": {
        "sweep": [{"training": "short", "n": 30, "m": [3, 6], "gamma": [-0.5, 0.5]}],
        "laws": [{"training": "short", "n": 30, "m": 3, "gamma": -0.5, "frequency_law": "linear"}],
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A record of five small models."""
    toy_run.run(TOY, tmp_path / "run")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"toy": TOY}))
    folder = tmp_path / "recorded"
    readme.record_tables([tmp_path / "run" / "toy_models.csv"], [config], folder, datetime.date(2026, 1, 2))
    recorded.write_manifest(folder)
    return folder


def changed(folder: Path, model: str, **values: float) -> None:
    """Change numbers of one recorded model, and the manifest with them."""
    frame = tables.read("toy_models", folder / "toy_models.csv")
    frame.loc[frame["model"] == model, list(values)] = list(values.values())
    tables.write("toy_models", frame, folder / "toy_models.csv")
    recorded.write_manifest(folder)


def test_the_record_is_confirmed_to_the_last_bit(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert verify.verify(folder, n_models=5, seed=1) == []
    assert "equal to the last bit" in caplog.text
    assert caplog.text.count(": confirmed") == 5


def test_the_last_digit_counts_on_the_same_machine_and_not_on_another(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = tables.read("toy_models", folder / "toy_models.csv").drop_duplicates("model")
    first = models.iloc[0]
    changed(folder, first["model"], loss=first["loss"] * (1 + 1e-15), phi_half=first["phi_half"])
    (difference,) = verify.verify(folder, n_models=len(models), seed=0)
    assert (difference.model, difference.column) == (first["model"], "loss")
    run = yaml.safe_load((folder / "run.yaml").read_text())
    run["provenance"]["machine"] = "another"
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    recorded.write_manifest(folder)
    with caplog.at_level(logging.INFO):
        assert verify.verify(folder, n_models=2, seed=0) == []
    assert "other rounding: machine changed" in caplog.text
    changed(folder, first["model"], loss=first["loss"] * 1.3)
    assert [difference.column for difference in verify.verify(folder, len(models), 0)] == ["loss"]


def test_a_changed_missing_or_added_table_is_named(folder: Path) -> None:
    assert recorded.check_manifest(folder) == 2
    (folder / "claims.csv").write_text("id\n")
    with pytest.raises(InputError, match=r"claims.csv not in the manifest"):
        verify.verify(folder, 0, 0)
    (folder / "claims.csv").unlink()
    text = (folder / "toy_models.csv").read_text()
    (folder / "toy_models.csv").write_text(text.replace("0.5", "0.6", 1))
    with pytest.raises(InputError, match=r"toy_models.csv changed \(by SHA256SUMS\)"):
        verify.verify(folder, 0, 0)
    (folder / "toy_models.csv").unlink()
    with pytest.raises(InputError, match=r"toy_models.csv missing"):
        verify.verify(folder, 0, 0)
    (folder / recorded.MANIFEST).unlink()
    with pytest.raises(InputError, match="no manifest"):
        verify.verify(folder, 0, 0)


def test_entries_agree_by_their_kind() -> None:
    assert verify.agree(pd.NA, None, 0.0)
    assert not verify.agree(pd.NA, 0.1, 1.0)
    assert not verify.agree(0.1, None, 1.0)
    assert verify.agree("a", "a", 0.0)
    assert not verify.agree("a", "b", 1.0)
    assert not verify.agree(1.0, 1.0 + 1e-15, 0.0)
    row = {"loss": 0.5, "n": 1000}
    columns = ("loss_silent", "n_silent", "phi_half", "mean_norm")
    assert [verify.tolerance(name, row) for name in columns] == [0.01, 20.0, 0.02, 0.1]


def test_the_manifest_of_this_repository_holds() -> None:
    assert recorded.check_manifest(ROOT / "resources" / "recorded") > 10
