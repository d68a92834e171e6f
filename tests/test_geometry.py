"""Geometry of rows: known answers (bases, equiangular tight frames, random rows) and brute force over pairs."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scaling.geometry import (
    etf_like_rows,
    fractional_capacity,
    isotropic_pair_energy,
    mean_sq_overlap_from_gram,
    moment_floor,
    own_direction_loss,
    pair_moment_floor,
    phi,
    random_sq_overlap_mean,
    random_sq_overlap_variance,
    row_norms,
    sq_overlap_variance_floor,
    squared_overlaps,
    unit_rows,
    welch_bound,
)


def simplex(m: int) -> np.ndarray:
    """m + 1 unit rows in m dimensions with all overlaps -1/m: the corners of a simplex."""
    corners = np.eye(m + 1) - 1 / (m + 1)
    basis = np.linalg.svd(corners)[2][:m]
    return unit_rows(corners @ basis.T)


def mercedes_benz() -> np.ndarray:
    angle = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def icosahedron() -> np.ndarray:
    """Six lines in three dimensions with all squared overlaps 1/5."""
    golden = (1 + math.sqrt(5)) / 2
    return np.array([[0, 1, golden], [0, 1, -golden], [1, golden, 0], [1, -golden, 0], [golden, 0, 1], [golden, 0, -1]])


def test_norms_are_exact_in_float64() -> None:
    W = np.array([[3, 4], [0, 0], [1e-3, 0], [1e18, 1e18]], np.float32)
    assert row_norms(W) == pytest.approx([5, 0, float(W[2, 0]), math.sqrt(2) * float(W[3, 0])], rel=1e-15)
    assert row_norms(W).dtype == np.float64


def test_phi_counts_norms_strictly_above() -> None:
    norms = np.array([0.2, 0.5, 0.7, 1.0, 1.3])
    assert (phi(norms, 0.5), phi(norms, 1.0)) == (0.6, 0.2)


def test_unit_rows_leave_zero_rows_out() -> None:
    W = np.array([[0, 0], [0, -2], [3, 4]], np.float32)
    np.testing.assert_allclose(unit_rows(W), np.array([[0.0, -1.0], [0.6, 0.8]]), rtol=1e-15)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_orthonormal_basis_has_no_overlap(scale: float) -> None:
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((30, 30)))[0]
    found = squared_overlaps(scale * Q)
    assert found.nu == 30
    assert (found.mean_sq, found.std_sq, found.max_abs) == pytest.approx((0, 0, 0), abs=1e-14)


@pytest.mark.parametrize(
    ("frame", "square", "cosine"),
    [
        (mercedes_benz(), 1 / 4, -1 / 2),
        (icosahedron(), 1 / 5, None),
        *((simplex(m), 1 / m**2, -1 / m) for m in (2, 5, 40)),
        (np.array([[1.0], [1.0], [-2.0]]), 1, -1 / 3),
    ],
)
def test_equiangular_tight_frames_reach_the_welch_bound(frame: np.ndarray, square: float, cosine: float | None) -> None:
    found = squared_overlaps(frame)
    nu, m = frame.shape
    assert found.mean_sq == pytest.approx(square, rel=1e-12)
    assert found.mean_sq == pytest.approx(welch_bound(nu, m), rel=1e-12)
    assert found.max_abs**2 == pytest.approx(square, rel=1e-12)
    assert found.std_sq == pytest.approx(0, abs=1e-7)  # the root of a difference of squares: half the digits
    assert cosine is None or found.mean_cosine == pytest.approx(cosine, rel=1e-12)


def test_a_tight_frame_reaches_the_bound_in_the_mean_alone() -> None:
    found = squared_overlaps(np.concatenate([np.eye(7), -2 * np.eye(7)]))
    assert found.mean_sq == pytest.approx(welch_bound(14, 7), rel=1e-12)
    assert found.max_abs == pytest.approx(1, rel=1e-12)
    assert found.std_sq == pytest.approx(math.sqrt(1 / 13 - 1 / 13**2), rel=1e-12)


@pytest.mark.parametrize("m", [2, 10, 100])
def test_random_rows_have_the_random_mean_and_variance(m: int) -> None:
    found = squared_overlaps(np.random.default_rng(m).standard_normal((3000, m)))
    mean, variance, pairs = random_sq_overlap_mean(m), random_sq_overlap_variance(m), 3000 * 2999 / 2
    assert abs(found.mean_sq - mean) < 5 * math.sqrt(variance / pairs)  # overlaps of random rows are uncorrelated
    assert found.std_sq**2 == pytest.approx(variance, rel=0.02)
    assert abs(found.mean_cosine) < 5 * math.sqrt(1 / (m * pairs))


def test_random_formulas_by_the_beta_law() -> None:
    """The squared overlap of random unit rows follows Beta(1/2, (m - 1)/2)."""
    for m in (2, 3, 17, 512):
        a, b = 1 / 2, (m - 1) / 2
        assert random_sq_overlap_mean(m) == pytest.approx(a / (a + b), rel=1e-14)
        assert random_sq_overlap_variance(m) == pytest.approx(a * b / ((a + b) ** 2 * (a + b + 1)), rel=1e-14)
    assert random_sq_overlap_variance(1) == 0


rows = st.tuples(st.integers(2, 9), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-2, 2))
)


@settings(max_examples=200)
@given(rows, st.integers(1, 9))
def test_overlaps_are_those_of_all_pairs(W: np.ndarray, block: int) -> None:
    """Small whole numbers give zero rows, duplicates and opposites."""
    kept = [row / math.sqrt(sum(row**2)) for row in W if row.any()]
    if len(kept) < 2:
        with pytest.raises(ValueError, match=f"two rows that are not zero, got {len(kept)}"):
            squared_overlaps(W)
        return
    cosines = [math.fsum(a * b) for a, b in itertools.combinations(kept, 2)]
    squares = [c**2 for c in cosines]
    mean = math.fsum(squares) / len(squares)
    found = squared_overlaps(W, block)
    assert found.nu == len(kept)
    assert found.mean_sq == pytest.approx(mean, abs=1e-13)
    assert found.std_sq**2 == pytest.approx(math.fsum((s - mean) ** 2 for s in squares) / len(squares), abs=1e-13)
    assert found.mean_cosine == pytest.approx(math.fsum(cosines) / len(cosines), abs=1e-13)
    assert found.max_abs == pytest.approx(max(map(abs, cosines)), abs=1e-13)


@settings(max_examples=100)
@given(rows)
def test_no_rows_beat_the_welch_bound(W: np.ndarray) -> None:
    w = unit_rows(W)
    if len(w) >= 2:
        found = squared_overlaps(W)
        assert found.mean_sq >= welch_bound(*w.shape) - 1e-13
        assert found.max_abs**2 >= found.mean_sq - 1e-13
        assert mean_sq_overlap_from_gram(w.T @ w, len(w)) == pytest.approx(found.mean_sq, abs=1e-13)


def test_overlaps_need_two_rows() -> None:
    with pytest.raises(ValueError, match="got 1"):
        squared_overlaps(np.array([[1.0, 2.0], [0.0, 0.0]]))


def test_bounds_at_their_limits() -> None:
    assert [welch_bound(nu, 5) for nu in (1, 4, 5)] == [0, 0, 0]
    assert welch_bound(10**12, 5) == pytest.approx(1 / 5)
    assert etf_like_rows(10) == 50


def test_capacity_of_known_frames() -> None:
    assert fractional_capacity(3 * np.eye(4)) == pytest.approx(np.ones(4))
    for frame, m in ((simplex(5), 5), (mercedes_benz(), 2), (icosahedron(), 3)):  # tight: m is shared equally
        assert fractional_capacity(2 * frame) == pytest.approx(np.full(len(frame), m / len(frame)))
    one_direction = np.array([[1.0, 0], [2, 0], [0, 0]], dtype=np.float32)
    assert fractional_capacity(one_direction) == pytest.approx([1 / 5, 4 / 5, 0])


@given(W=arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 5)), elements=st.floats(-3, 3, width=16)))
@settings(derandomize=True, max_examples=100)
def test_capacity_by_brute_force_and_at_most_the_leverage(W: np.ndarray) -> None:
    capacity = fractional_capacity(W)
    for i, row in enumerate(W):
        crossed = sum((row @ other) ** 2 for other in W)
        assert capacity[i] == pytest.approx((row @ row) ** 2 / crossed if crossed > 0 else 0, rel=1e-9)
    leverage = np.einsum("ij,ji->i", W, np.linalg.pinv(W, rcond=1e-12))
    assert np.all(capacity <= leverage + 1e-6)
    assert capacity.sum() <= np.linalg.matrix_rank(W, tol=1e-9) + 1e-6


def test_loss_of_equation_10_by_brute_force() -> None:
    W = np.random.default_rng(0).normal(size=(1100, 3)).astype(np.float32)  # more than one block
    W[5] = 0
    kept = np.delete(W, 5, axis=0).astype(np.float64)
    norms = np.linalg.norm(kept, axis=1)
    losses = [
        np.log1p(sum(np.exp(kept[i] @ kept[j] / norms[i] - norms[i]) for j in range(len(kept)) if j != i))
        for i in range(0, len(kept), 100)
    ]
    assert own_direction_loss(kept[:2])[0] == pytest.approx(
        np.mean([np.log1p(np.exp(kept[0] @ kept[1] / r - r)) for r in norms[:2]])
    )
    loss, overlaps = own_direction_loss(W)
    all_losses = np.log(np.exp(kept @ kept.T / norms[:, None] - norms[:, None]).sum(1))
    assert all_losses[::100] == pytest.approx(np.array(losses))
    assert loss == pytest.approx(all_losses.mean())
    assert overlaps == pytest.approx(np.mean(all_losses - np.log1p(1098 * np.exp(-norms))))


def test_overlaps_add_half_their_mean_square_to_equation_10() -> None:
    """For many rows of norm 1, to second order: log(1 + nu (1 + q/2)/e) - log(1 + nu/e) is about q/2."""
    W = np.random.default_rng(1).normal(size=(3000, 50))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    assert own_direction_loss(W)[1] == pytest.approx(1 / 100, rel=0.05)


def test_equation_10_needs_two_rows() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        own_direction_loss(np.eye(1, 3))


@pytest.mark.parametrize("m", [1, 2, 3, 10])
def test_moment_floors_are_moments_of_uniform_rows(m: int) -> None:
    """The overlap of uniform rows has density (1 - t^2)^((m - 3)/2); for m = 1 it is -1 or 1."""
    if m == 1:
        assert [moment_floor(1, k) for k in (0, 2, 4, 6)] == [1, 1, 1, 1]
        return
    angle = (np.arange(20_000) + 0.5) * np.pi / 20_000
    weight = np.sin(angle) ** (m - 2)
    for k in (0, 2, 4, 6, 8):
        assert moment_floor(m, k) == pytest.approx(np.average(np.cos(angle) ** k, weights=weight), rel=1e-6)
    for beta in (0.0, 0.5, 4.0):
        mean = np.average(np.exp(beta * np.cos(angle)), weights=weight)
        assert isotropic_pair_energy(m, beta) == pytest.approx(mean, rel=1e-6)


def test_odd_moments_have_no_floor() -> None:
    with pytest.raises(ValueError, match="got k = 3"):
        moment_floor(4, 3)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(rows)
def test_no_rows_fall_below_a_floor(W: np.ndarray) -> None:
    w = unit_rows(W)
    nu, m = w.shape
    if nu < 2:
        return
    found = squared_overlaps(W)
    overlaps = (w @ w.T)[np.triu_indices(nu, 1)]
    for k in (2, 4, 6):
        assert np.mean(overlaps**k) >= pair_moment_floor(nu, m, k) - 1e-13
    assert found.std_sq**2 >= sq_overlap_variance_floor(nu, m, found.mean_sq) - 1e-12
    assert np.mean(np.exp(2 * (w @ w.T))) >= isotropic_pair_energy(m, 2.0) - 1e-12


def test_pair_floor_of_second_order_is_the_welch_bound() -> None:
    for nu, m in ((5, 3), (300, 10), (2, 2), (3, 5), (1, 4)):
        assert pair_moment_floor(nu, m, 2) == pytest.approx(welch_bound(nu, m), abs=1e-15)


def test_variance_floor_is_reached_by_frames_and_has_the_closed_form() -> None:
    icosahedron_frame = icosahedron()
    assert sq_overlap_variance_floor(6, 3) == pytest.approx(0, abs=1e-15)  # nu = m (m + 1) / 2
    assert squared_overlaps(icosahedron_frame).std_sq ** 2 == pytest.approx(0, abs=1e-12)
    dodecahedron = unit_rows(  # its 10 lines are a spherical 5-design, where the fourth moment is exact
        np.array(
            [[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)]
            + [[0, s / g, t * g] for g in [(1 + math.sqrt(5)) / 2] for s in (1, -1) for t in (1, -1)]
            + [[s / g, t * g, 0] for g in [(1 + math.sqrt(5)) / 2] for s in (1, -1) for t in (1, -1)]
            + [[t * g, 0, s / g] for g in [(1 + math.sqrt(5)) / 2] for s in (1, -1) for t in (1, -1)]
        )
    )
    found = squared_overlaps(dodecahedron)
    assert found.mean_sq == pytest.approx(welch_bound(20, 3))
    assert found.std_sq**2 == pytest.approx(sq_overlap_variance_floor(20, 3), rel=1e-9)
    nu, m = 300, 10
    closed = (3 * nu / (m * (m + 2)) - 1) / (nu - 1) - welch_bound(nu, m) ** 2
    assert sq_overlap_variance_floor(nu, m) == pytest.approx(closed, rel=1e-12)
    assert sq_overlap_variance_floor(1, 3) == 0


def test_identical_rows_scatter_less_than_tight_frames_may() -> None:
    """The floor at the Welch bound holds for small means only; the floor at the measured mean always holds."""
    w = np.tile([[1.0, 0.0, 0.0]], (40, 1))
    assert squared_overlaps(w).std_sq == pytest.approx(0, abs=1e-7)
    assert sq_overlap_variance_floor(40, 3) > 0.05
    assert sq_overlap_variance_floor(40, 3, 1.0) == 0
