"""Compare every registered claim with the tables of a run and write `claims.csv`.

Claims whose tables are missing get the verdict not_run.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from scaling import command, tables
from scaling.claims import (
    bigram,
    bridge,
    family,
    language_models,
    registry,
    toy_exponents,
    toy_geometry,
    training_time,
    verdict,
)
from scaling.claims.study import Study
from scaling.claims.toy_study import ToyStudy


REGISTERED = (bigram, training_time)  # modules that register their claims when they are imported


def every_row(study: Study) -> pd.DataFrame:
    """Table `claims` of a study: the registered claims, and those that are not registered yet."""
    toy = ToyStudy.of(study)
    heads = study.published("fig8a_llm_overlap", language_models.OVERLAPS)
    rows = [row for claim in registry.REGISTRY.values() for row in claim.rows(study)]
    rows += bridge.rows("toy", [*toy_exponents.claims(toy), *toy_geometry.claims(toy)])
    rows += bridge.rows(
        "llm",
        [
            *language_models.overlaps(study.table("llm_overlaps"), heads),
            *language_models.losses(study.table("llm_loss_fit")),
            *language_models.chinchilla(study.table("width_fit"), study.table("chinchilla_fit")),
            *family.claims(study.table("llm_family")),
        ],
    )
    return verdict.judged(pd.DataFrame(rows))[list(tables.dictionary()["claims"]["columns"])]


def main() -> None:
    """Command line: read the tables that exist, write the claims."""
    parser = argparse.ArgumentParser(prog="python -m scaling.claims", description=__doc__)
    parser.add_argument(
        "--tables", type=Path, nargs="+", default=[], help="tables of a run, such as results/tables/*.csv"
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of points read off the paper's figures")
    parser.add_argument("--study", default="default", help="name of the study, for the column source")
    parser.add_argument("--output", required=True, help="table claims to write")
    options = parser.parse_args()
    table = every_row(Study.read(options.tables, options.published, options.study))
    tables.write("claims", table, options.output)
    counts = table["verdict"].value_counts()
    logging.info("%d rows: %s", len(table), ", ".join(f"{count} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    command.run(main)
