"""The file of a trained toy model: tensors W, b, p and the loss curve, and in its header how it was trained."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling import arrays
from scaling.command import InputError
from scaling.toy.cell import Cell


CELL_FIELDS = tuple(field.name for field in dataclasses.fields(Cell))
TRAINING_FIELDS = ("steps", "batch_size", "loss_train_tail", "loss_train_tail_std", "device", "seconds")


class DamagedModelError(InputError):
    """A model file that was cut or changed after it was written, or that is something else."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained toy model.

    W (n, m) and b (n,) are float32, p (n,) float64; curve_loss holds the mean training loss, summed over features, of
    the steps up to each curve_step. `training` holds steps, batch size, the mean and the standard deviation of the last
    100 training losses, the device, and the wall time in seconds.
    """

    cell: Cell
    W: NDArray[np.float32]
    b: NDArray[np.float32]
    p: NDArray[np.float64]
    curve_step: NDArray[np.int64]
    curve_loss: NDArray[np.float64]
    training: dict[str, Any]
    recipe: dict[str, Any]


def write_model(model: TrainedModel, path: Path) -> None:
    """Write a trained model, whole or not at all."""
    record = {"model": model.cell.name, **dataclasses.asdict(model.cell), **model.training}
    tensors = {name: np.ascontiguousarray(getattr(model, name)) for name in ("W", "b", "p", "curve_step", "curve_loss")}
    arrays.write(path, tensors, {"record": json.dumps(record), "recipe": json.dumps(model.recipe)})


def read_model(path: Path) -> TrainedModel:
    """Read a trained model, also one of version 0.1, whose record holds measurements too (they are ignored).

    Raises InputError when the file is missing, DamagedModelError when it is not a whole model.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such model; train it with `snakemake --cores all {path}`")
    try:
        text, tensors = arrays.read(path)
        record = json.loads(text["record"])
        settings = {name: record[name] for name in CELL_FIELDS if name != "initial_bias"}
        cell = Cell(**settings, initial_bias=record.get("initial_bias", "normal"))  # version 0.1 had no other
        return TrainedModel(
            cell=cell,
            **{name: tensors[name] for name in ("W", "b", "p", "curve_step", "curve_loss")},
            training={name: record[name] for name in TRAINING_FIELDS},
            recipe=json.loads(text["recipe"]),
        )
    except InputError as error:
        raise DamagedModelError(str(error)) from None
    except KeyError as error:
        raise DamagedModelError(f"{path}: not a model of this project, {error} is missing") from None


def read_models(names: Iterable[str], folder: Path) -> Iterator[TrainedModel]:
    """Read models below `folder` one by one. Damaged files are renamed, so that the next run trains them again.

    Raises InputError when a model is missing, and after the last one if any was damaged.
    """
    damaged = []
    for name in names:
        path = folder / f"{name}.safetensors"
        try:
            model = read_model(path)
            if model.cell.name != name:
                raise DamagedModelError(f"{path}: contains another model, {model.cell.name}")
            yield model
        except DamagedModelError as error:
            damaged.append(str(error))
            path.replace(f"{path}.damaged")
    if damaged:
        raise InputError(f"{'; '.join(damaged)}; renamed to *.damaged; run the same command again to retrain them")
