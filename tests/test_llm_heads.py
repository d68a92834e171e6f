"""Which tensor is the head, in every container and family: bit-equal to transformers' own loading, few bytes read."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_hub import FakeHub
from huggingface_hub import constants
from tiny_checkpoints import build, model, save, without_head, write_config, write_weights
from transformers import AutoModelForCausalLM

from scaling.llm.checkpoint.files import Folder
from scaling.llm.checkpoint.heads import TensorNotFoundError, find_head
from scaling.llm.checkpoint.hub import Patience, Repository
from scaling.llm.checkpoint.store import load_head
from scaling.llm.checkpoint.tensor import Rows, UnsupportedCheckpointError


REPOSITORIES = [
    "facebook/opt-125m",
    "facebook/opt-6.7b",
    "facebook/opt-350m",
    "openai-community/gpt2",
    "Qwen/Qwen2.5-0.5B",
    "Qwen/Qwen2.5-7B",
    "EleutherAI/pythia-70m",
    "EleutherAI/pythia-160m",
    "EleutherAI/pythia-12b",
    "other/llama",
    "other/gemma",
    "other/mistral",
    "other/phi",
    "other/bloom",
    "other/olmo",
    "edge/tied-equal",
    "edge/tied-other",
    "edge/tied-head-only",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[str, int, int]]]:
    root = tmp_path_factory.mktemp("repositories")
    return root, build(root)


@pytest.fixture
def hub(made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "huggingface"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with FakeHub(made[0], renamed={"gpt2": "openai-community/gpt2"}) as hub:
        yield hub


def remote(hub: FakeHub, repo: str, revision: str = "main") -> Repository:
    return Repository(repo, revision, hub.url, Patience(answer=60, silence=60, tries=2, first_wait=0.01))


def by_transformers(folder: Path) -> torch.Tensor:
    return AutoModelForCausalLM.from_pretrained(folder, dtype="auto").get_output_embeddings().weight.detach()


def assert_bit_equal(rows: Rows, weight: torch.Tensor) -> None:
    stored = rows.stored(0, rows.shape[0])
    assert rows.shape == tuple(weight.shape)
    assert stored.tobytes() == weight.contiguous().view(torch.uint8).numpy().tobytes()
    np.testing.assert_array_equal(np.concatenate([block for _, block in rows.blocks(7)]), weight.float().numpy())


def test_every_repository_is_tested(made) -> None:
    assert sorted(made[1]) == sorted(REPOSITORIES)


@pytest.mark.parametrize("repo", REPOSITORIES)
def test_head_is_bit_equal_to_transformers_and_little_is_read(repo: str, made, hub: FakeHub, tmp_path: Path) -> None:
    root, heads = made
    name, nu, m = heads[repo]
    tensor, found = load_head(remote(hub, repo), tmp_path)
    assert (tensor.name, tensor.shape) == (name, (nu, m))
    assert_bit_equal(Rows(tensor), by_transformers(root / repo))
    assert found.bytes_read == hub.bytes_sent()
    assert found.bytes_read <= tensor.nbytes + 200_000
    assert found.commit == hub.commit(repo)
    assert found.bytes_checkpoint
    assert found.bytes_checkpoint >= tensor.nbytes
    # The second time nothing is asked, not even with a branch in place of a commit.
    hub.clear()
    again, source = load_head(remote(hub, repo), tmp_path)
    assert (hub.count(), source, again.file.name) == (0, found, tensor.file.name)


@pytest.mark.parametrize("repo", REPOSITORIES)
def test_local_folder_gives_the_same(repo: str, made, tmp_path: Path) -> None:
    root, heads = made
    tensor, found = load_head(Folder(root / repo), tmp_path)
    assert (tensor.name, tensor.shape) == (heads[repo][0], heads[repo][1:])
    assert_bit_equal(Rows(tensor), by_transformers(root / repo))
    assert (found.commit, list(tmp_path.iterdir())) == ("", [])


def test_tied_heads_are_reported(made) -> None:
    root, _ = made
    tied = {repo: find_head(Folder(root / repo)).tied for repo in REPOSITORIES}
    assert {repo for repo, answer in tied.items() if answer} == {
        repo for repo in REPOSITORIES if repo.startswith(("facebook", "openai", "edge"))
    } | {"Qwen/Qwen2.5-0.5B", "other/gemma", "other/bloom"}


def test_renamed_repository(hub: FakeHub, tmp_path: Path) -> None:
    assert load_head(remote(hub, "gpt2"), tmp_path)[0].shape == (320, 32)


def test_untied_without_a_head_is_an_error_never_a_random_matrix(tmp_path: Path) -> None:
    for kind in ("qwen2", "llama"):
        made = model(kind, torch.bfloat16, tie_word_embeddings=False, intermediate_size=64)
        write_config(tmp_path / kind, made.config, "bfloat16")
        write_weights(tmp_path / kind, without_head(made.state_dict()), "safetensors")
        with pytest.raises(TensorNotFoundError, match=r"not tied.*found model\.embed_tokens\.weight"):
            find_head(Folder(tmp_path / kind))


def test_a_view_into_a_larger_storage(made, tmp_path: Path) -> None:
    root, _ = made
    shutil.copytree(root / "EleutherAI/pythia-160m", tmp_path / "view")
    state = torch.load(tmp_path / "view/pytorch_model.bin", weights_only=True)
    whole = torch.randn(400, 32, generator=torch.Generator().manual_seed(0)).half()
    state["embed_out.weight"] = whole[40:360]
    save(tmp_path / "view/pytorch_model.bin", state, "bin")
    tensor, _ = load_head(Folder(tmp_path / "view"), tmp_path)
    assert tensor.crc32 is None
    assert_bit_equal(Rows(tensor), whole[40:360])


def test_a_matrix_not_stored_row_by_row_is_refused(made, tmp_path: Path) -> None:
    root, _ = made
    shutil.copytree(root / "EleutherAI/pythia-160m", tmp_path / "turned")
    state = torch.load(tmp_path / "turned/pytorch_model.bin", weights_only=True)
    state["embed_out.weight"] = torch.zeros(32, 320).half().T
    save(tmp_path / "turned/pytorch_model.bin", state, "bin")
    with pytest.raises(UnsupportedCheckpointError, match="row by row"):
        find_head(Folder(tmp_path / "turned"))


def test_format_before_torch_1_6_is_refused_by_name(made, tmp_path: Path) -> None:
    root, _ = made
    shutil.copytree(root / "EleutherAI/pythia-160m", tmp_path / "old")
    file = tmp_path / "old/pytorch_model.bin"
    torch.save(torch.load(file, weights_only=True), file, _use_new_zipfile_serialization=False)
    with pytest.raises(UnsupportedCheckpointError, match=r"before torch 1\.6"):
        find_head(Folder(tmp_path / "old"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "no-such-thing"}, "has no architecture 'no-such-thing'"),
        ({"model_type": ["llama"]}, "has no architecture"),
        ({}, "has no architecture"),
        ({"model_type": "llama", "hidden_size": "wide"}, "cannot build a causal language model"),
        ({"model_type": "t5"}, "cannot build a causal language model"),
        ({"model_type": "qwen2", "vocab_size": 400}, "not an output matrix for 400 tokens"),
    ],
)
def test_strange_config_is_named(config: dict, message: str, made, tmp_path: Path) -> None:
    root, _ = made
    shutil.copytree(root / "Qwen/Qwen2.5-0.5B", tmp_path / "strange")
    text = {"tie_word_embeddings": True, **config}
    (tmp_path / "strange/config.json").write_text(json.dumps(text))
    with pytest.raises(UnsupportedCheckpointError, match=message):
        find_head(Folder(tmp_path / "strange"))
