"""The table of figures, workflow/figures.yaml: number in the paper, title, and the tables that each is drawn from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from scaling.toy.cell import Cell


NOT_IN_THE_PAPER = "not in the paper"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure: its name is that of its files and of its caption in workflow/report."""

    name: str
    title: str
    paper: str = NOT_IN_THE_PAPER  # its number in the paper
    category: str  # of the report
    needs: Mapping[str, int] = field(default_factory=dict)  # setting of toy models: fewest values that it must take

    def is_met(self, cells: Iterable[Cell]) -> bool:
        """Return whether models alike but for a needed setting, m and seed have enough values of it."""
        return all(most_values(name, cells) >= fewest for name, fewest in self.needs.items())


def most_values(setting: str, cells: Iterable[Cell]) -> int:
    """Return the largest number of values of a setting that models alike in all but it, m and seed have."""
    others = [column.name for column in fields(Cell) if column.name not in {setting, "m", "seed"}]
    alike: dict[tuple[Any, ...], set[Any]] = {}
    for cell in cells:
        alike.setdefault(tuple(getattr(cell, name) for name in others), set()).add(getattr(cell, setting))
    return max(map(len, alike.values()), default=0)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One job that draws figures from tables alone."""

    module: str
    figures: list[Figure]
    tables: dict[str, str] = field(default_factory=dict)  # option of the command: table
    published: dict[str, list[str]] = field(default_factory=dict)  # option: points read off the paper
    folder: list[str] = field(default_factory=list)  # tables of a command that takes their folder by --tables
    select: bool = True  # whether the command has the option --figure

    def inputs(self, published: str) -> list[str]:
        """Return the files that the job reads; `published` is the folder of the points read off the paper."""
        points = [f"{published}/{name}.csv" for names in self.published.values() for name in names]
        return [*(f"results/tables/{name}.csv" for name in (*self.tables.values(), *self.folder)), *points]

    def arguments(self, published: str) -> list[str]:
        """Return the arguments of the command, without the files that it writes."""
        found = ["--figure", *(figure.name for figure in self.figures)] if self.select else []
        for option, table in self.tables.items():
            found += [f"--{option}", f"results/tables/{table}.csv"]
        if self.folder:
            found += ["--tables", "results/tables"]
        for option, names in self.published.items():
            found += [f"--{option}", *(f"{published}/{name}.csv" for name in names)]
        return found


def pictures(*drawings: Drawing) -> list[str]:
    """Return the files of all figures of the drawings."""
    figures = [figure for drawing in drawings for figure in drawing.figures]
    return [f"results/figures/{figure.name}.{ending}" for figure in figures for ending in ("svg", "png")]


def drawn(drawings: Mapping[str, Drawing], cells: Iterable[Cell]) -> dict[str, Drawing]:
    """Return the drawings with the figures alone for which the study trains the models that they need."""
    cells = list(cells)
    kept = {
        rule: replace(drawing, figures=[figure for figure in drawing.figures if figure.is_met(cells)])
        for rule, drawing in drawings.items()
    }
    return {rule: drawing for rule, drawing in kept.items() if drawing.figures}


def read_drawings(path: Path) -> dict[str, Drawing]:
    """Return the jobs that draw by the name of their rule."""
    found = {}
    for rule, entry in yaml.safe_load(path.read_text(encoding="utf-8"))["drawings"].items():
        settings: dict[str, Any] = dict(entry)
        category = settings.pop("category")
        figures = [
            Figure(name=name, **{"category": category, **columns}) for name, columns in settings.pop("figures").items()
        ]
        found[rule] = Drawing(figures=figures, **settings)
    return found


def read_overview(path: Path) -> list[str]:
    """Return the names of the figures on the sheet of the main figures, in order."""
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["overview"])
