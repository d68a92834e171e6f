"""Measure rows of trained models as packings, and the toy models' loss as a pair energy; reads model files alone.

    python -m scaling.attention.trained_rows --toy results/toy/models/paper/.../m39_seed0.safetensors
        --heads results/llm/family/.../model.safetensors --tables results/tables

Toy and bigram models are safetensors with W and a record; heads are checkpoints, of which the output matrix is read.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from threadpoolctl import threadpool_limits

from scaling import arrays, geometry, tables
from scaling.attention.packing_measurement import largest_cluster, packing_columns
from scaling.attention.pair_energy import pair_energy, sampled_loss
from scaling.command import InputError, run


HEADS = ("lm_head.weight", "embed_out.weight", "wte.weight", "embed_tokens.weight")  # names of output matrices
SETTINGS = ("gamma", "alpha", "activation_density", "seed")


def read_trained(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Record and tensors of a toy or bigram model; raises InputError when the file is damaged or has no record or W."""
    text, tensors = arrays.read(path)
    if "record" not in text or "W" not in tensors:
        raise InputError(f"{path}: has no record or no W; train it again with `snakemake --cores all`")
    return json.loads(text["record"]), tensors


def read_head(path: Path) -> NDArray[np.float64]:
    """The output matrix of a checkpoint, one row per token; raises InputError without one."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for ending in HEADS for name in file.keys() if name.endswith(ending)]  # noqa: SIM118
            if not names:
                raise InputError(f"{path}: no tensor ends in {', '.join(HEADS)}")
            W = file.get_tensor(names[0]).astype(np.float64)
    except (SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error})") from None
    return W


def set_rows(W: NDArray[Any], by_norm: bool) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Named sets of at least two unit rows: strong (norm > 1) and weak (1/2 < norm <= 1), or raw and centred."""
    if by_norm:
        norms = geometry.row_norms(W)
        parts = {"strong": W[norms > 1], "weak": W[(norms > 0.5) & (norms <= 1)]}
    else:
        parts = {"raw": W, "centred": W - W.mean(0)}
    for name, part in parts.items():
        w = geometry.unit_rows(part)
        if len(w) > 1:
            yield name, w


def packing_rows(model: str, source: str, W: NDArray[Any], settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of attention_trained_rows for one model."""
    for name, w in set_rows(W, by_norm=source != "family"):
        share, clusters = largest_cluster(w)
        common = {"model": model, "source": source, "rows": name, **settings}
        yield {**common, **packing_columns(w), "share_largest_cluster": share, "n_clusters": clusters}


def energy_row(record: dict[str, Any], tensors: dict[str, NDArray[Any]], samples: int) -> dict[str, Any]:
    """One row of toy_pair_energy: exact loss with one active feature, its parts, and overlaps against thresholds."""
    W, b, p = (tensors[name].astype(np.float64) for name in ("W", "b", "p"))
    b, p = b.ravel(), p.ravel()
    found = pair_energy(W, b, p)
    mean, error = sampled_loss(W, b, found.weights, samples, np.random.default_rng(record["seed"]))
    strong = geometry.row_norms(W) > 1
    row = {
        "model": record["model"],
        "n": len(W),
        "m": W.shape[1],
        **{name: record.get(name) for name in SETTINGS},
        "n_strong": int(strong.sum()),
        "loss": found.loss,
        "loss_own": found.own,
        "share_pairs": found.pairs / found.loss,
        "loss_sampled": mean,
        "loss_sampled_stderr": error,
    }
    if strong.sum() > 1:
        G = W[strong] @ W[strong].T
        np.fill_diagonal(G, -np.inf)
        off = G[np.isfinite(G)]
        row["threshold"] = float(np.median(-b[strong] / 2))
        row["largest_overlap"] = float(np.median(G.max(0)))
        row["rms_overlap"] = float(np.sqrt(np.mean(off**2)))
        row["share_reached"] = float(np.mean(G.max(0) > -b[strong] / 2))
    return row


def main() -> None:
    """Command line: read model files, write two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, meaning in (("toy", "toy models"), ("bigram", "bigram models"), ("heads", "checkpoints")):
        parser.add_argument(f"--{name}", type=Path, nargs="*", default=[], help=f"{meaning} (.safetensors)")
    parser.add_argument("--samples", type=int, default=20, help="samples per feature that check the exact loss")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write")
    arguments = parser.parse_args()
    if arguments.samples < 2:
        raise InputError(f"samples = {arguments.samples}: a standard error needs at least 2")
    packings: list[dict[str, Any]] = []
    energies: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for source in ("toy", "bigram"):
            for path in getattr(arguments, source):
                record, tensors = read_trained(path)
                settings = {name: record.get(name) for name in SETTINGS}
                packings += packing_rows(str(record.get("model", path.stem)), source, tensors["W"], settings)
                if source == "toy":
                    energies.append(energy_row(record, tensors, arguments.samples))
        for path in arguments.heads:
            packings += packing_rows(f"{path.parent.parent.name}/{path.parent.name}", "family", read_head(path), {})
    for table, rows in (("attention_trained_rows", packings), ("toy_pair_energy", energies)):
        columns = list(tables.dictionary()[table]["columns"])
        tables.write(table, pd.DataFrame(rows, columns=columns), arguments.tables / f"{table}.csv")


if __name__ == "__main__":
    run(main)
