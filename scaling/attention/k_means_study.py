"""Compare the k-means circuit with scikit-learn; measure its soft limit, its phase transition, and its variants.

python -m scaling.attention.k_means_study --starts 20 --tables results/tables
"""

import argparse
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris, load_sample_image, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from scaling import tables
from scaling.attention import k_means, kernel
from scaling.attention.kernel import Array
from scaling.command import at_least, run


DATA = {"blobs": 6, "iris": 3, "digits": 10, "pixels": 16}  # name: number of centres k
JITTER = 1e-6  # breaks the exact ties of data on a grid
SAME = 1e-9  # two centres are the same if they differ by less, relative to the largest coordinate
LAYERS = 300
SOFT_BETAS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
SOFT_LAYERS = 30
RELATIVE_BETAS = (0.5, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.5, 2.0)  # beta / beta_c around the phase transition
LINEAR = 0.2001  # |beta / beta_c - 1| up to which 60 layers from near the mean stay linear and above rounding
TRIMS = (0.0, 0.05, 1 / 11, 0.15)  # 100 of 1100 points are outliers


def points(name: str) -> Array:
    """Return the points of a data set (n, d), float64; iris, digits and the photograph are included in scikit-learn."""
    if name == "blobs":
        return make_blobs(1000, 8, centers=6, cluster_std=2.5, random_state=0)[0]
    if name == "iris":
        return load_iris().data
    if name == "digits":
        return load_digits().data
    return load_sample_image("china.jpg").reshape(-1, 3)[::7].astype(np.float64)


def one_step(X: Array, C: Array) -> Array:
    """Centres of scikit-learn after one iteration of Lloyd's algorithm from C."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(len(C), init=C, n_init=1, tol=0, algorithm="lloyd", max_iter=1).fit(X).cluster_centers_


def has_tie(X: Array, C: Array) -> bool:
    """Whether a point has two nearest centres at the same distance, up to rounding."""
    score = np.sort(kernel.minus_half_squared_distance(X, C), 1)
    return bool(np.any(score[:, -1] - score[:, -2] < SAME * np.abs(score).max()))


def lloyd_row(name: str, jitter: float, starts: int) -> dict[str, Any]:
    """One row of attention_k_means: circuit and scikit-learn, iteration by iteration and at the end."""
    X, k = points(name), DATA[name]
    if jitter:
        X = X + jitter * np.random.default_rng(9).normal(size=X.shape)
    scale = np.abs(X).max()
    counts = {"n_steps": 0, "n_different": 0, "n_different_with_tie": 0, "n_labels_different": 0, "n_same_length": 0}
    largest, largest_same, lengths = 0.0, 0.0, []
    for seed in range(starts):
        path = k_means.run(X, k_means.start(X, k, np.random.default_rng(seed)), layers=LAYERS)
        for before, after in pairwise(path):
            difference = float(np.abs(one_step(X, before) - after).max())
            counts["n_steps"] += 1
            largest = max(largest, difference)
            if difference > SAME * scale:
                counts["n_different"] += 1
                counts["n_different_with_tie"] += has_tie(X, before)
            else:
                largest_same = max(largest_same, difference)
        whole = KMeans(k, init=path[0], n_init=1, tol=0, algorithm="lloyd", max_iter=LAYERS).fit(X)
        labels = k_means.assign(X, path[-1]).argmax(1)
        lengths.append(len(path) - 1)
        counts["n_same_length"] += abs(int(whole.n_iter_) - lengths[-1]) <= 1
        counts["n_labels_different"] += int((labels != whole.labels_).sum())
    return {
        "data": name,
        "n_points": len(X),
        "d": X.shape[1],
        "k": k,
        "jitter": jitter,
        "n_starts": starts,
        **counts,
        "mean_iterations": float(np.mean(lengths)),
        "max_difference": largest,
        "max_difference_same": largest_same,
    }


def spread(C: Array) -> float:
    """Largest distance along an axis between two centres."""
    return float(np.ptp(C, axis=0).max())


def soft_rows(name: str, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of attention_soft_k_means: the limit of large beta, then the transition at beta_c."""
    X, k = points(name), DATA[name]
    first = k_means.start(X, k, np.random.default_rng(seed))
    critical = k_means.critical_beta(X)
    hard = k_means.run(X, first, layers=SOFT_LAYERS)[-1]
    common = {"data": name, "k": k, "seed": seed, "beta_critical": critical}
    for beta in SOFT_BETAS:
        soft = k_means.run(X, first, beta=beta, layers=SOFT_LAYERS)
        distance = float(np.abs(soft[-1] - hard).max())
        yield {**common, "part": "limit", "beta": beta, "distance_to_lloyd": distance, "spread": spread(soft[-1])}
    noise = np.random.default_rng(seed).normal(size=first.shape)
    for relative in RELATIVE_BETAS:
        beta = relative * critical
        end = k_means.run(X, first, beta=beta, layers=2000, tolerance=1e-13)[-1]
        row = {**common, "part": "transition", "beta": beta, "spread": spread(end)}
        if abs(relative - 1) <= LINEAR:
            near = k_means.run(X, X.mean(0) + 1e-6 * noise, beta=beta, layers=60)
            row["growth"] = spread(near[-1]) / spread(near[-2])
        yield row


def spherical_row(name: str) -> dict[str, Any]:
    """Compare spherical k-means with a plain loop; smallest increase of its objective sum_i max_j <x_i, c_j>."""
    X = kernel.unit(points(name) - points(name).mean(0))
    first = k_means.start(X, DATA[name], np.random.default_rng(0))
    path = k_means.run(X, first, similarity=kernel.dot, retract=kernel.unit, layers=LAYERS)
    C = first
    for _ in path[1:]:
        label = np.argmax(X @ C.T, 1)
        C = np.array([kernel.unit(X[label == j].sum(0)) for j in range(len(C))])
    cohesion = [float(np.max(X @ centres.T, 1).sum()) for centres in path]
    return {
        "variant": "spherical",
        "data": name,
        "n_layers": len(path) - 1,
        "max_difference": float(np.abs(C - path[-1]).max()),
        "least_gain": float(np.diff(cohesion).min()),
    }


def trimmed_rows() -> Iterator[dict[str, Any]]:
    """Trimmed k-means on blobs with 100 outliers at radius 60: error of the centres and of the clean points' labels."""
    X, label, _ = make_blobs(1000, 8, centers=6, cluster_std=1.5, random_state=1, return_centers=True)
    outliers = 60 * kernel.unit(np.random.default_rng(0).normal(size=(100, 8)))
    first = X[[np.flatnonzero(label == j)[0] for j in range(6)]]
    truth = np.array([X[label == j].mean(0) for j in range(6)])
    for trim in TRIMS:
        path = k_means.run(np.vstack([X, outliers]), first, trim=trim, layers=LAYERS)
        yield {
            "variant": "trimmed",
            "data": "blobs with outliers",
            "trim": trim,
            "n_layers": len(path) - 1,
            "centre_error": float(np.abs(path[-1] - truth).max()),
            "adjusted_rand": float(adjusted_rand_score(label, k_means.assign(X, path[-1]).argmax(1))),
        }


def filled(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as table `name`; missing values are empty."""
    return pd.DataFrame(rows).reindex(columns=list(tables.dictionary()[name]["columns"]))


def main() -> None:
    """Command line: measure and write three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=at_least(1), default=20, help="number of random initial centres per data set")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), help="data sets")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        lloyd = [
            lloyd_row(name, jitter, min(arguments.starts, 3) if name == "pixels" else arguments.starts)
            for name in arguments.data
            for jitter in (0.0, JITTER)
        ]
        small = [name for name in arguments.data if name != "pixels"]
        soft = [row for name in small for row in soft_rows(name)]
        variants = [spherical_row(name) for name in small] + list(trimmed_rows())
    for name, rows in (("k_means", lloyd), ("soft_k_means", soft), ("k_means_variants", variants)):
        table = f"attention_{name}"
        tables.write(table, filled(table, rows), arguments.tables / f"{table}.csv")


if __name__ == "__main__":
    run(main)
