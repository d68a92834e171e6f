"""Measure time and coverage of the fits: `python -m benchmarks.fits --points svg_extracted_data.csv [--starts 4500]`.

1. The Chinchilla law on 240 points: one fit, 4000 bootstrap refits, and the grid of L-BFGS starts on the same points
   and objective (Besiroglu et al. 2024), with the share of its starts that reach the optimum.
2. Coverage of nominal 95 % intervals over 200 synthetic sets per fit: the toy line, the language-model fit, the
   Chinchilla law.

One thread, one process. On a busy machine, compare CPU times, not wall times.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, special, stats
from threadpoolctl import threadpool_limits

from scaling.fits import chinchilla, curve, errors, forms, llm, points, power_sum
from scaling.fits.group import cluster_stderr, group_fit
from scaling.fits.inputs import FloatArray


PUBLISHED = Path(__file__).resolve().parents[1] / "resources" / "published" / "fig8b_llm_loss.csv"
SETS = 200
BAND = (0.91, 0.985)
# alpha, beta, log E, log A, log B: the grid of starts of Besiroglu et al.
GRID = list(
    product(
        np.arange(0, 2.5, 0.5),
        np.arange(0, 2.5, 0.5),
        np.arange(-1, 1.5, 0.5),
        np.arange(0, 30, 5),
        np.arange(0, 30, 5),
    )
)


def seconds(work: Callable[[], object], repeats: int = 1) -> FloatArray:
    """Return wall and CPU time of one call of `work`, medians over repeats; shape (2,)."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return np.asarray(np.median(times, axis=0))


def grid_of_starts(frame: pd.DataFrame, starts: int, delta: float = 1e-3) -> tuple[FloatArray, FloatArray]:
    """Return wall and CPU seconds per start, and objectives, of L-BFGS-B (numerical gradients) from the grid."""
    log_N, log_D, log_L = (np.log(frame[name].to_numpy()) for name in ("parameters", "tokens", "loss"))

    def objective(theta: FloatArray) -> float:
        alpha, beta, e, a, b = theta
        terms = np.stack([a - alpha * log_N, b - beta * log_D, np.full(log_L.size, e)])
        return float(special.huber(delta, special.logsumexp(terms, axis=0) - log_L).sum())

    chosen = np.random.default_rng(0).permutation(len(GRID))[:starts]
    found: list[float] = []
    took = seconds(
        lambda: found.extend(float(optimize.minimize(objective, GRID[i], method="L-BFGS-B").fun) for i in chosen)
    )
    return took / len(chosen), np.array(found)


def speed(frame: pd.DataFrame, starts: int) -> None:
    """Print the time measurements."""
    x, loss = [frame["parameters"], frame["tokens"]], frame["loss"]
    law = power_sum.fit(x, loss)
    one = seconds(lambda: power_sum.fit(x, loss), repeats=21)
    single = seconds(lambda: power_sum.fit(x, loss, n_starts=1), repeats=21)
    refits = seconds(lambda: errors.bootstrap(law, 4000, np.random.default_rng(0)))
    each, objectives = grid_of_starts(frame, starts)
    rows = {
        "one fit, 3 starts": one,
        "one fit, 1 start": single,
        "4000 bootstrap refits": refits,
        f"grid of {len(GRID)} L-BFGS starts ({starts} run)": each * len(GRID),
    }
    print("\n| Chinchilla law, Huber 1e-3, 240 points | wall time, s | CPU time, s |\n| --- | --- | --- |")
    for name, times in rows.items():
        print(f"| {name} | {times[0]:.4g} | {times[1]:.4g} |")
    print(f"| ratio of the grid to one fit | {len(GRID) * each[0] / one[0]:.0f} | {len(GRID) * each[1] / one[1]:.0f} |")
    within = np.mean(objectives < 1.01 * law.objective)
    print(f"\nobjective {law.objective:.12f}; best of the grid {objectives.min():.12f}; ", end="")
    print(f"{100 * within:.0f} % of its starts end within 1 % of the optimum")


def toy_line(random: np.random.Generator) -> Iterator[tuple[str, list[bool]]]:
    """The line, the form's test and the profile with a constant, on 6 widths with 5 % noise."""
    m = np.array([10.0, 15, 25, 39, 63, 100])
    line, rejected, free = [], [], []
    for _ in range(SETS):
        fit = curve.line(m, 3 / m * np.exp(0.05 * random.standard_normal(6)))
        line.append(fit.exponent_low <= 1 <= fit.exponent_high)
        rejected.append(forms.decide(m, 3 / m * np.exp(0.02 * random.standard_normal(6))).form == "power_plus_constant")
        with_constant = forms.decide(m, (3 / m + 0.003) * np.exp(0.02 * random.standard_normal(6)))
        free.append(not (with_constant.exponent_low > 1 or with_constant.exponent_high < 1))
    yield "toy line, t-interval", line
    yield "toy curve with a constant, profile", free
    yield "no false constant (1 - size of the test)", [not wrong for wrong in rejected]


def language_models(random: np.random.Generator) -> Iterator[tuple[str, list[bool]]]:
    """The paper's design with independent residuals, and with residuals shared within a model."""
    frame = llm.published_losses(str(PUBLISHED))
    names, models = llm.group_names(frame), frame["model"]
    truth = group_fit(frame["m"], frame["loss"], names)
    expected, sigma = frame["loss"].to_numpy() - truth.residual, np.sqrt(truth.rss / truth.freedom)
    number = np.unique(models, return_inverse=True)[1]
    independent, shared, by_model = [], [], []
    for _ in range(SETS):
        fit = group_fit(frame["m"], expected + sigma * random.standard_normal(108), names)
        independent.append(fit.exponent_low <= truth.exponent <= fit.exponent_high)
        common = random.standard_normal(number.max() + 1)[number]
        noise = np.sqrt(0.7) * common + np.sqrt(0.3) * random.standard_normal(108)
        fit = group_fit(frame["m"], expected + sigma * noise, names)
        shared.append(fit.exponent_low <= truth.exponent <= fit.exponent_high)
        half = stats.t.ppf(0.975, number.max()) * cluster_stderr(fit, models)
        by_model.append(bool(abs(fit.exponent - truth.exponent) <= half))
    yield "language models, profile, independent residuals", independent
    yield "the same where a model shares 0.7 of its residual: too narrow", shared
    yield "residuals shared within a model, errors by model", by_model


def chinchilla_law(frame: pd.DataFrame, random: np.random.Generator) -> Iterator[tuple[str, list[bool]]]:
    """The published design with 0.6 % noise: bootstrap of 40 refits, and covariance of least squares."""
    x = [frame["parameters"], frame["tokens"]]
    truth = power_sum.fit(x, frame["loss"])
    huber, squares = [], []
    for _ in range(SETS):
        loss = truth.predict(x) * np.exp(0.006 * random.standard_normal(len(frame)))
        law = power_sum.fit(x, loss, n_starts=1)
        spread = errors.bootstrap(law, 40, random).std(axis=0, ddof=1)[3:]
        huber.append(np.abs(law.exponents - truth.exponents) < stats.t.ppf(0.975, 235) * spread)
        law = power_sum.fit(x, loss, "least_squares", n_starts=1)
        spread = np.sqrt(np.diag(errors.covariance(law))[3:])
        squares.append(np.abs(law.exponents - truth.exponents) < stats.t.ppf(0.975, 235) * spread)
    for k, name in enumerate(("alpha", "beta")):
        yield f"Chinchilla {name}, Huber, pairs bootstrap", [bool(row[k]) for row in huber]
        yield f"Chinchilla {name}, least squares, covariance", [bool(row[k]) for row in squares]


def main() -> None:
    """Command line: print both parts as Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits", description=__doc__)
    parser.add_argument("--points", default=points.URL, help="URL or path of svg_extracted_data.csv")
    parser.add_argument("--starts", type=int, default=len(GRID), help="starts of the L-BFGS grid to run")
    options = parser.parse_args()
    data = points.obtain(options.points)
    with threadpool_limits(1):
        parts = [toy_line(np.random.default_rng(1)), language_models(np.random.default_rng(2))]
        if data is not None:
            whole = points.parse(data)
            frame = whole[chinchilla.kept(whole["loss"].to_numpy(), 5)]
            speed(frame, options.starts)
            parts.append(chinchilla_law(frame, np.random.default_rng(3)))
        print(f"\n| coverage of 95 % over {SETS} sets | share | in {BAND[0]} .. {BAND[1]} |\n| --- | --- | --- |")
        for part in parts:
            for name, covered in part:
                share = float(np.mean(covered))
                print(f"| {name} | {share:.3f} | {'yes' if BAND[0] <= share <= BAND[1] else 'no'} |")


if __name__ == "__main__":
    main()
