"""Fit a constant and a sum of power laws, L = E + sum_k A_k x_k^-a_k, to log L.

K = 2 with parameters and tokens is the Chinchilla law, K = 3 with width, depth and tokens the joint law. Starting
values come from variable projection: a grid over the exponents, with E and A_k solved for in each cell. The objective
of the estimator is then minimized by Newton steps (scipy, trust-exact), or by a sequence of linear programs for least
absolute deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from scaling.fits import inputs
from scaling.fits.inputs import FloatArray


Estimator = Literal["huber", "least_squares", "least_absolute"]
GRID = {1: 60, 2: 24, 3: 14}  # cells per exponent, by K; fewer than 3000 cells in total
EXPONENTS = (0.05, 1.5)  # range of the grid; the minimization may leave it
LIMITS = (0.005, 5.0)  # a term with an exponent outside does not count as a power law
POLISH = 3  # plain Newton steps at the end of a search
ROUNDING = 1e-13  # smaller residuals of log L are treated as zero: their gradient is noise
LOG_ZERO = -30.0  # log of E over the typical loss that represents E = 0
VANISHED = 1e-5  # a term whose share of the loss is smaller everywhere counts as absent


@dataclass(frozen=True)
class Problem:
    """Points of the law in centred logarithms: z_k = log x_k - mean, which decorrelates amplitudes and exponents.

    theta = (log A_k at the mean of log x_k, ..., log E, a_1, ..., a_K). `weights` count repeated points.
    """

    z: FloatArray  # (K, n)
    centre: FloatArray  # (K,)
    log_loss: FloatArray  # (n,)
    weights: FloatArray  # (n,)
    delta: float  # corner of Huber's loss; infinity is least squares

    @property
    def terms(self) -> int:
        return len(self.z)

    def shares(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the log of the prediction, (n,), and the share of each term in it, (K + 1, n), the constant last."""
        K = self.terms
        logs = np.empty((K + 1, self.log_loss.size))
        logs[:K] = theta[:K, None] - theta[K + 1 :, None] * self.z
        logs[K] = theta[K]
        top = logs.max(axis=0)
        parts = np.exp(logs - top)
        total = parts.sum(axis=0)
        return top + np.log(total), parts / total

    def jacobian(self, shares: FloatArray) -> FloatArray:
        """Return d log prediction / d theta, shape (2K + 1, n)."""
        return np.concatenate([shares, -self.z * shares[:-1]])

    def objective(self, theta: FloatArray) -> float:
        """Return the sum of Huber's loss of r = log prediction - log L: r^2/2 inside delta, delta (|r| - delta/2)."""
        residual = np.abs(self.shares(theta)[0] - self.log_loss)
        if np.isinf(self.delta):
            return float(self.weights @ residual**2 / 2)
        bent = self.delta * (residual - self.delta / 2)
        return float(self.weights @ np.where(residual <= self.delta, residual**2 / 2, bent))

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Return the gradient of the objective, shape (2K + 1,)."""
        prediction, shares = self.shares(theta)
        pull = np.clip(prediction - self.log_loss, -self.delta, self.delta)
        return self.jacobian(shares) @ (self.weights * pull)

    def hessian(self, theta: FloatArray) -> FloatArray:
        """Return the Hessian, from d^2 log sum = sum_k share_k g_k g_k^T - J J^T with g_k = (1, -z_k)."""
        K = self.terms
        prediction, shares = self.shares(theta)
        residual = prediction - self.log_loss
        J = self.jacobian(shares)
        pull = self.weights * np.clip(residual, -self.delta, self.delta)
        H = (J * (self.weights * (np.abs(residual) <= self.delta) - pull)) @ J.T
        bend = shares * pull
        H[np.arange(K + 1), np.arange(K + 1)] += bend.sum(axis=1)
        for k in range(K):
            a = K + 1 + k
            H[k, a] -= bend[k] @ self.z[k]
            H[a, k] = H[k, a]
            H[a, a] += bend[k] @ self.z[k] ** 2
        return H

    def natural(self, theta: FloatArray) -> FloatArray:
        """Convert theta to (A_1 .. A_K, E, a_1 .. a_K)."""
        K = self.terms
        exponents = theta[K + 1 :]
        log_amplitudes = np.minimum(theta[:K] + exponents * self.centre, 700)  # avoid overflow in diverging resamples
        return np.concatenate([np.exp(log_amplitudes), [np.exp(theta[K])], exponents])


@dataclass(frozen=True)
class PowerSum:
    """The fitted law: amplitudes A_k, constant E, exponents a_k, and diagnostics of the fit."""

    amplitudes: FloatArray
    constant: float
    exponents: FloatArray
    estimator: Estimator
    objective: float  # by estimator: Huber's sum, half the sum of squares, or the sum of |r|; r in log L
    n_points: int
    n_starts: int
    n_starts_agreeing: int  # starts that end within a relative 1e-6 of the best objective
    status: str
    note: str
    problem: Problem
    theta: FloatArray

    def predict(self, x: Sequence[ArrayLike]) -> FloatArray:
        """Return E + sum_k A_k x_k^-a_k at the columns x_1 .. x_K."""
        powers = (A * np.asarray(column) ** -a for A, column, a in zip(self.amplitudes, x, self.exponents, strict=True))
        return np.asarray(self.constant + sum(powers))

    @property
    def parameters(self) -> FloatArray:
        """(A_1 .. A_K, E, a_1 .. a_K)."""
        return np.concatenate([self.amplitudes, [self.constant], self.exponents])


def grid_starts(problem: Problem, count: int) -> list[FloatArray]:
    """Return `count` starts from a grid of exponents: local minima of the projected squares, then distant cells.

    In each cell, E and A_k at the centre minimize sum (prediction / L - 1)^2. Cells with a negative solution are
    skipped; if all have one, non-negative least squares is used. Distant cells, spread over the ranking, test whether
    the result depends on the start.
    """
    K = problem.terms
    weight = np.sqrt(problem.weights) * np.exp(-problem.log_loss)
    target = np.sqrt(problem.weights)
    axis = np.linspace(*EXPONENTS, GRID.get(K, 8))
    size = (len(axis),) * K
    index = np.indices(size).reshape(K, -1)
    exponents = axis[index.T]
    powers = np.exp(-axis[:, None, None] * problem.z) * weight
    columns = np.stack([powers[index[k], k] for k in range(K)] + [np.tile(weight, (index.shape[1], 1))], axis=1)
    gram, right = columns @ columns.swapaxes(1, 2), columns @ target
    gram += 1e-12 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(K + 1)
    solution = np.linalg.solve(gram, right[..., None])[..., 0]
    rss = target @ target - np.sum(solution * right, axis=1)
    rss[(solution <= 0).any(axis=1)] = np.inf
    if not np.isfinite(rss).any():
        for cell, basis in enumerate(columns):
            solution[cell], norm = optimize.nnls(basis.T, target)
            rss[cell] = norm**2
    rss = rss.reshape(size)
    padded = np.pad(rss, 1, constant_values=np.inf)
    lowest = np.ones(size, dtype=bool)
    for corner in product((0, 1, 2), repeat=K):
        lowest &= rss <= padded[tuple(slice(first, first + len(axis)) for first in corner)]
    ranked = np.argsort(rss.ravel(), kind="stable")[: int(np.isfinite(rss).sum())]
    minima = [cell for cell in ranked if lowest.flat[cell]]
    far = [ranked[len(ranked) * part // (count + 1)] for part in range(1, count + 1)]
    cells = [*minima, *far][:count]
    floor = 1e-6 * np.exp(problem.log_loss.mean())
    return [np.concatenate([np.log(np.maximum(solution[cell], floor)), exponents[cell]]) for cell in cells]


def newton(problem: Problem, start: FloatArray, fixed: int | None = None) -> tuple[FloatArray, float, bool]:
    """Minimize Huber's loss (or least squares) from `start`; returns theta, objective, whether the gradient vanished.

    `fixed` is the index of a component of theta to keep fixed, for profiles. The objective is divided by the square of
    its scale, so that the tolerance has the same meaning for every delta.
    """
    free = np.arange(start.size) != (-1 if fixed is None else fixed)
    typical = np.sqrt(2 * problem.objective(start) / problem.weights.sum())
    scale = max(min(problem.delta, float(typical)), 1e-12) ** 2

    def whole(part: FloatArray) -> FloatArray:
        theta = start.copy()
        theta[free] = part
        return theta

    def gradient(part: FloatArray) -> FloatArray:
        return problem.gradient(whole(part))[free] / scale

    def hessian(part: FloatArray) -> FloatArray:
        return problem.hessian(whole(part))[np.ix_(free, free)] / scale

    result = optimize.minimize(
        lambda part: problem.objective(whole(part)) / scale,
        start[free],
        jac=gradient,
        hess=hessian,
        method="trust-exact",
        options={"gtol": 1e-6, "maxiter": 300},
    )
    part, slope = result.x, np.abs(result.jac).max()
    # Near the optimum, scipy stops because the decrease of the objective is below rounding; the gradient is accurate.
    for _ in range(POLISH):
        curvature = hessian(part)
        least, *_, largest = np.linalg.eigvalsh(curvature)
        if least <= ROUNDING * largest:
            break
        step = part - np.linalg.solve(curvature, gradient(part))
        if not np.abs(gradient(step)).max() < slope:
            break
        part, slope = step, np.abs(gradient(step)).max()
    objective = problem.objective(whole(part))
    exact = objective <= problem.weights.sum() * ROUNDING**2
    return whole(part), objective, exact or bool(slope <= 1e-6 * max(result.fun, 1))


def newton_or_bound(problem: Problem, start: FloatArray) -> tuple[FloatArray, float, bool]:
    """Run `newton`; if it does not converge, also run it with E at its bound 0, and return the better result.

    Towards E = 0 the objective is flat in log E, so an optimum at the bound is never reached from the interior.
    """
    inside = newton(problem, start)
    if inside[2]:
        return inside
    edge = inside[0].copy()
    edge[problem.terms] = problem.log_loss.mean() + LOG_ZERO
    at_bound = newton(problem, edge, fixed=problem.terms)
    return min(inside, at_bound, key=lambda end: end[1])


def least_absolute(problem: Problem, start: FloatArray, steps: int = 60) -> tuple[FloatArray, float, bool]:
    """Minimize sum |r| from `start` by linear programs in the linearized residual within a trust region (HiGHS)."""
    theta, n = start, problem.log_loss.size
    prediction, shares = problem.shares(theta)
    best, radius = float(problem.weights @ np.abs(prediction - problem.log_loss)), 0.05
    cost = np.concatenate([np.zeros(theta.size), problem.weights])
    slack = -np.eye(n)
    for _ in range(steps):
        residual, J = prediction - problem.log_loss, problem.jacobian(shares).T
        program = optimize.linprog(
            cost,
            A_ub=np.block([[J, slack], [-J, slack]]),
            b_ub=np.concatenate([-residual, residual]),
            bounds=[(-radius, radius)] * theta.size + [(0, None)] * n,
            method="highs",
        )
        if program.status != 0:
            return theta, best, False
        step = program.x[: theta.size]
        prediction_new, shares_new = problem.shares(theta + step)
        value = float(problem.weights @ np.abs(prediction_new - problem.log_loss))
        if value < best:
            gain, theta, best, prediction, shares = best - value, theta + step, value, prediction_new, shares_new
            if gain < 1e-12:
                return theta, best, True
        else:
            radius /= 4
            if radius < 1e-9:
                return theta, best, True
    return theta, best, False


def judge(problem: Problem, theta: FloatArray, converged: bool, constant_may_vanish: bool = False) -> tuple[str, str]:
    """Return the status of a fit, and the reason if it is not `converged`.

    With `constant_may_vanish`, E at its bound 0 is a valid result, and the other parameters are judged without it.
    """
    shares = problem.shares(theta)[1]
    exponents = theta[problem.terms + 1 :]
    gone = np.flatnonzero(shares.max(axis=1) < VANISHED)
    free = np.ones(theta.size, dtype=bool)
    if constant_may_vanish and problem.terms in gone:
        gone = gone[gone != problem.terms]
        free[problem.terms] = False
    if gone.size:
        names = ["the constant" if k == problem.terms else f"term {k + 1}" for k in gone]
        return inputs.BOUND_HIT, f"{' and '.join(names)} went to zero: the law has one term too many for these points"
    if np.linalg.cond(problem.jacobian(shares)[free] * np.sqrt(problem.weights)) > 1e8:
        return inputs.NOT_IDENTIFIED, "the points do not determine all parameters"
    if ((exponents < LIMITS[0]) | (exponents > LIMITS[1])).any():
        return inputs.BOUND_HIT, f"an exponent left {LIMITS[0]} .. {LIMITS[1]}"
    if not converged:
        return inputs.NOT_CONVERGED, "the gradient did not reach zero"
    return inputs.CONVERGED, ""


def fit(
    x: Sequence[ArrayLike],
    loss: ArrayLike,
    estimator: Estimator = "huber",
    delta: float = 1e-3,
    weights: ArrayLike | None = None,
    n_starts: int = 3,
    constant_may_vanish: bool = False,
) -> PowerSum:
    """Fit L = E + sum_k A_k x_k^-a_k to log L; x holds K columns of n entries, `weights` count repeated points.

    `huber` minimizes the sum (not the mean) of Huber's loss with corner `delta`, `least_squares` the squares and
    `least_absolute` the absolute values of log prediction - log L. Raises InputError for entries that are not
    finite and positive; too few points, or points that do not determine the law, are reported as a status. With
    `constant_may_vanish`, E at its bound 0 counts as converged.
    Source: Hoffmann et al. 2022, approach 3; Besiroglu et al. 2024.
    """
    names = {f"x{k + 1}": column for k, column in enumerate(x)}
    *columns, losses = inputs.positive(**names, loss=loss)
    logs, counts = np.log(columns), np.ones(losses.size) if weights is None else np.asarray(weights, dtype=np.float64)
    size = 2 * len(logs) + 1
    centre = logs.mean(axis=1) if losses.size else np.zeros(len(logs))
    problem = Problem(
        z=logs - centre[:, None],
        centre=centre,
        log_loss=np.log(losses),
        weights=counts,
        delta=np.inf if estimator == "least_squares" else delta,
    )
    note, status = "", inputs.CONVERGED
    if losses.size <= size:
        status, note = inputs.TOO_FEW, f"{size} parameters need more than {size} points, got {losses.size}"
    elif (np.ptp(problem.z, axis=1) == 0).any():
        status, note = inputs.NOT_IDENTIFIED, "a column does not vary, so its power cannot be told from the constant"
    if note:
        empty = np.full(len(logs), np.nan)
        return PowerSum(
            empty, np.nan, empty, estimator, np.nan, losses.size, 0, 0, status, note, problem, np.full(size, np.nan)
        )
    search = newton_or_bound if constant_may_vanish else newton
    ends = [search(problem, start) for start in grid_starts(problem, n_starts)]
    theta, objective, converged = min(ends, key=lambda end: end[1])
    agreeing = sum(end[1] <= objective * (1 + 1e-6) + 1e-15 for end in ends)
    if estimator == "least_absolute":
        theta, objective, converged = least_absolute(problem, theta)
    values, K = problem.natural(theta), len(logs)
    status, note = judge(problem, theta, converged, constant_may_vanish)
    numbers = values[:K], float(values[K]), values[K + 1 :], estimator, objective, losses.size, len(ends), agreeing
    return PowerSum(*numbers, status, note, problem, theta)
