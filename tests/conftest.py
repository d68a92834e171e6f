"""What test files share: one thread for every library, and one run of the whole graph.

Tiny arrays gain nothing from more threads, in tests and in the commands that they start.
"""

import os

import pytest
import smoke_run


for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A folder in which the whole graph ran on two cores."""
    folder = tmp_path_factory.mktemp("whole")
    done = smoke_run.snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder
