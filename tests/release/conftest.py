from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from release_run import release_of, write_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run; tests read it only."""
    folder = tmp_path_factory.mktemp("given")
    write_run(folder)
    return folder


@pytest.fixture
def folder(run_folder: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    config = copy / "results/run.json"
    config.write_text(config.read_text().replace(str(run_folder), str(copy)))
    return copy


@pytest.fixture(scope="session")
def released(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of the run; tests read it only."""
    return release_of(run_folder, tmp_path_factory.mktemp("out") / "release")
