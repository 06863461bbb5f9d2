"""A cluster for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slurm.cluster import Cluster, hindrance, started
from slurm.runs import ACCOUNTING


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of its own for each test; another process's tests wait for it. Skips where none can be had."""
    reason = hindrance()
    if reason:
        pytest.skip(reason)
    with started(ACCOUNTING) as running:
        yield running
