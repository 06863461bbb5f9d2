"""Progress: a bar on a terminal, a line about every 10 % in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NoReturn, TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)

T = TypeVar("T")

LARGE_BYTES = 50_000_000  # a log tells nothing on the way of a file that is smaller


def progress(items: Iterable[T], name: str, total: int) -> Iterator[T]:
    """Go through `total` items and tell on standard error or in the log how far it is."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=name, total=total)
        return
    started = time.monotonic()
    told = 0
    for done, item in enumerate(items, start=1):
        yield item
        if total >= 10 and done * 10 // total > told:
            told = done * 10 // total
            log.info("%s: %d of %d, %.1f s", name, done, total, time.monotonic() - started)


class FileMeter:
    """How many of `total` files are done, their bytes, the rate and what is left."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done, self._bytes, self._told = name, total, 0, 0, 0
        self._started = time.monotonic()
        self._bar = tqdm(desc=name, total=total, unit="file") if sys.stderr.isatty() else None

    def add(self, n_bytes: int) -> None:
        """One more file is done, for which `n_bytes` came over the network."""
        self._done += 1
        self._bytes += n_bytes
        if self._bar is not None:
            self._bar.set_postfix_str(self.transferred(), refresh=False)
            self._bar.update(1)
        elif self._total >= 10 and self._done * 10 // self._total > self._told:
            self._told = self._done * 10 // self._total
            left_s = (self._total - self._done) * (time.monotonic() - self._started) / self._done
            place = f"{self._done} of {self._total} files"
            log.info("%s: %s, %s, about %.0f s left", self._name, place, self.transferred(), left_s)

    def transferred(self) -> str:
        """Bytes and rate since the start, in words."""
        return f"{self._bytes / 1e6:.1f} MB, {_rate(self._bytes, self._started)}"

    def close(self) -> str:
        """End the bar; returns bytes, seconds and rate in words."""
        if self._bar is not None:
            self._bar.close()
        seconds = time.monotonic() - self._started
        return f"{self._bytes / 1e6:.1f} MB in {seconds:.1f} s, {_rate(self._bytes, self._started)}"


class ByteMeter:
    """How many bytes of one file are here, the rate and what is left; call it whenever some came."""

    def __init__(self, name: str) -> None:
        self._name, self._told = name, 0
        self._started, self._first = time.monotonic(), -1
        self._bar: tqdm[NoReturn] | None = None

    def __call__(self, n_bytes: int, total_bytes: int | None) -> None:
        """There are `n_bytes` of `total_bytes` (None: the server does not say)."""
        if self._first < 0:  # what an earlier run left is not counted in the rate
            self._first, self._started = n_bytes, time.monotonic()
        if sys.stderr.isatty():
            self._draw(n_bytes, total_bytes)
        elif total_bytes and total_bytes >= LARGE_BYTES and n_bytes * 10 // total_bytes > self._told:
            self._told = n_bytes * 10 // total_bytes
            came, rate = n_bytes - self._first, _rate(n_bytes - self._first, self._started)
            left_s = (total_bytes - n_bytes) * (time.monotonic() - self._started) / came if came > 0 else 0.0
            place = f"{n_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB"
            log.info("%s: %s, %s, about %.0f s left", self._name, place, rate, left_s)

    def _draw(self, n_bytes: int, total_bytes: int | None) -> None:
        if self._bar is None:
            self._bar = tqdm(desc=self._name, unit="B", unit_scale=True, initial=self._first)
        self._bar.total = total_bytes
        self._bar.update(n_bytes - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()


def _rate(n_bytes: int, started: float) -> str:
    return f"{n_bytes / 1e6 / max(time.monotonic() - started, 1e-9):.1f} MB/s"
