"""Fit exponents of the parts of the toy models' loss, and of the losses after interventions.

`toy_models.csv` to `toy_part_exponents.csv`: how fast each part of the loss falls with m, and which part scatters
between seeds. `interventions.csv` to `intervention_exponents.csv`: alpha_m after an intervention, and how the loss
depends on a factor that scales the overlaps.
"""

import argparse
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.curves import CURVE
from scaling.fits import curve, inputs


PARTS = {
    "loss": lambda models: models["loss"],
    "silent": lambda models: models["loss_silent"],
    "live": lambda models: models["loss"] - models["loss_silent"],
    "shrink": lambda models: models["loss_shrink"],
    "interference": lambda models: models["loss_interference"],
    "false": lambda models: models["loss_false"],
    "unrepresented": lambda models: models["loss_unrepresented"],
    "represented": lambda models: models["loss"] - models["loss_unrepresented"],
}
EQ_10 = ("own_loss", "own_loss_overlaps")  # the paper's Eq. 10 is not a part of the loss and has no share
LINE = ["n_points", "n_seeds", "m_min", "m_max", "exponent", "exponent_stderr", "exponent_low", "exponent_high"]


def line_columns(m: "pd.Series[Any]", loss: "pd.Series[Any]", variable: str = "m") -> dict[str, Any]:
    """Return the columns of the fit of log L against log m; without numbers if a loss is zero or negative."""
    if not (loss > 0).all():
        widths = m.groupby(m).size()
        where = ", ".join(f"{value:g}" for value in sorted(set(m[loss <= 0])))
        return {
            "n_points": len(widths),
            "n_seeds": int(widths.min()),
            "m_min": m.min(),
            "m_max": m.max(),
            "status": inputs.NOT_IDENTIFIED,
            "note": f"zero or negative at {variable} = {where}",
        }
    line = curve.line(m, loss)
    return {name: getattr(line, name) for name in [*LINE, "status", "note"]}


def scatter_explained(m: "pd.Series[Any]", loss: "pd.Series[Any]", part: "pd.Series[Any]") -> float:
    """Return the share of the variance of the loss between seeds that the part explains.

    1 - sum (d_L - d_P)^2 / sum d_L^2, with d the deviations from the mean over seeds at each m, relative to the mean
    loss there. Negative for a part whose removal adds scatter, and NaN with one seed.
    """
    mean = loss.groupby(m).transform("mean")
    total, rest = ((values - values.groupby(m).transform("mean")) / mean for values in (loss, loss - part))
    variance = float(np.sum(total**2))
    return 1 - float(np.sum(rest**2)) / variance if variance > 0 else float("nan")


def part_table(models: pd.DataFrame) -> pd.DataFrame:
    """Compute table toy_part_exponents from table toy_models: one row per curve and part of the loss, and Eq. 10."""
    rows = []
    keys = ["experiment", *CURVE]
    for key, group in models.groupby(keys, dropna=False, sort=True):
        for name, part_of in PARTS.items():
            part = part_of(group)
            share = part / group["loss"]
            rows.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    "part": name,
                    **line_columns(group["m"], part),
                    "mean_share": float(share.mean()),
                    "scatter_explained": scatter_explained(group["m"], group["loss"], part),
                }
            )
        for name in EQ_10:
            rows.append({**dict(zip(keys, key, strict=True)), "part": name, **line_columns(group["m"], group[name])})
    return table("toy_part_exponents", rows)


def intervention_exponents(interventions: pd.DataFrame) -> pd.DataFrame:
    """Compute table intervention_exponents: L(m) after each intervention, and L against the overlap factor."""
    rows = []
    for variable, others in (("m", ["scale"]), ("scale", ["m"])):
        keys = [*CURVE, "intervention", "refit", *others]
        some = interventions[interventions["scale"] > 0] if variable == "scale" else interventions
        for key, group in some.groupby(keys, dropna=False, sort=True):
            columns = line_columns(group[variable], group["loss"], variable)
            before = line_columns(group["m"], group["loss_before"])
            sign = 1 if variable == "m" else -1  # L ~ m^-exponent, but L ~ scale^exponent
            rows.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    "against": variable,
                    **{name: columns.get(name) for name in ("n_points", "n_seeds", "status", "note")},
                    "exponent": sign * columns.get("exponent", np.nan),
                    "exponent_stderr": columns.get("exponent_stderr"),
                    "exponent_before": before.get("exponent") if variable == "m" else None,
                    "exponent_before_stderr": before.get("exponent_stderr") if variable == "m" else None,
                    "mean_ratio": float(np.exp(np.log(group["loss"] / group["loss_before"]).mean())),
                    "mean_n_silent_before": float(group["n_silent_before"].mean()),
                    "mean_n_silent": float(group["n_silent"].mean()),
                }
            )
    return table("intervention_exponents", rows)


def table(name: str, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows with the columns of table `name`, in its order."""
    return pd.DataFrame(rows, columns=list(tables.dictionary()[name]["columns"]))


def main() -> None:
    """Command line: fit the parts of every curve and the losses after interventions."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.fits.parts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", required=True, help="table toy_models")
    parser.add_argument("--interventions", required=True, help="table interventions")
    parser.add_argument("--parts", required=True, help="table toy_part_exponents to write")
    parser.add_argument("--intervention-exponents", required=True, help="table intervention_exponents to write")
    options = parser.parse_args()
    parts = part_table(tables.read("toy_models", options.models))
    tables.write("toy_part_exponents", parts, options.parts)
    after = intervention_exponents(tables.read("interventions", options.interventions))
    tables.write("intervention_exponents", after, options.intervention_exponents)
    logging.info("%d parts of curves, %d curves after interventions", len(parts), len(after))


if __name__ == "__main__":
    command.run(main)
