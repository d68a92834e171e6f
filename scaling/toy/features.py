"""Features of the toy model: frequencies p_i, and sparse samples x_i = u_i v_i, u_i ~ Bernoulli(p_i), v_i ~ U(0, 2).

A batch is kept as its active entries alone, since on average just E of n features are active in a sample.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from scaling.command import InputError
from scaling.frequency_laws import FREQUENCY_LAWS


def frequencies(frequency_law: str, n: int, alpha: float | None, activation_density: float) -> NDArray[np.float64]:
    """Feature frequencies p, scaled so that sum p_i = E (the activation density); shape (n,), falling with i.

    The laws are those of `scaling.frequency_laws` (paper, section 3). alpha is the data exponent of the power law.
    Raises InputError for an unknown law, n < 1, numbers that are not finite, E <= 0, and when a p_i exceeds 1.
    """
    if n < 1:
        raise InputError(f"n = {n}: the number of features must be at least 1")
    if not (math.isfinite(activation_density) and activation_density > 0):
        raise InputError(f"activation density E = {activation_density}: must be finite and above 0")
    i = np.arange(1.0, n + 1)
    if frequency_law not in FREQUENCY_LAWS:
        raise InputError(f"frequency law {frequency_law!r}: must be one of {', '.join(FREQUENCY_LAWS)}")
    law = FREQUENCY_LAWS[frequency_law]
    if law.has_alpha and (alpha is None or not math.isfinite(alpha)):
        raise InputError(f"alpha = {alpha}: the {frequency_law.replace('_', ' ')} needs a finite data exponent")
    with np.errstate(over="ignore"):  # named below
        weight = law.weight(i, n, math.nan if alpha is None else alpha)
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not (math.isfinite(total) and total > 0):
        raise InputError(f"frequency law {frequency_law}, n = {n}, alpha = {alpha}: the frequencies have no finite sum")
    with np.errstate(over="ignore"):
        p = activation_density * weight / total
    top = int(np.argmax(p))
    if p[top] > 1:
        if p[top] > 1 + 1e-9:
            raise InputError(
                f"feature {top + 1} would be active with probability {p[top]:.6g} > 1; "
                f"the largest activation density E here is {total / weight[top]:.6g}, got {activation_density:.6g}"
            )
        p = np.minimum(p, 1.0)  # E = 1/p_1 was asked for, and rounding put p_1 beyond 1
    return p


class Batch(NamedTuple):
    """Active entries of a batch in the order of features: x[sample[t], feature[t]] = value[t]."""

    sample: NDArray[np.int32]
    feature: NDArray[np.int32]
    value: NDArray[np.float32]
    batch_size: int


def room(p: NDArray[np.float64], batch_size: int) -> int:
    """Entries to allocate for a batch: the mean, ten standard deviations and a little more, at most all."""
    mean = batch_size * p.sum()
    return int(min(batch_size * len(p), mean + 10 * math.sqrt(mean) + 64))


def hazards(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """-log(1 - p_i), shape (n,); p_i = 1 counts as the number below 1, which no float64 draw can tell from 1."""
    return -np.log1p(-np.minimum(p, np.nextafter(1, 0)))


@numba.njit(cache=True)
def draw(rng, hazard, batch_size, sample, feature, value):
    """Fill the arrays with one batch and return its number of active entries (at most their length).

    The gaps between the active samples of feature i are geometric, floor(Exp(1) / hazard_i): exact Bernoulli draws
    from about E random numbers per sample, whatever n.
    """
    k = 0
    for i in range(hazard.shape[0]):
        if hazard[i] == 0.0:
            continue
        s = -1
        while True:
            gap = rng.standard_exponential() / hazard[i]
            if gap >= batch_size - 1 - s:
                break
            s += 1 + int(gap)
            if k == sample.shape[0]:
                return k
            sample[k] = s
            feature[k] = i
            value[k] = 2 * rng.random()
            k += 1
    return k


def draw_batch(rng: np.random.Generator, p: NDArray[np.float64], batch_size: int) -> Batch:
    """One batch of fresh samples, as active entries."""
    length = room(p, batch_size)
    sample, feature = np.empty(length, np.int32), np.empty(length, np.int32)
    value = np.empty(length, np.float32)
    k = draw(rng, hazards(p), batch_size, sample, feature, value)
    return Batch(sample[:k], feature[:k], value[:k], batch_size)


def dense(batch: Batch, n: int) -> NDArray[np.float32]:
    """The batch as a dense matrix x, shape (batch_size, n)."""
    x = np.zeros((batch.batch_size, n), np.float32)
    x[batch.sample, batch.feature] = batch.value
    return x
