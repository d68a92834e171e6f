"""Lay finished figures out on one sheet, each under its name.

python -m scaling.figures.overview --figures results/figures/fig1_loss.png ... --output results/figures/overview.png
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scaling.command import InputError, run
from scaling.figures import style


GAP, NAME = 0.25, 0.25  # inches: the space between pictures, the line for a name
WIDTH = style.TWO_COLUMN + 2 * GAP  # one figure of full width: its text can be read at the width of a page
DPI = 150


def rows_of(widths: Sequence[float]) -> list[list[int]]:
    """Pictures in their order, row by row: as many in a row as fit the sheet at their own width, at least one."""
    rows: list[list[int]] = [[]]
    filled = GAP
    for index, width in enumerate(widths):
        if rows[-1] and filled + width + GAP > WIDTH + 0.05:
            rows.append([])
            filled = GAP
        rows[-1].append(index)
        filled += width + GAP
    return rows


def sheet(names: Sequence[str], pictures: Sequence[NDArray[np.float32]]) -> Figure:
    """One figure with every picture under its name, all at one scale, so that their letters are equally large."""
    sizes = [(picture.shape[1] / style.PNG_DPI, picture.shape[0] / style.PNG_DPI) for picture in pictures]
    rows = rows_of([width for width, _ in sizes])
    heights = [max(sizes[i][1] for i in row) for row in rows]
    total = sum(heights) + (GAP + NAME) * len(rows) + GAP
    figure = Figure(figsize=(WIDTH, total))
    top = total
    for row, row_height in zip(rows, heights, strict=True):
        top -= GAP + NAME
        left = GAP
        for i in row:
            width, height = sizes[i]
            axes = figure.add_axes((left / WIDTH, (top - height) / total, width / WIDTH, height / total))
            axes.imshow(pictures[i], aspect="auto", interpolation="antialiased")
            axes.set_axis_off()
            axes.set_title(names[i], loc="left", fontweight="bold", pad=3)
            left += width + GAP
        top -= row_height
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
        sheet([path.stem for path in given.figures], [matplotlib.image.imread(path) for path in given.figures]),
        given.output,
        dpi=DPI,
    )
    logging.info("wrote %s with %d figures", given.output, len(given.figures))


if __name__ == "__main__":
    run(main)
