"""What a Hub, a checkpoint or a config may not do: run code, leak a token, leave its folder, fill the memory."""

import builtins
import json
import logging
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_hub import FakeHub
from huggingface_hub import constants
from tiny_checkpoints import two_containers

from scaling.command import InputError, whole_file
from scaling.llm.checkpoint import heads
from scaling.llm.checkpoint.files import BadFileError, Folder, plain
from scaling.llm.checkpoint.hub import Patience, Repository, UnavailableError
from scaling.llm.checkpoint.store import keep, load_head, local_copy
from scaling.llm.checkpoint.tensor import UnsupportedCheckpointError


ROOT = Path(__file__).parents[1]
WEIGHTS = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
TOKEN = "hf_secret0123456789"
ASTRAY = ["../out", "/etc/passwd", "a/b", "a\\b", "..", ".", ".hidden", "", "a\0b", "a\nb", "~root", "x" * 5000, "é"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return two_containers(tmp_path / "repositories", WEIGHTS)


@pytest.fixture
def hub(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "huggingface"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    with FakeHub(root) as hub:
        yield hub


def remote(hub: FakeHub, repo: str = "org/safe", revision: str = "main") -> Repository:
    return Repository(repo, revision, hub.url, Patience(answer=60, silence=60, tries=1, first_wait=0.01))


def test_nothing_in_the_package_unpickles_or_evaluates() -> None:
    words = (
        "pickle.load",
        "torch.load",
        "np.load(",
        "allow_pickle",
        "read_pickle",
        "joblib",
        "yaml.load(",
        " eval(",
        " exec(",
    )
    for file in (ROOT / "scaling").rglob("*.py"):
        text = file.read_text()
        assert not [word for word in words if word in text], file


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return builtins.exec, ("raise SystemExit('it ran')",)


def test_a_pickle_with_code_is_refused(root: Path) -> None:
    with zipfile.ZipFile(root / "org/torch/pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"lm_head.weight": Evil()}, protocol=2))
    with pytest.raises(UnsupportedCheckpointError, match="not a plain set of tensors"):
        load_head(Folder(root / "org/torch"), root)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_code_named_by_a_config_is_not_loaded(kind: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """auto_map, attention kernels and quantisers name modules to load; transformers would ask on the terminal."""
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("asked whether to run code"))
    folder = root / "org/safe"
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    config = {
        "model_type": kind,
        "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        "_attn_implementation": "owner/kernel",
        "attn_implementation": "owner/kernel",
        "quantization_config": {"quant_method": "owner/method"},
        "_name_or_path": str(folder),
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 64,
        "hidden_size": 8,
    }
    (folder / "config.json").write_text(json.dumps(config))
    try:
        tensor, _ = load_head(Folder(folder), root)
    except UnsupportedCheckpointError:
        assert kind == "t5"
    else:
        assert tensor.shape == WEIGHTS.shape


@pytest.mark.parametrize("token", [TOKEN, f"{TOKEN}\n", "hf_good"])
def test_no_token_in_logs_tables_errors_or_files(token: str, hub: FakeHub, tmp_path: Path) -> None:
    """Of a model that can be read, a gated one, one that is missing, and a Hub that fails."""
    hub.gated.add("org/torch")
    hub.fault("org/safe/model.safetensors", "status", code=500)
    secret, printed = token.strip(), ""
    for repo in ("org/safe", "org/torch", "org/none"):
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": token,
            "HF_HUB_VERBOSITY": "debug",
        }
        command = [sys.executable, "-m", "scaling.llm.overlaps", "--model", repo, "--record-failure"]
        done = subprocess.run(
            [*command, "--cache", "kept", "--output", f"{repo.replace('/', '-')}.csv"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        printed += done.stdout + done.stderr
    assert printed
    assert secret not in printed
    assert len(list(tmp_path.glob("*.csv"))) == 3
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if secret.encode() in path.read_bytes()]
    assert hub.leaked_tokens == 0


def test_debug_logs_hold_no_token(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InputError) as caught:
        load_head(remote(hub), tmp_path / "kept")
    assert TOKEN not in str(caught.value) + caplog.text


@pytest.mark.parametrize("name", ASTRAY)
def test_file_names_that_leave_the_folder_are_refused(name: str, root: Path, hub: FakeHub, tmp_path: Path) -> None:
    """From an index of shards, in a folder and on the Hub: nothing is asked for, nothing written outside."""
    with pytest.raises(BadFileError, match="plain file name"):
        plain(name, "x")
    folder = root / "org/safe"
    (folder / "model.safetensors").rename(folder / "hidden.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    before = {path for path in tmp_path.rglob("*") if "kept" not in path.parts}
    for source in (Folder(folder), remote(hub)):
        with pytest.raises(BadFileError, match="plain file name"):
            load_head(source, tmp_path / "kept")
    assert {path for path in tmp_path.rglob("*") if "kept" not in path.parts} <= before | {tmp_path / "huggingface"}
    with pytest.raises(BadFileError, match="plain file name"):
        local_copy(remote(hub), name, tmp_path / "kept")


def test_invalid_repositories_and_revisions_are_refused(hub: FakeHub) -> None:
    for repo in ("../x", "a/../b", "/etc", "a/b/c", "a\0b", "x" * 300):
        with pytest.raises(InputError, match="not a Hub id"):
            remote(hub, repo)
    with pytest.raises(InputError, match="not a branch, tag or commit"):
        remote(hub, revision="../../models--other--x/refs/main")


def test_a_link_where_a_file_is_to_be_kept_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "kept").symlink_to(tmp_path / "outside")
    with whole_file(tmp_path / "kept") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "outside").read_text() == "untouched"
    assert not (tmp_path / "kept").is_symlink()


def sparse(path: Path, begin: bytes, size: int) -> None:
    """A file that claims to be large, and takes no room."""
    with path.open("wb") as handle:
        handle.write(begin)
        handle.truncate(size)


def test_sizes_are_bounded_before_anything_is_allocated(root: Path) -> None:
    folder = root / "org/safe"
    huge = 1 << 42
    for length in (huge - 8, 1 << 26, (1 << 64) - 1):
        sparse(folder / "model.safetensors", struct.pack("<Q", length), huge)
        with pytest.raises(InputError, match="not a safetensors file"):
            load_head(Folder(folder), root)
    for shape in ([1 << 36, 16], [16, 1 << 36]):
        entry = {"lm_head.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, huge]}}
        header = json.dumps(entry).encode()
        sparse(folder / "model.safetensors", struct.pack("<Q", len(header)) + header, 8 + len(header) + huge)
        with pytest.raises(InputError, match="not an output matrix"):
            load_head(Folder(folder), root)
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    sparse(folder / "config.json", b"{", huge)
    with pytest.raises(BadFileError, match="at most"):
        load_head(Folder(folder), root)
    sparse(root / "org/torch/pytorch_model.bin", b"PK\x03\x04", huge)
    with pytest.raises(UnsupportedCheckpointError, match="not a torch archive"):
        load_head(Folder(root / "org/torch"), root)


@pytest.mark.parametrize("repo", ["org/safe", "org/torch"])
def test_a_hub_that_fails_is_not_taken_for_a_corrupt_file(repo: str, hub: FakeHub, tmp_path: Path) -> None:
    for file in ("config.json", "*o*del.*"):
        hub.clear()
        hub.fault(f"{repo}/{file}", "status", code=503, times=-1)
        with pytest.raises(UnavailableError):
            load_head(remote(hub, repo), tmp_path / "kept")


def test_a_config_cannot_request_too_many_layers(root: Path) -> None:
    for config in ({"num_hidden_layers": 10**9}, {"text_config": {"n_layer": 10**9}}, {"num_local_experts": 10**9}):
        (root / "org/safe/config.json").write_text(json.dumps({"model_type": "mixtral", **config}))
        with pytest.raises(UnsupportedCheckpointError, match="at most 2000"):
            load_head(Folder(root / "org/safe"), root)
    (root / "org/safe/config.json").write_text(json.dumps({"model_type": "llama", "num_attention_heads": 0}))
    with pytest.raises(UnsupportedCheckpointError, match="cannot build a causal language model"):
        load_head(Folder(root / "org/safe"), root)


def test_a_pickle_of_many_marks_takes_linear_time(root: Path) -> None:
    content = b"\x80\x02" + b"K\x01" * 300_000 + b"(t" * 300_000 + b"."
    with zipfile.ZipFile(root / "org/torch/pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    with pytest.raises(heads.TensorNotFoundError):
        load_head(Folder(root / "org/torch"), root)


def test_a_full_disk_is_reported_before_a_head_is_fetched(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor, found = load_head(Folder(root / "org/safe"), root)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(InputError, match=f"{tensor.nbytes} bytes are needed, but 100 are free"):
        keep(tensor, found, tmp_path / "kept" / "x.safetensors")
