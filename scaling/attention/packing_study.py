"""Measure packings by repulsive attention: the flow in time, and minima of pair energies with their bounds.

python -m scaling.attention.packing_study --sets 300x10 150x8 150x16 28x7 16x6 --tables results/tables
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from scaling import geometry, tables
from scaling.attention import packing
from scaling.attention.packing_measurement import packing_columns
from scaling.command import InputError, at_least, run


FLOW_ROWS, FLOW_M, FLOW_BETA = 60, 6, 4.0
FLOW_TIMES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)
ENERGIES: tuple[tuple[packing.Energy, float], ...] = (("frame", 1.0), ("exp", 4.0), ("cosh", 4.0), ("cosh", 16.0))
SMALL, STARTS = 50, 8  # sets of at most SMALL rows are minimized from STARTS starts
NULL_ROWS, NULL_WIDTHS, NULL_BETAS = 1000, (10, 25, 63, 100), (1.0, 2.0, 4.0, 8.0)


def parse_set(text: str) -> tuple[int, int]:
    """Parse (nu, m) from a string such as 300x10. Raises InputError for any other form."""
    try:
        nu, m = map(int, text.split("x"))
    except ValueError:
        raise InputError(f"set {text!r}: write ROWSxDIMENSIONS, such as 300x10") from None
    packing.check(nu, m, 1.0)
    return nu, m


def minimum_rows(nu: int, m: int, seed: int, iterations: int) -> Iterator[dict[str, Any]]:
    """Rows of attention_packing: random rows, then the minimum of each energy."""
    random = packing.random_rows(nu, m, np.random.default_rng([seed, nu, m]))
    yield {"rows": "random", "seed": seed, **packing_columns(random)}
    for energy, beta in ENERGIES:
        rng = np.random.default_rng([seed, nu, m])
        w = packing.minimum(nu, m, energy, beta, rng, STARTS if nu <= SMALL else 1, iterations)
        yield {"rows": energy, "beta": None if energy == "frame" else beta, "seed": seed, **packing_columns(w)}


def flow_rows(seed: int) -> Iterator[dict[str, Any]]:
    """Rows of attention_packing along the repulsive flow of exp."""
    start = packing.random_rows(FLOW_ROWS, FLOW_M, np.random.default_rng(seed))
    for time, w in zip(FLOW_TIMES, packing.flow(start, "exp", FLOW_BETA, np.array(FLOW_TIMES)), strict=True):
        yield {"rows": "flow", "beta": FLOW_BETA, "seed": seed, "time": time, **packing_columns(w)}


def null_rows(seed: int) -> Iterator[dict[str, Any]]:
    """Rows of attention_pair_energy: 2 m log <e^{beta w.w'}> / beta^2 of random rows, and its closed form."""
    for m in NULL_WIDTHS:
        w = packing.random_rows(NULL_ROWS, m, np.random.default_rng([seed, m]))
        for beta in NULL_BETAS:
            weights = np.exp(beta * (w @ w.T))
            pairs = (weights.sum(1) - np.exp(beta)) / (NULL_ROWS - 1)
            scale = 2 * m / beta**2
            yield {
                "m": m,
                "beta": beta,
                "nu": NULL_ROWS,
                "scaled_energy": scale * float(np.log(pairs.mean())),
                # The means of two rows over the other rows are nearly independent.
                "scaled_energy_stderr": scale * float(pairs.std(ddof=1) / pairs.mean() / np.sqrt(NULL_ROWS)),
                "scaled_energy_isotropic": scale * float(np.log(geometry.isotropic_pair_energy(m, beta))),
            }


def main() -> None:
    """Command line: measure and write two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", required=True, help="sets of rows, ROWSxDIMENSIONS")
    parser.add_argument("--iterations", type=at_least(1), default=300, help="L-BFGS iterations per minimum")
    parser.add_argument("--seed", type=at_least(0), default=0, help="seed of the random rows")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write")
    arguments = parser.parse_args()
    sets = [parse_set(text) for text in arguments.sets]
    with threadpool_limits(1):
        rows = [row for nu, m in sets for row in minimum_rows(nu, m, arguments.seed, arguments.iterations)]
        rows += flow_rows(arguments.seed)
        null = list(null_rows(arguments.seed))
    for name, found in (("attention_packing", rows), ("attention_pair_energy", null)):
        columns = list(tables.dictionary()[name]["columns"])
        tables.write(name, pd.DataFrame(found).reindex(columns=columns), arguments.tables / f"{name}.csv")


if __name__ == "__main__":
    run(main)
