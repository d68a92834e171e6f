"""What a run does when something goes wrong: each fault is tried, and its row written to docs/faults.md.

    make faults        # or: python tests/faults.py --output docs/faults.md

Each fault has a folder of its own with a small study. After it the same command runs again, and the tables must be
those of an undisturbed run, bit for bit but for wall times. As root two more faults are tried: a full disk (a tmpfs of
some kB), and results that may not be written.
"""

import argparse
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import yaml

from scaling.command import whole_file


ROOT = Path(__file__).parents[1]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
GRID = {"training": "paper", "n": 60, "m": [4, 6, 8, 10], "gamma": [-0.5555555556], "alpha": [1], "seeds": 1}
STUDY = {
    "toy": {
        "held_out_samples": 4096,
        "interventions": [],
        "trainings": {"paper": {"steps": 3000, "batch_size": 512, "warmup_steps": 200}},
        "experiments": {name: [GRID] for name in DEFAULT["toy"]["experiments"]},
    }
}
TARGETS = ["toy", "results/tables/toy_exponents.csv"]
MODELS = "results/toy/models/paper/power_law_n60_alpha1_E1/gamma-0.555556"
# Python runs sitecustomize.py as it starts; folders are made by one process alone.
KILL_FIRST_TRAINING = """
import os, pathlib, signal, sys
if "scaling.toy.training" in sys.orig_argv:
    try:
        pathlib.Path(__file__).with_name("killed").mkdir()
    except FileExistsError:
        pass
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


@dataclass(frozen=True)
class Row:
    """What a fault did, and what the same command did after it."""

    fault: str
    happened: str
    code: int
    message: str
    again: str


@dataclass
class Study:
    """A folder with the small study, and how its runs ended."""

    folder: Path
    undisturbed: dict[str, str]
    prefix: tuple[str, ...] = ()

    def start(self) -> subprocess.Popen[str]:
        """A run, in a process group of its own as in a terminal; what it prints goes to a file."""
        (self.folder.parent / "study.yaml").write_text(yaml.safe_dump(STUDY))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", *TARGETS]
        command += ["--directory", str(self.folder), "--configfile", str(ROOT / "config.yaml")]
        with (self.folder.parent / f"{self.folder.name}.log").open("w") as output:
            return subprocess.Popen(
                [*self.prefix, *command, str(self.folder.parent / "study.yaml")],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                process_group=0,
            )

    def run(self) -> int:
        """A whole run; its exit code."""
        return self.start().wait()

    def output(self) -> str:
        """What the last run printed."""
        return (self.folder.parent / f"{self.folder.name}.log").read_text(errors="replace")

    def message(self) -> str:
        """The lines of the last run that say what is wrong."""
        lines = self.output().splitlines()
        said = [line.strip() for line in lines if line.startswith("error: ")]
        for line, after in itertools.pairwise(lines):
            if line.startswith("WorkflowError") and after.strip() not in said:
                said.append(after.strip())
        said += re.findall(
            r"Shutting down|Terminating processes[^,.]*|died with <[^>]*>|exit status (?:137|-9)", self.output()
        )
        said = [line for line in said if not line.startswith("At least one job")] or said
        text = "; ".join(dict.fromkeys(said)).replace(str(self.folder), "…").replace(f"{MODELS}/", "")
        return text if "Traceback" not in self.output() else f"TRACEBACK {text}"

    def tables(self) -> dict[str, str]:
        """The tables as text, less the wall time of trainings."""
        found = {path.name: path.read_text() for path in sorted(self.folder.glob("results/tables/*.csv"))}
        if "toy_models.csv" in found:
            models = pd.read_csv(self.folder / "results/tables/toy_models.csv", dtype=str)
            found["toy_models.csv"] = models.drop(columns="seconds").to_csv()
        return found

    def again(self) -> str:
        """How the same command ends now, and whether the tables are those of an undisturbed run."""
        code = self.run()
        if code:
            return f"exit code {code}: {self.message()}"
        tables = "the same tables" if self.tables() == self.undisturbed else "OTHER TABLES"
        left = list(self.folder.glob("results/**/.*"))
        return f"completes, {tables}" + (f", {len(left)} files left over" if left else "")

    def half_way(self) -> subprocess.Popen[str]:
        """A run of which two models are trained and others are at work."""
        run = self.start()
        while run.poll() is None:
            if len(list(self.folder.glob(f"{MODELS}/m*.safetensors"))) >= 2 and self.jobs(run):
                break
            time.sleep(0.05)
        return run

    def jobs(self, run: subprocess.Popen[str]) -> list[psutil.Process]:
        """Trainings that a run has started."""
        children = psutil.Process(run.pid).children(recursive=True)
        return [child for child in children if "scaling.toy.training" in child.cmdline()]

    def trained(self) -> str:
        """How many models there are."""
        whole = len(list(self.folder.glob(f"{MODELS}/m*.safetensors")))
        return f"{whole} of 4 models kept, {len(self.tables())} of 5 tables"

    def finished(self) -> None:
        """Put a finished run here."""
        shutil.copytree(self.folder.parent / "undisturbed", self.folder, dirs_exist_ok=True)


def stopped(study: Study, name: str, stop: Callable[[subprocess.Popen[str]], None]) -> Row:
    """The row of a run that is stopped half way."""
    run = study.half_way()
    stop(run)
    code = run.wait()
    return Row(name, study.trained(), code, study.message(), study.again())


def signalled(study: Study) -> Row:
    return stopped(study, "SIGTERM to snakemake", lambda run: run.terminate())


def interrupted(study: Study) -> Row:
    return stopped(study, "SIGINT to all (Ctrl-C)", lambda run: os.killpg(run.pid, signal.SIGINT))


def killed(study: Study) -> Row:
    return stopped(study, "kill -9 of snakemake and its jobs", lambda run: os.killpg(run.pid, signal.SIGKILL))


def orphaned(study: Study) -> Row:
    return stopped(study, "kill -9 of snakemake alone", lambda run: run.kill())


def job_killed(study: Study) -> Row:
    """The first training kills itself as it starts, whenever that is, so that this works on a busy machine too."""
    folder = study.folder.parent / "kill_first_training"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(KILL_FIRST_TRAINING)
    study.prefix = ("env", f"PYTHONPATH={folder}")
    code = study.run()
    return Row("kill -9 of a job", study.trained(), code, study.message(), study.again())


def full_disk(study: Study, kilobytes: int) -> Row:
    """Run in a file system that is too small, then make it larger."""
    mounted = str(study.folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", mounted], check=True)
    try:
        code = study.run()
        happened, message = study.trained(), study.message()
        subprocess.run(["mount", "-o", "remount,size=50m", mounted], check=True)
        return Row(f"disk full at {kilobytes} kB", happened, code, message, f"with room: {study.again()}")
    finally:
        subprocess.run(["umount", "--lazy", mounted], check=True)


def read_only(study: Study, place: str) -> Row:
    """Run where a folder may not be written, then let it be."""
    (study.folder / place).mkdir(exist_ok=True)
    (study.folder / place).chmod(0o555)
    if os.geteuid() == 0:  # root may write anywhere, unless it gives that up
        study.prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    code = study.run()
    happened, message = study.trained(), study.message()
    (study.folder / place).chmod(0o755)
    what = "results" if place == "results" else "the whole folder"
    return Row(f"{what} not writable", happened, code, message, f"made writable: {study.again()}")


def two_runs(study: Study) -> Row:
    first = study.half_way()
    code, message = study.run(), study.message()
    first.wait()
    return Row("a second snakemake in the folder", "refused; the first continues", code, message, study.again())


def clock(study: Study, days: int) -> Row:
    """Half of a study made at another time than the other half, as after a change of the clock."""
    study.finished()
    for path in [*study.folder.glob(f"{MODELS}/m[46]_*"), study.folder / "results/tables/toy_features.csv"]:
        moved = time.time() + days * 86400
        os.utime(path, (moved, moved))
    (study.folder / "results/tables/toy_exponents.csv").unlink()
    code = study.run()
    name = f"half of the files made {abs(days)} days {'ahead' if days > 0 else 'ago'} (clock changed)"
    return Row(name, study.trained(), code, study.message(), study.again())


def damaged(study: Study, name: str, change: Callable[[bytes], bytes], place: str) -> Row:
    """A finished run one file of which changes; what is made from it is missing."""
    study.finished()
    path = study.folder / place
    path.write_bytes(change(path.read_bytes()))
    made = "results/tables/toy_exponents.csv" if path.suffix == ".csv" else "results/tables/toy_models.csv"
    (study.folder / made).unlink()
    code = study.run()
    happened, message = study.trained(), study.message()
    if path.suffix != ".csv":
        return Row(name, happened, code, message, study.again())
    path.unlink()
    return Row(name, happened, code, message, f"the file deleted: {study.again()}")


def flip(content: bytes) -> bytes:
    """One bit of a weight changed."""
    return content[:-1000] + bytes([content[-1000] ^ 4]) + content[-999:]


def without_column(content: bytes) -> bytes:
    """The table without its column loss."""
    lines = [line.split(",") for line in content.decode().splitlines()]
    at = lines[0].index("loss")
    return "\n".join(",".join(cells[:at] + cells[at + 1 :]) for cells in lines).encode()


def faults() -> dict[str, Callable[[Study], Row]]:
    """Every fault by name of its folder."""
    model = f"{MODELS}/m8_seed0.safetensors"
    table = "results/tables/toy_models.csv"
    found: dict[str, Callable[[Study], Row]] = {
        "sigterm": signalled,
        "sigint": interrupted,
        "sigkill": killed,
        "orphans": orphaned,
        "job": job_killed,
        "two": two_runs,
        "ahead": lambda study: clock(study, 400),
        "ago": lambda study: clock(study, -400),
        "cut": lambda study: damaged(study, "a model file cut short", lambda content: content[:-500], model),
        "flipped": lambda study: damaged(study, "one bit of a weight flipped", flip, model),
        "swapped": lambda study: damaged(
            study,
            "a model file in place of another",
            lambda _: (study.folder / f"{MODELS}/m4_seed0.safetensors").read_bytes(),
            model,
        ),
        "column": lambda study: damaged(study, "a table without a column", without_column, table),
        "edited": lambda study: damaged(
            study,
            "a table edited by hand (m = high)",
            lambda content: content.replace(b",60,8,", b",60,high,"),
            table,
        ),
        "results": lambda study: read_only(study, "results"),
        "folder": lambda study: read_only(study, "."),
    }
    if os.geteuid() == 0:
        found |= {f"full{size}": partial(full_disk, kilobytes=size) for size in (40, 130, 200)}
    return found


def main() -> None:
    """Try every fault, or those named, and write the table into its block of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "faults.md", help="page with the block")
    parser.add_argument("--only", nargs="*", choices=list(faults()), help="try just these, and print the rows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        study = Study(folder / "undisturbed", {})
        study.folder.mkdir()
        if study.run():
            sys.exit(f"error: the undisturbed run fails: {study.message()}")
        undisturbed = study.tables()
        lines = ["| fault | what is there after it | exit code | message | the same command again |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for place, fault in faults().items():
            if arguments.only and place not in arguments.only:
                continue
            (folder / place).mkdir()
            row = fault(Study(folder / place, undisturbed))
            message = f"`{textwrap.shorten(row.message, 260, placeholder=' …')}`" if row.message else ""
            cells = [row.fault, row.happened, str(row.code), message, row.again]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            print(lines[-1], flush=True)
    if arguments.only:
        return
    text = arguments.output.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with whole_file(arguments.output) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
