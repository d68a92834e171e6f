"""What several test files share."""

import pytest
import smoke_run


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A folder in which the whole graph ran on two cores."""
    folder = tmp_path_factory.mktemp("whole")
    done = smoke_run.snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder
