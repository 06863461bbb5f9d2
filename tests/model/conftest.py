"""Fixtures of the model's tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def oracle(root: Path) -> ModuleType:
    """benchmarks/coformer_reference.py: the equations with every intermediate tensor in memory."""
    spec = importlib.util.spec_from_file_location("coformer_reference", root / "benchmarks" / "coformer_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
