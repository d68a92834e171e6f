"""Fit exponents of the loss against training time: `toy_curves.csv` and `bigram_flow.csv` to `time_exponents.csv`.

Fits use the last decade of training, as means of log loss in equal steps of log time. At fixed m the loss approaches a
constant, so the exponent of C t^-a + L0 is fitted as well as the plain slope.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.fits import curve, forms
from scaling.fits.inputs import FloatArray


DECADES = 1.0  # decades of time up to the end that a fit uses
BINS = 20


def last_decade(time: pd.Series, loss: pd.Series) -> tuple[FloatArray, FloatArray]:
    """Return geometric means of time and loss in 20 steps of log time over the last decade, without empty steps."""
    t, y = time.to_numpy(dtype=np.float64), loss.to_numpy(dtype=np.float64)
    inside = t > t.max() * 10**-DECADES
    x, y = np.log(t[inside]), np.log(y[inside])
    edges = np.linspace(np.log(t.max()) - DECADES * np.log(10), np.log(t.max()), BINS + 1)
    index = np.clip(np.searchsorted(edges, x, side="left") - 1, 0, BINS - 1)
    count = np.bincount(index, minlength=BINS)
    filled = count > 0
    means = (np.bincount(index, values, minlength=BINS)[filled] / count[filled] for values in (x, y))
    return tuple(np.exp(mean) for mean in means)  # type: ignore[return-value]


def exponents(time: pd.Series, loss: pd.Series) -> dict[str, Any]:
    """Return the results for one curve: plain slope, and exponent with a constant and its profile interval."""
    t, y = last_decade(time, loss)
    line = curve.line(t, y)
    form = forms.decide(t, y)
    return {
        "t_min": t[0],
        "t_max": t[-1],
        "n_points": line.n_points,
        "exponent": line.exponent,
        "exponent_stderr": line.exponent_stderr,
        "exponent_with_constant": form.exponent,
        "exponent_with_constant_low": form.exponent_low,
        "exponent_with_constant_high": form.exponent_high,
        "constant": form.constant,
        "form": form.form,
        "final_loss": y[-1],
    }


def toy_rows(curves: pd.DataFrame, models: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield one row per toy model; time is the training step."""
    settings = models.drop_duplicates("model").set_index("model")
    for model, part in curves.groupby("model", sort=False):
        if model in settings.index and (part["loss"] > 0).all():
            one = settings.loc[model]
            names = {name: one[name] for name in ("training", "n", "m", "gamma", "alpha", "phi_half")}
            yield {"study": "toy", "model": model, "law": one["frequency_law"], **names} | exponents(
                part["step"], part["loss"]
            )


def bigram_rows(flow: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield one row per gradient flow of a bigram model; the loss is the excess over the floor."""
    for (matrix, law, n, m, step), part in flow.groupby(["matrix", "law", "n", "m", "step_size"], sort=False):
        names = {"law": law, "training": "flow", "n": n, "m": m, "gamma": 0.0, "step_size": step}
        model = f"{matrix}/m{m}_step{step:g}"
        yield {"study": "bigram", "model": model, **names} | exponents(part["time"], part["excess"])


def main() -> None:
    """Command line: fit every training curve."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.time", description=__doc__)
    parser.add_argument("--curves", required=True, help="table toy_curves")
    parser.add_argument("--models", required=True, help="table toy_models")
    parser.add_argument("--flow", required=True, help="table bigram_flow")
    parser.add_argument("--output", required=True, help="table time_exponents to write")
    options = parser.parse_args()
    curves, models = tables.read("toy_curves", options.curves), tables.read("toy_models", options.models)
    rows = [*toy_rows(curves, models), *bigram_rows(tables.read("bigram_flow", options.flow))]
    columns = list(tables.dictionary()["time_exponents"]["columns"])
    tables.write("time_exponents", pd.DataFrame(rows, columns=columns), options.output)


if __name__ == "__main__":
    command.run(main)
