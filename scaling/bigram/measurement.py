"""Measure trained bigram models: excess loss, geometry of A and W, and rival predictions at their widths.

python -m scaling.bigram.measurement --study bigram.json --counts results/bigram/counts --folder results/bigram/models
    --models bigram_models.csv --ranks bigram_ranks.csv

The study is the config's `bigram` section as JSON.
"""

import argparse
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import xlogy

from scaling import arrays, geometry, tables
from scaling.bigram import rivals
from scaling.bigram.matrices import Matrix
from scaling.bigram.model import BLOCK, Weights, softmax_rows
from scaling.bigram.study import Cell, MatrixSettings, cells, matrices
from scaling.bigram.training import read_matrix
from scaling.command import InputError, run
from scaling.study_option import section


FloatArray = NDArray[np.float64]


def read_model(path: Path) -> tuple[dict[str, Any], Weights]:
    """Read the record and the weights of a model file. Raises InputError if it is missing or corrupt."""
    if not path.is_file():
        raise InputError(f"{path}: no such model; train it with `snakemake --cores all bigram`")
    text, tensors = arrays.read(path)
    W = tensors["W"].astype(np.float64)
    A = tensors["A"].astype(np.float64) if "A" in tensors else W
    return json.loads(text["record"]), Weights(A, W, tensors["b"].astype(np.float64))


def excess_by_token(matrix: Matrix, weights: Weights) -> tuple[FloatArray, FloatArray]:
    """Split the excess by context x, r_x KL(P_x || Q_x), and by next token y, sum_x r_x P_xy log(P_xy/Q_xy); (n,) each.

    Both sum to the excess. The second may be negative for a token.
    """
    by_context, by_next = np.zeros(matrix.n), np.zeros(matrix.n)
    for start in range(0, matrix.n, BLOCK):
        rows = slice(start, start + BLOCK)
        P, r = matrix.P[rows], matrix.r[rows, None]
        logits = weights.A[rows] @ weights.W.T + weights.b
        log_sum = softmax_rows(logits.copy())
        parts = r * (xlogy(P, P) - P * (logits - log_sum[:, None]))
        by_context[rows] = parts.sum(axis=1)
        by_next += parts.sum(axis=0)
    return by_context, by_next


def balanced(weights: Weights) -> tuple[FloatArray, FloatArray]:
    """Return A and W with zero mean row and A^T A = W^T W: the same softmax, unique up to a rotation.

    A -> A M, W -> W M^-T leaves Z unchanged, and a vector added to all rows of W leaves the softmax unchanged. Overlaps
    depend on both, but the excess does not. With A W^T = U S V^T, the balanced matrices are U S^1/2 and V S^1/2.
    """
    Q_A, R_A = np.linalg.qr(weights.A - weights.A.mean(axis=0))
    Q_W, R_W = np.linalg.qr(weights.W - weights.W.mean(axis=0))
    U, s, Vt = np.linalg.svd(R_A @ R_W.T)
    return Q_A @ (U * np.sqrt(s)), Q_W @ (Vt.T * np.sqrt(s))


def mean_sq_overlap(W: geometry.FloatArray) -> float | None:
    """Return the mean squared overlap over all pairs of unit rows of W; None with fewer than two nonzero rows."""
    w = geometry.unit_rows(W)
    return geometry.mean_sq_overlap_from_gram(w.T @ w, len(w)) if len(w) > 1 else None


def rank_correlation(first: FloatArray, second: FloatArray) -> float | None:
    """Return Spearman's rank correlation; None if one of the two is constant."""
    return float(stats.spearmanr(first, second).statistic) if np.ptp(first) > 0 and np.ptp(second) > 0 else None


def measures(matrix: Matrix, weights: Weights, by_context: FloatArray) -> dict[str, Any]:
    """Return the columns of bigram_models.csv that follow from the weights and the excess by context."""
    A_balanced, W_balanced = balanced(weights)
    W_norm, A_norm = geometry.row_norms(weights.W), geometry.row_norms(weights.A)
    m = weights.W.shape[1]
    excess = float(by_context.sum())
    return {
        "excess": excess,
        "loss": matrix.floor + excess,
        "excess_share": excess / matrix.information if matrix.information > 1e-12 else None,
        "excess_rare": float(by_context[m:].sum() / excess) if excess > 0 else None,
        "phi_half": geometry.phi(W_norm, 0.5),
        "phi_1": geometry.phi(W_norm, 1.0),
        "mean_norm": float(W_norm.mean()),
        "std_norm": float(W_norm.std()),
        "mean_norm_context": float(A_norm.mean()),
        "phi_half_context": geometry.phi(A_norm, 0.5),
        "mean_sq_overlap": mean_sq_overlap(weights.W),
        "centred_mean_sq_overlap": mean_sq_overlap(weights.W - weights.W.mean(axis=0)),
        "balanced_mean_sq_overlap": mean_sq_overlap(W_balanced),
        "context_mean_sq_overlap": mean_sq_overlap(weights.A),
        "balanced_context_mean_sq_overlap": mean_sq_overlap(A_balanced),
        "welch_bound": geometry.welch_bound(matrix.n, m),
        "norm_frequency_correlation": rank_correlation(matrix.next_frequency, W_norm),
    }


def rank_bins(n: int) -> list[tuple[int, int]]:
    """Return bins of ranks 1 .. n by powers of two: (1, 1), (2, 3), (4, 7), ...; the last bin ends at n."""
    return [(2**k, min(2 ** (k + 1) - 1, n)) for k in range(n.bit_length())]


def ranks(matrix: Matrix, weights: Weights, by_context: FloatArray, by_next: FloatArray) -> Iterator[dict[str, Any]]:
    """Yield rows of bigram_ranks.csv for one model: sums over tokens by frequency rank."""
    order = np.argsort(-matrix.r, kind="stable")
    norms = geometry.row_norms(weights.W)[order], geometry.row_norms(weights.A)[order]
    for first, last in rank_bins(matrix.n):
        part = slice(first - 1, last)
        yield {
            "rank_min": first,
            "rank_max": last,
            "frequency": float(matrix.r[order][part].sum()),
            "excess_context": float(by_context[order][part].sum()),
            "excess_next": float(by_next[order][part].sum()),
            "mean_norm": float(norms[0][part].mean()),
            "mean_norm_context": float(norms[1][part].mean()),
        }


def predictions(matrix: Matrix, widths: list[int]) -> dict[int, dict[str, float | None]]:
    """Return the predicted_ columns of bigram_models.csv at each width."""
    at = np.minimum(widths, matrix.n)
    chi_square, frequency = rivals.chi_square(matrix)[at], rivals.frequency(matrix)[at]
    successors = rivals.successors(matrix)[at]
    decomposition = rivals.log_linear(matrix)
    log_spectrum = truncated = None
    if decomposition is not None:
        log_spectrum = rivals.log_spectrum(decomposition)[at]
        truncated = rivals.truncated_excess(matrix, decomposition, widths)
    return {
        m: {
            "predicted_chi_square": float(chi_square[i]),
            "predicted_log_spectrum": None if log_spectrum is None else float(log_spectrum[i]),
            "predicted_truncated": None if truncated is None else float(max(truncated[i], 0.0)),
            "predicted_frequency": float(frequency[i]),
            "predicted_successors": float(successors[i]),
        }
        for i, m in enumerate(widths)
    }


def measured(
    name: str, settings: MatrixSettings, members: list[Cell], counts: Path, folder: Path
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield a row of bigram_models and the rows of bigram_ranks for each model of one matrix."""
    matrix = read_matrix(settings, counts / f"{settings.vocabulary}.safetensors" if settings.is_counted else None)
    common = {
        "matrix": name,
        "law": settings.law,
        "vocabulary": settings.vocabulary,
        "n": matrix.n,
        "n_pairs": matrix.n_pairs,
        "floor": matrix.floor,
        "information": matrix.information,
    }
    predicted = predictions(matrix, sorted({cell.m for cell in members}))
    for cell in members:
        record, weights = read_model(folder / f"{cell.name}.safetensors")
        by_context, by_next = excess_by_token(matrix, weights)
        row = {**common, **record, **measures(matrix, weights, by_context), **predicted[cell.m]}
        yield row, pd.DataFrame(ranks(matrix, weights, by_context, by_next)).assign(model=cell.name)


def write(section: Mapping[str, Any], counts: Path, folder: Path, models: Path, ranks_path: Path) -> None:
    """Measure every model of the config's section and write both tables."""
    settings = matrices(section)
    by_matrix: dict[str, list[Cell]] = {}
    for cell in cells(section).values():
        by_matrix.setdefault(cell.matrix, []).append(cell)
    rows, parts = [], []
    for name, members in by_matrix.items():
        for row, part in measured(name, settings[name], members, counts, folder):
            rows.append(row)
            parts.append(part)
        logging.info("%s: %d models measured", name, len(members))
    columns = list(tables.dictionary()["bigram_models"]["columns"])
    tables.write("bigram_models", pd.DataFrame(rows, columns=columns), models)
    rank_columns = list(tables.dictionary()["bigram_ranks"]["columns"])
    every = pd.concat(parts) if parts else pd.DataFrame(columns=rank_columns)
    tables.write("bigram_ranks", every[rank_columns].reset_index(drop=True), ranks_path)


def main() -> None:
    """Parse the command line and measure the models of the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="config file (YAML), or its bigram section as JSON text")
    parser.add_argument("--counts", type=Path, required=True, help="folder of the counts, named by vocabulary")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the trained models")
    parser.add_argument("--models", type=Path, required=True, help="table bigram_models to write")
    parser.add_argument("--ranks", type=Path, required=True, help="table bigram_ranks to write")
    arguments = parser.parse_args()
    study = section(arguments.study, "bigram", ["matrices", "models"])
    write(study, arguments.counts, arguments.folder, arguments.models, arguments.ranks)


if __name__ == "__main__":
    run(main)
