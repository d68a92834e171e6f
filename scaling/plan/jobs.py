"""Names, arguments, memory and run times of the jobs that the config requests."""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from snakemake.exceptions import WorkflowError

from scaling.bigram.study import MatrixSettings
from scaling.command import InputError
from scaling.toy.cell import Cell
from scaling.toy.recipe import Recipe


LONGEST_NAME = 200  # bytes; file systems allow 255, and endings follow
Item = TypeVar("Item")


def asked(items: Mapping[str, Item], name: str, kind: str) -> Item:
    """Return an item by name. Raises WorkflowError if the config does not request it."""
    if name not in items:
        raise WorkflowError(f"no experiment in the config requests the {kind} {name}")
    return items[name]


def training_minutes(cell: Cell, toy: Mapping[str, Any]) -> int:
    """Return the time limit of a training in minutes: about ten times what a fast core takes."""
    recipe = Recipe(**toy["trainings"][cell.training])
    return 10 + int(recipe.steps * recipe.batch_size * cell.n * cell.m / 3e11)


def training_memory(cell: Cell) -> int:
    """Return the memory of a training in MB: libraries, sixteen arrays like W, and a byte per pair of features."""
    return 600 + int(64e-6 * cell.n * cell.m + 1e-6 * cell.n**2)


def measurement_memory(cells: Iterable[Cell]) -> int:
    """Return the memory of a measurement in MB: libraries, W, held-out samples, and blocks of overlaps."""
    sizes = [(cell.n, cell.m) for cell in cells]
    n, m = max(n for n, _ in sizes), max(m for _, m in sizes)
    return 700 + int(24e-6 * n * m + 0.1 * n)


def file_name(name: str) -> str:
    """Return a name of the config as part of a path. Raises WorkflowError if it cannot name a folder."""
    part = name.replace(os.sep, "--")
    if part in (".", "..") or len(part.encode()) > LONGEST_NAME:
        raise WorkflowError(f"config: llm: {name[:60]!r} cannot be part of a path; choose another name")
    return part


def by_name(entries: Iterable[Mapping[str, Any]], keys: Iterable[str], where: str) -> dict[str, Mapping[str, Any]]:
    """Return items of a list of the config by file name, made of the values of `keys`.

    Raises WorkflowError for two items that would share a file.
    """
    found: dict[str, Mapping[str, Any]] = {}
    keys = list(keys)
    for entry in entries:
        name = "/".join(file_name(entry[key]) for key in keys)
        if name in found:
            raise WorkflowError(f"config: llm: {where}: {name} is listed more than once")
        found[name] = entry
    return found


def command_options(entry: Mapping[str, Any], *names: str) -> str:
    """Return settings of an item of the config as options of a command, those that it has."""
    return " ".join(f"--{name.replace('_', '-')}={shlex.quote(str(entry[name]))}" for name in names if name in entry)


def local_files(entry: Mapping[str, Any]) -> Any:
    """Return the files of a checkpoint on this machine that a job reads: those listed, else its folder, if any."""
    return entry.get("files", entry.get("path", []))


def is_remote(entry: Mapping[str, Any]) -> bool:
    """Return whether a model of the catalogue is read from the Hub."""
    return "path" not in entry


def text_file(texts: Mapping[str, Mapping[str, Any]], name: str, held_out: str) -> str:
    """Return the file of a text: fetched from the Hub, named by the config, or the held-out part of the corpus."""
    entry = texts.get(name, {})
    return f"results/llm/texts/{name}.jsonl" if "dataset" in entry else str(entry.get("path", held_out))


def table_caption(report: Path, table: str) -> str:
    """Return the caption of a table of the report, relative to the rules: its own where it has one."""
    own = report / "tables" / f"{table}.rst"
    return f"../report/tables/{table if own.exists() else 'any'}.rst"


def lloyd_networks(grids: Iterable[Mapping[str, Any]]) -> str:
    """Return the networks of attention: lloyd_networks as arguments of a command, such as aligned:1,2,4:3."""
    return " ".join(f"{grid['kind']}:{','.join(map(str, grid['depth']))}:{grid['seeds']}" for grid in grids)


def one_of(names: Iterable[str]) -> str:
    """Return the pattern of a wildcard that matches these names alone."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def with_packages(llm: Mapping[str, Any], report: bool) -> dict[str, Any]:
    """Return the section llm with paths inside packages looked up, without models of packages not installed.

    `report` prints what was left out.
    """
    models, left_out = [], []
    for entry in llm["models"]:
        if "package" not in entry:
            models.append(entry)
            continue
        spec = find_spec(entry["package"])  # looks the package up and does not run it
        if spec is None or spec.submodule_search_locations is None:
            left_out.append(entry["model"])
        else:
            models.append({**entry, "path": str(Path(spec.submodule_search_locations[0], entry.get("path", "")))})
    if left_out and report:
        names = ", ".join(left_out)
        print(f"{names}: left out, the package is not installed; see docs/language_models.md", file=sys.stderr)
    tokens = [entry for entry in llm["tokens"] if entry["tokenizer"] not in left_out]
    return {**llm, "models": models, "tokens": tokens}


def attempt(path: str, table: str) -> int:
    """Return the attempt number of a job: one more than a failure recorded at `path`, so that the next run retries."""
    if not os.path.exists(path):
        return 1
    from scaling import tables  # takes a second, and most runs have no such file

    try:
        row = tables.read(table, path).iloc[0]
    except (InputError, IndexError):  # a table of another version, which is rewritten anyway
        return 1
    return int(row["attempt"]) + int(row["status"] == "failed")


def counted_sizes(matrices: Mapping[str, MatrixSettings], names: Iterable[str]) -> list[int]:
    """Return the vocabulary sizes whose bigrams have to be counted for the matrices of these names, in order."""
    sizes = {matrices[name].vocabulary for name in names if matrices[name].is_counted}
    return sorted(size for size in sizes if size is not None)
