# The only functions outside the package: they read the config and name targets, and hold no science.
import fcntl
import json
import logging
import os
import platform
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))
logging.raiseExceptions = (
    False  # a log that cannot be written, on a full disk, is no reason for a traceback
)
# Jobs use the interpreter and the package of this workflow, activated or not, installed or not.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONPATH=os.pathsep.join(filter(None, [str(workflow.basedir), os.environ.get("PYTHONPATH")])),
)

from scaling.bigram.study import cells as bigram_cells
from scaling.bigram.study import flows as bigram_flows
from scaling.bigram.study import jobs as bigram_jobs
from scaling.bigram.study import matrices as bigram_matrices
from scaling.bigram.study import memory as bigram_memory
from scaling.bigram.study import training_arguments as bigram_arguments
from scaling.command import InputError
from scaling.sources import fingerprint
from scaling.llm.family.members import members as family_members
from scaling.llm.family.members import recipe_of
from scaling.plan.config import checked, read_schemas
from scaling.toy.correlated import cells as correlated_cells
from scaling.toy.correlated import curves as correlated_curves
from scaling.toy.correlated import training_arguments as correlated_arguments
from scaling.toy.recipe import Recipe
from scaling.toy.study import (
    cells_by_curve,
    distinct_cells,
    interventions,
    stacks,
    training_arguments,
)
from scaling.toy.summary import trained


def checked_config(config):
    """The config with every default, or one line that says which key, which value and what is allowed."""
    try:
        config = checked(config, read_schemas(Path(workflow.basedir, "workflow", "schemas")))
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return config | {"llm": with_packages(config["llm"])}


def with_packages(llm):
    """The section llm with paths inside packages looked up, without the models of packages that are not installed."""
    models, left_out = [], []
    for entry in llm["models"]:
        if "package" not in entry:
            models.append(entry)
        elif (
            spec := find_spec(entry["package"])
        ) is None:  # looks the package up and does not run it
            left_out.append(entry["model"])
        else:
            place = Path(spec.submodule_search_locations[0], entry.get("path", ""))
            models.append({**entry, "path": str(place)})
    if left_out and workflow.is_main_process:
        print(
            f"{', '.join(left_out)}: left out, the package is not installed; see docs/language_models.md",
            file=sys.stderr,
        )
    tokens = [entry for entry in llm["tokens"] if entry["tokenizer"] not in left_out]
    return {**llm, "models": models, "tokens": tokens}


def check_writable():
    """An error in one line where Snakemake could not keep its notes, before it tries."""
    place = Path(".snakemake" if os.path.exists(".snakemake") else ".").resolve()
    if not os.access(place, os.W_OK):
        raise WorkflowError(f"{place}: cannot be written to; use another folder by --directory")


def hold_lock():
    """One run at a time in a folder, by a lock that the system frees with the process: a killed run leaves none.

    Snakemake's own lock outlives kill -9, so the profile turns it off.
    """
    if not workflow.is_main_process:
        return None  # a job of a run that holds the lock
    os.makedirs(".snakemake", exist_ok=True)
    lock = open(".snakemake/superposition-scaling.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            f"another snakemake is at work in {os.getcwd()}; wait until it ends, or use another folder by --directory"
        ) from None
    return lock


def source_fingerprint(*modules):
    """Fingerprint of the package's code that a command runs, as a parameter of its rule."""
    return fingerprint(modules)


def get_training_arguments(wildcards):
    """Command-line arguments that train the model of that name."""
    if wildcards.model not in TOY_CELLS:
        raise WorkflowError(f"no experiment of the config asks for the model {wildcards.model}")
    return shlex.join(training_arguments([TOY_CELLS[wildcards.model]], config["toy"]))


def get_training_minutes(wildcards):
    """Minutes that a training may take on a slow core: some ten times what it takes on a fast one."""
    cell = TOY_CELLS[wildcards.model]
    recipe = Recipe(**config["toy"]["trainings"][cell.training])
    return 10 + int(recipe.steps * recipe.batch_size * cell.n * cell.m / 3e11)


def get_training_memory(wildcards):
    """Memory of a training in MB: libraries, sixteen arrays of the size of W, and a byte per pair of features."""
    cell = TOY_CELLS[wildcards.model]
    return 600 + int(64e-6 * cell.n * cell.m + 1e-6 * cell.n**2)


def get_intervention_minutes(wildcards):
    """Minutes that an intervention may take: up to five trainings and a search of rows."""
    return 10 + 6 * get_training_minutes(wildcards)


def curve_cells(wildcards):
    """Cells of a curve of the config; an error for a curve that no experiment asks for."""
    if wildcards.curve not in TOY_CURVES:
        raise WorkflowError(f"no experiment of the config asks for the curve {wildcards.curve}")
    return TOY_CURVES[wildcards.curve]


def get_models_of_curve(wildcards):
    """Files of the models of a curve."""
    return [f"results/toy/models/{cell.name}.safetensors" for cell in curve_cells(wildcards)]


def get_measurement_memory(wildcards):
    """Memory of a measurement in MB: libraries, W in float32 and float64, held-out samples, blocks of overlaps."""
    n, m = (max(getattr(cell, name) for cell in curve_cells(wildcards)) for name in "nm")
    return 700 + int(24e-6 * n * m + 0.1 * n)


def file_name(name):
    """A name of the config as part of a path; an error where no folder could hold it."""
    part = name.replace(os.sep, "--")
    if part in (".", "..") or len(part.encode()) > 200:
        raise WorkflowError(
            f"config: llm: {name[:60]!r} cannot be part of a path; choose another name"
        )
    return part


def named_once(names, key):
    """The items of a list by file name; two items that would share a file are an error."""
    names = list(names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WorkflowError(f"config: llm: {key}: {', '.join(twice)} stands there more than once")
    return names


def command_options(entry, *names):
    """Settings of an item of the config as options of a command, those that it has."""
    return " ".join(
        f"--{name.replace('_', '-')}={shlex.quote(str(entry[name]))}"
        for name in names
        if name in entry
    )


def lloyd_networks(grids):
    """Networks of attention: lloyd_networks as arguments of a command, such as aligned:1,2,4:3."""
    return " ".join(
        f"{grid['kind']}:{','.join(map(str, grid['depth']))}:{grid['seeds']}" for grid in grids
    )


def one_of(names):
    """A wildcard's pattern that matches these names alone."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def checkpoint_files(model):
    """Files of a checkpoint on this machine that a job reads: the family's, or the folder of a local model."""
    entry = MODELS[model]
    if model in FAMILY_MODELS:
        return expand("{path}/{file}", path=entry["path"], file=CHECKPOINT)
    return entry.get("path", [])


def is_remote(model):
    """Whether a model is read from the Hub."""
    return "path" not in MODELS[model]


def text_file(name):
    """The documents of a text of the config."""
    entry = TEXTS.get(name, {})
    if "dataset" in entry:
        return f"results/llm/texts/{name}.jsonl"
    return entry.get("path", CORPUS["held_out"])


def attempt(path, table):
    """Which try it is: one more than that of a failure recorded at `path`, so that the next run tries again."""
    if not os.path.exists(path):
        return 1
    from scaling import tables  # takes a second, and most runs have no such file

    try:
        row = tables.read(table, path).iloc[0]
    except (InputError, IndexError):  # a table of another version: made again anyway
        return 1
    return int(row["attempt"]) + int(row["status"] == "failed")


def bigram_counts(names):
    """Counts that the matrices of these names are made from."""
    sizes = {BIGRAM_MATRICES[name].vocabulary for name in names if BIGRAM_MATRICES[name].is_counted}
    return [f"results/bigram/counts/{size}.safetensors" for size in sorted(sizes)]


def token_entry(wildcards):
    """The item of llm: tokens that a job is for."""
    return TOKENS[f"{wildcards.tokenizer}/{wildcards.text}"]


def published_folder(wildcards, input):
    """Folder of the numbers read off the paper."""
    return Path(input.published[0]).parent


def table_caption(table):
    """Caption of a table in the report: its own where it has one."""
    own = Path(workflow.basedir, "workflow", "report", "tables", f"{table}.rst")
    return f"../report/tables/{table if own.exists() else 'any'}.rst"


def closing_lines():
    """What a run has left and where to look."""
    tables = sorted(path.stem for path in Path("results/tables").glob("*.csv"))
    figures = len(list(Path("results/figures").glob("*.svg")))
    models = len(list(Path("results/toy/models").rglob("m*_seed*.safetensors")))
    members = len(list(Path("results/llm/family").glob("*/*/model.safetensors")))
    lines = {
        f"{len(tables)} tables in results/tables: {', '.join(tables)}": tables,
        f"{figures} figures in results/figures; overview.png shows the main ones": figures,
        f"trained: {models} toy models in results/toy/models, {members} language models in results/llm/family": models
        + members,
        "published and ours: results/tables/claims.csv, results/figures/claims.png": "claims"
        in tables,
        "all of it in one file: snakemake --report results/report.html; one log a job in logs": figures,
    }
    return "\n".join(line for line, there in lines.items() if there)
