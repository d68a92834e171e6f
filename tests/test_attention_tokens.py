"""Tokens on the sphere and on the circle: flows against SciPy and exact solutions, modes, centres, thresholds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import iv

from scaling.attention import circle, circle_study, kernel, sphere, sphere_study
from scaling.command import InputError


def tokens(n: int, d: int, seed: int = 0) -> np.ndarray:
    return sphere.uniform(n, d, np.random.default_rng(seed))


@pytest.mark.parametrize("flow", ["SA", "USA"])
def test_velocity_by_loops(flow: sphere.Flow) -> None:
    x, beta = tokens(5, 3), 1.7
    for i, found in enumerate(sphere.velocity(x, beta, flow)):
        weight = np.array([math.exp(beta * x[i] @ y) for y in x])
        pull = (weight / (weight.sum() if flow == "SA" else 5)) @ x
        np.testing.assert_allclose(found, pull - (pull @ x[i]) * x[i], atol=1e-14)


def test_causal_tokens_see_only_earlier_ones() -> None:
    x = tokens(6, 3)
    whole = sphere.velocity(x, 2.0, causal=True)
    for i in range(1, 7):
        np.testing.assert_allclose(whole[i - 1], sphere.velocity(x[:i], 2.0)[-1], atol=1e-14)
    np.testing.assert_allclose(whole[0], 0, atol=1e-15)
    with_kernel = kernel.attend(x, x, x, beta=2.0, bias=kernel.causal_bias(6))
    np.testing.assert_allclose(sphere.pull(x, 2.0, causal=True), with_kernel, atol=1e-14)


@pytest.mark.parametrize("flow", ["SA", "USA"])
def test_steppers_converge_to_scipy(flow: sphere.Flow) -> None:
    x, beta = tokens(8, 3), 2.0
    exact = sphere.solve(x, beta, np.array([0.0, 1.0]), flow)[-1]
    errors = []
    for steps in (50, 100):
        rough, fine = x, x
        for _ in range(steps):
            rough = sphere.euler_step(rough, beta, 1 / steps, flow)
            fine = sphere.runge_kutta_step(fine, beta, 1 / steps, flow)
        errors.append(np.abs(rough - exact).max())
        assert np.abs(fine - exact).max() < 1e-6
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.2)


def test_a_step_of_inner_products_is_a_step_of_tokens() -> None:
    x = sphere.uniform(10, 4, np.random.default_rng(1), batch=3)
    G = x @ np.swapaxes(x, -1, -2)
    for _ in range(20):
        x, G = sphere.euler_step(x, 3.0, 0.1), sphere.gram_step(G, 3.0, 0.1)
    np.testing.assert_allclose(G, x @ np.swapaxes(x, -1, -2), atol=1e-13)


@pytest.mark.parametrize("flow", ["SA", "USA"])
def test_equiangular_tokens_follow_their_own_equation(flow: sphere.Flow) -> None:
    assert sphere_study.equiangular_error(1.0, flow, n=6) < 1e-8
    time = sphere.equiangular_time(6, 1.0, flow=flow)
    end = solve_ivp(lambda _, g: sphere.equiangular_rate(g, 6, 1.0, flow), (0, time), [0.0], rtol=1e-10, atol=1e-12)
    assert end.y[0, -1] == pytest.approx(sphere.CLUSTERED, abs=1e-7)


def test_the_euler_curve_is_that_of_orthogonal_tokens() -> None:
    x, steps = np.eye(5), 0
    while (x @ x.T).min() < sphere.CLUSTERED:
        x, steps = sphere.euler_step(x, 2.0, 0.1), steps + 1
    assert sphere.equiangular_euler_time(5, 2.0, 0.1) == pytest.approx(0.1 * steps)
    assert math.isnan(sphere.equiangular_euler_time(32, 60.0, 0.1, longest=1.0))


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(2, 5), st.floats(0.1, 6), st.integers(0, 1000), st.sampled_from(["SA", "USA"]))
def test_both_flows_increase_the_energy_at_the_predicted_rate(
    n: int, d: int, beta: float, seed: int, flow: sphere.Flow
) -> None:
    x = tokens(n, d, seed)
    v, h = sphere.velocity(x, beta, flow), 1e-6
    h /= max(np.abs(v).max(), 1.0)
    up, down = (sphere.energy(kernel.unit(x + sign * h * v), beta) for sign in (1, -1))
    rate = sphere.energy_rate(x, beta, flow)
    assert rate >= 0
    assert (up - down) / (2 * h) == pytest.approx(rate, rel=1e-4, abs=1e-6 * up)


def test_clusters_are_counted() -> None:
    G = np.ones((4, 4))
    assert sphere.clustered_share(G) == 1
    assert sphere.clustered_share(np.eye(4)) == 0
    assert sphere_study.half_time(np.array([0.0, 0.4, 0.6, 1.0])) == pytest.approx(0.15)
    assert math.isnan(sphere_study.half_time(np.zeros(3)))
    assert circle.count_clusters(np.array([0.0, 0.01, 3.13, 3.15, -0.01])) == 2
    assert circle.count_clusters(np.zeros(5)) == 1


def test_all_tokens_end_at_the_first_under_a_causal_mask() -> None:
    rows = list(sphere_study.collapse_rows(n=4, longest=120.0))
    assert min(row["least_cosine"] for row in rows) > 1 - 1e-6
    assert max(row["first_moved"] for row in rows) < 1e-12


@pytest.mark.parametrize("flow", ["SA", "USA"])
def test_modes_grow_as_predicted(flow: sphere.Flow) -> None:
    expected = 9 * iv(3, 5.0) / 5
    assert circle.growth_rate(3, 5.0) == pytest.approx(expected)
    assert circle.growth_rate(3, 5.0, "SA") == pytest.approx(expected / iv(0, 5.0))
    assert [circle.fastest_mode(beta) for beta in (2, 5, 9, 16, 32)] == [2, 3, 4, 6, 8]
    rows = list(circle_study.mode_rows(5.0, flow))
    assert [row["rate"] / row["rate_predicted"] for row in rows] == pytest.approx([1] * 3, rel=2e-3)


def test_renyi_centres_by_hand_and_the_parking_constant() -> None:
    x = circle.from_angles(np.array([0.0, 0.1, 1.0, 0.95, 2.0]))
    assert circle.renyi_centres(x, 0.5) == [0, 2, 4]
    assert circle.renyi_centres(x, 0.5, strong=True) == [0, 2, 4]
    y = circle.from_angles(np.array([0.0, 0.4, 0.8]))
    assert circle.renyi_centres(y, 0.5) == [0, 2]
    assert circle.renyi_centres(y, 0.5, strong=True) == [0]
    assert circle.parking_constant() == pytest.approx(0.7475979202, abs=1e-9)


def test_three_clusters_survive_only_below_minus_two_thirds() -> None:
    table = circle_study.synchronisation_table(steps=4000)
    near = table[(table["beta"] + 2 / 3).abs() > 0.03]  # slow at the threshold
    assert ((near["n_clusters"] == 3) == (near["stiffness"] > 0)).all()
    assert circle.three_cluster_stiffness(-2 / 3) == pytest.approx(0)


def test_noisy_thresholds() -> None:
    for d in (2, 3, 7):
        beta = circle.noisy_threshold(d)
        assert iv(d / 2 + 1, beta) / iv(d / 2, beta) == pytest.approx(1 / d)
    assert circle.linear_threshold(2, 1.5) == pytest.approx(1.5 / (2 * iv(1, 1.5)))
    for factor, ordered in ((0.9, False), (1.1, True)):
        beta = factor * circle.noisy_threshold(2)
        found = circle.ordered_energy(2, beta, (1 - 1e-4) * circle.linear_threshold(2, beta), iterations=4000)
        assert (found < -1e-9) == ordered


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sphere.uniform(1, 3, np.random.default_rng(0)), "n = 1 tokens"),
        (lambda: sphere.uniform(10**6, 10**6, np.random.default_rng(0)), "at most 2"),
        (lambda: sphere.equiangular(4, 3, 0.5), "no 4 vectors"),
        (lambda: sphere.equiangular(3, 3, -0.5), "no 3 vectors"),
        (lambda: sphere.solve(tokens(2, 2), math.nan, np.array([1.0])), "beta = nan"),
        (lambda: circle.renyi_centres(tokens(2, 2), 0.0), "delta = 0.0"),
        (lambda: circle.noisy_threshold(1), "d = 1"),
        (lambda: circle.linear_threshold(2, -1.0), "beta = -1.0"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
