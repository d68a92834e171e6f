"""Generate the marked blocks of README.md and docs/*.md from a recorded run, so that no number is typed by hand.

A block lies between `<!-- name: begin -->` and `<!-- name: end -->`; scaling.blocks.BLOCKS lists the names. `record`
copies small tables and pictures of a run to `resources/recorded` with its config, versions and date; `write` renews
the blocks; `check` fails when a document differs from what `write` would write.
"""

import argparse
import datetime
import logging
import re
from pathlib import Path

import yaml
from PIL import Image

from scaling import command, tables
from scaling.blocks import BLOCKS
from scaling.command import InputError, whole_file
from scaling.config import read_config
from scaling.recorded import provenance, versions, write_manifest


SHEET_WIDTH = 1600  # pixels, of the sheet of all figures
PICTURE_WIDTH = 840  # pixels: two beside each other on a README's page, sharp on a dense screen


def documents(root: Path) -> list[Path]:
    """README.md and the pages of docs that have blocks of a recorded run, below the repository's folder `root`.

    The block in docs/faults.md is written by `make faults`.
    """
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    blocks = [page for page in pages if ": begin -->" in page.read_text(encoding="utf-8")]
    return [page for page in blocks if page.name != "faults.md"]


def with_blocks(text: str, recorded: Path) -> str:
    """`text` with the content of every marked block renewed; raises InputError for unpaired or unknown marks."""
    marks = re.findall(r"<!-- (\w+): (begin|end) -->", text)
    names = [name for name, end in marks if end == "begin"]
    for name in dict.fromkeys(name for name, _ in marks):
        if name not in BLOCKS:
            raise InputError(f"no block {name!r}; the blocks are {', '.join(BLOCKS)}")
        if [end for other, end in marks if other == name] != ["begin", "end"]:
            raise InputError(f"block {name!r} needs one begin mark and, after it, one end mark")
    for name in names:
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{BLOCKS[name](recorded)}\n{end}{rest.split(end)[1]}"
    return text


def record_tables(paths: list[Path], configs: list[Path], recorded: Path, date: datetime.date) -> None:
    """Copy tables (named as in the dictionary) to `recorded` and write `run.yaml`: date, versions, config files."""
    contents = {path.name: read_config(path) for path in configs}
    for path in paths:
        if path.stem not in tables.dictionary():
            raise InputError(f"{path}: no table {path.stem}; the tables are {', '.join(tables.dictionary())}")
    frames = {path: tables.read(path.stem, path) for path in paths}
    for path, frame in frames.items():
        tables.write(path.stem, frame, recorded / path.name)
    run = {
        "date": date.isoformat(),
        "versions": versions(),
        "provenance": provenance(),
        "config": contents,
    }
    with whole_file(recorded / "run.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(run, sort_keys=False, allow_unicode=True), encoding="utf-8")


def record_pictures(paths: list[Path], recorded: Path) -> None:
    """Small copies of PNG figures in `recorded`/figures, and of the sheet of all in `recorded`."""
    for path in paths:
        if path.suffix != ".png" or not path.is_file():
            raise InputError(f"{path}: no such PNG figure; make it with `snakemake --cores all {path}`")
        whole = path.stem == "overview"
        width = SHEET_WIDTH if whole else PICTURE_WIDTH
        copy = recorded / path.name if whole else recorded / "figures" / path.name
        with Image.open(path) as picture, whole_file(copy) as temporary:
            width = min(width, picture.width)
            height = round(picture.height * width / picture.width)
            small = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            # Of the ways to a palette the one that keeps rare colours: the others turn a few orange points grey.
            small.quantize(256, Image.Quantize.MAXCOVERAGE).save(temporary, format="png", optimize=True)


def main() -> None:
    """Command line: record a run, write the documents' blocks, or check them."""
    parser = argparse.ArgumentParser(prog="python -m scaling.readme", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="copy tables and pictures of a run with config, versions and date")
    recording.add_argument("--tables", type=Path, nargs="+", required=True, help="tables, such as results/tables/*.csv")
    recording.add_argument("--figures", type=Path, nargs="*", default=[], help="figures, such as results/figures/*.png")
    recording.add_argument("--config", type=Path, nargs="+", required=True, help="config files of the run, in order")
    for name, meaning in (("write", "renew the blocks"), ("check", "fail if a block differs from the recorded run")):
        part = commands.add_parser(name, help=meaning)
        part.add_argument("--root", type=Path, default=Path(), help="folder of the repository")
    for part in commands.choices.values():
        part.add_argument(
            "--recorded", type=Path, default=Path("resources/recorded"), help="folder of the recorded run"
        )
    options = parser.parse_args()
    if options.command == "record":
        record_tables(options.tables, options.config, options.recorded, datetime.datetime.now(tz=datetime.UTC).date())
        record_pictures(options.figures, options.recorded)
        write_manifest(options.recorded)
        logging.info(
            "%s: recorded %d tables and %d pictures", options.recorded, len(options.tables), len(options.figures)
        )
        return
    for document in documents(options.root):
        text = document.read_text(encoding="utf-8")
        try:
            renewed = with_blocks(text, options.recorded.resolve())
        except InputError as error:
            raise InputError(f"{document}: {error}") from None
        if options.command == "check" and renewed != text:
            raise InputError(f"{document}: blocks differ from {options.recorded}; run `python -m scaling.readme write`")
        if renewed != text:
            with whole_file(document) as temporary:
                temporary.write_text(renewed, encoding="utf-8")
        logging.info("%s: %s", document, "renewed" if renewed != text else "as recorded")


if __name__ == "__main__":
    command.run(main)
