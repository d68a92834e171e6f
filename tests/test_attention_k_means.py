"""The k-means circuit against scikit-learn and plain loops; its variants; networks that learn it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from scaling.attention import k_means, k_means_study, kernel, lloyd_measurement, lloyd_network
from scaling.command import InputError


def test_every_iteration_is_that_of_scikit_learn() -> None:
    row = k_means_study.lloyd_row("blobs", 0.0, starts=2)
    assert row["n_steps"] > 5
    assert (row["n_different"], row["n_labels_different"], row["n_same_length"]) == (0, 0, 2)
    assert row["max_difference"] < 1e-12


def test_iris_differs_only_at_ties() -> None:
    row = k_means_study.lloyd_row("iris", 0.0, starts=20)
    assert row["n_different"] == row["n_different_with_tie"] > 0
    assert k_means_study.lloyd_row("iris", 1e-6, starts=20)["n_different"] == 0


def test_an_empty_centre_does_not_move_and_ties_are_split() -> None:
    X = np.array([[-1.0], [0.0], [1.0]])
    C = np.array([[-1.0], [1.0], [100.0]])
    R = k_means.assign(X, C)
    assert R.tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]]
    np.testing.assert_allclose(k_means.update(X, C, R), [[-2 / 3], [2 / 3], [100]])


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10**6))
def test_the_circuit_is_lloyd_s_loop_and_never_increases_the_inertia(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 3))
    path = k_means.run(X, k_means.start(X, k, rng))
    C = path[0]
    for found in path[1:]:
        label = np.argmin([[np.sum((x - c) ** 2) for c in C] for x in X], 1)
        C = np.array([X[label == j].mean(0) if np.any(label == j) else C[j] for j in range(k)])
        np.testing.assert_allclose(found, C, atol=1e-12)
    inertia = [-2 * kernel.minus_half_squared_distance(X, centres).max(1).sum() for centres in path]
    assert np.diff(inertia).max() <= 1e-9
    oracle = KMeans(k, init=path[0], n_init=1, tol=0, algorithm="lloyd").fit(X)
    assert inertia[-1] == pytest.approx(oracle.inertia_, rel=1e-9)


def test_soft_k_means_is_expectation_maximisation_and_tends_to_lloyd() -> None:
    X = k_means_study.points("iris")
    C = X[[0, 60, 120]]
    R = k_means.assign(X, C, beta=0.7)
    weight = np.exp(-0.35 * np.array([[np.sum((x - c) ** 2) for c in C] for x in X]))
    weight /= weight.sum(1, keepdims=True)
    np.testing.assert_allclose(R, weight, rtol=1e-9)
    np.testing.assert_allclose(k_means.update(X, C, R), weight.T @ X / weight.sum(0)[:, None], rtol=1e-12)
    hard = k_means.run(X, C, layers=5)[-1]
    np.testing.assert_allclose(k_means.run(X, C, beta=1e6, layers=5)[-1], hard, atol=1e-12)


def test_soft_centres_separate_at_the_critical_beta() -> None:
    X = k_means_study.points("iris")
    C, critical = k_means.start(X, 3, np.random.default_rng(0)), k_means.critical_beta(X)
    assert critical == pytest.approx(1 / np.linalg.svd(X - X.mean(0))[1][0] ** 2 * len(X))
    below, above = (k_means.run(X, C, beta=f * critical, layers=2000, tolerance=1e-13)[-1] for f in (0.9, 1.1))
    assert k_means_study.spread(below) < 1e-9
    assert k_means_study.spread(above) > 1


def test_trimmed_k_means_ignores_outliers_and_spherical_equals_its_loop() -> None:
    rows = {round(row["trim"], 2): row["centre_error"] for row in k_means_study.trimmed_rows()}
    assert rows[0.09] < 1e-9 < 1 < rows[0.0]
    row = k_means_study.spherical_row("iris")
    assert row["max_difference"] < 1e-14
    assert row["least_gain"] >= -1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: k_means.start(X, 9, np.random.default_rng(0)), "k = 9 centres for n = 4"),
        (lambda X: k_means.run(X, np.ones((5, 2))), "k = 5 centres for n = 4"),
        (lambda X: k_means.run(X, np.ones((2, 3))), "finite arrays"),
        (lambda X: k_means.run(X, np.full((2, 2), np.nan)), "finite arrays"),
        (lambda X: k_means.run(X, X[:2], trim=1.0), "trim = 1.0"),
        (lambda X: k_means.run(X, X[:2], beta=float("nan")), "beta = nan"),
        (lambda X: lloyd_network.LloydNetwork("kernel", 1), "the kind is one of"),
        (lambda X: lloyd_network.asked("aligned:1"), "KIND:DEPTH"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(np.arange(8.0).reshape(4, 2))  # type: ignore[operator]


def exact_layer() -> lloyd_network.LloydNetwork:
    """A network whose one layer is the circuit at a large beta."""
    network = lloyd_network.LloydNetwork("aligned", 1)
    layer = network.layers[0]
    with torch.no_grad():
        layer.A.copy_(1e4 * torch.eye(2))
        layer.V.copy_(torch.eye(2))
        for name, value in (("a", -5e3), ("g", 1.0), ("rho", 0.0)):
            getattr(layer, name).fill_(value)
    return network


def test_a_layer_with_the_circuit_s_parameters_is_lloyd_s_iteration() -> None:
    X, C = lloyd_network.mixtures(50, torch.Generator().manual_seed(0))
    found = exact_layer()(X, C)[0]
    exact = lloyd_network.lloyd(X, C)
    assert (found - exact).abs().median() < 1e-5
    for x, c, one in zip(X[:5].double().numpy(), C[:5].double().numpy(), exact[:5].numpy(), strict=True):
        np.testing.assert_allclose(one, k_means.run(x, c, layers=1)[-1], atol=1e-5)


def test_measurement_names_the_circuit() -> None:
    rows = list(lloyd_measurement.rows(exact_layer(), "aligned", 1, 0, 10))
    assert [row["layer"] for row in rows] == list(range(1, 9))
    assert (rows[0]["centre_ratio"], rows[0]["anisotropy"]) == (pytest.approx(-0.5), 0)
    assert rows[0]["error"] < 0.05 < rows[0]["error_of_start"]


@pytest.mark.parametrize("kind", sorted(lloyd_network.LEARNING_RATE))
def test_training_is_deterministic_and_files_keep_the_networks(kind: str, tmp_path: object) -> None:
    first, second = (lloyd_network.train(kind, 2, 0, steps=3, batch=4) for _ in range(2))
    path = tmp_path / "networks.safetensors"  # type: ignore[operator]
    lloyd_network.write(path, {(kind, 2, 0): first}, 3)
    read, steps = lloyd_network.read(path)
    X, C = lloyd_network.mixtures(4, torch.Generator().manual_seed(1))
    assert steps == 3
    assert torch.equal(first(X, C), second(X, C))
    assert torch.equal(first(X, C), read[kind, 2, 0](X, C))
