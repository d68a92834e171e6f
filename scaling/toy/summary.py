"""What a config trains, in a line an experiment: for the captions of the report."""

from collections.abc import Iterable, Mapping
from typing import Any

from scaling.toy.cell import Cell
from scaling.toy.study import experiments


SYMBOLS = {
    "n": "n",
    "m": "m",
    "gamma": "γ",
    "alpha": "α",
    "activation_density": "E",
    "learning_rate_factor": "learning rate ×",
}
LISTED = 8  # so many settings are named one by one


def listed(values: Iterable[float]) -> str:
    """Different settings in order, to three digits: one by one, or their ends and how many there are."""
    ordered = sorted(set(values))
    texts = [f"{value:.3g}".replace("-", "−") if value < 1000 else f"{value:.0f}" for value in ordered]
    return ", ".join(texts) if len(texts) <= LISTED else f"{texts[0]} to {texts[-1]} ({len(texts)} values)"


def settings(cells: list[Cell]) -> str:
    """The settings that occur in `cells`, each with its symbol; a learning rate only where it varies."""
    laws = sorted({cell.frequency_law.replace("_", " ") for cell in cells})
    parts = [f"{' and '.join(laws)} frequencies"]
    for name, symbol in SYMBOLS.items():
        values = {value for cell in cells if (value := getattr(cell, name)) is not None}
        if values and (name != "learning_rate_factor" or values != {1}):
            parts.append(f"{symbol} {listed(values)}" if symbol.endswith("×") else f"{symbol} = {listed(values)}")
    return "; ".join(parts)


def trained(toy: Mapping[str, Any]) -> dict[str, str]:
    """A line for each experiment of the config's `toy` section: how many models, at which settings, by which recipe."""
    lines = {}
    for experiment, cells in experiments(toy).items():
        recipes = [
            f"{name} ({toy['trainings'][name]['steps']} steps of {toy['trainings'][name]['batch_size']} samples)"
            for name in sorted({cell.training for cell in cells})
        ]
        count = f"{len(cells)} model{'s' if len(cells) > 1 else ''}"
        lines[experiment] = f"{count}; {settings(cells)}; recipe {' and '.join(recipes)}"
    return lines
