"""Maps over weight decay gamma and data exponent alpha on true axes; single dots where few settings were trained."""

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
    limits: tuple[float, float],
    contour: float | None = None,
) -> None:
    """Draw `value` over (gamma, alpha), the mean of the rows of a cell; `contour` is a level drawn as a white line."""
    cells = frame.groupby(["alpha", "gamma"])[value].mean().unstack("gamma").astype(float)
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
            # Beside the dots of a tall grid, else below and above by turns.
            beside = len(rows) > len(columns)
            place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 6.5}
            place["ha"] = "left" if beside else "center"
            for k, (a, b, c) in enumerate(zip(columns[j], rows[i], content, strict=True)):
                axes.annotate(f"{c:.2f}", (a, b), (5.5, 0) if beside else (0, 9 if k % 2 else -9), **place)
        axes.margins(0.25 if len(rows) > len(columns) else 0.15, 0.06 if len(rows) > 9 else 0.15)
    low, high = grid.min() < limits[0], grid.max() > limits[1]
    extend = "both" if low and high else "min" if low else "max" if high else "neither"
    axes.figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25, extend=extend)
    axes.set(xlabel=r"weight decay $\gamma$", ylabel=r"data exponent $\alpha$")
    axes.set_yticks(shown := thinned(list(rows), 9), [number(setting) for setting in shown])
