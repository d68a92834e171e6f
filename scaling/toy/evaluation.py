"""The held-out loss of a toy model, and what it is made of.

A sample error (y_i - x_i)^2, with y = ReLU(x W W^T + b), belongs to exactly one of these parts (their sum is the loss):

- silent: feature i is active and silent, 2 |W_i|^2 + b_i <= 0: it does not fire even alone at its largest value, 2.
- shrink: feature i is active and live; its own error when it is active alone, (ReLU(x_i |W_i|^2 + b_i) - x_i)^2.
- interference: feature i is active and live; what the other active features add to that error (may be negative).
- false: feature i is inactive, but its output fires.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scaling.toy import features


CHUNK = 2048  # samples at a time
PARTS = ("silent", "shrink", "interference", "false")


def silent_features(W: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which features never fire alone: 2 |W_i|^2 + b_i <= 0, since x_i < 2; shape (n,)."""
    squares = np.einsum("ij,ij->i", W, W, dtype=np.float64)
    return 2 * squares + np.asarray(b, dtype=np.float64) <= 0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Squared error on fresh samples: its mean with a standard error, its mean per feature, and its parts.

    by_feature has shape (n,) and sums to loss; parts maps silent, shrink, interference and false to (mean, standard
    error), and the means sum to loss.
    """

    loss: float
    loss_stderr: float
    by_feature: NDArray[np.float64]
    parts: dict[str, tuple[float, float]]
    n_samples: int

    def __repr__(self) -> str:
        parts = (f"  {part:<14}{mean:.4g} ± {stderr:.2g}" for part, (mean, stderr) in self.parts.items())
        head = f"held-out loss {self.loss:.4g} ± {self.loss_stderr:.2g} (standard error; {self.n_samples} samples):"
        return "\n".join([head, *parts])


def held_out_loss(
    W: NDArray[np.float32],
    b: NDArray[np.float32],
    p: NDArray[np.float64],
    n_samples: int,
    rng: np.random.Generator,
    draw: Callable[[np.random.Generator, NDArray[np.float64], int], features.Batch] = features.draw_batch,
) -> HeldOut:
    """Return L = E_x ||ReLU(x W W^T + b) - x||^2 on fresh samples (paper, Eq. 3), split into its parts.

    Products are float32, sums float64. n_samples is rounded up to whole chunks of 2048, each drawn by
    draw(rng, p, 2048).
    """
    n = len(b)
    squares = np.einsum("ij,ij->i", W, W, dtype=np.float64)
    silent = silent_features(W, b)
    by_feature = np.zeros(n)
    each: list[NDArray[np.float64]] = []
    for _ in range(-(-n_samples // CHUNK)):
        batch = draw(rng, p, CHUNK)
        sample, feature, value = batch.sample, batch.feature, batch.value
        x = sparse.csr_array((value, (sample, feature)), shape=(CHUNK, n))
        error = x @ W @ W.T
        error += b
        np.maximum(error, 0, out=error)
        error[sample, feature] -= value
        np.square(error, out=error)
        by_feature += error.sum(axis=0, dtype=np.float64)
        at_active = error[sample, feature].astype(np.float64)
        error[sample, feature] = 0
        false = error.sum(axis=1, dtype=np.float64)
        own = (np.maximum(value * squares[feature] + b[feature], 0) - value) ** 2
        live = ~silent[feature]
        on_silent, shrink, on_live = (
            np.bincount(sample, weights=weights, minlength=CHUNK)
            for weights in (at_active * ~live, own * live, at_active * live)
        )
        each.append(np.stack([on_silent + on_live + false, on_silent, shrink, on_live - shrink, false]))
    losses = np.concatenate(each, axis=1)
    mean, stderr = losses.mean(axis=1), losses.std(axis=1, ddof=1) / np.sqrt(losses.shape[1])
    return HeldOut(
        loss=float(mean[0]),
        loss_stderr=float(stderr[0]),
        by_feature=by_feature / losses.shape[1],
        parts={part: (float(mean[k]), float(stderr[k])) for k, part in enumerate(PARTS, start=1)},
        n_samples=losses.shape[1],
    )


def loss_columns(held_out: HeldOut) -> dict[str, Any]:
    """Return the columns of toy_models.csv that hold the held-out loss and its parts."""
    columns: dict[str, Any] = {
        "loss": held_out.loss,
        "loss_stderr": held_out.loss_stderr,
        "n_samples": held_out.n_samples,
    }
    for part, (mean, stderr) in held_out.parts.items():
        columns |= {f"loss_{part}": mean, f"loss_{part}_stderr": stderr}
    return columns
