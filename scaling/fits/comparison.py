"""Our toy models beside the points read off the paper's figures, cell by cell: `toy_published.csv`.

Losses and exponents are those of the last 100 training batches, as in the paper. The error of a mean over seeds is
their standard deviation over sqrt(seeds). A published point without an error is one model, so it has the standard
deviation of our seeds. Without two seeds there is no error, and no z.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scaling import command, tables
from scaling.curves import CURVE, LARGE_N, decay_sweep, usual
from scaling.fits import published


FIG_GAMMA = -5 / 9  # of Fig. 7b, inferred from its values; Fig. 6c does not state its gamma and is compared at the same
WIDTHS = 6  # of a curve whose exponent is compared
CELL = ["frequency_law", "n", "gamma", "alpha", "activation_density", "m"]
DIGITS = {"gamma": 3, "alpha": 3, "activation_density": 2}  # to which a published cell is matched with ours
PUBLISHED = {  # figure: file, quantity, column, its error, what its points share
    "Fig. 1b": ("fig1b_weak_loss", "loss", "loss", None, {"n": 10240, "gamma": 0.1}),
    "Fig. 1d": ("fig1d_strong_loss", "loss", "loss", None, {"n": 10240, "gamma": -1.0}),
    "Fig. 3a": ("fig3a_phi_half", "phi_half", "phi_half", None, {"alpha": 1.0}),
    "Fig. 5a": ("fig5a_loss_vs_unlearned_alpha0", "loss", "loss", None, {"alpha": 0.0}),
    "Fig. 5b": ("fig5b_model_exponent", "alpha_m", "model_exponent", "err", {}),
    "Fig. 6c": ("fig6c_phi_one", "phi_1", "phi_1", None, {"gamma": FIG_GAMMA}),
    "Fig. 6e": ("fig6e_model_exponent", "alpha_m", "model_exponent", "err", {}),
    "Fig. 7b": ("fig7b_density_scaling", "loss", "loss", None, {"alpha": 1.0, "gamma": FIG_GAMMA}),
}
GIVEN = {  # columns of the files that name a cell
    "Fig. 1b": ["feature_importance", "m"],
    "Fig. 1d": ["feature_importance", "m"],
    "Fig. 3a": ["gamma", "m"],
    "Fig. 5a": ["gamma", "m"],
    "Fig. 5b": ["alpha", "gamma"],
    "Fig. 6c": ["alpha", "m"],
    "Fig. 6e": ["alpha", "gamma"],
    "Fig. 7b": ["activation_density", "m"],
}


def points(figure: str, folder: Path) -> pd.DataFrame:
    """Return the points of a figure: the columns CELL, `published` and `published_err`.

    Fig. 6e repeats the points of Fig. 5b, which are left out there.
    """
    file, _, column, error, shared = PUBLISHED[figure]
    frame = published.read(folder / f"{file}.csv", [*GIVEN[figure], column, *([error] if error else [])])
    frame = frame.rename(columns={"feature_importance": "frequency_law", column: "published", error: "published_err"})
    frame = frame.assign(**shared)
    defaults: dict[str, Any] = {
        "frequency_law": "power_law",
        "n": 1000,
        "activation_density": 1.0,
        "m": np.nan,
        "published_err": np.nan,
    }
    for name, value in defaults.items():
        if name not in frame:
            frame[name] = value
    if "alpha" not in frame:
        frame["alpha"] = np.where(frame["frequency_law"] == "power_law", 1.2, np.nan)
    return frame[frame["gamma"] < 0] if figure == "Fig. 6e" else frame


def cells(models: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return per cell `ours`, `ours_held_out`, the scatter of one model between seeds, and `n_seeds`.

    A loss is a geometric mean, and its scatter is that of log L.
    """
    loss = quantity == "loss"
    value = np.log(models["loss_train_tail"].astype(float)) if loss else models[quantity].astype(float)
    held_out = np.log(models["loss"].astype(float)) if loss else np.nan
    frame = models[CELL].assign(value=value, held_out=held_out)
    found = frame.groupby(CELL, dropna=False).agg(
        ours=("value", "mean"),
        ours_held_out=("held_out", "mean"),
        scatter=("value", "std"),
        n_seeds=("value", "size"),
    )
    found["ours_err"] = found["scatter"] / np.sqrt(found["n_seeds"])
    if loss:
        found[["ours", "ours_held_out"]] = np.exp(found[["ours", "ours_held_out"]])
    return found.reset_index()


def curves(exponents: pd.DataFrame) -> pd.DataFrame:
    """Return per curve of the decay sweep with six widths its exponent in the columns of `cells`."""
    rows = decay_sweep(exponents)
    rows = rows[rows["n_points"] >= WIDTHS].dropna(subset=["exponent_train_tail"])
    rows = rows.sort_values(["n_points", "n_seeds"], ascending=False, kind="stable").drop_duplicates(CURVE)
    names = {"exponent_train_tail": "ours", "exponent_train_tail_stderr": "ours_err", "exponent": "ours_held_out"}
    return rows.rename(columns=names).assign(m=np.nan, scatter=np.nan)


def ours(figure: str, models: pd.DataFrame, exponents: pd.DataFrame) -> pd.DataFrame:
    """Return our cells for the quantity of a figure, at the paper's recipe and initial bias."""
    quantity = PUBLISHED[figure][1]
    if quantity == "alpha_m":
        return curves(exponents)
    rows = usual(models)
    large = figure in ("Fig. 1b", "Fig. 1d")
    rows = rows[(rows["n"] >= LARGE_N) if large else (rows["n"] < LARGE_N)]
    return cells(rows.drop_duplicates("model"), quantity)


def compared(models: pd.DataFrame, exponents: pd.DataFrame, folder: Path) -> Iterator[pd.DataFrame]:
    """Yield the rows of toy_published of each figure."""
    for figure, (_, quantity, *_) in PUBLISHED.items():
        keys = [name for name in CELL if quantity != "alpha_m" or name != "m"]
        sides = [points(figure, folder), ours(figure, models, exponents)]
        for side in sides:
            side[keys] = side[keys].assign(**{name: side[name].astype(float).round(k) for name, k in DIGITS.items()})
            side["n"] = side["n"].astype(float)
        both = sides[1].merge(sides[0][[*keys, "published", "published_err"]], on=keys)
        both["published_err"] = both["published_err"].fillna(both["scatter"])
        mine, theirs = both["ours"].astype(float), both["published"].astype(float)
        both["difference"] = np.log(mine / theirs) if quantity == "loss" else mine - theirs
        s = np.hypot(both["ours_err"].astype(float), both["published_err"].astype(float))
        both["z"] = (both["difference"] / s).where(s > 0)
        yield both.assign(figure=figure, quantity=quantity)


def published_table(models: pd.DataFrame, exponents: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return table toy_published: one row per published point of which we have the cell."""
    columns = list(tables.dictionary()["toy_published"]["columns"])
    frames = [frame[columns] for frame in compared(models, exponents, folder) if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def main() -> None:
    """Command line: compare the toy models with the published points."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.fits.comparison",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=Path, required=True, help="table toy_models")
    parser.add_argument("--exponents", type=Path, required=True, help="table toy_exponents")
    parser.add_argument("--published", type=Path, required=True, help="folder of points read off the paper's figures")
    parser.add_argument("--output", type=Path, required=True, help="table toy_published to write")
    given = parser.parse_args()
    models, exponents = tables.read("toy_models", given.models), tables.read("toy_exponents", given.exponents)
    found = published_table(models, exponents, given.published)
    tables.write("toy_published", found, given.output)
    for figure, part in found.groupby("figure"):
        logging.info(
            "%s: %d cells, median absolute difference %.3g", figure, len(part), part["difference"].abs().median()
        )


if __name__ == "__main__":
    command.run(main)
