"""One file from one url (`http:`, `https:` or `file:`): paced, retried, continued where it broke off, verified."""

from __future__ import annotations

import email.utils
import logging
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import urllib3

from copra.fetch.connections import Connections, RefusedRedirect, origin
from copra.fetch.partial import Partial
from copra.fetch.whole import WrongBytes

log = logging.getLogger(__name__)

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
LONGEST_RETRY_AFTER_S = 600.0  # a server that asks for more is left for the next mirror
READ_BYTES = 1 << 18
PROGRESS_BYTES = 1 << 20  # a try that brought this much more does not count as a failed one
WRONG_TIMES = 2  # bytes that came whole and are wrong are fetched once more, then the next mirror is asked
FAILURES_OF_A_SICK_HOST, SICK_S = 3, 300.0


class NotBrought(Exception):
    """A url did not give its file; the text says why."""


class _TryAgain(Exception):
    def __init__(self, reason: str, wait_s: float | None = None, *, hold: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s  # as the server asks
        self.hold = hold  # whether the other threads wait too


@dataclass(frozen=True)
class Brought:
    """What a download wrote."""

    url: str
    sha256: str
    n_bytes: int
    origins: tuple[str, ...] = ()  # other servers (scheme and host) to which the url's own one sent us

    @property
    def redirected(self) -> str:
        """What a receipt says of redirects; "" where the url's own server gave the file."""
        return f"redirected to {', '.join(self.origins)}" if self.origins else ""


def is_file_url(url: str) -> bool:
    """Whether the url names a local file."""
    return url.startswith("file:")


def file_of_url(url: str) -> Path:
    """The path of `file:relative/path`, `file:/absolute/path` or `file:///absolute/path`."""
    rest = url.removeprefix("file:")
    return Path(unquote(urlsplit(url).path)) if rest.startswith("//") else Path(rest)


class Downloader:
    """Brings files for several threads, which keep to one rate together.

    A server that says 429 is left alone by all of them for as long as it asks. `requests_per_s` None is no limit.
    A body that in `timeout_s` brings fewer than `min_bytes_per_s` * `timeout_s` bytes is given up and continued.
    """

    def __init__(
        self, *, connections: int, requests_per_s: float | None, retries: int, timeout_s: float, min_bytes_per_s: int
    ) -> None:
        self._connections = Connections(per_host=connections, timeout_s=timeout_s)
        self._retries, self._timeout_s, self._min_bytes_per_s = retries, timeout_s, min_bytes_per_s
        self._pause_s = 0.0 if requests_per_s is None else 1 / requests_per_s
        self._lock = threading.Lock()
        self._next_start = 0.0  # monotonic time of the next request that the rate allows
        self._not_before: dict[str, float] = {}  # host -> monotonic time
        self._failed: Counter[str] = Counter()  # host -> files in a row that it did not give
        self._sick_until: dict[str, float] = {}
        self._jitter = random.Random()  # no result depends on it

    def healthy_first(self, urls: list[str]) -> list[str]:
        """The urls in their order, those on hosts that fail at present last."""
        now = time.monotonic()
        with self._lock:
            return sorted(urls, key=lambda url: self._sick_until.get(urlsplit(url).netloc, 0.0) > now)

    def bring(self, url: str, partial: Partial) -> Brought:
        """Complete `partial` with the bytes of `url`; raises NotBrought when they cannot be had."""
        if is_file_url(url):
            return _copy(url, partial)
        if urlsplit(url).scheme not in ("http", "https"):
            raise NotBrought(f"expected a url beginning with http:, https: or file:, found '{url}'")
        host = urlsplit(url).netloc
        failed, wrong, furthest = 0, 0, partial.n_bytes
        while True:
            self._wait_for_turn(host)
            try:
                self._get(url, partial)
                partial.finish()
                self._note_health(host, well=True)
                return Brought(url, partial.sha256, partial.n_bytes, tuple(sorted(partial.origins - {origin(url)})))
            except WrongBytes as error:
                partial.restart()
                wrong += 1
                if wrong == WRONG_TIMES:
                    raise NotBrought(f"{error} ({wrong} times)") from None
                log.info("%s: %s; once more from the start", url, error)
                continue
            except _TryAgain as again:
                failed = 1 if partial.n_bytes >= furthest + PROGRESS_BYTES else failed + 1
                furthest = max(furthest, partial.n_bytes)
                if failed > self._retries:
                    self._note_health(host, well=False)
                    raise NotBrought(f"{again} ({failed} tries)") from None
                self._back_off(url, again, failed)

    def _wait_for_turn(self, host: str) -> None:
        """Sleep until the host may be asked again and the rate allows a request."""
        while True:
            with self._lock:
                now = time.monotonic()
                wait_s = self._not_before.get(host, 0.0) - now
                if wait_s <= 0:
                    turn = max(now, self._next_start)
                    self._next_start = turn + self._pause_s
            if wait_s <= 0:
                break
            if wait_s > LONGEST_RETRY_AFTER_S:
                raise NotBrought(f"the server asked to be left alone for another {wait_s:.0f} s")
            time.sleep(wait_s)
        if turn > now:
            time.sleep(turn - now)

    def _back_off(self, url: str, again: _TryAgain, failed: int) -> None:
        # the jitter keeps threads that failed together from coming back together
        longest_s = min(FIRST_WAIT_S * 2 ** (failed - 1), LONGEST_WAIT_S)
        wait_s = longest_s * self._jitter.uniform(0.5, 1.0) if again.wait_s is None else again.wait_s
        if again.hold:
            host = urlsplit(url).netloc
            with self._lock:
                self._not_before[host] = max(self._not_before.get(host, 0.0), time.monotonic() + wait_s)
        if wait_s > LONGEST_RETRY_AFTER_S:
            raise NotBrought(f"{again}; the server asks to wait {wait_s:.0f} s")
        log.info("%s: %s; again in %.1f s", url, again, wait_s)
        if not again.hold:
            time.sleep(wait_s)

    def _note_health(self, host: str, *, well: bool) -> None:
        with self._lock:
            self._failed[host] = 0 if well else self._failed[host] + 1
            if well:
                self._sick_until.pop(host, None)
            elif self._failed[host] >= FAILURES_OF_A_SICK_HOST:
                self._sick_until[host] = time.monotonic() + SICK_S

    def _get(self, url: str, partial: Partial) -> None:
        try:
            response, came_from = self._connections.get(url, partial.range_headers(url))
        except RefusedRedirect as error:
            raise NotBrought(str(error)) from error
        except (urllib3.exceptions.LocationValueError, urllib3.exceptions.URLSchemeUnknown) as error:
            raise NotBrought(f"not a usable url: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "behind a proxy that looks into the traffic, name its certificate in SSL_CERT_FILE"
                raise NotBrought(f"{_short(error)}; {hint}") from error
            raise _TryAgain(_short(error)) from error
        try:
            more = _begins_or_goes_on(response, url, partial)
            partial.origins.add(origin(came_from))
            if more:
                self._receive(response, partial)
        finally:
            # what is left of a refused or broken answer is not read; the connection goes
            response.close()
            response.release_conn()

    def _receive(self, response: urllib3.BaseHTTPResponse, partial: Partial) -> None:
        """The bytes as sent: a server may call a .gz file gzip-encoded, and it stays as it is."""
        since, before = time.monotonic(), partial.n_bytes
        while data := _read_some(response):
            partial.write(data)
            took_s, n_bytes = time.monotonic() - since, partial.n_bytes - before
            if took_s >= self._timeout_s:
                if n_bytes < self._min_bytes_per_s * took_s:
                    raise _TryAgain(f"too slow: {n_bytes} bytes in {took_s:.0f} s")
                since, before = time.monotonic(), partial.n_bytes


def _copy(url: str, partial: Partial) -> Brought:
    source = file_of_url(url)
    if not source.is_file():
        raise NotBrought("no such file")
    partial.restart()
    try:
        handle = source.open("rb")
    except OSError as error:
        raise NotBrought(f"cannot be read: {error.strerror}") from error
    try:
        with handle:
            partial.begin(url, "", source.stat().st_size)
            while data := handle.read(READ_BYTES):
                partial.write(data)
        partial.finish()
    except WrongBytes as error:
        partial.restart()
        raise NotBrought(str(error)) from None
    return Brought(url, partial.sha256, partial.n_bytes)


def _begins_or_goes_on(response: urllib3.BaseHTTPResponse, url: str, partial: Partial) -> bool:
    """Ready `partial` for the body of an answer; False when nothing is left to come."""
    status, headers = response.status, response.headers
    total = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    if status == 200:
        length = headers.get("Content-Length", "")
        partial.begin(url, _validator(response), int(length) if length.isdigit() else None)
        return True
    if status == 206 and total and total[1] == str(partial.n_bytes) and partial.goes_on(url, _validator(response)):
        partial.total_bytes = int(total[2]) if total[2].isdigit() else None
        return True
    if status == 416 and total and total[2] == str(partial.n_bytes):
        return False
    if status in (206, 416):
        partial.restart()
        raise _TryAgain(f"HTTP status {status} for another range than was asked for")
    if status in RETRIED:
        wait_s = _retry_after_s(headers.get("Retry-After"), headers.get("Date"))
        raise _TryAgain(f"HTTP status {status}", wait_s, hold=status == 429 or wait_s is not None)
    raise NotBrought(f"HTTP status {status}")


def _read_some(response: urllib3.BaseHTTPResponse) -> bytes:
    """What has come, at the latest after the timeout; b"" at the end. A body that is cut off is an error."""
    try:
        return response.read1(READ_BYTES, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise _TryAgain(f"cut off: {_short(error)}") from error


def _validator(response: urllib3.BaseHTTPResponse) -> str:
    """What tells whether a file is still the same, byte for byte (RFC 9110, 8.8): "" where the server does not say."""
    tag = response.headers.get("ETag", "")
    if tag:
        return "" if tag.startswith("W/") else tag
    changed, now = response.headers.get("Last-Modified", ""), response.headers.get("Date", "")
    try:
        age = email.utils.parsedate_to_datetime(now) - email.utils.parsedate_to_datetime(changed)
    except (TypeError, ValueError):
        return ""
    # a file that was written in the minute before may have been written twice in one second
    return changed if age.total_seconds() >= 60 else ""


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _retry_after_s(value: str | None, date: str | None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as a date; None where there is none.

    A date is counted from the server's own `date`, where it states one: the clock of this machine may be wrong.
    """
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        now_s = email.utils.parsedate_to_datetime(date).timestamp() if date else time.time()
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now_s)
    except (TypeError, ValueError):
        return None
