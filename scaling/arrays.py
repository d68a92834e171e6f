"""Files of named arrays: safetensors that carry a SHA-256 of all that they hold, since the format has no checksum."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from scaling.command import InputError, whole_file


Arrays = Mapping[str, NDArray[Any]]


def digest(arrays: Arrays, text: Mapping[str, str]) -> str:
    """SHA-256, as hexadecimal digits, of the text and of each array's name, type, shape and bytes."""
    shapes = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    total = hashlib.sha256(json.dumps([dict(text), shapes], sort_keys=True).encode())
    for name in sorted(arrays):
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def write(path: Path | str, arrays: Arrays, text: Mapping[str, str]) -> None:
    """Write arrays, and `text` as the file's metadata, whole or not at all."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = save(arrays, {**text, "sha256": digest(arrays, text)})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def read(path: Path | str) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """The text and the arrays of a file that `write` wrote; raises InputError when it is missing, cut or changed."""
    try:
        with safe_open(path, framework="numpy") as file:
            text, names = dict(file.metadata() or {}), file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cut or changed since it was written ({error})") from None
    if text.pop("sha256", "") != digest(arrays, text):
        raise InputError(f"{path}: changed since it was written (SHA-256 does not match)")
    return text, arrays
