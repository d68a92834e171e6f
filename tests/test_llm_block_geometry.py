"""The streaming measurement against all pairs written out in float64."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling import geometry as whole
from scaling.command import InputError
from scaling.llm import block_geometry
from scaling.llm.block_geometry import mean_sq_overlaps, pair_statistics, survey


@dataclass(frozen=True)
class InMemory:
    """A matrix in memory, handed out in blocks."""

    W: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.W.shape[0], self.W.shape[1]

    def blocks(self, size: int) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, len(self.W), size):
            yield start, self.W[start : start + size].astype(np.float32)


def pairs_of(W: np.ndarray) -> np.ndarray:
    """o_ij of all pairs i != j of unit rows, written out."""
    w = W.astype(np.float64)
    w = w / np.linalg.norm(w, axis=1, keepdims=True)
    return (w @ w.T)[~np.eye(len(w), dtype=bool)]


@st.composite
def matrices(draw: st.DrawFn) -> tuple[np.ndarray, int | None]:
    """Random matrices with zero rows, copies, a common direction, and padding; and the vocabulary, if it is known."""
    nu, m = draw(st.integers(4, 40)), draw(st.integers(2, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    W = rng.standard_normal((nu, m)) * rng.uniform(0.1, 3, (nu, 1)) + draw(st.sampled_from([0, 1, 5]))
    W = W.astype(draw(st.sampled_from([np.float16, np.float32, np.float64])))
    for row in draw(st.lists(st.integers(3, nu - 1), max_size=3)):
        W[row] = draw(st.sampled_from([0, W[0]]))
    return W, draw(st.none() | st.integers(3, nu + 2))


@given(matrices(), st.integers(1, 200))
@settings(max_examples=150)
def test_against_all_pairs(drawn: tuple[np.ndarray, int | None], block: int) -> None:
    W, vocabulary = drawn
    matrix = InMemory(W)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_geometry, "BLOCK", block)
        patch.setattr(block_geometry, "PAIR_ROWS", 5)
        rows = survey(matrix, vocabulary)
        raw, everything, centred = mean_sq_overlaps(matrix, rows)
        pairs = pair_statistics(matrix, rows, "exact", 1, 0)
    norms = np.linalg.norm(W.astype(np.float64), axis=1)
    seen: set[bytes] = set()
    kept = []
    for number, row in enumerate(W):
        inside = vocabulary is None or number < vocabulary
        if inside and norms[number] > 0 and row.tobytes() not in seen:
            kept.append(number)
            seen.add(row.tobytes())
    assert np.flatnonzero(rows.kept).tolist() == kept
    assert len(W) - len(kept) == rows.n_padded + rows.n_zero + rows.n_duplicate
    np.testing.assert_allclose(rows.norms, norms, rtol=1e-6)
    overlap = pairs_of(W[kept])
    assert raw == pytest.approx(np.mean(overlap**2), abs=1e-6)
    assert everything == pytest.approx(np.mean(pairs_of(W[norms > 0]) ** 2), abs=1e-6)
    about_mean = W[kept].astype(np.float64) - W[kept].astype(np.float64).mean(axis=0)
    assert centred == pytest.approx(np.mean(pairs_of(about_mean) ** 2), abs=3e-5)
    assert pairs.mean_abs == pytest.approx(np.abs(overlap).mean(), abs=1e-6)
    assert pairs.std_abs == pytest.approx(np.abs(overlap).std(), abs=1e-4)
    assert pairs.std_sq == pytest.approx((overlap**2).std(), abs=1e-4)
    assert pairs.max_abs == pytest.approx(np.abs(overlap).max(), abs=1e-6)
    assert pairs.n_rows == len(kept)
    assert max(pairs.mean_abs_stderr, pairs.std_abs_stderr, pairs.std_sq_stderr) == 0


def test_small_matrices_agree_with_scaling_geometry() -> None:
    W = np.random.default_rng(0).standard_normal((300, 20))
    rows = survey(InMemory(W))
    ours, pairs = mean_sq_overlaps(InMemory(W), rows), pair_statistics(InMemory(W), rows, "exact", 1, 0)
    theirs = whole.squared_overlaps(W)
    assert ours[0] == pytest.approx(theirs.mean_sq, rel=1e-6)
    assert pairs.std_sq == pytest.approx(theirs.std_sq, rel=1e-5)
    assert pairs.max_abs == pytest.approx(theirs.max_abs, rel=1e-6)


def test_standard_errors_cover_what_all_pairs_give() -> None:
    rng = np.random.default_rng(1)
    W = rng.standard_normal((600, 16)) * np.geomspace(0.2, 5, 16) + rng.standard_normal((600, 1))
    matrix = InMemory(W)
    rows = survey(matrix)
    exact = pair_statistics(matrix, rows, "exact", 1, 0)
    draws = [pair_statistics(matrix, rows, "sampled", 100, seed) for seed in range(200)]
    for name in ("mean_abs", "std_abs", "std_sq"):
        values = np.array([getattr(draw, name) for draw in draws])
        errors = np.array([getattr(draw, f"{name}_stderr") for draw in draws])
        assert np.mean(errors) == pytest.approx(values.std(), rel=0.15)
        assert 0.88 < np.mean(np.abs(values - getattr(exact, name)) < 2 * errors) < 0.99
    assert max(draw.max_abs for draw in draws) <= exact.max_abs * (1 + 1e-6)


def test_the_seed_determines_the_sample() -> None:
    matrix = InMemory(np.random.default_rng(2).standard_normal((200, 8)))
    rows = survey(matrix)
    assert pair_statistics(matrix, rows, "sampled", 50, 3) == pair_statistics(matrix, rows, "sampled", 50, 3)
    assert pair_statistics(matrix, rows, "sampled", 50, 3) != pair_statistics(matrix, rows, "sampled", 50, 4)
    assert pair_statistics(matrix, rows, "sampled", 500, 3) == pair_statistics(matrix, rows, "exact", 50, 4)


def test_centring_removes_a_common_direction() -> None:
    rng = np.random.default_rng(3)
    m, nu = 64, 4000
    matrix = InMemory(rng.standard_normal((nu, m)) + 2 * rng.standard_normal(m))
    raw, _, centred = mean_sq_overlaps(matrix, survey(matrix))
    assert raw > 10 / m
    assert centred == pytest.approx(1 / m, rel=0.02)


@pytest.mark.parametrize("common", [0, 1, 5])
def test_products_in_float32_are_precise_enough(common: float) -> None:
    rng = np.random.default_rng(4)
    W = (rng.standard_normal((5000, 256)) + common * rng.standard_normal(256)).astype(np.float32)
    raw, _, centred = mean_sq_overlaps(InMemory(W), survey(InMemory(W)))
    assert raw == pytest.approx(np.mean(pairs_of(W) ** 2), rel=1e-7)
    assert centred == pytest.approx(np.mean(pairs_of(W - W.astype(np.float64).mean(axis=0)) ** 2), rel=1e-6)


def test_orthogonal_rows_and_a_tight_frame() -> None:
    basis = InMemory(np.eye(32))
    assert mean_sq_overlaps(basis, survey(basis))[0] == pytest.approx(0, abs=1e-7)
    corners = np.exp(2j * np.pi * np.arange(3) / 3)
    mercedes = InMemory(np.stack([corners.real, corners.imag], axis=1))
    rows = survey(mercedes)
    assert mean_sq_overlaps(mercedes, rows)[0] == pytest.approx(whole.welch_bound(3, 2), rel=1e-6)
    assert pair_statistics(mercedes, rows, "exact", 1, 0).max_abs == pytest.approx(0.5, rel=1e-6)


def test_values_that_are_not_finite_and_too_few_rows() -> None:
    W = np.ones((5, 3))
    with pytest.raises(InputError, match="only 1 of 5 rows"):
        survey(InMemory(W))
    W[3, 1] = np.nan
    with pytest.raises(InputError, match="row 3 contains a value that is not finite"):
        survey(InMemory(W))
