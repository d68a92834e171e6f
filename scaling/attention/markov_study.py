"""Measure attention as the exponential of a Markov generator: embeddability, the triangle conjecture, corrections.

python -m scaling.attention.markov_study --draws 30 --tables results/tables
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from scipy.linalg import expm
from threadpoolctl import threadpool_limits

from scaling import tables
from scaling.attention import kernel, markov, sphere
from scaling.command import InputError, run


SIZES = ((3, 2), (8, 2), (8, 8), (8, 64))  # (n, d)
BETAS = (0.25, 1.0, 4.0)
TRIANGLE_TOKENS, TRIANGLE_BETA = 4, 256.0
BORDERLINE = 3.0  # below this |beta excess / 2|, beta = 256 is not a low temperature
TRIANGLE_DIMENSIONS = (2, 3, 8)
DISTANCE_TOKENS, DISTANCE_BETAS = 5, (1.0, 8.0)


def embeddable_row(n: int, d: int, beta: float, kind: markov.Kind, draws: int) -> dict[str, Any]:
    """One row of attention_embeddable: shares of attention matrices of uniform tokens."""
    positive, real, embeddable = 0, 0, 0
    for draw in range(draws):
        rng = np.random.default_rng([n, d, round(100 * beta), draw])
        x = sphere.uniform(n, d, rng)
        S = markov.attention_matrix(x, beta, kind, rng)
        positive += np.linalg.det(S) > 0
        if kind == "symmetric":
            rate = markov.least_rate_symmetric(x, beta)
        elif kind == "causal":
            rate = markov.least_rate_triangular(S)
        else:
            rate = markov.least_rate(S)
        real += not math.isnan(rate)
        embeddable += rate >= -1e-30
    share = embeddable / draws
    return {
        "kind": kind,
        "n": n,
        "d": d,
        "beta": beta,
        "n_draws": draws,
        "share_positive": positive / draws,
        "share_real": real / draws,
        "share_embeddable": share,
        "share_embeddable_stderr": math.sqrt(share * (1 - share) / draws),
    }


def triangle_row(d: int, draws: int) -> dict[str, Any]:
    """One row of attention_triangles: acute or obtuse against embeddable, at low temperature."""
    kinds = ("acute", "obtuse", "borderline")
    counts = {f"n_{kind}{part}": 0 for kind in kinds for part in ("", "_embeddable")}
    for draw in range(draws):
        x = sphere.uniform(TRIANGLE_TOKENS, d, np.random.default_rng([d, draw]))
        exponent = TRIANGLE_BETA / 2 * markov.largest_excess(x)
        kind = "borderline" if abs(exponent) < BORDERLINE else "obtuse" if exponent > 0 else "acute"
        counts[f"n_{kind}"] += 1
        counts[f"n_{kind}_embeddable"] += markov.least_rate_symmetric(x, TRIANGLE_BETA) >= 0
    return {"n": TRIANGLE_TOKENS, "d": d, "beta": TRIANGLE_BETA, **counts}


def distance_row(kind: markov.Kind, beta: float, draws: int, d: int = 2) -> dict[str, Any]:
    """Median over draws of |S - e^G| / |S - I| for the nearest generator G and for G = S - I."""
    nearest, euler = [], []
    for draw in range(draws):
        rng = np.random.default_rng([round(beta), draw])
        S = markov.attention_matrix(sphere.uniform(DISTANCE_TOKENS, d, rng), beta, kind, rng)
        scale = float(np.linalg.norm(S - np.eye(len(S))))
        nearest.append(markov.nearest_generator(S)[1] / scale)
        euler.append(float(np.linalg.norm(expm(S - np.eye(len(S))) - S)) / scale)
    common = {"kind": kind, "n": DISTANCE_TOKENS, "d": d, "beta": beta, "n_draws": draws}
    return {**common, "nearest": float(np.median(nearest)), "euler": float(np.median(euler))}


def correction_rows() -> Iterator[dict[str, Any]]:
    """Yield statements of the source text on Lie algebras, each with the number that tests it."""
    rng = np.random.default_rng(0)
    example = np.array([[-1.0, 1.0], [1.0, -1.0]])
    yield {
        "statement": "exp [[-1, 1], [1, -1]] has diagonal cosh 2 and off-diagonal sinh 2",
        "quantity": "diagonal entry: stated, computed",
        "stated": math.cosh(2),
        "computed": float(expm(example)[0, 0]),
    }
    S = [markov.attention_matrix(sphere.uniform(5, 4, rng), 2.0, "symmetric") for _ in range(2)]
    G = [matrix - np.eye(5) for matrix in S]
    commutator = G[0] @ G[1] - G[1] @ G[0]
    yield {
        "statement": "generators form a Lie algebra",
        "quantity": "least off-diagonal entry of a commutator of two generators (stated: not negative)",
        "stated": 0.0,
        "computed": float(commutator[~np.eye(5, dtype=bool)].min()),
    }
    raw = rng.normal(size=(6, 6))
    raw -= np.diag(raw.sum(1))
    softmax = np.exp(raw - raw.max(1, keepdims=True))
    softmax /= softmax.sum(1, keepdims=True)
    yield {
        "statement": "softmax(G) is close to exp(G) for a matrix with zero row sums",
        "quantity": "largest |softmax(G) - exp(G)| for a random G whose rows sum to 0 (stated: 0)",
        "stated": 0.0,
        "computed": float(np.abs(softmax - expm(raw)).max()),
    }
    score, weight = rng.normal(size=(5, 5)), rng.normal(size=(5, 5))
    P = kernel.attention_weights(score, np.eye(5))
    step = 1e-6

    def loss(z: np.ndarray) -> float:
        return float(np.sum(weight * kernel.attention_weights(z, np.eye(5))))

    numeric = np.array(
        [[(loss(score + step * e) - loss(score - step * e)) / (2 * step) for e in row]
         for row in np.eye(25).reshape(5, 5, 5, 5)]
    )  # fmt: skip
    for name, gradient in (
        ("dL/dS * S", weight * P),
        ("S * (dL/dS - row mean)", P * (weight - np.sum(P * weight, 1, keepdims=True))),
    ):
        yield {
            "statement": f"the gradient through the softmax is {name}",
            "quantity": "largest difference from central differences (stated: 0)",
            "stated": 0.0,
            "computed": float(np.abs(gradient - numeric).max()),
        }
    S16 = markov.attention_matrix(sphere.uniform(16, 8, rng), 2.0, "symmetric")
    for h in (1.0, 0.1, 0.01):
        Q = h * (S16 - np.eye(16))
        yield {
            "statement": "residual attention I + h (S - I) is exp(h (S - I)) up to h^2 terms",
            "quantity": f"largest difference over h^2, h = {h:g} (stated: bounded, 1/2 |S - I|^2 at most)",
            "stated": float(np.abs((S16 - np.eye(16)) @ (S16 - np.eye(16))).max() / 2),
            "computed": float(np.abs(np.eye(16) + Q - expm(Q)).max() / h**2),
        }
    x = sphere.uniform(16, 3, rng)
    A = markov.attention_matrix(x, 3.0, "symmetric")
    difference = kernel.tangent(x, A @ x) - kernel.tangent(x, (A - np.eye(16)) @ x)
    yield {
        "statement": "self-attention on the sphere is the generator S - I, projected",
        "quantity": "largest |P_x(S x) - P_x((S - I) x)| (stated: 0)",
        "stated": 0.0,
        "computed": float(np.abs(difference).max()),
    }


def main() -> None:
    """Command line: measure and write four tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--draws", type=int, default=30, help="sets of tokens per row; three times as many for triangles"
    )
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write")
    arguments = parser.parse_args()
    if arguments.draws < 1:
        raise InputError(f"draws = {arguments.draws}: give at least one")
    kinds = get_args(markov.Kind)
    with threadpool_limits(1):
        found = {
            "attention_embeddable": [
                embeddable_row(n, d, beta, kind, arguments.draws) for n, d in SIZES for beta in BETAS for kind in kinds
            ],
            "attention_triangles": [triangle_row(d, 3 * arguments.draws) for d in TRIANGLE_DIMENSIONS],
            "attention_generator_distance": [
                distance_row(kind, beta, min(arguments.draws, 10)) for kind in kinds for beta in DISTANCE_BETAS
            ],
            "attention_corrections": list(correction_rows()),
        }
    for name, rows in found.items():
        tables.write(name, pd.DataFrame(rows), arguments.tables / f"{name}.csv")


if __name__ == "__main__":
    run(main)
