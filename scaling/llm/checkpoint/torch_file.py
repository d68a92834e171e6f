"""Find the position of each tensor in a torch checkpoint (.bin); its pickle is parsed, never executed.

The format since torch 1.6 is a zip archive of uncompressed members: <prefix>/data.pkl maps tensors to parts of
storages; <prefix>/data/<key> are the storages; <prefix>/byteorder may say "big".
Source: torch.serialization.
"""

import io
import math
import pickletools
import struct
import warnings
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling.command import InputError
from scaling.llm.checkpoint.files import File, check_shape, read
from scaling.llm.checkpoint.tensor import DTYPES, Tensor, UnsupportedCheckpointError


TAIL = 64 * 1024  # bytes; a zip archive has its directory at its end
STORAGES = {"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16"}


class TorchFile:
    """The tensors of a torch zip archive by name. Raises UnsupportedCheckpointError for any other file."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.window = Window(file)
        try:
            self.archive = zipfile.ZipFile(self.window)
        except InputError:  # from reading the file, such as a lost connection
            raise
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError):
            old = read(file, 0, min(1, file.size)) == b"\x80"
            what = "in the format before torch 1.6" if old else "not a torch archive, or cut"
            raise UnsupportedCheckpointError(
                f"{file.name}: {what}: it cannot be read by ranges; save the model as safetensors"
            ) from None
        members = {member.filename: member for member in self.archive.infolist()}
        if len(members) != len(self.archive.infolist()):
            raise UnsupportedCheckpointError(f"{file.name}: two members have the same name; corrupt archive")
        pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise UnsupportedCheckpointError(
                f"{file.name}: it has {len(pickles)} members data.pkl instead of one; not a torch checkpoint"
            )
        self.prefix = pickles[0].removesuffix("data.pkl")
        self.members = members
        state = parse(self._member(pickles[0]), file.name)
        if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
            state = state["state_dict"]
        self.views = (
            {name: view for name, view in state.items() if isinstance(view, View)} if isinstance(state, dict) else {}
        )
        order = f"{self.prefix}byteorder"
        if order in members and self._member(order) == b"big":
            raise UnsupportedCheckpointError(f"{file.name}: big-endian; save the model as safetensors")

    @property
    def names(self) -> list[str]:
        """Names of all tensors."""
        return list(self.views)

    def tensor(self, name: str) -> Tensor:
        """Return the position of tensor `name`, with its CRC-32 if it fills its storage."""
        view = self.views[name]
        if view.storage.dtype not in DTYPES:
            raise UnsupportedCheckpointError(
                f"{self.file.name}: {name} has type {view.storage.dtype}; supported are {', '.join(DTYPES)}"
            )
        item = np.dtype(DTYPES[view.storage.dtype]).itemsize
        member = self.members.get(f"{self.prefix}data/{view.storage.key}")
        if member is None or not stored_plainly(member) or member.file_size != view.storage.length * item:
            raise UnsupportedCheckpointError(f"{self.file.name}: {name}: its storage is missing, compressed or cut")
        strides = tuple(math.prod(view.shape[axis + 1 :]) for axis in range(len(view.shape)))
        if view.stride != strides:
            raise UnsupportedCheckpointError(
                f"{self.file.name}: {name} is not stored row by row (strides {view.stride})"
            )
        count = math.prod(view.shape)
        if view.offset < 0 or view.offset + count > view.storage.length:
            raise UnsupportedCheckpointError(f"{self.file.name}: {name} extends beyond its storage")
        # The local header repeats the name and is padded to 64 bytes; only it contains its own length.
        local = read(self.file, member.header_offset, 30 + len(member.orig_filename.encode()))
        if local[:4] != b"PK\x03\x04" or local[30:] != member.orig_filename.encode():
            raise UnsupportedCheckpointError(
                f"{self.file.name}: member {member.filename} is not at byte {member.header_offset}; corrupt archive"
            )
        start = member.header_offset + 30 + sum(struct.unpack("<HH", local[26:30])) + view.offset * item
        crc32 = member.CRC if count == view.storage.length else None
        return Tensor(self.file, name, view.storage.dtype, view.shape, start, crc32)

    def _member(self, name: str) -> bytes:
        """Return the content of a small member; zipfile checks its CRC-32."""
        member = self.members[name]
        if not stored_plainly(member):
            raise UnsupportedCheckpointError(f"{self.file.name}: {name} is compressed or encrypted")
        self.window.fetch(member.header_offset, 30 + len(name) + 512 + member.file_size)
        try:
            return self.archive.read(member)
        except InputError:
            raise
        except (zipfile.BadZipFile, NotImplementedError, EOFError, struct.error, ValueError) as error:
            raise UnsupportedCheckpointError(f"{self.file.name}: {name}: {error}") from None


def stored_plainly(member: zipfile.ZipInfo) -> bool:
    """Whether the member is neither compressed nor encrypted."""
    encrypted = member.flag_bits & 1
    return member.compress_type == zipfile.ZIP_STORED and not encrypted and member.file_size == member.compress_size


class Window(io.RawIOBase):
    """A seekable view of a file for zipfile; each part that is needed is fetched once."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.position = 0
        self.parts: list[tuple[int, bytes]] = []
        self.fetch(max(0, file.size - TAIL), TAIL)

    def fetch(self, start: int, nbytes: int) -> bytes:
        """Read and keep bytes [start, start + nbytes), up to the end of the file."""
        part = read(self.file, start, max(0, min(nbytes, self.file.size - start)))
        self.parts.append((start, part))
        return part

    def seekable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.file.size}[whence]
        if base + offset < 0:
            raise ValueError("position before the file")
        self.position = base + offset
        return self.position

    def read(self, nbytes: int | None = -1) -> bytes:
        """Return up to `nbytes` bytes from the position; by default, all remaining bytes."""
        rest = max(0, self.file.size - self.position)
        nbytes = rest if nbytes is None or nbytes < 0 else min(nbytes, rest)
        start = self.position
        self.position += nbytes
        for begin, part in self.parts:
            if begin <= start and start + nbytes <= begin + len(part):
                return part[start - begin : start - begin + nbytes]
        return self.fetch(start, nbytes)


@dataclass(frozen=True)
class Name:
    """A global that the pickle names; it is not imported."""

    module: str
    name: str

    def __post_init__(self) -> None:
        if not (isinstance(self.module, str) and isinstance(self.name, str)):
            raise TypeError("a global without a name")


@dataclass(frozen=True)
class Storage:
    """A storage of `length` elements: member `key` of the archive."""

    dtype: str
    key: str
    length: int


@dataclass(frozen=True)
class View:
    """A tensor as torch saves it: part of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


MARK = object()
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def parse(content: bytes, where: str) -> Any:
    """Return the object in a checkpoint's pickle, with tensors as `View`; no code runs and nothing is imported.

    Interprets only the operations that torch.save uses for tensors; raises UnsupportedCheckpointError for any other.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # about invalid escapes in names
            return interpret(content)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration) as error:
        raise UnsupportedCheckpointError(f"{where}: data.pkl is not a plain set of tensors ({error})") from None


def interpret(content: bytes) -> Any:
    """Run the stack machine of `parse`; any built-in error means that the pickle has other content."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        at = next(index for index in range(len(stack) - 1, -1, -1) if stack[index] is MARK)
        items = stack[at + 1 :]
        del stack[at:]
        return items

    def set_items(items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, str | int):  # other keys, such as tuples, are not names of tensors
                stack[-1].update({key: value})

    argument: Any
    for operation, argument, _ in pickletools.genops(content):
        name = operation.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name == "MARK":
            stack.append(MARK)
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in TUPLES:
            at = len(stack) - TUPLES[name]
            stack[at:] = [tuple(stack[at:])]
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else since_mark()
            stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else since_mark()
            set_items(items)
        elif name == "GLOBAL":
            stack.append(Name(*argument.split(" ")))
        elif name == "STACK_GLOBAL":
            stack.append(Name(stack.pop(-2), stack.pop()))
        elif name == "BINPERSID":
            kind, storage, key, _, length = stack.pop()
            if kind != "storage" or storage.module != "torch" or not isinstance(key, str):
                raise ValueError("a persistent object is not a storage")
            stack.append(Storage(STORAGES.get(storage.name, storage.name), key, check_shape([length])[0]))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(rebuilt(function, arguments))
        elif name == "BUILD":
            stack.pop()  # attributes of the dictionary (_metadata): not needed
        else:
            raise ValueError(f"operation {name}")
    raise ValueError("no end")


def rebuilt(function: Name, arguments: tuple[Any, ...]) -> Any:
    """Return the result of calling one of the three globals that checkpoints call. Raises ValueError for others."""
    if (function.module, function.name) == ("collections", "OrderedDict"):
        return {}
    if (function.module, function.name) == ("torch._utils", "_rebuild_tensor_v2"):
        storage, offset, shape, stride = arguments[:4]
        if not isinstance(storage, Storage):
            raise ValueError("a tensor without a storage")
        return View(storage, check_shape([offset])[0], check_shape(shape), check_shape(stride))
    if (function.module, function.name) == ("torch._utils", "_rebuild_parameter"):
        return arguments[0]
    raise ValueError(f"a call of {function.module}.{function.name}")
