"""The README's marked blocks, written from the tables of a recorded run, so that no number in them is typed.

A block stands between `<!-- name: begin -->` and `<!-- name: end -->`; the names are those of BLOCKS.
`record` copies small tables of a run to `resources/recorded` with its config, versions and date; `write` renews the
blocks; `check` fails when the README differs from what `write` would make of it.
"""

import argparse
import datetime
import importlib.metadata
import logging
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from scaling import command, tables
from scaling.command import InputError, whole_file


PACKAGES = ["numpy", "scipy", "pandas", "torch", "numba", "snakemake", "transformers"]


def number(value: float, error: float) -> str:
    """`value ± error` with the decimals that two digits of the error ask for; three digits without an error."""
    if pd.isna(value):
        return ""
    if pd.isna(error) or error == 0:
        return f"{value:.3g}"
    decimals = max(0, 1 - int(f"{error:e}".split("e")[1]))
    return f"{value:.{min(decimals, 4)}f} ± {error:.{min(decimals, 4)}f}"


def claims_block(folder: Path) -> str:
    """The claims as a Markdown table, those that were not run as a line beneath."""
    claims = tables.read("claims", folder / "claims.csv")
    done = claims[claims["verdict"] != "not_run"]
    counts = done["verdict"].value_counts()
    summary = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("reproduced", "within_error", "differs"))
    lines = [f"{summary}.", "", "| claim | where | quantity | published | ours | n | source | verdict |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in done.to_dict("records"):
        bound = {"at least": "≥ ", "at most": "≤ "}.get(row["relation"], "")
        published = bound + number(row["published"], row["published_err"])
        cells = [row["claim"], row["where"], row["quantity"], published, number(row["ours"], row["ours_err"])]
        cells += [str(row["n"]), row["source"], row["verdict"].replace("_", " ")]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    missing = claims.loc[claims["verdict"] == "not_run", "claim"].value_counts(sort=False)
    if len(missing):
        names = "; ".join(f"{claim} ({count} row{'s' if count > 1 else ''})" for claim, count in missing.items())
        lines += ["", f"Not run in this study, with how to run them in the table's note: {names}."]
    return "\n".join(lines)


def run_block(folder: Path) -> str:
    """When and with what the recorded run was made."""
    run = read_run(folder)
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    return (
        f"Recorded on {run['date']} ({versions}); its config and tables stand in "
        f"[resources/recorded](resources/recorded)."
    )


def dictionary_block(folder: Path) -> str:
    """The data dictionary of every table."""
    return tables.markdown().rstrip()


BLOCKS: dict[str, Callable[[Path], str]] = {"claims": claims_block, "run": run_block, "dictionary": dictionary_block}


def read_run(folder: Path) -> dict[str, Any]:
    """`run.yaml` of a recorded run; raises InputError when it is not there or says too little."""
    path = folder / "run.yaml"
    if not path.is_file():
        raise InputError(f"{path}: no recorded run; make one with `python -m scaling.readme record`")
    run = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(run, dict) or not {"date", "versions", "config"} <= set(run):
        raise InputError(f"{path}: must hold date, versions and config")
    return run


def with_blocks(text: str, folder: Path) -> str:
    """`text` with the content of every marked block renewed; raises InputError for unpaired or unknown marks."""
    marks = re.findall(r"<!-- (\w+): (begin|end) -->", text)
    names = [name for name, end in marks if end == "begin"]
    for name in dict.fromkeys(name for name, _ in marks):
        if name not in BLOCKS:
            raise InputError(f"README: no block {name!r}; the blocks are {', '.join(BLOCKS)}")
        if [end for other, end in marks if other == name] != ["begin", "end"]:
            raise InputError(f"README: block {name!r} needs one begin mark and, after it, one end mark")
    for name in names:
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{BLOCKS[name](folder)}\n{end}{rest.split(end)[1]}"
    return text


def record(paths: list[Path], configs: list[Path], folder: Path, date: datetime.date) -> None:
    """Copy tables (named as in the dictionary) to `folder` and write `run.yaml`: date, versions, config files."""
    for path in paths:
        if path.stem not in tables.dictionary():
            raise InputError(f"{path}: no table {path.stem}; the tables are {', '.join(tables.dictionary())}")
        tables.write(path.stem, tables.read(path.stem, path), folder / path.name)
    run = {
        "date": date.isoformat(),
        "versions": {"Python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "config": {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in configs},
    }
    with whole_file(folder / "run.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(run, sort_keys=False, allow_unicode=True), encoding="utf-8")


def main() -> None:
    """Command line: record a run, write the README's blocks, or check them."""
    parser = argparse.ArgumentParser(prog="python -m scaling.readme", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="copy tables of a run with config, versions and date")
    recording.add_argument("--tables", type=Path, nargs="+", required=True, help="tables, such as results/tables/*.csv")
    recording.add_argument("--config", type=Path, nargs="+", required=True, help="config files of the run, in order")
    for name, meaning in (("write", "renew the blocks"), ("check", "fail when a block is not what write would make")):
        part = commands.add_parser(name, help=meaning)
        part.add_argument("--readme", type=Path, default=Path("README.md"))
    for part in commands.choices.values():
        part.add_argument(
            "--recorded", type=Path, default=Path("resources/recorded"), help="folder of the recorded run"
        )
    options = parser.parse_args()
    if options.command == "record":
        record(options.tables, options.config, options.recorded, datetime.datetime.now(tz=datetime.UTC).date())
        logging.info("%s: recorded %d tables", options.recorded, len(options.tables))
        return
    text = options.readme.read_text(encoding="utf-8")
    renewed = with_blocks(text, options.recorded)
    if options.command == "check" and renewed != text:
        raise InputError(
            f"{options.readme}: blocks differ from {options.recorded}; type `python -m scaling.readme write`"
        )
    if renewed != text:
        with whole_file(options.readme) as temporary:
            temporary.write_text(renewed, encoding="utf-8")
    logging.info("%s: %s", options.readme, "renewed" if renewed != text else "as recorded")


if __name__ == "__main__":
    command.run(main)
