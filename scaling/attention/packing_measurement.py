"""Compare sets of unit rows with Welch's bounds and with independent random rows."""

from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from scaling import geometry
from scaling.attention.kernel import Array


CLUSTER_COSINE = 0.9  # rows with a larger inner product are joined into one cluster


def packing_columns(w: Array) -> dict[str, Any]:
    """Columns of the packing tables for unit rows w (nu, m), nu >= 2: overlaps of pairs and their bounds."""
    nu, m = w.shape
    o = (w @ w.T)[np.triu_indices(nu, 1)]
    mean_sq = float(np.mean(o**2))
    return {
        "nu": nu,
        "m": m,
        "filling": 2 * nu / (m * (m + 1)),
        "mean_sq": mean_sq,
        "welch_bound": geometry.welch_bound(nu, m),
        "variance_sq": float(np.var(o**2)),
        "variance_random": geometry.random_sq_overlap_variance(m),
        "variance_floor": geometry.sq_overlap_variance_floor(nu, m),
        "variance_floor_at_mean": geometry.sq_overlap_variance_floor(nu, m, mean_sq),
        "mean_cosine": float(np.mean(o)),
        "skewness": float(np.mean(o**3) / mean_sq**1.5) if mean_sq > 0 else 0.0,
        "max_abs": float(np.abs(o).max()),
    }


def largest_cluster(w: Array) -> tuple[float, int]:
    """Share of the unit rows in the largest group joined by cosines above 0.9, and the number of groups."""
    number, label = connected_components(w @ w.T > CLUSTER_COSINE, directed=False)
    return float(np.bincount(label).max() / len(w)), int(number)
