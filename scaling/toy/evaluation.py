"""What is measured of a trained toy model: loss on fresh samples, split by feature, and the geometry of its rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scaling import geometry, theory
from scaling.toy import features


CHUNK = 2048  # samples at a time


@dataclass(frozen=True)
class HeldOut:
    """Squared error on fresh samples: mean, its standard error, and the mean for each feature."""

    loss: float
    loss_stderr: float
    by_feature: NDArray[np.float64]  # (n,), sums to loss
    n_samples: int


def held_out_loss(
    W: NDArray[np.float32],
    b: NDArray[np.float32],
    p: NDArray[np.float64],
    n_samples: int,
    rng: np.random.Generator,
) -> HeldOut:
    """L = E_x ||ReLU(x W W^T + b) - x||^2 on fresh samples (paper, Eq. 3), with its standard error.

    Products are float32, sums float64. n_samples is rounded up to whole chunks of 2048.
    """
    n = len(b)
    by_feature = np.zeros(n)
    each = []
    for _ in range(-(-n_samples // CHUNK)):
        batch = features.draw_batch(rng, p, CHUNK)
        x = sparse.csr_array((batch.value, (batch.sample, batch.feature)), shape=(CHUNK, n))
        error = x @ W @ W.T
        error += b
        np.maximum(error, 0, out=error)
        error[batch.sample, batch.feature] -= batch.value
        np.square(error, out=error)
        by_feature += error.sum(axis=0, dtype=np.float64)
        each.append(error.sum(axis=1, dtype=np.float64))
    losses = np.concatenate(each)
    return HeldOut(
        loss=float(losses.mean()),
        loss_stderr=float(losses.std(ddof=1) / np.sqrt(len(losses))),
        by_feature=by_feature / len(losses),
        n_samples=len(losses),
    )


def measures(W: NDArray[np.float32], p: NDArray[np.float64], held_out: HeldOut) -> dict[str, Any]:
    """The columns of toy_models.csv that follow from the weights and the held-out loss."""
    n, m = W.shape
    norms = geometry.row_norms(W)
    represented = norms > 0.5
    strong, weak = norms > 1, represented & (norms <= 1)
    every = geometry.squared_overlaps(W) if np.count_nonzero(norms) > 1 else None
    among_strong = geometry.squared_overlaps(W[strong]) if strong.sum() > 1 else None
    among_weak = geometry.squared_overlaps(W[weak]) if weak.sum() > 1 else None
    return {
        "loss": held_out.loss,
        "loss_stderr": held_out.loss_stderr,
        "n_samples": held_out.n_samples,
        "loss_unlearned": theory.unlearned_loss(p, represented),
        "loss_unrepresented": float(held_out.by_feature[~represented].sum()),
        "n_unrepresented": int((~represented).sum()),
        "phi_half": geometry.phi(norms, 0.5),
        "phi_1": geometry.phi(norms, 1.0),
        "mean_norm": float(norms.mean()),
        "std_norm": float(norms.std()),
        "mean_sq_overlap": every.mean_sq if every else None,
        "std_sq_overlap": every.std_sq if every else None,
        "mean_sq_overlap_strong": among_strong.mean_sq if among_strong else None,
        "std_sq_overlap_strong": among_strong.std_sq if among_strong else None,
        "welch_bound_strong": geometry.welch_bound(int(strong.sum()), m) if among_strong else None,
        "n_strong": int(strong.sum()),
        "n_weak": int(weak.sum()),
        "mean_cosine_weak": among_weak.mean_cosine if among_weak else None,
        "welch_bound": geometry.welch_bound(n, m),
        "random_mean": geometry.random_sq_overlap_mean(m),
    }
