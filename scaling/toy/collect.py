r"""Gather the measured models of a study into toy_models.csv, toy_curves.csv and toy_features.csv.

    python -m scaling.toy.collect --study config.yaml --folder results/toy/models --measured results/toy/measured \
        --output results/tables
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from scaling import geometry, tables
from scaling.command import InputError, run
from scaling.toy.cell import Cell
from scaling.toy.model_file import TrainedModel, read_models
from scaling.toy.study import distinct_cells, experiments


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


def measured_rows(curves: Iterable[str], measured: Path) -> dict[str, dict[str, Any]]:
    """Return the measurements of the models of these curves by name. Raises InputError for a missing or broken file."""
    rows: dict[str, dict[str, Any]] = {}
    for curve in curves:
        path = measured / f"{curve}.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            rows |= {row["model"]: row for row in map(json.loads, lines)}
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; make it with `snakemake --cores all {path}`") from None
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: not a file of measurements ({error}); delete it and run again") from None
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


def collect(toy: Mapping[str, Any], folder: Path, measured: Path, output: Path) -> None:
    """Write the three tables of the config's `toy` section from the models below `folder` and their measurements."""
    cells = distinct_cells(toy)
    shown = shown_widths(cells.values())
    records = measured_rows(dict.fromkeys(cell.curve for cell in cells.values()), measured)
    if missing := sorted(set(cells) - set(records)):
        raise InputError(f"{measured}: no measurements of {missing[0]} ({len(missing)} models); run again")
    curves, feature_tables = [], []
    for model in read_models(sorted(cells), folder):
        curves.append(training_curve(model))
        if model.cell.name in shown:
            feature_tables.append(feature_rows(model))
    rows = [
        {"experiment": experiment, **records[cell.name]}
        for experiment, group in experiments(toy).items()
        for cell in group
    ]
    tables.write("toy_models", pd.DataFrame(rows), output / "toy_models.csv")
    tables.write("toy_curves", pd.concat(curves), output / "toy_curves.csv")
    tables.write("toy_features", pd.concat(feature_tables), output / "toy_features.csv")


def main() -> None:
    """Command line: the study as a YAML file or as JSON text with the config's `toy` section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="config file (YAML), or its toy section as JSON text")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the models")
    parser.add_argument("--measured", type=Path, required=True, help="folder of their measurements")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    arguments = parser.parse_args()
    if arguments.study.lstrip().startswith("{"):
        toy = json.loads(arguments.study)
    else:
        toy = yaml.safe_load(Path(arguments.study).read_text(encoding="utf-8"))["toy"]
    collect(toy, arguments.folder, arguments.measured, arguments.output)


if __name__ == "__main__":
    run(main)
