"""Measure time and memory of measuring a head: `python -m benchmarks.llm_overlaps [--rows 152064 --columns 8192]`.

1. A seeded random bfloat16 head is served by a Hub on 127.0.0.1 and measured by `python -m scaling.llm.overlaps`, as in
   a job of the pipeline: bytes read, wall time, peak memory.
2. The mean squared overlap of a float32 matrix of GPT-2's shape from the Gram matrix, against all pairs in blocks of
   rows (what the paper's script does): the same number, and the ratio of times.

One thread each. Part 1 needs twice the size of the head on disk (5 GB for the default, the shape of Qwen2.5-72B).
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from scaling import tables
from scaling.llm.block_geometry import mean_sq_overlaps, survey
from tests.fake_hub import FakeHub


ROOT = Path(__file__).resolve().parents[1]


def write_head(folder: Path, rows: int, columns: int, seed: int) -> None:
    """Write a repository with one bfloat16 matrix: normal numbers and a common direction with 1/4 of a row's square."""
    folder.mkdir(parents=True)
    config = {"model_type": "qwen2", "tie_word_embeddings": False, "vocab_size": rows}
    (folder / "config.json").write_text(json.dumps(config))
    entry = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, 2 * rows * columns]}
    header = json.dumps({"lm_head.weight": entry}).encode()
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(columns, dtype=np.float32) / np.float32(np.sqrt(3))
    with (folder / "model.safetensors").open("wb") as handle:
        handle.write(struct.pack("<Q", len(header)) + header)
        for start in range(0, rows, 1024):
            block = rng.standard_normal((min(1024, rows - start), columns), dtype=np.float32) + common
            handle.write((block.view(np.uint32) >> np.uint32(16)).astype(np.uint16).tobytes())


def measure_served(rows: int, columns: int, seed: int) -> dict[str, object]:
    """Part 1: time and memory of one job of the pipeline."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_head(folder / "repositories/synthetic/head", rows, columns, seed)
        with FakeHub(folder / "repositories") as hub:
            one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
            environment = {**os.environ, **one_thread, "HF_ENDPOINT": hub.url, "HF_HOME": name, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-m", "scaling.llm.overlaps", "--model", "synthetic/head", "--cache", "heads"]
            subprocess.run([*command, "--output", "row.csv"], cwd=folder, env=environment, check=True)
            sent = hub.bytes_sent()
        row = tables.read("llm_overlaps", folder / "row.csv").iloc[0]
    names = ("n_rows", "m", "seconds", "peak_memory", "mean_sq_overlap", "centred_mean_sq_overlap", "random_mean")
    return {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in names} | {
        "bytes_sent": sent,
        "bytes_matrix": 2 * rows * columns,
    }


@dataclass(frozen=True)
class InMemory:
    """A matrix in memory, read in blocks."""

    W: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """nu, m."""
        return self.W.shape[0], self.W.shape[1]

    def blocks(self, size: int) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, block)."""
        for start in range(0, len(self.W), size):
            yield start, self.W[start : start + size]


def by_pairs(W: np.ndarray, block: int = 1024) -> float:
    """Return the mean squared overlap from all pairs, one block of rows with all rows at a time."""
    w = W / np.linalg.norm(W, axis=1, keepdims=True)
    total = 0.0
    for start in range(0, len(w), block):
        total += float(np.square(w[start : start + block] @ w.T).sum(dtype=np.float64))
    return (total - len(w)) / (len(w) * (len(w) - 1))


def against_pairs(rows: int, columns: int, seed: int) -> dict[str, float]:
    """Part 2: survey of the rows, raw and centred overlaps from Gram matrices, compared with all pairs."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((rows, columns), dtype=np.float32) + rng.standard_normal(columns, dtype=np.float32)
    matrix = InMemory(W)
    begun = time.perf_counter()
    raw, _, _ = mean_sq_overlaps(matrix, survey(matrix))
    gram_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    pairs = by_pairs(W)
    pair_seconds = time.perf_counter() - begun
    return {
        "gram_seconds": gram_seconds,
        "pair_seconds": pair_seconds,
        "ratio": pair_seconds / gram_seconds,
        "relative_difference": abs(raw - pairs) / pairs,
    }


def main() -> None:
    """Run both parts, print one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=152064, help="rows of the served head")
    parser.add_argument("--columns", type=int, default=8192, help="its columns")
    parser.add_argument("--pair-rows", type=int, default=50257, help="rows of the matrix compared with all pairs")
    parser.add_argument("--pair-columns", type=int, default=768, help="its columns")
    parser.add_argument("--seed", type=int, default=0, help="seed of all numbers")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        print(json.dumps(against_pairs(arguments.pair_rows, arguments.pair_columns, arguments.seed)), flush=True)
    print(json.dumps(measure_served(arguments.rows, arguments.columns, arguments.seed)), flush=True)


if __name__ == "__main__":
    main()
