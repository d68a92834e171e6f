"""Tiny random checkpoints in the containers, and under the tensor names, that real repositories use."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING


V, M = 320, 32
SMALL = {"num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": V, "hidden_size": M}
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
STATE = dict[str, torch.Tensor]


def model(kind: str, dtype: torch.dtype, **settings: Any) -> Any:
    """A random causal language model of an architecture."""
    torch.manual_seed(sum(map(ord, kind)))
    config = CONFIG_MAPPING[kind](**{**SMALL, **TOKENS, **settings})
    return AutoModelForCausalLM.from_config(config).to(dtype)


def write_config(folder: Path, config: PretrainedConfig, dtype: str, without: tuple[str, ...] = ()) -> None:
    """config.json, less the keys in `without`, as old repositories have it."""
    folder.mkdir(parents=True)
    content = {**config.to_dict(), "torch_dtype": dtype}
    content = {key: value for key, value in content.items() if key not in (*without, "dtype", "transformers_version")}
    (folder / "config.json").write_text(json.dumps(content))


def save(path: Path, state: STATE, container: str) -> None:
    """One weight file: safetensors, or a torch archive with shared storages as they are."""
    if container == "safetensors":
        save_file({name: value.clone().contiguous() for name, value in state.items()}, path, {"format": "pt"})
    else:
        torch.save(state, path)


def write_weights(folder: Path, state: STATE, container: str, shards: int = 1) -> None:
    """The weight files of a checkpoint, in one piece or in shards with an index."""
    stem, end = ("model", "safetensors") if container == "safetensors" else ("pytorch_model", "bin")
    if shards == 1:
        return save(folder / f"{stem}.{end}", state, container)
    names, places = list(state), {}
    for shard in range(shards):
        file = f"{stem}-{shard + 1:05d}-of-{shards:05d}.{end}"
        part = {name: state[name] for name in names[shard::shards]}
        save(folder / file, part, container)
        places |= dict.fromkeys(part, file)
    total = sum(value.nbytes for value in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / f"{stem}.{end}.index.json").write_text(json.dumps(index))
    return None


def without_head(state: Mapping[str, torch.Tensor], prefix: str = "") -> STATE:
    """Names of the bare model: no head, no prefix."""
    return {name.removeprefix(prefix): value for name, value in state.items() if not name.startswith("lm_head")}


def pythia_names(state: Mapping[str, torch.Tensor]) -> STATE:
    """The head as the Pythia repositories name it."""
    return {name.replace("lm_head.", "embed_out."): value for name, value in state.items()}


def build(root: Path) -> dict[str, tuple[str, int, int]]:
    """Write every repository below `root`; returns {repository: (tensor of the head, nu, m)}."""
    made: dict[str, tuple[str, int, int]] = {}

    def add(
        repo: str,
        tensor: str,
        kind: str,
        dtype: str = "float16",
        container: str = "safetensors",
        shards: int = 1,
        change: Callable[[Mapping[str, torch.Tensor]], STATE] = dict,
        without: tuple[str, ...] = (),
        m: int = M,
        **settings: Any,
    ) -> None:
        made_model = model(kind, getattr(torch, dtype), **settings)
        write_config(root / repo, made_model.config, dtype, without)
        write_weights(root / repo, change(made_model.state_dict()), container, shards)
        made[repo] = (tensor, V, m)

    untold = ("tie_word_embeddings",)  # OPT and GPT-2 leave it out
    opt = {"ffn_dim": 64, "word_embed_proj_dim": M, "max_position_embeddings": 16, "without": untold}
    short = {"intermediate_size": 64, "max_position_embeddings": 16}
    bare = "decoder.embed_tokens.weight"
    add("facebook/opt-125m", bare, "opt", container="bin", change=lambda s: without_head(s, "model."), **opt)
    add("facebook/opt-6.7b", bare, "opt", container="bin", shards=3, change=lambda s: without_head(s, "model."), **opt)
    projected = {**opt, "word_embed_proj_dim": 16, "do_layer_norm_before": False, "m": 16}
    add("facebook/opt-350m", "lm_head.weight", "opt", container="bin", **projected)
    gpt2 = {"n_positions": 16, "without": untold}
    add(
        "openai-community/gpt2",
        "wte.weight",
        "gpt2",
        "float32",
        change=lambda s: without_head(s, "transformer."),
        **gpt2,
    )
    tied, untied = {"tie_word_embeddings": True, **short}, {"tie_word_embeddings": False, **short}
    add("Qwen/Qwen2.5-0.5B", "model.embed_tokens.weight", "qwen2", "bfloat16", change=without_head, **tied)
    add("Qwen/Qwen2.5-7B", "lm_head.weight", "qwen2", "bfloat16", shards=4, **untied)
    add("EleutherAI/pythia-70m", "embed_out.weight", "gpt_neox", change=pythia_names, **untied)
    add("EleutherAI/pythia-160m", "embed_out.weight", "gpt_neox", container="bin", change=pythia_names, **untied)
    add(
        "EleutherAI/pythia-12b",
        "embed_out.weight",
        "gpt_neox",
        container="bin",
        shards=3,
        change=pythia_names,
        **untied,
    )
    heads = {"num_key_value_heads": 2}
    add("other/llama", "lm_head.weight", "llama", "bfloat16", **untied, **heads)
    add(
        "other/gemma",
        "model.embed_tokens.weight",
        "gemma",
        "bfloat16",
        change=without_head,
        head_dim=16,
        **tied,
        **heads,
    )
    add("other/mistral", "lm_head.weight", "mistral", "bfloat16", shards=2, **untied, **heads)
    add("other/phi", "lm_head.weight", "phi", "float32", **untied, **heads)
    add("other/bloom", "word_embeddings.weight", "bloom", change=lambda s: without_head(s, "transformer."), n_head=2)
    add("other/olmo", "lm_head.weight", "olmo", "float32", container="bin", **untied, **heads)
    # A config that ties, and a head in the file: the head is used, whether it differs or not.
    add("edge/tied-equal", "lm_head.weight", "qwen2", "bfloat16", **tied)
    add("edge/tied-other", "lm_head.weight", "qwen2", "bfloat16", change=with_other_head, **tied)
    add(
        "edge/tied-head-only",
        "lm_head.weight",
        "qwen2",
        "bfloat16",
        change=lambda s: {name: value for name, value in s.items() if "embed_tokens" not in name},
        **tied,
    )
    return made


def with_other_head(state: Mapping[str, torch.Tensor]) -> STATE:
    """A head that is not the input embedding."""
    head = torch.randn(V, M, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    return {**state, "lm_head.weight": head}


def two_containers(root: Path, weights: np.ndarray) -> Path:
    """Two repositories below `root` whose head is `weights`, float32: org/safe (safetensors) and org/torch (zip)."""
    config = {"model_type": "qwen2", "tie_word_embeddings": False, "vocab_size": len(weights)}
    state = {"a": torch.zeros(100, 100), "lm_head.weight": torch.from_numpy(weights.copy())}
    for name, container in (("safe", "safetensors"), ("torch", "bin")):
        (root / "org" / name).mkdir(parents=True)
        (root / "org" / name / "config.json").write_text(json.dumps(config))
        write_weights(root / "org" / name, state, container)
    return root
