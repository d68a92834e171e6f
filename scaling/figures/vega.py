"""Rows of a table inside a Vega-Lite specification."""

from collections.abc import Sequence

import altair as alt
import pandas as pd


def data(frame: pd.DataFrame) -> alt.InlineData:
    """Rows as CSV text inside the specification, a third of the size of JSON."""
    numbers = {str(name): "number" for name in frame if pd.to_numeric(frame[name], errors="coerce").notna().any()}
    return alt.InlineData(values=frame.to_csv(index=False), format=alt.CsvDataFormat(type="csv", parse=numbers))


def numbers(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The columns, with numbers to five digits."""
    part = frame[list(columns)].copy()
    for column in part.select_dtypes("float"):
        part[column] = part[column].map(lambda value: f"{value:.5g}", na_action="ignore")
    return part
