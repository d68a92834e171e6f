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
from scaling.llm.block_geometry import Matrix, RowSurvey, Scaled, mean_sq_overlaps, pair_statistics, survey
from scaling.llm.checkpoint.files import Folder
from scaling.llm.checkpoint.hub import Repository
from scaling.llm.checkpoint.store import Source, gguf_head, load_head
from scaling.llm.checkpoint.tensor import QUANTISED, Rows, Tensor
from scaling.llm.checkpoint.tokenizer_file import read_tokenizer, tokenizer_size
from scaling.llm.energies import energies


log = logging.getLogger(__name__)

BETAS = (1.0, 4.0, 16.0)  # of the pair energy
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Request:
    """One model of the config and how to measure its head."""

    model: str
    family: str
    path: Path | None = None  # local checkpoint instead of the Hub: a folder, or a GGUF file (the first part if split)
    revision: str = "main"
    vocabulary: int | None = None  # the tokenizer's size
    m: int | None = None  # expected width; None accepts any
    pairs: Literal["exact", "sampled"] = "sampled"
    sample_rows: int = 1024
    seed: int = 0
    cache: Path = Path("results/llm/heads")


def open_head(request: Request) -> tuple[Tensor, Source]:
    """Return the head of the model and its source. Raises InputError if it cannot be found or read."""
    if request.path is None:
        return load_head(Repository(request.model, request.revision), request.cache)
    if request.path.suffix == ".gguf" and request.path.is_file():
        return gguf_head(request.path)
    if not request.path.is_dir():
        raise InputError(
            f"{request.path}: no such folder or GGUF file; it should contain the checkpoint of {request.model}"
        )
    return load_head(Folder(request.path), request.cache)


def with_gain(
    request: Request, matrix: Rows, found: Source, vocabulary: int | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the columns of llm_overlaps and the rows of llm_energies for W diag(g), g the gain of the final norm.

    If the checkpoint has no gain, the columns are empty and there are no rows.
    """
    if found.gain is None:
        names = ("gain_mean", "gain_std", "gain_mean_sq_overlap", "gain_centred_mean_sq_overlap", "gain_mean_norm")
        return dict.fromkeys(names), []
    gain = np.asarray(found.gain, dtype=np.float32)
    scaled = Scaled(matrix, gain)
    rows = survey(scaled, vocabulary)
    raw, _, centred = mean_sq_overlaps(scaled, rows)
    columns = {
        "gain_mean": float(gain.mean()),
        "gain_std": float(gain.std()),
        "gain_mean_sq_overlap": raw,
        "gain_centred_mean_sq_overlap": centred,
        "gain_mean_norm": float(rows.norms[rows.kept].mean()),
    }
    return columns, energy_rows(request, scaled, rows, "with gain")


def energy_rows(request: Request, matrix: Matrix, rows: RowSurvey, head: str) -> list[dict[str, Any]]:
    """Return the rows of llm_energies for one matrix, one row per beta."""
    found = energies(matrix, rows, BETAS, request.pairs, request.sample_rows, request.seed)
    nu, m = int(rows.kept.sum()), matrix.shape[1]
    common = {"head": head, "m": m, "n_rows": nu, "n_pair_rows": found.n_rows, "seed": request.seed}
    common |= {"own_loss": found.own_loss, "own_loss_stderr": found.own_loss_stderr}
    return [
        common
        | {
            "beta": beta,
            "pair_energy": float(found.pair_energy[k]),
            "pair_energy_stderr": float(found.pair_energy_stderr[k]),
            "isotropic": float(np.log(geometry.isotropic_pair_energy(m, beta))),
        }
        for k, beta in enumerate(BETAS)
    ]


def measure(request: Request) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Measure one head: its row of table llm_overlaps, the norms of its rows, and its rows of table llm_energies.

    The norms are the arrays `norm` (float64) and `kept` (bool), both of shape (nu,).
    Raises InputError if the head cannot be found or read, or if its width is not the expected one.
    """
    begun = time.perf_counter()
    tensor, found = open_head(request)
    vocabulary = request.vocabulary or found.vocabulary
    if vocabulary is None and request.path and (request.path / "tokenizer.json").exists():
        vocabulary = tokenizer_size(read_tokenizer(request.path / "tokenizer.json"))
    matrix = Rows(tensor)
    n_rows, m = matrix.shape
    if request.m not in (None, m):
        raise InputError(f"{request.model}: the head has {m} columns, but the config says m = {request.m}")
    log.info("%s: %s, %d x %d %s", request.model, found.tensor, n_rows, m, tensor.dtype)
    rows = survey(matrix, vocabulary)
    log.info("%s: %d rows kept, %d excluded", request.model, rows.kept.sum(), n_rows - rows.kept.sum())
    raw, everything, centred = mean_sq_overlaps(matrix, rows)
    log.info("%s: mean squared overlap %.6g, centred %.6g, 1/m %.6g", request.model, raw, centred, 1 / m)
    pairs = pair_statistics(matrix, rows, request.pairs, request.sample_rows, request.seed)
    energy = energy_rows(request, matrix, rows, "stored")
    gain, more = with_gain(request, matrix, found, vocabulary)
    norms = rows.norms[rows.kept]
    mean_norm = float(norms.mean())
    row = {
        "status": "measured",
        "revision": found.commit or None,
        "tensor": found.tensor,
        "format": found.format or None,
        "dtype": None if tensor.dtype in QUANTISED else tensor.dtype,
        "quantisation": tensor.dtype if tensor.dtype in QUANTISED else None,
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
        **gain,
        "bytes_read": found.bytes_read,
        "bytes_checkpoint": found.bytes_checkpoint,
        "peak_memory": peak_memory(),
        "seconds": time.perf_counter() - begun,
    }
    return row, {"norm": rows.norms, "kept": rows.kept}, energy + more


def record(request: Request, attempt: int) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Return the results of `measure` as tables; an InputError becomes a row with its reason."""
    energy: list[dict[str, Any]] = []
    try:
        row, norms, energy = measure(request)
    except InputError as error:
        log.info("failed: %s", error)
        row, norms = {"status": "failed", "reason": str(error)}, {"norm": np.zeros(0), "kept": np.zeros(0, dtype=bool)}
    row |= {"model": request.model, "family": request.family, "attempt": attempt}
    row["source"] = "local" if request.path else "hub"
    columns = tables.dictionary()["llm_overlaps"]["columns"]
    energy = [{name: row[name] for name in ("model", "family", "source")} | one for one in energy]
    table = pd.DataFrame(energy, columns=list(tables.dictionary()["llm_energies"]["columns"]))
    return pd.DataFrame([{column: row.get(column) for column in columns}]), norms, table


def main() -> None:
    """Command line: measure one head and write its row, norms and energies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", required=True, help="id on the Hub (owner/name), or a name for --path")
    parser.add_argument("--family", default="other", help="family of models, for tables and figures")
    parser.add_argument(
        "--path",
        type=Path,
        help="local checkpoint instead of the Hub: a folder, or a GGUF file (the first part if it is split)",
    )
    parser.add_argument("--revision", default="main", help="branch, tag or commit")
    parser.add_argument("--vocabulary", type=int, help="size of the tokenizer, in tokens; rows beyond it are padding")
    parser.add_argument("--m", type=int, help="expected width, in columns; any other width is an error")
    parser.add_argument(
        "--pairs", choices=["exact", "sampled"], default="sampled", help="all pairs of rows, or pairs of sampled rows"
    )
    parser.add_argument("--sample-rows", type=int, default=1024, help="number of sampled rows, each paired with all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample of rows")
    parser.add_argument("--cache", type=Path, default=Path("results/llm/heads"), help="folder that caches matrices")
    parser.add_argument("--attempt", type=int, default=1, help="number of this attempt, written to the row")
    parser.add_argument("--record-failure", action="store_true", help="write a failure as a row and exit with code 0")
    parser.add_argument("--norms", type=Path, help="safetensors file for the norm of every row")
    parser.add_argument("--energies", type=Path, help="CSV table llm_energies to write")
    parser.add_argument("--output", type=Path, required=True, help="CSV table llm_overlaps to write, one row")
    arguments = vars(parser.parse_args())
    output, norms_file, energy_file = (arguments.pop(name) for name in ("output", "norms", "energies"))
    attempt, record_failure = arguments.pop("attempt"), arguments.pop("record_failure")
    frame, norms, energy = record(Request(**arguments), attempt)
    if frame["status"].item() == "failed" and not record_failure:
        raise InputError(frame["reason"].item())
    if norms_file:
        arrays.write(norms_file, norms, {})
    if energy_file:
        tables.write("llm_energies", energy, energy_file)
    tables.write("llm_overlaps", frame, output)


if __name__ == "__main__":
    run(main)
