"""Cache heads on this machine: one safetensors file per head, by repository and commit, with a checksum.

    <folder>/<owner>--<name>/<commit>/<tensor name>.safetensors

The metadata of the file give the source of the matrix and the SHA-256 of the file, computed with zeros in place of
the checksum. A file that does not match is downloaded again.
"""

import contextlib
import hashlib
import json
import logging
import shutil
import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from scaling.command import InputError, whole_file
from scaling.llm.checkpoint.files import Folder, LocalFile, MissingFileError, plain, read
from scaling.llm.checkpoint.gguf_file import open_gguf
from scaling.llm.checkpoint.heads import find_head
from scaling.llm.checkpoint.hub import COMMIT, BadAnswerError, Repository
from scaling.llm.checkpoint.safetensors_file import SafetensorsFile
from scaling.llm.checkpoint.tensor import Tensor, UnsupportedCheckpointError
from scaling.llm.checkpoint.tokenizer_file import AnyTokenizer, read_tokenizer


log = logging.getLogger(__name__)

REVISIONS = "revisions.json"  # {branch or tag: its commit at the first read}
NO_SHA256 = "0" * 64


@dataclass(frozen=True)
class Source:
    """Where a matrix came from."""

    commit: str
    tensor: str
    tied: bool
    bytes_read: int  # including headers and indices
    bytes_checkpoint: int | None
    gain: list[float] | None = None  # of the final normalization, if known
    vocabulary: int | None = None  # size of the tokenizer, if the checkpoint states it
    format: str = ""  # of the checkpoint: safetensors, torch or gguf


def load_head(source: Folder | Repository, folder: Path) -> tuple[Tensor, Source]:
    """Return the head of `source` as a tensor in a local file: from the cache, a local checkpoint, or the Hub.

    A branch or tag keeps the commit that it had when it was first cached in `folder`.
    """
    if isinstance(source, Folder):
        return local_head(source)
    home = pinned_home(source, folder)
    for path in sorted((home / source.commit).glob("*.safetensors")) if source.commit else []:
        if (kept := kept_head(path)) is not None:
            return kept
    tensor, found = local_head(source)
    if not isinstance(tensor.file, LocalFile):
        path = home / source.commit / f"{plain(tensor.name, source.name)}.safetensors"
        keep(tensor, found, path)
        tensor = SafetensorsFile(LocalFile(path)).tensor(tensor.name)
        remember(source, home)
    return tensor, found


def local_copy(source: Folder | Repository, name: str, folder: Path) -> Path:
    """Return the local path of a small file of `source`; a file from the Hub is cached in `folder`."""
    if isinstance(source, Folder):
        return source.open(name).path
    home = pinned_home(source, folder)
    if source.commit and (home / source.commit / plain(name, source.name)).exists():
        return home / source.commit / name
    file = source.open(name)
    if isinstance(file, LocalFile):
        return file.path
    content = read(file, 0, file.size)
    with whole_file(home / source.commit / name) as temporary:
        temporary.write_bytes(content)
    remember(source, home)
    return home / source.commit / name


def load_tokenizer(source: Folder | Repository, folder: Path) -> AnyTokenizer:
    """Return the tokenizer of `source`, cached in `folder`. Raises UnsupportedCheckpointError if there is none."""
    for names in (["tokenizer.json"], ["vocab.json", "merges.txt"]):
        with contextlib.suppress(MissingFileError):
            return read_tokenizer(*(local_copy(source, name, folder) for name in names))
    raise UnsupportedCheckpointError(f"{source.name}: it has neither tokenizer.json nor vocab.json with merges.txt")


def pinned_home(source: Repository, folder: Path) -> Path:
    """Return the subfolder of the repository; pins `source` to the cached commit of its branch or tag, if any."""
    home = folder / source.repo_id.replace("/", "--")
    if not source.commit:
        source.commit = revisions(home).get(source.revision, "")
    return home


def revisions(home: Path) -> dict[str, str]:
    """Return the cached commit of each branch or tag; invalid entries are omitted and requested again."""
    try:
        known = json.loads((home / REVISIONS).read_text(encoding="utf-8"))
        return {name: commit for name, commit in known.items() if COMMIT.fullmatch(commit)}
    except (FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def remember(source: Repository, home: Path) -> None:
    """Record the commit of the branch or tag."""
    known = {**revisions(home), source.revision: source.commit}
    with whole_file(home / REVISIONS) as temporary:
        temporary.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")


def gguf_head(path: Path) -> tuple[Tensor, Source]:
    """Return the head of a GGUF checkpoint; `path` is its first file."""
    checkpoint = open_gguf(path)
    head = checkpoint.head()
    nbytes = sum(part.file.received for part in checkpoint.parts) + head.tensor.nbytes
    gain = None if head.gain is None else head.gain.tolist()
    found = "", head.tensor.name, head.tied, nbytes, head.bytes_checkpoint
    return head.tensor, Source(*found, gain=gain, vocabulary=checkpoint.vocabulary, format="gguf")


def local_head(source: Folder | Repository) -> tuple[Tensor, Source]:
    """Return the position of the head in its checkpoint; `bytes_read` includes the head itself."""
    head = find_head(source)
    nbytes = sum(file.received for file in source.files) + head.tensor.nbytes
    if isinstance(head.tensor.file, LocalFile) and head.tensor.crc32 is not None:
        check_crc32(head.tensor)
    gain = None if head.gain is None else head.gain.tolist()
    container = "safetensors" if ".safetensors" in head.tensor.file.name else "torch"
    found = head.commit, head.tensor.name, head.tied, nbytes, head.bytes_checkpoint
    return head.tensor, Source(*found, gain=gain, format=container)


def check_crc32(tensor: Tensor) -> None:
    """Raise UnsupportedCheckpointError if the CRC-32 of `tensor` differs from that in its archive."""
    crc32 = 0
    for piece in tensor.file.stream(tensor.start, tensor.nbytes):
        crc32 = zlib.crc32(piece, crc32)
    if crc32 != tensor.crc32:
        raise UnsupportedCheckpointError(f"{tensor.file.name}: {tensor.name}: CRC-32 does not match; corrupt file")


def keep(tensor: Tensor, found: Source, path: Path) -> None:
    """Write `tensor` to `path` atomically.

    Raises BadAnswerError if the CRC-32 does not match, InputError if the disk has too little free space.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(path.parent).free) < tensor.nbytes:
        raise InputError(f"{path}: {tensor.nbytes} bytes are needed, but {free} are free; free some disk space")
    begin = header(tensor, found, NO_SHA256)
    sha256, crc32 = hashlib.sha256(begin), 0
    with whole_file(path) as temporary, temporary.open("wb") as handle:
        handle.write(begin)
        for piece in tensor.file.stream(tensor.start, tensor.nbytes):
            handle.write(piece)
            sha256.update(piece)
            crc32 = zlib.crc32(piece, crc32)
        if tensor.crc32 is not None and crc32 != tensor.crc32:
            raise BadAnswerError(f"{tensor.file.name}: {tensor.name}: CRC-32 does not match, a byte changed; try again")
        handle.seek(0)
        handle.write(header(tensor, found, sha256.hexdigest()))
    log.info("%s at %s: %s read, %d bytes", tensor.file.name, found.commit[:12], tensor.name, tensor.nbytes)


def header(tensor: Tensor, found: Source, sha256: str) -> bytes:
    """Return the header of a safetensors file with `tensor` alone; its length does not depend on the checksum."""
    metadata = {"source": json.dumps(asdict(found)), "sha256": sha256}
    content = json.dumps(
        {
            "__metadata__": metadata,
            tensor.name: {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [0, tensor.nbytes]},
        }
    ).encode()
    content += b" " * (-len(content) % 8)
    return struct.pack("<Q", len(content)) + content


def kept_head(path: Path) -> tuple[Tensor, Source] | None:
    """Return the head cached at `path`; logs a line and returns None if the file is not what was written."""
    file = LocalFile(path)
    try:
        archive = SafetensorsFile(file)
        metadata = json.loads(read(file, 8, archive.begin - 8))["__metadata__"]
        found, expected = Source(**json.loads(metadata["source"])), metadata["sha256"]
        tensor = archive.tensor(found.tensor)
        sha256 = hashlib.sha256(header(tensor, found, NO_SHA256))
        for piece in file.stream(tensor.start, tensor.nbytes):
            sha256.update(piece)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        log.info("%s: not readable (%s); reading the head again", path, error)
        return None
    if sha256.hexdigest() != expected:
        log.info("%s: the checksum does not match; reading the head again", path)
        return None
    return tensor, found
