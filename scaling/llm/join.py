"""Concatenate parts of a table: `python -m scaling.llm.join --table token_ranks --parts *.csv --output ...`."""

import argparse
from pathlib import Path

import pandas as pd

from scaling import tables
from scaling.command import run


def joined(table: str, parts: list[Path]) -> pd.DataFrame:
    """The rows of all parts in the order given; raises InputError if a part is not that table."""
    columns = list(tables.dictionary()[table]["columns"])
    frames = [tables.read(table, part).astype(object) for part in parts]
    # As objects, so that a column that is empty in one part keeps its type in the others.
    together = pd.concat([pd.DataFrame(columns=columns, dtype=object), *frames], ignore_index=True)
    return together.where(together.notna(), None)


def main() -> None:
    """Command line: concatenate the parts and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, choices=list(tables.dictionary()), help="name of the table")
    parser.add_argument("--parts", type=Path, nargs="*", default=[], help="CSV files of that table")
    parser.add_argument("--output", type=Path, required=True, help="CSV table to write")
    arguments = parser.parse_args()
    tables.write(arguments.table, joined(arguments.table, arguments.parts), arguments.output)


if __name__ == "__main__":
    run(main)
