"""A results folder that cannot be written: one line that names it, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaged import finished_experiment
from small_disk import Disk, families, small_disk
from training_runs import TRAINING, run
from workflow_copy import DEMO, copy_project
from written_files import checkpoint, table, weights

from copra.errors import OutputError
from copra.fetch.source import fetch_source
from copra.files import replacing

READ_ONLY = "read-only file system; mount it for writing or choose another folder, then type the same command again"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", pages=20_000) as made:
        yield made


def test_a_verb_names_the_file_and_what_to_do(disk: Disk, tmp_path: Path) -> None:
    words = families(tmp_path)
    assert disk.copra(*words).returncode == 0
    before = disk.files()
    disk.remount("ro")
    done = disk.copra(*words)
    assert done.returncode == 2
    assert done.stderr == f"copra choose-family: folds.parquet: cannot be written: {READ_ONLY}\n"
    assert disk.files() == before
    disk.remount("rw")
    (disk.path / "folds.parquet").unlink()
    assert disk.copra(*words).returncode == 0
    assert disk.files() == before


def test_training_packing_and_fetching_change_nothing(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("entry\n")
    done = finished_experiment(tmp_path / "run")
    run(disk.path / "run", TRAINING.model_copy(update={"epochs": 2}))
    done.pack(disk.path / "package")
    before = disk.files()
    disk.remount("ro")
    with pytest.raises(OutputError, match="read-only file system"):
        run(disk.path / "run")
    with pytest.raises((OutputError, OSError), match=r"(?i)read-only file system"):
        done.pack(disk.path / "package")
    with pytest.raises((OutputError, OSError), match=r"(?i)read-only file system"):
        fetch_source(
            "mcsm_blind", url=[f"file:{tmp_path}/a"], begins="", version="1", sha256="first_use", required=True,
            timeout_s=5, retries=1, min_bytes_per_s=1, out=disk.path / "a.txt", receipt=disk.path / "a.json",
        )  # fmt: skip
    assert disk.files() == before


def test_without_permission_the_same(tmp_path: Path) -> None:
    """As an ordinary user, whom root becomes for a moment."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    folder.chmod(0o555)
    try:
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            refused = pytest.raises(OutputError, match="permission denied; get the permission or choose another folder")
            with refused, replacing(folder / "a") as temporary:
                temporary.touch()
        finally:
            os.seteuid(was)
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_another_files_permission_is_not_taken_for_the_outputs(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="input"), replacing(tmp_path / "out"):
        raise PermissionError(13, "Permission denied", str(tmp_path / "input"))


@pytest.mark.slow
def test_a_run_stops_before_any_job_and_names_the_folder(disk: Disk, root: Path, tmp_path: Path) -> None:
    """The results alone are read-only, as a mounted archive of an earlier run would be."""
    project = copy_project(root, tmp_path / "copra")
    results = project.folder / "results"
    results.symlink_to(disk.place)
    table = "results/demo/parsed/biolip2/pairs.parquet"
    disk.remount("ro")
    words = [*project.command(*DEMO), "--directory", str(project.folder), "--", table]
    done = disk.run("env", "-C", str(project.folder), *words)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"cannot write to {disk.place}: no write permission there, or its disk is read-only" in said
    assert "Traceback" not in said
    assert disk.files() == {}
    disk.remount("rw")
    done = disk.run("env", "-C", str(project.folder), *words)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("write", [weights, checkpoint, table], ids=lambda write: write.__name__)
def test_what_is_written_may_be_read_by_whom_the_umask_lets(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "written")
    (tmp_path / "plain").touch()
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "plain").stat().st_mode
