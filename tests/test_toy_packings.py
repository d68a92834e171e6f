import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad

from scaling import geometry
from scaling.toy import packings


@pytest.mark.parametrize("name", packings.PACKINGS)
def test_rows_are_unit_vectors_and_follow_from_the_seed(name):
    first, again = (packings.PACKINGS[name](30, 5, np.random.default_rng(0)) for _ in range(2))
    assert first.shape == (30, 5)
    np.testing.assert_allclose(geometry.row_norms(first), 1)
    np.testing.assert_array_equal(first, again)


def test_tight_frame_reaches_the_welch_bound():
    w = packings.tight_frame(60, 7, np.random.default_rng(0))
    assert geometry.squared_overlaps(w).mean_sq == pytest.approx(geometry.welch_bound(60, 7), rel=1e-6)


@pytest.mark.parametrize(("nu", "m"), [(6, 3), (16, 6)])
def test_least_coherent_rows_find_an_equiangular_tight_frame(nu, m):
    """6 rows in 3 dimensions and 16 in 6 exist: the largest overlap is the Welch bound's root."""
    best = min(
        geometry.squared_overlaps(packings.least_coherent(nu, m, np.random.default_rng(seed))).max_abs
        for seed in range(4)
    )
    assert best == pytest.approx(geometry.welch_bound(nu, m) ** 0.5, rel=0.02)


def test_least_coherent_rows_have_smaller_overlaps_than_random_and_tight_ones():
    rng = np.random.default_rng(1)
    largest = {name: geometry.squared_overlaps(draw(120, 10, rng)).max_abs for name, draw in packings.PACKINGS.items()}
    assert largest["least_coherent"] < 0.85 * min(largest["random"], largest["tight_frame"])


def test_clusters_have_the_cosine_they_are_named_for():
    w = packings.clustered(4000, 50, np.random.default_rng(0)).reshape(500, 8, 50)
    inside = np.einsum("cam,cbm->cab", w, w)[:, *np.triu_indices(8, 1)]
    assert inside.mean() == pytest.approx(packings.CLUSTER_COSINE, abs=0.01)


@settings(derandomize=True, max_examples=10, deadline=None)
@given(st.integers(0, 100), st.floats(0.5, 20))
def test_gradient_of_the_energy(seed, beta):
    x = np.random.default_rng(seed).standard_normal(12 * 3)
    error = check_grad(
        lambda flat: packings.coherence_energy(flat, 12, beta)[0],
        lambda flat: packings.coherence_energy(flat, 12, beta)[1],
        x,
    )
    assert error < 1e-5


def test_quantile_of_overlaps_is_that_of_all_pairs():
    W = np.random.default_rng(3).standard_normal((60, 5)) + 0.5  # more positive overlaps than negative ones
    w = geometry.unit_rows(W)
    pairs = (w @ w.T)[np.triu_indices(60, 1)]
    for share in (0.1, 0.5, 0.99, 1.0):
        expected = np.quantile(pairs, share, method="inverted_cdf")
        assert packings.overlap_quantile(W, share, block=17) == pytest.approx(expected, abs=1e-4)
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert packings.overlap_quantile(opposite, 0.99) == pytest.approx(-1, abs=1e-4)
    with pytest.raises(ValueError, match="at least two rows"):
        packings.overlap_quantile(W[:1], 0.5)
