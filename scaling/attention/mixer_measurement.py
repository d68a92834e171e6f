"""Measure ClusterMixer: accuracy of the trained networks, parameters of the published sizes, and exact identities.

python -m scaling.attention.mixer_measurement --networks mixers.safetensors --tables results/tables
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from scaling import tables
from scaling.attention import k_means, kernel
from scaling.attention.mixer import SIZES, HCFormer, gather_and_scatter, n_parameters
from scaling.attention.mixer_training import digits, read
from scaling.command import run


# Millions of parameters and ImageNet top-1 accuracy (%) as published (README of the authors' code); not run here.
PUBLISHED = {"nano": (5.1, 73.0), "tiny": (7.0, 75.1), "small": (16.1, 79.8), "medium": (33.7, 82.4)}
CURVATURES = (1e-4, 1e-2, 1.0, 4.0)


def size_rows() -> Iterator[dict[str, Any]]:
    """Parameters of the four sizes, counted by building them."""
    for name, size in SIZES.items():
        with torch.device("meta"):
            network = HCFormer(size, 1000)
        millions, top_1 = PUBLISHED[name]
        yield {
            "size": name,
            "published_millions": millions,
            "millions": n_parameters(network) / 1e6,
            "millions_without_head": (n_parameters(network) - n_parameters(network.head)) / 1e6,
            "published_top_1": top_1,
        }


def accuracy_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Accuracy and cross-entropy of each trained network on its 500 held-out images."""
    networks, epochs, kappa = read(path)
    for (mixer, seed), network in networks.items():
        *_, images, labels = digits(seed)
        with torch.no_grad():
            score = network(images)
        yield {
            "mixer": mixer,
            "seed": seed,
            "n_parameters": n_parameters(network),
            "epochs": epochs,
            "kappa": kappa if mixer == "hyperbolic" else None,
            "accuracy": float((score.argmax(1) == labels).double().mean()),
            "loss": float(nn.functional.cross_entropy(score, labels)),
            "n_images": len(labels),
        }


def identity_rows(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield exact identities of the mixer and of the Lorentz distance, each with its largest violation."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(256, 8))
    cell = np.repeat(np.arange(16), 16)
    pooling = (cell == np.arange(16)[:, None]) / 16
    A = kernel.attention_weights(x, pooling @ x, beta=3.0, similarity=kernel.cosine)
    gathered = (A.T @ x) / A.sum(0)[:, None]
    difference = np.abs(gathered - k_means.update(x, pooling @ x, A)).max()
    yield {"identity": "gather without pseudo-count is the soft k-means update", "value": difference}
    S = A @ ((A.T + pooling) / (A.sum(0)[:, None] + 1))
    tensors = [torch.from_numpy(part) for part in (A, x, pooling @ x)]
    mixed = gather_and_scatter(tensors[0], tensors[1], tensors[2]).numpy()
    yield {"identity": "the mixer is one matrix S, y = S x", "value": np.abs(S @ x - mixed).max()}
    yield {"identity": "rows of S sum to 1", "value": np.abs(S.sum(1) - 1).max()}
    yield {"identity": "rank of S over the number of centres", "value": np.linalg.matrix_rank(S) / 16}
    for kappa in CURVATURES:
        q, k = x[:20], pooling @ x
        d = -kernel.minus_lorentz_distance(q, k, kappa)
        time, space = kernel.lorentz_lift(q, kappa)
        k_time, k_space = kernel.lorentz_lift(k, kappa)
        inner = space @ k_space.T - np.outer(time, k_time)
        without = np.arccosh(np.maximum(-inner, 1)) / np.sqrt(kappa)
        for identity, value in (
            ("largest d_L over Euclidean distance", (d / -kernel.minus_distance(q, k)).max()),
            ("error of arccosh(-<x, c>_L) / sqrt(kappa), without kappa inside", np.abs(without - d).max()),
        ):
            yield {"identity": identity, "kappa": kappa, "value": value}


def main() -> None:
    """Command line: measure and write three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=Path, required=True, help="file of trained networks (.safetensors)")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        "attention_mixers": accuracy_rows(arguments.networks),
        "attention_hcformer_sizes": size_rows(),
        "attention_mixer_identities": identity_rows(),
    }
    for name, rows in found.items():
        columns = list(tables.dictionary()[name]["columns"])
        tables.write(name, pd.DataFrame(rows).reindex(columns=columns), arguments.tables / f"{name}.csv")


if __name__ == "__main__":
    run(main)
