"""Shared by all commands: one-line errors, log lines with time stamps, atomic file writes, peak memory."""

import argparse
import glob
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


try:
    import fcntl
    import resource
except ImportError:  # Windows has neither; temporary files of a killed run stay there
    fcntl = resource = None  # type: ignore[assignment]

LONGEST_MESSAGE = 2000  # characters


class InputError(ValueError):
    """An error that the user can correct: the message says what is wrong, where, what is allowed and what to do.

    It is shown as one line of printable characters, even if names from a file or a server contain others.
    """

    def __str__(self) -> str:
        text = super().__str__()
        shown = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
        return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[:LONGEST_MESSAGE]}…"


def run(main: Callable[[], None]) -> None:
    """Run a command's `main`: an InputError or a failing file ends as one line on stderr and exit code 1."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S", stream=sys.stderr
    )
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.strerror or error}: {error.filename2 or error.filename or ''}".rstrip(": "))


def at_least(least: int) -> Callable[[str], int]:
    """Return a type for an option of argparse: an integer of at least `least`."""

    def integer(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r}: must be an integer of at least {least}")
        return value

    return integer


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on any failure.

    A reader therefore sees the old file or the complete new one, even after a power cut. Temporary files of a killed
    process are removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    temporary = Path(name)
    try:
        with suppress(OSError):  # a file system without locks, where leftovers stay
            if fcntl:
                fcntl.flock(handle, fcntl.LOCK_EX)  # held while this process lives: it tells work from leftovers
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files; tables are to be read by others
        os.fsync(handle)
        temporary.replace(path)
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; ru_maxrss would count the parent's memory at the fork as ours
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    if resource is None:
        return 0
    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_rss if sys.platform == "darwin" else peak_rss * 1024


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` that no process has locked: those of a run that was killed while writing."""
    if fcntl is None:
        return
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with suppress(OSError), leftover.open("rb") as handle:  # another process may hold or remove it
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()
