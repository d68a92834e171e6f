"""Measure the loss of causal language models on a text: `python -m scaling.llm.losses --model gpt2 --text ...`.

The loss is the cross-entropy of each token given those before it in its window, in nats: the mean per token with its
standard error over documents, and the mean per byte of text, which is comparable between tokenizers.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from tqdm import tqdm
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from scaling import tables
from scaling.command import InputError, peak_memory, run
from scaling.llm.checkpoint.gguf_file import open_gguf
from scaling.llm.checkpoint.hub import Repository
from scaling.llm.documents import read_documents
from scaling.llm.windows import Window, Windows, batches, cut_documents


log = logging.getLogger(__name__)

if not sys.stderr.isatty():  # no progress bars in log files
    disable_progress_bar()

# Raised by transformers, safetensors and torch for a checkpoint that is truncated, inconsistent, or unsupported.
NOT_LOADED = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError),
    *(SafetensorError, UnpicklingError),
)
POSITIONS = 2048  # per cross-entropy call; one call for all would copy all logits to float32


@dataclass(frozen=True)
class Loss:
    """Sums over the scored tokens of each document, shape (documents,): nats, tokens, bytes of text."""

    nats: NDArray[np.float64]
    tokens: NDArray[np.float64]
    n_bytes: NDArray[np.float64]

    def per(self, size: NDArray[np.float64]) -> tuple[float, float]:
        """Return sum nats / sum size over documents, and its standard error over documents.

        Var = D/(D - 1) sum_d (nats_d - ratio size_d)^2 / (sum_d size_d)^2; NaN for one document.
        """
        ratio = float(self.nats.sum() / size.sum())
        used = int(np.count_nonzero(size))
        if used < 2:
            return ratio, float("nan")
        squares = float(np.sum((self.nats - ratio * size) ** 2))
        return ratio, float(np.sqrt(used / (used - 1) * squares) / size.sum())


@torch.inference_mode()
def batch_nats(model: PreTrainedModel, batch: Sequence[Window]) -> NDArray[np.float64]:
    """Sum of the cross-entropy over the scored tokens of each window, in nats; shape (windows,), float64.

    Windows are padded on the right, so no token attends to the padding. The softmax is computed in float32.
    """
    length = max(len(window.ids) for window in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    scored = torch.zeros(len(batch), length, dtype=torch.bool)
    for row, window in enumerate(batch):
        ids[row, : len(window.ids)] = torch.from_numpy(window.ids)
        mask[row, : len(window.ids)] = 1
        scored[row, window.scored : len(window.ids)] = True
    ids, mask, scored = (part.to(model.device) for part in (ids, mask, scored))
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    targets = torch.where(scored, ids, -100)[:, 1:]
    losses = torch.cat(
        [
            torch.nn.functional.cross_entropy(part.float(), target, reduction="none")
            for part, target in zip(
                logits.flatten(0, 1).split(POSITIONS), targets.flatten().split(POSITIONS), strict=True
            )
        ]
    )
    return np.asarray(losses.view(targets.shape).double().sum(dim=1).cpu().numpy())


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    windows: Windows,
    batch_tokens: int,
) -> Loss:
    """Sum the loss over each document. Raises InputError for a loss that is not finite."""
    embedding: Any = model.get_input_embeddings()
    found = cut_documents(texts, tokenizer, windows, embedding.weight.shape[0])
    sums = Loss(*(np.zeros(len(texts)) for _ in range(3)))
    done, begun = 0, time.perf_counter()
    with tqdm(total=sum(len(window.ids) for window in found), unit=" tokens", disable=None) as bar:
        for number, batch in enumerate(batches(found, batch_tokens)):
            for window, nats in zip(batch, batch_nats(model, batch), strict=True):
                if not np.isfinite(nats):
                    raise InputError(f"the loss is not finite in document {window.document}: are all weights finite?")
                sums.nats[window.document] += nats
                sums.tokens[window.document] += len(window.ids) - window.scored
                sums.n_bytes[window.document] += window.n_bytes
            tokens = sum(len(window.ids) for window in batch)
            done += tokens
            bar.update(tokens)
            if number % 100 == 99:
                log.info("%d of %d tokens, %.0f per second", done, bar.total, done / (time.perf_counter() - begun))
    log.info("%d tokens, %.0f per second", done, done / (time.perf_counter() - begun))
    return sums


def free_memory(device: torch.device) -> int:
    """Return the free memory of the device in bytes."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def load(
    name: str, commit: str | None, device: torch.device, dtype: torch.dtype, batch_tokens: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer from a folder, a GGUF file, or a repository at a commit.

    Raises InputError for a model that does not fit into memory, with the size it needs, or that cannot be loaded.
    """
    options: dict[str, Any] = {"revision": commit}
    place = name
    if name.endswith(".gguf"):
        open_gguf(Path(name))  # rejects damaged headers, which the reader of transformers does not
        place, options = str(Path(name).parent), {"gguf_file": Path(name).name}
    try:
        config = AutoConfig.from_pretrained(place, **options)
        with torch.device("meta"):
            bare = AutoModelForCausalLM.from_config(config, dtype=dtype)
        weights = sum(parameter.nbytes for parameter in bare.parameters())
        rows = bare.get_output_embeddings().weight.shape[0]
        batch = batch_tokens * rows * dtype.itemsize + min(batch_tokens, POSITIONS) * rows * 4
        if weights + batch > (free := free_memory(device)):
            raise InputError(
                f"{name}: {weights / 1e9:.1f} GB of weights in {str(dtype).removeprefix('torch.')} and "
                f"{batch / 1e9:.1f} GB for a batch are needed, but {free / 1e9:.1f} GB are free ({device}); "
                "use a larger device, or a smaller --batch-tokens"
            )
        tokenizer = AutoTokenizer.from_pretrained(place, **options)
        model: Any = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, **options)
    except InputError:
        raise
    except NOT_LOADED as error:
        raise InputError(f"{name}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    if not tokenizer("any text", add_special_tokens=False).input_ids:  # transformers returns an empty tokenizer
        raise InputError(f"{name}: cannot be loaded: it has no tokenizer; add its tokenizer.json")
    return model.to(device).eval(), tokenizer


@dataclass(frozen=True)
class Request:
    """A model, a text, and how to evaluate the model on it."""

    model: str
    family: str
    dataset: str
    text: Path
    windows: Windows
    path: Path | None = None  # local checkpoint instead of the Hub
    revision: str = "main"
    documents: int | None = None
    batch_tokens: int = 4096
    device: str = "auto"
    dtype: str = "auto"


def chosen_device(name: str) -> torch.device:
    """Return the device `name`; auto is a GPU if there is one. Raises InputError for one that cannot be used here."""
    try:
        found = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"--device {name}: cannot be used on this machine; use auto, cpu, or a GPU's name") from None
    return found


def evaluate(request: Request) -> dict[str, Any]:
    """Measure the numbers of one row of table llm_losses. Raises InputError if the model cannot be evaluated."""
    begun = time.perf_counter()
    device = chosen_device(request.device)
    dtype = {"cpu": torch.float32}.get(device.type, torch.bfloat16)
    if request.dtype != "auto":
        dtype = getattr(torch, request.dtype)
    texts = [document.text for document in read_documents(request.text)][: request.documents]
    commit = None
    if request.path is None:
        repository = Repository(request.model, request.revision)
        repository.open("config.json")  # fails at once if the repository is missing or not accessible
        commit = repository.commit
    elif not request.path.is_dir() and not (request.path.suffix == ".gguf" and request.path.is_file()):
        raise InputError(
            f"{request.path}: no such folder or GGUF file; it should contain the checkpoint of {request.model}"
        )
    model, tokenizer = load(str(request.path or request.model), commit, device, dtype, request.batch_tokens)
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or request.windows.size
    windows = Windows(request.windows.kind, min(request.windows.size, positions), request.windows.stride)
    try:
        loss = measure(model, tokenizer, texts, windows, request.batch_tokens)
    except torch.OutOfMemoryError:
        raise InputError(f"{request.model}: a batch does not fit into {device}; use a smaller --batch-tokens") from None
    nats, stderr = loss.per(loss.tokens)
    per_byte, per_byte_stderr = loss.per(loss.n_bytes)
    row = {
        "status": "measured",
        "revision": commit,
        "m": config.hidden_size,
        "loss": nats,
        "loss_stderr": stderr,
        "loss_per_byte": per_byte,
        "loss_per_byte_stderr": per_byte_stderr,
        "n_documents": int(np.count_nonzero(loss.tokens)),
        "n_tokens": int(loss.tokens.sum()),
        "n_bytes": int(loss.n_bytes.sum()),
        "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "window": windows.size,
        "dtype": str(dtype).removeprefix("torch."),
        "device": device.type,
        "peak_memory": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_memory(),
        "seconds": time.perf_counter() - begun,
    }
    log.info(
        "%s on %s: %.4f +- %.4f nats per token; peak memory %.2f GB",
        *(request.model, request.dataset, nats, stderr, row["peak_memory"] / 1e9),
    )
    return row


def record(request: Request, attempt: int) -> dict[str, Any]:
    """Return the row of table llm_losses that `evaluate` gives; an InputError becomes a row with its reason."""
    try:
        row = evaluate(request)
    except InputError as error:
        log.info("failed: %s", error)
        row = {"status": "failed", "reason": str(error), "window": request.windows.size}
    row |= {"model": request.model, "family": request.family, "dataset": request.dataset, "attempt": attempt}
    row |= {"windows": request.windows.kind, "stride": request.windows.stride or None}
    row["source"] = "local" if request.path else "hub"
    return {column: row.get(column) for column in tables.dictionary()["llm_losses"]["columns"]}


def main() -> None:
    """Command line: evaluate models on one text and write a row per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", required=True, help="ids on the Hub (owner/name), or names for --path")
    parser.add_argument("--family", default="other", help="family of the models, for tables and figures")
    parser.add_argument(
        "--path",
        type=Path,
        nargs="+",
        help="local checkpoints instead of the Hub, one per model: folder or GGUF file",
    )
    parser.add_argument("--revision", default="main", help="branch, tag or commit")
    parser.add_argument("--text", type=Path, required=True, help="UTF-8 file, .jsonl file, or folder of .txt files")
    parser.add_argument("--dataset", required=True, help="name of the text in the table")
    parser.add_argument("--documents", type=int, help="number of documents to evaluate, from the first (default: all)")
    parser.add_argument(
        "--windows",
        choices=["first", "fixed", "strided"],
        default="first",
        help="first: the first window of each document; fixed: consecutive windows; strided: overlapping windows",
    )
    parser.add_argument("--window", type=int, default=2048, help="tokens per window; at most the model's context")
    parser.add_argument("--stride", type=int, default=0, help="tokens by which each strided window advances")
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens per batch, padding included")
    parser.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")
    parser.add_argument(
        "--dtype",
        choices=["auto", "float32", "bfloat16", "float16"],
        default="auto",
        help="auto: float32 on the CPU, bfloat16 on a GPU",
    )
    parser.add_argument("--attempt", type=int, default=1, help="number of this attempt, written to the row")
    parser.add_argument("--record-failure", action="store_true", help="write a failure as a row and exit with code 0")
    parser.add_argument("--output", type=Path, required=True, help="CSV table llm_losses to write")
    arguments = vars(parser.parse_args())
    output, attempt, record_failure = (arguments.pop(name) for name in ("output", "attempt", "record_failure"))
    models, paths = arguments.pop("model"), arguments.pop("path")
    if paths is not None and len(paths) != len(models):
        raise InputError(f"--path: {len(paths)} paths for {len(models)} models; give one per model")
    windows = Windows(arguments.pop("windows"), arguments.pop("window"), arguments.pop("stride"))
    rows = []
    for model, path in zip(models, paths or [None] * len(models), strict=True):
        rows.append(record(Request(model=model, path=path, windows=windows, **arguments), attempt))
        if rows[-1]["status"] == "failed" and not record_failure:
            raise InputError(rows[-1]["reason"])
    tables.write("llm_losses", pd.DataFrame(rows), output)


if __name__ == "__main__":
    run(main)
