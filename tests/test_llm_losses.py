"""Losses of language models: those of transformers and of a plain float64 loop, however windows are cut and batched."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny_checkpoints
import torch
from fake_hub import FakeHub
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from scaling import command, tables
from scaling.command import InputError
from scaling.llm import losses
from scaling.llm.documents import Document, write_documents
from scaling.llm.family.vocabulary import byte_pairs
from scaling.llm.losses import Loss, Request, evaluate, measure
from scaling.llm.windows import Window, Windows, batches, cut_documents, tokenize


TEXTS = [
    "It is a truth universally acknowledged, that a reader in possession of a table must be in want of a number.",
    "Überraschung: naïve façade, 平均 loss ≤ 1 — twice.",
    "Short.",
    "However little known the feelings of such a reader may be on first entering a repository, " * 3,
]
# The paper's four families; OPT with its projection, too.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 16, "do_layer_norm_before": False, "max_position_embeddings": 64},
    "gpt2": {"n_positions": 64},
    "qwen2": {"intermediate_size": 64, "max_position_embeddings": 64, "num_key_value_heads": 2},
    "gpt_neox": {"intermediate_size": 64, "max_position_embeddings": 64},
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=byte_pairs(TEXTS * 3, 300), bos_token="<|endoftext|>")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Any:
    made = tiny_checkpoints.model(request.param, torch.float32, **ARCHITECTURES[request.param]).eval()
    with torch.no_grad():  # so that tokens differ in probability
        made.get_output_embeddings().weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
    return made


@pytest.fixture
def checkpoint(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A GPT-2 of 64 positions with its tokenizer, and a text beside it."""
    folder = tmp_path / "org" / "model"
    tiny_checkpoints.model("gpt2", torch.float32, n_positions=64).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_documents([Document(str(i), text) for i, text in enumerate(TEXTS)], tmp_path / "text.jsonl")
    return folder


def reference(model: Any, tokenizer: PreTrainedTokenizerFast, windows: Windows) -> tuple[float, int]:
    """Nats and tokens, one token at a time in float64: its prefix alone goes through the model, without padding."""
    double = type(model)(model.config).eval().double()
    double.load_state_dict({name: value.double() for name, value in model.state_dict().items()})
    nats, tokens = 0.0, 0
    for text in TEXTS:
        ids = torch.tensor(tokenizer(text).input_ids)
        for start, stop, scored in windows.cut(len(ids)):
            for t in range(scored, stop):
                with torch.no_grad():
                    logits = double(input_ids=ids[None, start:t]).logits[0, -1]
                nats -= float(torch.log_softmax(logits, 0)[ids[t]])
                tokens += 1
    return nats, tokens


def test_unpadded_windows_give_the_loss_of_transformers(model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    windows = Windows("fixed", 24)
    loss = measure(model, tokenizer, TEXTS, windows, batch_tokens=24)
    assert loss.tokens.sum() > 100
    for document, text in enumerate(TEXTS):
        ids = torch.tensor(tokenizer(text).input_ids)
        whole = [ids[None, start : start + 24] for start in range(0, len(ids) - 23, 24)]
        with torch.no_grad():
            theirs = sum(23 * float(model(input_ids=window, labels=window).loss) for window in whole)
        assert loss.nats[document] == pytest.approx(theirs, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("windows", [Windows("first", 40), Windows("fixed", 24), Windows("strided", 32, 12)])
def test_padding_and_strides_give_the_loss_of_a_plain_loop(
    model: Any, tokenizer: PreTrainedTokenizerFast, windows: Windows
) -> None:
    loss = measure(model, tokenizer, TEXTS, windows, batch_tokens=150)
    nats, tokens = reference(model, tokenizer, windows)
    assert loss.tokens.sum() == tokens
    assert loss.per(loss.tokens)[0] == pytest.approx(nats / tokens, rel=1e-5)


@given(st.integers(2, 40), st.integers(1, 39), st.integers(0, 200))
def test_strided_windows_score_every_token_once(size: int, stride: int, length: int) -> None:
    stride = min(stride, size - 1)
    scored = []
    for start, stop, first in Windows("strided", size, stride).cut(length):
        assert 0 <= start < first < stop <= length
        assert stop - start <= size
        assert first == 1 or first - start >= size - stride
        scored += range(first, stop)
    assert scored == list(range(1, length))


@given(st.integers(2, 40), st.integers(0, 200))
def test_other_windows_are_as_they_say(size: int, length: int) -> None:
    first = list(Windows("first", size).cut(length))
    assert first == ([(0, min(size, length), 1)] if length > 1 else [])
    fixed = list(Windows("fixed", size).cut(length))
    assert fixed == [(size * i, size * (i + 1), size * i + 1) for i in range(length // size)]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 200))
def test_batches_hold_every_window_within_the_budget(lengths: list[int], budget: int) -> None:
    windows = [Window(i, np.zeros(length, np.int64), 1, 0) for i, length in enumerate(lengths)]
    found = list(batches(windows, budget))
    assert sorted(window.document for batch in found for window in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(len(w.ids) for w in batch) <= budget for batch in found)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), min_size=1, max_size=5))
def test_bytes_of_tokens_add_up_to_the_text(texts: list[str]) -> None:
    made = PreTrainedTokenizerFast(tokenizer_object=byte_pairs(TEXTS * 3, 300), bos_token="<|endoftext|>")
    for text, (ids, n_bytes) in zip(texts, tokenize(texts, made), strict=True):
        assert len(ids) == len(n_bytes)
        assert n_bytes.sum() == len(text.encode())
        assert (n_bytes >= 0).all()


def test_standard_error_is_over_documents() -> None:
    rng = np.random.default_rng(0)
    nats = rng.normal(3, 0.5, 400)
    same = Loss(10 * nats, np.full(400, 10.0), np.full(400, 40.0))
    assert same.per(same.tokens) == (pytest.approx(nats.mean()), pytest.approx(nats.std(ddof=1) / 20))
    assert same.per(same.n_bytes)[0] == pytest.approx(nats.mean() / 4)
    assert np.isnan(Loss(*(np.ones(1),) * 3).per(np.ones(1))[1])


def test_standard_error_covers_documents_of_any_length() -> None:
    rng = np.random.default_rng(1)
    errors, said = [], []
    for _ in range(300):
        tokens = rng.integers(1, 100, 60).astype(float)
        loss = Loss(tokens * (3 + rng.normal(0, 0.3, 60)), tokens, tokens)
        mean, stderr = loss.per(tokens)
        errors.append(mean - 3)
        said.append(stderr)
    assert np.std(errors) == pytest.approx(np.mean(said), rel=0.15)


@pytest.mark.parametrize(
    ("kind", "size", "stride", "message"),
    [
        ("whole", 8, 0, "must be first, fixed or strided"),
        ("first", 1, 0, "at least 2"),
        ("strided", 8, 0, "between 1 and 7"),
        ("strided", 8, 8, "between 1 and 7"),
    ],
)
def test_impossible_windows_are_named(kind: str, size: int, stride: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Windows(kind, size, stride)


def test_texts_and_tokenizers_that_do_not_fit_are_named(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match=r"longest of 1 documents has \d+ tokens, but a window needs 50"):
        cut_documents(["Short."], tokenizer, Windows("fixed", 50), 300)
    with pytest.raises(InputError, match="has 1 tokens, but a window needs 2"):
        cut_documents([""], tokenizer, Windows("first", 50), 300)
    with pytest.raises(InputError, match=r"not in the model's vocabulary \(100 tokens\)"):
        cut_documents(TEXTS, tokenizer, Windows("first", 50), 100)


def request(checkpoint: Path, **changes: Any) -> Request:
    given = {"model": "org/model", "family": "gpt2", "dataset": "text", "text": checkpoint.parents[1] / "text.jsonl"}
    return Request(**{**given, "windows": Windows("strided", 64, 32), "path": checkpoint, **changes})


def test_every_column_is_measured(checkpoint: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    row = evaluate(request(checkpoint))
    assert (row["m"], row["window"], row["dtype"], row["n_documents"]) == (32, 64, "float32", 4)
    assert row["n_tokens"] == sum(len(tokenizer(text).input_ids) - 1 for text in TEXTS)
    assert row["n_bytes"] == sum(len(text.encode()) for text in TEXTS)
    assert row["loss"] * row["n_tokens"] == pytest.approx(row["loss_per_byte"] * row["n_bytes"])
    assert evaluate(request(checkpoint, documents=2))["n_documents"] == 2
    assert evaluate(request(checkpoint, windows=Windows("first", 2048)))["window"] == 64  # the model's context


def test_half_precision_is_close(checkpoint: Path) -> None:
    row = evaluate(request(checkpoint, dtype="bfloat16"))
    assert row["dtype"] == "bfloat16"
    assert row["loss"] == pytest.approx(evaluate(request(checkpoint))["loss"], rel=1e-2)


def damage(checkpoint: Path, what: str) -> dict[str, Any]:
    """Break something; returns what of the request changes."""
    match what:
        case "weights":
            model = tiny_checkpoints.model("gpt2", torch.float32, n_positions=64)
            model.transformer.wte.weight.data[3] = float("nan")
            model.save_pretrained(checkpoint)
        case "cut":
            file = checkpoint / "model.safetensors"
            file.write_bytes(file.read_bytes()[:-100])
        case "no config":
            (checkpoint / "config.json").unlink()
        case "no tokenizer":
            (checkpoint / "tokenizer.json").unlink()
            (checkpoint / "tokenizer_config.json").unlink()
        case "unknown architecture":
            (checkpoint / "config.json").write_text(json.dumps({"model_type": "nothing"}))
        case "no folder":
            return {"path": checkpoint / "nowhere"}
        case "no text":
            return {"text": checkpoint / "nowhere.jsonl"}
    return {}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("weights", "the loss is not finite"),
        ("cut", "org/model: cannot be loaded"),
        ("no config", "org/model: cannot be loaded"),
        ("no tokenizer", "org/model: cannot be loaded"),
        ("unknown architecture", "org/model: cannot be loaded"),
        ("no folder", "nowhere: no such folder"),
        ("no text", r"nowhere\.jsonl: no such text"),
    ],
)
def test_what_cannot_be_evaluated_is_a_row_with_its_reason(checkpoint: Path, what: str, message: str) -> None:
    asked = request(checkpoint, **damage(checkpoint, what))
    with pytest.raises(InputError, match=message):
        evaluate(asked)
    row = tables.validate("llm_losses", pd.DataFrame([losses.record(asked, attempt=2)]), "test").iloc[0]
    assert (row["status"], row["attempt"], row["model"], row["dataset"]) == ("failed", 2, "org/model", "text")
    assert row["reason"]
    assert np.isnan(row["loss"])


def test_a_model_that_does_not_fit_reports_the_size_it_needs(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "free_memory", lambda _: 10**5)
    with pytest.raises(InputError, match=r"0\.0 GB of weights in float32 .* 0\.0 GB are free \(cpu\); use a larger"):
        evaluate(request(checkpoint))


def test_the_command_writes_the_row(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "row.csv"
    arguments = ["--model", "org/model", "--path", checkpoint, "--text", tmp_path / "text.jsonl", "--dataset", "text"]
    options = ["--windows", "strided", "--window", "64", "--stride", "32", "--output", output]
    monkeypatch.setattr(sys, "argv", ["losses", *map(str, arguments), *map(str, options)])
    command.run(losses.main)
    (row,) = tables.read("llm_losses", output).to_dict("records")
    assert row["loss"] == pytest.approx(evaluate(request(checkpoint))["loss"])
    assert row["stride"] == 32
    output.unlink()
    monkeypatch.setattr(sys, "argv", [*sys.argv[:4], str(tmp_path / "nowhere"), *sys.argv[5:]])
    with pytest.raises(SystemExit, match="no such folder"):
        command.run(losses.main)
    assert not output.exists()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--record-failure"])
    command.run(losses.main)
    assert tables.read("llm_losses", output)["status"].item() == "failed"


def test_the_command_writes_a_row_per_model(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "rows.csv"
    arguments = ["--model", "a", "b", "--path", checkpoint, checkpoint, "--text", tmp_path / "text.jsonl"]
    options = ["--dataset", "text", "--windows", "first", "--window", "64", "--output", output]
    monkeypatch.setattr(sys, "argv", ["losses", *map(str, arguments), *map(str, options)])
    command.run(losses.main)
    rows = tables.read("llm_losses", output)
    assert list(rows["model"]) == ["a", "b"]
    assert rows["loss"].nunique() == 1
    monkeypatch.setattr(sys, "argv", ["losses", *map(str, arguments[:5]), *map(str, arguments[6:] + options)])
    with pytest.raises(SystemExit, match="1 paths for 2 models; give one per model"):
        command.run(losses.main)


# ---- from a Hub, in a process of its own, whose endpoint is another


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[FakeHub]:
    with FakeHub(checkpoint.parents[1]) as hub:
        yield hub


def from_hub(endpoint: str, tmp_path: Path, model: str = "org/model") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    environment["PYTHONPATH"] = str(Path(losses.__file__).parents[2])
    environment.pop("HF_TOKEN", None)
    line = [sys.executable, "-m", "scaling.llm.losses", "--model", model, "--text", str(tmp_path / "text.jsonl")]
    options = ["--dataset", "text", "--windows", "strided", "--window", "64", "--stride", "32"]
    return subprocess.run(
        [*line, *options, "--output", str(tmp_path / "row.csv")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_of_the_hub_is_evaluated_at_its_commit(hub: FakeHub, checkpoint: Path, tmp_path: Path) -> None:
    done = from_hub(hub.url, tmp_path)
    assert done.returncode == 0, done.stderr
    row = tables.read("llm_losses", tmp_path / "row.csv").iloc[0]
    assert row["revision"] == hub.commit("org/model")
    assert row["source"] == "hub"
    assert row["loss"] == pytest.approx(evaluate(request(checkpoint))["loss"])


@pytest.mark.parametrize(("case", "message"), [("gated", "gated; accept its terms"), ("offline", "no connection to")])
def test_a_hub_that_does_not_give_it_is_one_line(
    hub: FakeHub, refusing_address: str, tmp_path: Path, case: str, message: str
) -> None:
    hub.gated.add("org/model")
    done = from_hub(hub.url if case == "gated" else refusing_address, tmp_path)
    assert done.returncode == 1
    assert message in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "row.csv").exists()


@pytest.mark.parametrize("name", ["tpu", "gpu0", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match="cannot be used on this machine"):
        losses.chosen_device(name)
    assert losses.chosen_device("cpu").type == "cpu"
