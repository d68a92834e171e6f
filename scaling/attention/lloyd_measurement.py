"""Measure trained Lloyd networks on new mixtures: error per layer, and parameters in the notation of the circuit.

python -m scaling.attention.lloyd_measurement --networks lloyd.safetensors --output attention_lloyd_network.csv
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from scaling import tables
from scaling.attention.lloyd_network import KernelLayer, LloydNetwork, lloyd, mixtures, read, target
from scaling.command import run


MIXTURES = 4000
SEED = 20260101  # of the mixtures used for measurement


def root_mean_square(difference: Tensor) -> float:
    """Square root of the mean square of all entries."""
    return float(difference.square().mean().sqrt())


def circuit_columns(layer: KernelLayer) -> dict[str, float]:
    """Parameters of a kernel layer in the notation of the circuit: beta is the mean diagonal entry of A."""
    A, a, g, V, rho = (part.detach() for part in (layer.A, layer.a, layer.g, layer.V, layer.rho))
    eye = torch.eye(len(A))
    beta, value = float(A.trace()) / len(A), float(V.trace()) / len(V)
    return {
        "beta": beta,
        "sharpness": beta * float(g),
        "centre_ratio": float(a) / beta,
        "anisotropy": float((A - beta * eye).norm() / A.norm()),
        "value": value,
        "residual": float(rho),
    }


def rows(network: LloydNetwork, kind: str, depth: int, seed: int, steps: int) -> Iterator[dict[str, Any]]:
    """Yield one row per layer; the error of layer t is relative to t iterations of Lloyd's algorithm.

    A network of one layer is also applied 2 to 8 times in a row; those rows have no parameters.
    """
    X, C = mixtures(MIXTURES, torch.Generator().manual_seed(SEED))
    common = {"kind": kind, "depth": depth, "seed": seed, "steps": steps}
    common |= {"n_parameters": sum(p.numel() for p in network.parameters())}
    with torch.no_grad():
        found, truth = network(X, C), target(X, C, depth)
        for t, layer in enumerate(network.layers):
            row = {**common, "layer": t + 1, "error": root_mean_square(found[t] - truth[t])}
            row |= {"error_of_start": root_mean_square(C - truth[t])}
            yield row | (circuit_columns(layer) if isinstance(layer, KernelLayer) else {})
        if depth == 1:
            learned, exact = found[0], truth[0]
            for t in range(2, 9):
                learned, exact = network(X, learned)[0], lloyd(X, exact)
                row = {**common, "layer": t, "error": root_mean_square(learned - exact)}
                yield {**row, "error_of_start": root_mean_square(C - exact)}


def main() -> None:
    """Command line: measure the networks and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=Path, required=True, help="file of trained networks (.safetensors)")
    parser.add_argument("--output", type=Path, required=True, help="table attention_lloyd_network to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    networks, steps = read(arguments.networks)
    found = [row for key, network in networks.items() for row in rows(network, *key, steps)]
    columns = list(tables.dictionary()["attention_lloyd_network"]["columns"])
    tables.write("attention_lloyd_network", pd.DataFrame(found).reindex(columns=columns), arguments.output)


if __name__ == "__main__":
    run(main)
