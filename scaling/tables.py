"""The tables people read: columns, types, units, ranges from `scaling/dictionary`; written and read here only."""

from functools import cache
from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
import yaml

from scaling.command import InputError, whole_file


TYPES = {"str": "string", "int": "Int64", "float": "float64", "bool": "boolean"}


@cache
def dictionary() -> dict[str, dict[str, Any]]:
    """Every table by name: its `description` and its `columns`, each with type, unit, range and description."""
    tables: dict[str, dict[str, Any]] = {}
    for file in sorted(resources.files("scaling").joinpath("dictionary").iterdir(), key=lambda file: file.name):
        tables.update(yaml.safe_load(file.read_text(encoding="utf-8")))
    return tables


@cache
def schema(name: str) -> pa.DataFrameSchema:
    """The pandera schema of table `name`: columns in order, nothing missing, nothing unknown, values in range."""
    columns = {}
    for column, entry in dictionary()[name]["columns"].items():
        checks = []
        if "minimum" in entry:
            checks.append(pa.Check.ge(entry["minimum"]))
        if "maximum" in entry:
            checks.append(pa.Check.le(entry["maximum"]))
        if "values" in entry:
            checks.append(pa.Check.isin(entry["values"]))
        columns[column] = pa.Column(
            TYPES[entry["type"]], checks, nullable=entry.get("nullable", False), description=entry["description"]
        )
    return pa.DataFrameSchema(columns, strict=True, ordered=True, unique=dictionary()[name].get("unique"))


def validate(name: str, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return `frame` with the dictionary's types and column order.

    Raises InputError naming the table, the column, the row and what is allowed when anything differs.
    """
    columns = dictionary()[name]["columns"]
    for word, names in {
        "lacks": [column for column in columns if column not in frame],
        "does not know": [column for column in frame if column not in columns],
    }.items():
        if names:
            raise InputError(
                f"{where}: table {name} {word} column {', '.join(map(str, names))}; "
                f"its columns are {', '.join(columns)}"
            )
    frame = frame[list(columns)].copy()
    for column, entry in columns.items():
        try:
            frame[column] = frame[column].astype(TYPES[entry["type"]])
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{where}: column {column} of table {name} must be {entry['type']}: {error}") from None
    try:
        return schema(name).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        case = error.failure_cases.iloc[0]
        row = "" if pd.isna(case["index"]) else f", row {int(case['index']) + 2}"
        raise InputError(
            f"{where}{row}: column {case['column']} of table {name} holds {case['failure_case']}, "
            f"but must satisfy {case['check']} ({len(error.failure_cases)} such places)"
        ) from None


def read(name: str, path: Path | str) -> pd.DataFrame:
    """Read and validate table `name`; raises InputError when the file is missing, cut, or edited out of shape."""
    text = {column: "string" for column, entry in dictionary()[name]["columns"].items() if entry["type"] != "bool"}
    try:
        with open(path, encoding="utf-8") as file:
            comments = sum(1 for _ in takewhile(lambda line: line.startswith("#"), file))
        frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""], skiprows=comments)
    except FileNotFoundError:
        raise InputError(f"{path}: no such table; make it with `snakemake --cores all {path}`") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable CSV table {name}: {error}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise InputError(f"{path}: not a readable CSV table {name}: rows have more cells than the header")
    frame.index += comments  # so that an error names the line of the file
    try:
        return validate(name, frame, str(path)).reset_index(drop=True)
    except InputError as error:
        raise InputError(f"{error}; if a run wrote this file, delete it and run again") from None


def write(name: str, frame: pd.DataFrame, path: Path | str) -> None:
    """Validate `frame` as table `name` and write it as CSV, whole or not at all, every float in full."""
    frame = validate(name, frame, str(path))
    with whole_file(path) as temporary:
        frame.to_csv(temporary, index=False)


def markdown() -> str:
    """The data dictionary as Markdown, one section a table: column, type, unit, meaning."""
    lines: list[str] = []
    for name, table in dictionary().items():
        lines += [f"### `{name}.csv`", "", table["description"], "", "| column | type | unit | meaning |"]
        lines += ["| --- | --- | --- | --- |"]
        for column, entry in table["columns"].items():
            empty = " (may be empty)" if entry.get("nullable") else ""
            lines.append(f"| `{column}` | {entry['type']} | {entry.get('unit', '')} | {entry['description']}{empty} |")
        lines.append("")
    return "\n".join(lines)
