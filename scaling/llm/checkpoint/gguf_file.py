"""Read checkpoints in llama.cpp's GGUF format, in one file or several: the header and the position of each tensor.

The header is parsed here because the package `gguf` trusts the lengths in a damaged file. Only its
dequantization is used. Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

import math
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from scaling.llm.checkpoint.files import LONGEST_READ, BadFileError, File, LocalFile, check_shape, read
from scaling.llm.checkpoint.heads import LARGEST_HEAD, Head, gain_of
from scaling.llm.checkpoint.tensor import DTYPES, QUANTISED, Tensor, UnsupportedCheckpointError


MAGIC = b"GGUF"
VERSIONS = (2, 3)
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
HEAD, EMBEDDING, GAIN = "output.weight", "token_embd.weight", "output_norm.weight"
MOST_AXES, LONGEST_NAME = 4, 64  # limits of ggml for a tensor
MOST_PARTS = 1000  # files of a split checkpoint
PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


@dataclass
class Cursor:
    """Reads a file's header sequentially, 1 MiB at a time, at most LONGEST_READ bytes."""

    file: File
    position: int = 0
    buffer: bytearray = field(default_factory=bytearray)

    def take(self, nbytes: int) -> bytes:
        """Return the next bytes. Raises BadFileError beyond the end of the file or the longest accepted header."""
        end = self.position + nbytes
        if end > min(self.file.size, LONGEST_READ):
            raise BadFileError(
                f"{self.file.name}: its header needs {nbytes} bytes at byte {self.position} of a file of "
                f"{self.file.size} bytes (at most {LONGEST_READ} for a header); truncated or corrupt file?"
            )
        if end > len(self.buffer):
            have = len(self.buffer)
            more = min(max(end - have, 1 << 20), min(self.file.size, LONGEST_READ) - have)
            self.buffer += read(self.file, have, more)
        taken = bytes(self.buffer[self.position : end])
        self.position = end
        return taken

    def number(self, code: str) -> Any:
        """Return the next scalar; `code` is a format of the module struct."""
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def text(self, longest: int = LONGEST_READ) -> str:
        """Return the next string, a 64-bit length followed by UTF-8. Raises BadFileError if it is not valid."""
        length = self.number("<Q")
        if length > longest:
            raise BadFileError(
                f"{self.file.name}: a string of {length} bytes in its header; at most {longest}; corrupt?"
            )
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise BadFileError(f"{self.file.name}: its header has a string that is not UTF-8; corrupt file") from None

    def value(self) -> Any:
        """Return the next value, which follows its type; for an array, return its number of entries."""
        kind = self.number("<I")
        if kind != ARRAY:
            return self.scalar(kind)
        kind, count = self.number("<I"), self.number("<Q")
        smallest = struct.calcsize(SCALARS[kind]) if kind in SCALARS else 8
        if kind != STRING and kind not in SCALARS:
            raise BadFileError(f"{self.file.name}: its header has an array of type {kind}; corrupt file?")
        if count * smallest > self.file.size - self.position:
            raise BadFileError(f"{self.file.name}: an array of {count} entries does not fit into the file; truncated?")
        if kind == STRING:
            for _ in range(count):
                self.take(self.number("<Q"))
        else:
            self.take(count * smallest)
        return count

    def scalar(self, kind: int) -> Any:
        """Return the next string or number of type `kind`."""
        if kind == STRING:
            return self.text()
        if kind not in SCALARS:
            raise BadFileError(f"{self.file.name}: its header has a value of type {kind}; corrupt file?")
        return self.number(SCALARS[kind])


@dataclass(frozen=True)
class Entry:
    """A tensor listed in the header; `start` is its offset from the end of the header."""

    kind: GGMLQuantizationType
    shape: tuple[int, ...]  # rows first; the file lists them last
    start: int

    def nbytes(self) -> int:
        """Return the length in bytes. Raises ValueError for rows that are not whole blocks."""
        block, size = GGML_QUANT_SIZES[self.kind]
        if self.shape[-1] % block:
            raise ValueError(f"rows of {self.shape[-1]} numbers are not a multiple of the block size {block}")
        return math.prod(self.shape) // block * size


class GgufFile:
    """Metadata and tensors of one GGUF file; of an array in the metadata, only its number of entries is kept.

    Raises BadFileError (an InputError) for a file that is truncated, corrupt, big-endian, or in another format.
    """

    def __init__(self, file: File) -> None:
        self.file = file
        cursor = Cursor(file)
        if file.size < 24 or cursor.take(4) != MAGIC:
            raise BadFileError(f"{file.name}: not a GGUF file (it does not begin with GGUF)")
        version = cursor.number("<I")
        if version & 0xFFFF == 0 and version:
            raise BadFileError(f"{file.name}: a big-endian GGUF file; convert it to little-endian")
        if version not in VERSIONS:
            raise BadFileError(f"{file.name}: GGUF version {version} is not supported; supported are 2 and 3")
        n_tensors, n_values = cursor.number("<Q"), cursor.number("<Q")
        self.metadata: dict[str, Any] = {}
        for _ in range(n_values):
            key = cursor.text()
            if key in self.metadata:
                raise BadFileError(f"{file.name}: {key!r} occurs twice in its header; corrupt file")
            self.metadata[key] = cursor.value()
        self.entries: dict[str, Entry] = {}
        for _ in range(n_tensors):
            name = cursor.text(LONGEST_NAME)
            if name in self.entries:
                raise BadFileError(f"{file.name}: tensor {name!r} occurs twice; corrupt file")
            self.entries[name] = self.entry(cursor, name)
        alignment = self.metadata.get("general.alignment", 32)
        if type(alignment) is not int or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
            raise BadFileError(f"{file.name}: general.alignment {alignment!r} is not a power of two; corrupt file")
        self.begin = cursor.position + -cursor.position % alignment
        self.check_places(alignment)

    def entry(self, cursor: Cursor, name: str) -> Entry:
        """Return the next entry of the list of tensors. Raises BadFileError if it is not valid."""
        axes = cursor.number("<I")
        if not 1 <= axes <= MOST_AXES:
            raise BadFileError(f"{self.file.name}: {name} has {axes} axes; corrupt file?")
        lengths = [cursor.number("<Q") for _ in range(axes)]
        number, start = cursor.number("<I"), cursor.number("<Q")
        try:
            shape, kind = check_shape(lengths[::-1]), GGMLQuantizationType(number)
        except ValueError as error:
            raise BadFileError(f"{self.file.name}: tensor {name}: {error}; corrupt file?") from None
        if math.prod(shape) >= 2**63 or min(shape) < 1:
            raise BadFileError(f"{self.file.name}: {name} has shape {shape}; corrupt file?")
        return Entry(kind, shape, start)

    def check_places(self, alignment: int) -> None:
        """Raise BadFileError unless the tensors are contiguous, padded to `alignment`, and end within the file."""
        expected = 0
        for name, entry in self.entries.items():
            if entry.start != expected:
                raise BadFileError(f"{self.file.name}: {name} does not follow the previous tensor; corrupt file")
            try:
                end = entry.start + entry.nbytes()
            except ValueError as error:
                raise BadFileError(f"{self.file.name}: {name}: {error}; corrupt file") from None
            if self.begin + end > self.file.size:
                raise BadFileError(
                    f"{self.file.name}: {name} ends at byte {self.begin + end} of {self.file.size}; truncated?"
                )
            expected = end + -end % alignment

    def tensor(self, name: str) -> Tensor:
        """Return the position of tensor `name`. Raises UnsupportedCheckpointError for an unsupported type."""
        entry = self.entries[name]
        if entry.kind.name not in DTYPES | QUANTISED:
            raise UnsupportedCheckpointError(
                f"{self.file.name}: {name} has type {entry.kind.name}; supported are {', '.join(DTYPES | QUANTISED)}"
            )
        return Tensor(self.file, name, entry.kind.name, entry.shape, self.begin + entry.start)


@dataclass(frozen=True)
class GgufCheckpoint:
    """A checkpoint in one or several GGUF files."""

    parts: list[GgufFile]

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the first part; the other parts have none of their own."""
        return self.parts[0].metadata

    @property
    def architecture(self) -> str:
        """Architecture as llama.cpp names it, such as llama or qwen2; empty if the file does not state it."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def vocabulary(self) -> int | None:
        """Size of the tokenizer, in tokens, if known; rows of the head beyond it are padding."""
        for key in ("tokenizer.ggml.tokens", f"{self.architecture}.vocab_size"):
            size = self.metadata.get(key)
            if type(size) is int and size > 0:
                return size
        return None

    def find(self, name: str) -> Tensor | None:
        """Return the tensor `name` from whichever part contains it, or None."""
        return next((part.tensor(name) for part in self.parts if name in part.entries), None)

    def head(self) -> Head:
        """Return the output matrix: output.weight or, if there is none, the input embedding (tied).

        The gain of the final normalization is read, too.
        Raises UnsupportedCheckpointError if there is no output matrix or its shape is impossible.
        """
        output, embedding = self.find(HEAD), self.find(EMBEDDING)
        tensor = output or embedding
        where = self.parts[0].file.name
        if tensor is None:
            raise UnsupportedCheckpointError(f"{where}: it has neither a tensor {HEAD} nor {EMBEDDING}")
        width = self.metadata.get(f"{self.architecture}.embedding_length")
        if (
            len(tensor.shape) != 2
            or any(length > most for length, most in zip(tensor.shape, LARGEST_HEAD, strict=True))
            or width not in (None, tensor.shape[1])
            or tensor.shape[0] < (self.vocabulary or 0)
        ):
            raise UnsupportedCheckpointError(
                f"{where}: {tensor.name} has shape {tensor.shape}, not an output matrix for {self.vocabulary} "
                f"tokens in {width} dimensions (at most {LARGEST_HEAD})"
            )
        size = sum(part.file.size for part in self.parts)
        return Head(tensor, output is None, "", size, gain_of(self.find(GAIN), tensor.shape[1]))


def open_gguf(path: Path) -> GgufCheckpoint:
    """Open the checkpoint at `path`; of a split checkpoint, `path` is the first file (name-00001-of-00003.gguf).

    Raises BadFileError for a corrupt file, a missing part, and parts that do not belong together.
    """
    first = GgufFile(LocalFile(path))
    count, number = first.metadata.get("split.count", 1), first.metadata.get("split.no", 0)
    if count in (0, 1):
        return GgufCheckpoint([first])
    name = PART.fullmatch(path.name)
    if type(count) is not int or not 1 < count <= MOST_PARTS or name is None or int(name["count"]) != count:
        raise BadFileError(f"{path}: its header says {count} parts, but its name does not (-00001-of-00003.gguf)")
    if number != 0 or int(name["number"]) != 1:
        raise BadFileError(f"{path}: this is part {number + 1} of {count}; give the first part")
    parts = [first]
    for k in range(1, count):
        other = path.with_name(f"{name['stem']}-{k + 1:05d}-of-{count:05d}.gguf")
        if not other.is_file():
            raise BadFileError(f"{path}: part {k + 1} of {count} is missing: {other.name}")
        part = GgufFile(LocalFile(other))
        if (part.metadata.get("split.no"), part.metadata.get("split.count")) != (k, count):
            raise BadFileError(f"{other}: its header does not say part {k + 1} of {count}")
        parts.append(part)
    return GgufCheckpoint(parts)
