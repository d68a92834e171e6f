"""Correlated features: exact marginals at any rho, the copula's correlations, and brute force over z."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from scaling.command import InputError
from scaling.toy.correlation import activity_correlation, copula, draw_correlated_batch, draw_mixed_batch
from scaling.toy.features import dense, frequencies


def activity(p: np.ndarray, rho: float, block_size: int, n_samples: int, seed: int = 0) -> np.ndarray:
    """Activity u (n_samples, n) drawn from a fixed seed."""
    rng = np.random.default_rng(seed)
    return dense(draw_correlated_batch(rng, copula(p, rho, block_size), n_samples), len(p)) > 0


@pytest.mark.parametrize("rho", [0.0, 0.2, 0.4, 0.6, 0.8])
def test_marginals_and_density_stay_as_they_are(rho: float) -> None:
    p = frequencies("power_law", 60, 1.0, 1.0)
    n_samples = 100_000
    u = activity(p, rho, 10, n_samples)
    z = (u.mean(axis=0) - p) / np.sqrt(p * (1 - p) / n_samples)
    assert np.abs(z).max() < 4
    assert abs(z).mean() == pytest.approx(math.sqrt(2 / math.pi), abs=0.3)
    assert u.sum(axis=1).mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_correlations_are_those_of_the_bivariate_normal(rho: float) -> None:
    p = np.array([0.3, 0.2, 0.1, 0.3, 0.05])
    u = activity(p, rho, 3, 200_000)
    measured = np.corrcoef(u.T)
    for i in range(5):
        for j in range(i):
            expected = activity_correlation(p[i], p[j], rho) if i // 3 == j // 3 else 0.0
            assert measured[i, j] == pytest.approx(expected, abs=0.01)


def test_joint_activity_by_brute_force_over_z() -> None:
    p, rho = np.array([0.4, 0.25, 0.1]), 0.6
    u = activity(p, rho, 3, 200_000)
    z = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    given_z = norm.cdf((math.sqrt(rho) * z[:, None] - norm.isf(p)) / math.sqrt(1 - rho))
    for pattern in np.ndindex(2, 2, 2):
        expected = np.where(pattern, given_z, 1 - given_z).prod(axis=1).mean()
        assert (u == pattern).all(axis=1).mean() == pytest.approx(expected, abs=0.004)


def test_without_correlation_features_are_independent() -> None:
    p = np.array([0.5, 0.5, 0.2])
    assert np.corrcoef(activity(p, 0.0, 3, 200_000).T) == pytest.approx(np.eye(3), abs=0.01)


@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    rho=st.sampled_from([0.0, 0.5, 0.99]),
    block_size=st.integers(1, 15),
)
@settings(derandomize=True, max_examples=60, deadline=None)
def test_batches_are_well_formed(p: list[float], rho: float, block_size: int) -> None:
    rng = np.random.default_rng(0)
    batch = draw_correlated_batch(rng, copula(np.array(p), rho, block_size), 200)
    assert np.all(np.diff(batch.feature) >= 0)
    assert len(set(zip(batch.sample.tolist(), batch.feature.tolist(), strict=True))) == len(batch.sample)
    assert np.all((batch.value >= 0) & (batch.value < 2))
    active = np.bincount(batch.feature, minlength=len(p))
    assert np.all(active[np.array(p) == 0] == 0)
    assert np.all(active[np.array(p) == 1] == 200)


def test_values_are_uniform() -> None:
    batch = draw_correlated_batch(np.random.default_rng(0), copula(np.full(10, 0.2), 0.5, 5), 20_000)
    assert batch.value.mean() == pytest.approx(1, abs=0.02)
    assert batch.value.var() == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("rho", "block_size", "message"),
    [(1.0, 2, "correlation = 1.0: must be at least 0"), (-0.1, 2, "correlation = -0.1"), (0.5, 0, "block_size = 0")],
)
def test_impossible_correlations_are_named(rho: float, block_size: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        copula(np.full(3, 0.1), rho, block_size)


@pytest.mark.parametrize("rho", [0.2, 0.4])
def test_the_mixed_rule_changes_the_frequencies(rho: float) -> None:
    p = frequencies("power_law", 60, 1.0, 1.0)
    p = np.minimum(p, rho)
    rng = np.random.default_rng(0)
    u = dense(draw_mixed_batch(rng, p, rho, 10, 200_000), 60) > 0
    assert u.mean(axis=0) == pytest.approx(p**2 / (2 * rho * (1 - rho)), abs=0.004)
    assert u.sum(axis=1).mean() < 0.6 * p.sum()
