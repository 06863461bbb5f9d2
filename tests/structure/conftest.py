from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from copra.structure.reader import read_structure
from copra.structure.residues import Structure


@pytest.fixture(scope="session")
def real(shared: Path) -> Callable[[str], Structure]:
    """Reads a real entry of ../shared by its id."""

    def read(pdb_id: str) -> Structure:
        (path,) = (shared / "data" / "structures").glob(f"{pdb_id}.*")
        return read_structure(path, pdb_id)

    return read


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
