"""The option --study of commands that read one section of the config."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from scaling.command import InputError


def section(given: str, name: str, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Return section `name` of the config file at the path `given`, or the section itself if `given` is JSON text.

    Raises InputError if there is no such file, text or section, or if the section lacks one of `keys`.
    """
    is_json = given.lstrip().startswith(("{", "["))
    what = "the given JSON" if is_json else given
    usage = f"give a config file, or its section {name} as JSON"
    try:
        content = json.loads(given) if is_json else yaml.safe_load(Path(given).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise InputError(f"--study: {what} cannot be read ({reason}); {usage}") from None
    found = content if is_json else content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise InputError(f"--study: {what} has no section {name}; {usage}")
    if missing := [key for key in keys if key not in found]:
        raise InputError(f"--study: {what}: the section {name} lacks {', '.join(missing)}")
    return found
