"""Check whether a run of the workflow may start in its folder, and summarise what it wrote."""

import os
from pathlib import Path
from typing import IO

from snakemake.exceptions import WorkflowError


LOCK = Path(".snakemake", "superposition-scaling.lock")


def check_writable() -> None:
    """Raise WorkflowError, in one line, if Snakemake cannot write its metadata."""
    place = Path(".snakemake" if os.path.exists(".snakemake") else ".").resolve()
    if not os.access(place, os.W_OK):
        raise WorkflowError(f"{place}: cannot be written to; use another folder with --directory")


def hold_lock() -> IO[str] | None:
    """Allow one run at a time in a folder, with a lock that the operating system releases when the process ends.

    Snakemake's own lock outlives a killed run, which then needs --unlock before the same command resumes it
    (tests/test_workflow.py kills a run and repeats it). The profiles turn that lock off. Raises WorkflowError.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    LOCK.parent.mkdir(exist_ok=True)
    lock = LOCK.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise WorkflowError(
            f"another snakemake is running in {os.getcwd()}; wait until it ends, or use another folder with --directory"
        ) from None
    return lock


def closing_lines() -> str:
    """Return a summary of the files that a run wrote."""
    tables = sorted(path.stem for path in Path("results/tables").glob("*.csv"))
    figures = len(list(Path("results/figures").glob("*.svg")))
    models = len(list(Path("results/toy/models").rglob("m*_seed*.safetensors")))
    members = len(list(Path("results/llm/family").glob("*/*/model.safetensors")))
    lines = {
        f"{len(tables)} tables in results/tables: {', '.join(tables)}": tables,
        f"{figures} figures in results/figures; overview.png shows the main ones": figures,
        f"trained: {models} toy models in results/toy/models, {members} language models in results/llm/family": models
        + members,
        "expected numbers and ours: results/tables/claims.csv, results/figures/claims.png": "claims" in tables,
        "all of it in one file: make report; one log per job in logs": figures,
    }
    return "\n".join(line for line, there in lines.items() if there)
