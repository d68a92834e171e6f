"""Tokens as particles on the unit sphere: flows, a batched stepper, energy, and the equiangular solution.

    SA   dx_i/dt = P_{x_i} sum_j softmax_j(beta <x_i, x_j>) x_j
    USA  dx_i/dt = P_{x_i} (1/n) sum_j e^{beta <x_i, x_j>} x_j
    E_beta = 1 / (2 beta n^2) sum_ij e^{beta <x_i, x_j>}

Both flows ascend E_beta: dE/dt = (1/n^2) sum_i Z_i |dx_i/dt|^2 with Z_i = sum_j e^{beta <x_i, x_j>} for SA and Z_i = n
for USA. sign = -1 descends it. Source: Geshkovski, Letrouit, Polyanskiy, Rigollet, arXiv 2312.10794.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad, solve_ivp

from scaling.attention import kernel
from scaling.attention.kernel import Array
from scaling.command import InputError


Flow = Literal["SA", "USA"]
CLUSTERED = 0.999  # tokens with a larger inner product count as one cluster


def check_tokens(n: int, d: int) -> None:
    """Raise InputError for fewer than two tokens, fewer than two dimensions, or arrays beyond 2^31 entries."""
    if n < 2 or d < 2 or n * max(n, d) > 2**31:
        raise InputError(f"n = {n} tokens in d = {d} dimensions: both must be at least 2, and n max(n, d) at most 2^31")


def uniform(n: int, d: int, rng: np.random.Generator, batch: int | None = None) -> Array:
    """Independent uniform tokens (n, d) on the unit sphere, or (batch, n, d)."""
    check_tokens(n, d)
    return kernel.unit(rng.normal(size=(n, d) if batch is None else (batch, n, d)))


def equiangular(n: int, d: int, g: float) -> Array:
    """n <= d unit vectors (n, d) whose inner products are all g, -1/(n - 1) < g < 1; raises InputError otherwise."""
    check_tokens(n, d)
    if n > d or not -1 / (n - 1) < g < 1:
        raise InputError(f"no {n} vectors with inner products {g} in {d} dimensions: n <= d and -1/(n - 1) < g < 1")
    root = np.linalg.cholesky((1 - g) * np.eye(n) + g)
    return np.hstack([root, np.zeros((n, d - n))])


def pull(x: Array, beta: float | Array, flow: Flow = "SA", causal: bool = False) -> Array:
    """sum_j A_ij x_j before it is projected; beta is a number or an array that broadcasts against (..., n, n).

    With `causal`, token i sees tokens j <= i, and USA still divides by n. Exponents are taken of beta (<x_i, x_j> - 1)
    for SA, which cannot overflow for beta >= 0.
    """
    weight = np.exp(beta * (x @ np.swapaxes(x, -1, -2) - (flow == "SA")))
    if causal:
        weight = np.tril(weight)
    weight /= weight.sum(-1, keepdims=True) if flow == "SA" else x.shape[-2]
    return weight @ x


def velocity(x: Array, beta: float | Array, flow: Flow = "SA", causal: bool = False, sign: float = 1.0) -> Array:
    """dx_i/dt on the sphere, shape of x."""
    return sign * kernel.tangent(x, pull(x, beta, flow, causal))


def euler_step(
    x: Array, beta: float | Array, dt: float | Array, flow: Flow = "SA", causal: bool = False, sign: float = 1.0
) -> Array:
    """normalise(x + dt sum_j A_ij x_j): the authors' step; (..., n, d) batched. sign = -1 repels."""
    x = x + (sign * dt) * pull(x, beta, flow, causal)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def runge_kutta_step(
    x: Array, beta: float | Array, dt: float | Array, flow: Flow = "SA", causal: bool = False
) -> Array:
    """One classical fourth-order step along the sphere; (..., n, d) batched."""

    def rate(y: Array) -> Array:
        return velocity(y / np.linalg.norm(y, axis=-1, keepdims=True), beta, flow, causal)

    a = rate(x)
    b = rate(x + dt / 2 * a)
    c = rate(x + dt / 2 * b)
    x = x + dt / 6 * (a + 2 * b + 2 * c + rate(x + dt * c))
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def solve(x: Array, beta: float, times: Array, flow: Flow = "SA", causal: bool = False, sign: float = 1.0) -> Array:
    """The flow from x (n, d) at `times` by SciPy's DOP853, relative error 1e-9 per step; shape (times, n, d)."""
    n, d = x.shape
    kernel.check_beta(beta, least=-np.inf)

    def rate(_: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        tokens = y.reshape(n, d)
        tokens = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
        return velocity(tokens, beta, flow, causal, sign).ravel()

    found = solve_ivp(rate, (0, times[-1]), x.ravel(), t_eval=times, rtol=1e-9, atol=1e-11, method="DOP853")
    return kernel.unit(found.y.T.reshape(-1, n, d))


def energy(x: Array, beta: float) -> NDArray[np.float64]:
    """E_beta = mean over all n^2 pairs of e^{beta <x_i, x_j>}, divided by 2 beta; one number per leading index."""
    return np.exp(beta * (x @ np.swapaxes(x, -1, -2))).mean((-1, -2)) / (2 * beta)


def energy_rate(x: Array, beta: float, flow: Flow = "SA") -> float:
    """dE_beta/dt along the flow from x (n, d): n^-2 sum_i Z_i |dx_i/dt|^2, with Z_i = n for USA."""
    n = len(x)
    squares = np.sum(velocity(x, beta, flow) ** 2, -1)
    mass = np.exp(beta * (x @ x.T)).sum(1) if flow == "SA" else n
    return float(np.sum(mass * squares) / n**2)


def equiangular_rate(g: float, n: int, beta: float, flow: Flow = "SA") -> float:
    """dg/dt for tokens whose inner products are all g.

    2 (1 - g) ((n - 1) g + 1) / (e^{beta (1 - g)} + n - 1) for SA; the same numerator times e^{beta g} / n for USA.
    Source: arXiv 2312.10794, section 6, and the authors' code.
    """
    attraction = 2 * (1 - g) * ((n - 1) * g + 1)
    return attraction / (np.exp(beta * (1 - g)) + n - 1) if flow == "SA" else attraction * np.exp(beta * g) / n


def equiangular_time(n: int, beta: float, end: float = CLUSTERED, start: float = 0.0, flow: Flow = "SA") -> float:
    """Time at which g reaches `end` from `start` > -1/(n - 1): the integral of 1 / (dg/dt)."""
    return float(quad(lambda g: 1 / equiangular_rate(g, n, beta, flow), start, end, limit=200)[0])


def equiangular_euler_time(n: int, beta: float, dt: float, end: float = CLUSTERED, longest: float = 1e4) -> float:
    """Time at which g reaches `end` from 0 under `euler_step` of SA with step dt; NaN beyond `longest`."""
    g, steps = 0.0, 0
    while g < end:
        if steps * dt > longest:
            return float("nan")
        other = np.exp(beta * (g - 1)) / (1 + (n - 1) * np.exp(beta * (g - 1)))
        own = 1 + dt * (1 - (n - 1) * other)
        other *= dt
        square = own**2 + 2 * own * other * (n - 1) * g + other**2 * ((n - 1) + (n - 1) * (n - 2) * g)
        product = own**2 * g + 2 * own * other * (1 + (n - 2) * g)
        product += other**2 * ((n - 2) + g * ((n - 1) ** 2 - (n - 2)))
        g, steps = float(product / square), steps + 1
    return steps * dt


def gram_step(G: Array, beta: float, dt: float) -> Array:
    """`euler_step` of SA in terms of inner products: G (..., n, n) -> normalised M G M^T, M = I + dt A.

    The dynamics depend on the tokens only through G, so a step costs n^3 whatever d is.
    """
    A = np.exp(beta * (G - 1))
    M = dt * A / A.sum(-1, keepdims=True)
    M[..., range(G.shape[-1]), range(G.shape[-1])] += 1
    moved = M @ G @ np.swapaxes(M, -1, -2)
    root = np.sqrt(np.diagonal(moved, axis1=-2, axis2=-1))
    return moved / (root[..., :, None] * root[..., None, :])


def clustered_share(G: Array) -> NDArray[np.float64]:
    """Share of pairs i < j with <x_i, x_j> > 0.999; one number per leading index of G (..., n, n)."""
    n = G.shape[-1]
    return (np.sum(G > CLUSTERED, (-1, -2)) - n) / (n * (n - 1))
