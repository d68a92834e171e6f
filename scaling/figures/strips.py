"""Parts of figures of L(m): labels at the ends of curves, triangles of slope 1, strips of slopes and of ratios."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scaling.figures import style
from scaling.figures.study import local_slopes


LINE = 0.14  # inches, height of a label


def end_labels(axes: Axes, labels: Iterable[tuple[float, str, Any]], x: float = 1.02) -> None:
    """Write (y, text, colour) right of the panel at height y, moved apart where labels would overlap.

    Call it once the limits of the panel are final.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    gap = LINE / (axes.get_position().height * figure.get_figheight())
    placed = sorted(((_share(axes, y), text, colour) for y, text, colour in labels), key=lambda label: label[:2])
    heights = np.array([share for share, _, _ in placed])
    for _ in range(200):
        for k in np.flatnonzero(np.diff(heights) < gap - 1e-6):
            middle = heights[k : k + 2].mean()
            heights[k : k + 2] = middle - gap / 2, middle + gap / 2
    for share, (_, text, colour) in zip(heights, placed, strict=True):
        axes.text(x, share, text, transform=axes.transAxes, color=colour, va="center", size=7.5)


def _share(axes: Axes, y: float) -> float:
    """Height of y in the panel: 0 at its lower edge, 1 at its upper."""
    return float(axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[1], y)))[1])


def triangle(axes: Axes, m: float, loss: float, factor: float = 2.0) -> None:
    """A triangle of slope -1 in a log-log panel, from (m, loss) down to (factor m, loss/factor)."""
    axes.plot([m, m * factor, m, m], [loss / factor, loss / factor, loss, loss / factor], **_TRIANGLE)
    axes.text(m / 1.06, loss / np.sqrt(factor), "1", ha="right", va="center", size=7.5, color="#555555")


_TRIANGLE: dict[str, Any] = {"color": "#555555", "linewidth": 0.8, "zorder": 1}


def slope_strip(axes: Axes, rows: pd.DataFrame, **look: Any) -> None:
    """Local slopes of one curve (m, value) as a line."""
    slopes = local_slopes(rows)
    axes.plot(slopes["m"], slopes["slope"], **{"ms": 3, "linewidth": 0.8, **look})


def ratio_strip(axes: Axes, rows: pd.DataFrame, published: pd.DataFrame, **look: Any) -> bool:
    """Our loss over the published one at the widths that both have; whether there is any."""
    both = rows.merge(published[["m", "loss"]].astype({"m": rows["m"].dtype}), on="m")
    if both.empty:
        return False
    style.points(axes, both["m"], both["value"] / both["loss"], both["error"] / both["loss"], **look)
    return True


def finish(loss: Axes, strips: Iterable[tuple[Axes, str]], widths: pd.Series, name: str) -> None:
    """Scales and names of a panel L(m) above its strips; the lowest has the name of m."""
    style.log_axis(loss, "y")
    strips = list(strips)
    for axes in (loss, *(strip for strip, _ in strips)):
        style.log_axis(axes, "x", widths)
        axes.set_xlim(0.92 * widths.min(), 1.09 * widths.max())
    for strip, label in strips:
        strip.axhline(1, **style.THEORY)
        strip.set(ylabel=label)
    for axes in (loss, *(strip for strip, _ in strips[:-1])):
        axes.tick_params(labelbottom=False)
    (strips[-1][0] if strips else loss).set(xlabel="model dimension $m$")
    loss.set(ylabel=name)
