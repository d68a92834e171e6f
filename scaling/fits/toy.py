"""Fit exponents of the toy study: `toy_models.csv` to `toy_exponents.csv` and `toy_exponent_starts.csv`."""

import argparse
import logging
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables, theory
from scaling.curves import CURVE, regime
from scaling.fits import curve, forms


KEY = ["experiment", *CURVE]  # identifies the rows of the tables
LINE = ["exponent", "exponent_stderr", "exponent_low", "exponent_high", "rsquared", "n_points", "m_min", "m_max"]


def predicted_exponent(mean_phi_half: float, frequency_law: str, alpha: float | None) -> float | None:
    """Return the alpha_m that the paper predicts for a curve, from its regime and, for power laws, alpha; None if none.

    For the exponential and linear laws the paper predicts 1 under strong superposition and no power law under weak.
    """
    kind = regime(mean_phi_half)
    if frequency_law != "power_law" or alpha is None:
        return 1.0 if kind == "strong" else None
    if kind == "strong":
        return theory.strong_exponent(alpha)
    return theory.weak_exponent(alpha) if kind == "weak" else None


def exponents_of(models: pd.DataFrame) -> dict[str, Any]:
    """Return the results for one curve without its identifying columns; `models` are its rows of toy_models."""
    line = curve.line(models["m"], models["loss"])
    form = forms.decide(models["m"], models["loss"])
    tail = curve.line(models["m"], models["loss_train_tail"])
    notes = [line.note]
    if form.constant == 0:
        notes.append("the constant L0 is at its bound 0")
    packing = models["loss"] - models["loss_unrepresented"]
    if (packing > 0).all():
        represented = curve.line(models["m"], packing)
        represented_exponent, represented_stderr = represented.exponent, represented.exponent_stderr
    else:
        represented_exponent = represented_stderr = np.nan
        notes.append("no packing loss: all of the loss falls on features that are not represented")
    first = models.iloc[0]
    alpha = None if pd.isna(first["alpha"]) else float(first["alpha"])
    mean_phi_half = float(models["phi_half"].mean())
    return {
        **asdict(line),
        "form": form.form,
        "form_reason": form.reason,
        "exponent_with_constant": form.exponent,
        "exponent_with_constant_low": form.exponent_low,
        "exponent_with_constant_high": form.exponent_high,
        "constant": form.constant,
        "constant_pvalue": form.constant_pvalue,
        "exponent_train_tail": tail.exponent,
        "exponent_train_tail_stderr": tail.exponent_stderr,
        "exponent_represented": represented_exponent,
        "exponent_represented_stderr": represented_stderr,
        "mean_phi_half": mean_phi_half,
        "predicted_exponent": predicted_exponent(mean_phi_half, str(first["frequency_law"]), alpha),
        "note": "; ".join(note for note in notes if note),
    }


def exponent_table(models: pd.DataFrame) -> pd.DataFrame:
    """Compute table `toy_exponents` from table `toy_models`: one row per curve."""
    columns = list(tables.dictionary()["toy_exponents"]["columns"])
    rows = [
        {**dict(zip(KEY, key, strict=True)), **exponents_of(part)}
        for key, part in models.groupby(KEY, dropna=False, sort=True)
    ]
    return pd.DataFrame(rows, columns=columns)


def start_table(models: pd.DataFrame) -> pd.DataFrame:
    """Compute table `toy_exponent_starts` from table `toy_models`: one row per curve, kind of loss and start index."""
    columns = list(tables.dictionary()["toy_exponent_starts"]["columns"])
    rows = []
    for key, part in models.groupby(KEY, dropna=False, sort=True):
        for quantity in ("loss", "loss_train_tail"):
            for index, line in enumerate(curve.lines_by_start(part["m"], part[quantity])):
                numbers = {name: getattr(line, name) for name in LINE}
                names = dict(zip(KEY, key, strict=True))
                rows.append({**names, "quantity": quantity, "start_index": index, **numbers})
    return pd.DataFrame(rows, columns=columns)


def main() -> None:
    """Command line: fit every curve of a table of toy models."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.toy", description=__doc__)
    parser.add_argument("--models", required=True, help="table toy_models")
    parser.add_argument("--exponents", required=True, help="table toy_exponents to write")
    parser.add_argument("--starts", required=True, help="table toy_exponent_starts to write")
    options = parser.parse_args()
    models = tables.read("toy_models", options.models)
    exponents = exponent_table(models)
    tables.write("toy_exponents", exponents, options.exponents)
    tables.write("toy_exponent_starts", start_table(models), options.starts)
    for row in exponents.itertuples():
        logging.info(
            "%s %s gamma %.3g alpha %.3g: exponent %.3f +- %.3f, %s (%s)",
            *(row.experiment, row.frequency_law, row.gamma, row.alpha, row.exponent, row.exponent_stderr),
            *(row.form, row.status),
        )


if __name__ == "__main__":
    command.run(main)
