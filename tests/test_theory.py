"""The paper's predictions: losses against sums and draws of the features themselves, exponents against its text."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.theory import MEAN_V, MEAN_V_SQUARED, loss_by_count, strong_exponent, unlearned_loss, weak_exponent
from scaling.toy.features import dense, draw_batch, frequencies


frequency_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_moments_of_v() -> None:
    assert MEAN_V == 1  # of v ~ U(0, 2)
    assert pytest.approx(4 / 3) == MEAN_V_SQUARED


def test_loss_of_an_unrepresented_feature_is_its_variance() -> None:
    p = np.array([0.9, 0.4, 0.2, 0.05])
    represented = np.array([True, False, True, False])
    x = dense(draw_batch(np.random.default_rng(1), p, 200_000), 4).astype(np.float64)
    found = unlearned_loss(p, represented)
    assert found == pytest.approx(x.var(axis=0)[~represented].sum(), rel=0.01)
    assert found == pytest.approx(4 / 3 * 0.45 - 0.4**2 - 0.05**2, rel=1e-12)


@given(frequency_lists, st.data())
def test_unlearned_loss_is_its_sum(values: list[float], data: st.DataObject) -> None:
    represented = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    each = [4 / 3 * p - p**2 for p, known in zip(values, represented, strict=True) if not known]
    assert unlearned_loss(np.array(values), np.array(represented)) == pytest.approx(
        math.fsum(each), rel=1e-12, abs=1e-15
    )


@given(frequency_lists)
def test_loss_by_count_is_unlearned_loss_of_the_rest(values: list[float]) -> None:
    p = np.array(values)
    rank = np.argsort(np.argsort(-p, kind="stable"))
    expected = [unlearned_loss(p, rank < k) for k in range(len(p) + 1)]
    np.testing.assert_allclose(loss_by_count(p, np.arange(len(p) + 1)), expected, rtol=1e-12, atol=1e-15)


def test_loss_by_count_falls_as_alpha_minus_1() -> None:
    """At alpha = 2 and k << n the tail sum falls as 1/k, the weak exponent."""
    k = np.array([100, 200])
    loss = loss_by_count(frequencies("power_law", 10**6, 2.0, 1.0), k)
    assert math.log2(loss[0] / loss[1]) == pytest.approx(weak_exponent(2.0), abs=0.01)


def test_exponents_are_those_of_the_paper() -> None:
    assert [weak_exponent(alpha) for alpha in (0.0, 0.5, 1.0)] == [None] * 3
    assert [weak_exponent(alpha) for alpha in (1.25, 2.0)] == [0.25, 1.0]
    assert [strong_exponent(alpha) for alpha in (0.0, 0.5, 1.0)] == [1.0] * 3
    assert [strong_exponent(alpha) for alpha in (1.125, 1.5)] == [None] * 2
    assert [strong_exponent(alpha) for alpha in (1.75, 2.0)] == [1.5, 2.0]
