"""Errors of a fitted sum of power laws: covariance, bootstrap over points or clusters, and profile intervals."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats
from tqdm import tqdm

from scaling.fits.inputs import FloatArray
from scaling.fits.power_sum import LIMITS, PowerSum, Problem, newton


def covariance(law: PowerSum) -> FloatArray:
    """Return the covariance of (A_k, E, a_k), s^2 (J^T J)^-1 transformed by the delta method; (2K + 1, 2K + 1)."""
    problem = law.problem
    prediction, shares = problem.shares(law.theta)
    J = problem.jacobian(shares) * np.sqrt(problem.weights)
    s2 = problem.weights @ (prediction - problem.log_loss) ** 2 / (problem.weights.sum() - law.theta.size)
    K = problem.terms
    to_natural = np.diag(np.concatenate([law.amplitudes, [law.constant], np.ones(K)]))
    to_natural[np.arange(K), K + 1 + np.arange(K)] = law.amplitudes * problem.centre
    return np.asarray(to_natural @ np.linalg.inv(J @ J.T) @ to_natural.T * s2)


def bootstrap(
    law: PowerSum,
    n_resamples: int,
    random: np.random.Generator | np.random.RandomState,
    clusters: ArrayLike | None = None,
) -> FloatArray:
    """Refit to resampled points or resampled `clusters`; rows are (A_k, E, a_k), shape (n_resamples, 2K + 1).

    Refits start at the fit to all points and use the same estimator; least absolute deviations are not
    resampled (0.3 s per fit). `random` draws n indices per resample by `choice(n, n)`, as Besiroglu et al. do.
    Raises ValueError for a least-absolute law.
    """
    if law.estimator == "least_absolute":
        raise ValueError("least absolute deviations are not resampled; use Huber's loss")
    groups = np.arange(law.n_points) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    size = int(groups.max()) + 1
    rows = []
    for _ in tqdm(range(n_resamples), desc=f"{law.estimator} bootstrap", unit=" refits", disable=None):
        drawn = np.bincount(random.choice(size, size), minlength=size)
        weights = law.problem.weights * drawn[groups]
        some = weights > 0
        problem = law.problem
        resampled = Problem(problem.z[:, some], problem.centre, problem.log_loss[some], weights[some], problem.delta)
        rows.append(problem.natural(newton(resampled, law.theta)[0]))
    return np.array(rows)


def profile_interval(law: PowerSum, k: int, level: float = 0.95) -> tuple[float, float]:
    """Return the profile interval of exponent a_k: {a : RSS(a) <= RSS_min (1 + F_{level; 1, n - p} / (n - p))}.

    All other parameters are refitted at each a. An end beyond LIMITS is not determined by the points
    and is NaN.
    """
    index = law.problem.terms + 1 + k
    freedom = law.n_points - law.theta.size
    threshold = law.objective * (1 + stats.f.ppf(level, 1, freedom) / freedom)
    return _profile_end(law, index, threshold, -1), _profile_end(law, index, threshold, 1)


def _profile_end(law: PowerSum, index: int, threshold: float, sign: int) -> float:
    """Take growing steps from the optimum until the profile exceeds `threshold`, then solve with brentq."""
    inside, within, step = law.theta, law.objective - threshold, 0.02

    def refit(exponent: float) -> tuple[FloatArray, float]:
        start = inside.copy()
        start[index] = exponent
        theta, objective, _ = newton(law.problem, start, fixed=index)
        return theta, objective - threshold

    def root(ends: dict[float, float]) -> float:
        # A refit at an end may differ by rounding, which decides the sign for an exact law.
        return float(optimize.brentq(lambda a: ends[a] if a in ends else refit(a)[1], *sorted(ends), xtol=1e-6))

    while LIMITS[0] < (outside := float(inside[index]) + sign * step) < LIMITS[1]:
        theta, excess = refit(outside)
        if excess > 0:
            return root({float(inside[index]): within, outside: excess})
        inside, within, step = theta, excess, 1.5 * step
    return np.nan


def profile(law: PowerSum, k: int, values: ArrayLike) -> FloatArray:
    """Return the minimal objective with exponent a_k fixed at each of `values`, all other parameters refitted."""
    return profile_path(law, k, values)[1]


def profile_path(law: PowerSum, k: int, values: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return theta (n_values, 2K + 1) and the objective (n_values,) with exponent a_k fixed at each of `values`."""
    index = law.problem.terms + 1 + k
    at = np.asarray(values, dtype=np.float64)
    thetas, objectives = np.empty((at.size, law.theta.size)), np.empty(at.size)
    for side in (np.flatnonzero(at >= law.theta[index]), np.flatnonzero(at < law.theta[index])[::-1]):
        theta = law.theta
        for i in side:
            start = theta.copy()
            start[index] = at[i]
            theta, objectives[i], _ = newton(law.problem, start, fixed=index)
            thetas[i] = theta
    return thetas, objectives
