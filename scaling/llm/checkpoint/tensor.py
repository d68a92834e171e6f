"""Tensors in files: the position of the bytes, and rows as float32."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.llm.checkpoint.files import File, LocalFile


# Types of a head, as safetensors names them; BF16 is read as the upper half of a float32.
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2"}
# Quantized types of GGUF: numbers per block, bytes per block. A block is part of one row.
QUANTISED = {
    "Q8_0": (32, 34),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
}


def block_of(dtype: str) -> tuple[int, int]:
    """Return numbers per block and bytes per block; plain types have blocks of one number."""
    return QUANTISED.get(dtype) or (1, np.dtype(DTYPES[dtype]).itemsize)


class UnsupportedCheckpointError(InputError):
    """A checkpoint that cannot be read by ranges, is truncated, or is inconsistent."""


@dataclass(frozen=True)
class Tensor:
    """A tensor stored row by row, little-endian, without gaps, at byte `start` of `file`."""

    file: File
    name: str
    dtype: str  # as in safetensors, such as BF16, or in GGUF, such as Q8_0
    shape: tuple[int, ...]
    start: int
    crc32: int | None = None  # of exactly these bytes, if the file states it

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        block, size = block_of(self.dtype)
        return math.prod(self.shape) // block * size


def whole(tensor: Tensor) -> NDArray[np.float32]:
    """Return a small tensor of a plain type as float32; the file may be remote."""
    content = b"".join(tensor.file.stream(tensor.start, tensor.nbytes))
    values = np.frombuffer(content, np.dtype(DTYPES[tensor.dtype]).newbyteorder("<"))
    return as_float32(values, tensor.dtype).reshape(tensor.shape)


@dataclass(frozen=True)
class Rows:
    """Rows of a matrix in a local file, read in blocks and converted to float32 (F64 is rounded)."""

    tensor: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.tensor.file, LocalFile) or len(self.tensor.shape) != 2:
            raise TypeError("rows are read from a matrix in a local file")

    @property
    def shape(self) -> tuple[int, int]:
        """nu, m."""
        nu, m = self.tensor.shape
        return nu, m

    def stored(self, start: int, stop: int) -> NDArray[np.generic]:
        """Return rows [start, stop) as stored, shape (stop - start, m), or the bytes of the blocks if quantized."""
        width = self.tensor.nbytes // self.shape[0]
        dtype = np.dtype(DTYPES.get(self.tensor.dtype, "u1")).newbyteorder("<")
        stop = min(stop, self.shape[0])
        with open(self.tensor.file.name, "rb") as handle:
            handle.seek(self.tensor.start + start * width)
            values = np.fromfile(handle, dtype, (stop - start) * width // dtype.itemsize)
        return values.reshape(stop - start, width // dtype.itemsize)

    def blocks(self, size: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first row, block of at most `size` rows), in order."""
        for start in range(0, self.shape[0], size):
            yield start, as_float32(self.stored(start, start + size), self.tensor.dtype)


def as_float32(values: NDArray[np.generic], dtype: str) -> NDArray[np.float32]:
    """Return stored values as float32: exact for F32, F16 and BF16 (whose 16 bits are the upper half of a float32).

    Quantized blocks, bytes by row, are dequantized by the package `gguf` as in llama.cpp.
    """
    if dtype in QUANTISED:
        from gguf import GGMLQuantizationType, dequantize  # needed only for GGUF

        return np.asarray(dequantize(values, GGMLQuantizationType[dtype]), dtype=np.float32)
    if dtype == "BF16":
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.float32, copy=False)
