"""Markdown of the generated blocks: tables, numbers with their errors, and recorded tables that may be missing."""

from pathlib import Path

import pandas as pd

from scaling import tables
from scaling.tables import table_path


NOT_RECORDED = "*Not in the recorded run.*"


def recorded_table(recorded: Path, name: str) -> pd.DataFrame | None:
    """Return a table of the recorded run, if it has it."""
    path = table_path(recorded, name)
    return tables.read(name, path) if path.is_file() else None


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, or a note without rows."""
    if not rows:
        return NOT_RECORDED
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float, error: float) -> str:
    """`value ± error` with the decimals that two digits of the error ask for; three digits without an error."""
    if pd.isna(value):
        return ""
    if pd.isna(error) or error == 0:
        return f"{value:.3g}"
    decimals = max(0, 1 - int(f"{error:e}".split("e")[1]))
    return f"{value:.{min(decimals, 4)}f} ± {error:.{min(decimals, 4)}f}"
