"""The claims as z-scores, grouped by claim: how far our number is from the expected one, in standard errors."""

import textwrap
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from scaling.figures import style


VERDICT = {
    "reproduced": style.GREEN,
    "inconclusive": style.ORANGE,
    "differs": style.VERMILION,
    "no_verdict": style.GREY,
}
MARKER = {"reproduced": "o", "inconclusive": "D", "differs": "X", "no_verdict": "o"}
ROWS_PER_COLUMN = 66  # lines, headings included
REACH = 8.0  # z-scores beyond are drawn as arrows at this distance
TEXT_LEFT, TEXT_RIGHT, END = -36.0, 9.0, 22.0  # where texts begin, in units of z
LABEL_CHARACTERS = 88
BOUND = {"equal": "", "at least": "≥ ", "at most": "≤ "}


def draw(frame: pd.DataFrame) -> Figure:
    """One line per claim (bold) and one per number that was run: z with the margin delta, and the numbers."""
    counts = frame["verdict"].value_counts()
    lines = _lines(frame[frame["verdict"] != "not_run"])
    columns = max(1, -(-len(lines) // ROWS_PER_COLUMN))
    rows = -(-max(len(lines), 1) // columns)
    figure, axes = style.panels(
        1, columns, width=style.TWO_COLUMN * max(columns, 1), height=1.2 + 0.15 * rows, letters=[""] * columns
    )
    for place, panel in enumerate(axes):
        _column(panel, lines[place * rows : (place + 1) * rows], rows)
    handles: list[Any] = [
        Line2D(
            [], [], marker=MARKER[name], linestyle="none", color=colour,
            label=f"{name.replace('_', ' ')}: {counts.get(name, 0)}",
        )
        for name, colour in VERDICT.items()
    ]  # fmt: skip
    handles.append(Line2D([], [], linestyle="none", label=f"not run: {counts.get('not_run', 0)}"))
    handles.append(Line2D([], [], color="#999999", linewidth=2.5, label=r"margin $\pm\delta/s$"))
    handles.append(Patch(color="#EEEEEE", label="|z| < 2"))
    figure.legend(handles=handles, loc="outside upper left", ncols=4 if columns == 1 else 7, columnspacing=1)
    style.foot(
        figure,
        "z = (ours − expected)/s, with s the standard error of the difference. Arrows: |z| > 8. At the right: ours and"
        " (expected). Numbers without a marker are exact or have no error.",
    )
    return figure


def _lines(frame: pd.DataFrame) -> list[tuple[str, Any]]:
    """(text, row) from top to bottom; a heading has no row."""
    lines: list[tuple[str, Any]] = []
    for _, part in frame.groupby("id", sort=False):
        lines.append((part["claim"].iloc[0], None))
        words = [str(quantity).split(", ") for quantity in part["quantity"]]
        # What all rows begin with is the quantity of the claim; the rest is the setting.
        shared = sum(1 for same in accumulate((len(set(k)) == 1 for k in zip(*words, strict=False)), min) if same)
        shared = shared if len(words) > 1 else 0
        lines += [(", ".join(k[shared:]), row) for k, row in zip(words, part.itertuples(), strict=True)]
    return lines


def _column(axes: Axes, lines: list[tuple[str, Any]], rows: int) -> None:
    if not lines:
        style.missing(axes, "no claim was run")
        return
    bottom = 0.6 - rows
    axes.fill_betweenx([bottom, 0.6], -2, 2, color="#EEEEEE", linewidth=0, zorder=0)
    axes.plot([0, 0], [bottom, 0.6], **style.THEORY)
    for place, (text, row) in enumerate(lines):
        label = textwrap.shorten(text, LABEL_CHARACTERS, placeholder=" …")
        if row is None:
            axes.text(TEXT_LEFT, -place, label, size=6.5, weight="bold", va="center")
            continue
        axes.text(TEXT_LEFT + 1, -place, label, size=6.5, va="center")
        colour = VERDICT[row.verdict]
        ours = f"{row.ours:.3g}" + ("" if not row.ours_err > 0 else f" ± {row.ours_err:.2g}")
        numbers = f"{ours}  ({BOUND[row.relation]}{row.expected:.3g})"
        axes.text(TEXT_RIGHT, -place, numbers, size=6.5, va="center", color=colour)
        if np.isnan(row.z) or row.z == 0:
            continue
        z = float(np.clip(row.z, -REACH, REACH))
        margin = min(row.delta * abs(row.z / (row.ours - row.expected)), REACH)
        axes.plot([-margin, margin], [-place, -place], color="#999999", linewidth=2.5, alpha=0.5, zorder=1)
        marker = MARKER[row.verdict] if abs(row.z) <= REACH else (">" if row.z > 0 else "<")
        axes.plot([z], [-place], marker=marker, ms=3.5, color=colour, linestyle="none", zorder=3)
    axes.set(ylim=(bottom, 0.6), xlim=(TEXT_LEFT, END), xlabel="z", yticks=[], xticks=[-8, -4, -2, 0, 2, 4, 8])
    axes.xaxis.set_label_coords((0 - TEXT_LEFT) / (END - TEXT_LEFT), -0.02)
    axes.spines[["left", "bottom"]].set_visible(False)
