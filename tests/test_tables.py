"""Tables: what is written comes back exactly; whatever is out of shape is named; nothing is written in half."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaling import tables
from scaling.command import InputError


THINGS = {
    "description": "made up for these tests",
    "unique": ["name", "count"],
    "columns": {
        "name": {"type": "str", "description": "text"},
        "count": {"type": "int", "minimum": 1, "maximum": 9, "description": "small"},
        "size": {"type": "float", "minimum": 0, "nullable": True, "description": "a size"},
        "law": {"type": "str", "values": ["even", "skewed"], "nullable": True, "description": "a law"},
        "seed": {"type": "int", "nullable": True, "description": "any"},
        "done": {"type": "bool", "nullable": True, "description": "yes or no"},
    },
}
ROWS: list[dict[str, Any]] = [
    {"name": "a, b", "count": 1, "size": 0.1 + 0.2, "law": "even", "seed": 2**62 + 1, "done": True},
    {"name": "NA #2", "count": 9, "size": None, "law": None, "seed": None, "done": None},
    {"name": '# "q"', "count": 1, "size": 5e-324, "law": "skewed", "seed": -1, "done": False},
]


@pytest.fixture(autouse=True)
def _things(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tables, "dictionary", lambda: {"things": THINGS})
    tables.schema.cache_clear()
    yield
    tables.schema.cache_clear()


def edited(**changes: Any) -> pd.DataFrame:
    """The table with other values in its first row."""
    return pd.DataFrame([ROWS[0] | changes, *ROWS[1:]], dtype=object)


def same(found: pd.DataFrame, rows: list[dict[str, Any]]) -> bool:
    return [{key: None if pd.isna(v) else v for key, v in row.items()} for row in found.to_dict("records")] == rows


def test_what_is_written_comes_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "things.csv"
    tables.write("things", edited()[["seed", "done", "name", "law", "size", "count"]], path)
    found = tables.read("things", path)
    assert list(found) == list(THINGS["columns"])
    assert found.dtypes.astype(str).tolist() == ["string", "Int64", "float64", "string", "Int64", "boolean"]
    assert same(found, ROWS)
    again = path.read_bytes()
    tables.write("things", found, path)
    assert path.read_bytes() == again


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(name=TEXT, size=st.floats(0, allow_infinity=False), seed=st.integers(-(2**63), 2**63 - 1))
def test_any_value_comes_back(tmp_path: Path, name: str, size: float, seed: int) -> None:
    rows = [ROWS[1] | {"name": name, "size": size, "seed": seed, "count": count} for count in (1, 2)]
    tables.write("things", pd.DataFrame(rows), tmp_path / "things.csv")
    assert same(tables.read("things", tmp_path / "things.csv"), rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"count": "three"}, ["line 2", "column count", "must be int", "three"]),
        ({"count": 1.5}, ["column count", "must be int"]),
        ({"size": "large"}, ["column size", "must be float", "large"]),
        ({"done": "perhaps"}, ["column done", "must be bool"]),
        ({"seed": 2**70}, ["column seed", "must be int"]),
        ({"count": 0}, ["line 2", "column count", "contains 0", "must be 1 to 9"]),
        ({"count": 10}, ["column count", "contains 10", "must be 1 to 9"]),
        ({"size": -0.5}, ["column size", "contains -0.5", "must be ≥ 0"]),
        ({"size": float("inf")}, ["line 2", "column size", "contains inf", "must be finite"]),
        ({"law": "steep"}, ["column law", "contains steep", "even", "skewed"]),
        ({"name": None}, ["column name is empty"]),
        ({"count": None}, ["column count is empty"]),
        ({"name": '# "q"'}, ["line 2", "rows must differ in name, count"]),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    path = tmp_path / "things.csv"
    path.write_text("the table of before")
    with pytest.raises(InputError) as error:
        tables.write("things", edited(**changes), path)
    assert all(word in str(error.value) for word in ["things", *words]), error.value
    assert path.read_text() == "the table of before"
    assert list(tmp_path.iterdir()) == [path]
    edited(**changes).to_csv(path, index=False)
    with pytest.raises(InputError):
        tables.read("things", path)


def test_columns_that_are_missing_or_unknown_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks column size, done; its columns are name, count, size"):
        tables.write("things", pd.DataFrame(ROWS).drop(columns=["size", "done"]), tmp_path / "things.csv")
    with pytest.raises(InputError, match="does not know column colour"):
        tables.write("things", pd.DataFrame(ROWS).assign(colour=1), tmp_path / "things.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable CSV table"),
        (b"# only a comment\n", "not a readable CSV table"),
        (b"name,count\na,1,2,3\nb,1\n", "more cells than the header"),
        (b"name,count,size,law,seed,done\n\xff\xfe,1,,,,\n", "not a readable CSV table"),
        (b'name,count,size,law,seed,done\n"a,1,,,,\n', "things"),
        (b"name,count,size,law,seed,done\na,1,,ev", "things"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "things.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        tables.read("things", path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such table; make it with `snakemake"):
        tables.read("things", tmp_path / "things.csv")


def test_a_table_may_have_no_rows_and_comments_above_its_header(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    tables.write("things", pd.DataFrame(ROWS[:0], columns=list(THINGS["columns"])), path)
    path.write_text("# where it\n# came from\n" + path.read_text())
    assert len(tables.read("things", path)) == 0


def test_a_wrong_row_is_named_by_its_line_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "things.csv"
    pd.DataFrame([*ROWS[:2], ROWS[2] | {"count": 12}], dtype=object).to_csv(path, index=False)
    path.write_text("# a comment\n" + path.read_text())
    with pytest.raises(InputError, match=r"things\.csv, line 5: table things: column count contains 12"):
        tables.read("things", path)


def test_a_compressed_table_is_read_back_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    path = tmp_path / "things.csv.gz"
    tables.write("things", edited(), path)
    first = path.read_bytes()
    tables.write("things", edited(), tmp_path / "things.csv")
    assert gzip.decompress(first) == (tmp_path / "things.csv").read_bytes()
    assert same(tables.read("things", path), ROWS)
    tables.write("things", tables.read("things", path), path)
    assert path.read_bytes() == first
    for broken in (first[:-9], b"name,count,size,law,seed,done\n"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="not a readable CSV table things"):
            tables.read("things", path)
