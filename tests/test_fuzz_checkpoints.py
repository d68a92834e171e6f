"""Damaged checkpoints give the right matrix or an InputError, in bounded memory; never a wrong matrix.

`make test` tries the same few hundred damages each time, `make test-slow` thousands of new ones.
"""

import contextlib
import json
import pickle
import shutil
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from scaling import arrays
from scaling.command import InputError
from scaling.llm.checkpoint.files import Folder
from scaling.llm.checkpoint.gguf_file import open_gguf
from scaling.llm.checkpoint.store import Source, keep, kept_head, load_head, revisions
from scaling.llm.checkpoint.tensor import Rows
from scaling.llm.checkpoint.tokenizer_file import MOST_TOKENS, read_tokenizer, tokenizer_size


NU, M = 24, 8
NAME = "lm_head.weight"
CONFIG = {"model_type": "qwen2", "tie_word_embeddings": False, "vocab_size": NU}
RNG = np.random.default_rng(0)
HEAD, OTHER = (RNG.standard_normal((NU, M)).astype(np.float32) for _ in range(2))  # alike, so that a mix-up shows
MEMORY = 64 << 20  # bytes that reading these few kilobytes may take at most

EXAMPLES = pytest.mark.parametrize("examples", [200, pytest.param(2000, marks=pytest.mark.slow)])

# An edit: what, where (modulo the length), and bytes to do it with.
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "overwrite", "insert", "delete", "repeat", "cut"]),
        st.integers(0, 1 << 20),
        st.binary(min_size=1, max_size=8)
        | st.sampled_from(
            [b"\0" * 8, b"\xff" * 8, b"\xff\xff\xff\x7f", b"9" * 20, b"-1", b"1e999", b'"', b"[[[[", b"."]
        ),
    ),
    min_size=1,
    max_size=3,
)
Edits = list[tuple[str, int, bytes]]


def edited(content: bytes, edits: Edits) -> bytes:
    """`content` after the edits."""
    for what, place, piece in edits:
        at = place % max(len(content), 1)
        before, rest = content[:at], content[at:]
        match what:
            case "flip":
                content = before + bytes(byte ^ (piece[0] or 1) for byte in rest[:1]) + rest[1:]
            case "overwrite":
                content = before + piece + rest[len(piece) :]
            case "insert":
                content = before + piece + rest
            case "delete":
                content = before + rest[len(piece) :]
            case "repeat":
                content = before + rest[: 40 * len(piece)] + rest
            case "cut":
                content = before
    return content


def fuzz(
    examples: int, check: Callable[[Edits], None], memory: int = MEMORY, found_before: Sequence[Edits] = ()
) -> None:
    """Call `check` with edits, those that failed once first, each within `memory` bytes."""

    def one(edits: Edits) -> None:
        tracemalloc.start()
        check(edits)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < memory

    for edits in found_before:
        one = example(edits)(one)
    settings(max_examples=examples)(given(EDITS)(one))()


def read(folder: Path) -> np.ndarray | None:
    """The head of the checkpoint in a folder, None when it is refused."""
    try:
        tensor, _ = load_head(Folder(folder), folder)
        return Rows(tensor).stored(0, tensor.shape[0])
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) <= 2001
    return None


def same(found: np.ndarray | None, expected: np.ndarray) -> bool:
    """Whether the head was refused, or is the expected one bit for bit."""
    return found is None or (found.shape == expected.shape and found.tobytes() == expected.tobytes())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for name in ("safetensors", "torch", "index"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(CONFIG))
    save_file({"a": OTHER, NAME: HEAD}, folder / "safetensors" / "model.safetensors")
    torch.save({"a": torch.tensor(OTHER), NAME: torch.tensor(HEAD)}, folder / "torch" / "pytorch_model.bin")
    save_file({NAME: HEAD}, folder / "index" / "model-1.safetensors")
    save_file({"a": OTHER}, folder / "index" / "model-2.safetensors")
    index = {"metadata": {"total_size": 1}, "weight_map": {NAME: "model-1.safetensors", "a": "model-2.safetensors"}}
    (folder / "index" / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def official(path: Path) -> np.ndarray | None:
    """The head as the safetensors library reads it, None when it refuses the file or finds no head."""
    try:
        with safe_open(path, framework="numpy") as file:
            return file.get_tensor(NAME)
    except SafetensorError:
        return None


def test_undamaged_checkpoints_are_read(root: Path) -> None:
    for folder in root.iterdir():
        assert read(folder).tobytes() == HEAD.tobytes()


@EXAMPLES
def test_safetensors(examples: int, root: Path, tmp_path: Path) -> None:
    """The format has no checksum: what its own library reads from the damaged file is right, what it refuses wrong."""
    folder = shutil.copytree(root / "safetensors", tmp_path / "x")
    whole = (folder / "model.safetensors").read_bytes()

    def check(edits: Edits) -> None:
        (folder / "model.safetensors").write_bytes(edited(whole, edits))
        expected, found = official(folder / "model.safetensors"), read(folder)
        assert found is None if expected is None else same(found, expected)

    shape_of_the_other_tensor_lost = [("flip", 912, b"\0"), ("flip", 283949, b"\0")]
    fuzz(examples, check, found_before=[shape_of_the_other_tensor_lost])


@EXAMPLES
def test_safetensors_header(examples: int, root: Path, tmp_path: Path) -> None:
    """The same for edits of the header alone, with the length corrected."""
    folder = shutil.copytree(root / "safetensors", tmp_path / "x")
    whole = (folder / "model.safetensors").read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")

    def check(edits: Edits) -> None:
        header = edited(whole[8:begin], edits)
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + whole[begin:])
        expected, found = official(folder / "model.safetensors"), read(folder)
        assert found is None if expected is None else same(found, expected)

    fuzz(examples, check)


@EXAMPLES
def test_torch_archive(examples: int, root: Path, tmp_path: Path) -> None:
    """Directory, pickle and storages: the archive's CRC-32 tells every change."""
    folder = shutil.copytree(root / "torch", tmp_path / "x")
    whole = (folder / "pytorch_model.bin").read_bytes()

    def check(edits: Edits) -> None:
        (folder / "pytorch_model.bin").write_bytes(edited(whole, edits))
        assert same(read(folder), HEAD)

    fuzz(examples, check)


@EXAMPLES
def test_torch_directory(examples: int, root: Path, tmp_path: Path) -> None:
    """The same for edits of the directory at the archive's end, where names and places are."""
    folder = shutil.copytree(root / "torch", tmp_path / "x")
    whole = (folder / "pytorch_model.bin").read_bytes()
    begin = whole.index(b"PK\x01\x02")

    def check(edits: Edits) -> None:
        (folder / "pytorch_model.bin").write_bytes(whole[:begin] + edited(whole[begin:], edits))
        assert same(read(folder), HEAD)

    fuzz(examples, check)


@EXAMPLES
def test_torch_pickle(examples: int, root: Path, tmp_path: Path) -> None:
    """Edits of the pickle in a whole archive, CRC-32 corrected: what torch itself reads from it is right."""
    folder = shutil.copytree(root / "torch", tmp_path / "x")
    with zipfile.ZipFile(folder / "pytorch_model.bin") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (data,) = (name for name in members if name.endswith("data.pkl"))

    def check(edits: Edits) -> None:
        with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
            for name, content in {**members, data: edited(members[data], edits)}.items():
                archive.writestr(name, content)
        found = read(folder)
        if found is not None:
            try:
                with warnings.catch_warnings(action="ignore"):  # of protocols that torch does not write
                    expected = torch.load(folder / "pytorch_model.bin", weights_only=True)[NAME].numpy()
            except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError):
                expected = found
            assert same(found, expected)

    fuzz(examples, check)


@EXAMPLES
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_config_and_index(examples: int, name: str, root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(root / "index", tmp_path / "x")
    whole = (folder / name).read_bytes()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    read(folder)  # loads transformers once, whose memory is not counted
    (folder / "config.json").write_text(json.dumps(CONFIG))

    def check(edits: Edits) -> None:
        (folder / name).write_bytes(edited(whole, edits))
        assert same(read(folder), HEAD)

    fuzz(examples, check, MEMORY if "index" in name else 512 << 20)  # the code of other architectures is loaded


@EXAMPLES
def test_kept_heads(examples: int, root: Path, tmp_path: Path) -> None:
    """What was read from the Hub and kept carries a SHA-256 of data and origin: no change passes."""
    tensor, found = load_head(Folder(root / "safetensors"), tmp_path)
    path = tmp_path / "kept.safetensors"
    origin = Source("c" * 40, found.tensor, found.tied, found.bytes_read, found.bytes_checkpoint)
    keep(tensor, origin, path)
    whole = path.read_bytes()

    def check(edits: Edits) -> None:
        path.write_bytes(edited(whole, edits))
        kept = kept_head(path)
        if kept is not None:
            assert kept[1] == origin
            assert same(Rows(kept[0]).stored(0, NU), HEAD)

    fuzz(examples, check)


@EXAMPLES
def test_revisions(examples: int, tmp_path: Path) -> None:
    """Branches and tags are kept with commits, and nothing else is read as one."""
    whole = json.dumps({"main": "0123456789" * 4, "v1": "abcdef0123" * 4}, indent=1).encode()

    def check(edits: Edits) -> None:
        (tmp_path / "revisions.json").write_bytes(edited(whole, edits))
        assert all(len(commit) == 40 and commit.isalnum() for commit in revisions(tmp_path).values())

    fuzz(examples, check)


@EXAMPLES
def test_toy_models(examples: int, tmp_path: Path) -> None:
    """Our own files of arrays: as written, or refused."""
    path = tmp_path / "m4.safetensors"
    written = {"W": HEAD, "p": OTHER[0].astype(np.float64), "empty": np.zeros(0)}
    arrays.write(path, written, {"record": '{"m": 4}'})
    whole = path.read_bytes()

    def check(edits: Edits) -> None:
        path.write_bytes(edited(whole, edits))
        try:
            text, found = arrays.read(path)
        except InputError:
            return
        assert text == {"record": '{"m": 4}'}
        assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in found.items()} == {
            name: (a.dtype, a.shape, a.tobytes()) for name, a in written.items()
        }

    fuzz(examples, check)


@EXAMPLES
def test_tokenizers(examples: int, tmp_path: Path) -> None:
    """A tokenizer or an InputError; never one whose ids would ask for much memory."""
    path = tmp_path / "tokenizer.json"
    whole = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")])).to_str().encode()

    def check(edits: Edits) -> None:
        path.write_bytes(edited(whole, edits))
        with contextlib.suppress(InputError):
            assert tokenizer_size(read_tokenizer(path)) <= MOST_TOKENS

    fuzz(examples, check)


@pytest.mark.parametrize("examples", [40, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("header", [True, False])
def test_gguf(examples: int, header: bool, tmp_path: Path) -> None:
    """The format has no checksum: what is read from a damaged file is what the package's own reader reads from it."""
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_embedding_length(32)
    writer.add_token_list([f"t{k}" for k in range(NU)])
    for name, values in {"token_embd.weight": OTHER, "output.weight": HEAD}.items():
        blocks = gguf.quantize(np.repeat(values, 4, axis=1), gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    whole = path.read_bytes()
    begin = open_gguf(path).parts[0].begin if header else len(whole)

    def check(edits: Edits) -> None:
        path.write_bytes(edited(whole[:begin], edits) + whole[begin:])
        try:
            tensor = open_gguf(path).head().tensor
            found = np.concatenate([block for _, block in Rows(tensor).blocks(7)])
        except InputError:
            return
        same_name = [other for other in gguf.GGUFReader(path).tensors if other.name == tensor.name]
        expected = gguf.dequantize(same_name[0].data, same_name[0].tensor_type)
        np.testing.assert_array_equal(found, expected)

    with np.errstate(invalid="ignore", over="ignore"):  # scales that are not finite are multiplied out
        fuzz(examples, check)
