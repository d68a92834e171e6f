"""Compare every registered claim with the tables of a run and write `claims.csv`.

    python -m scaling.claims --tables results/tables/*.csv --published resources/published --output claims.csv

Claims whose tables are missing get the verdict not_run.
"""

import argparse
import logging
from pathlib import Path

from scaling import command, tables
from scaling.claims import (  # noqa: F401  (importing a module registers its claims)
    attention,
    attention_matrices,
    bigram,
    correlation,
    language_models,
    local_models,
    mechanism,
    mechanism_bias,
    mechanism_causes,
    registry,
    suites,
    toy_exponents,
    toy_laws,
    toy_overlaps,
    toy_represented,
    toy_weak_loss,
    training_time,
)
from scaling.claims.study import Study


def main() -> None:
    """Command line: read the tables that exist, write the claims."""
    parser = argparse.ArgumentParser(
        prog="python -m scaling.claims", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tables", type=Path, nargs="+", default=[], help="tables of a run, such as results/tables/*.csv"
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of points read off the paper's figures")
    parser.add_argument("--study", default="default", help="name of the study, for the column source")
    parser.add_argument("--output", required=True, help="table claims to write")
    options = parser.parse_args()
    table = registry.table(Study.read(options.tables, options.published, options.study))
    tables.write("claims", table, options.output)
    counts = table["verdict"].value_counts()
    logging.info("%d rows: %s", len(table), ", ".join(f"{count} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    command.run(main)
