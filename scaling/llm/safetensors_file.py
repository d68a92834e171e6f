"""Where the tensors of a safetensors file lie, from its header alone.

The format: 8 bytes, length n of the header (little-endian); n bytes of JSON, {name: {dtype, shape, data_offsets}}; the
tensors, one after the other, to the end of the file. Source: the safetensors documentation, section Format.
"""

import json
import math
import struct

import numpy as np
from huggingface_hub.constants import SAFETENSORS_MAX_HEADER_LENGTH

from scaling.llm.files import File, check_shape, read
from scaling.llm.tensor import DTYPES, Tensor, UnsupportedCheckpointError


FIRST_READ = 32 * 1024  # one request is enough for the header of most files


class SafetensorsFile:
    """The tensors of one safetensors file by name; raises UnsupportedCheckpointError for a file cut or out of shape."""

    def __init__(self, file: File) -> None:
        self.file = file
        head = read(file, 0, min(FIRST_READ, file.size))
        length = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else file.size
        if length > min(SAFETENSORS_MAX_HEADER_LENGTH, file.size - 8):
            raise UnsupportedCheckpointError(f"{file.name}: not a safetensors file (header of {length} bytes)")
        if 8 + length > len(head):
            head += read(file, len(head), 8 + length - len(head))
        self.begin = 8 + length
        try:
            self.header = json.loads(head[8 : self.begin])
            self.header.pop("__metadata__", None)
            spans = sorted(check_shape(entry["data_offsets"]) for entry in self.header.values())
            ends = [0, *(end for _, end in spans)]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UnsupportedCheckpointError(f"{file.name}: its header is not that of a safetensors file") from None
        if any(begin != before for (begin, _), before in zip(spans, ends, strict=False)):
            raise UnsupportedCheckpointError(f"{file.name}: its tensors overlap or leave gaps; corrupt file")
        end = ends[-1]
        if self.begin + end != file.size:
            raise UnsupportedCheckpointError(
                f"{file.name}: its tensors end at byte {self.begin + end}, the file has {file.size}; cut?"
            )

    @property
    def names(self) -> list[str]:
        """Names of all tensors."""
        return list(self.header)

    def tensor(self, name: str) -> Tensor:
        """Where tensor `name` lies."""
        entry = self.header[name]
        try:
            dtype, shape = entry["dtype"], check_shape(entry["shape"])
            first, last = entry["data_offsets"]
        except (ValueError, TypeError, KeyError):
            raise UnsupportedCheckpointError(f"{self.file.name}: {name}: entry out of shape in the header") from None
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise UnsupportedCheckpointError(f"{self.file.name}: {name} is {dtype}; a head is {', '.join(DTYPES)}")
        if last - first != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
            raise UnsupportedCheckpointError(
                f"{self.file.name}: {name}: {dtype} {shape} does not fill {last - first} bytes"
            )
        return Tensor(self.file, name, dtype, shape, self.begin + first)
