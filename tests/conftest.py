"""What the test files share: one thread per library, the profiles of Hypothesis, and one run of the whole workflow.

Tiny arrays gain nothing from more threads, in tests and in the commands that they start.
"""

import os
import socket
from collections.abc import Iterator

import pytest
import smoke_run
from hypothesis import HealthCheck, settings


for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# `make test` tries the same examples on every machine. `make test-slow` (profile "explore") tries new ones, and prints
# the seed and how to repeat a failure, which then becomes an explicit example. Neither depends on the machine's speed.
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A folder in which the whole workflow ran on two cores."""
    folder = tmp_path_factory.mktemp("whole")
    done = smoke_run.snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def refusing_address() -> Iterator[str]:
    """A web address that refuses every connection: its port is taken, and nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the code asks to wait; it continues at once."""
    asked: list[float] = []
    monkeypatch.setattr("time.sleep", asked.append)
    return asked
