"""Maps over two settings, such as gamma and alpha, on true axes; single dots where few settings were trained."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from numpy.typing import NDArray

from scaling.figures.study import thinned
from scaling.figures.style import number


FILLED, LEAST_SIDE = 0.5, 4  # share of the grid, and settings along its shorter side, from which it is drawn as a map
WRITTEN = 30  # with at most so many dots each carries its number


def edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Borders of cells about sorted centres: the middles between neighbours, mirrored at both ends."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def heat_map(
    axes: Axes,
    frame: pd.DataFrame,
    value: str,
    *,
    x: str = "gamma",
    y: str = "alpha",
    names: tuple[str, str] = (r"weight decay $\gamma$", r"data exponent $\alpha$"),
    limits: tuple[float, float],
    contour: float | None = None,
) -> None:
    """Draw `value` over (x, y), the mean of the rows of a cell; `contour` is a level drawn as a white line."""
    cells = frame.groupby([y, x])[value].mean().unstack(x).astype(float)
    grid = np.ma.masked_invalid(cells.to_numpy())
    columns, rows = cells.columns.to_numpy(float), cells.index.to_numpy(float)
    whole = min(grid.shape) >= LEAST_SIDE and grid.count() >= FILLED * grid.size
    look: dict[str, Any] = {"cmap": "cividis", "vmin": limits[0], "vmax": limits[1]}
    if whole:
        mesh: ScalarMappable = axes.pcolormesh(edges(columns), edges(rows), grid, zorder=1, **look)
        if contour is not None and grid.min() < contour < grid.max():
            lines = axes.contour(columns, rows, grid, levels=[contour], colors="white", linewidths=1.2)
            axes.clabel(lines, fmt=f"{contour:g}", fontsize=7)
    else:
        i, j = np.nonzero(~np.ma.getmaskarray(grid))
        content = grid[i, j]
        mesh = axes.scatter(
            columns[j], rows[i], c=content, s=45, zorder=2, edgecolors="#555555", linewidths=0.5, **look
        )
        if len(content) <= WRITTEN:
            for k, (a, b, c) in enumerate(zip(columns[j], rows[i], content, strict=True)):
                place: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center", "size": 7}
                axes.annotate(f"{c:.2f}", (a, b), (0, 9 if k % 2 else -9), **place)
        axes.margins(0.15)
    low, high = grid.min() < limits[0], grid.max() > limits[1]
    extend = "both" if low and high else "min" if low else "max" if high else "neither"
    axes.figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25, extend=extend)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set_yticks(shown := thinned(list(rows), 9), [number(setting) for setting in shown])
