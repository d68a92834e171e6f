"""Gather the trained models of a study into toy_models.csv, toy_curves.csv and toy_features.csv.

python -m scaling.toy.collect --study config.yaml --folder results/toy/models --output results/tables
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from scaling import geometry, tables
from scaling.command import InputError, run
from scaling.toy.study import Cell, experiments


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The record and the tensors of a model file. Raises InputError when it is missing, cut or not a model."""
    try:
        with safe_open(path, framework="numpy") as file:
            record = json.loads(file.metadata()["record"])
            names = file.keys()
            return record, {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise InputError(f"{path}: no such model; train it with `snakemake --cores all {path}`") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a model of this project ({error}); delete it and run again") from None


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
    for name, cell in sorted(cells.items()):
        record, tensors = read_model(folder / f"{name}.safetensors")
        records[name] = record
        curves.append(pd.DataFrame({"model": name, "step": tensors["curve_step"], "loss": tensors["curve_loss"]}))
        if name in shown:
            feature_tables.append(
                pd.DataFrame(
                    {
                        "model": name,
                        "feature": np.arange(1, cell.n + 1),
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
