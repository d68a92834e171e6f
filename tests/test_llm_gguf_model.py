"""A whole model in one GGUF file: its tokenizer and its loss are those of the model it was made from."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_checkpoints
import torch
from gguf import GGUFWriter
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from scaling.command import InputError
from scaling.llm.checkpoint.tokenizer_file import gguf_tokenizer, tokenizer_size
from scaling.llm.documents import Document, write_documents
from scaling.llm.family.vocabulary import byte_pairs
from scaling.llm.losses import Request, evaluate
from scaling.llm.windows import Windows


TEXTS = ["It is a truth universally acknowledged, " * 3, "that a reader must be in want of a number: ≤ 1. " * 3]
NAMES = {  # of transformers: of llama.cpp
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers.0.input_layernorm": "blk.0.attn_norm",
    "model.layers.0.post_attention_layernorm": "blk.0.ffn_norm",
    "model.layers.0.self_attn.q_proj": "blk.0.attn_q",
    "model.layers.0.self_attn.k_proj": "blk.0.attn_k",
    "model.layers.0.self_attn.v_proj": "blk.0.attn_v",
    "model.layers.0.self_attn.o_proj": "blk.0.attn_output",
    "model.layers.0.mlp.gate_proj": "blk.0.ffn_gate",
    "model.layers.0.mlp.up_proj": "blk.0.ffn_up",
    "model.layers.0.mlp.down_proj": "blk.0.ffn_down",
}


def write_gguf(path: Path, model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    """A Qwen2 of one layer and its byte-level BPE, in float32."""
    config, parts = model.config, json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(parts["vocab"], key=parts["vocab"].get)
    tokens += [f"unused {k}" for k in range(config.vocab_size - len(tokens))]
    writer = GGUFWriter(path, "qwen2")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(1)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * len(tokens))
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in parts["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, value in model.state_dict().items():
        stem, _, kind = name.rpartition(".")
        writer.add_tensor(f"{NAMES[stem]}.{kind}", value.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    pairs = byte_pairs(TEXTS * 3, 300)
    pairs.post_processor = processors.ByteLevel(trim_offsets=False)  # like Qwen2's, without a first token
    return PreTrainedTokenizerFast(tokenizer_object=pairs, bos_token="<|endoftext|>")


def qwen2() -> Any:
    """The model: the same numbers at every call."""
    model = tiny_checkpoints.model(
        "qwen2", torch.float32, intermediate_size=64, max_position_embeddings=64, num_key_value_heads=2
    ).eval()
    with torch.no_grad():
        model.lm_head.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
    return model


@pytest.fixture
def folder(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> Path:
    """The model as GGUF, and a text."""
    write_gguf(tmp_path / "model.gguf", qwen2(), tokenizer)
    write_documents([Document(str(i), text) for i, text in enumerate(TEXTS)], tmp_path / "text.jsonl")
    return tmp_path


def test_the_tokenizer_is_that_of_the_metadata(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    found = gguf_tokenizer(folder / "model.gguf")
    for text in TEXTS:
        assert found.encode(text, add_special_tokens=False).ids == tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer_size(found) == tiny_checkpoints.V


def test_the_loss_is_that_of_the_model_in_the_file(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    asked = Request(
        model="org/model", family="test", dataset="text", text=folder / "text.jsonl", windows=Windows("first", 40),
        path=folder / "model.gguf", dtype="float32",
    )  # fmt: skip
    nats, tokens = 0.0, 0
    for text in TEXTS:
        ids = torch.tensor(tokenizer(text, add_special_tokens=False).input_ids[:40])
        with torch.no_grad():
            logits = qwen2()(input_ids=ids[None]).logits[0, :-1]
        nats += float(torch.nn.functional.cross_entropy(logits, ids[1:], reduction="sum"))
        tokens += len(ids) - 1
    row = evaluate(asked)
    assert row["n_tokens"] == tokens
    assert row["loss"] == pytest.approx(nats / tokens, rel=1e-5)


def test_a_file_without_a_tokenizer_is_named(folder: Path) -> None:
    path = folder / "model.gguf"
    path.write_bytes(path.read_bytes().replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.nobody"))
    with pytest.raises(InputError, match="its tokenizer cannot be converted"):
        gguf_tokenizer(path)
