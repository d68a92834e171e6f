"""Tokens on the circle: growing modes, metastable clusters, Renyi centres, and thresholds of synchronisation and noise.

Around the uniform density, Fourier mode k of the tokens grows at the rate k^2 I_k(beta) / beta under USA, and at that
rate divided by I_0(beta) under SA (arXiv 2410.23228). I_k is the modified Bessel function of the first kind.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import hyp0f1, ive, roots_chebyt, roots_gegenbauer

from scaling.attention.kernel import Array, check_beta
from scaling.attention.sphere import Flow
from scaling.command import InputError


START = 3.0  # the search for the ordered density starts at e^(START t)


def from_angles(theta: Array) -> Array:
    """Points (..., n, 2) on the unit circle at angles (..., n)."""
    return np.stack([np.cos(theta), np.sin(theta)], -1)


def angles(x: Array) -> Array:
    """Angles in (-pi, pi] of points (..., n, 2)."""
    return np.arctan2(x[..., 1], x[..., 0])


def growth_rate(k: NDArray[np.integer] | int, beta: float, flow: Flow = "USA") -> Array:
    """Predicted growth rate of mode k: k^2 I_k(beta) / beta for USA, k^2 I_k(beta) / (beta I_0(beta)) for SA."""
    k = np.asarray(k)
    scaled = k**2 * ive(k, beta) / beta
    return scaled / ive(0, beta) if flow == "SA" else scaled * np.exp(beta)


def fastest_mode(beta: float, largest: int = 100) -> int:
    """The mode with the largest growth rate, about sqrt(2 beta); the same for SA and USA."""
    k = np.arange(1, largest)
    return int(k[np.argmax(growth_rate(k, beta, "SA"))])


def mode_amplitudes(theta: Array, modes: NDArray[np.integer]) -> Array:
    """|mean_j e^{i k theta_j}| for each mode k; shape (..., modes)."""
    return np.abs(np.exp(1j * theta[..., None] * modes).mean(-2))


def count_clusters(theta: Array, gap: float = 0.05) -> int:
    """Number of groups of angles (n,) separated by gaps larger than `gap` (rad); at least 1."""
    ordered = np.sort(np.mod(theta, 2 * np.pi))
    gaps = np.diff(np.append(ordered, ordered[0] + 2 * np.pi))
    return max(int(np.sum(gaps > gap)), 1)


def renyi_centres(x: Array, delta: float, strong: bool = False) -> list[int]:
    """Tokens farther than delta from every earlier centre; with `strong`, from every earlier token. x is (n, d)."""
    if not delta > 0:
        raise InputError(f"delta = {delta}: the distance between Renyi centres must be positive")
    chosen: list[int] = []
    for i in range(len(x)):
        before = x[:i] if strong else x[chosen]
        if not len(before) or np.min(np.linalg.norm(before - x[i], axis=1)) > delta:
            chosen.append(i)
    return chosen


def parking_constant() -> float:
    """Renyi's parking constant 0.74759...: the share of a long street covered by randomly parked cars of length 1."""

    def exponent(x: float) -> float:
        return quad(lambda y: -math.expm1(-y) / y if y > 0 else 1.0, 0, x)[0]

    return float(quad(lambda x: math.exp(-2 * exponent(x)), 0, np.inf)[0])


def expected_renyi_centres(delta: float) -> float:
    """Parking constant times 2 pi over the angle of a chord delta: expected centres of many tokens on the circle."""
    return parking_constant() * 2 * math.pi / (2 * math.asin(min(delta / 2, 1.0)))


def three_cluster_stiffness(beta: float) -> float:
    """-1/2 - 3 beta / 4: three clusters at 120 degrees are stable under USA if this is positive, beta < -2/3.

    It is f'(2 pi / 3) e^{beta / 2} for the pair force f(theta) = e^{beta cos theta} sin theta. arXiv 2507.22857 proves
    synchronisation for beta >= -0.16 and its failure below -2/3.
    """
    return -0.5 - 0.75 * beta


def noisy_threshold(d: int) -> float:
    """beta_* with I_{d/2+1}(beta_*) / I_{d/2}(beta_*) = 1/d: above it noisy USA orders discontinuously.

    Source: arXiv 2606.05140 (abstract). Raises InputError for d < 2.
    """
    if d < 2:
        raise InputError(f"d = {d}: the sphere needs at least two dimensions")
    return float(brentq(lambda beta: ive(d / 2 + 1, beta) / ive(d / 2, beta) - 1 / d, 1e-6, 10.0 * d))


def linear_threshold(d: int, beta: float) -> float:
    """K_# = beta^{d/2} / (2^{d/2} Gamma(d/2) I_{d/2}(beta)): coupling at which the uniform density loses stability."""
    check_beta(beta, least=1e-12)
    scaled = math.exp(d / 2 * math.log(beta / 2) - math.lgamma(d / 2) - beta)
    return scaled / float(ive(d / 2, beta))


def ordered_energy(d: int, beta: float, coupling: float, points: int = 48, iterations: int = 20_000) -> float:
    """Free energy F[rho] - F[uniform] of the ordered density, a function of t = <x, e>; 0 if there is none.

    F[rho] = int rho log rho - (K / beta) iint e^{beta x.y} rho rho, minimized by
    rho <- e^{(2 K / beta) e^{beta x.y} * rho}
    from a density concentrated around e. If negative, the uniform density is not the global minimum. Gauss-Gegenbauer
    nodes in t; the kernel averaged over rotations about e is e^{beta t s} 0F1(; (d-1)/2; beta^2 (1-t^2)(1-s^2)/4).
    """
    t, weight = roots_chebyt(points) if d == 2 else roots_gegenbauer(points, (d - 2) / 2)
    weight = weight / weight.sum()
    radius = beta**2 * np.outer(1 - t**2, 1 - t**2) / 4
    K = np.exp(beta * np.outer(t, t)) * hyp0f1((d - 1) / 2, radius)
    rho = np.exp(START * (t - 1))
    rho /= weight @ rho
    for _ in range(iterations):
        before = rho
        score = 2 * coupling / beta * (K @ (weight * rho))
        rho = np.exp(score - score.max())
        rho /= weight @ rho
        if np.abs(rho - before).max() < 1e-12:
            break
    mass = weight * rho
    free = mass @ np.log(np.maximum(rho, 1e-300)) - coupling / beta * (mass @ K @ mass - weight @ K @ weight)
    return min(float(free), 0.0)
