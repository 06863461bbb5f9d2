"""A server on the loopback, and short waits between tries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from archive_server import Archive, serving

from copra.fetch import download


@pytest.fixture
def archive() -> Iterator[Archive]:
    with serving() as archive:
        yield archive


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.01)
