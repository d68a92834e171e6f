r"""Measure trained toy models: the held-out loss with its parts, and the geometry of the rows of W.

    python -m scaling.toy.measurement --folder results/toy/models \
        --models paper/power_law_n1000_alpha1_E1/gamma-0.555556/m10_seed0 --output measured.jsonl

writes one JSON line per model, in the order given.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from scaling import geometry, theory
from scaling.command import InputError, run, whole_file
from scaling.toy.evaluation import HeldOut, held_out_loss, loss_columns, silent_features
from scaling.toy.model_file import TrainedModel, read_models


HELD_OUT_SAMPLES = 2**17


def geometry_columns(W: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, Any]:
    """Return the columns of toy_models.csv that follow from W (n, m) and b (n,) alone.

    Strong rows have norm > 1, weak rows a norm in (1/2, 1]; live features fire alone at x_i = 2.
    """
    n, m = W.shape
    norms = geometry.row_norms(W)
    strong, weak, silent = norms > 1, (norms > 0.5) & (norms <= 1), silent_features(W, b)
    live = ~silent & (norms > 0)
    every = geometry.squared_overlaps(W) if np.count_nonzero(norms) > 1 else None
    among_strong = geometry.squared_overlaps(W[strong]) if strong.sum() > 1 else None
    among_weak = geometry.squared_overlaps(W[weak]) if weak.sum() > 1 else None
    among_live = geometry.squared_overlaps(W[live]) if live.sum() > 1 else None
    own_loss, own_loss_overlaps = geometry.own_direction_loss(W) if every else (None, None)
    capacity = float(geometry.fractional_capacity(W).sum())
    return {
        "n_silent": int(silent.sum()),
        "phi_live": float(1 - silent.mean()),
        "phi_half": geometry.phi(norms, 0.5),
        "phi_1": geometry.phi(norms, 1.0),
        "mean_norm": float(norms.mean()),
        "std_norm": float(norms.std()),
        "mean_sq_overlap": every.mean_sq if every else None,
        "std_sq_overlap": every.std_sq if every else None,
        "mean_sq_overlap_strong": among_strong.mean_sq if among_strong else None,
        "std_sq_overlap_strong": among_strong.std_sq if among_strong else None,
        "max_overlap_strong": among_strong.max_abs if among_strong else None,
        "welch_bound_strong": geometry.welch_bound(int(strong.sum()), m) if among_strong else None,
        "n_strong": int(strong.sum()),
        "n_weak": int(weak.sum()),
        "mean_cosine_weak": among_weak.mean_cosine if among_weak else None,
        "mean_sq_overlap_live": among_live.mean_sq if among_live else None,
        "max_overlap_live": among_live.max_abs if among_live else None,
        "capacity": capacity,
        "capacity_share": capacity / m,
        "own_loss": own_loss,
        "own_loss_overlaps": own_loss_overlaps,
        "welch_bound": geometry.welch_bound(n, m),
        "random_mean": geometry.random_sq_overlap_mean(m),
    }


def unrepresented_columns(W: NDArray[np.float32], p: NDArray[np.float64], held_out: HeldOut) -> dict[str, Any]:
    """Return predicted and measured loss of the features with norm <= 1/2, and how many they are."""
    represented = geometry.row_norms(W) > 0.5
    return {
        "loss_unlearned": theory.unlearned_loss(p, represented),
        "loss_unrepresented": float(held_out.by_feature[~represented].sum()),
        "n_unrepresented": int((~represented).sum()),
    }


def measure_model(model: TrainedModel, n_samples: int) -> dict[str, Any]:
    """Return the row of toy_models.csv for a trained model, without its experiment."""
    held_out = held_out_loss(model.W, model.b, model.p, n_samples, model.cell.random_streams()[2])
    return {
        "model": model.cell.name,
        **dataclasses.asdict(model.cell),
        **model.training,
        **loss_columns(held_out),
        **unrepresented_columns(model.W, model.p, held_out),
        **geometry_columns(model.W, model.b),
    }


def main() -> None:
    """Command line: measure models and write one JSON line per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="folder of the models")
    parser.add_argument("--models", nargs="+", required=True, help="names of models: paths below the folder, no suffix")
    parser.add_argument("--samples", type=int, default=HELD_OUT_SAMPLES, help="fresh samples per model for the loss")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    arguments = parser.parse_args()
    if arguments.samples < 2:
        raise InputError(f"samples = {arguments.samples}: a standard error needs at least 2")
    with threadpool_limits(1):
        rows = [measure_model(model, arguments.samples) for model in read_models(arguments.models, arguments.folder)]
    with whole_file(arguments.output) as temporary:
        temporary.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    run(main)
