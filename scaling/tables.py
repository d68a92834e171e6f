"""Read, write and validate the result tables, whose columns, types, units and ranges are in `scaling/dictionary`."""

import gzip
import zlib
from functools import cache
from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import yaml

from scaling.command import InputError, whole_file
from scaling.frequency_laws import FREQUENCY_LAWS


REGISTRIES = {"frequency_laws": FREQUENCY_LAWS}  # a column whose values are the keys of a registry names it
UNREADABLE = (
    pd.errors.ParserError,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
)
TYPES = {"str": "string", "int": "Int64", "float": "float64", "bool": "boolean"}


@cache
def dictionary() -> dict[str, dict[str, Any]]:
    """Every table by name: its `description` and its `columns`, each with type, unit, range and description."""
    tables: dict[str, dict[str, Any]] = {}
    for file in sorted(resources.files("scaling").joinpath("dictionary").iterdir(), key=lambda file: file.name):
        tables.update(yaml.safe_load(file.read_text(encoding="utf-8")))
    for table in tables.values():
        for column in table["columns"].values():
            if isinstance(column.get("values"), str):
                column["values"] = list(REGISTRIES[column["values"]])
    return tables


@cache
def schema(name: str) -> pa.DataFrameSchema:
    """Return the pandera schema of table `name`: columns in order, none missing or unknown, values in range."""
    columns = {}
    for column, entry in dictionary()[name]["columns"].items():
        checks = [pa.Check(np.isfinite, name="finite")] if entry["type"] == "float" else []
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


def is_of(values: Any, type_name: str) -> bool:
    """Whether every value can be read as this type of the dictionary."""
    try:
        values.astype(TYPES[type_name])
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def validate(name: str, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return `frame` with the dictionary's types and column order.

    Raises InputError naming the table, the column, the line and what is allowed when anything differs.
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
        if not is_of(frame[column], entry["type"]):
            k = next(k for k in range(len(frame)) if not is_of(frame[column].iloc[[k]], entry["type"]))
            raise InputError(
                f"{where}, line {frame.index[k] + 2}: table {name}: column {column} contains "
                f"{frame[column].iloc[k]!r}, but must be {entry['type']}"
            )
        frame[column] = frame[column].astype(TYPES[entry["type"]])
    try:
        return schema(name).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        case = error.failure_cases.iloc[0]
        line = "" if pd.isna(case["index"]) else f", line {int(case['index']) + 2}"
        column, check = case["column"], str(case["check"])
        if "uniqueness" in check:
            broken = f"rows must differ in {', '.join(schema(name).unique or [])}"
        elif "nullable" in check:
            broken = f"column {column} is empty, but must not be"
        else:
            limits = "finite" if check == "finite" else allowed({**columns[column], "nullable": False})
            broken = f"column {column} contains {case['failure_case']}, but must be {limits}"
        places = len(error.failure_cases)
        more = f" ({places} such places)" if places > 1 else ""
        raise InputError(f"{where}{line}: table {name}: {broken}{more}") from None


def table_path(folder: Path, name: str) -> Path:
    """Return the path of a table of a folder: `name`.csv, or `name`.csv.gz where only that is there."""
    plain, compressed = folder / f"{name}.csv", folder / f"{name}.csv.gz"
    return compressed if compressed.is_file() and not plain.is_file() else plain


def read(name: str, path: Path | str) -> pd.DataFrame:
    """Read and validate table `name` from a CSV file, compressed if its name ends in .gz.

    Raises InputError when the file is missing, cut, or edited out of shape.
    """
    text = {column: "string" for column, entry in dictionary()[name]["columns"].items() if entry["type"] != "bool"}
    try:
        with (gzip.open if Path(path).suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            comments = sum(1 for _ in takewhile(lambda line: line.startswith("#"), file))
        frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""], skiprows=comments)
    except FileNotFoundError:
        raise InputError(f"{path}: no such table; make it with `snakemake --cores all {path}`") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: not a readable CSV table {name}: {error}") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise InputError(f"{path}: not a readable CSV table {name}: rows have more cells than the header")
    frame.index += comments  # so that an error names the line of the file
    try:
        return validate(name, frame, str(path)).reset_index(drop=True)
    except InputError as error:
        raise InputError(f"{error}; if a run wrote this file, delete it and run again") from None


def write(name: str, frame: pd.DataFrame, path: Path | str) -> None:
    """Validate `frame` as table `name` and write it as CSV, whole or not at all, every float in full.

    A name that ends in .gz asks for compression; equal tables give equal bytes.
    """
    text = validate(name, frame, str(path)).to_csv(index=False).encode()
    with whole_file(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if Path(path).suffix == ".gz" else text)


def allowed(entry: dict[str, Any]) -> str:
    """Return the allowed values of a column, in words."""
    # Limits of shares include a margin for rounding errors, which is not shown.
    low, high = (
        None if limit is None else f"{round(limit, 4) + 0:g}" for limit in map(entry.get, ("minimum", "maximum"))
    )
    if "values" in entry:
        text = "one of " + ", ".join(map(str, entry["values"]))
    elif low and high:
        text = f"{low} to {high}"
    else:
        text = f"≥ {low}" if low else f"≤ {high}" if high else ""
    return ", ".join(filter(None, [text, "may be empty" if entry.get("nullable") else ""]))


def markdown() -> str:
    """Return the data dictionary as Markdown, one section per table: column, type, unit, allowed values, meaning."""
    lines: list[str] = []
    for name, table in dictionary().items():
        lines += [f"### `{name}.csv`", "", table["description"], ""]
        lines += ["| column | type | unit | allowed | meaning |", "| --- | --- | --- | --- | --- |"]
        for column, entry in table["columns"].items():
            cells = [f"`{column}`", entry["type"], entry.get("unit", ""), allowed(entry), entry["description"]]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
