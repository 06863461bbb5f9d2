from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """The module that writes a small, complete results folder."""
    path = Path(__file__).resolve().parents[1] / "evaluate" / "sample_results.py"
    spec = importlib.util.spec_from_file_location("sample_results", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
