"""The workflow on the smallest study, as a user runs it."""

import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).parents[1]
CONFIGS = [str(ROOT / "config.yaml"), str(ROOT / "tests" / "smoke.yaml")]


def command(folder, *arguments, configs=CONFIGS):
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*line, *arguments, "--configfile", *configs]


def snakemake(folder, *arguments, configs=CONFIGS):
    return subprocess.run(
        command(folder, *arguments, configs=configs), cwd=ROOT, capture_output=True, text=True, check=False
    )
