r"""Gather the measurements of interventions into interventions.csv.

    python -m scaling.toy.intervention_table --measured results/toy/interventions/*/*/*/*/*.jsonl \
        --output results/tables/interventions.csv
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from scaling import tables
from scaling.command import InputError, run


def intervention_table(files: Iterable[Path]) -> pd.DataFrame:
    """Return table interventions: the lines of all files. Raises InputError for a missing or broken file."""
    rows = []
    for path in files:
        try:
            rows += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; make it with `snakemake --cores all {path}`") from None
        except ValueError as error:
            raise InputError(f"{path}: not a file of measurements ({error}); delete it and run again") from None
    return pd.DataFrame(rows, columns=list(tables.dictionary()["interventions"]["columns"]) if not rows else None)


def main() -> None:
    """Command line: one table of all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measured", type=Path, nargs="*", default=[], help="files of scaling.toy.interventions")
    parser.add_argument("--output", type=Path, required=True, help="table interventions to write")
    arguments = parser.parse_args()
    tables.write("interventions", intervention_table(arguments.measured), arguments.output)


if __name__ == "__main__":
    run(main)
