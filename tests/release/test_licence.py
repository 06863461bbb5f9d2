from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from sample_results import fill, put

from copra.errors import InputError
from copra.release.licence import FACTS
from copra.release.release import release
from copra.tables import TABLES, read_table
from release_conftest import CLOSED, NOT_A_RECORD, OPEN


def table(folder: Path, name: str) -> pd.DataFrame:
    return read_table(folder / f"tables/{name}.parquet", name)


def texts(folder: Path) -> dict[str, str]:
    """Every file of a release as text: Parquet files cell by cell."""
    found = {}
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            found[path.name] = "\n".join(str(cell) for cell in pd.read_parquet(path).to_numpy().ravel())
        elif path.is_file():
            found[path.name] = path.read_text()
    return found


def test_no_word_of_a_closed_source_is_anywhere(run_folder: Path, released: Path) -> None:
    seeded = pd.read_parquet(run_folder / "results/parsed/prbabv2/measurements.parquet")
    assert (seeded[["raw_text", "comment", "method"]] == CLOSED).all(axis=None)
    assert [name for name, text in texts(released).items() if CLOSED in text] == []
