"""The attention study's tables as its figures read them."""

from pathlib import Path

import pandas as pd

from scaling import tables


class Tables:
    """Tables of one run by name, read from a folder when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> pd.DataFrame:
        """Table `name`; raises InputError when it is missing."""
        return tables.read(name, self.folder / f"{name}.csv")
