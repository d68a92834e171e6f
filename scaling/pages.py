"""Write tables as standalone HTML pages for the report, each with sorting, a filter, column descriptions and the CSV.

python -m scaling.pages --tables results/tables/claims.csv --output results/pages/claims.html

A page loads nothing: its style, its script and the CSV file are embedded. The page shows a table for reading: the
columns that matter first, a number and its standard error in one cell, no empty columns. The CSV file is unchanged.
"""

import argparse
import base64
import html
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from scaling import command, tables
from scaling.command import InputError, whole_file
from scaling.curves import CURVE


LINE, LINES = 40, 160  # characters from which a text gets the width of a line, and of several lines
ERRORS = ("_err", "_stderr")  # ends of the columns that hold the error of another column

# Columns that a page shows first, in this order.
FIRST = {
    "claims": ["verdict", "claim", "where", "quantity", "expected", "ours", "z", "note"],
    "toy_exponents": [
        "frequency_law", "n", "gamma", "alpha", "activation_density", "initial_bias", "exponent", "exponent_low",
        "exponent_high", "n_points", "n_seeds", "m_min", "m_max", "predicted_exponent", "form",
    ],
    "llm_overlaps": ["model", "family", "m", "m_overlap", "mean_sq_overlap", "centred_mean_sq_overlap"],
}  # fmt: skip
# Columns that a page adds: what they are and how they follow from the table.
ADDED: dict[str, dict[str, tuple[str, Callable[[pd.DataFrame], pd.Series]]]] = {
    "llm_overlaps": {
        "m_overlap": ("m x mean_sq_overlap; 1 for random rows", lambda frame: frame["m"] * frame["mean_sq_overlap"])
    },
}
PARTS = {"llm_overlaps": "status"}  # tables that a page shows in parts, by the values of this column


PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$name</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 1.2em; color: #222; }
a.download { margin-right: 1.5em; }
h1 { margin: 0 0 0.3em; } p { margin: 0.3em 0; max-width: 90em; }
.rows { font-size: 13px; overflow: auto; max-height: 75vh; border: 1px solid #ccc; margin: 0.6em 0; }
table { border-collapse: separate; border-spacing: 0; }
th, td { padding: 0.25em 0.5em; text-align: left; vertical-align: top; border-bottom: 1px solid #e6e6e6; }
.rows th { position: sticky; top: 0; background: #f2f2f2; z-index: 1; }
.rows :is(th, td):first-child { position: sticky; left: 0; background: #fff; max-width: 16em; overflow-wrap: break-word;
  border-right: 1px solid #ccc; }
.rows th:first-child { z-index: 2; background: #f2f2f2; }
td.line { min-width: 12em; max-width: 18em; }
td.lines { min-width: 17em; max-width: 24em; }
.rows td.reproduced { background: #d5efe5; } .rows td.inconclusive { background: #fbeccb; }
.rows td.differs { background: #f9dccb; } .rows :is(td.no_verdict, td.not_run) { background: #ececec; }
th button { all: unset; cursor: pointer; font-weight: bold; }
th button:focus-visible { outline: 2px solid #0072B2; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
</style>
</head>
<body>
<h1>$name</h1>
<p>$description</p>
<p><a class="download" download="$name.csv" href="data:text/csv;charset=utf-8;base64,$data">Download $name.csv</a>
<label>Rows with <input type="search" size="24"></label> <output>$count rows</output></p>
<p>A click on a column's name sorts by it. Numbers are rounded, ± is the standard error; the file has all
digits.$left_out</p>
$parts
<h2>Columns</h2>
<table><thead><tr><th>column</th><th>unit</th><th>meaning</th></tr></thead><tbody>
$columns
</tbody></table>
<script>
const rows = [...document.querySelectorAll(".rows tbody tr")];
const key = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent;
const compare = (a, b) => a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b);
document.querySelectorAll(".rows table").forEach(table => {
  const heads = [...table.querySelectorAll("th")];
  heads.forEach((head, i) => head.querySelector("button").onclick = () => {
    const down = head.ariaSort === "ascending";
    heads.forEach(other => other.ariaSort = null);
    head.ariaSort = down ? "descending" : "ascending";
    table.tBodies[0].append(...[...table.tBodies[0].rows].toSorted((a, b) => {
      const [x, y] = [key(a, i), key(b, i)];
      if ((x === "") !== (y === "")) return x === "" ? 1 : -1;  // empty cells last, either way
      return down ? compare(y, x) : compare(x, y);
    }));
  });
});
document.querySelector("input").oninput = event => {
  const words = event.target.value.toLowerCase();
  rows.forEach(row => row.hidden = !row.textContent.toLowerCase().includes(words));
  document.querySelector("output").textContent = rows.filter(row => !row.hidden).length + " rows";
};
</script>
</body>
</html>
""")


def rounded(value: float, error: float = 0.0) -> str:
    """`value` to four digits, or `value ± error` with two digits of the error."""
    if not error > 0:
        return f"{value:.4g}"
    decimals = 1 - int(f"{error:e}".split("e")[1])
    return f"{value:.{decimals}f} ± {error:.{decimals}f}" if 0 <= decimals <= 5 else f"{value:.4g} ± {error:.2g}"


def cell(column: str, value: Any, error: Any = None) -> str:
    """One cell: a number with its error, and the whole number for sorting; text as it is; nothing where empty."""
    if pd.isna(value):
        return "<td></td>"
    if isinstance(value, float):
        text = rounded(value, 0.0 if pd.isna(error) else error)
        if column == "z":
            text = f"{value:.2f}" if abs(value) < 100 else f"{value:.2g}"
        if "pvalue" in column and value < 0.001:
            text = "&lt; .001"
        return f'<td class="number" data-value="{float(value)!r}">{text}</td>'
    if pd.api.types.is_integer(value):
        return f'<td class="number">{value}</td>'
    text = html.escape(str(value))
    if column == "verdict":
        return f'<td class="{text}">{text.replace("_", " ")}</td>'
    width = ' class="lines"' if len(text) > LINES else ' class="line"' if len(text) > LINE else ""
    return f"<td{width}>{text}</td>"


def shown(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows and columns of table `name` as its page shows them.

    A curve of `toy_exponents` that several experiments ask for is shown once, from the one with most widths and seeds.
    """
    if name == "toy_exponents":
        frame = frame.sort_values(["n_points", "n_seeds"], ascending=False, kind="stable").drop_duplicates(CURVE)
        frame = frame.sort_values(CURVE, kind="stable")
    frame = frame.assign(**{column: add(frame) for column, (_, add) in ADDED.get(name, {}).items()})
    if "max_abs_overlap" in frame:
        frame = frame.assign(max_abs_overlap=frame["max_abs_overlap"].clip(upper=1))  # rounding of float32
    first = [column for column in FIRST.get(name, []) if column in frame]
    return frame[[*first, *(column for column in frame if column not in first)]]


def error_of(column: str, columns: Sequence[str]) -> str | None:
    """The one of `columns` that holds the error of `column`."""
    return next((column + ending for ending in ERRORS if column + ending in columns), None)


def part(frame: pd.DataFrame, meanings: dict[str, str], title: str) -> str:
    """One table of a page; errors are in the cells of their numbers.

    Empty columns are left out, but a table without rows keeps its columns.
    """
    columns = [str(column) for column in frame if frame.empty or frame[column].notna().any()]
    pairs = {column: error_of(column, columns) for column in columns}
    kept = [column for column in columns if column not in pairs.values()]
    head = "".join(
        f'<th title="{meanings[column]}"><button type="button">{column.replace("_", "_<wbr>")}</button></th>'
        for column in kept
    )
    body = "\n".join(
        f"<tr>{''.join(cell(column, row[column], row.get(str(pairs[column]))) for column in kept)}</tr>"
        for row in frame.to_dict("records")
    )
    heading = f"<h2>{html.escape(title)}</h2>\n" if title else ""
    return f'{heading}<div class="rows"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def page(name: str, path: Path) -> str:
    """Table `name` in the file `path` as one HTML page. Raises InputError when the file is not that table."""
    whole = tables.read(name, path)
    frame = shown(name, whole)
    table = tables.dictionary()[name]
    described = {column: entry["description"] for column, entry in table["columns"].items()}
    described |= {column: meaning for column, (meaning, _) in ADDED.get(name, {}).items()}
    meanings = {column: html.escape(text) for column, text in described.items()}
    units = {column: entry.get("unit", "") for column, entry in table["columns"].items()}
    by = PARTS.get(name)
    parts = {str(value): rows for value, rows in frame.groupby(by, sort=False)} if by else {"": frame}
    empty = [str(column) for column in whole if len(whole) and whole[column].isna().all()]
    return PAGE.substitute(
        name=name,
        description=html.escape(table["description"]),
        data=base64.b64encode(path.read_bytes()).decode(),
        count=len(frame),
        left_out=f" Empty in this run and not shown: {', '.join(empty)}." if empty else "",
        parts="\n".join(part(rows, meanings, title) for title, rows in parts.items()),
        columns="\n".join(
            f"<tr><td><code>{column}</code></td><td>{units.get(column, '')}</td><td>{meaning}</td></tr>"
            for column, meaning in meanings.items()
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: write the page of each table."""
    parser = argparse.ArgumentParser(prog="python -m scaling.pages", description=__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSV files, named as in the dictionary")
    parser.add_argument("--output", type=Path, nargs="+", required=True, help="HTML files, in the same order")
    given = parser.parse_args(arguments)
    if len(given.tables) != len(given.output):
        raise InputError(f"{len(given.tables)} tables, but {len(given.output)} output files; give one per table")
    for path, output in zip(given.tables, given.output, strict=True):
        if path.stem not in tables.dictionary():
            raise InputError(f"{path}: no table {path.stem}; the tables are {', '.join(tables.dictionary())}")
        text = page(path.stem, path)
        with whole_file(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
        logging.info("wrote %s", output)


if __name__ == "__main__":
    command.run(main)
