"""Check a config against its JSON schema, with one readable message: the key, the value, what is allowed."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from scaling.command import InputError


LONGEST = 300  # characters of a value that a message repeats
DEEPEST = 10  # keys above a value

# An integer is written without a point: 10.0 would be passed to a command line unchanged.
Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def check(config: Mapping[str, Any], schema: Mapping[str, Any], name: str = "config") -> None:
    """Raise InputError naming the key, its value and what is allowed where `config` breaks `schema`.

    Beyond the schema, a text is printable and has no braces, which Snakemake would read as wildcards; a number is
    finite and fits into 64 bits.
    """
    for path, value in leaves(config):
        if reason := refusal(value):
            raise InputError(f"{': '.join([name, *path])}: {shown(value)} {reason}")
    error = jsonschema.exceptions.best_match(Validator(schema).iter_errors(config))
    if error is None:
        return
    where = ": ".join([name, *map(str, error.absolute_path)])
    if error.validator == "additionalProperties":
        allowed = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in allowed)
        close = difflib.get_close_matches(str(unknown), allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"{where}: unknown key {unknown!r}; known keys are {', '.join(allowed)}{hint}")
    message = error.message.replace(repr(error.instance), shown(error.instance))
    meaning = error.schema.get("description") if isinstance(error.schema, Mapping) else None
    raise InputError(f"{where}: {message}" + (f" ({meaning})" if meaning else ""))


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield keys and scalar values, each with the keys above it. Raises InputError for too deep nesting."""
    if len(path) > DEEPEST:
        raise InputError(f"config: {': '.join(path[:3])}: nested deeper than any config is")
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield path, key
            yield from leaves(part, (*path, shown(key).strip("'")))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, (*path, str(index)))
    else:
        yield path, value


def refusal(value: Any) -> str | None:
    """Return why a config cannot contain this value, or None."""
    if isinstance(value, str):
        if not value.isprintable() or "{" in value or "}" in value:
            return "must be printable text on one line, without braces"
    elif isinstance(value, int | float):
        if not (math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63):
            return "is not a finite number of 64 bits"
    elif value is not None:
        return "must be text, a number, a list or a mapping"
    return None


def shown(value: Any) -> str:
    """Return `value` as messages show it: its repr, at most LONGEST characters."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return "an integer of more than 64 bits"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a copy of `value` in which missing keys have the defaults of the schema."""
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        filled = {
            key: with_defaults(part, properties.get(key, rest if isinstance(rest, Mapping) else {}))
            for key, part in value.items()
        }
        for key, part in properties.items():
            if key not in filled and "default" in part:
                filled[key] = with_defaults(part["default"], part)
        return filled
    if isinstance(value, list):
        items = schema.get("items", {})
        return [with_defaults(part, items) for part in value]
    return value


def read_config(path: Path) -> Any:
    """Return the content of a config file. Raises InputError if it cannot be read as YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"{path}: cannot be read as YAML ({' '.join(str(error).split())}); give a config file"
        ) from None


def merged(files: Iterable[Path | str]) -> dict[str, Any]:
    """Return the content of YAML config files; later files are first in force, key by key, as in Snakemake.

    Raises InputError for a file that cannot be read as YAML.
    """
    config: dict[str, Any] = {}
    for file in files:
        config = overridden(config, read_config(Path(file)) or {})
    return config


def overridden(value: Any, other: Any) -> Any:
    """Return `value` with the entries of `other` in place of its own, mapping by mapping."""
    if not (isinstance(value, Mapping) and isinstance(other, Mapping)):
        return other
    return {**value, **{key: overridden(value.get(key), part) for key, part in other.items()}}
