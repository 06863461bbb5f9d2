"""Two snakemake runs on one folder, and the lock that a killed one leaves."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from workflow_copy import DEMO, Project, copy_project, kill_group

TABLE = "results/demo/parsed/biolip2/pairs.parquet"


def tree(project: Project) -> dict[str, tuple[int, int]]:
    """Every file but snakemake's own: its size and time."""
    found = (path for path in project.folder.rglob("*") if path.is_file() and ".snakemake" not in path.parts)
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@pytest.mark.slow
def test_the_second_says_so_and_touches_nothing(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    first = project.start("--", TABLE)
    try:
        end = time.monotonic() + 120
        while not list(project.folder.glob(".snakemake/locks/*")):
            assert time.monotonic() < end, "the first run takes no lock"
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGSTOP)
        before = tree(project)
        second = project.snakemake(*DEMO, "--", TABLE)
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stdout
        assert "no other Snakemake process" in second.stdout
        assert "Traceback" not in second.stdout
        assert tree(project) == before
    finally:
        kill_group(first)
    # the lock outlives the killed run; the same command says what to do
    again = project.snakemake(*DEMO, "--", TABLE)
    assert again.returncode != 0
    assert "--unlock" in again.stdout
    assert tree(project) == before
    # and so it does without the demo's configuration
    assert project.snakemake("--unlock").returncode == 0
    project.demo("--", TABLE)
    assert (project.folder / TABLE).is_file()
    assert not list(project.folder.glob(".snakemake/locks/*"))
