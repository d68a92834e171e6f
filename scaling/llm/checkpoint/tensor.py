"""A tensor inside a file: where its bytes lie, and its rows as float32."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.llm.checkpoint.files import File, LocalFile


# The safetensors names of the types a head may have; BF16 is read as the upper half of a float32.
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2"}


class UnsupportedCheckpointError(InputError):
    """A checkpoint that cannot be read in part, is cut, or contradicts itself."""


@dataclass(frozen=True)
class Tensor:
    """A tensor stored row by row, little-endian, without gaps, at byte `start` of `file`."""

    file: File
    name: str
    dtype: str  # as safetensors calls it, such as BF16
    shape: tuple[int, ...]
    start: int
    crc32: int | None = None  # of exactly these bytes, where the container has one

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        return math.prod(self.shape) * np.dtype(DTYPES[self.dtype]).itemsize


@dataclass(frozen=True)
class Rows:
    """The rows of a matrix on this machine's disk, read in blocks; float32 whatever its type (F64 is rounded)."""

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
        """Rows [start, stop) as they are stored, shape (stop - start, m)."""
        width = self.tensor.nbytes // self.shape[0]
        dtype = np.dtype(DTYPES[self.tensor.dtype]).newbyteorder("<")
        stop = min(stop, self.shape[0])
        with open(self.tensor.file.name, "rb") as handle:
            handle.seek(self.tensor.start + start * width)
            values = np.fromfile(handle, dtype, (stop - start) * self.shape[1])
        return values.reshape(stop - start, self.shape[1])

    def blocks(self, size: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first row, block of at most `size` rows), in order."""
        for start in range(0, self.shape[0], size):
            yield start, as_float32(self.stored(start, start + size), self.tensor.dtype)


def as_float32(values: NDArray[np.generic], dtype: str) -> NDArray[np.float32]:
    """Stored values as float32: exact for F32, F16 and BF16 (whose 16 bits are the upper half of a float32)."""
    if dtype == "BF16":
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.float32, copy=False)
