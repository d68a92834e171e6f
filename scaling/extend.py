r"""Extend the recorded part of a study by the models of a run, and fit all recorded curves again.

    python -m scaling.toy.collect --partial --study config.yaml config/paper.yaml --folder results/toy/models \
        --measured results/toy/measured --output results/part
    python -m scaling.extend --tables results/part --config config.yaml config/paper.yaml \
        --recorded resources/recorded/paper

Models recorded earlier stay. A model that was trained again replaces its row. Each model keeps the number of the
recording that added it (toy_recordings.csv); run.yaml says on which machine, with which packages and with which code
each recording was made. A column that an earlier recording did not have is empty in its rows.
"""

import argparse
import datetime
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from scaling import command, tables
from scaling.blocks import read_run
from scaling.command import InputError, whole_file
from scaling.config import merged, read_config
from scaling.fits.comparison import published_table
from scaling.fits.parts import part_table
from scaling.fits.toy import exponent_table, start_table
from scaling.recorded import provenance, versions, write_manifest
from scaling.tables import table_path
from scaling.toy.study import experiments


LARGEST = 2**20  # bytes; larger tables are compressed
CURVE_POINTS = 20  # steps of a recorded training curve

log = logging.getLogger(__name__)


def recorded_rows(name: str, folder: Path) -> pd.DataFrame:
    """Return a recorded table, with columns that were added later empty; without rows if it is not recorded."""
    path, columns = table_path(folder, name), list(tables.dictionary()[name]["columns"])
    if not path.is_file():
        return pd.DataFrame(columns=columns)
    older = pd.read_csv(path, nrows=0).columns
    if set(columns) <= set(older):
        return tables.read(name, path)
    frame = pd.read_csv(path, dtype="string").reindex(columns=columns)
    return tables.validate(name, frame, str(path))


def merge(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the rows of both tables, one per model, new ones in place of old ones, and the models by what happened.

    A new row that equals the old one is kept, not replaced.
    """
    old, new = (frame.set_index("model") for frame in (old, new))
    both = old.index.intersection(new.index)
    same = (old.loc[both, new.columns].isna() & new.loc[both].isna()) | old.loc[both, new.columns].eq(new.loc[both])
    unchanged = both[same.fillna(False).all(axis=1)]
    changed = {
        "kept": [*old.index.difference(new.index), *unchanged],
        "added": list(new.index.difference(old.index)),
        "replaced": list(both.difference(unchanged)),
    }
    frames = [frame for frame in (old.loc[changed["kept"]], new.drop(index=unchanged)) if len(frame)]
    return pd.concat(frames).reset_index(), changed


def by_experiment(models: pd.DataFrame, groups: pd.DataFrame, study: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the rows of toy_models: each model under every experiment of the study that asks for it.

    `groups` names the experiments of models that the study does not ask for; they keep these.
    """
    wanted = pd.DataFrame(
        [(name, model) for name, cells in study.items() for model in cells], columns=["experiment", "model"]
    )
    others = groups[~groups["model"].isin(wanted["model"])]
    return pd.concat([wanted, others]).merge(models, on="model")


def thinned(curves: pd.DataFrame, first_seeds: set[str]) -> pd.DataFrame:
    """Return about CURVE_POINTS steps of each training curve of these models, at even distances in log step."""
    parts = []
    for _, part in curves[curves["model"].isin(first_seeds)].groupby("model", sort=False):
        steps = part["step"].to_numpy(np.float64)
        wanted = np.geomspace(steps[0], steps[-1], CURVE_POINTS)
        parts.append(part.iloc[np.unique(np.abs(np.log(steps[:, None] / wanted)).argmin(axis=0))])
    return pd.concat(parts) if parts else curves.head(0)


def write_table(name: str, frame: pd.DataFrame, folder: Path) -> None:
    """Write a recorded table, compressed where it is large."""
    plain, compressed = folder / f"{name}.csv", folder / f"{name}.csv.gz"
    tables.write(name, frame, plain)
    if plain.stat().st_size > LARGEST:
        tables.write(name, frame, compressed)
        plain.unlink()
    else:
        compressed.unlink(missing_ok=True)


def earlier_recordings(folder: Path) -> list[dict[str, Any]]:
    """Return the recordings that run.yaml of a folder lists; one without a list is one recording."""
    if not (folder / "run.yaml").is_file():
        return []
    run = read_run(folder)
    return list(run.get("recordings", [{"date": run["date"], **run["provenance"]}]))


def extend(
    run: Path,
    config: Mapping[str, Any],
    names: Sequence[str],
    made_by: Mapping[str, str],
    folder: Path,
    published: Path = Path("resources/published"),
) -> dict[str, list[str]]:
    """Add the models of toy_models.csv and toy_curves.csv in folder `run` to the recording; return what happened.

    `config` is that of the whole study, from the files `names`; `made_by` is the provenance of the new models;
    `published` is the folder of the points read off the paper's figures.
    """
    new, old = tables.read("toy_models", run / "toy_models.csv"), recorded_rows("toy_models", folder)
    one_each = [frame.drop_duplicates("model").drop(columns="experiment") for frame in (old, new)]
    rows, changed = merge(*one_each)
    study = {name: [cell.name for cell in cells] for name, cells in experiments(config["toy"]).items()}
    groups = pd.concat([frame[["experiment", "model"]] for frame in (old, new)]).drop_duplicates()
    models = tables.validate("toy_models", by_experiment(rows, groups, study), "merged rows")

    recordings = earlier_recordings(folder)
    numbers = dict.fromkeys(old["model"], 1)
    numbers |= recorded_rows("toy_recordings", folder).set_index("model")["recording"].to_dict()
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    if fresh := [*changed["added"], *changed["replaced"]]:
        recordings.append({"date": today, **made_by})
        numbers |= dict.fromkeys(fresh, len(recordings))

    fresh_curves = tables.read("toy_curves", run / "toy_curves.csv")
    old_curves = recorded_rows("toy_curves", folder)
    exponents = exponent_table(models)
    curves = pd.concat([old_curves[~old_curves["model"].isin(fresh_curves["model"])], fresh_curves])
    made = {
        "toy_models": models,
        "toy_recordings": pd.DataFrame({"model": rows["model"], "recording": rows["model"].map(numbers)}),
        "toy_curves": thinned(curves, set(rows.loc[rows["seed"] == 0, "model"])),
        "toy_exponents": exponents,
        "toy_exponent_starts": start_table(models),
        "toy_part_exponents": part_table(models),
        "toy_published": published_table(models, tables.validate("toy_exponents", exponents, "fits"), published),
    }
    known = set(rows["model"])
    content = {
        "date": today,
        "versions": versions(),
        "provenance": dict(made_by),
        "recordings": recordings,
        "recorded": {
            name: {"models": len(cells), "recorded": len(known.intersection(cells))} for name, cells in study.items()
        },
        "config": {" ".join(names): {"toy": config["toy"]}},
    }
    for name, frame in made.items():
        write_table(name, frame, folder)
    with whole_file(folder / "run.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_manifest(folder)
    return changed


def main() -> None:
    """Command line: extend a recording by the models of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder with toy_models.csv and toy_curves.csv")
    parser.add_argument("--config", nargs="+", required=True, help="config files of the whole study, in order")
    parser.add_argument("--recorded", type=Path, required=True, help="folder of the recording")
    parser.add_argument(
        "--provenance",
        type=Path,
        help="output of `python -m scaling.recorded` where the models were trained (YAML), if not here by this code",
    )
    parser.add_argument(
        "--published", type=Path, default=Path("resources/published"), help="folder of the published points"
    )
    given = parser.parse_args()
    made_by = provenance()
    if given.provenance:
        made_by = read_config(given.provenance)
        if not isinstance(made_by, dict) or set(made_by) != set(provenance()):
            raise InputError(f"{given.provenance}: must have the keys {', '.join(provenance())}")
    names = [Path(file).name for file in given.config]
    changed = extend(given.tables, merged(given.config), names, made_by, given.recorded, given.published)
    log.info("%s: models %s", given.recorded, ", ".join(f"{what} {len(found)}" for what, found in changed.items()))


if __name__ == "__main__":
    command.run(main)
