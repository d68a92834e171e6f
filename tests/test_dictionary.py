"""The data dictionary itself: every table and column is described in the words that tables.py knows."""

import collections
from importlib import resources

import pytest
import yaml

from scaling import tables


KEYS = {"type", "description", "unit", "minimum", "maximum", "values", "nullable"}


@pytest.mark.parametrize("name", sorted(tables.dictionary()))
def test_every_column_is_described(name: str) -> None:
    table = tables.dictionary()[name]
    assert set(table) <= {"description", "unique", "columns"}
    assert table["description"]
    assert set(table.get("unique", [])) <= set(table["columns"])
    for column, entry in table["columns"].items():
        assert set(entry) <= KEYS, column
        assert entry["type"] in tables.TYPES, column
        assert entry["description"].strip(), column
        assert entry.get("minimum", 0) <= entry.get("maximum", float("inf")), column
        assert entry["type"] == "str" or "values" not in entry, column
    assert list(tables.schema(name).columns) == list(table["columns"])


def test_no_table_is_described_twice() -> None:
    names: collections.Counter[str] = collections.Counter()
    for file in resources.files("scaling").joinpath("dictionary").iterdir():
        names.update(yaml.safe_load(file.read_text(encoding="utf-8")).keys())
    assert set(names.values()) == {1}


def test_markdown_has_one_line_per_column() -> None:
    text = tables.markdown()
    for name, table in tables.dictionary().items():
        section = text.split(f"### `{name}.csv`")[1].split("### ")[0]
        assert section.count("\n| `") == len(table["columns"])


def test_allowed_values_in_words() -> None:
    assert tables.allowed({"minimum": 0, "maximum": 1.0000001, "nullable": True}) == "0 to 1, may be empty"
    assert tables.allowed({"minimum": 1}) == "≥ 1"
    assert tables.allowed({"maximum": 1}) == "≤ 1"
    assert tables.allowed({"values": ["a", "b"]}) == "one of a, b"
    assert tables.allowed({}) == ""


@pytest.mark.parametrize("name", sorted(tables.dictionary()))
def test_shares_and_losses_have_their_range(name: str) -> None:
    for column, entry in tables.dictionary()[name]["columns"].items():
        if column.startswith("phi_") or "pvalue" in column:
            assert (entry["minimum"], entry["maximum"]) == (0, 1), column
        if column == "loss" or column.endswith(("_stderr", "_std")) or column.startswith(("n_", "std_", "bytes_")):
            assert entry["minimum"] >= 0, column
