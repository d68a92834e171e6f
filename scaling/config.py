"""Check a config against its JSON schema, with one message for a person: the key, the value, what is allowed."""

import difflib
from collections.abc import Mapping
from typing import Any

import jsonschema

from scaling.command import InputError


def check(config: Mapping[str, Any], schema: Mapping[str, Any], name: str = "config") -> None:
    """Raise InputError naming the key, its value and what is allowed where `config` breaks `schema`."""
    validator = jsonschema.Draft202012Validator(schema)
    error = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if error is None:
        return
    where = ": ".join([name, *map(str, error.absolute_path)])
    if error.validator == "additionalProperties":
        allowed = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in allowed)
        close = difflib.get_close_matches(str(unknown), allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"{where}: unknown key {unknown!r}; known keys are {', '.join(allowed)}{hint}")
    meaning = error.schema.get("description") if isinstance(error.schema, Mapping) else None
    raise InputError(f"{where}: {error.message}" + (f" ({meaning})" if meaning else ""))


def with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """A copy of `value` in which every key that the schema gives a default and that is missing has it."""
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
