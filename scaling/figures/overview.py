"""Lay finished figures out on one sheet, each under its name.

python -m scaling.figures.overview --figures results/figures/fig1_loss.png ... --output results/figures/overview.png
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaling.command import InputError, run
from scaling.figures import style


WIDTH, GAP, NAME = 13.0, 0.25, 0.25  # inches: the sheet, the space between pictures, the line for a name
DPI = 120


def rows_of(shapes: Sequence[float], most: float = 5.3) -> list[list[int]]:
    """Pictures in their order, row by row: a row is full when its widths, at equal height, pass `most` heights."""
    rows: list[list[int]] = [[]]
    filled = 0.0
    for index, shape in enumerate(shapes):
        if rows[-1] and filled + shape > most + 1e-9:
            rows.append([])
            filled = 0.0
        rows[-1].append(index)
        filled += shape
    return rows


def sheet(names: Sequence[str], pictures: Sequence[NDArray[np.float32]]) -> Figure:
    """One figure with every picture under its name; the pictures of a row are equally high and fill the sheet."""
    shapes = [picture.shape[1] / picture.shape[0] for picture in pictures]
    rows = rows_of(shapes)
    heights = [min((WIDTH - GAP * (len(row) + 1)) / sum(shapes[i] for i in row), 4.2) for row in rows]
    total = sum(heights) + (GAP + NAME) * len(rows) + GAP
    figure = plt.figure(figsize=(WIDTH, total))
    top = total
    for row, height in zip(rows, heights, strict=True):
        top -= GAP + NAME + height
        left = GAP
        for i in row:
            width = shapes[i] * height
            axes = figure.add_axes((left / WIDTH, top / total, width / WIDTH, height / total))
            axes.imshow(pictures[i], aspect="auto", interpolation="antialiased")
            axes.set_axis_off()
            axes.set_title(names[i], loc="left", fontweight="bold", pad=3)
            left += width + GAP
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the sheet."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.figures.overview", description="Lay figures out on one sheet."
    )
    parser.add_argument("--figures", type=Path, nargs="+", required=True, help="PNG files, in order")
    parser.add_argument("--output", type=Path, required=True, help="the sheet, .png")
    given = parser.parse_args(arguments)
    for path in given.figures:
        if path.suffix != ".png" or not path.is_file():
            raise InputError(f"{path}: no such PNG figure; make it with `snakemake --cores all {path}`")
    style.save(
        sheet([path.stem for path in given.figures], [plt.imread(path) for path in given.figures]),
        given.output,
        dpi=DPI,
    )
    logging.info("wrote %s with %d figures", given.output, len(given.figures))


if __name__ == "__main__":
    run(main)
