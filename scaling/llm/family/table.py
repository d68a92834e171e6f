"""Collect the family in one table: `python -m scaling.llm.family.table --records */*/training.json --losses ...`."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from scaling import tables
from scaling.command import InputError, run
from scaling.llm.join import joined


log = logging.getLogger(__name__)

GEOMETRY = (
    "phi_half",
    "phi_1",
    "mean_norm",
    "std_norm",
    "mean_sq_overlap",
    "centred_mean_sq_overlap",
    "welch_bound",
    "random_mean",
)
SAME_MODEL = ["m", "gamma", "seed"]  # members that differ in their learning rate alone


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of a training. Raises InputError for any other file."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not the record of a training ({error}); train the model again") from None


def family_table(records: list[dict[str, Any]], losses: pd.DataFrame, overlaps: pd.DataFrame) -> pd.DataFrame:
    """Table llm_family: each record with its loss from table llm_losses and its geometry from table llm_overlaps.

    Raises InputError for a model without a loss.
    """
    columns = list(tables.dictionary()["llm_family"]["columns"])
    if not records:
        return pd.DataFrame(columns=columns)
    frame = pd.DataFrame(records)
    evaluated = losses[losses["status"] == "measured"].set_index("model")
    for column in ("loss", "loss_stderr"):
        frame[column] = frame["model"].map(evaluated[column].astype(float))
    if missing := ", ".join(frame["model"][frame["loss"].isna()]):
        raise InputError(f"no held-out loss of {missing}: see its row of llm_losses, and run again")
    frame["learning_rate_best"] = frame["loss"] <= frame.groupby(SAME_MODEL)["loss"].transform("min")
    measured = overlaps[overlaps["status"] == "measured"].set_index("model")
    for column in GEOMETRY:
        frame[column] = frame["model"].map(measured[column])
    return frame[columns].sort_values(["gamma", "m", "learning_rate_factor", "seed"], kind="stable")


def main() -> None:
    """Parse the command line, gather, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, nargs="*", default=[], help="training.json of each member")
    parser.add_argument("--losses", type=Path, nargs="*", default=[], help="rows of llm_losses of the members (CSV)")
    parser.add_argument("--overlaps", type=Path, required=True, help="CSV table llm_overlaps")
    parser.add_argument("--output", type=Path, required=True, help="CSV table llm_family to write")
    arguments = parser.parse_args()
    overlaps = tables.read("llm_overlaps", arguments.overlaps)
    losses = joined("llm_losses", arguments.losses)
    frame = family_table([read_record(path) for path in arguments.records], losses, overlaps)
    tables.write("llm_family", frame, arguments.output)
    for row in frame[~frame["learning_rate_best"].astype(bool)].itertuples():
        if row.learning_rate_factor == 1:
            log.info("%s: another learning rate gave a lower loss", row.model)


if __name__ == "__main__":
    run(main)
