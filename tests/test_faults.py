"""The cheaper faults of tests/faults.py; `make faults` tries them all."""

import re
from pathlib import Path

import pytest
from faults import Study, faults


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A run that nothing happened to."""
    study = Study(tmp_path_factory.mktemp("faults") / "undisturbed", {})
    study.folder.mkdir()
    assert study.run() == 0, study.output()
    study.undisturbed = study.tables()
    assert len(study.undisturbed) == 5
    return study


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("job", "SIGKILL|137|-9"),
        ("flipped", "SHA-256 does not match.*renamed to"),
        ("column", "lacks column loss"),
        ("folder", "cannot be written to; use another folder"),
    ],
)
def test_the_message_helps_and_the_same_command_resumes(fault: str, message: str, undisturbed: Study) -> None:
    folder: Path = undisturbed.folder.parent / fault
    folder.mkdir()
    row = faults()[fault](Study(folder, undisturbed.undisturbed))
    assert row.code != 0
    assert "completes, the same tables" in row.again
    assert "TRACEBACK" not in row.message
    assert re.search(message, row.message), row.message
