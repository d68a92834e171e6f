"""Read files by byte ranges: the common interface, and files in a local folder."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scaling.command import InputError


CHUNK = 1 << 20  # bytes per piece
LONGEST_READ = 64 << 20  # bytes that one `read` may return; the largest tokenizers need half of it
MOST_AXES = 64  # of a tensor, as in torch


class BadFileError(InputError):
    """A file is truncated, needs too much memory, or has a name that is not a plain file name."""


class MissingFileError(InputError):
    """The file does not exist in the repository or folder."""


class File(Protocol):
    """A file that can be read by byte ranges; `received` is the number of bytes read so far."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def received(self) -> int: ...
    def stream(self, start: int, nbytes: int) -> Iterator[bytes]: ...


def read(file: File, start: int, nbytes: int, longest: int = LONGEST_READ) -> bytes:
    """Return bytes [start, start + nbytes) of `file`. Raises BadFileError for more than `longest` bytes."""
    if nbytes > longest:
        raise BadFileError(f"{file.name}: a header of {nbytes} bytes; at most {longest} are accepted")
    return b"".join(file.stream(start, nbytes))


def check_inside(file: File, start: int, nbytes: int) -> None:
    """Raise BadFileError unless bytes [start, start + nbytes) are inside `file`."""
    if start < 0 or nbytes < 0 or start + nbytes > file.size:
        raise BadFileError(
            f"{file.name}: bytes {start} to {start + nbytes} are beyond the end at {file.size}; truncated or corrupt?"
        )


@dataclass
class LocalFile:
    """A file on this machine."""

    path: Path
    received: int = 0

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.path.stat().st_size

    def stream(self, start: int, nbytes: int) -> Iterator[bytes]:
        """Yield bytes [start, start + nbytes) in pieces. Raises BadFileError if the file is shorter."""
        check_inside(self, start, nbytes)
        with self.path.open("rb") as handle:
            handle.seek(start)
            while nbytes:
                piece = handle.read(min(CHUNK, nbytes))
                if not piece:
                    raise BadFileError(f"{self.path}: the file was truncated while it was read")
                nbytes -= len(piece)
                self.received += len(piece)
                yield piece


@dataclass
class Folder:
    """A checkpoint in a local folder."""

    path: Path
    commit: str = ""
    files: list[LocalFile] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def has(self, path: str) -> bool:
        """Whether the folder contains the file."""
        return (self.path / path).is_file()

    def open(self, path: str) -> LocalFile:
        """Return the file `path` of the folder. Raises MissingFileError."""
        file = LocalFile(self.path / plain(path, self.name))
        if not file.path.is_file():
            raise MissingFileError(f"{self.path}: no file {path}")
        self.files.append(file)
        return file


def plain(path: str, where: str) -> str:
    """Return `path` if it is a plain file name, as in every checkpoint. Raises BadFileError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.=-]{,199}", path):
        raise BadFileError(f"{where}: {path[:200]!r} is not a plain file name of at most 200 characters")
    return path


def check_shape(shape: Sequence[Any]) -> tuple[int, ...]:
    """Return `shape` as a tuple. Raises ValueError unless it has at most MOST_AXES lengths, all integers >= 0."""
    if len(shape) > MOST_AXES or not all(type(length) is int and 0 <= length < 2**63 for length in shape):
        raise ValueError("the shape is not a list of nonnegative integers")
    return tuple(shape)
