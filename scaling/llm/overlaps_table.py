"""Collect measured and published heads in one table: `python -m scaling.llm.overlaps_table --rows *.csv ...`."""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from scaling import geometry, tables
from scaling.command import InputError, run
from scaling.llm.join import joined
from scaling.llm.tokens import read_norms


log = logging.getLogger(__name__)

BIN = 0.05  # bin width, in units of the mean norm
LARGEST = 3.0  # in units of the mean norm; larger norms are counted in the last bin


def published_rows(path: Path) -> pd.DataFrame:
    """Return the points read off Fig. 8a as rows of llm_overlaps. Raises InputError for any other file."""
    try:
        points = pd.read_csv(path, comment="#")
        frame = pd.DataFrame(
            {
                "model": points["model_name_guess"],
                "family": points["family"].str.lower(),
                "m": points["m"],
                "mean_sq_overlap": points["mean_square_overlap"],
                "random_mean": [geometry.random_sq_overlap_mean(m) for m in points["m"]],
            }
        )
    except (FileNotFoundError, KeyError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not the points of Fig. 8a ({error})") from None
    return frame.assign(source="published", status="published")


def all_rows(rows: list[Path], published: Path | None) -> pd.DataFrame:
    """Return table llm_overlaps: measured and failed models in the given order, then the published points."""
    measured = joined("llm_overlaps", rows)
    if not published:
        return measured
    together = pd.concat([measured, published_rows(published).astype(object)], ignore_index=True)
    return together.where(together.notna(), None)


def histogram(norms: np.ndarray) -> pd.DataFrame:
    """Count rows per bin of norm / mean norm, from 0 to LARGEST in steps of BIN; the last bin has no upper edge."""
    edges = np.round(np.arange(0, LARGEST + BIN / 2, BIN), 10)
    relative = np.minimum(norms / norms.mean(), LARGEST)
    counts, _ = np.histogram(relative, edges)
    return pd.DataFrame({"norm_low": edges[:-1], "norm_high": edges[1:], "n_rows": counts})


def norm_table(rows: list[Path], norms: list[Path]) -> pd.DataFrame:
    """Return table llm_norms of the measured models."""
    columns = list(tables.dictionary()["llm_norms"]["columns"])
    parts = [pd.DataFrame(columns=columns)]
    for row_file, norm_file in zip(rows, norms, strict=True):
        row = tables.read("llm_overlaps", row_file).iloc[0]
        if row["status"] == "measured":
            norm, kept = read_norms(norm_file)
            parts.append(histogram(norm[kept]).assign(model=row["model"], family=row["family"], m=row["m"])[columns])
    return pd.concat(parts[1:] or parts, ignore_index=True)


def main() -> None:
    """Command line: collect the rows and log which models failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, nargs="*", default=[], help="CSV files written by scaling.llm.overlaps")
    parser.add_argument("--norms", type=Path, nargs="*", default=[], help="norm files, in the same order")
    parser.add_argument("--published", type=Path, help="CSV file with the points of Fig. 8a")
    parser.add_argument("--output", type=Path, required=True, help="CSV table llm_overlaps to write")
    parser.add_argument("--norm-table", type=Path, required=True, help="CSV table llm_norms to write")
    arguments = parser.parse_args()
    if len(arguments.rows) != len(arguments.norms):
        raise InputError(
            f"{len(arguments.rows)} files for --rows, {len(arguments.norms)} for --norms; give one of each per model"
        )
    table = all_rows(arguments.rows, arguments.published)
    failed = table[table["status"] == "failed"]
    for model, reason in zip(failed["model"], failed["reason"], strict=True):
        log.info("not measured: %s: %s", model, reason)
    if len(failed):
        log.info("%d of %d models failed; the next run retries them", len(failed), len(arguments.rows))
    tables.write("llm_norms", norm_table(arguments.rows, arguments.norms), arguments.norm_table)
    tables.write("llm_overlaps", table, arguments.output)


if __name__ == "__main__":
    run(main)
