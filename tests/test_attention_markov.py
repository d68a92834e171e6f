"""Attention matrices and generators: known matrices, SciPy's logarithm at high temperature, exact small cases."""

import math

import numpy as np
import pytest
from scipy.linalg import expm, logm

from scaling.attention import markov, markov_study, sphere
from scaling.command import InputError


def tokens(n: int, d: int, seed: int = 0) -> np.ndarray:
    return sphere.uniform(n, d, np.random.default_rng(seed))


def least(L: np.ndarray, S: np.ndarray) -> float:
    off = ~np.eye(len(S), dtype=bool)
    return float((L[off] / S[off]).min())


@pytest.mark.parametrize("seed", range(4))
def test_least_rates_are_those_of_the_logarithm(seed: int) -> None:
    x = tokens(4, 3, seed)
    S = markov.attention_matrix(x, 1.5, "symmetric")
    assert markov.least_rate_symmetric(x, 1.5) == pytest.approx(least(logm(S).real, S), rel=1e-6, abs=1e-8)
    S = markov.attention_matrix(x, 1.5, "causal")
    below = np.tril_indices(4, -1)
    assert markov.least_rate_triangular(S) == pytest.approx((logm(S).real[below] / S[below]).min(), rel=1e-6, abs=1e-8)


def test_exponentials_of_generators_are_found_embeddable() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        G = rng.exponential(size=(4, 4)) * (1 - np.eye(4)) / 3
        G -= np.diag(G.sum(1))
        assert markov.is_generator(G)
        S = expm(G)
        assert markov.least_rate(S) == pytest.approx(G[~np.eye(4, dtype=bool)].min(), abs=1e-9)
        assert markov.nearest_generator(S)[1] < 1e-4


def test_a_permutation_has_no_real_logarithm() -> None:
    S = np.array([[0.1, 0.9], [0.9, 0.1]])
    assert math.isnan(markov.least_rate(S))
    G, distance = markov.nearest_generator(S)
    assert markov.is_generator(G, 1e-9)
    assert distance == pytest.approx(0.8, rel=1e-3)  # eigenvalue -0.8 against the limit 0


def test_two_tokens_are_always_embeddable() -> None:
    """S = [[1 - a, a], [a, 1 - a]] with a < 1/2 has rate -log(1 - 2 a) / 2."""
    x, beta = tokens(2, 3), 4.0
    a = markov.attention_matrix(x, beta, "symmetric")[0, 1]
    assert markov.least_rate_symmetric(x, beta) == pytest.approx(-math.log(1 - 2 * a) / (2 * a), rel=1e-10)


def test_excess_of_known_triangles() -> None:
    right = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert markov.largest_excess(right) == pytest.approx(0, abs=1e-15)
    flat = np.array([[0.0, 0.0], [1.0, 0.1], [2.0, 0.0]])
    assert markov.largest_excess(flat) == pytest.approx(4 - 2 * 1.01)
    even = np.array([[1.0, 0.0], [-0.5, math.sqrt(0.75)], [-0.5, -math.sqrt(0.75)]])
    assert markov.largest_excess(even) == pytest.approx(-3)


def test_low_temperature_follows_the_triangles() -> None:
    angle = np.array([0.0, 2.1, 4.2])
    acute = np.stack([np.cos(angle), np.sin(angle)], 1)
    angle = np.array([0.0, 0.5, 1.0])
    obtuse = np.stack([np.cos(angle), np.sin(angle)], 1)
    assert markov.least_rate_symmetric(acute, 64.0) > 0 > markov.least_rate_symmetric(obtuse, 64.0)


def test_corrections_hold() -> None:
    rows = {row["quantity"]: row for row in markov_study.correction_rows()}
    value = {quantity: row["computed"] for quantity, row in rows.items()}
    assert value["diagonal entry: stated, computed"] == pytest.approx((1 + math.exp(-2)) / 2)
    gradients = [row["computed"] for row in markov_study.correction_rows() if "gradient" in row["statement"]]
    assert gradients[0] > 0.1 > 1e-7 > gradients[1]


def test_rows_of_the_tables() -> None:
    row = markov_study.embeddable_row(3, 2, 0.25, "symmetric", 2)
    assert row["share_positive"] == 1
    row = markov_study.triangle_row(8, 3)
    assert row["n_acute"] + row["n_obtuse"] + row["n_borderline"] == 3
    assert markov_study.distance_row("causal", 1.0, 2)["nearest"] < 0.1


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="random number generator"):
        markov.attention_matrix(tokens(3, 2), 1.0, "random")
    with pytest.raises(InputError, match="two tokens are equal"):
        markov.least_rate_symmetric(np.array([[1.0, 0.0], [1.0, 0.0]]), 1.0)
