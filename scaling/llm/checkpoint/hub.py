"""Read byte ranges of the files in a model repository, from the Hugging Face cache or the Hub.

Only the ranges that are needed are requested. The first response names a commit, and every later request is for that
commit. The status, range and length of each response are checked before its bytes are used.
"""

import itertools
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status, validate_repo_id

from scaling.command import InputError
from scaling.llm.checkpoint.files import CHUNK, File, LocalFile, MissingFileError, check_inside, plain


constants.HF_HUB_DISABLE_TELEMETRY = True  # otherwise huggingface_hub first contacts the Hub: 3 s without a network
logging.getLogger("httpx2").setLevel(logging.WARNING)  # at INFO it logs every URL with its signature

TRANSIENT = {408, 429, 500, 502, 503, 504}  # status codes after which to retry
COMMIT = re.compile(r"[0-9a-f]{40}")


class HubError(InputError):
    """The Hub is unreachable, refuses the request, or sends an invalid response; the message says what to do."""


class NoConnectionError(HubError):
    """There is no connection to the Hub, or offline mode is set."""


class UnavailableError(HubError):
    """Requests to the Hub repeatedly fail, stall, or are rate-limited."""


class AccessDeniedError(HubError):
    """The model is gated, or the Hub does not accept the token."""


class UnknownModelError(HubError):
    """The model does not exist or is private."""


class UnknownRevisionError(HubError):
    """The model has no such branch, tag or commit."""


class RangeNotSupportedError(HubError):
    """The server ignores byte ranges and would send the whole file."""


class BadAnswerError(HubError):
    """The response is not what was requested: another range, an encoding, no commit."""


@dataclass(frozen=True)
class Patience:
    """Timeouts in seconds, and the number of tries without progress."""

    answer: float = 4.0  # to connect and to receive the first response; "no network" is reported within 5 s
    silence: float = 10.0  # between two pieces of the body
    tries: int = 5
    first_wait: float = 1.0  # doubles with each retry, up to 8 times
    longest_wait: float = 60.0  # upper bound on Retry-After

    def wait(self, tried: int, retry_after: str | None) -> float:
        """Return the seconds to wait after `tried` failures: Retry-After if given, otherwise 1, 2, 4, 8, 8."""
        if retry_after is not None and retry_after.isdecimal():
            return min(self.longest_wait, float(retry_after))
        return min(8 * self.first_wait, self.first_wait * 2 ** (tried - 1))


@dataclass
class RemoteFile:
    """A file of a Hub repository at one commit."""

    repo_id: str
    path: str
    commit: str
    size: int
    endpoint: str = constants.ENDPOINT
    patience: Patience = Patience()
    received: int = 0

    @property
    def name(self) -> str:
        """Repository and path."""
        return f"{self.repo_id}/{self.path}"

    def stream(self, start: int, nbytes: int) -> Iterator[bytes]:
        """Yield bytes [start, start + nbytes) in pieces; an interrupted download is resumed where it stopped.

        Raises RangeNotSupportedError, before the body is read, if the server ignores the range; BadAnswerError if
        it sends another range; UnavailableError after `patience.tries` tries without progress; and errors of the Hub.
        """
        check_inside(self, start, nbytes)
        end, failures = start + nbytes, 0
        while start < end:
            begun, reason, retry_after = start, "the body ended early", None
            try:
                for piece in self._body(start, end):
                    start += len(piece)
                    self.received += len(piece)
                    yield piece
            except httpx2.RequestError as error:
                reason = type(error).__name__
            except HfHubHTTPError as error:
                if error.response.status_code not in TRANSIENT:
                    raise refusal(error, self.endpoint, self.repo_id, self.commit, self.path) from error
                reason = f"status {error.response.status_code}"
                retry_after = error.response.headers.get("Retry-After")
            if start == end:
                return
            failures = 0 if start - begun >= min(nbytes, CHUNK) else failures + 1
            if failures > self.patience.tries:
                raise UnavailableError(
                    f"{self.name}: {end - start} of {nbytes} bytes are missing after {failures} tries ({reason}); "
                    "try again later with the same command"
                )
            if failures:
                time.sleep(self.patience.wait(failures, retry_after))

    def _body(self, start: int, end: int) -> Iterator[bytes]:
        """Request bytes [start, end) once, check the response, and yield its body as it arrives."""
        headers = build_hf_headers()
        headers |= {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        timeout = httpx2.Timeout(self.patience.silence, connect=self.patience.answer)
        url = hf_hub_url(self.repo_id, self.path, revision=self.commit, endpoint=self.endpoint)
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            if response.status_code == 200 and (start, end) != (0, self.size):
                raise RangeNotSupportedError(
                    f"{self.name}: the server ignores byte ranges and would send all {self.size} bytes; "
                    "download the model with `hf download` and run again, which reads it from the cache"
                )
            answered = response.headers.get("Content-Range", "")
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answered)
            if response.status_code == 206 and not (
                match and int(match[1]) == start and int(match[2]) < end and match[3] in ("*", str(self.size))
            ):
                raise BadAnswerError(f"{self.name}: requested bytes {start}-{end - 1}/{self.size}, got {answered!r}")
            if response.status_code not in (200, 206):
                raise BadAnswerError(f"{self.name}: unexpected status {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise BadAnswerError(f"{self.name}: the response is encoded ({response.headers['Content-Encoding']})")
            for piece in response.iter_raw():
                start += len(piece)
                if start > end:
                    raise BadAnswerError(f"{self.name}: received more bytes than requested")
                yield piece


def refusal(error: HfHubHTTPError, endpoint: str, repo_id: str, revision: str, path: str) -> InputError:
    """Return the error for a refused request: one line, without signed URLs or tokens, that says what to do."""
    status = error.response.status_code
    page = f"{endpoint}/{repo_id}"
    if isinstance(error, GatedRepoError):
        return AccessDeniedError(f"{repo_id}: gated; accept its terms at {page} and log in with `hf auth login`")
    if isinstance(error, RepositoryNotFoundError):
        return UnknownModelError(f"{repo_id}: no such model at {endpoint}, or a private one: `hf auth login`")
    if isinstance(error, RevisionNotFoundError):
        return UnknownRevisionError(f"{repo_id}: no revision {revision!r}; see {page}/tree/main")
    if isinstance(error, EntryNotFoundError):
        return MissingFileError(f"{repo_id}: no file {path} at revision {revision}")
    if status in (401, 403):
        return AccessDeniedError(f"{repo_id}: the Hub does not accept your token (status {status}); `hf auth login`")
    if status in TRANSIENT:
        return UnavailableError(f"{repo_id}/{path}: the Hub keeps answering status {status}; try again later")
    return BadAnswerError(f"{repo_id}/{path}: the Hub answers status {status}")


def no_connection(repo_id: str, reason: str) -> NoConnectionError:
    """Return the error for a machine without a network, which lists the alternatives."""
    return NoConnectionError(
        f"{repo_id}: {reason}. Connect this machine, or set HF_ENDPOINT to a mirror, "
        "or name a local folder as the model's path; models in the Hugging Face cache need no network"
    )


@dataclass
class Repository:
    """A model repository on the Hub, pinned to the commit that the first response names.

    Files in the Hugging Face cache are read without a request. `revision` is a branch, tag or commit.
    """

    repo_id: str
    revision: str = "main"
    endpoint: str = constants.ENDPOINT
    patience: Patience = Patience()
    commit: str = ""
    files: list[File] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            validate_repo_id(self.repo_id)
        except HFValidationError as error:
            raise InputError(f"model {self.repo_id!r} is not a Hub id (owner/name): {error}") from None
        if ".." in self.revision:
            raise InputError(f"revision {self.revision!r} of {self.repo_id} is not a branch, tag or commit")
        if COMMIT.fullmatch(self.revision):
            self.commit = self.revision

    @property
    def name(self) -> str:
        """The id of the repository."""
        return self.repo_id

    def has(self, path: str) -> bool:
        """Whether the file is in the Hugging Face cache on this machine."""
        return self._cached(path) is not None

    def open(self, path: str) -> File:
        """Return the file `path` at the pinned commit. Raises MissingFileError, NoConnectionError, HubError."""
        path = plain(path, self.repo_id)
        file = self._cached(path) or self._remote(path)
        self.files.append(file)
        return file

    def _cached(self, path: str) -> LocalFile | None:
        found = try_to_load_from_cache(self.repo_id, path, revision=self.commit or self.revision)
        if not isinstance(found, str):  # None: unknown; a marker: known to be missing, so ask the Hub again
            return None
        self.commit = self.commit or Path(found).parent.name  # .../snapshots/<commit>/<file>
        return LocalFile(Path(found))

    def _remote(self, path: str) -> RemoteFile:
        url = hf_hub_url(self.repo_id, path, revision=self.commit or self.revision, endpoint=self.endpoint)
        for tried in itertools.count(1):
            try:
                found = get_hf_file_metadata(url, timeout=self.patience.answer, endpoint=self.endpoint)
                break
            except OfflineModeIsEnabled:
                raise no_connection(self.repo_id, "not on this machine, and HF_HUB_OFFLINE is set") from None
            except (httpx2.ReadTimeout, httpx2.RemoteProtocolError, httpx2.ReadError) as error:
                if tried > 1:
                    raise UnavailableError(f"{url}: no response ({type(error).__name__}); try again later") from error
            except httpx2.TooManyRedirects as error:
                raise BadAnswerError(f"{url}: too many redirects") from error
            except httpx2.RequestError as error:
                reason = f"no connection to {self.endpoint} ({type(error).__name__})"
                raise no_connection(self.repo_id, reason) from error
            except HfHubHTTPError as error:
                if error.response.status_code not in TRANSIENT or tried > self.patience.tries:
                    raise refusal(error, self.endpoint, self.repo_id, self.commit or self.revision, path) from error
                time.sleep(self.patience.wait(tried, error.response.headers.get("Retry-After")))
        if found.commit_hash is None or not COMMIT.fullmatch(found.commit_hash) or found.size is None:
            raise BadAnswerError(f"{url}: the response has no commit or size; is HF_ENDPOINT a Hub?")
        if self.commit and found.commit_hash != self.commit:
            raise BadAnswerError(f"{url}: the response is for commit {found.commit_hash}, not {self.commit}")
        self.commit = found.commit_hash
        return RemoteFile(self.repo_id, path, self.commit, found.size, self.endpoint, self.patience)
