"""Verify the recorded run: check the manifest of its tables, then retrain some of its toy models and compare.

    python -m scaling.verify --recorded resources/recorded --models 3

On the same type of machine, with the same packages and code as the recording of a model, every number must be equal to
the last bit. Otherwise rounding differs, and training amplifies it: losses and their parts must agree within 2 % of the
loss, counts within 2 % of n, shares within 0.02, norms and overlaps within 0.1. (Under weak superposition rounding
decides which of two rare features is represented.)
"""

import argparse
import dataclasses
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.blocks import read_run
from scaling.command import InputError
from scaling.recorded import check_manifest, provenance
from scaling.tables import table_path
from scaling.toy.cell import Cell
from scaling.toy.measurement import measure_model
from scaling.toy.model_file import read_model
from scaling.toy.recipe import Recipe
from scaling.toy.training import one_thread, train_one


SMALL, LARGE = 0.02, 0.1  # tolerances where rounding differs; see above
NOT_COMPARED = {"seconds", "device"}  # they describe the machine

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A number of a model that differs from the recorded one by more than the tolerance."""

    model: str
    column: str
    recorded: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.model}: {self.column} is {self.ours}, recorded is {self.recorded}"


def recipes(run: Mapping[str, Any]) -> dict[str, Recipe]:
    """Return the recipes of a recorded run's config files, later files first in force."""
    merged: dict[str, dict[str, Any]] = {}
    for config in run["config"].values():
        for name, settings in config.get("toy", {}).get("trainings", {}).items():
            merged.setdefault(name, {}).update(settings)
    return {name: Recipe(**settings) for name, settings in merged.items()}


def retrained(row: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Train and measure the model of a row of toy_models.csv again; return the new row, without its experiment."""
    settings: dict[str, Any] = {field.name: row[field.name] for field in dataclasses.fields(Cell)}
    cell = Cell(**{**settings, "alpha": None if pd.isna(row["alpha"]) else row["alpha"]})
    with tempfile.TemporaryDirectory() as folder, one_thread():
        path = Path(folder, "model.safetensors")
        train_one(cell, recipe, path)
        return measure_model(read_model(path), int(row["n_samples"]))


def tolerance(column: str, row: Mapping[str, Any]) -> float:
    """Return the absolute tolerance of a column of toy_models.csv where rounding differs."""
    if column.startswith("loss"):
        return SMALL * float(row["loss"])
    if column.startswith("n_"):
        return SMALL * float(row["n"])
    return SMALL if column.startswith("phi") else LARGE


def agree(recorded: Any, ours: Any, margin: float) -> bool:
    """Return whether two entries agree: texts and missing values exactly, numbers within the margin."""
    if pd.isna(recorded) or ours is None:
        return bool(pd.isna(recorded)) and ours is None
    if isinstance(recorded, str):
        return bool(recorded == ours)
    return bool(abs(ours - recorded) <= margin)


def compare(row: Mapping[str, Any], ours: Mapping[str, Any], exact: bool) -> Iterator[Difference]:
    """Yield the entries of a recorded row that the retrained model does not confirm.

    A row that was recorded with other code (not `exact`) may be empty in columns that were added since.
    """
    for name in tables.dictionary()["toy_models"]["columns"]:
        if name in NOT_COMPARED or name not in ours or (pd.isna(row[name]) and not exact):
            continue
        if not agree(row[name], ours[name], 0.0 if exact else tolerance(name, row)):
            yield Difference(str(row["model"]), name, row[name], ours[name])


def changes_since(run: Mapping[str, Any], recorded: Path) -> dict[str, list[str]]:
    """Return which of machine, packages and code differ from those of each model's recording, by model.

    The key "" stands for the models of a record that was made at once.
    """
    here = provenance()

    def changed(there: Mapping[str, str]) -> list[str]:
        return [name for name in here if here[name] != there.get(name)]

    found = {"": changed(run.get("provenance", {}))}
    path = table_path(recorded, "toy_recordings")
    if path.is_file():
        by_number = dict(enumerate(map(changed, run["recordings"]), 1))
        frame = tables.read("toy_recordings", path)
        found |= {model: by_number[k] for model, k in zip(frame["model"], frame["recording"], strict=True)}
    return found


def verify(recorded: Path, n_models: int, seed: int) -> list[Difference]:
    """Check the manifest, retrain `n_models` models drawn by `seed`, and return the differences.

    Raises InputError for a changed table and for a run that is not complete.
    """
    log.info("%s: %d files match the manifest", recorded, check_manifest(recorded))
    run = read_run(recorded)
    models = tables.read("toy_models", table_path(recorded, "toy_models")).drop_duplicates("model")
    changed = changes_since(run, recorded)
    known = recipes(run)
    chosen = np.random.default_rng(seed).choice(len(models), min(n_models, len(models)), replace=False)
    differences: list[Difference] = []
    for _, entries in models.iloc[np.sort(chosen)].iterrows():
        row = {str(name): value for name, value in entries.items()}
        if row["training"] not in known:
            raise InputError(f"{recorded / 'run.yaml'}: no training {row['training']!r}, which {row['model']} needs")
        since = changed.get(row["model"], changed[""])
        log.info(
            "%s: numbers must be equal %s",
            row["model"],
            f"within the tolerance for other rounding: {', '.join(since)} changed" if since else "to the last bit",
        )
        found = list(compare(row, retrained(row, known[row["training"]]), exact=not since))
        log.info("%s: %s", row["model"], f"{len(found)} numbers differ" if found else "confirmed")
        differences += found
    return differences


def main() -> None:
    """Command line: verify, and fail on any difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", type=Path, default=Path("resources/recorded"), help="folder of the recorded run")
    parser.add_argument("--models", type=int, default=3, help="number of toy models to retrain (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of models (default 0)")
    options = parser.parse_args()
    if options.models < 0:
        raise InputError(f"models = {options.models}: must be at least 0")
    if differences := verify(options.recorded, options.models, options.seed):
        raise InputError(f"{len(differences)} numbers differ from the record: {'; '.join(map(str, differences))}")


if __name__ == "__main__":
    command.run(main)
