"""One file from one url: `http:`, `https:` or `file:`, with retries, written to a path given by the caller."""

from __future__ import annotations

import email.utils
import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import urllib3

log = logging.getLogger(__name__)

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
LONGEST_RETRY_AFTER_S = 600.0  # a server that asks for more is left for the next mirror
CHUNK_BYTES = 1 << 20


class NotBrought(Exception):
    """A url did not give its file; the text says why."""


class _TryAgain(Exception):
    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Brought:
    """What a download wrote."""

    url: str
    sha256: str
    n_bytes: int


def is_file_url(url: str) -> bool:
    """Whether the url names a local file."""
    return url.startswith("file:")


def file_of_url(url: str) -> Path:
    """The path of `file:relative/path`, `file:/absolute/path` or `file:///absolute/path`."""
    rest = url.removeprefix("file:")
    return Path(unquote(urlsplit(url).path)) if rest.startswith("//") else Path(rest)


class Downloader:
    """A connection pool that several threads share; a server that says 429 is left alone by all of them."""

    def __init__(self, *, connections: int, retries: int, timeout_s: float) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=connections, block=True, timeout=timeout_s, headers={"User-Agent": "copra"}
        )
        self._retries = retries
        self._lock = threading.Lock()
        self._not_before: dict[str, float] = {}  # host -> monotonic time

    def bring(self, url: str, path: Path) -> Brought:
        """Write the file of `url` to `path`; raises NotBrought when it cannot be had."""
        if is_file_url(url):
            return self._copy(url, path)
        if urlsplit(url).scheme not in ("http", "https"):
            raise NotBrought(f"expected a url beginning with http:, https: or file:, found '{url}'")
        host = urlsplit(url).netloc
        for attempt in range(self._retries + 1):
            self._wait(host)
            try:
                return self._get(url, path)
            except _TryAgain as again:
                reason = str(again)
                backoff = min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S)
                wait_s = backoff if again.wait_s is None else again.wait_s
                if wait_s > LONGEST_RETRY_AFTER_S:
                    raise NotBrought(f"{reason}; the server asks to wait {wait_s:.0f} s") from None
                if attempt < self._retries:
                    log.info("%s: %s; again in %.1f s", url, reason, wait_s)
                    self._hold(host, wait_s, everyone=again.wait_s is not None)
        raise NotBrought(f"{reason} ({self._retries + 1} tries)")

    def _copy(self, url: str, path: Path) -> Brought:
        source = file_of_url(url)
        if not source.is_file():
            raise NotBrought("no such file")
        try:
            shutil.copyfile(source, path)
        except OSError as error:
            raise NotBrought(f"cannot be copied: {error.strerror}") from error
        with path.open("rb") as handle:
            return Brought(url, hashlib.file_digest(handle, "sha256").hexdigest(), path.stat().st_size)

    def _wait(self, host: str) -> None:
        with self._lock:
            wait_s = self._not_before.get(host, 0.0) - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)

    def _hold(self, host: str, wait_s: float, *, everyone: bool) -> None:
        if not everyone:
            time.sleep(wait_s)
            return
        with self._lock:
            self._not_before[host] = max(self._not_before.get(host, 0.0), time.monotonic() + wait_s)

    def _get(self, url: str, path: Path) -> Brought:
        redirects = urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=10, respect_retry_after_header=False)
        try:
            response = self._pool.request("GET", url, preload_content=False, retries=redirects)
        except urllib3.exceptions.LocationValueError as error:
            raise NotBrought(f"not a usable url: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            raise _TryAgain(_short(error)) from error
        try:
            if response.status in RETRIED:
                raise _TryAgain(f"HTTP status {response.status}", _retry_after_s(response.headers.get("Retry-After")))
            if response.status != 200:
                raise NotBrought(f"HTTP status {response.status}")
            digest, n_bytes = hashlib.sha256(), 0
            with path.open("wb") as handle:
                for chunk in _body(response):
                    digest.update(chunk)
                    n_bytes += len(chunk)
                    handle.write(chunk)
            return Brought(url, digest.hexdigest(), n_bytes)
        finally:
            # what is left of a refused answer is not read; the connection goes
            response.close()
            response.release_conn()


def _body(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The bytes as sent: a server may call a .gz file gzip-encoded, and it stays as it is. A cut body is an error."""
    try:
        yield from response.stream(CHUNK_BYTES, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise _TryAgain(f"cut off: {_short(error)}") from error


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as a date; None where there is none."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
