"""Progress: a bar on a terminal, a line about every 10 % in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)

T = TypeVar("T")


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
