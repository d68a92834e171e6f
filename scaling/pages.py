"""Write tables as standalone HTML pages for the report, each with sorting, a filter, column descriptions and the CSV.

python -m scaling.pages --tables results/tables/claims.csv --output results/pages/claims.html

A page loads nothing: its style, its script and the CSV file are embedded.
"""

import argparse
import base64
import html
import logging
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.command import InputError, whole_file


LINE, LINES = 40, 160  # characters from which a text gets the width of a line, and of several lines
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$name</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 1.2em; color: #222; }
a.download { margin-right: 1.5em; }
.rows { overflow: auto; max-height: 75vh; border: 1px solid #ccc; margin: 1em 0; }
table { border-collapse: collapse; }
th, td { padding: 0.25em 0.7em; text-align: left; vertical-align: top; border-bottom: 1px solid #e6e6e6; }
.rows th { position: sticky; top: 0; background: #f2f2f2; white-space: nowrap; }
td.line { min-width: 24em; }
td.lines { min-width: 60em; }
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
<p>A click on a column's name sorts by it. Numbers are shown to four digits; the file holds them in full.</p>
<div class="rows"><table><thead><tr>$head</tr></thead><tbody>
$body
</tbody></table></div>
<h2>Columns</h2>
<table><thead><tr><th>column</th><th>unit</th><th>meaning</th></tr></thead><tbody>
$columns
</tbody></table>
<script>
const body = document.querySelector(".rows tbody");
const rows = [...body.rows];
const key = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent;
const compare = (a, b) => a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b);
document.querySelectorAll(".rows th").forEach((head, i) => head.querySelector("button").onclick = () => {
  const down = head.ariaSort === "ascending";
  document.querySelectorAll(".rows th").forEach(other => other.ariaSort = null);
  head.ariaSort = down ? "descending" : "ascending";
  body.append(...rows.toSorted((a, b) => {
    const [x, y] = [key(a, i), key(b, i)];
    if ((x === "") !== (y === "")) return x === "" ? 1 : -1;  // empty cells last, either way
    return down ? compare(y, x) : compare(x, y);
  }));
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


def cell(value: Any) -> str:
    """One cell: a number to four digits, with the whole number for sorting; text as it is; nothing where empty."""
    if pd.isna(value):
        return "<td></td>"
    if isinstance(value, float):
        return f'<td class="number" data-value="{float(value)!r}">{value:.4g}</td>'
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f'<td class="number">{value}</td>'
    text = html.escape(str(value))
    width = ' class="lines"' if len(text) > LINES else ' class="line"' if len(text) > LINE else ""
    return f"<td{width}>{text}</td>"


def page(name: str, path: Path) -> str:
    """Table `name` in the file `path` as one HTML page. Raises InputError when the file is not that table."""
    frame = tables.read(name, path)
    table = tables.dictionary()[name]
    meanings = {column: html.escape(entry["description"]) for column, entry in table["columns"].items()}
    head = "".join(
        f'<th title="{meaning}"><button type="button">{column}</button></th>' for column, meaning in meanings.items()
    )
    columns = "\n".join(
        f"<tr><td><code>{column}</code></td><td>{entry.get('unit', '')}</td><td>{meanings[column]}</td></tr>"
        for column, entry in table["columns"].items()
    )
    body = "\n".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in frame.itertuples(index=False))
    return PAGE.substitute(
        name=name,
        description=html.escape(table["description"]),
        data=base64.b64encode(path.read_bytes()).decode(),
        count=len(frame),
        head=head,
        body=body,
        columns=columns,
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
