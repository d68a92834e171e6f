"""Hold every claim of the paper against our tables: `claims.csv`. Tables that are not there give `not_run`."""

import argparse
import logging
from pathlib import Path

from scaling import command, tables
from scaling.claims import family, language_models, toy_exponents, toy_geometry, verdict
from scaling.claims.study import ToyStudy, read_if_there
from scaling.fits import published


TOY = {
    "models": "toy_models",
    "exponents": "toy_exponents",
    "starts": "toy_exponent_starts",
    "features": "toy_features",
}
OTHERS = {
    "overlaps": "llm_overlaps",
    "losses": "llm_loss_fit",
    "widths": "width_fit",
    "chinchilla": "chinchilla_fit",
    "family": "llm_family",
}


def main() -> None:
    """Command line: read what tables there are, write the claims."""
    parser = argparse.ArgumentParser(prog="python -m scaling.claims", description=__doc__)
    for option, name in (TOY | OTHERS).items():
        parser.add_argument(f"--{option}", type=Path, help=f"table {name}")
    parser.add_argument("--published", type=Path, required=True, help="folder of points read off the paper's figures")
    parser.add_argument("--study", default="default", help="name of the study that trained the models")
    parser.add_argument("--output", required=True, help="table claims to write")
    options = parser.parse_args()
    paths = {option: getattr(options, option) for option in TOY}
    study = ToyStudy.read(**paths, resources=options.published, name=options.study)
    others = {option: read_if_there(name, getattr(options, option)) for option, name in OTHERS.items()}
    heads = published.read(options.published / "fig8a_llm_overlap.csv", language_models.OVERLAPS)
    rows = [
        *toy_exponents.claims(study),
        *toy_geometry.claims(study),
        *language_models.overlaps(others["overlaps"], heads),
        *language_models.losses(others["losses"]),
        *language_models.chinchilla(others["widths"], others["chinchilla"]),
        *family.claims(others["family"]),
    ]
    table = verdict.table(rows)
    tables.write("claims", table, options.output)
    counts = table["verdict"].value_counts()
    logging.info("%d claims: %s", len(table), ", ".join(f"{count} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    command.run(main)
