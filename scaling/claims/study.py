"""What a claim reads: the tables of one run by name, and the points read off the paper's figures."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from scaling import tables
from scaling.command import InputError
from scaling.fits import published


@dataclass(frozen=True, kw_only=True)
class Study:
    """Tables of one run by name, the folder of published points, and the name of the run."""

    frames: Mapping[str, pd.DataFrame]
    resources: Path
    name: str = "default"

    @classmethod
    def read(cls, paths: Iterable[Path], resources: Path, name: str) -> "Study":
        """Read the tables, named by their files; files that do not exist, and claims.csv itself, are skipped.

        Raises InputError for a file that is not named after a table of the data dictionary.
        """
        frames = {}
        for path in paths:
            if path.stem not in tables.dictionary():
                raise InputError(f"{path}: no table {path.stem}; the tables are {', '.join(tables.dictionary())}")
            if path.is_file() and path.stem != "claims":
                frames[path.stem] = tables.read(path.stem, path)
        for table in tables.dictionary():
            frames.setdefault(table, pd.DataFrame(columns=list(tables.dictionary()[table]["columns"])))
        return cls(frames=frames, resources=resources, name=name)

    def only(self, names: Iterable[str]) -> "Study":
        """The same study with no other tables than `names`, so that a claim reads only what it declares."""
        return replace(self, frames={name: self.frames[name] for name in names})

    def table(self, name: str) -> pd.DataFrame:
        """Table `name`, empty where the run did not make it; raises KeyError for a table that was not declared."""
        return self.frames[name]

    def published(self, figure: str, columns: list[str]) -> pd.DataFrame:
        """Points read off a figure of the paper."""
        return published.read(self.resources / f"{figure}.csv", columns)


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows one by one, with the columns as attributes."""
    return iter(frame.itertuples())
