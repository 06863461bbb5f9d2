"""Snakemake started the wrong way, or on a machine or in a project that lacks something: what stands last."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from test_wrong_set_up import needs_setpriv
from workflow_copy import DEMO, Project, copy_project, kill_group
from wrong_things import told, without_write_permission

pytestmark = pytest.mark.slow  # each starts snakemake


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which nothing has run."""
    return copy_project(root, tmp_path_factory.mktemp("starts") / "copra")


def snakemake(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """Snakemake with these words alone."""
    command = [project.command()[0], "-m", "snakemake", *words]
    return subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)


def test_cores_forgotten(project: Project) -> None:
    done = snakemake(project, "all")
    told(done, "Error: cores", what="cores have to be specified", where="local execution", then="use --cores N")


@pytest.mark.parametrize(
    ("target", "then"), [("tabel1", "did you mean 'table1'?"), ("coformer_scratch", "make table1"), ("table5", "table")]
)
def test_a_target_that_does_not_exist(project: Project, target: str, then: str) -> None:
    done = snakemake(project, "--cores", "1", *DEMO, "--", target)
    told(done, "No target is called", what="No target", where=target, then=then)


def test_a_typo_in_the_configuration(project: Project) -> None:
    (project.folder / "mine.yaml").write_text("split: {famly: protein40}\ndevice: cuda\n")
    done = snakemake(project, "--cores", "1", "--configfile", "mine.yaml", "--", "all")
    message = told(
        done, "Error: configuration refused", what="split.famly", where="mine.yaml", then="same command again"
    )
    assert "did you mean 'family'?" in message[1]
    assert "--resources gpu=1" in message[2]
    done = snakemake(project, "--cores", "1", "--config", "sed=3", "--", "all")
    told(done, "Error: configuration refused", what="did you mean 'seed'?", where="--config", then="same command again")


def test_a_source_that_is_not_there_or_lies_at_the_wrong_place(project: Project) -> None:
    misplaced = project.folder / "ProNAB.csv.txt"
    misplaced.touch()
    done = snakemake(project, "--cores", "1", "--", "pra310")
    message = told(
        done, "Error: No job was started", what="not here", where="resources/by_hand/ProNAB.csv", then="copra sources"
    )
    misplaced.unlink()
    assert "pdbbind_pn: put it at resources/by_hand/INDEX_general_PN.2020R1.lst" in message[1]
    assert "pronab: move ProNAB.csv.txt to resources/by_hand/ProNAB.csv" in message[2]
    assert "required: false" in message[-1]
    assert not (project.folder / "results").exists()


def test_a_gpu_that_is_not_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = snakemake(project, "--cores", "1", "--resources", "gpu=1", *DEMO, "--", "pri30k")
    told(done, "Error: --resources gpu", what="PyTorch sees no GPU", where="CUDA_VISIBLE_DEVICES", then="nvidia-smi")
    assert not (project.folder / "results" / "demo").exists()


@needs_setpriv
@pytest.mark.parametrize("place", [".", "results"])
def test_a_folder_that_may_not_be_written(root: Path, tmp_path: Path, place: str) -> None:
    project = copy_project(root, tmp_path / "copra")
    folder = project.folder / place
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    command = without_write_permission(*project.command(*DEMO, "--", "pri30k"))
    done = subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)
    folder.chmod(0o755)
    told(
        done, "Error: cannot write", what="no write permission", where=str(folder.resolve()), then="same command again"
    )


def test_a_source_that_is_another_file(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    index = project.folder / "resources/demo/archive/pdbbind/INDEX_general_PN.2020R1.lst"
    index.write_text("<!DOCTYPE html><title>Please log in</title>\n")
    done = project.snakemake(*DEMO, "--", "results/demo/parsed/pdbbind_pn/measurements.parquet")
    message = told(
        done,
        "jobs failed for good",
        what="fetch_source",
        where="logs/fetch_source/pdbbind_pn",
        then="same command again",
    )
    assert "a web page came in the place of the file" in message[3]


def test_a_program_that_is_missing_in_the_middle_of_a_run(root: Path, tmp_path: Path) -> None:
    """Without CD-HIT: the jobs that need it fail, in few lines, and the others go on with --keep-going."""
    project = copy_project(root, tmp_path / "copra")
    few = tmp_path / "bin"
    few.mkdir()
    for name in ("bash", "sh", "which", "ps", "git"):
        if found := shutil.which(name):
            (few / name).symlink_to(found)
    environment = project.environment() | {"PATH": f"{Path(project.command()[0]).parent}:{few}"}
    command = project.command(*DEMO, "--keep-going", "--", "results/demo/split/clusters/protein70.parquet")
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True)
    message = told(
        done, "jobs failed for good", what="'cd-hit' is not on PATH", where="logs/cluster_proteins/protein70.log",
        then="same command again",
    )  # fmt: skip
    assert message[1].startswith("  cluster_proteins family=protein70 (attempt ")
    assert "apt-get install cd-hit" in message[2]


def test_a_run_killed_at_once_and_typed_again(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    begun = project.start("--", "pri30k")
    while not list(project.folder.glob(".snakemake/locks/*")):
        assert begun.poll() is None, "the run ended before it was killed"
        time.sleep(0.02)
    kill_group(begun)
    done = project.snakemake(*DEMO, "--", "pri30k")
    told(done, "LockException", what="cannot be locked", where=str(project.folder), then="--unlock")
    assert project.snakemake(*DEMO, "--unlock", "--", "pri30k").returncode == 0
    project.demo("--dry-run", "--", "pri30k")
