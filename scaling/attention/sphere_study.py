"""Measure tokens on the sphere: exact solutions, the phase diagram in (beta, t), causal collapse, pictures.

python -m scaling.attention.sphere_study --dimensions 2 8 32 128 512 --betas 18 --draws 32 --tables results/tables
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp
from threadpoolctl import threadpool_limits

from scaling import tables
from scaling.attention import kernel, sphere
from scaling.attention.kernel import Array
from scaling.command import InputError, run


# The authors' phase diagram: n tokens, SA, Euler steps of 0.1 up to t = 30, pairs with an inner product above 0.999.
TOKENS, STEP, LONGEST, LARGEST_BETA = 32, 0.1, 30.0, 9.0
BLOCK = 128  # draws at a time
RECORDED_EVERY = 5  # steps between rows of the phase diagram
CHECKED_BETAS = (0.5, 1.0, 4.0, 9.0)
SHOWN_BETAS, SHOWN_TIMES, SHOWN_TOKENS = (1.0, 9.0, 36.0), (0.0, 2.0, 5.0, 15.0, 60.0), 150


def equiangular_error(beta: float, flow: sphere.Flow, n: int = TOKENS) -> float:
    """Largest |<x_i, x_j> - g(t)| over pairs and times for an equiangular start with g = 0.3 in d = n."""
    longest = LONGEST if flow == "SA" else min(LONGEST, LONGEST * n / np.exp(beta))
    times = np.linspace(0, longest, 31)
    found = sphere.solve(sphere.equiangular(n, n, 0.3), beta, times, flow)
    exact = solve_ivp(
        lambda _, g: sphere.equiangular_rate(g, n, beta, flow),
        (0, longest),
        [0.3],
        t_eval=times,
        rtol=1e-11,
        atol=1e-13,
    ).y[0]
    pairs = ~np.eye(n, dtype=bool)
    return float(max(np.abs((x @ x.T)[pairs] - g).max() for x, g in zip(found, exact, strict=True)))


def flow_row(beta: float, flow: sphere.Flow, n: int = 64, d: int = 3) -> dict[str, Any]:
    """One row of attention_flow_checks: the equiangular solution, and the energy along a flow from uniform tokens."""
    times = np.linspace(0, 20 if flow == "SA" else 20 * min(1, 8 * np.exp(-beta)), 201)
    path = sphere.solve(sphere.uniform(n, d, np.random.default_rng(0)), beta, times, flow)
    energies = sphere.energy(path, beta)
    errors, first_rate = [], sphere.energy_rate(path[0], beta, flow)
    for x in path[::4]:
        if sphere.energy_rate(x, beta, flow) < 1e-4 * first_rate:
            continue  # a numerical derivative of a constant
        v, h = sphere.velocity(x, beta, flow), 1e-5
        h /= max(float(np.abs(v).max()), 1.0)
        numeric = (sphere.energy(kernel.unit(x + h * v), beta) - sphere.energy(kernel.unit(x - h * v), beta)) / (2 * h)
        errors.append(abs(float(numeric) / sphere.energy_rate(x, beta, flow) - 1))
    return {
        "flow": flow,
        "beta": beta,
        "equiangular_error": equiangular_error(beta, flow),
        "least_energy_gain": float(np.diff(energies).min() / np.ptp(energies)),
        "energy_rate_error": float(np.max(errors)),
    }


def phase(d: int, beta: float, draws: int, rng: np.random.Generator) -> Array:
    """Share of clustered pairs at each step and draw under SA from uniform tokens; shape (steps + 1, draws)."""
    blocks = []
    for first in range(0, draws, BLOCK):
        x = sphere.uniform(TOKENS, d, rng, min(BLOCK, draws - first))
        G = x @ np.swapaxes(x, -1, -2)
        shares = [sphere.clustered_share(G)]
        for _ in range(round(LONGEST / STEP)):
            G = sphere.gram_step(G, beta, STEP)
            shares.append(sphere.clustered_share(G))
        blocks.append(np.array(shares))
    return np.concatenate(blocks, 1)


def half_time(share: Array) -> float:
    """Time at which the share of clustered pairs (steps + 1,) first reaches 1/2, interpolated; NaN if it never does."""
    reached = share >= 0.5
    if not reached.any():
        return float("nan")
    i = int(reached.argmax())
    return STEP * (i - (share[i] - 0.5) / (share[i] - share[i - 1]) if i else 0.0)


def phase_tables(dimensions: list[int], betas: Array, draws: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """attention_phase (d, beta, time) and attention_phase_times (d, beta) with both predictions.

    The error of the half time is the jackknife's over draws.
    """
    shares, times = [], []
    for d in dimensions:
        for i, beta in enumerate(map(float, betas)):
            by_draw = phase(d, beta, draws, np.random.default_rng([seed, d, i]))
            share = by_draw.mean(1)
            at = np.arange(0, len(share), RECORDED_EVERY)
            shares += [{"d": d, "beta": beta, "time": STEP * t, "share": share[t]} for t in at]
            others = [half_time((draws * share - one) / (draws - 1)) for one in by_draw.T]
            times.append(
                {
                    "d": d,
                    "beta": beta,
                    "n_draws": draws,
                    "time_half": half_time(share),
                    "time_half_stderr": np.sqrt((draws - 1) * np.var(others)),
                    "time_ode": sphere.equiangular_time(TOKENS, beta),
                    "time_euler": sphere.equiangular_euler_time(TOKENS, beta, STEP),
                }
            )
    return pd.DataFrame(shares), pd.DataFrame(times)


def collapse_rows(n: int = 16, longest: float = 200.0, dt: float = 0.05) -> Iterator[dict[str, Any]]:
    """Causal SA with V = I and any key-query matrix: all tokens end at the first (arXiv 2411.04990, Theorem 4.1)."""
    for d in (2, 3, 8):
        for random in (False, True):
            rng = np.random.default_rng([d, random])
            x = sphere.uniform(n, d, rng)
            first, M = x[0], rng.normal(size=(d, d)) / np.sqrt(d) if random else np.eye(d)
            for _ in range(round(longest / dt)):
                x = kernel.attend(
                    x, x @ M.T, x, bias=kernel.causal_bias(n), rho=1.0, eta=dt, retract=kernel.unit
                )  # fmt: skip
            yield {
                "d": d,
                "key_query": "random" if random else "identity",
                "n": n,
                "time": longest,
                "least_cosine": float(np.min(x @ first)),
                "first_moved": float(np.linalg.norm(x[0] - first)),
            }


def picture_rows() -> Iterator[dict[str, Any]]:
    """Positions of tokens in d = 3 under SA, for a strip of pictures: one row per beta, time and token."""
    start = sphere.uniform(SHOWN_TOKENS, 3, np.random.default_rng(1))
    for beta in SHOWN_BETAS:
        for time, x in zip(SHOWN_TIMES, sphere.solve(start, beta, np.array(SHOWN_TIMES)), strict=True):
            for token, (a, b, c) in enumerate(x):
                yield {"beta": beta, "time": time, "token": token, "x": a, "y": b, "z": c}


def main() -> None:
    """Command line: measure and write five tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimensions", nargs="+", type=int, default=[2, 8, 32, 128, 512], help="dimensions d")
    parser.add_argument("--betas", type=int, default=18, help="values of beta, equally spaced up to 9")
    parser.add_argument("--draws", type=int, default=32, help="starts per (d, beta) of the phase diagram")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starts")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write")
    arguments = parser.parse_args()
    if arguments.draws < 2 or arguments.betas < 1:
        raise InputError(f"draws = {arguments.draws}, betas = {arguments.betas}: at least 2 draws and one beta")
    betas = LARGEST_BETA / arguments.betas * np.arange(1, arguments.betas + 1)
    with threadpool_limits(1):
        share, times = phase_tables(arguments.dimensions, betas, arguments.draws, arguments.seed)
        found = {
            "attention_phase": share,
            "attention_phase_times": times,
            "attention_flow_checks": pd.DataFrame(
                [flow_row(beta, flow) for flow in ("SA", "USA") for beta in CHECKED_BETAS]
            ),
            "attention_causal_collapse": pd.DataFrame(collapse_rows()),
            "attention_tokens": pd.DataFrame(picture_rows()),
        }
    for name, table in found.items():
        tables.write(name, table, arguments.tables / f"{name}.csv")


if __name__ == "__main__":
    run(main)
