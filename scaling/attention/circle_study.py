"""Measure tokens on the circle: growth of modes, metastable clusters with and without a causal mask, thresholds.

python -m scaling.attention.circle_study --seeds 10 --tables results/tables
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from scaling import tables
from scaling.attention import circle, sphere
from scaling.attention.sphere import Flow
from scaling.command import InputError, run


MODE_BETAS = (2.0, 5.0, 9.0, 16.0, 32.0)
MODE_TOKENS = 128
UNMASKED = 4.0  # at this beta or less, delta = 4 beta^(-1/2) spans the circle; there is no causal run
TOKENS = 200  # of arXiv 2411.04990, Fig. 2, which has beta = 64 and delta = 4 beta^(-1/2)
STEP, EARLY, FREE_TIME, CAUSAL_TIME = 0.1, 30.0, 100.0, 150.0
NEAR = 0.1  # rad from a Renyi centre
SYNCHRONISATION_BETAS = (-1.0, -0.75, -0.7, -0.68, -0.65, -0.6, -0.5, -0.16, 0.0, 4.0)
BELOW = 1e-6  # relative distance of the coupling below K_#; the threshold shifts by about its square root


def mode_rows(beta: float, flow: Flow) -> Iterator[dict[str, Any]]:
    """Growth rates of the modes next to the fastest one, from tokens on a grid with noise 1e-4, fourth-order steps."""
    top = circle.fastest_mode(beta)
    modes = np.unique(np.clip([top - 1, top, top + 1], 1, None))
    grid = 2 * np.pi * np.arange(MODE_TOKENS) / MODE_TOKENS
    theta = grid + 1e-4 * np.random.default_rng(0).normal(size=MODE_TOKENS)
    dt = 0.05 / float(circle.growth_rate(top, beta, flow))
    x, seen = circle.from_angles(theta), []
    for _ in range(81):
        seen.append(circle.mode_amplitudes(circle.angles(x), modes))
        x = sphere.runge_kutta_step(x, beta, dt, flow)
    logs = np.log(np.array(seen))
    rates = (logs[80] - logs[40]) / (40 * dt)
    for k, rate in zip(modes, rates, strict=True):
        predicted = float(circle.growth_rate(int(k), beta, flow))
        yield {
            "flow": flow,
            "beta": beta,
            "mode": int(k),
            "fastest": bool(k == top),
            "rate": float(rate),
            "rate_predicted": predicted,
        }


def metastable_rows(beta: float, causal: bool, seeds: int) -> Iterator[dict[str, Any]]:
    """Clusters of SA from uniform tokens, one row per seed; Renyi centres with delta = 4 beta^(-1/2) if causal."""
    theta = np.array([np.random.default_rng(seed).uniform(0, 2 * np.pi, TOKENS) for seed in range(seeds)])
    start = circle.from_angles(theta)
    longest, x = (CAUSAL_TIME if causal else FREE_TIME), start
    early = None
    for step in range(1, round(longest / STEP) + 1):
        x = sphere.euler_step(x, beta, STEP, causal=causal)
        if step == round(EARLY / STEP):
            early = circle.angles(x)
    assert early is not None
    delta = 4 / np.sqrt(beta)
    for seed in range(seeds):
        end = circle.angles(x[seed])
        row = {
            "causal": causal,
            "beta": beta,
            "seed": seed,
            "time": longest,
            "n_clusters_early": circle.count_clusters(early[seed]),
            "n_clusters": circle.count_clusters(end),
        }
        if causal:
            centres = circle.renyi_centres(start[seed], delta)
            strong = circle.renyi_centres(start[seed], delta, strong=True)
            distance = np.abs(np.angle(np.exp(1j * (end[:, None] - end[centres]))))
            moved = np.abs(np.angle(np.exp(1j * (end - theta[seed]))))
            row |= {
                "n_renyi": len(centres),
                "n_renyi_expected": circle.expected_renyi_centres(delta),
                "n_renyi_strong": len(strong),
                "share_near_renyi": float(np.mean(distance.min(1) < NEAR)),
                "strong_moved": float(moved[strong].max()),
            }
        yield row


def synchronisation_table(steps: int = 20_000, dt: float = 0.5) -> pd.DataFrame:
    """Clusters that remain of three at 120 degrees under USA, for beta on both sides of -2/3; n = 15, noise 0.05."""
    noise = 0.05 * np.random.default_rng(0).normal(size=15)
    theta = 2 * np.pi * (np.arange(15) % 3) / 3 + noise
    betas = np.array(SYNCHRONISATION_BETAS)
    x = np.repeat(circle.from_angles(theta)[None], len(betas), 0)
    step = dt * np.exp(-np.abs(betas))[:, None, None]  # the largest weight is e^|beta|
    for _ in range(steps):
        x = sphere.euler_step(x, betas[:, None, None], step, "USA")
    found = [circle.count_clusters(theta) for theta in circle.angles(x)]
    stiffness = [circle.three_cluster_stiffness(beta) for beta in betas]
    return pd.DataFrame({"beta": betas, "n_clusters": found, "stiffness": stiffness})


def noise_row(d: int) -> dict[str, Any]:
    """The threshold beta_* of noisy USA as a root, and as the smallest beta with a lower minimum of the free energy.

    The coupling is just below K_#, where the uniform density is still stable; a lower minimum then implies a jump.
    """
    root = circle.noisy_threshold(d)

    def jumps(beta: float) -> bool:
        return circle.ordered_energy(d, beta, (1 - BELOW) * circle.linear_threshold(d, beta)) < -1e-13

    low, high = 0.5 * root, 2 * root
    if jumps(low) or not jumps(high):
        return {"d": d, "beta_root": root}
    while high - low > 0.002 * root:
        middle = (low + high) / 2
        low, high = (low, middle) if jumps(middle) else (middle, high)
    return {"d": d, "beta_root": root, "beta_measured": (low + high) / 2, "beta_resolution": (high - low) / 2}


def main() -> None:
    """Command line: measure and write four tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="starts per beta of the metastable clusters")
    parser.add_argument("--betas", nargs="+", type=float, default=[4, 16, 64, 256], help="inverse temperatures")
    parser.add_argument("--noise-dimensions", nargs="*", type=int, default=[2, 3, 8], help="d of the noisy model")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        raise InputError(f"seeds = {arguments.seeds}: a standard error needs at least 2")
    if not all(0 < beta < math.inf for beta in arguments.betas):
        raise InputError(f"betas {arguments.betas}: every inverse temperature must be positive and finite")
    noise_columns = list(tables.dictionary()["attention_noise"]["columns"])
    columns = list(tables.dictionary()["attention_metastable"]["columns"])
    with threadpool_limits(1):
        metastable = [
            row
            for causal in (False, True)
            for beta in arguments.betas
            if not causal or beta > UNMASKED
            for row in metastable_rows(beta, causal, arguments.seeds)
        ]
        found = {
            "attention_modes": pd.DataFrame(
                [row for flow in ("SA", "USA") for beta in MODE_BETAS for row in mode_rows(beta, flow)]
            ),
            "attention_metastable": pd.DataFrame(metastable).reindex(columns=columns),
            "attention_synchronisation": synchronisation_table(),
            "attention_noise": pd.DataFrame([noise_row(d) for d in arguments.noise_dimensions], columns=noise_columns),
        }
    for name, table in found.items():
        tables.write(name, table, arguments.tables / f"{name}.csv")


if __name__ == "__main__":
    run(main)
