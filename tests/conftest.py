"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real structures, labels and reference numbers beside the project; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "data" / "MANIFEST.csv").is_file():
        pytest.skip("../shared with real data and reference numbers is not here")
    return folder


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """The module that writes a small, complete results folder."""
    import sample_results

    return sample_results
