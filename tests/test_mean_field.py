import math
import sys

import numpy as np
import pytest
from scipy import integrate, stats

from scaling import geometry
from scaling.command import InputError
from scaling.mean_field import main, mean_field, rectified_moments, sample_space
from scaling.toy import packings
from scaling.toy.evaluation import held_out_loss


def test_rectified_moments_are_the_integrals():
    for mean, spread in ((0.3, 0.5), (-1.0, 0.4), (2.0, 0.1)):
        z = stats.norm(mean, spread)
        first, second = rectified_moments(np.array([mean]), np.array([spread]))
        assert first[0] == pytest.approx(integrate.quad(lambda x, z=z: x * z.pdf(x), 0, 8)[0], rel=1e-6)
        assert second[0] == pytest.approx(integrate.quad(lambda x, z=z: x * x * z.pdf(x), 0, 8)[0], rel=1e-6)
    first, second = rectified_moments(np.array([-1.0, 0.0, 2.0]), np.zeros(3))
    np.testing.assert_allclose([first, second], [[0, 0, 2], [0, 0, 4]])


def test_sums_of_squares_have_their_mean():
    v, S = sample_space(1.0)
    assert v.mean() == pytest.approx(1, abs=1e-3)
    assert S.mean() == pytest.approx(4 / 3, rel=0.01)


def test_no_overlaps_no_loss_and_too_many_features_are_not_represented():
    assert mean_field(50, 50).loss == pytest.approx(0, abs=1e-6)
    assert mean_field(10**9, 5).loss == pytest.approx(4 / 3, rel=1e-3)


def test_theory_agrees_with_sampling_at_its_own_rows():
    """A tight frame with the theory's norm and bias: equal up to the non-Gaussian overlaps of a finite frame."""
    n, m = 300, 60
    theory = mean_field(n, m)
    W = np.sqrt(theory.g) * packings.tight_frame(n, m, np.random.default_rng(0))
    b = np.full(n, theory.b, np.float32)
    sampled = held_out_loss(W.astype(np.float32), b, np.full(n, 1 / n), 2**15, np.random.default_rng(1))
    assert geometry.squared_overlaps(W).mean_sq == pytest.approx(geometry.welch_bound(n, m))
    assert sampled.loss == pytest.approx(theory.loss, rel=0.05)


def test_impossible_sizes_are_named():
    with pytest.raises(InputError, match="1 <= m <= n"):
        mean_field(10, 11)
    for density in (0.0, math.nan, 50.0):
        with pytest.raises(InputError, match="must be above 0 and at most"):
            mean_field(10, 5, density)


def test_only_widths_above_every_n_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mean_field", "--n", "4", "--m", "5", "6", "--output", str(tmp_path / "t.csv")])
    with pytest.raises(InputError, match="give a width m <= n"):
        main()
    assert not list(tmp_path.iterdir())
