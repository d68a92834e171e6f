"""What every command shares: one error line and exit code 1, files that are whole or not there."""

import argparse
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scaling import command
from scaling.command import InputError, run, whole_file


def fails(error: Exception) -> str | int | None:
    """What `run` says when a command raises `error`."""

    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        run(main)
    return end.value.code


def test_an_input_error_is_one_line() -> None:
    assert fails(InputError("gamma = nan: must be finite")) == "error: gamma = nan: must be finite"


def test_a_failing_file_is_named() -> None:
    assert fails(PermissionError(13, "Permission denied", "results/x")) == "error: Permission denied: results/x"
    renamed = IsADirectoryError(21, "Is a directory", ".out.a1b2", None, "out")
    assert fails(renamed) == "error: Is a directory: out"
    assert fails(OSError(28, "No space left on device")) == "error: No space left on device"
    assert fails(OSError("the Hub is away")) == "error: the Hub is away"


def test_any_other_error_is_a_bug_and_keeps_its_trace() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_a_process_ends_with_1_and_nothing_but_the_line() -> None:
    code = "from scaling.command import InputError, run\ndef main():\n    raise InputError('no')\nrun(main)"
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (end.returncode, end.stdout, end.stderr) == (1, "", "error: no\n")


def test_a_whole_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (path.parent, ".csv")
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, InputError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write() -> None:
        with whole_file(str(path)) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_may_be_read_by_others_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "table.csv") as temporary:
            temporary.write_text("x")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "table.csv").stat().st_mode) == 0o640


def test_a_folder_that_is_a_file_is_an_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(OSError, match="results"), whole_file(tmp_path / "results" / "table.csv"):
        pass


def test_leftovers_of_a_killed_process_are_removed_but_not_files_in_use(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    code = (
        "import os, sys; from scaling.command import whole_file\n"
        "with whole_file(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with whole_file(path) as outer:
        outer.write_text("outer")
        with whole_file(path) as inner:
            inner.write_text("inner")
        assert {item.name for item in tmp_path.iterdir()} == {"table.csv", outer.name}
    assert path.read_text() == "outer"
    assert list(tmp_path.iterdir()) == [path]


def test_an_input_error_is_always_printable() -> None:
    assert str(InputError("a\nb\x1b[2J\0é")) == r"a\nb\x1b[2J\x00é"
    assert len(str(InputError("x" * 10**6))) < 3000


@pytest.mark.parametrize("text", ["-1", "1.5", "many", ""])
def test_an_integer_option_says_its_smallest_value(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be an integer of at least 0"):
        command.at_least(0)(text)
    assert command.at_least(0)("0") == 0
