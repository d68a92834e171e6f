"""Energies of rows against brute force, and known answers: random rows, a cone, clusters, a tight frame."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scaling import geometry
from scaling.llm.block_geometry import Scaled, survey
from scaling.llm.energies import energies


M, NU = 64, 2000
BETAS = (1.0, 4.0, 16.0)


class Whole:
    """A matrix in memory, read in blocks."""

    def __init__(self, W: NDArray[np.floating]) -> None:
        self.W = W.astype(np.float32)
        self.shape = self.W.shape

    def blocks(self, size: int):
        for start in range(0, len(self.W), size):
            yield start, self.W[start : start + size]


def unit(W: NDArray[np.float64]) -> NDArray[np.float64]:
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def random_rows(seed: int = 0) -> NDArray[np.float64]:
    return unit(np.random.default_rng(seed).standard_normal((NU, M)))


def cone(share: float = 0.3) -> NDArray[np.float64]:
    """Rows around one direction: cosine `share` with each other on average."""
    return np.sqrt(1 - share) * random_rows() + np.sqrt(share) * np.eye(M)[0]


def clusters(share: float = 0.6, count: int = 50) -> NDArray[np.float64]:
    """Rows around 50 random directions."""
    centres = random_rows(1)[:count]
    return unit(np.sqrt(1 - share) * random_rows() + np.sqrt(share) * centres[np.arange(NU) % count])


def tight_frame() -> NDArray[np.float64]:
    """Random rotations of an orthonormal basis: an exact unit-norm tight frame."""
    random = np.random.default_rng(2)
    bases = [np.linalg.qr(random.standard_normal((M, M)))[0] for _ in range(NU // M + 1)]
    return np.concatenate(bases)[: NU // M * M]


def exact(W: NDArray[np.float64], betas: tuple[float, ...] = BETAS) -> tuple[list[float], float]:
    """The definitions in float64: log mean e^(beta o) over pairs, and the mean of Eq. 10."""
    norms = np.linalg.norm(W, axis=1)
    o = unit(W) @ unit(W).T
    others = ~np.eye(len(W), dtype=bool)
    pair = [float(np.log(np.exp(beta * o[others]).mean())) for beta in betas]
    terms = np.exp(W @ W.T / norms[:, None] - norms[:, None]) * others
    return pair, float(np.log1p(terms.sum(axis=1)).mean())


def measured(W: NDArray[np.float64], sample: int | None = None, seed: int = 0):
    matrix = Whole(W)
    return energies(matrix, survey(matrix), BETAS, "sampled" if sample else "exact", sample or 1, seed)


def test_exact_energies_are_the_definitions() -> None:
    W = random_rows()[:300] * np.random.default_rng(3).uniform(0.5, 3, 300)[:, None]
    found = measured(W)
    pair, loss = exact(W)
    assert found.pair_energy == pytest.approx(pair, abs=1e-5)
    assert found.own_loss == pytest.approx(loss, abs=1e-5)
    assert geometry.own_direction_loss(W)[0] == pytest.approx(loss, abs=1e-12)  # the same equation, rows in memory
    assert found.n_rows == 300
    assert (found.pair_energy_stderr == 0).all()
    assert found.own_loss_stderr == 0


def test_sampled_energies_agree_within_their_errors() -> None:
    W = clusters() * np.random.default_rng(3).uniform(0.5, 3, NU)[:, None]
    pair, loss = exact(W)
    scores = []
    for seed in range(10):
        found = measured(W, 200, seed)
        scores.append(
            [*(found.pair_energy - pair) / found.pair_energy_stderr, (found.own_loss - loss) / found.own_loss_stderr]
        )
    assert np.abs(scores).max() < 5
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.6


def test_random_rows_have_the_isotropic_energy() -> None:
    found = measured(random_rows())
    null = [np.log(geometry.isotropic_pair_energy(M, beta)) for beta in BETAS]
    assert found.pair_energy == pytest.approx(null, abs=0.02)
    assert null[2] == pytest.approx(1.94, abs=0.02)


def test_energies_tell_what_the_mean_square_does_not() -> None:
    """At beta = 16: a cone and clusters lie above random rows, a tight frame below."""
    values = {
        name: measured(W).pair_energy[2]
        for name, W in (("random", random_rows()), ("cone", cone()), ("clusters", clusters()), ("frame", tight_frame()))
    }
    assert values["frame"] < values["random"] < min(values["cone"], values["clusters"])
    square = {
        name: geometry.squared_overlaps(W).mean_sq * M
        for name, W in (("frame", tight_frame()), ("random", random_rows()))
    }
    assert square["frame"] == pytest.approx((len(tight_frame()) - M) / (len(tight_frame()) - 1), rel=1e-6)
    assert square["random"] == pytest.approx(1, abs=0.01)


def test_orthogonal_rows_have_closed_forms() -> None:
    norm = 2.0
    found = measured(norm * np.eye(M))
    assert found.pair_energy == pytest.approx(0, abs=1e-12)
    assert found.own_loss == pytest.approx(np.log1p((M - 1) * np.exp(-norm)), rel=1e-6)


def test_a_gain_multiplies_the_columns() -> None:
    W, gain = random_rows()[:200], np.random.default_rng(4).uniform(0.5, 2, M).astype(np.float32)
    matrix = Scaled(Whole(W), gain)
    found = energies(matrix, survey(matrix), BETAS, "exact", 1, 0)
    pair, loss = exact(W * gain)
    assert found.pair_energy == pytest.approx(pair, abs=1e-5)
    assert found.own_loss == pytest.approx(loss, abs=1e-5)
