"""Energies of the rows of a head beyond the mean squared overlap: pair energies, and the paper's Eq. 10.

The matrix is read in blocks, as for the overlaps. All pairs are used, or those of sampled rows, with standard errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scaling.llm.block_geometry import BLOCK, PAIR_ROWS, Matrix, RowSurvey, unit_blocks


@dataclass(frozen=True)
class Energies:
    """log mean e^(beta o) over pairs of unit rows for each beta, and the mean of Eq. 10.

    Standard errors are 0 when all pairs are used.
    """

    n_rows: int
    pair_energy: NDArray[np.float64]  # (n_beta,)
    pair_energy_stderr: NDArray[np.float64]
    own_loss: float  # nats
    own_loss_stderr: float


def energies(
    matrix: Matrix,
    rows: RowSurvey,
    betas: Sequence[float],
    pairs: Literal["exact", "sampled"],
    sample_rows: int,
    seed: int,
) -> Energies:
    """Compute energies of the kept rows w_i of `matrix` (nu x m), with overlaps o_ij of unit rows.

    Pair energy: log of the mean of exp(beta o_ij) over pairs i != j. Loss (paper, Eq. 10), mean over i:
    L_i = log(1 + sum_j exp(w_i . w_j / |w_i| - |w_i|)), the cross-entropy of token i when the hidden state is its own
    unit row. With `sampled`, `sample_rows` rows are drawn without replacement, and each is paired with all others.
    """
    candidates = np.flatnonzero(rows.kept)
    nu = len(candidates)
    chosen = candidates
    if pairs == "sampled" and sample_rows < nu:
        chosen = np.sort(np.random.default_rng(seed).choice(candidates, sample_rows, replace=False))
    sums = np.concatenate(
        [
            row_sums(matrix, rows, chosen[i : i + PAIR_ROWS], np.asarray(betas, dtype=np.float64))
            for i in range(0, len(chosen), PAIR_ROWS)
        ],
        axis=1,
    )
    means = sums[:-1] / (nu - 1)
    mean = means.mean(axis=1)
    losses = np.log1p(sums[-1])
    left = np.sqrt((1 - len(chosen) / nu) / len(chosen))
    return Energies(
        n_rows=len(chosen),
        pair_energy=np.log(mean),
        pair_energy_stderr=means.std(axis=1, ddof=1) * left / mean,
        own_loss=float(losses.mean()),
        own_loss_stderr=float(losses.std(ddof=1) * left),
    )


def row_sums(
    matrix: Matrix, rows: RowSurvey, chosen: NDArray[np.int64], betas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums of e^(beta o_ij) for each beta, and of the terms of Eq. 10, over kept rows j != i for each chosen row i.

    Shape (n_beta + 1, rows), float64.
    """
    mask = np.zeros(matrix.shape[0], dtype=bool)
    mask[chosen] = True
    w = np.concatenate([unit for _, unit in unit_blocks(matrix, mask)])
    own = rows.norms[chosen][:, None]
    sums = np.zeros((len(betas) + 1, len(chosen)))
    step = max(1, BLOCK // (8 * len(chosen)))
    for numbers, unit in unit_blocks(matrix, rows.kept):
        for start in range(0, len(unit), step):
            others = numbers[start : start + step]
            overlap = (w @ unit[start : start + step].T).astype(np.float64)
            different = chosen[:, None] != others
            for k, beta in enumerate(betas):
                sums[k] += np.sum(np.exp(beta * overlap), axis=1, where=different)
            sums[-1] += np.sum(np.exp(overlap * rows.norms[others] - own), axis=1, where=different)
    return sums
