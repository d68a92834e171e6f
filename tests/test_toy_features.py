"""Feature frequencies against direct formulas, and the sparse sampler against exact laws and dense draws.

Every statistical test has a fixed seed and fails a true sampler with probability ALARM, had the seed been another.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scaling.command import InputError
from scaling.frequency_laws import FREQUENCY_LAWS
from scaling.toy.features import Batch, dense, draw_batch, frequencies, room
from scaling.toy.model import draw_dense


ALARM = 1e-4
P = np.array([1.0, 0.5, 0.31, 0.2, 0.03, 0.0])


def activity(p: np.ndarray, batch_size: int, seed: int) -> np.ndarray:
    return dense(draw_batch(np.random.default_rng(seed), p, batch_size), len(p)) > 0


@pytest.mark.parametrize("n", [2, 7, 1000])
@pytest.mark.parametrize("E", [0.5, 1])
def test_each_law_is_its_formula(n: int, E: float) -> None:
    for law, weight in {
        "power_law": [i**-1.2 for i in range(1, n + 1)],
        "exponential": [math.exp(-i / 400) for i in range(1, n + 1)],
        "linear": [(n - i) / n for i in range(1, n + 1)],
    }.items():
        p = frequencies(law, n, 1.2, E)
        np.testing.assert_allclose(p, [E * w / math.fsum(weight) for w in weight], rtol=1e-12)


@given(st.sampled_from(list(FREQUENCY_LAWS)), st.integers(2, 300), st.floats(0, 5), st.floats(1e-6, 1))
def test_frequencies_fall_and_sum_to_the_density(law: str, n: int, alpha: float, E: float) -> None:
    p = frequencies(law, n, alpha, E)
    assert p.sum() == pytest.approx(E, rel=1e-12)
    assert np.all(np.diff(p) <= 0)
    assert np.all((p >= 0) & (p <= 1))


@pytest.mark.parametrize("alpha", [0, 1, 2, -1])
def test_a_whole_number_is_an_exponent_like_any_other(alpha: int) -> None:
    np.testing.assert_array_equal(
        frequencies("power_law", 50, alpha, 1.0), frequencies("power_law", 50, float(alpha), 1.0)
    )


@pytest.mark.parametrize(
    ("law", "n", "alpha", "E", "words"),
    [
        ("zipf", 9, 1.0, 1.0, ["zipf", "power_law, exponential, linear"]),
        ("power_law", 0, 1.0, 1.0, ["n = 0", "at least 1"]),
        ("power_law", 9, None, 1.0, ["alpha = None", "finite"]),
        ("power_law", 9, math.nan, 1.0, ["alpha = nan"]),
        ("power_law", 9, -math.inf, 1.0, ["alpha = -inf"]),
        ("power_law", 999, -400.0, 1.0, ["alpha = -400", "no finite sum"]),
        ("linear", 1, None, 1.0, ["linear, n = 1", "no finite sum"]),
        ("linear", 9, None, 0.0, ["E = 0", "above 0"]),
        ("linear", 9, None, -1.0, ["E = -1"]),
        ("linear", 9, None, math.inf, ["E = inf", "finite"]),
        ("linear", 9, None, math.nan, ["E = nan"]),
    ],
)
def test_input_errors_say_what_is_wrong(law: str, n: int, alpha: float | None, E: float, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        frequencies(law, n, alpha, E)
    assert all(word in str(error.value) for word in words)


def test_too_dense_names_the_feature_and_the_largest_density() -> None:
    largest = sum(1 / i for i in range(1, 1001))  # 1 / p_1 at alpha = 1: 7.485
    with pytest.raises(
        InputError, match=rf"feature 1 would.*largest activation density E here is {largest:.6g}, got 8"
    ):
        frequencies("power_law", 1000, 1.0, 8.0)
    with pytest.raises(InputError, match="feature 5 would"):
        frequencies("power_law", 5, -1.0, 4.0)


@given(st.sampled_from(list(FREQUENCY_LAWS)), st.integers(2, 1000), st.floats(0, 3))
def test_the_largest_density_makes_the_first_feature_certain(law: str, n: int, alpha: float) -> None:
    largest = 1e-3 / frequencies(law, n, alpha, 1e-3)[0]
    p = frequencies(law, n, alpha, largest)
    assert p[0] == pytest.approx(1, abs=1e-12)
    assert p.max() <= 1


def test_joint_law_of_all_features() -> None:
    active = activity(P, 40_000, seed=1)
    assert active[:, 0].all()
    assert not active[:, 5].any()
    pattern = active[:, 1:5] @ (1, 2, 4, 8)
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    expected = 40_000 * np.prod(np.where(bits, P[1:5], 1 - P[1:5]), axis=1)
    assert stats.chisquare(np.bincount(pattern, minlength=16), expected).pvalue > ALARM


def test_marginals_and_pairs_of_many_features() -> None:
    p = frequencies("power_law", 200, 1.0, 5.0)
    B = 20_000
    centred = activity(p, B, seed=2) - p
    variance = p * (1 - p)
    marginal = np.sum(centred.sum(0) ** 2 / (B * variance))
    assert stats.chi2.sf(marginal, len(p)) > ALARM
    i, j = np.triu_indices(40, 1)  # rarer pairs meet too seldom for a normal law
    pair = (centred.T @ centred)[i, j] ** 2 / (B * variance[i] * variance[j])
    assert stats.chi2.sf(pair.sum(), len(pair)) > ALARM


def test_every_place_in_the_batch_is_alike_and_neighbours_are_independent() -> None:
    p = np.full(3000, 0.02)
    active = activity(p, 50, seed=3)
    assert stats.chisquare(active.sum(1)).pvalue > ALARM
    assert stats.binomtest(int((active[1:] & active[:-1]).sum()), 49 * 3000, 0.02**2).pvalue > ALARM


def test_active_features_per_sample_as_in_dense_draws() -> None:
    p = frequencies("power_law", 300, 1.0, 3.0)
    x = draw_dense(torch.from_numpy(p), 20_000, torch.Generator().manual_seed(4)).numpy()
    counts = [np.bincount(np.minimum((a > 0).sum(1), 9), minlength=10) for a in (x, activity(p, 20_000, seed=4))]
    assert stats.chi2_contingency(counts).pvalue > ALARM


def test_values_are_uniform_between_0_and_2() -> None:
    value = draw_batch(np.random.default_rng(5), P, 20_000).value
    assert value.dtype == np.float32
    assert stats.kstest(value, stats.uniform(0, 2).cdf).pvalue > ALARM
    error = np.sqrt(np.array([1 / 3, 64 / 45]) / len(value))  # variances of v and v^2
    assert np.all(np.abs(np.array([value.mean(), (value**2).mean()]) - [1, 4 / 3]) < 4 * error)
    assert abs(stats.pearsonr(value[1:], value[:-1]).statistic) < 4 / np.sqrt(len(value))


def test_rare_features_have_the_right_rate_and_gaps() -> None:
    batch = draw_batch(np.random.default_rng(6), np.array([1e-6, 1e-300]), 2_000_000_000)
    assert not batch.feature.any()
    assert stats.poisson(2000).sf(len(batch.sample)) > ALARM / 2
    assert stats.poisson(2000).cdf(len(batch.sample)) > ALARM / 2
    assert stats.kstest(np.diff(batch.sample), stats.expon(scale=1e6).cdf).pvalue > ALARM


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 50), st.integers(0, 2**32))
def test_a_batch_is_in_order_and_fits(p: list[float], batch_size: int, seed: int) -> None:
    batch = draw_batch(np.random.default_rng(seed), np.array(p), batch_size)
    cell = batch.feature * batch_size + batch.sample
    assert np.all(np.diff(cell) > 0)
    assert np.all((batch.sample >= 0) & (batch.sample < batch_size))
    assert len(batch.value) < room(np.array(p), batch_size) or room(np.array(p), batch_size) == batch_size * len(p)
    assert all((np.sum(batch.feature == i) == batch_size * q) for i, q in enumerate(p) if q in (0, 1))


def test_a_seed_makes_the_batch() -> None:
    one, same, other = (draw_batch(np.random.default_rng(seed), P, 500) for seed in (7, 7, 8))
    assert one.value.tobytes() == same.value.tobytes()
    assert one.sample.tobytes() == same.sample.tobytes()
    assert one.value.tobytes() != other.value.tobytes()


def test_dense_puts_values_where_they_belong() -> None:
    batch = Batch(np.array([1, 0], np.int32), np.array([0, 2], np.int32), np.array([0.5, 1.5], np.float32), 2)
    np.testing.assert_array_equal(dense(batch, 3), [[0, 0, 1.5], [0.5, 0, 0]])
