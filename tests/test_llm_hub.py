"""Every way in which a Hub goes wrong gives the right bytes or an error by name, never wrong bytes."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_hub import FakeHub
from huggingface_hub import constants
from tiny_checkpoints import two_containers

from scaling.command import InputError
from scaling.llm.checkpoint.files import MissingFileError
from scaling.llm.checkpoint.hub import (
    AccessDeniedError,
    BadAnswerError,
    NoConnectionError,
    Patience,
    RangeNotSupportedError,
    Repository,
    UnavailableError,
    UnknownModelError,
    UnknownRevisionError,
)
from scaling.llm.checkpoint.store import load_head
from scaling.llm.checkpoint.tensor import Rows


NU, M = 4000, 256
WEIGHTS = np.random.default_rng(0).standard_normal((NU, M)).astype(np.float32)
PATIENCE = Patience(answer=60, silence=60, tries=2, first_wait=0.01)
# For a Hub that stalls: it stalls until the client hangs up, so these decide how long a test takes, not how it ends.
IMPATIENCE = Patience(answer=0.3, silence=0.3, tries=2, first_wait=0.01)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_containers(tmp_path_factory.mktemp("repositories"), WEIGHTS)


@pytest.fixture
def hub(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "huggingface"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with FakeHub(root) as hub:
        yield hub


def remote(hub: FakeHub, repo: str = "org/safe", revision: str = "main", patience: Patience = PATIENCE) -> Repository:
    return Repository(repo, revision, hub.url, patience)


def head(hub: FakeHub, folder: Path, repo: str = "org/safe", patience: Patience = PATIENCE) -> np.ndarray:
    tensor, _ = load_head(remote(hub, repo, patience=patience), folder)
    return Rows(tensor).stored(0, NU)


REPOSITORIES = ["org/safe", "org/torch"]
WEIGHT_FILES = "org/*/*o*del.*"  # model.safetensors and pytorch_model.bin


# ---- faults that patience overcomes: the bytes are right, and few of them were sent twice


@pytest.mark.parametrize("repo", REPOSITORIES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"code": 503, "times": 2}),
        ("status", {"code": 500, "times": 1}),
        ("status", {"code": 429, "headers": {"Retry-After": "0"}, "times": 2}),
        ("status", {"code": 503, "times": 2, "method": "HEAD"}),
        ("status", {"code": 429, "headers": {"Retry-After": "0"}, "method": "HEAD"}),
        ("hang_up", {"method": "HEAD"}),
        ("short_range", {"times": 2}),
        ("length_long", {"times": 2}),
        ("length_short", {"times": 2}),
        ("cut", {"after": 2_000_000, "skip": 3}),
        ("reset", {"after": 2_000_000, "skip": 3}),
        ("cut", {"after": 0, "times": 2}),
    ],
    ids=str,
)
def test_transient_failures_are_overcome(repo: str, kind: str, options: dict, hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(WEIGHT_FILES, kind, **options)
    np.testing.assert_array_equal(head(hub, tmp_path, repo), WEIGHTS)
    assert hub.bytes_sent() < 2 * WEIGHTS.nbytes


@pytest.mark.parametrize("repo", REPOSITORIES)
def test_a_stalled_body_is_resumed(repo: str, hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(WEIGHT_FILES, "stall", after=20)
    patience = Patience(answer=60, silence=0.3, tries=1000, first_wait=0)  # a busy machine may be silent as long
    np.testing.assert_array_equal(head(hub, tmp_path, repo, patience), WEIGHTS)


def test_an_interrupted_body_is_resumed_where_it_stopped(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault("org/safe/model.safetensors", "cut", after=2_500_000, skip=1, times=1)
    np.testing.assert_array_equal(head(hub, tmp_path), WEIGHTS)
    assert hub.bytes_sent("org/safe/model.safetensors") <= WEIGHTS.nbytes + 33_000


def test_many_interruptions_are_tolerated_while_bytes_arrive(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault("org/safe/model.safetensors", "cut", after=1_100_000, skip=1, times=3)
    np.testing.assert_array_equal(head(hub, tmp_path), WEIGHTS)


def test_the_wait_follows_retry_after(hub: FakeHub, tmp_path: Path, waits: list[float]) -> None:
    hub.fault("org/safe/model.safetensors", "status", code=429, headers={"Retry-After": "7"})
    np.testing.assert_array_equal(head(hub, tmp_path), WEIGHTS)
    assert waits == [7]


def test_waits_are_bounded() -> None:
    patience = Patience()
    assert [patience.wait(tried, None) for tried in range(1, 6)] == [1, 2, 4, 8, 8]
    assert patience.wait(1, "3") == 3
    assert patience.wait(1, "86400") == 60
    assert patience.wait(1, "Wed, 21 Oct 2026 07:28:00 GMT") == 1


# ---- faults that are errors by name, and leave nothing behind


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("status", {"code": 503, "times": -1}, UnavailableError),
        ("status", {"code": 503, "times": -1, "method": "HEAD"}, UnavailableError),
        ("stall", {"times": -1, "method": "HEAD"}, UnavailableError),
        ("stall", {"times": -1}, UnavailableError),
        ("cut", {"after": 0, "times": -1}, UnavailableError),
        ("ignore_range", {"times": -1}, RangeNotSupportedError),
        ("wrong_range", {"times": -1}, BadAnswerError),
        ("gzip", {"times": -1}, BadAnswerError),
        ("status", {"code": 418, "times": -1}, BadAnswerError),
        ("drop_headers", {"headers": {"X-Repo-Commit": ""}, "times": -1, "method": "HEAD"}, BadAnswerError),
        ("drop_headers", {"headers": {"X-Linked-Size": ""}, "times": -1, "method": "HEAD"}, BadAnswerError),
    ],
    ids=str,
)
def test_named(kind: str, options: dict, error: type[InputError], hub: FakeHub, tmp_path: Path) -> None:
    hub.fault(WEIGHT_FILES, kind, **options)
    with pytest.raises(error) as caught:
        head(hub, tmp_path / "cache", patience=IMPATIENCE if kind == "stall" else PATIENCE)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/**/*.safetensors"))


def test_an_ignored_range_is_detected_before_the_file_is_read(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault("org/safe/model.safetensors", "ignore_range", skip=1, times=-1)
    with pytest.raises(RangeNotSupportedError, match="hf download"):
        head(hub, tmp_path)


def test_a_body_that_is_always_too_short_is_given_up(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault("org/safe/model.safetensors", "cut", after=100_000, skip=1, times=-1)
    with pytest.raises(UnavailableError, match="are missing after 3 tries"):
        head(hub, tmp_path)


def test_flipped_byte_in_a_torch_archive_is_caught_and_not_kept(hub: FakeHub, tmp_path: Path) -> None:
    hub.fault("org/torch/pytorch_model.bin", "corrupt", at=1_000_000, times=-1)
    with pytest.raises(BadAnswerError, match="CRC-32"):
        head(hub, tmp_path / "cache", "org/torch")
    assert not list(tmp_path.glob("cache/**/*.safetensors"))


# ---- refusals


def test_missing_and_private_models(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="no such model"):
        head(hub, tmp_path, "org/none")
    hub.private.add("org/safe")
    with pytest.raises(UnknownModelError, match="private"):
        head(hub, tmp_path)


def test_missing_revision_and_file(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(UnknownRevisionError, match="no revision 'v9'"):
        remote(hub, revision="v9").open("config.json")
    with pytest.raises(MissingFileError, match=r"no file none\.json"):
        remote(hub).open("none.json")


def test_redirects_in_a_circle(hub: FakeHub) -> None:
    hub.renamed["org/round"] = "org/round"
    with pytest.raises(BadAnswerError, match="too many redirects"):
        remote(hub, "org/round").open("config.json")


def test_an_invalid_id_is_refused(hub: FakeHub) -> None:
    for repo in ("a/b/c", "../etc", "a b", ""):
        with pytest.raises(InputError, match="not a Hub id"):
            remote(hub, repo)


def test_gated_model_without_and_with_a_token(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.gated.add("org/safe")
    caplog.set_level("DEBUG")
    with pytest.raises(AccessDeniedError, match="gated; accept its terms"):
        head(hub, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(AccessDeniedError, match="gated"):
        head(hub, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(AccessDeniedError, match="does not accept your token") as caught:
        head(hub, tmp_path)
    assert "hf_wrong" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    np.testing.assert_array_equal(head(hub, tmp_path), WEIGHTS)
    assert hub.leaked_tokens == 0
    assert not any(word in caplog.text for word in ("hf_good", "hf_other", "hf_wrong"))


# ---- no network


@pytest.mark.parametrize("offline", [False, True])
def test_without_a_network_the_command_says_what_to_do(offline: bool, refusing_address: str, tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "HF_ENDPOINT": refusing_address,
        "HF_HUB_OFFLINE": str(int(offline)),
    }
    command = [sys.executable, "-m", "scaling.llm.overlaps", "--model", "EleutherAI/pythia-70m", "--output", "row.csv"]
    source = str(Path(__file__).parents[1])
    done = subprocess.run(
        command, env={**environment, "PYTHONPATH": source}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: EleutherAI/pythia-70m: ")
    assert "Connect this machine, or set HF_ENDPOINT to a mirror, or name a local folder" in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "row.csv").exists()


def test_no_connection_is_reported_at_once(refusing_address: str, waits: list[float]) -> None:
    assert Patience().answer <= 5  # seconds until an address that does not even refuse is given up
    with pytest.raises(NoConnectionError):
        Repository("org/safe", "main", refusing_address).open("config.json")
    assert waits == []


@pytest.mark.parametrize("repo", REPOSITORIES)
@pytest.mark.parametrize("sharded", [False, True])
def test_the_hugging_face_cache_needs_no_network(
    repo: str, sharded: bool, root: Path, tmp_path: Path, refusing_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "huggingface"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    commit = hashlib.sha1(b"").hexdigest()
    (cache / "models--org--x/refs").mkdir(parents=True)
    (cache / "models--org--x/refs/main").write_text(commit)
    folder = shutil.copytree(root / repo, cache / "models--org--x/snapshots" / commit)
    if sharded:
        (file,) = folder.glob("*model.*")
        index = {"weight_map": {"lm_head.weight": f"shard-1{file.suffix}"}}
        (folder / f"{file.name}.index.json").write_text(json.dumps(index))
        file.rename(folder / f"shard-1{file.suffix}")
    nowhere = Repository("org/x", "main", refusing_address, PATIENCE)
    tensor, found = load_head(nowhere, tmp_path / "heads")
    np.testing.assert_array_equal(Rows(tensor).stored(0, NU), WEIGHTS)
    assert found.commit == commit
    with pytest.raises(NoConnectionError):
        load_head(Repository("org/y", "main", nowhere.endpoint, PATIENCE), tmp_path / "heads")


# ---- what was kept


def test_kept_head_that_changed_on_the_disk_is_read_again(hub: FakeHub, tmp_path: Path) -> None:
    head(hub, tmp_path)
    (kept,) = tmp_path.glob("**/*.safetensors")
    content = bytearray(kept.read_bytes())
    for damaged in (content[:-1] + bytes([content[-1] ^ 1]), content[:-100], b"", b"\xff" * 100):
        kept.write_bytes(damaged)
        hub.clear()
        np.testing.assert_array_equal(head(hub, tmp_path), WEIGHTS)
        assert hub.count() > 0
        assert kept.read_bytes() == content


def test_later_requests_are_for_the_commit_of_the_first(hub: FakeHub, tmp_path: Path) -> None:
    repository = remote(hub)
    repository.open("config.json")
    repository.commit = "0" * 40
    with pytest.raises(UnknownRevisionError):
        repository.open("model.safetensors")
