"""Sets of unit rows to compare trained ones with, and how far from orthogonal they are.

| packing | rows |
| --- | --- |
| random | independent and uniform on the sphere: mean squared overlap 1/m |
| tight_frame | random rows made a unit-norm tight frame: mean squared overlap at the Welch bound |
| least_coherent | smallest sum of cosh(beta w_i . w_j) at rising beta: small largest overlap |
| clustered | random clusters of 8 rows with cosine near 1/2 inside a cluster |
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from scaling import geometry


Rows = NDArray[np.float64]

CLUSTER_SIZE, CLUSTER_COSINE = 8, 0.5
SHARPNESS = (1.0, 3.0, 10.0, 30.0)  # beta times the Welch bound's root, of the successive minimisations
ITERATIONS = 60  # of each


def random_rows(nu: int, m: int, rng: np.random.Generator) -> Rows:
    """Return nu independent rows, uniform on the unit sphere in m dimensions; shape (nu, m)."""
    return geometry.unit_rows(rng.standard_normal((nu, m)))


def tight_frame(nu: int, m: int, rng: np.random.Generator, iterations: int = 200) -> Rows:
    """Return nu unit rows with W^T W = (nu/m) 1 to about 1e-6, by alternating projections; nu >= m.

    Source: Tropp, Dhillon, Heath, Strohmer 2005, alternating between tight frames and unit rows.
    """
    w = random_rows(nu, m, rng)
    for _ in range(iterations):
        values, vectors = np.linalg.eigh(w.T @ w)
        w = geometry.unit_rows(w @ (vectors / np.sqrt(values)) @ vectors.T)
    return w


def coherence_energy(flat: Rows, nu: int, beta: float) -> tuple[float, Rows]:
    """Return log mean_{i != j} cosh(beta w_i . w_j) / beta of the unit rows of `flat`, and its gradient by `flat`."""
    rows = flat.reshape(nu, -1)
    norms = geometry.row_norms(rows)[:, None]
    w = rows / norms
    argument = beta * (w @ w.T)
    np.fill_diagonal(argument, 0)
    top = np.abs(argument).max()
    up, down = np.exp(argument - top), np.exp(-argument - top)
    np.fill_diagonal(up, 0)
    np.fill_diagonal(down, 0)
    total = (up + down).sum()
    value = (top + np.log(total / (2 * nu * (nu - 1)))) / beta
    by_w = 2 * ((up - down) / total) @ w
    by_rows = (by_w - np.einsum("ij,ij->i", by_w, w)[:, None] * w) / norms
    return float(value), by_rows.ravel()


def least_coherent(nu: int, m: int, rng: np.random.Generator) -> Rows:
    """Return nu unit rows with a small largest |w_i . w_j|: L-BFGS on the cosh energy, from a tight frame."""
    w = tight_frame(nu, m, rng)
    unit = 1 / np.sqrt(max(geometry.welch_bound(nu, m), 1e-6))
    for sharpness in SHARPNESS:
        found = optimize.minimize(
            coherence_energy, w.ravel(), args=(nu, sharpness * unit), jac=True, method="L-BFGS-B",
            options={"maxiter": ITERATIONS},
        )  # fmt: skip
        w = geometry.unit_rows(found.x.reshape(nu, m))
    return w


def clustered(nu: int, m: int, rng: np.random.Generator) -> Rows:
    """Return nu unit rows in clusters of CLUSTER_SIZE, each row near its cluster's random centre."""
    centre = random_rows(-(-nu // CLUSTER_SIZE), m, rng)[np.arange(nu) // CLUSTER_SIZE]
    return geometry.unit_rows(np.sqrt(CLUSTER_COSINE) * centre + np.sqrt(1 - CLUSTER_COSINE) * random_rows(nu, m, rng))


PACKINGS: dict[str, Callable[[int, int, np.random.Generator], Rows]] = {
    "random": random_rows,
    "tight_frame": tight_frame,
    "least_coherent": least_coherent,
    "clustered": clustered,
}


def overlap_quantile(W: NDArray[np.floating], share: float, block: int = 1024, bins: int = 40_000) -> float:
    """Return the level that a `share` of w_i . w_j over all pairs of unit rows is below, to 2/bins.

    Overlaps keep their sign: large positive ones make outputs fire, negative ones do not.

    Rows of norm zero are left out. Raises ValueError with fewer than two rows left.
    """
    w = geometry.unit_rows(W)
    if len(w) < 2:
        raise ValueError(f"overlaps need at least two rows that are not zero, got {len(w)}")
    count = np.zeros(bins, np.int64)
    for start in range(0, len(w), block):
        cosine = w[start : start + block] @ w[start:].T
        each_once = np.arange(cosine.shape[0])[:, None] < np.arange(cosine.shape[1])
        at = np.clip(((cosine[each_once] + 1) * (bins / 2)).astype(np.int64), 0, bins - 1)
        count += np.bincount(at, minlength=bins)
    return float(np.searchsorted(np.cumsum(count), share * count.sum()) + 1) * 2 / bins - 1
