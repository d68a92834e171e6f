"""Fit the width exponent in training suites of other groups: `width_suites.csv` and `width_suite_profiles.csv`.

`python -m scaling.fits.suites runs` writes each suite's file as a table suite_runs, `fit` fits selections of them.
The entries of the config are described in docs/suites.md.
"""

import argparse
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.command import InputError
from scaling.fits import chinchilla, inputs, joint, points, published, suite


SEVERAL = {"aspect": ("width", "depth"), "tokens_per_parameter": ("data", "parameters")}  # ratios that can be kept


def suite_runs(name: str, entry: dict[str, Any], shapes: Path | None = None) -> pd.DataFrame:
    """Return table suite_runs of a suite in the config; without its file, log a warning and return an empty table.

    `shapes` is Table A9, which the format `chinchilla` needs. Raises InputError for a file that differs from the entry.
    """
    columns = list(tables.dictionary()["suite_runs"]["columns"])
    source = entry.get("source")
    data = None
    if source:
        data = points.obtain(source, entry.get("sha256"), f"the suite {name} is not run")
    else:
        logging.warning("the suite %s is not run: %s", name, how_to_run(entry))
    if data is None:
        return pd.DataFrame(columns=columns)
    if entry["format"] == "chinchilla":
        if shapes is None:
            raise InputError("the format chinchilla needs --shapes")
        joined = joint.join_shapes(points.parse(data, str(source)), published.read(shapes, chinchilla.SHAPES)).dropna()
        data, source = joined.to_csv(index=False).encode(), "chinchilla.csv"
    parts = [
        suite.read_runs(data, str(source), entry["columns"] | {"loss": column}).assign(text=text)
        for text, column in entry["losses"].items()
    ]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def how_to_run(entry: dict[str, Any]) -> str:
    """Return instructions for a suite whose file was not found."""
    if entry.get("source"):
        return "its file was not found: with a network, run again with --forcerun suite_runs, or give a path as source"
    return "it has no public file: create one as described in docs/suites.md and give its path as source"


def select(runs: pd.DataFrame, selection: dict[str, Any]) -> pd.DataFrame:
    """Return the runs in a selection of the config. Raises InputError for a bound on a column that is empty."""
    values = runs.assign(**{name: runs[top] / runs[bottom] for name, (top, bottom) in SEVERAL.items()})
    chosen = np.ones(len(runs), dtype=bool)
    for name, bound in selection["keep"].items():
        column = values[name]
        if column.isna().any():
            raise InputError(f"a selection has bounds on {name}, but the suite has no such column")
        if "min" in bound:
            chosen &= (column >= bound["min"]).to_numpy()
        if "max" in bound:
            chosen &= (column <= bound["max"]).to_numpy()
        if "equals" in bound:
            chosen &= (column == bound["equals"]).to_numpy()
        if "starts_with" in bound:
            chosen &= column.astype(str).str.startswith(bound["starts_with"]).to_numpy()
    some = runs[chosen]
    left_out = selection["highest_losses_left_out"]
    return some[chinchilla.kept(some["loss"].to_numpy(dtype=np.float64), left_out)] if left_out else some


def fit_entry(
    name: str, entry: dict[str, Any], runs: pd.DataFrame, rules: suite.Rules
) -> tuple[list[dict[str, Any]], list[pd.DataFrame]]:
    """Return rows of width_suites and profiles for one suite: every text with every selection; the first is primary."""
    rows, profiles = [], []
    for text in entry["losses"]:
        for label, selection in entry["selections"].items():
            key: dict[str, Any] = {"suite": name, "text": text, "selection": label}
            primary = text == next(iter(entry["losses"])) and label == next(iter(entry["selections"]))
            if runs.empty:
                row: dict[str, Any] = {"form": " + ".join(["width", *selection["terms"]]), "n_runs": 0, "n_widths": 0}
                row |= {"status": inputs.NOT_RUN, "verdict": inputs.NOT_RUN, "note": how_to_run(entry)}
            else:
                some = select(runs[runs["text"] == text], selection)
                row, profile = suite.fit_suite(some, selection["terms"], rules)
                profiles.append(profile.assign(**key))
            rows.append(key | {"primary": primary, "control": entry.get("control", False)} | row)
    return rows, profiles


def check_options(entries: Any, rules: Any, n_tables: int) -> None:
    """Raise InputError unless the JSON options are mappings as in the config and each suite has one table."""
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise InputError("--entries: must be a JSON object of suites by name, as fits: suites: of the config")
    known = [field.name for field in fields(suite.Rules)]
    if not isinstance(rules, dict) or set(rules) - set(known):
        raise InputError(f"--rules: must be a JSON object with keys of {', '.join(known)}")
    if len(entries) != n_tables:
        raise InputError(f"{len(entries)} suites in --entries, {n_tables} tables; give one table per suite")


def main() -> None:
    """Command line: write a suite's runs, or fit all suites."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.suites", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    get = steps.add_parser("runs", help="write the runs of each suite as a table")
    get.add_argument("--shapes", type=Path, help="Table A9 (chinchilla_model_shapes.csv)")
    get.add_argument(
        "--output", required=True, nargs="*", help="tables suite_runs to write, in the order of the entries"
    )
    fit = steps.add_parser("fit", help="fit every suite")
    fit.add_argument("--rules", default={}, type=json.loads, help="fits: suite_verdict: of the config, as JSON")
    fit.add_argument("--runs", required=True, nargs="*", help="tables suite_runs, in the order of the entries")
    fit.add_argument("--suites", required=True, help="table width_suites to write")
    fit.add_argument("--profiles", required=True, help="table width_suite_profiles to write")
    for step in (get, fit):
        step.add_argument("--entries", required=True, type=json.loads, help="fits: suites: of the config, as JSON")
    options = parser.parse_args()
    paths = options.output if options.step == "runs" else options.runs
    check_options(options.entries, getattr(options, "rules", {}), len(paths))
    if options.step == "runs":
        with ThreadPoolExecutor() as pool:  # without a network, each source takes seconds to fail
            found = list(pool.map(lambda item: suite_runs(item[0], item[1], options.shapes), options.entries.items()))
        for runs, path in zip(found, options.output, strict=True):
            tables.write("suite_runs", runs, path)
            logging.info("%s: %d rows", path, len(runs))
        return
    rows: list[dict[str, Any]] = []
    profiles = [pd.DataFrame(columns=list(tables.dictionary()["width_suite_profiles"]["columns"]))]
    for (name, entry), path in zip(options.entries.items(), options.runs, strict=True):
        try:
            new, curves = fit_entry(name, entry, tables.read("suite_runs", path), suite.Rules(**options.rules))
        except InputError as error:
            raise InputError(f"suite {name}: {error}") from None
        rows, profiles = rows + new, profiles + curves
        for row in new:
            for line in suite.in_words(row, f"{name}, {row['text']}, {row['selection']}"):
                logging.info(line)
    tables.write("width_suites", suite.as_table("width_suites", rows), options.suites)
    tables.write("width_suite_profiles", pd.concat(profiles, ignore_index=True), options.profiles)


if __name__ == "__main__":
    command.run(main)
