"""Follow the gradient flow of bigram models: excess against time under gradient descent with a small constant step.

python -m scaling.bigram.flow --study '{...}' --counts results/bigram/counts --output bigram_flow.csv

The study is the config's `bigram` section as JSON; its `flow` lists the runs.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from scaling import tables
from scaling.bigram.matrices import Matrix
from scaling.bigram.model import Target, excess_and_gradient
from scaling.bigram.study import Cell, flows, matrices
from scaling.bigram.training import flat, initial_weights, read_matrix, unflat
from scaling.command import InputError, run
from scaling.study_option import section


POINTS = 60  # per curve, equally spaced in log time


def descend(matrix: Matrix, cell: Cell, time: float, step_size: float) -> Iterator[tuple[float, float]]:
    """Yield (t, excess) under gradient descent from the initial weights, t = steps x step_size up to `time`.

    A, W and b follow d theta/dt = -grad excess as step_size goes to 0. Raises InputError if the excess exceeds its
    initial value, which means that step_size is too large.
    """
    target = Target.of(matrix, np.float32)
    weights = initial_weights(matrix, cell)
    steps = max(round(time / step_size), 1)
    kept = set(np.unique(np.geomspace(1, steps, POINTS).round().astype(int)).tolist())
    vector = flat(weights, tied=False)
    start, gradient = excess_and_gradient(target, weights)
    for step in range(1, steps + 1):
        vector -= step_size * flat(gradient, tied=False)
        excess, gradient = excess_and_gradient(target, unflat(vector, matrix.n, cell.m, tied=False))
        if not excess <= 1.1 * start:
            raise InputError(f"{cell.name}: the excess grows at step {step}; give a smaller step_size than {step_size}")
        if step in kept:
            yield step * step_size, excess


def main() -> None:
    """Parse the command line, follow every run of the study, write one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="config file (YAML), or its bigram section as JSON text")
    parser.add_argument("--counts", type=Path, required=True, help="folder of the counts, named by vocabulary")
    parser.add_argument("--output", type=Path, required=True, help="table bigram_flow to write")
    arguments = parser.parse_args()
    study = section(arguments.study, "bigram", ["matrices"])
    settings = matrices(study)
    rows = []
    for cell, time, step_size in flows(study):
        given = settings[cell.matrix]
        matrix = read_matrix(given, arguments.counts / f"{given.vocabulary}.safetensors" if given.is_counted else None)
        common = {"matrix": cell.matrix, "law": given.law, "n": matrix.n, "m": cell.m, "step_size": step_size}
        with threadpool_limits(1):
            for at, excess in descend(matrix, cell, time, step_size):
                rows.append({**common, "information": matrix.information, "time": at, "excess": excess})
        logging.info("%s, step size %g: excess %.5f at time %g", cell.name, step_size, excess, at)
    columns = list(tables.dictionary()["bigram_flow"]["columns"])
    tables.write("bigram_flow", pd.DataFrame(rows, columns=columns), arguments.output)


if __name__ == "__main__":
    run(main)
