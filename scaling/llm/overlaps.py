"""Measure the head of one language model: `python -m scaling.llm.overlaps --model EleutherAI/pythia-70m ...`."""

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from scaling import arrays, geometry, tables
from scaling.command import InputError, peak_memory, run
from scaling.llm.block_geometry import mean_sq_overlaps, pair_statistics, survey
from scaling.llm.checkpoint.files import Folder
from scaling.llm.checkpoint.hub import Repository
from scaling.llm.checkpoint.store import load_head
from scaling.llm.checkpoint.tensor import Rows
from scaling.llm.checkpoint.tokenizer_file import read_tokenizer, tokenizer_size


log = logging.getLogger(__name__)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Request:
    """One model of the config's catalogue and how to measure it."""

    model: str
    family: str
    path: Path | None = None  # a local checkpoint in place of the Hub
    revision: str = "main"
    vocabulary: int | None = None  # the tokenizer's size
    m: int | None = None  # the width that is expected
    pairs: Literal["exact", "sampled"] = "sampled"
    sample_rows: int = 1024
    seed: int = 0
    cache: Path = Path("results/llm/heads")


def measure(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model's row of table llm_overlaps, and its norms: `norm` float64 (nu,), `kept` bool (nu,).

    Raises InputError when the head cannot be found or read, or is not as wide as expected.
    """
    begun = time.perf_counter()
    if request.path is not None and not request.path.is_dir():
        raise InputError(f"{request.path}: no such folder; the checkpoint of {request.model} should be there")
    source = Folder(request.path) if request.path else Repository(request.model, request.revision)
    vocabulary = request.vocabulary
    if vocabulary is None and request.path and (request.path / "tokenizer.json").exists():
        vocabulary = tokenizer_size(read_tokenizer(request.path / "tokenizer.json"))
    tensor, found = load_head(source, request.cache)
    matrix = Rows(tensor)
    n_rows, m = matrix.shape
    if request.m not in (None, m):
        raise InputError(f"{request.model}: its head has {m} columns, the config says m = {request.m}")
    log.info("%s: %s, %d x %d %s", request.model, found.tensor, n_rows, m, tensor.dtype)
    rows = survey(matrix, vocabulary)
    log.info("%s: %d rows count, %d left out", request.model, rows.kept.sum(), n_rows - rows.kept.sum())
    raw, everything, centred = mean_sq_overlaps(matrix, rows)
    log.info("%s: mean squared overlap %.6g, centred %.6g, 1/m %.6g", request.model, raw, centred, 1 / m)
    pairs = pair_statistics(matrix, rows, request.pairs, request.sample_rows, request.seed)
    norms = rows.norms[rows.kept]
    mean_norm = float(norms.mean())
    row = {
        "status": "measured",
        "revision": found.commit or None,
        "tensor": found.tensor,
        "dtype": tensor.dtype,
        "tied": found.tied,
        "n_rows": n_rows,
        "n_excluded": n_rows - len(norms),
        "n_padded": rows.n_padded,
        "n_zero": rows.n_zero,
        "n_duplicate": rows.n_duplicate,
        "vocabulary": vocabulary,
        "m": m,
        "mean_sq_overlap": raw,
        "mean_sq_overlap_all_rows": everything,
        "centred_mean_sq_overlap": centred,
        "std_sq_overlap": pairs.std_sq,
        "std_sq_overlap_stderr": pairs.std_sq_stderr,
        "mean_abs_overlap": pairs.mean_abs,
        "mean_abs_overlap_stderr": pairs.mean_abs_stderr,
        "std_abs_overlap": pairs.std_abs,
        "std_abs_overlap_stderr": pairs.std_abs_stderr,
        "max_abs_overlap": pairs.max_abs,
        "pairs": "exact" if pairs.n_rows == len(norms) else "sampled",
        "n_pair_rows": pairs.n_rows,
        "seed": request.seed,
        "welch_bound": geometry.welch_bound(len(norms), m),
        "random_mean": geometry.random_sq_overlap_mean(m),
        "mean_norm": mean_norm,
        "std_norm": float(norms.std()),
        "min_norm": float(norms.min()),
        "max_norm": float(norms.max()),
        **{
            f"norm_q{round(100 * q):02d}": float(value)
            for q, value in zip(QUANTILES, np.quantile(norms, QUANTILES), strict=True)
        },
        "phi_half": geometry.phi(norms, 1 / 2),
        "phi_1": geometry.phi(norms, 1),
        "phi_half_relative": geometry.phi(norms, mean_norm / 2),
        "phi_1_relative": geometry.phi(norms, mean_norm),
        "bytes_read": found.bytes_read,
        "bytes_checkpoint": found.bytes_checkpoint,
        "peak_memory": peak_memory(),
        "seconds": time.perf_counter() - begun,
    }
    return row, {"norm": rows.norms, "kept": rows.kept}


def record(request: Request, attempt: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """`measure` as a table of one row; what a person or a network can put right becomes a row with its reason."""
    try:
        row, norms = measure(request)
    except InputError as error:
        log.info("failed: %s", error)
        row, norms = {"status": "failed", "reason": str(error)}, {"norm": np.zeros(0), "kept": np.zeros(0, dtype=bool)}
    row |= {"model": request.model, "family": request.family, "attempt": attempt}
    row["source"] = "local" if request.path else "hub"
    columns = tables.dictionary()["llm_overlaps"]["columns"]
    return pd.DataFrame([{column: row.get(column) for column in columns}]), norms


def main() -> None:
    """Parse the command line, measure, write the row and the norms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help="id on the Hub (owner/name), or a name for --path")
    parser.add_argument("--family", default="other", help="family, for the table and the figures")
    parser.add_argument("--path", type=Path, help="folder of a local checkpoint, in place of the Hub")
    parser.add_argument("--revision", default="main", help="branch, tag or commit")
    parser.add_argument("--vocabulary", type=int, help="the tokenizer's size: rows from there on are padding")
    parser.add_argument("--m", type=int, help="expected columns; anything else is an error")
    parser.add_argument(
        "--pairs", choices=["exact", "sampled"], default="sampled", help="pairs for |overlap| and spread"
    )
    parser.add_argument("--sample-rows", type=int, default=1024, help="rows compared with all others when sampled")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--cache", type=Path, default=Path("results/llm/heads"), help="folder where matrices are kept")
    parser.add_argument("--attempt", type=int, default=1, help="written in the row")
    parser.add_argument("--record-failure", action="store_true", help="write a failure as a row and end well")
    parser.add_argument("--norms", type=Path, help="write the norm of every row here (safetensors)")
    parser.add_argument("--output", type=Path, required=True, help="the row, as a CSV table llm_overlaps")
    arguments = vars(parser.parse_args())
    output, norms_file = arguments.pop("output"), arguments.pop("norms")
    attempt, record_failure = arguments.pop("attempt"), arguments.pop("record_failure")
    frame, norms = record(Request(**arguments), attempt)
    if frame["status"].item() == "failed" and not record_failure:
        raise InputError(frame["reason"].item())
    if norms_file:
        arrays.write(norms_file, norms, {})
    tables.write("llm_overlaps", frame, output)


if __name__ == "__main__":
    run(main)
