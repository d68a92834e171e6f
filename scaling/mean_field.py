r"""Mean-field theory of strong superposition with even frequencies: the loss without silent features, for any n and m.

All rows have one squared norm g, all outputs one bias b, and overlaps are independent and Gaussian with the Welch mean
square kappa^2 = (n - m)/(m (n - 1)). An output then sees its own feature and Gaussian noise from the others,

    z_i = g (x_i + sqrt(kappa^2 S) xi) + b,   xi ~ N(0, 1),   S = sum over the other active features of x_j^2,
    L = min over g, b of  E E_{v, S, xi} (ReLU(z) - v)^2 + (n - E) E_{S, xi} ReLU(z_off)^2,

with E active features in the mean (Poisson), v ~ U(0, 2), z with x_i = v and z_off with x_i = 0. There is no parameter
to fit. L is 4/3 E while no threshold pays, falls fast where one begins to pay, and as m >> log n the best threshold,
-b/g ~ sqrt(kappa^2 log n), gives a shrink part of order b^2 ~ log(n)/m; interference is of order E^2/m. So for n -> inf
at m << n the exponent is 1 up to logarithms, and larger at finite n, where kappa^2 falls to 0 as m -> n.

    python -m scaling.mean_field --n 1000 1000000 --m 10 100 1000 --output mean_field.csv
"""

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from scaling import geometry, tables
from scaling.command import InputError, run


FloatArray = NDArray[np.float64]

DRAWS = 4096  # quasi-random points of (v, S)
MOST_ACTIVE = 16  # other active features of a sample, beyond E = 1 never reached at this many points
STARTS = ((1.05, -0.1), (1.4, -0.7), (1.8, -1.8), (2.5, -3.0))  # (g, b)


@dataclass(frozen=True)
class MeanField:
    """The loss, its parts as in scaling.toy.evaluation, and the g and b that minimise it."""

    shrink: float
    interference: float
    false: float
    g: float
    b: float

    @property
    def loss(self) -> float:
        """L, the sum of the parts."""
        return self.shrink + self.interference + self.false


def rectified_moments(mean: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return E ReLU(z) and E ReLU(z)^2 for z ~ N(mean, spread^2); spread may be 0."""
    ratio = mean / np.maximum(spread, 1e-12)
    below, density = special.ndtr(ratio), np.exp(-np.minimum(ratio**2, 1400) / 2) / np.sqrt(2 * np.pi)
    return mean * below + spread * density, (mean**2 + spread**2) * below + mean * spread * density


def sample_space(activation_density: float) -> tuple[FloatArray, FloatArray]:
    """Return v ~ U(0, 2) and S = sum of x_j^2 over Poisson(E) others, at DRAWS points of a Sobol sequence."""
    points = stats.qmc.Sobol(MOST_ACTIVE + 2, seed=0).random(DRAWS)
    count = stats.poisson.ppf(points[:, 1], activation_density)
    others = np.square(2 * points[:, 2:]) * (np.arange(MOST_ACTIVE) < count[:, None])
    return 2 * points[:, 0], others.sum(axis=1)


def mean_field(n: int, m: int, activation_density: float = 1.0) -> MeanField:
    """Return the mean-field loss of n equally frequent features in m dimensions, 1 <= m <= n. Raises InputError."""
    if not 1 <= m <= n or n < 2:
        raise InputError(f"n = {n}, m = {m}: needs 2 <= n and 1 <= m <= n")
    if not 0 < activation_density <= min(n, MOST_ACTIVE / 2):
        raise InputError(
            f"activation density E = {activation_density}: must be above 0 and at most {MOST_ACTIVE / 2:g}"
        )
    v, S = sample_space(activation_density)
    noise = np.sqrt(geometry.welch_bound(n, m) * S)

    def parts(g: float, b: float) -> tuple[float, float, float]:
        first, second = rectified_moments(g * v + b, g * noise)
        active = float(np.mean(second - 2 * v * first + v**2))
        alone = float(np.mean((np.maximum(g * v + b, 0) - v) ** 2))
        _, fired = rectified_moments(np.full_like(v, b), g * noise)
        E = activation_density
        return E * alone, E * (active - alone), (n - E) * float(np.mean(fired))

    found = min(
        (
            optimize.minimize(
                lambda x: sum(parts(abs(x[0]), x[1])), start, method="Nelder-Mead",
                options={"xatol": 1e-5, "fatol": 1e-9, "maxiter": 2000},
            )
            for start in STARTS
        ),
        key=lambda result: float(result.fun),
    )  # fmt: skip
    g, b = abs(float(found.x[0])), float(found.x[1])
    return MeanField(*parts(g, b), g, b)


def main() -> None:
    """Command line: one row per n and m, with m <= n."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", required=True, help="numbers of features")
    parser.add_argument("--m", type=int, nargs="+", required=True, help="model dimensions")
    parser.add_argument("--activation-density", type=float, default=1.0, help="E, mean number of active features")
    parser.add_argument("--output", required=True, help="table mean_field to write")
    options = parser.parse_args()
    if all(width > n for n in options.n for width in options.m):
        raise InputError(f"m = {min(options.m)}: every m is larger than every n; give a width m <= n")
    rows = []
    for n in options.n:
        for m in sorted(width for width in options.m if width <= n):
            found = mean_field(n, m, options.activation_density)
            rows.append(
                {
                    "n": n,
                    "m": m,
                    "activation_density": options.activation_density,
                    "loss": found.loss,
                    "loss_shrink": found.shrink,
                    "loss_interference": found.interference,
                    "loss_false": found.false,
                    "squared_norm": found.g,
                    "bias": found.b,
                }
            )
    tables.write("mean_field", pd.DataFrame(rows), options.output)


if __name__ == "__main__":
    run(main)
