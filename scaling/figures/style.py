"""One look for every figure: sizes, colours that mean the same everywhere, grey for published, dashed for theory.

    figure, axes = style.panels(1, 2, width=style.TWO_COLUMN, titles=["weak superposition", "strong superposition"])
    axes[0].errorbar(m, loss, yerr=error, color=style.REGIME["weak"], label="ours", **style.MEASURED)
    axes[0].plot(m_paper, loss_paper, label="published", **style.PUBLISHED)   # grey: read off the paper
    axes[0].plot(m, 1 / m, label="1/m", **style.THEORY)                       # dashed: theory or guide, never a fit
    style.missing(axes[1], "no model with gamma < 0")                         # says in the panel what is not there
    style.save(figure, "results/figures/name.svg", "results/figures/name.png")

`panels` returns a flat list of axes with letters and titles; one panel gets no letter. Figures are not registered with
pyplot, so no display is needed and none stays open. The same calls give the same bytes.
"""

import logging
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import seaborn as sns
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, FuncFormatter, LogFormatterMathtext, NullLocator

from scaling.command import InputError, whole_file
from scaling.frequency_laws import FREQUENCY_LAWS


ONE_COLUMN, TWO_COLUMN = 3.4, 7.0  # inches
PNG_DPI = 200

# Okabe and Ito's colours: told apart with any colour vision.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#222222", "#9A9A9A"

REGIME = {"strong": BLUE, "weak": VERMILION, "between": "#6A51A3"}
FAMILY = {"opt": BLUE, "qwen": ORANGE, "gpt2": GREEN, "pythia": PURPLE, "local": BLACK}
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]

# `axes.errorbar` or `axes.plot`: what we measured, what was published, what is theory or a guide.
MEASURED: dict[str, Any] = {"marker": "o", "linestyle": "none", "zorder": 3}
PUBLISHED: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": GREY, "mfc": "white", "ms": 3.5, "zorder": 2}
THEORY: dict[str, Any] = {"color": "#555555", "linestyle": (0, (4, 2)), "linewidth": 1.0, "zorder": 1}
FIT: dict[str, Any] = {"linewidth": 1.0, "zorder": 2}

RC = {
    "font.family": "STIXGeneral",  # ships with matplotlib: the same letters on every machine
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.size": 1.8,
    "ytick.minor.size": 1.8,
    "xtick.major.pad": 3.0,
    "xtick.minor.pad": 4.2,  # shorter ticks: numbers of both kinds on one line
    "ytick.major.pad": 3.0,
    "ytick.minor.pad": 4.2,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "errorbar.capsize": 1.5,
    "axes.prop_cycle": cycler(color=[BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK]),
    "image.cmap": "cividis",
    "savefig.dpi": PNG_DPI,
    "svg.hashsalt": "scaling",  # else the ids inside an SVG are random
    "svg.fonttype": "path",
}
sns.set_theme(context="paper", style="ticks", rc=RC)


def _along(name: str, low: float, high: float, value: float, dark: float = 0.0, light: float = 0.86) -> Any:
    """Colour of `value` between low and high on the part dark..light of a perceptually even map."""
    part = float(Normalize(low, high, clip=True)(value))
    return matplotlib.colormaps[name](dark + (light - dark) * part)


def alpha_colour(alpha: float) -> Any:
    """Colour of data exponent alpha in 0..2: dark violet to light green."""
    return _along("viridis", 0, 2, alpha)


GAMMA_MAP = LinearSegmentedColormap.from_list(
    "gamma", [(0, "#08306B"), (0.22, BLUE), (0.45, SKY), (0.55, ORANGE), (0.72, VERMILION), (1, "#6E1F00")]
)


def gamma_colour(gamma: float) -> Any:
    """Colour of weight decay gamma in -1..1: blues where it is negative, orange to brown where it is positive."""
    return GAMMA_MAP(float(Normalize(-1, 1, clip=True)(gamma)))


def density_colour(activation_density: float) -> Any:
    """Colour of activation density E in 1..7.5: dark to light orange."""
    return _along("inferno", 1, 7.5, activation_density, dark=0.1, light=0.8)


def law_colour(frequency_law: str) -> str:
    """Colour of a frequency law, by its place in the registry."""
    colours = [PURPLE, ORANGE, GREEN, SKY, VERMILION, BLUE, BLACK]
    return colours[list(FREQUENCY_LAWS).index(frequency_law) % len(colours)]


def seed_colour(k: int) -> Any:
    """Colour of the k-th seed."""
    return sns.color_palette("colorblind")[k % 10]


def width_colour(m: float, widths: Sequence[float]) -> Any:
    """Colour of model dimension m among `widths`: light (narrow) to dark (wide)."""
    ordered = sorted(set(widths))
    return _along("mako_r", 0, max(len(ordered) - 1, 1), ordered.index(m), dark=0.2, light=0.85)


def panels(
    rows: int,
    columns: int,
    *,
    width: float = TWO_COLUMN,
    height: float | None = None,
    titles: Sequence[str] | None = None,
    letters: Sequence[str] | None = None,
    **subplots: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure with rows x columns panels, lettered a, b, ... (unless there is one), as a flat list of axes.

    `height` is in inches; without it a panel is 0.8 times as high as wide. `letters` overrides the letters.
    """
    height = height or rows * 0.8 * width / columns
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, **subplots).flat)
    sns.despine(figure)
    names = (
        list(letters) if letters is not None else [chr(ord("a") + i) if len(axes) > 1 else "" for i in range(len(axes))]
    )
    for axis, name, title in zip(axes, names, titles or [""] * len(axes), strict=True):
        panel_title(axis, name, title)
    return figure, axes


def mosaic(
    layout: Sequence[Sequence[str]],
    *,
    width: float = TWO_COLUMN,
    height: float,
    titles: Mapping[str, tuple[str, str]],
    **options: Any,
) -> tuple[Figure, dict[str, Axes]]:
    """A figure with named panels, laid out as `layout`; `titles` has (letter, title) of those that have one."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes: dict[str, Axes] = figure.subplot_mosaic([list(row) for row in layout], **options)
    sns.despine(figure)
    for name, (letter, title) in titles.items():
        if name in axes:
            panel_title(axes[name], letter, title)
    return figure, axes


def panel_title(axes: Axes, letter: str, title: str = "") -> None:
    """Write a bold panel letter and a title above the panel, from the left."""
    bold = rf"$\mathbf{{{letter}}}$" if letter else ""
    axes.set_title("  ".join(part for part in (bold, title) if part), loc="left")


def log_axis(axes: Axes, which: str, ticks: Iterable[float] = ()) -> None:
    """Make axis "x" or "y" logarithmic; `ticks` (such as the widths trained) are written as plain numbers.

    Without them powers of ten are written, and on an axis shorter than two decades plain numbers between.
    """
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    at = sorted({float(tick) for tick in ticks})
    if at:
        axis.set_major_locator(FixedLocator(at))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_locator(NullLocator())
        return
    powers = LogFormatterMathtext()
    powers.set_axis(axis)
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value, axis) or powers(value)))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: _plain(value, axis)))


def _plain(value: float, axis: Axis) -> str:
    """A tick of a logarithmic axis as a plain number where the axis is short, else nothing."""
    low, high = sorted(axis.get_view_interval())
    first = round(value / 10 ** np.floor(np.log10(value)))
    shown = {1, 2, 3, 5} if high / low <= 12 else {1, 2, 5} if high / low <= 40 else set()
    return f"{value:.3g}" if first in shown else ""


def number(value: float, digits: int = 3) -> str:
    """A setting as text, such as −0.556: at most `digits` significant digits and a true minus sign."""
    return f"{float(value):.{digits}g}".replace("-", "−")


def fixed(value: float, decimals: int = 2) -> str:
    """A number with its decimals and a true minus sign; what rounds to zero has no sign."""
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "−")


def points(axes: Axes, x: Any, y: Any, error: Any = None, **options: Any) -> None:
    """Draw measured points with error bars; an error that is missing draws no bar."""
    axes.errorbar(
        np.asarray(x, dtype=float),
        np.asarray(y, dtype=float),
        yerr=None if error is None else np.nan_to_num(np.asarray(error, dtype=float)),
        **{**MEASURED, **options},
    )


def colour_key(
    axes: Axes, values: Iterable[float], colour: Callable[[float], Any], name: str, most: int = 6
) -> list[Line2D]:
    """Legend entries "name value" (name: "m ="), one a colour; with more than `most` values a colour bar instead."""
    ordered = sorted({float(value) for value in values})
    if len(ordered) <= most:
        return [
            Line2D([], [], marker="o", linestyle="none", color=colour(value), label=f"{name} {number(value)}")
            for value in ordered
        ]
    steps = np.linspace(ordered[0], ordered[-1], 256)
    bar = ScalarMappable(Normalize(ordered[0], ordered[-1]), ListedColormap([colour(value) for value in steps]))
    axes.figure.colorbar(bar, ax=axes, label=name.rstrip(" ="), pad=0.02, aspect=30)
    return []


def note(axes: Axes, text: str, where: str = "lower left") -> None:
    """Write a small grey note in a corner of the panel, such as what of the study is not there."""
    vertical, horizontal = where.split()
    axes.text(
        0.03 if horizontal == "left" else 0.97,
        0.03 if vertical == "lower" else 0.97,
        text,
        transform=axes.transAxes,
        ha=horizontal,
        va="bottom" if vertical == "lower" else "top",
        size=7,
        color="#777777",
        zorder=5,
    )


def missing(axes: Axes, what: str) -> None:
    """Write in the panel what it lacks: in the middle when it is empty, else as a note in its lower left corner."""
    if axes.has_data():
        note(axes, textwrap.fill(what, width=34))
        return
    axes.set(xticks=[], yticks=[])
    axes.minorticks_off()
    text = textwrap.fill(what, width=28)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", size=8, color="#777777")


def foot(figure: Figure, text: str) -> None:
    """Write small lines beneath the figure: what was trained and what the error bars are."""
    text = text.replace(" = ", "\u00a0=\u00a0")  # no line ends within an equation
    lines = textwrap.fill(text, width=int(22 * figure.get_figwidth()))
    figure.supxlabel(lines, x=0.01, ha="left", size=7, color="#777777")


def legend(axes: Axes, **options: Any) -> None:
    """Draw the legend when anything in the panel has a name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**options)


def legend_below(axes: Axes, handles: Sequence[Artist], columns: int = 2, gap: float = 0.2) -> None:
    """Draw a legend beneath the panel, where nothing can lie under it; `gap` is in panel heights."""
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -gap), ncols=columns, columnspacing=1.2)


def save(figure: Figure, *paths: Path | str, dpi: int = PNG_DPI) -> None:
    """Write the figure to each path, .svg or .png, whole or not at all; same call, same bytes."""
    metadata: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    for path in map(Path, paths):
        ending = path.suffix[1:]
        if ending not in metadata:
            raise InputError(f"{path}: figures are written as {' or '.join(sorted(metadata))}; end the name so")
        with whole_file(path) as temporary:
            figure.savefig(temporary, format=ending, dpi=dpi, metadata=metadata[ending])


def write_figures(
    drawings: Mapping[str, Callable[[Any], Figure]], names: Sequence[str], content: Any, output: Sequence[Path]
) -> None:
    """Draw each named figure from `content` and write it: one to every path of `output`, several each to its own name.

    Raises InputError for a name that is no figure, and for one without a path.
    """
    for name in names:
        if name not in drawings:
            raise InputError(f"no figure {name!r}; the figures are {', '.join(drawings)}")
        paths = [path for path in output if len(names) == 1 or path.stem == name]
        if not paths:
            raise InputError(f"no output for figure {name}; with several figures each file is named after its figure")
        save(drawings[name](content), *paths)
        logging.info("%s: wrote %s", name, ", ".join(map(str, paths)))
