"""Attention matrices and Markov generators: which row-stochastic matrices S are the exponential of a generator.

A generator G has off-diagonal entries >= 0 and rows that sum to 0. Then e^G is row-stochastic, det e^G = e^{tr G} > 0.
S - I is a generator for every row-stochastic S, and on the unit sphere P_x (S x) = P_x ((S - I) x): self-attention is
the projection of the Markov generator S - I. S is embeddable if its principal logarithm is a generator (Elfving's
problem). Logarithms are computed with mpmath, since double precision cannot give their signs at low temperature.
"""

import math
from typing import Literal

import mpmath
import numpy as np
from scipy.linalg import expm, expm_frechet
from scipy.optimize import minimize

from scaling.attention import kernel
from scaling.attention.kernel import Array
from scaling.command import InputError


Kind = Literal["symmetric", "causal", "random"]
REAL = 1e-12  # smaller relative imaginary parts are rounding errors
NEGATIVE = 1e-6  # a real eigenvalue below minus this is also negative in double precision


def attention_matrix(x: Array, beta: float, kind: Kind, rng: np.random.Generator | None = None) -> Array:
    """Row-stochastic S (n, n) of tokens x (n, d): Q = K, the same with a causal mask, or a random key-query matrix.

    `random` needs `rng`; its scores are beta x_i^T M x_j with N(0, 1) entries of M, so their spread is beta.
    """
    if kind == "random":
        if rng is None:
            raise InputError("a random key-query matrix needs a random number generator")
        return kernel.attention_weights(x, x @ rng.normal(size=(x.shape[1], x.shape[1])), beta=beta)
    bias = kernel.causal_bias(len(x)) if kind == "causal" else None
    return kernel.attention_weights(x, x, beta=beta, bias=bias)


def is_generator(G: Array, tolerance: float = 1e-12) -> bool:
    """Whether off-diagonal entries are >= 0 and rows sum to 0, up to `tolerance`."""
    off = G[~np.eye(len(G), dtype=bool)]
    return bool(off.min() >= -tolerance and np.abs(G.sum(1)).max() <= tolerance * len(G))


def digits_for(beta: float) -> int:
    """Decimal digits that determine the signs of a logarithm at inverse temperature beta: 60 + 2.5 beta."""
    return 60 + math.ceil(2.5 * beta)


def least_rate_symmetric(x: Array, beta: float) -> float:
    """Least entry i != j of log S relative to S_ij, for Q = K: negative if S is not embeddable.

    S = D^-1 K with K = e^{beta (<x_i, x_j> - 1)} positive definite, so its spectrum is in (0, 1] and
    log S = D^-1/2 U log(lambda) U^T D^1/2 is the only real logarithm that is a function of S.
    """
    n = len(x)
    with mpmath.workdps(digits_for(beta)):
        gram = [[mpmath.fdot(map(mpmath.mpf, a), map(mpmath.mpf, b)) for b in x.tolist()] for a in x.tolist()]
        K = mpmath.matrix([[mpmath.exp(beta * (g - 1)) for g in row] for row in gram])
        root = [mpmath.sqrt(mpmath.fsum(K[i, j] for j in range(n))) for i in range(n)]
        values, U = mpmath.eigsy(mpmath.matrix([[K[i, j] / root[i] / root[j] for j in range(n)] for i in range(n)]))
        if min(values) < mpmath.mpf(10) ** (10 - mpmath.mp.dps):
            raise InputError("two tokens are equal, so S is singular and has no logarithm; use distinct tokens")
        logs = [mpmath.log(value) for value in values]
        least = mpmath.inf
        for i in range(n):
            for j in range(n):
                if i != j:
                    entry = mpmath.fsum(U[i, k] * logs[k] * U[j, k] for k in range(n)) * root[j] / root[i]
                    least = min(least, entry * root[i] ** 2 / K[i, j])
        return float(least)


def least_rate_triangular(S: Array) -> float:
    """Least entry below the diagonal of log S relative to S_ij, for lower triangular S with different diagonal entries.

    Parlett's recurrence in 60 digits; the diagonal of a causal S is positive, so the logarithm is real.
    """
    n = len(S)
    with mpmath.workdps(60):
        T = mpmath.matrix(S.tolist())
        for i in range(n):  # normalize the rows to all digits
            T[i, i] = 1 - mpmath.fsum(T[i, j] for j in range(i))
        L = mpmath.diag([mpmath.log(T[i, i]) for i in range(n)])
        least = mpmath.inf
        for gap in range(1, n):
            for i in range(gap, n):
                j = i - gap
                rest = mpmath.fsum(L[i, k] * T[k, j] - T[i, k] * L[k, j] for k in range(j + 1, i))
                L[i, j] = (T[i, j] * (L[i, i] - L[j, j]) + rest) / (T[i, i] - T[j, j])
                least = min(least, L[i, j] / T[i, j])
        return float(least)


def least_rate(S: Array) -> float:
    """Least entry i != j of the principal logarithm of S; NaN if an eigenvalue <= 0 makes it complex."""
    n, rough = len(S), np.linalg.eigvals(S)
    if np.any((np.abs(rough.imag) < REAL) & (rough.real < -NEGATIVE)):
        return math.nan
    with mpmath.workdps(60):
        values, U = mpmath.eig(mpmath.matrix(S.tolist()))
        if any(abs(mpmath.im(v)) <= REAL * abs(v) and mpmath.re(v) <= 0 for v in values):
            return math.nan
        L = U * mpmath.diag([mpmath.log(v) for v in values]) * mpmath.inverse(U)
        return float(min(mpmath.re(L[i, j]) for i in range(n) for j in range(n) if i != j))


def largest_excess(x: Array) -> float:
    """Largest d_ij^2 - d_ik^2 - d_kj^2 over triangles of the points x (n, d): positive if one has an obtuse angle.

    At low temperature log S_ij / S_ij = 1 - (1/2) sum_k e^{beta excess_ijk / 2} + ..., so S = softmax(beta <x_i, x_j>)
    is embeddable if every excess is negative and not if one is positive (conjecture, leading order only).
    """
    squared = -2 * kernel.minus_half_squared_distance(x, x)
    n, largest = len(x), -np.inf
    for k in range(n):
        others = np.delete(np.arange(n), k)
        excess = (squared - squared[:, [k]] - squared[[k], :])[np.ix_(others, others)]
        largest = max(largest, float(excess[~np.eye(n - 1, dtype=bool)].max()))
    return largest


def nearest_generator(S: Array, iterations: int = 300) -> tuple[Array, float]:
    """Generator G that minimizes |S - e^G|_F by L-BFGS-B from S - I, and the distance |S - e^G|_F."""
    n = len(S)
    off = ~np.eye(n, dtype=bool)

    def generator(rates: Array) -> Array:
        G = np.zeros((n, n))
        G[off] = rates
        return G - np.diag(G.sum(1))

    def objective(rates: Array) -> tuple[float, Array]:
        G = generator(rates)
        difference = expm(G) - S
        slope = expm_frechet(G.T, 2 * difference, compute_expm=False)  # adjoint of the derivative of expm at G
        return float(np.sum(difference**2)), (slope - np.diag(slope)[:, None])[off]

    start = np.maximum(S[off], 1e-6)
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start),
        options={"maxiter": iterations, "ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    return generator(found.x), math.sqrt(found.fun)
