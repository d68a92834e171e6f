"""Find the output matrix (head) of a checkpoint: the tensor that produces the logits, and its file.

As in transformers 5, a head in the checkpoint takes precedence, even if the config says that input and output are
tied. Without a head, the tied input embedding is used. An untied checkpoint without a head has no output matrix,
which is an error.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scaling.llm.checkpoint.files import File, Folder, MissingFileError, read
from scaling.llm.checkpoint.hub import Repository
from scaling.llm.checkpoint.safetensors_file import SafetensorsFile
from scaling.llm.checkpoint.tensor import DTYPES, Tensor, UnsupportedCheckpointError, whole
from scaling.llm.checkpoint.torch_file import TorchFile


# Possible files of the weights, the preferred format first; an index lists the shards.
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
SMALL = 16 << 20  # bytes of a config or an index; the largest in use have about 1 MB
MOST_PARTS = 2000  # layers or experts in a config; the largest in use have hundreds
LARGEST_HEAD = (1 << 24, 1 << 15)  # nu, m; checked before anything of size nu or m x m is allocated


# Names of the gain of the final normalization, with and without the prefix of the model.
GAINS = (
    *("model.norm.weight", "norm.weight"),
    *("model.decoder.final_layer_norm.weight", "decoder.final_layer_norm.weight"),
    *("gpt_neox.final_layer_norm.weight", "final_layer_norm.weight"),
    *("transformer.ln_f.weight", "ln_f.weight"),
)


class TensorNotFoundError(UnsupportedCheckpointError):
    """The checkpoint has no tensor that produces the logits."""


@dataclass(frozen=True)
class Names:
    """Names of the head and of the input embedding in a checkpoint, and whether the architecture ties them."""

    tied: bool
    heads: tuple[str, ...]
    embeddings: tuple[str, ...]


# The paper's families; checkpoints of the bare model lack the prefix. `tied` is the default if the config does not
# say, as for OPT and GPT-2. For other architectures, transformers gives the names.
FAMILIES = {
    "opt": Names(True, ("lm_head.weight",), ("model.decoder.embed_tokens.weight", "decoder.embed_tokens.weight")),
    "gpt2": Names(True, ("lm_head.weight",), ("transformer.wte.weight", "wte.weight")),
    "qwen2": Names(False, ("lm_head.weight",), ("model.embed_tokens.weight", "embed_tokens.weight")),
    "gpt_neox": Names(False, ("embed_out.weight", "lm_head.weight"), ("gpt_neox.embed_in.weight", "embed_in.weight")),
}


@dataclass(frozen=True)
class Head:
    """The output matrix of a checkpoint: nu rows (tokens) of dimension m."""

    tensor: Tensor
    tied: bool  # shared with the input embedding
    commit: str
    bytes_checkpoint: int | None  # of all tensors, in the format that was read
    gain: NDArray[np.float32] | None = None  # of the final normalization, (m,); it multiplies the columns


def find_head(source: Folder | Repository) -> Head:
    """Find the output matrix of the causal language model in `source`; reads only headers and indices.

    Raises TensorNotFoundError, UnsupportedCheckpointError, and the errors of opening and reading files.
    """
    config = json_object(source.open("config.json"))
    file, found, size, shards = open_checkpoint(source, config)
    name, tied = found or choose(file.names, config)
    if name not in file.names:
        raise UnsupportedCheckpointError(f"{source.name}: {file.file.name} lacks {name}, which the index lists")
    tensor = file.tensor(name)
    text = config.get("text_config")  # in models of text and images
    vocabulary = (text if isinstance(text, dict) else config).get("vocab_size", 0)
    if not isinstance(vocabulary, int):
        raise UnsupportedCheckpointError(f"{source.name}: config.json has vocab_size {vocabulary!r}, not an integer")
    if (
        len(tensor.shape) != 2
        or min(tensor.shape) < 1
        or tensor.shape[0] < vocabulary
        or any(length > most for length, most in zip(tensor.shape, LARGEST_HEAD, strict=True))
    ):
        raise UnsupportedCheckpointError(
            f"{source.name}: {name} has shape {tensor.shape}, not an output matrix for {vocabulary} tokens "
            f"(two axes, at most {LARGEST_HEAD})"
        )
    return Head(tensor, tied, source.commit, size, find_gain(source, config, file, shards, tensor.shape[1]))


def find_gain(
    source: Folder | Repository,
    config: dict[str, Any],
    file: SafetensorsFile | TorchFile,
    shards: Mapping[str, str],
    m: int,
) -> NDArray[np.float32] | None:
    """Return the gain of the final normalization, (m,), or None if the checkpoint has none under a known name."""
    for name in GAINS:
        if name in file.names:
            found = file
        elif name in shards:
            found = type(file)(source.open(shards[name]))
        else:
            continue
        gain = gain_of(found.tensor(name) if name in found.names else None, m)
        return gain if gain is None or not str(config.get("model_type")).startswith("gemma") else 1 + gain
    return None


def gain_of(tensor: Tensor | None, m: int) -> NDArray[np.float32] | None:
    """Return the values of a gain, or None for a tensor of another shape or type or with a value that is not finite."""
    if tensor is None or tensor.shape != (m,) or tensor.dtype not in DTYPES:
        return None
    gain = whole(tensor)
    return gain if np.isfinite(gain).all() else None


def json_object(file: File) -> dict[str, Any]:
    """Return the JSON object in a file. Raises UnsupportedCheckpointError for any other content."""
    text = read(file, 0, file.size, longest=SMALL)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise UnsupportedCheckpointError(f"{file.name}: not JSON; truncated or corrupt file") from None
    if not isinstance(content, dict):
        raise UnsupportedCheckpointError(f"{file.name}: not a JSON object")
    return content


def open_checkpoint(
    source: Folder | Repository, config: dict[str, Any]
) -> tuple[SafetensorsFile | TorchFile, tuple[str, bool] | None, int | None, Mapping[str, str]]:
    """Open the file that contains the head.

    Returns the file; (name of the head, tied) if there is an index; bytes of all tensors; shard of each tensor.
    """
    for name in sorted(WEIGHT_FILES, key=lambda name: not source.has(name)):  # cached files first: they need no request
        container = SafetensorsFile if "safetensors" in name else TorchFile
        try:
            file = source.open(name)
        except MissingFileError:
            continue
        if not name.endswith(".json"):
            return container(file), None, file.size, {}
        index = json_object(file)
        shards = index.get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
            raise UnsupportedCheckpointError(f"{file.name}: it has no weight_map from tensor names to file names")
        found = choose(list(shards), config)
        metadata = index.get("metadata")
        size = metadata.get("total_size") if isinstance(metadata, dict) else None
        return container(source.open(shards[found[0]])), found, size if isinstance(size, int) else None, shards
    raise UnsupportedCheckpointError(
        f"{source.name}: it has neither model.safetensors nor pytorch_model.bin, in one file or in shards"
    )


def choose(names: list[str], config: dict[str, Any]) -> tuple[str, bool]:
    """Return the name of the tensor that produces the logits, and whether it is also the input embedding.

    Raises TensorNotFoundError with the names of similar tensors.
    """
    if family := FAMILIES.get(str(config.get("model_type"))):
        known = replace(family, tied=bool(config.get("tie_word_embeddings", family.tied)))
    else:
        known = names_in_transformers(names, config)
    for name in (*known.heads, *(known.embeddings if known.tied else ())):
        if name in names:
            return name, known.tied
    close = [name for name in names if any(part in name for part in ("embed", "wte", "head", "output"))][:8]
    raise TensorNotFoundError(
        f"no output matrix among {len(names)} tensors (input and output {'tied' if known.tied else 'not tied'}); "
        f"looked for {', '.join(known.heads + known.embeddings) or 'the names of its architecture'}, "
        f"found {', '.join(close) or 'nothing similar'}"
    )


def names_in_transformers(names: list[str], config: dict[str, Any]) -> Names:
    """Return the names for any architecture of transformers, from its model class built on the meta device.

    Names in the checkpoint are converted to names in the model as transformers does on loading.
    Raises UnsupportedCheckpointError if transformers cannot build the model.
    """
    try:
        return names_of_architecture(names, plain_settings(config))
    except UnsupportedCheckpointError:
        raise
    except Exception as error:  # a wrong config can raise any error in the architecture's code
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise UnsupportedCheckpointError(
            f"transformers cannot build a causal language model from config.json: {reason}"
        ) from None


def plain_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the settings that name code to load (modules, kernels, quantizers), at any depth.

    Raises UnsupportedCheckpointError for more than MOST_PARTS layers or experts, since each would be built.
    """
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if re.search("auto_map|implementation|quantization|_name_or_path", key):
            continue
        if isinstance(value, int) and value > MOST_PARTS and re.search("(layer|expert|block)s?$", key):
            raise UnsupportedCheckpointError(f"config.json has {key} = {value}; at most {MOST_PARTS} are accepted")
        kept[key] = plain_settings(value) if isinstance(value, Mapping) else value
    return kept


def names_of_architecture(names: list[str], config: dict[str, Any]) -> Names:
    """Implements `names_in_transformers`; errors of the architecture's code pass through."""
    # Imported here: they take seconds, and the paper's families do not need them.
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise UnsupportedCheckpointError(f"transformers has no architecture {kind!r} (model_type in config.json)")
    settings = CONFIG_MAPPING[kind].from_dict({key: value for key, value in config.items() if key != "model_type"})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(settings, trust_remote_code=False, attn_implementation="eager")
    head = model.get_output_embeddings()
    if head is None:
        raise UnsupportedCheckpointError(f"architecture {kind} has no output matrix of its own")
    inputs = model.get_input_embeddings()
    module_names = {module: name for name, module in model.named_modules()}
    transforms = get_model_conversion_mapping(model)
    renamings = [transform for transform in transforms if isinstance(transform, WeightRenaming)]
    converters = [transform for transform in transforms if isinstance(transform, WeightConverter)]
    state = model.state_dict()
    loaded = {name: rename_source_key(name, renamings, converters, model.base_model_prefix, state)[0] for name in names}
    return Names(
        head.weight is inputs.weight,
        tuple(name for name in names if loaded[name] == f"{module_names[head]}.weight"),
        tuple(name for name in names if loaded[name] == f"{module_names[inputs]}.weight"),
    )
