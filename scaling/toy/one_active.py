r"""The exact loss of a toy model on samples with one active feature, split into its parts, and what its rows look like.

With only feature i active, x_i = v ~ U(0, 2), the output is y_j = ReLU(v W_i . W_j + b_j), and

    L_1 = sum_i q_i [ d(|W_i|^2, b_i) + sum_{j != i} f(W_i . W_j, b_j) ],   q_i ~ p_i / (1 - p_i),  sum_i q_i = 1
    d(g, b) = E_v (ReLU(v g + b) - v)^2,   f(g, b) = E_v ReLU(v g + b)^2 = ((2 g + b)_+^3 - b_+^3) / (6 g)

where q_i is the probability that the one active feature is i. The first term is the silent part (2 |W_i|^2 + b_i <= 0,
d = 4/3) or the shrink part; the second is the false part. Interference needs two active features.

    python -m scaling.toy.one_active --study config.yaml --folder results/toy/models --output toy_one_active.csv
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scaling import geometry, tables
from scaling.command import run
from scaling.study_option import section
from scaling.theory import false_error, odds_weights, own_error
from scaling.toy.evaluation import silent_features
from scaling.toy.model_file import TrainedModel, read_models
from scaling.toy.packings import overlap_quantile
from scaling.toy.study import distinct_cells


BLOCK = 1024  # rows of the Gram matrix at a time


@dataclass(frozen=True)
class OneActiveLoss:
    """L_1 and its parts: loss = silent + shrink + false."""

    silent: float
    shrink: float
    false: float

    @property
    def loss(self) -> float:
        """L_1, the mean loss of samples with exactly one active feature."""
        return self.silent + self.shrink + self.false


def one_active_loss(W: NDArray[np.floating], b: NDArray[np.floating], p: NDArray[np.float64]) -> OneActiveLoss:
    """Return the exact loss on samples with exactly one active feature; W (n, m), b (n,), p (n,), sums in float64."""
    W, b = W.astype(np.float64), b.astype(np.float64)
    q, silent = odds_weights(p), silent_features(W, b)
    own = q * own_error(np.einsum("ij,ij->i", W, W), b)
    false = 0.0
    for start in range(0, len(W), BLOCK):
        rows = slice(start, start + BLOCK)
        fired = false_error(W[rows] @ W.T, b)
        fired[np.arange(len(fired)), np.arange(len(W))[rows]] = 0
        false += float(q[rows] @ fired.sum(axis=1))
    return OneActiveLoss(silent=float(own[silent].sum()), shrink=float(own[~silent].sum()), false=false)


def live_columns(W: NDArray[np.floating], b: NDArray[np.floating], p: NDArray[np.float64]) -> dict[str, Any]:
    """Return what the live features have in common: their frequency, threshold and overlaps (unit rows)."""
    live = ~silent_features(W, b)
    weight = p[live] / max(p[live].sum(), 1e-300)
    squares = geometry.row_norms(W[live]) ** 2
    overlaps = geometry.squared_overlaps(W[live]) if live.sum() > 1 else None
    return {
        "n_live": int(live.sum()),
        "frequency_live": float(p[live].sum()),
        "mean_bias_live": float(weight @ b[live].astype(np.float64)) if live.any() else None,
        "mean_sq_norm_live": float(weight @ squares) if live.any() else None,
        "mean_fourth_overlap_live": overlaps.std_sq**2 + overlaps.mean_sq**2 if overlaps else None,
        "overlap_quantile_live": overlap_quantile(W[live], 0.99) if live.sum() > 1 else None,
    }


def one_active_row(model: TrainedModel) -> dict[str, Any]:
    """Return the row of toy_one_active.csv for a trained model."""
    split = one_active_loss(model.W, model.b, model.p)
    parts = {f"one_active_{part}": getattr(split, part) for part in ("loss", "silent", "shrink", "false")}
    return {"model": model.cell.name, **parts, **live_columns(model.W, model.b, model.p)}


def main() -> None:
    """Command line: one row per model of a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="config file (YAML), or its toy section as JSON text")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the models")
    parser.add_argument("--output", type=Path, required=True, help="table toy_one_active to write")
    arguments = parser.parse_args()
    toy = section(arguments.study, "toy", ["trainings", "experiments"])
    with threadpool_limits(1):
        rows = [one_active_row(model) for model in read_models(sorted(distinct_cells(toy)), arguments.folder)]
    tables.write("toy_one_active", pd.DataFrame(rows), arguments.output)


if __name__ == "__main__":
    run(main)
