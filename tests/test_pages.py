"""Pages of tables: every cell is there, escaped, and the file comes back byte for byte."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from scaling import pages, tables
from scaling.command import InputError


THINGS = {
    "description": "a < b",
    "columns": {
        "name": {"type": "str", "description": 'says "<b>"'},
        "count": {"type": "int", "unit": "rows", "description": "how many"},
        "size": {"type": "float", "nullable": True, "description": "how large"},
        "done": {"type": "bool", "nullable": True, "description": "yes or no"},
    },
}
ROWS = [
    {"name": "<i>&", "count": 12345678, "size": 0.1 + 0.2, "done": True},
    {"name": "long " * 20, "count": 1, "size": None, "done": None},
    {"name": "1e5", "count": 2, "size": -1.5e-30, "done": False},
]


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tables, "dictionary", lambda: {"things": THINGS})
    tables.schema.cache_clear()
    tables.write("things", pd.DataFrame(ROWS), tmp_path / "things.csv")
    yield tmp_path / "things.csv"
    tables.schema.cache_clear()


class Cells(HTMLParser):
    """Text of the cells of the first table's body, row by row, and its numbers for sorting."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.numbers: list[str] = []
        self.feed(text.split("<tbody>")[1].split("</tbody>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
            self.numbers += [value for name, value in attrs if name == "data-value" and value]

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def test_every_cell_is_there(things: Path) -> None:
    text = pages.page("things", things)
    cells = Cells(text)
    assert cells.rows == [
        ["<i>&", "12345678", "0.3", "True"],
        ["long " * 20, "1", "", ""],
        ["1e5", "2", "-1.5e-30", "False"],
    ]
    assert list(map(float, cells.numbers)) == [0.1 + 0.2, -1.5e-30]
    assert "3 rows" in text
    assert "a &lt; b" in text
    assert 'title="says &quot;&lt;b&gt;&quot;"' in text


def test_the_file_comes_back(things: Path) -> None:
    data = re.search(
        r'download="things\.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', pages.page("things", things)
    )
    assert data
    assert base64.b64decode(data[1]) == things.read_bytes()


def test_a_table_without_rows_keeps_its_columns(things: Path) -> None:
    tables.write("things", pd.DataFrame(ROWS)[:0], things)
    assert pages.page("things", things).count("<th ") == len(THINGS["columns"])


def test_nothing_is_loaded(things: Path) -> None:
    text = pages.page("things", things)
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", text) == []
    assert "http" not in text


def test_the_command_writes_each_page_and_names_what_is_wrong(things: Path, tmp_path: Path) -> None:
    output = tmp_path / "pages" / "things.html"
    pages.main(["--tables", str(things), "--output", str(output)])
    assert output.read_text() == pages.page("things", things)
    with pytest.raises(InputError, match="1 tables, but 2 output files"):
        pages.main(["--tables", str(things), "--output", "a.html", "b.html"])
    with pytest.raises(InputError, match="no table others"):
        pages.main(["--tables", str(tmp_path / "others.csv"), "--output", "a.html"])


def test_a_page_is_for_reading() -> None:
    recorded = Path(__file__).parents[1] / "resources" / "recorded"
    text = pages.page("claims", recorded / "claims.csv")
    assert re.search(r'<thead><tr><th title="[^"]*"><button type="button">verdict<', text)
    assert '<td class="reproduced">reproduced</td>' in text
    assert "expected_<wbr>err" not in text
    exponents = tables.read("toy_exponents", recorded / "toy_exponents.csv")
    curves = exponents[pages.CURVE].drop_duplicates()
    assert len(Cells(pages.page("toy_exponents", recorded / "toy_exponents.csv")).rows) == len(curves)
    overlaps = pages.page("llm_overlaps", recorded / "llm_overlaps.csv")
    assert overlaps.count('<div class="rows">') == 2


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.91052, 0.08739, "0.911 ± 0.087"), (2.0, 0.0, "2"), (3e-9, 1e-10, "3e-09 ± 1e-10"), (123.4, 12.3, "123 ± 12")],
)
def test_numbers_with_errors(value: float, error: float, text: str) -> None:
    assert pages.rounded(value, error) == text


def test_small_p_values_are_printed_as_such() -> None:
    assert "&lt; .001" in pages.cell("pvalue_holm", 1e-9)
    assert ">0.01<" in pages.cell("pvalue_holm", 0.01)
