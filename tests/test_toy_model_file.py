import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from scaling import arrays
from scaling.command import InputError
from scaling.toy.cell import Cell
from scaling.toy.model_file import TrainedModel, read_model, read_models, write_model


def trained(**changes) -> TrainedModel:
    settings = {"training": "paper", "frequency_law": "power_law", "n": 6, "m": 2, "gamma": -0.5, "alpha": 1.0}
    cell = Cell(**{**settings, "activation_density": 1.0, "seed": 0, **changes})
    rng = np.random.default_rng(0)
    return TrainedModel(
        cell=cell,
        W=rng.standard_normal((6, 2), dtype=np.float32),
        b=rng.standard_normal(6, dtype=np.float32),
        p=cell.p,
        curve_step=np.array([5, 10]),
        curve_loss=np.array([1.0, 0.5]),
        training={"steps": 10, "batch_size": 4, "loss_train_tail": 0.5, "loss_train_tail_std": 0.1, "device": "numba",
                  "seconds": 1.0},
        recipe={"steps": 10},
    )  # fmt: skip


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    model = trained(initial_bias="zero")
    write_model(model, tmp_path / "a.safetensors")
    read = read_model(tmp_path / "a.safetensors")
    assert (read.cell, read.training, read.recipe) == (model.cell, model.training, model.recipe)
    for name in ("W", "b", "p", "curve_step", "curve_loss"):
        np.testing.assert_array_equal(getattr(read, name), getattr(model, name))


def test_a_model_of_version_0_1_is_read(tmp_path: Path) -> None:
    """Its record had no initial bias, and held measurements."""
    write_model(trained(), tmp_path / "new.safetensors")
    text, tensors = arrays.read(tmp_path / "new.safetensors")
    record = json.loads(text["record"])
    del record["initial_bias"]
    record |= {"loss": 0.4, "phi_half": 1.0}
    arrays.write(tmp_path / "old.safetensors", tensors, {**text, "record": json.dumps(record)})
    assert read_model(tmp_path / "old.safetensors").cell == trained().cell


def test_damaged_models_are_named_and_renamed(tmp_path: Path) -> None:
    name = trained().cell.name
    write_model(trained(), tmp_path / f"{name}.safetensors")
    whole = (tmp_path / f"{name}.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-10])
    (tmp_path / "flipped.safetensors").write_bytes(whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:])
    (tmp_path / "swapped.safetensors").write_bytes(whole)
    save_file({"W": np.zeros(3)}, tmp_path / "other.safetensors")
    models = read_models(["cut", name, "flipped", "swapped", "other"], tmp_path)
    assert next(models).cell.name == name
    message = r"cut.*: cut or changed.*flipped.*SHA-256.*swapped.*contains another model.*other.*renamed to"
    with pytest.raises(InputError, match=message) as caught:
        next(models)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.safetensors"))
    assert len(list(tmp_path.glob("*.damaged"))) == 4
    with pytest.raises(InputError, match="no such model"):
        read_model(tmp_path / "missing")
