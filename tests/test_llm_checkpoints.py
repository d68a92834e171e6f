"""Checkpoints that are not what they say are refused by name, and nothing in a pickle runs."""

import contextlib
import json
import pickle
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tiny_checkpoints import two_containers

from scaling.llm.checkpoint.files import BadFileError, Folder, LocalFile, plain, read
from scaling.llm.checkpoint.heads import find_head
from scaling.llm.checkpoint.store import load_head
from scaling.llm.checkpoint.tensor import UnsupportedCheckpointError
from scaling.llm.checkpoint.torch_file import TorchFile, parse


WEIGHTS = np.random.default_rng(0).standard_normal((4000, 256)).astype(np.float32)
REPOSITORIES = ["org/safe", "org/torch"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_containers(tmp_path_factory.mktemp("repositories"), WEIGHTS)


def test_misleading_names_are_refused(root: Path, tmp_path: Path) -> None:
    for name in ("../secret", "/etc/passwd", "a/b", "..", ".hidden", "", "a\\b", "a\nb"):
        with pytest.raises(BadFileError, match="plain file name"):
            plain(name, "org/safe")
    folder = shutil.copytree(root / "org/safe", tmp_path / "astray")
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"lm_head.weight": "../../org/safe/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadFileError, match="plain file name"):
        load_head(Folder(folder), tmp_path)


@pytest.mark.parametrize(
    "content", ["[]", "{", "null", '{"weight_map": 3}', '{"weight_map": {"lm_head.weight": 1}}', ""]
)
def test_broken_index(content: str, root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(root / "org/safe", tmp_path / "broken")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(UnsupportedCheckpointError):
        load_head(Folder(folder), tmp_path)


def test_index_that_names_the_wrong_file(root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(root / "org/safe", tmp_path / "wrong")
    (folder / "model.safetensors").unlink()
    save_file({"a": np.zeros(3, np.float32)}, folder / "model-1.safetensors")
    index = {"weight_map": {"lm_head.weight": "model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnsupportedCheckpointError, match="which the index lists"):
        load_head(Folder(folder), tmp_path)


@pytest.mark.parametrize("repo", REPOSITORIES)
@pytest.mark.parametrize("kept", [0, 5, 100, 70_000, -1])
def test_cut_file(repo: str, kept: int, root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(root / repo, tmp_path / "cut")
    (file,) = folder.glob("*model.*")
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UnsupportedCheckpointError, match=r"truncated|not a safetensors file|not a torch archive"):
        load_head(Folder(folder), tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["vocab_size", "tie_word_embeddings", "text_config"], JSON)))
@settings(max_examples=100)
def test_any_config_is_read_or_refused(root: Path, config: dict) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "config.json").write_text(json.dumps({"model_type": "gpt2", **config}))
        (Path(name) / "model.safetensors").symlink_to(root / "org/safe/model.safetensors")
        with contextlib.suppress(UnsupportedCheckpointError):
            find_head(Folder(Path(name)))


def test_reads_are_bounded(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(BadFileError, match="at most"):
        read(LocalFile(tmp_path / "sparse"), 0, 1 << 40)
    with pytest.raises(BadFileError, match="truncated or corrupt"):
        read(LocalFile(tmp_path / "sparse"), 1 << 40, 1)


def test_flipped_byte_in_a_local_torch_archive_is_caught(root: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(root / "org/torch", tmp_path / "torch")
    content = bytearray((folder / "pytorch_model.bin").read_bytes())
    content[2_000_000] ^= 0xFF
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UnsupportedCheckpointError, match="CRC-32"):
        load_head(Folder(folder), tmp_path)


# ---- pickles


class Evil:
    def __reduce__(self):
        return (open, ("evil", "w"))


def archive(path: Path, content: bytes, **members: bytes) -> TorchFile:
    with zipfile.ZipFile(path, "w") as handle:
        handle.writestr("archive/data.pkl", content)
        for name, member in members.items():
            handle.writestr(f"archive/{name}", member)
    return TorchFile(LocalFile(path))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"lm_head.weight": Evil()}, protocol=2),
        pickle.dumps({"lm_head.weight": np.zeros(2)}, protocol=2),
        b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n](K\x01etQ.",
        b"\x80\x02r\xff\xff\xff\xff.",
        b"\x80\x02R.",
        b"\x80\x02K\x01",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"nonsense",
        b"",
    ],
)
def test_nothing_in_a_pickle_runs(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedCheckpointError, match="not a plain set of tensors"):
        archive(tmp_path / "x.bin", content)
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


@given(st.binary(max_size=200), st.integers(0, 10_000))
@settings(max_examples=200)
def test_any_pickle_is_read_or_refused(noise: bytes, place: int) -> None:
    good = pickle.dumps({"a": [1, 2, (3, "x")], "b": 1.5}, protocol=2)
    place %= len(good)
    with contextlib.suppress(UnsupportedCheckpointError):
        parse(good[:place] + noise + good[place:], "x")
    assert parse(good, "x") == {"a": [1, 2, (3, "x")], "b": 1.5}


def test_a_nest_of_shared_tuples_costs_nothing(tmp_path: Path) -> None:
    nest = b"\x80\x02K\x01" + b"q\x00h\x00\x86" * 200 + b"."  # 2^200 leaves, were it ever written out
    assert archive(tmp_path / "x.bin", nest).names == []
    with pytest.raises(UnsupportedCheckpointError, match="not a plain set of tensors"):
        archive(tmp_path / "y.bin", nest[:-1] + b"Q.")


def test_other_archives_are_refused(root: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "none.bin", "w") as handle:
        handle.writestr("a.txt", "x")
    with pytest.raises(UnsupportedCheckpointError, match="it has 0 members"):
        TorchFile(LocalFile(tmp_path / "none.bin"))
    with zipfile.ZipFile(tmp_path / "packed.bin", "w", zipfile.ZIP_DEFLATED) as handle:
        handle.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
    with pytest.raises(UnsupportedCheckpointError, match="compressed"):
        TorchFile(LocalFile(tmp_path / "packed.bin"))
    with pytest.raises(UnsupportedCheckpointError, match="big-endian"):
        archive(tmp_path / "big.bin", pickle.dumps({}, protocol=2), byteorder=b"big")
    good = TorchFile(LocalFile(root / "org/torch/pytorch_model.bin"))
    view = good.views["lm_head.weight"]
    for wrong in (
        replace(view, offset=1),
        replace(view, offset=-1),
        replace(view, storage=replace(view.storage, key="9")),
        replace(view, storage=replace(view.storage, length=5)),
        replace(view, storage=replace(view.storage, dtype="LongStorage")),
    ):
        good.views["lm_head.weight"] = wrong
        with pytest.raises(UnsupportedCheckpointError, match=r"storage|supported are"):
            good.tensor("lm_head.weight")
