"""Packing as repulsive attention: pair energies of unit rows, their flow on the sphere, and their minima.

    E = sum over ordered pairs of f(<w_i, w_j>)
    exp: f(g) = e^{beta (g - 1)} / beta    cosh: f(g) = cosh(beta g) / (beta cosh beta)    frame: f(g) = g^2 / 2

Attention ascends exp (the USA energy); rows of W under superposition descend such an energy. exp is not even in g: it
spreads points. cosh, its even part, spreads lines; the frame potential is the leading even term.
"""

from typing import Literal

import numpy as np
from scipy.optimize import minimize

from scaling.attention import kernel
from scaling.attention.kernel import Array
from scaling.command import InputError


Energy = Literal["exp", "frame", "cosh"]
ENERGIES: tuple[Energy, ...] = ("exp", "frame", "cosh")


def check(nu: int, m: int, beta: float) -> None:
    """Raise InputError for fewer than two rows, no dimension, or a beta that is not positive and finite."""
    if nu < 2 or m < 1:
        raise InputError(f"nu = {nu} rows in m = {m} dimensions: at least two rows and one dimension")
    if not (beta > 0 and np.isfinite(beta)):
        raise InputError(f"beta = {beta}: an energy needs a positive, finite beta")


def pair_energy(g: Array, energy: Energy, beta: float = 1.0) -> tuple[Array, Array]:
    """f(g) and f'(g) of a matrix of inner products in [-1, 1]; scaled so that exp and cosh do not overflow."""
    if energy == "exp":
        value = np.exp(beta * (g - 1))
        return value / beta, value
    if energy == "cosh":
        up, down = np.exp(beta * (np.abs(g) - 1)), np.exp(-beta * (np.abs(g) + 1))
        scale = 1 + np.exp(-2 * beta)
        return (up + down) / (scale * beta), np.sign(g) * (up - down) / scale
    if energy == "frame":
        return g**2 / 2, g
    raise InputError(f"energy {energy!r} is not one of {', '.join(ENERGIES)}")


def force(w: Array, energy: Energy, beta: float) -> Array:
    """-P_w sum_j f'(<w_i, w_j>) w_j for unit rows w (nu, m): the direction in which the energy falls fastest."""
    return -kernel.tangent(w, pair_energy(w @ w.T, energy, beta)[1] @ w)


def flow(w: Array, energy: Energy, beta: float, times: Array, dt: float = 0.05) -> list[Array]:
    """Rows at each of `times` under dw_i/dt = force_i, by Euler steps dt with normalisation."""
    check(len(w), w.shape[1], beta)
    path, t = [], 0.0
    for end in times:
        while t < end - dt / 2:
            w = kernel.unit(w + dt * force(w, energy, beta))
            t += dt
        path.append(w)
    return path


def random_rows(nu: int, m: int, rng: np.random.Generator) -> Array:
    """nu independent uniform unit rows in m dimensions, float64."""
    check(nu, m, 1.0)
    return kernel.unit(rng.normal(size=(nu, m)))


def minimum(
    nu: int, m: int, energy: Energy, beta: float, rng: np.random.Generator, starts: int = 1, iterations: int = 300
) -> Array:
    """Unit rows (nu, m) of least energy among L-BFGS minima from `starts` random sets; raises InputError as `check`."""
    check(nu, m, beta)

    def objective(z: Array) -> tuple[float, Array]:
        rows = z.reshape(nu, m)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        w = rows / norms
        value, slope = pair_energy(w @ w.T, energy, beta)
        return float(value.sum()), (2 * kernel.tangent(w, slope @ w) / norms).ravel()

    best, least = None, np.inf
    for _ in range(starts):
        found = minimize(
            objective, random_rows(nu, m, rng).ravel(), jac=True, method="L-BFGS-B",
            options={"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 30},
        )  # fmt: skip
        if found.fun < least:
            best, least = found.x, found.fun
    assert best is not None
    return kernel.unit(best.reshape(nu, m))
