"""Fit exponents of toy models on correlated features: `toy_correlation.csv` to `correlation_exponents.csv`."""

import argparse

import pandas as pd

from scaling import command, tables
from scaling.fits import curve


CURVE = ["activity", "gamma", "alpha", "correlation", "block_size"]


def exponent_table(models: pd.DataFrame) -> pd.DataFrame:
    """Compute table `correlation_exponents` from table `toy_correlation`: one row per curve."""
    rows = []
    for key, part in models.groupby(CURVE, sort=True):
        line = curve.line(part["m"], part["loss"])
        rows.append(
            {
                **dict(zip(CURVE, key, strict=True)),
                "exponent": line.exponent,
                "exponent_stderr": line.exponent_stderr,
                "n_points": line.n_points,
                "n_seeds": line.n_seeds,
                "mean_phi_half": part["phi_half"].mean(),
                "realised_density": part["realised_density"].mean(),
            }
        )
    return pd.DataFrame(rows, columns=list(tables.dictionary()["correlation_exponents"]["columns"]))


def main() -> None:
    """Command line: fit every curve of a table of toy models on correlated features."""
    parser = argparse.ArgumentParser(prog="python -m scaling.fits.correlation", description=__doc__)
    parser.add_argument("--models", required=True, help="table toy_correlation")
    parser.add_argument("--output", required=True, help="table correlation_exponents to write")
    options = parser.parse_args()
    models = tables.read("toy_correlation", options.models)
    tables.write("correlation_exponents", exponent_table(models), options.output)


if __name__ == "__main__":
    command.run(main)
