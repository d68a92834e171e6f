"""Read points taken from the paper's figures and tables: `resources/published/*.csv`."""

from pathlib import Path

import pandas as pd

from scaling.command import InputError


def read(path: Path | str, columns: list[str]) -> pd.DataFrame:
    """Return `columns` of a CSV file with comment lines (#). Raises InputError for a missing file or column."""
    try:
        frame = pd.read_csv(path, comment="#")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it is part of the repository: `git checkout -- {path}`") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable CSV file: {error}") from None
    lacking = [column for column in columns if column not in frame]
    if lacking:
        raise InputError(f"{path}: lacks column {', '.join(lacking)}; it has {', '.join(map(str, frame.columns))}")
    return frame[columns]
