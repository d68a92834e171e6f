r"""Gather the measured models of a study into toy_models.csv, toy_curves.csv and toy_features.csv.

    python -m scaling.toy.collect --study config.yaml --folder results/toy/models --measured results/toy/measured \
        --output results/tables

With --partial, models of the study that are not trained yet are left out, and trained ones without a measurement are
measured.
"""

import argparse
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from scaling import geometry, tables
from scaling.command import InputError, run
from scaling.config import merged
from scaling.study_option import section
from scaling.toy.cell import Cell
from scaling.toy.measurement import HELD_OUT_SAMPLES, measure_model
from scaling.toy.model_file import TrainedModel, read_models
from scaling.toy.study import distinct_cells, experiments


CURVE_COLUMNS, FEATURE_COLUMNS = (list(tables.dictionary()[name]["columns"]) for name in ("toy_curves", "toy_features"))

log = logging.getLogger(__name__)


def shown_widths(cells: Iterable[Cell]) -> set[str]:
    """Names of the cells whose features are kept: first seed of each curve, smallest, middle and largest width."""
    curves: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.seed == 0:
            curves.setdefault(cell.curve, []).append(cell)
    shown: set[str] = set()
    for curve in curves.values():
        curve.sort(key=lambda cell: cell.m)
        shown |= {curve[k].name for k in (0, len(curve) // 2, len(curve) - 1)}
    return shown


def read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the measurements in a file, one JSON object per line, by model. Raises InputError for a broken file."""
    try:
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return {row["model"]: row for row in rows}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with `snakemake --cores all {path}`") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a file of measurements ({error}); delete it and run again") from None


def measured_rows(curves: Iterable[str], measured: Path) -> dict[str, dict[str, Any]]:
    """Return the measurements of the models of these curves by name. Raises InputError for a missing or broken file."""
    rows: dict[str, dict[str, Any]] = {}
    for curve in curves:
        rows |= read_rows(measured / f"{curve}.jsonl")
    return rows


def rows_so_far(cells: Iterable[str], samples: int, folder: Path, measured: Path) -> dict[str, dict[str, Any]]:
    """Return the measurements of the models that are there: from any .jsonl or .json file below `measured`, else made.

    A measurement of an earlier training of a model (with other seconds) is made again.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in measured.rglob("*.json*") if path.suffix in {".json", ".jsonl"}):
        found |= read_rows(path)
    rows = {name: found[name] for name in cells if name in found}
    trained = [name for name in cells if (folder / f"{name}.safetensors").is_file()]
    for model in read_models(trained, folder):
        name = model.cell.name
        if name not in rows or rows[name]["seconds"] != model.training["seconds"]:
            log.info("measuring %s", name)
            with threadpool_limits(1):
                rows[name] = measure_model(model, samples)
    return rows


def training_curve(model: TrainedModel) -> pd.DataFrame:
    """Return the rows of toy_curves.csv for a model."""
    return pd.DataFrame({"model": model.cell.name, "step": model.curve_step, "loss": model.curve_loss})


def feature_rows(model: TrainedModel) -> pd.DataFrame:
    """Return the rows of toy_features.csv for a model."""
    return pd.DataFrame(
        {
            "model": model.cell.name,
            "feature": np.arange(1, model.cell.n + 1),
            "frequency": model.p,
            "norm": geometry.row_norms(model.W),
            "bias": model.b.astype(np.float64),
        }
    )


def collect(toy: Mapping[str, Any], folder: Path, measured: Path, output: Path, partial: bool = False) -> None:
    """Write the three tables of the config's `toy` section from the models below `folder` and their measurements.

    Raises InputError for a model of the study that is missing; if `partial`, only when all are.
    """
    cells = distinct_cells(toy)
    if partial:
        records = rows_so_far(sorted(cells), toy.get("held_out_samples", HELD_OUT_SAMPLES), folder, measured)
        log.info("%d of the study's %d models are trained and measured", len(records), len(cells))
        if not records:
            raise InputError(f"{folder}: none of the study's {len(cells)} models; train some first")
        trained = sorted(name for name in records if (folder / f"{name}.safetensors").is_file())
    else:
        records = measured_rows(dict.fromkeys(cell.curve for cell in cells.values()), measured)
        if missing := sorted(set(cells) - set(records)):
            raise InputError(f"{measured}: no measurements of {missing[0]} ({len(missing)} models); run again")
        trained = sorted(cells)
    shown = shown_widths(cells.values())
    curves, feature_tables = [pd.DataFrame(columns=CURVE_COLUMNS)], [pd.DataFrame(columns=FEATURE_COLUMNS)]
    for model in read_models(trained, folder):
        curves.append(training_curve(model))
        if model.cell.name in shown:
            feature_tables.append(feature_rows(model))
    rows = [
        {"experiment": experiment, **records[cell.name]}
        for experiment, group in experiments(toy).items()
        for cell in group
        if cell.name in records
    ]
    tables.write("toy_models", pd.DataFrame(rows), output / "toy_models.csv")
    tables.write("toy_curves", pd.concat(curves), output / "toy_curves.csv")
    tables.write("toy_features", pd.concat(feature_tables), output / "toy_features.csv")


def read_toy(study: Sequence[str]) -> dict[str, Any]:
    """Return the `toy` section of config files, later ones first in force, or of one JSON text."""
    if len(study) == 1:
        return section(study[0], "toy", ["experiments"])
    return dict(merged(study)["toy"])


def main() -> None:
    """Command line: the study as a YAML file or as JSON text with the config's `toy` section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--study", nargs="+", required=True, help="config files in order, or the toy section as JSON text"
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder of the models")
    parser.add_argument("--measured", type=Path, required=True, help="folder of their measurements")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--partial", action="store_true", help="leave out models that are not trained yet")
    given = parser.parse_args()
    collect(read_toy(given.study), given.folder, given.measured, given.output, given.partial)


if __name__ == "__main__":
    run(main)
