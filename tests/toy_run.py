"""A toy study without Snakemake: every model trained, measured, and gathered into tables, in this process."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaling.toy.collect import collect
from scaling.toy.measurement import measure_model
from scaling.toy.model_file import read_model
from scaling.toy.recipe import Recipe
from scaling.toy.study import cells_by_curve
from scaling.toy.training import one_thread, train_one


def run(toy: Mapping[str, Any], folder: Path, samples: int = 2048) -> None:
    """Write toy_models.csv, toy_curves.csv and toy_features.csv of the config's `toy` section into `folder`."""
    for curve, cells in cells_by_curve(toy).items():
        rows = []
        for cell in cells:
            path = folder / "models" / f"{cell.name}.safetensors"
            with one_thread():
                train_one(cell, Recipe(**toy["trainings"][cell.training]), path)
                rows.append(measure_model(read_model(path), samples))
        measured = folder / "measured" / f"{curve}.jsonl"
        measured.parent.mkdir(parents=True, exist_ok=True)
        measured.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    collect(toy, folder / "models", folder / "measured", folder)
