"""Gather the trained models of a study into toy_models.csv, toy_curves.csv and toy_features.csv.

python -m scaling.toy.collect --study config.yaml --folder results/toy/models --output results/tables
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from scaling import arrays, geometry, tables
from scaling.command import InputError, run
from scaling.toy.study import Cell, experiments


class DamagedModelError(InputError):
    """A model file that is cut, changed since it was written, or something else."""


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The record and the tensors of a model file; raises InputError when it is missing, else DamagedModelError."""
    if not path.is_file():
        raise InputError(f"{path}: no such model; train it with `snakemake --cores all {path}`")
    try:
        text, tensors = arrays.read(path)
        return json.loads(text["record"]), tensors
    except InputError as error:
        raise DamagedModelError(str(error)) from None
    except KeyError as error:
        raise DamagedModelError(f"{path}: not a model of this project, without {error}") from None


def read_models(names: Iterable[str], folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """Models below `folder`, one after the other. Damaged files are set aside, so that the next run trains them again.

    Raises InputError when a model is missing, and after the last one when any was damaged.
    """
    damaged = []
    for name in names:
        path = folder / f"{name}.safetensors"
        try:
            record, tensors = read_model(path)
            if record["model"] != name:
                raise DamagedModelError(f"{path}: holds another model, {record['model']}")
            yield record, tensors
        except DamagedModelError as error:
            damaged.append(str(error))
            path.replace(f"{path}.damaged")
    if damaged:
        raise InputError(f"{'; '.join(damaged)}; set aside as *.damaged: the same command again trains what is missing")


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


def collect(toy: Mapping[str, Any], folder: Path, output: Path) -> None:
    """Write the three tables of the config's `toy` section from the models below `folder`."""
    study = experiments(toy)
    cells = {cell.name: cell for cells in study.values() for cell in cells}
    shown = shown_widths(cells.values())
    records: dict[str, dict[str, Any]] = {}
    curves, feature_tables = [], []
    for record, tensors in read_models(sorted(cells), folder):
        name = record["model"]
        records[name] = record
        curves.append(pd.DataFrame({"model": name, "step": tensors["curve_step"], "loss": tensors["curve_loss"]}))
        if name in shown:
            feature_tables.append(
                pd.DataFrame(
                    {
                        "model": name,
                        "feature": np.arange(1, cells[name].n + 1),
                        "frequency": tensors["p"],
                        "norm": geometry.row_norms(tensors["W"]),
                        "bias": tensors["b"].astype(np.float64),
                    }
                )
            )
    rows = [{"experiment": experiment, **records[cell.name]} for experiment, some in study.items() for cell in some]
    tables.write("toy_models", pd.DataFrame(rows), output / "toy_models.csv")
    tables.write("toy_curves", pd.concat(curves), output / "toy_curves.csv")
    tables.write("toy_features", pd.concat(feature_tables), output / "toy_features.csv")


def main() -> None:
    """Command line: the study as a YAML file or as JSON text with the config's `toy` section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="config file (YAML), or its toy section as JSON text")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the models")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    arguments = parser.parse_args()
    if arguments.study.lstrip().startswith("{"):
        toy = json.loads(arguments.study)
    else:
        toy = yaml.safe_load(Path(arguments.study).read_text(encoding="utf-8"))["toy"]
    collect(toy, arguments.folder, arguments.output)


if __name__ == "__main__":
    run(main)
