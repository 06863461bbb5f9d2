"""The bytes of one file while they come: written and summed, and continued where a body broke off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from copra.errors import OutputError
from copra.fetch.whole import WrongBytes
from copra.files import refusal, replacing

READ_BYTES = 1 << 20


class Check(Protocol):
    """What looks at a file's bytes as they come; both raise WrongBytes."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """No more bytes come."""


class Partial:
    """One file on its way to `path`.

    `sha256` is the sum that the whole file must have, "" where none is known. With `notes`, a path, the bytes
    outlive the process: what they are of stands there, and the next Partial of the same two paths goes on from them.
    `watch` is told the bytes that are here and the bytes of the whole (None: not said) whenever some came.
    """

    def __init__(
        self, path: Path, *, sha256: str = "", check: Callable[[], Check] | None = None, notes: Path | None = None,
        watch: Callable[[int, int | None], None] | None = None,
    ) -> None:  # fmt: skip
        self.path, self.n_bytes = path, 0
        self.total_bytes: int | None = None
        self.origins: set[str] = set()  # scheme and host of the servers that gave the bytes to this process
        self._url, self._validator = "", ""
        self._sha256, self._new_check, self._notes, self._watch = sha256, check, notes, watch
        self._digest = hashlib.sha256()
        self._check = check() if check else None
        said = _read_notes(notes)
        here = said is not None and path.is_file()
        # unbuffered: what was written is there when the process is killed
        self._handle = path.open("r+b" if here else "w+b", buffering=0)
        if said is not None and here:
            self._url, self._validator = said
            self._take_in_what_is_here()

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()

    @property
    def sha256(self) -> str:
        """Hexadecimal sum of the bytes that are here."""
        return self._digest.hexdigest()

    def started_first(self, urls: list[str]) -> list[str]:
        """The urls in their order, after the one that the bytes here are from."""
        return sorted(urls, key=lambda url: url != self._url)

    def range_headers(self, url: str) -> dict[str, str]:
        """The headers that ask `url` for the rest of the bytes; none where it has to begin anew.

        Bytes may be joined when the server can tell that its file is still the same, or when the sum of the whole
        is known, whichever mirror they are from.
        """
        same = url == self._url and bool(self._validator)
        if not self.n_bytes or not (same or self._sha256):
            return {}
        headers = {"Range": f"bytes={self.n_bytes}-"}
        return headers | {"If-Range": self._validator} if same else headers

    def goes_on(self, url: str, validator: str) -> bool:
        """Whether the rest that `url` offers is of the same file as the bytes that are here."""
        return bool(self._sha256) or (url == self._url and validator == self._validator)

    def begin(self, url: str, validator: str, total_bytes: int | None) -> None:
        """The whole file of `url` comes from its first byte."""
        self.restart()
        self._url, self._validator, self.total_bytes = url, validator, total_bytes
        if self._notes is not None:
            with replacing(self._notes) as temporary:
                temporary.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def restart(self) -> None:
        """Throw away what is here."""
        if self._notes is not None:
            self._notes.unlink(missing_ok=True)
        self._handle.seek(0)
        self._handle.truncate()
        self.n_bytes, self.total_bytes, self._url, self._validator = 0, None, "", ""
        self.origins = set()
        self._digest = hashlib.sha256()
        self._check = self._new_check() if self._new_check else None

    def write(self, data: bytes) -> None:
        """Add the next bytes; raises WrongBytes when they show that the file is not the right one.

        Raises OutputError when they cannot be written.
        """
        rest = memoryview(data)
        try:
            while rest:  # an unbuffered write may take less than it is given
                rest = rest[self._handle.write(rest) :]
        except OSError as error:  # a full disk is no fault of the server
            raise OutputError(f"{self.path}: cannot be written: {refusal(error) or error.strerror}") from error
        self._sum(data)
        if self._watch is not None:
            self._watch(self.n_bytes, self.total_bytes)

    def finish(self) -> None:
        """All bytes came; raises WrongBytes when they are not those of the file."""
        if self._sha256 and self.sha256 != self._sha256:
            raise WrongBytes(f"wrong bytes: expected sha256 {self._sha256}, found {self.sha256}")
        if not self.n_bytes:
            raise WrongBytes("the file is empty")
        if self._check is not None:
            self._check.finish()

    def _sum(self, data: bytes) -> None:
        self.n_bytes += len(data)
        self._digest.update(data)
        if self._check is not None:
            self._check.feed(data)

    def _take_in_what_is_here(self) -> None:
        try:
            while data := self._handle.read(READ_BYTES):
                self._sum(data)
        except WrongBytes:
            self.restart()


def _read_notes(path: Path | None) -> tuple[str, str] | None:
    """The url and the validator of kept bytes; None where there are none or the notes are not readable."""
    if path is None:
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return str(said["url"]), str(said["validator"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
