"""Correlated features: a Gaussian copula on activity, with the frequencies p_i exactly as they are without it.

The features of one block (block_size successive ranks) share a normal z: u_i = 1 where
sqrt(rho) z + sqrt(1 - rho) e_i > Phi^-1(1 - p_i), with z and each e_i standard normal. So P(u_i = 1) = p_i for any rho.
Given z, feature i is active with probability p_i(z) = Phi((sqrt(rho) z - Phi^-1(1 - p_i)) / sqrt(1 - rho)).
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from scaling.command import InputError
from scaling.toy.features import Batch, hazards


LOWEST, HIGHEST, BINS = -6.0, 8.0, 112  # bins of z; beyond the ends it counts into the outer bins
SURE = 40.0  # hazard of a feature that is active with a probability of 1 in float64


class Copula(NamedTuple):
    """What the sampler needs: thresholds Phi^-1(1 - p_i), (n,); sqrt(rho); sqrt(1 - rho); features per block.

    bound (BINS, n) is the largest hazard -log(1 - p_i(z)) in each bin of z, summed within the block up to feature i.
    """

    threshold: NDArray[np.float64]
    shared: float
    own: float
    block_size: int
    bound: NDArray[np.float64]
    mean: float


def copula(p: NDArray[np.float64], rho: float, block_size: int) -> Copula:
    """Tables of the sampler for frequencies p (n,). Raises InputError unless 0 <= rho < 1 and block_size >= 1."""
    if not 0 <= rho < 1:
        raise InputError(f"correlation = {rho}: must be at least 0 and below 1")
    if block_size < 1:
        raise InputError(f"block_size = {block_size}: must be at least 1 feature")
    threshold, shared, own = norm.isf(p), math.sqrt(rho), math.sqrt(1 - rho)
    top = np.append(np.linspace(LOWEST, HIGHEST, BINS + 1)[1:-1], np.inf)  # z of the largest probability in a bin
    with np.errstate(invalid="ignore"):
        largest = norm.sf((threshold - shared * top[:, None]) / own) if rho > 0 else np.tile(p, (BINS, 1))
    hazard = np.minimum(hazards(np.where(p > 0, largest, 0.0)), SURE)
    bound = np.concatenate(
        [np.cumsum(hazard[:, start : start + block_size], axis=1) for start in range(0, len(p), block_size)], axis=1
    )
    return Copula(threshold, shared, own, block_size, bound, float(p.sum()))


@numba.njit(cache=True)
def draw_correlated(rng, copula, batch_size, sample, feature, value):
    """Fill the arrays with one batch, block by block, and return its number of active entries (at most their length).

    Events of a Poisson process whose rate is the bound on the hazard are kept with probability hazard/bound; a feature
    with an event is active. So the draws are exact, from two random numbers per sample and block and some per event.
    """
    n, k = copula.threshold.shape[0], 0
    for start in range(0, n, copula.block_size):
        stop = min(start + copula.block_size, n)
        for s in range(batch_size):
            z = rng.standard_normal()
            bin_of_z = int((min(max(z, LOWEST), HIGHEST - 1e-9) - LOWEST) / (HIGHEST - LOWEST) * BINS)
            bound = copula.bound[bin_of_z]
            position = rng.standard_exponential()
            i = start
            while i < stop:
                while i < stop and bound[i] < position:
                    i += 1
                if i == stop:
                    break
                below = bound[i - 1] if i > start else 0.0
                tail = math.erfc((copula.threshold[i] - copula.shared * z) / copula.own / math.sqrt(2.0)) / 2
                hazard = -math.log1p(-tail) if tail < 1.0 else SURE
                if rng.random() * (bound[i] - below) < hazard:
                    if k == sample.shape[0]:
                        return k
                    sample[k] = s
                    feature[k] = i
                    value[k] = 2 * rng.random()
                    k += 1
                    position = bound[i]
                position += rng.standard_exponential()
    return k


def draw_correlated_batch(rng: np.random.Generator, copula: Copula, batch_size: int) -> Batch:
    """One batch of fresh samples with correlated activity, as active entries in the order of features."""
    length = room(copula, batch_size)
    sample, feature = np.empty(length, np.int32), np.empty(length, np.int32)
    value = np.empty(length, np.float32)
    k = draw_correlated(rng, copula, batch_size, sample, feature, value)
    order = np.argsort(feature[:k], kind="stable")
    return Batch(sample[order], feature[order], value[order], batch_size)


def room(copula: Copula, batch_size: int) -> int:
    """Entries to allocate for a batch: the mean, and twenty standard deviations of fully correlated blocks."""
    n, mean = len(copula.threshold), batch_size * copula.mean
    spread = 20 * math.sqrt(mean * copula.block_size)
    return int(min(batch_size * n, mean + spread + 64 * copula.block_size))


def activity_correlation(p_first: float, p_second: float, rho: float) -> float:
    """Correlation of the activities u_i and u_j of two features of one block, by the bivariate normal integral."""
    limits = norm.ppf([p_first, p_second])
    both = float(multivariate_normal(cov=[[1, rho], [rho, 1]]).cdf(limits))
    return (both - p_first * p_second) / math.sqrt(p_first * (1 - p_first) * p_second * (1 - p_second))


def draw_mixed_batch(
    rng: np.random.Generator, p: NDArray[np.float64], rho: float, block_size: int, batch_size: int
) -> Batch:
    """A batch from another public attempt at correlation, which changes the frequencies; for comparison only.

    u_i = 1 where rho U + (1 - rho) U_i < p_i, with U shared by a block and all uniform on (0, 1). For
    p_i <= min(rho, 1 - rho) that happens with probability p_i^2 / (2 rho (1 - rho)) instead of p_i.
    """
    samples, found, values = [], [], []
    for start in range(0, len(p), block_size):
        block = p[start : start + block_size]
        shared = rho * rng.random(batch_size)
        near = np.flatnonzero(shared < block.max())  # no other sample has an active feature of this block
        mixed = shared[near, None] + (1 - rho) * rng.random((len(near), len(block)))
        row, column = np.nonzero(mixed < block)
        samples.append(near[row])
        found.append(start + column)
        values.append(2 * rng.random(len(row)))
    sample, feature, value = (np.concatenate(parts) for parts in (samples, found, values))
    order = np.argsort(feature, kind="stable")
    return Batch(
        sample[order].astype(np.int32), feature[order].astype(np.int32), value[order].astype(np.float32), batch_size
    )
