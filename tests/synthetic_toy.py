"""Made-up tables of a toy study, plausible and seeded, for tests that read tables and train nothing."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scaling import geometry, tables, theory
from scaling.toy.features import frequencies


def filled(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """`rows` as table `name`: columns that a row does not give are empty where they may be, else the least allowed."""
    columns = tables.dictionary()[name]["columns"]
    neutral = {"str": "-", "int": 0, "float": 0.0, "bool": False}
    frame = pd.DataFrame(rows)
    for column, entry in columns.items():
        if column not in frame:
            value = entry.get("minimum", entry.get("values", [neutral[entry["type"]]])[0])
            frame[column] = None if entry.get("nullable") else value
    return frame[list(columns)]


def cell(
    law: str, n: int, m: int, gamma: float, alpha: float | None, E: float, factor: float, seed: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    """One model's row and its features: strong superposition for gamma < 0, weak for gamma > 0."""
    rng = np.random.default_rng([n, m, round(1000 * (gamma + 2)), round(1000 * (alpha or 0)), round(1000 * E), seed])
    p = frequencies(law, n, alpha, E)
    rank = np.arange(1, n + 1)
    if gamma < 0:
        norms = np.where(rank <= m**2 / 2, 1.05, 0.85) + 0.05 * rng.standard_normal(n)
        norms[rng.choice(n, max(n // 300, 1), replace=False)] = 0.02
        packing = E / m * (1 + 0.02 * rng.standard_normal()) * (1 + abs(np.log(factor)) / 10)
    else:
        norms = np.where(rank <= m * (1.4 - gamma), 0.9, 0.05) + 0.03 * rng.standard_normal(n)
        packing = 0.02 * E / m
    norms = np.abs(norms)
    missing = norms <= 0.5
    unrepresented = 1.02 * theory.unlearned_loss(p, ~missing)
    strong = int((norms > 1).sum())
    weak = int(((norms > 0.5) & (norms <= 1)).sum())
    loss = packing + unrepresented
    pairs = strong > 1
    row = {
        "frequency_law": law, "n": n, "m": m, "gamma": gamma, "alpha": alpha, "activation_density": E,
        "learning_rate_factor": factor, "initial_bias": "normal", "seed": seed,
        "steps": 20000, "batch_size": 2048, "loss": loss,
        "loss_stderr": loss / 200, "n_samples": 2**17, "loss_train_tail": loss, "loss_train_tail_std": loss / 30,
        "loss_unlearned": theory.unlearned_loss(p, ~missing), "loss_unrepresented": unrepresented,
        "n_unrepresented": int(missing.sum()), "phi_half": geometry.phi(norms, 0.5), "phi_1": geometry.phi(norms, 1),
        "mean_norm": norms.mean(), "std_norm": norms.std(), "mean_sq_overlap": min(1.1 / m, 1),
        "std_sq_overlap": 5 / m, "n_strong": strong, "n_weak": weak,
        "mean_sq_overlap_strong": geometry.welch_bound(strong, m) * 1.02 if pairs else None,
        "std_sq_overlap_strong": 0.7 * np.sqrt(geometry.random_sq_overlap_variance(m)) if pairs else None,
        "welch_bound_strong": geometry.welch_bound(strong, m) if pairs else None,
        "mean_cosine_weak": 0.95 if weak > 1 else None, "welch_bound": geometry.welch_bound(n, m), "random_mean": 1 / m,
        "capacity": 0.9 * m, "capacity_share": 0.9, "own_loss": 6.0, "own_loss_overlaps": 0.5 / m,
        "device": "numba cpu", "seconds": 30.0,
    }  # fmt: skip
    return row, pd.DataFrame({"feature": rank, "frequency": p, "norm": norms, "bias": -0.1})


def slope(m: np.ndarray, loss: np.ndarray) -> tuple[float | None, float | None, float | None, float | None]:
    """Exponent, its standard error, amplitude and R^2 of the log-log line; nothing with fewer than three points."""
    if len(m) < 3:
        return None, None, None, None
    x, y = np.log(m), np.log(loss)
    line, residual, *_ = np.polyfit(x, y, 1, full=True)
    scatter = float(residual[0]) if len(residual) else 0.0
    error = np.sqrt(scatter / (len(m) - 2) / np.sum((x - x.mean()) ** 2))
    return -line[0], error, float(np.exp(line[1])), 1 - scatter / np.sum((y - y.mean()) ** 2)


def study(
    folder: Path,
    *,
    gammas: Iterable[float] = (-0.5556, 0.3333),
    alphas: Iterable[float] = (0.0, 1.0, 2.0),
    widths: Iterable[int] = (10, 15, 25, 39, 63, 100),
    n: int = 1000,
    seeds: int = 2,
    densities: Iterable[float] = (1.0, 4.0),
    factors: Iterable[float] = (0.5, 1.0, 2.0),
    large: bool = False,
    starts: Iterable[str] = ("normal",),
) -> dict[str, Path]:
    """Write the four tables of a made-up study below `folder` and return their paths by table name."""
    widths = list(widths)
    curves = [("decay_sweep", "power_law", n, gamma, alpha, 1.0, 1.0) for gamma in gammas for alpha in alphas]
    curves += [("density_sweep", "power_law", n, -0.5556, 1.0, E, 1.0) for E in densities]
    curves += [("learning_rate_check", "power_law", n, -0.5556, 1.0, 1.0, factor) for factor in factors]
    if large:
        laws = {"power_law": 1.2, "exponential": None, "linear": None}
        curves += [
            ("large", law, 10240, gamma, alpha, 1.0, 1.0) for gamma in (-1.0, 0.1) for law, alpha in laws.items()
        ]
    models, training, features, exponents = [], [], [], []
    for (experiment, law, size, gamma, alpha, E, factor), start in product(curves, starts):
        drawn = []
        for m in [8, 32, 128, 512] if experiment == "large" else widths:
            for seed in range(1 if experiment == "large" else seeds):
                model = f"{law}/n={size}/gamma={gamma}/alpha={alpha}/E={E}/lr={factor}/{start}/m={m}/seed={seed}"
                row, rows = cell(law, size, m, gamma, alpha, E, factor, seed)
                if start == "zero":
                    row |= {name: row[name] * 5 / m for name in ("loss", "loss_unrepresented")}
                row = {**row, "initial_bias": start}
                drawn.append({"experiment": experiment, "model": model, "training": "paper", **row})
                if any(model == other["model"] for other in models):
                    continue
                step = np.unique(np.geomspace(1, 20000, 40).astype(int))
                training += [{"model": model, "step": s, "loss": row["loss"] * (1 + 200 / s)} for s in step]
                if seed == 0 and m in (widths[0], widths[len(widths) // 2], widths[-1]):
                    features.append(rows.assign(model=model))
        models += drawn
        frame = pd.DataFrame(drawn)
        mean = frame.groupby("m")["loss"].mean()
        packing = (frame["loss"] - frame["loss_unrepresented"]).groupby(frame["m"]).mean()
        exponent, error, amplitude, rsquared = slope(mean.index.to_numpy(float), mean.to_numpy())
        exponents.append({
            "experiment": experiment, "training": "paper", "frequency_law": law, "n": size, "gamma": gamma,
            "alpha": alpha, "activation_density": E, "learning_rate_factor": factor,
            "initial_bias": start, "n_points": len(mean), "n_seeds": seeds,
            "exponent": exponent, "exponent_stderr": error, "amplitude": amplitude, "rsquared": rsquared,
            "exponent_represented": slope(packing.index.to_numpy(float), packing.to_numpy())[0],
            "exponent_represented_stderr": error, "m_min": min(widths), "m_max": max(widths),
            "mean_phi_half": frame["phi_half"].mean(), "status": "converged",
        })  # fmt: skip
    contents: dict[str, pd.DataFrame] = {
        "toy_models": filled("toy_models", models),
        "toy_curves": filled("toy_curves", training),
        "toy_features": filled("toy_features", pd.concat(features).to_dict("records")),
        "toy_exponents": filled("toy_exponents", exponents),
    }
    paths = {name: folder / f"{name}.csv" for name in contents}
    for name, frame in contents.items():
        tables.write(name, frame, paths[name])
    return paths
