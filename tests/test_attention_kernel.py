"""The attention kernel: exact small cases, limits, masks, bad input, and PyTorch against NumPy in float64."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling.attention import kernel, modules
from scaling.command import InputError


RNG = np.random.default_rng(0)
Q, K, V = RNG.normal(size=(3, 5, 4)), RNG.normal(size=(3, 7, 4)), RNG.normal(size=(3, 7, 2))


def test_weights_are_a_softmax_by_hand() -> None:
    q, k = np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 5.0]])
    expected = np.exp([[1.0, 0.0]]) / (np.e + 1)
    np.testing.assert_allclose(kernel.attention_weights(q, k, beta=0.5), expected, rtol=1e-15)
    np.testing.assert_allclose(kernel.attention_weights(q, k, beta=0.5, normalise="queries"), [[1, 1]])
    np.testing.assert_allclose(kernel.attention_weights(q, k, beta=0.5, normalise="constant"), [[np.e / 2, 0.5]])


def test_similarities_are_their_definitions() -> None:
    difference = Q[:, :, None] - K[:, None]
    np.testing.assert_allclose(kernel.minus_half_squared_distance(Q, K), -np.sum(difference**2, -1) / 2, atol=1e-13)
    np.testing.assert_allclose(kernel.minus_distance(Q, K), -np.sqrt(np.sum(difference**2, -1)), atol=1e-13)
    norms = np.linalg.norm(Q, axis=-1)[:, :, None] * np.linalg.norm(K, axis=-1)[:, None]
    np.testing.assert_allclose(kernel.cosine(Q, K), np.sum(Q[:, :, None] * K[:, None], -1) / norms, atol=1e-14)


@pytest.mark.parametrize("kappa", [1e-4, 0.3, 1.0, 4.0])
def test_lorentz_distance_in_fifty_digits(kappa: float) -> None:
    q, k = Q[0, :2], np.vstack([K[0, :2], Q[0, :1] + 1e-5])
    found = -kernel.minus_lorentz_distance(q, k, kappa)
    with mpmath.workdps(50):
        root = mpmath.sqrt(kappa)

        def lift(x: np.ndarray) -> list[mpmath.mpf]:
            r = mpmath.sqrt(sum(mpmath.mpf(a) ** 2 for a in x))
            return [mpmath.cosh(root * r) / root, *(mpmath.sinh(root * r) / (root * r) * mpmath.mpf(a) for a in x)]

        for i, j in np.ndindex(found.shape):
            a, b = lift(q[i]), lift(k[j])
            inner = sum(x * y for x, y in zip(a[1:], b[1:], strict=True)) - a[0] * b[0]
            assert found[i, j] == pytest.approx(float(mpmath.acosh(-kappa * inner) / root), rel=1e-9)


def test_lorentz_distance_is_euclidean_without_curvature_and_lifts_onto_the_hyperboloid() -> None:
    np.testing.assert_allclose(kernel.minus_lorentz_distance(Q, K, 1e-9), kernel.minus_distance(Q, K), rtol=1e-7)
    time, space = kernel.lorentz_lift(Q, 2.0)
    np.testing.assert_allclose(np.sum(space**2, -1) - time**2, -0.5, atol=1e-9)
    assert kernel.lorentz_lift(np.zeros((1, 3)))[1].tolist() == [[0, 0, 0]]


def test_infinite_beta_splits_ties_and_is_the_limit() -> None:
    q, k = np.array([[0.0]]), np.array([[1.0], [-1.0], [3.0]])
    hard = kernel.attention_weights(q, k, beta=np.inf, similarity=kernel.minus_half_squared_distance)
    assert hard.tolist() == [[0.5, 0.5, 0]]
    soft = kernel.attention_weights(q, k, beta=200.0, similarity=kernel.minus_half_squared_distance)
    np.testing.assert_allclose(soft, hard, atol=1e-15)


def test_masked_keys_have_no_weight() -> None:
    bias = kernel.causal_bias(4)
    x = RNG.normal(size=(4, 3))
    for beta in (1.0, np.inf):
        weights = kernel.attention_weights(x, x, beta=beta, bias=bias)
        assert np.all(np.triu(weights, 1) == 0)
        np.testing.assert_allclose(weights.sum(1), 1)
    nothing = kernel.attention_weights(x, x, bias=np.full((4, 4), -np.inf))
    assert np.all(nothing == 0)


def test_attend_adds_a_residual_and_retracts() -> None:
    x = kernel.unit(RNG.normal(size=(6, 3)))
    out = kernel.attend(x, x, x, beta=2.0, rho=1.0, eta=0.1, retract=kernel.unit)
    plain = x + 0.1 * kernel.attention_weights(x, x, beta=2.0) @ x
    np.testing.assert_allclose(out, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-14)
    assert np.abs(np.sum(kernel.tangent(x, out) * x, -1)).max() < 1e-15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel.attention_weights(Q, K, beta=float("nan")), "beta = nan"),
        (lambda: kernel.attention_weights(Q, K, beta=-1.0), "at least 0"),
        (lambda: kernel.attention_weights(Q, K, beta=np.inf, normalise="constant"), "no limit"),
        (lambda: kernel.minus_lorentz_distance(Q, K, 0.0), "kappa = 0.0"),
        (lambda: kernel.unit(np.zeros((2, 3))), "norm zero"),
        (lambda: modules.minus_lorentz_distance(torch.ones(2, 3), torch.ones(2, 3), -1.0), "kappa = -1.0"),
        (lambda: modules.KernelAttention("dott"), "is not one of"),
        (lambda: modules.KernelAttention("dot", beta=-2.0), "beta = -2.0"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(modules.SIMILARITIES))
@pytest.mark.parametrize("normalise", ["keys", "queries"])
def test_modules_equal_the_numpy_kernel_in_float64(name: str, normalise: str) -> None:
    module = modules.KernelAttention(name, 1.3, normalise).double()
    bias = RNG.normal(size=(3, 5, 7))
    found = module(*(torch.from_numpy(part) for part in (Q, K, V, bias)))
    beta, similarity = module.beta.item(), getattr(kernel, name)
    expected = kernel.attend(Q, K, V, beta=beta, similarity=similarity, bias=bias, normalise=normalise)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("name", sorted(modules.SIMILARITIES))
def test_gradients_are_exact(name: str) -> None:
    q, k = (torch.from_numpy(part[0]).requires_grad_() for part in (Q, K))
    assert torch.autograd.gradcheck(modules.SIMILARITIES[name], (q, k))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.floats(0, 50), st.integers(0, 10**6))
def test_rows_are_probabilities_and_invariant_to_a_shift_of_the_scores(n: int, k: int, beta: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    q, keys = rng.normal(size=(n, 3)), rng.normal(size=(k, 3))
    weights = kernel.attention_weights(q, keys, beta=beta)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-12)
    shifted = kernel.attention_weights(q, keys, beta=beta, bias=np.full((n, k), 7.0))
    np.testing.assert_allclose(weights, shifted, atol=1e-9)
