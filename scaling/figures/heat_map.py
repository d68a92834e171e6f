"""Heat maps over two settings, such as gamma and alpha: one cell a curve that was trained, hatched where none was."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from scaling.figures.study import thinned
from scaling.figures.style import number


WRITTEN = 30  # with at most so many cells each carries its number


def heat_map(
    axes: Axes,
    frame: pd.DataFrame,
    value: str,
    *,
    x: str = "gamma",
    y: str = "alpha",
    names: tuple[str, str] = (r"weight decay $\gamma$", r"data exponent $\alpha$"),
    limits: tuple[float, float],
    ticks: int = 6,
) -> None:
    """Draw `value` over (x, y), the mean of the rows of a cell; cells are evenly spaced."""
    cells = frame.groupby([y, x])[value].mean().unstack(x).astype(float)
    grid = cells.to_numpy()
    axes.add_patch(Rectangle((0, 0), grid.shape[1], grid.shape[0], fc="#F2F2F2", ec="#CCCCCC", hatch="////", lw=0))
    mesh = axes.pcolormesh(np.ma.masked_invalid(grid), cmap="cividis", vmin=limits[0], vmax=limits[1], zorder=1)
    axes.figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25, extend="min" if np.nanmin(grid) < limits[0] else "neither")
    axes.set(xlabel=names[0], ylabel=names[1])
    for axis, settings, most in ((axes.xaxis, cells.columns, ticks), (axes.yaxis, cells.index, 9)):
        shown = thinned(list(map(float, settings)), most)
        at = [i for i, setting in enumerate(settings) if float(setting) in shown]
        axis.set_ticks([i + 0.5 for i in at], [number(float(settings[i]), 2 if axis is axes.xaxis else 3) for i in at])
    if np.isfinite(grid).sum() <= WRITTEN:
        middle = sum(limits) / 2
        for (i, j), content in np.ndenumerate(grid):
            if np.isfinite(content):
                colour = "white" if content < middle else "black"
                axes.text(j + 0.5, i + 0.5, f"{content:.2f}", ha="center", va="center", size=7, color=colour)
