"""Settings defined once, as dataclass fields with default, description and bounds; schema and options are derived.

    @dataclass(frozen=True, kw_only=True)
    class Recipe:
        steps: int = setting(20_000, description="training steps", minimum=1)

        def __post_init__(self) -> None:
            check(self)

Bounds are those of JSON Schema: minimum, maximum, exclusiveMinimum, exclusiveMaximum, enum.
"""

import argparse
import math
from dataclasses import field, fields
from typing import Any

from scaling.command import InputError


TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def setting(default: Any, *, description: str, **bounds: Any) -> Any:
    """Return a dataclass field with a default, a description (with its unit) and bounds."""
    return field(default=default, metadata={"description": description, **bounds})


def schema(settings: type) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each field of a dataclass by name."""
    return {
        entry.name: {"type": TYPES[type(entry.default)], "default": entry.default, **entry.metadata}
        for entry in fields(settings)
    }


def allowed(bounds: dict[str, Any]) -> str:
    """Return the values that bounds allow, in words."""
    if "enum" in bounds:
        return f"one of {', '.join(map(str, bounds['enum']))}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    parts = ["finite", *(f"{word} {bounds[bound]:g}" for bound, word in words.items() if bound in bounds)]
    return " and ".join(parts)


def check(settings: Any) -> None:
    """Raise InputError for the first field of a dataclass whose value is not within its bounds."""
    for entry in fields(settings):
        value, bounds = getattr(settings, entry.name), dict(entry.metadata)
        if "enum" in bounds:
            fits = value in bounds["enum"]
        else:
            fits = (
                math.isfinite(value)
                and bounds.get("minimum", -math.inf) <= value <= bounds.get("maximum", math.inf)
                and value > bounds.get("exclusiveMinimum", -math.inf)
                and value < bounds.get("exclusiveMaximum", math.inf)
            )
        if not fits:
            raise InputError(f"{entry.name} = {value}: must be {allowed(bounds)}")


def truth(text: str) -> bool:
    """Return the truth value that YAML or Python writes as `text`."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def add_options(parser: argparse.ArgumentParser, settings: type, title: str) -> None:
    """Add one option per field of a dataclass, with its default and meaning, as a group of the help text."""
    group = parser.add_argument_group(title)
    for entry in fields(settings):
        group.add_argument(
            f"--{entry.name.replace('_', '-')}",
            type=truth if isinstance(entry.default, bool) else type(entry.default),
            default=entry.default,
            choices=entry.metadata.get("enum"),
            help=f"{entry.metadata['description']} (default {entry.default})".replace("%", "%%"),
        )


def from_options(settings: type, options: argparse.Namespace) -> Any:
    """Return the dataclass that the options of `add_options` describe. Raises InputError."""
    return settings(**{entry.name: getattr(options, entry.name) for entry in fields(settings)})
