"""Read the header of a safetensors file, which gives the position of each tensor.

Format: 8 bytes with the length n of the header (little-endian); n bytes of JSON, {name: {dtype, shape,
data_offsets}}; the tensors, contiguous, to the end of the file. The file has no checksum, so every entry of the header
is checked as the safetensors library does on loading: an invalid entry shows that the file is corrupt.
Source: the safetensors documentation, section Format.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub.constants import SAFETENSORS_MAX_HEADER_LENGTH

from scaling.llm.checkpoint.files import File, check_shape, read
from scaling.llm.checkpoint.tensor import DTYPES, Tensor, UnsupportedCheckpointError


FIRST_READ = 32 * 1024  # bytes; one request is enough for the header of most files
BITS = {
    **dict.fromkeys(["F4"], 4),
    **dict.fromkeys(["F6_E2M3", "F6_E3M2"], 6),
    **dict.fromkeys(["BOOL", "I8", "U8"], 8),
    **dict.fromkeys(["F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ", "F8_E8M0"], 8),
    **dict.fromkeys(["BF16", "F16", "I16", "U16"], 16),
    **dict.fromkeys(["F32", "I32", "U32"], 32),
    **dict.fromkeys(["C64", "F64", "I64", "U64"], 64),
}  # bytes per value of each type


@dataclass(frozen=True)
class Entry:
    """A tensor listed in the header: its type, its shape, and its bytes [begin, end) from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class SafetensorsFile:
    """The tensors of a safetensors file by name.

    Raises UnsupportedCheckpointError for a truncated file and for a header that the safetensors library rejects.
    """

    def __init__(self, file: File) -> None:
        self.file = file
        start = read(file, 0, min(FIRST_READ, file.size))
        length = struct.unpack("<Q", start[:8])[0] if len(start) >= 8 else file.size
        if length > min(SAFETENSORS_MAX_HEADER_LENGTH, file.size - 8):
            raise UnsupportedCheckpointError(f"{file.name}: not a safetensors file (header of {length} bytes)")
        if 8 + length > len(start):
            start += read(file, len(start), 8 + length - len(start))
        self.begin = 8 + length
        try:
            self.entries = parse_header(start[8 : self.begin])
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UnsupportedCheckpointError(
                f"{file.name}: its header is not a valid safetensors header ({reason}); corrupt file"
            ) from None
        end = self.begin + max((entry.end for entry in self.entries.values()), default=0)
        if end != file.size:
            raise UnsupportedCheckpointError(
                f"{file.name}: its tensors end at byte {end}, but the file has {file.size} bytes; truncated?"
            )

    @property
    def names(self) -> list[str]:
        """Names of all tensors."""
        return list(self.entries)

    def tensor(self, name: str) -> Tensor:
        """Return the position of tensor `name`. Raises UnsupportedCheckpointError for an unsupported type."""
        entry = self.entries[name]
        if entry.dtype not in DTYPES:
            raise UnsupportedCheckpointError(
                f"{self.file.name}: {name} has type {entry.dtype}; supported are {', '.join(DTYPES)}"
            )
        return Tensor(self.file, name, entry.dtype, entry.shape, self.begin + entry.begin)


def parse_header(text: bytes) -> dict[str, Entry]:
    """Return the entries of a header by tensor name. Raises ValueError or RecursionError unless all are valid."""
    header = json.loads(text.decode("utf-8"), object_pairs_hook=object_of_unique_keys, parse_int=whole_number)
    if not isinstance(header, dict):
        raise ValueError("not a JSON object")
    json.dumps(header, ensure_ascii=False).encode("utf-8")  # raises for a lone surrogate
    metadata = header.pop("__metadata__", None)
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    ):
        raise ValueError("__metadata__ is not an object of strings")
    entries = {name: parse_entry(name, entry) for name, entry in header.items()}
    before = 0
    for begin, end in sorted((entry.begin, entry.end) for entry in entries.values()):
        if begin != before:
            raise ValueError(f"tensors overlap or leave a gap at byte {begin}")
        before = end
    return entries


def parse_entry(name: str, entry: Any) -> Entry:
    """Return one entry of the header. Raises ValueError unless its type and shape match its number of bytes."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name}: not an entry with dtype, shape and data_offsets")
    dtype, lengths, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"{name}: unknown type {dtype!r}")
    if not isinstance(lengths, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise ValueError(f"{name}: shape or data_offsets is not a list of numbers")
    shape, (begin, end) = check_shape(lengths), check_shape(offsets)
    if math.prod(length or 1 for length in shape) * BITS[dtype] >= 2**64:
        raise ValueError(f"{name}: shape {shape} is too large")
    if 8 * (end - begin) != math.prod(shape) * BITS[dtype]:
        raise ValueError(f"{name}: {dtype} {shape} does not have {end - begin} bytes")
    return Entry(dtype, shape, begin, end)


def object_of_unique_keys(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """Return a JSON object. Raises ValueError for a duplicate key, since readers differ in which value they use."""
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def whole_number(digits: str) -> int:
    """Return an integer of the header. Raises ValueError for a sign, including "-0"."""
    if not digits.isdecimal():
        raise ValueError(f"{digits} is negative")
    return int(digits)
