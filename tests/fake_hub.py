"""A small stand-in for the Hugging Face Hub on 127.0.0.1 that can be told to misbehave.

    with FakeHub(folder) as hub:            # <folder>/<owner>/<name>/<files>
        hub.fault("owner/name/*.bin", "cut", after=1000, times=2)
        hub.bytes_sent("owner/name/*")

As on the real Hub, a small file is behind a redirect on the same host and a weight file behind one to another host (a
second port), where no Authorization header must arrive: `leaked_tokens` counts those that do.
"""

import contextlib
import fnmatch
import gzip
import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any


WEIGHTS = (".bin", ".safetensors")
PIECE = 1 << 16


@dataclass
class Fault:
    """How requests for files that match go wrong; `times` -1 is for ever, `skip` lets the first ones through.

    At the Hub itself: status (code, headers). Where bytes are served: ignore_range, wrong_range, short_range,
    length_short, length_long, cut (after), reset (after), stall (after), corrupt (at), gzip.
    For HEAD: status, stall, hang_up, drop_headers. A stall lasts until the client hangs up.
    """

    match: str
    kind: str
    method: str = "GET"
    times: int = 1
    skip: int = 0
    code: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int = 0
    at: int = 0


class FakeHub:
    """Serves the repositories in a folder; `gated` and `private` name those that need the token hf_good."""

    def __init__(self, root: Path, renamed: Mapping[str, str] | None = None) -> None:
        self.root, self.renamed = root, dict(renamed or {})
        self.gated: set[str] = set()
        self.private: set[str] = set()
        self.faults: list[Fault] = []
        self.sent: dict[str, int] = {}
        self.requests: list[tuple[str, str, int]] = []
        self.leaked_tokens = 0
        self.api_answer = (200, "")  # status and error code of every question about a data set
        self.lock = threading.Lock()
        self.servers = [Server(self, weights) for weights in (False, True)]
        self.url = f"http://127.0.0.1:{self.servers[0].server_port}"
        self.weights_url = f"http://localhost:{self.servers[1].server_port}"

    def __enter__(self) -> "FakeHub":
        self.threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}) for server in self.servers
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for server, thread in zip(self.servers, self.threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def fault(self, match: str, kind: str, **options: Any) -> None:
        """Let requests go wrong from now on."""
        with self.lock:
            self.faults.append(Fault(match, kind, **options))

    def clear(self) -> None:
        """Forget faults, counts, gates."""
        with self.lock:
            self.faults.clear()
            self.sent.clear()
            self.requests.clear()
            self.gated.clear()
            self.private.clear()
            self.leaked_tokens = 0

    def bytes_sent(self, match: str = "*") -> int:
        """Body bytes sent for the files that match."""
        with self.lock:
            return sum(sent for name, sent in self.sent.items() if fnmatch.fnmatch(name, match))

    def count(self, match: str = "*", method: str = "*") -> int:
        """Requests answered for the files that match."""
        with self.lock:
            return sum(fnmatch.fnmatch(name, match) and method in ("*", how) for how, name, _ in self.requests)

    def commit(self, repo: str) -> str:
        """The repository's only commit, made from names and sizes."""
        folder = self.root / repo
        listing = sorted((path.name, path.stat().st_size) for path in folder.iterdir())
        return hashlib.sha1(json.dumps([repo, listing]).encode()).hexdigest()

    def take_fault(self, name: str, method: str, kinds: tuple[str, ...]) -> Fault | None:
        """The first fault that applies to this request."""
        with self.lock:
            for fault in self.faults:
                if fault.times == 0 or fault.method != method or fault.kind not in kinds:
                    continue
                if not fnmatch.fnmatch(name, fault.match):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= fault.times > 0
                return fault
        return None


class Server(ThreadingHTTPServer):
    """One of the two hosts: the Hub itself, or where weight files are."""

    daemon_threads = True

    def __init__(self, hub: FakeHub, weights: bool) -> None:
        self.hub, self.weights = hub, weights
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    timeout = 600
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        """Send a whole answer."""
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        """Send an error as the Hub words it."""
        self.answer(status, {"X-Error-Code": code, "X-Error-Message": code})

    def do_HEAD(self) -> None:
        """Same as GET without a body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Route: /<repo>/resolve/<revision>/<file> at the Hub; /files/<repo>/<file> where bytes are served."""
        if match := re.fullmatch(r"/files/([^/]+/[^/]+)/(.+)", self.path):
            if self.server.weights and self.headers.get("Authorization"):
                self.server.hub.leaked_tokens += 1
            return self.serve(match[1], match[2])
        if match := re.fullmatch(r"/([^/]+(?:/[^/]+)?)/resolve/([^/]+)/(.+)", self.path):
            return self.resolve(match[1], match[2], match[3])
        if re.match(r"/api/datasets/[^/]+/[^/]+", self.path):
            status, code = self.server.hub.api_answer
            if status != 200:
                return self.refuse(status, code)
            return self.answer(200, {}, json.dumps({"id": "owner/set", "sha": "0" * 40}).encode())
        return self.refuse(404, "NotFound")

    def stall(self) -> None:
        """Say nothing until the client hangs up."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.recv(1)

    def note(self, name: str, status: int) -> None:
        """Remember the request."""
        with self.server.hub.lock:
            self.server.hub.requests.append((self.command, name, status))

    def resolve(self, repo: str, revision: str, path: str) -> None:
        """What the Hub itself answers: a refusal, or where the bytes are."""
        hub, name = self.server.hub, f"{repo}/{path}"
        if repo in hub.renamed:
            return self.answer(307, {"Location": self.path.replace(f"/{repo}/", f"/{hub.renamed[repo]}/", 1)})
        head = ("stall", "hang_up") * (self.command == "HEAD") + ("drop_headers",) * path.endswith(WEIGHTS)
        fault = hub.take_fault(name, self.command, ("status", *head))
        if fault and fault.kind == "stall":
            return self.stall()
        if fault and fault.kind == "hang_up":
            self.close_connection = True
            return None
        if fault and fault.kind == "status":
            self.note(name, fault.code)
            return self.answer(fault.code, fault.headers)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        folder = hub.root / repo
        if token not in ("", "hf_good", "hf_other"):
            return self.answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        if not folder.is_dir() or repo.count("/") != 1 or (repo in hub.private and token != "hf_good"):
            return self.refuse(404 if token else 401, "RepoNotFound")
        if repo in hub.gated and token != "hf_good":
            return self.refuse(403 if token else 401, "GatedRepo")
        if revision not in ("main", hub.commit(repo)):
            return self.refuse(404, "RevisionNotFound")
        file = folder / path
        if not file.is_file():
            self.note(name, 404)
            return self.refuse(404, "EntryNotFound")
        tag = hashlib.sha256(f"{name}{file.stat().st_size}".encode()).hexdigest()
        headers = {"X-Repo-Commit": hub.commit(repo), "ETag": f'"{tag}"'}
        if path.endswith(WEIGHTS):
            headers |= {"X-Linked-Size": str(file.stat().st_size), "X-Linked-ETag": f'"{tag}"'}
            headers["Location"] = f"{hub.weights_url}/files/{repo}/{path}"
        else:
            headers["Location"] = f"/files/{repo}/{path}"
        if fault and fault.kind == "drop_headers":
            headers = {key: value for key, value in headers.items() if key not in fault.headers}
        self.note(name, 302)
        return self.answer(302 if path.endswith(WEIGHTS) else 307, headers)

    def serve(self, repo: str, path: str) -> None:
        """Bytes of a file, with the faults of a bad connection."""
        hub, name, file = self.server.hub, f"{repo}/{path}", self.server.hub.root / repo / path
        size = file.stat().st_size
        kinds = ("ignore_range", "wrong_range", "short_range", "length_short", "length_long", "cut", "reset", "stall")
        fault = hub.take_fault(name, self.command, (*kinds, "corrupt", "gzip", "drop_headers")) or Fault("", "none")
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        start, end, status = 0, size, 200
        if asked and fault.kind != "ignore_range":
            start, end, status = int(asked[1]), min(int(asked[2]) + 1, size), 206
        if start >= size and asked:
            self.note(name, 416)
            return self.answer(416)
        if fault.kind == "short_range":
            end = start + max(1, (end - start) // 2)
        told = end - start + {"length_short": -10, "length_long": 10}.get(fault.kind, 0)
        send = {"length_short": told, "cut": fault.after, "reset": fault.after}.get(fault.kind, end - start)
        shift = 16 if fault.kind == "wrong_range" else 0
        headers = {"ETag": '"x"', "X-Repo-Commit": hub.commit(repo)}
        if status == 206:
            headers["Content-Range"] = f"bytes {start + shift}-{end - 1 + shift}/{size}"
        if fault.kind == "drop_headers":
            headers = {key: value for key, value in headers.items() if key not in fault.headers}
        self.note(name, status)
        if fault.kind == "gzip":
            with file.open("rb") as handle:
                handle.seek(start)
                return self.answer(status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(handle.read(told)))
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(told)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return None
        for piece in self.pieces(file, start, send, fault):
            with hub.lock:
                hub.sent[name] = hub.sent.get(name, 0) + len(piece)
            self.wfile.write(piece)
        if fault.kind in ("cut", "reset", "length_long"):
            self.close_connection = True
            self.wfile.flush()
            if fault.kind == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
        return None

    def pieces(self, file: Path, start: int, nbytes: int, fault: Fault) -> Iterator[bytes]:
        """The body, piece by piece."""
        done = 0
        with file.open("rb") as handle:
            handle.seek(start)
            while done < nbytes:
                piece = bytearray(handle.read(min(PIECE, nbytes - done)))
                if fault.kind == "corrupt" and done <= fault.at < done + len(piece):
                    piece[fault.at - done] ^= 0xFF
                if fault.kind == "stall" and done >= fault.after:
                    return self.stall()
                done += len(piece)
                yield bytes(piece)
