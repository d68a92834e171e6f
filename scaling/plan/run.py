"""A run of the workflow in its folder: whether it may start, and what it has left at the end."""

import os
from pathlib import Path
from typing import IO

from snakemake.exceptions import WorkflowError


LOCK = Path(".snakemake", "superposition-scaling.lock")


def check_writable() -> None:
    """Raise WorkflowError in one line where Snakemake could not keep its notes, before it tries."""
    place = Path(".snakemake" if os.path.exists(".snakemake") else ".").resolve()
    if not os.access(place, os.W_OK):
        raise WorkflowError(f"{place}: cannot be written to; use another folder by --directory")


def hold_lock() -> IO[str] | None:
    """Allow one run at a time in a folder, by a lock that the system frees with the process.

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
            f"another snakemake is at work in {os.getcwd()}; wait until it ends, or use another folder by --directory"
        ) from None
    return lock


def closing_lines() -> str:
    """Return what a run has left and where to look."""
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
