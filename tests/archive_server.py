"""A real HTTP server on the loopback that serves files as an archive does, and misbehaves where it is told to."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DIVIDED = "/pub/pdb/data/structures/divided/mmCIF/{mid}/{id}.cif.gz"
# what one answer may do wrong; all but "gone" are over with the next request
FAULTS = ("busy", "error", "reset", "cut", "truncated", "wrong", "drip", "moved", "nameless", "wrong_range")


@dataclass(frozen=True)
class Hit:
    """One request."""

    path: str
    range: str
    at: float  # monotonic seconds


@dataclass
class Archive:
    """Files by path, and per path the faults of the next answers, first one first."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    delay_s: float = 0.0
    retry_after: str = "0"
    validators: bool = True
    connections: int = 0

    def put(self, path: str, body: bytes, *faults: str) -> str:
        """Serve `body` at `path`; returns its url."""
        self.files[path] = body
        self.faults[path] = list(faults)
        return self.url + path

    def put_structures(self, folder: Path) -> list[str]:
        """Serve each *.cif.gz below `folder` in the divided layout; returns the ids."""
        ids = []
        for file in sorted(folder.rglob("*.cif.gz")):
            pdb_id = file.name.removesuffix(".cif.gz")
            self.put(DIVIDED.format(mid=pdb_id[-3:-1], id=pdb_id), file.read_bytes())
            ids.append(pdb_id)
        return ids

    def asked(self, path: str) -> list[str]:
        """The Range headers of the requests for `path`, "" where there was none."""
        return [hit.range for hit in self.hits if hit.path == path]


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    archive: Archive

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.archive.connections += 1

    def do_GET(self) -> None:
        archive, path = self.archive, self.path.partition("?")[0]
        archive.hits.append(Hit(path, self.headers.get("Range", ""), time.monotonic()))
        time.sleep(archive.delay_s)
        waiting = archive.faults.get(path, [])
        fault = waiting[0] if waiting else ""
        if waiting and not fault.startswith("always"):
            waiting.pop(0)
        fault = fault.removeprefix("always ")
        body = archive.files.get(path)
        if fault == "gone" or body is None:
            self.answer(404, b"no")
        elif fault == "busy":
            self.answer(429, b"slow down", {"Retry-After": archive.retry_after})
        elif fault == "error":
            self.answer(500, b"oh")
        elif fault == "moved":
            self.answer(302, b"", {"Location": path})
        elif fault == "to_a_file":
            self.answer(302, b"", {"Location": "file:///etc/hostname"})
        elif fault == "page":
            self.answer(200, b"<!DOCTYPE html><html>please register</html>")
        elif fault == "truncated":
            self.answer(200, body[: len(body) // 2], self.validators(body))
        elif fault == "wrong":
            self.answer(200, bytes(255 - byte for byte in body), self.validators(body))
        elif fault == "nameless":
            self.answer(200, body, {"Content-Disposition": 'attachment; filename="../../evil"'})
        else:
            self.send_file(body, fault)

    def validators(self, body: bytes) -> dict[str, str]:
        return {"ETag": f'"{hashlib.md5(body).hexdigest()}"'} if self.archive.validators else {}

    def send_file(self, body: bytes, fault: str) -> None:
        """The file, or the part of it that is asked for."""
        headers = self.validators(body)
        start, asked, condition = 0, self.headers.get("Range"), self.headers.get("If-Range")
        if asked and condition in (None, headers.get("ETag", "none")):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start and start >= len(body):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            return
        self.send_response(206 if start else 200)
        if start:
            begin = 0 if fault == "wrong_range" else start
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        for name, value in {**headers, "Content-Length": str(len(body) - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.send_body(body[start:], fault)

    def send_body(self, rest: bytes, fault: str) -> None:
        half = len(rest) // 2
        if fault == "drip":
            self.wfile.write(rest[:half])
            for byte in rest[half:]:
                time.sleep(0.02)
                self.wfile.write(bytes([byte]))
        elif fault == "cut":
            self.wfile.write(rest[:half])
            self.close_connection = True
        elif fault == "reset":
            self.wfile.write(rest[:half])
            time.sleep(0.02)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # at once, without a farewell
            self.close_connection = True
        else:
            self.wfile.write(rest)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, killed or fed up, is what these tests are about."""


@contextmanager
def serving(answers: type[BaseHTTPRequestHandler] = Answers) -> Iterator[Archive]:
    """An archive that answers at `archive.url` until the block ends."""
    archive = Archive()
    server = Server(("127.0.0.1", 0), type("Bound", (answers,), {"archive": archive}))
    archive.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
