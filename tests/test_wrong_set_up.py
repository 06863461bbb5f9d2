"""./run on a machine that lacks something, or in a project that was moved, half deleted or set up by halves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from wrong_things import CD_HIT, PYTHON, cd_hit, first_on_path, program, told, without_write_permission

needs_setpriv = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere, and setpriv is not here"
)


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A folder with what a set-up reads, and stand-ins of Python and CD-HIT beside it."""
    folder = tmp_path / "a project"
    folder.mkdir()
    for name in ("run", "requirements.txt", "pyproject.toml"):
        shutil.copy2(root / name, folder / name)
    shutil.copytree(root / "envs", folder / "envs")
    program(tmp_path / "bin", "fake-python", PYTHON)
    cd_hit(tmp_path / "bin")
    return folder


def environment(project: Path, **more: str) -> dict[str, str]:
    place = project.parent / "bin"
    fake = place if place.is_dir() else project.parent.parent / "bin"
    home = {"HOME": str(project.parent), "COPRA_PYTHON": str(fake / "fake-python")}
    return {**os.environ, **home, "PATH": first_on_path(fake), **more}


def run(project: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*words[:-1], project / "run", words[-1]], env=environment(project, **more), capture_output=True, text=True
    )


def test_the_stand_ins_set_up(project: Path) -> None:
    done = run(project, "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert run(project, "hello").stderr == ""


def test_a_set_up_killed_within_pip_starts_again(project: Path) -> None:
    started = project / "started"
    more = {"FAKE_PIP": "hangs", "FAKE_PIP_STARTED": str(started)}
    begun = subprocess.Popen(
        [project / "run", "hello"], env=environment(project, **more), stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not started.exists():
        assert begun.poll() is None, "the set-up ended before its pip stage"
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    (project / ".venv" / "rubble").touch()
    done = run(project, "hello")
    assert done.returncode == 0, done.stderr
    assert "the last set-up did not finish; starting again" in done.stderr
    assert not (project / ".venv" / "rubble").exists()
    assert run(project, "hello").stderr == ""


@pytest.mark.parametrize(
    "gone", ["lib/python3.12/site-packages/numpy", "bin/hello", "bin/python", "setup.stamp", "bin"]
)
def test_a_half_deleted_environment_is_made_anew(project: Path, gone: str) -> None:
    assert run(project, "hello").returncode == 0
    path = project / ".venv" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = run(project, "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert ".venv is not whole, or the project was moved; starting again" in done.stderr
    assert (project / ".venv" / "lib/python3.12/site-packages/numpy").is_dir()


def test_a_moved_project_gets_an_environment_of_its_own(project: Path) -> None:
    assert run(project, "hello").returncode == 0
    (project / ".venv" / "rubble").touch()
    moved = project.parent / "elsewhere" / "project"
    moved.parent.mkdir()
    project.rename(moved)
    done = run(moved, "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert "the project was moved" in done.stderr
    assert not (moved / ".venv" / "rubble").exists()  # programs there begin with the path of their Python


def test_a_full_disk_at_set_up(project: Path) -> None:
    done = run(project, "hello", FAKE_PIP="full")
    told(done, "run: no room", what="no room for the packages", where=str(project / ".venv"), then="Make room there")
    assert not (project / ".venv" / "setup.stamp").exists()
    assert run(project, "hello").returncode == 0


@needs_setpriv
def test_a_project_folder_that_may_not_be_written(project: Path) -> None:
    project.chmod(0o555)
    done = run(project, *without_write_permission(), "hello")
    project.chmod(0o755)
    told(
        done,
        "run: cannot",
        what="no permission",
        where=str(project / ".venv"),
        then="copy that to a folder of your own",
    )


def test_an_old_python_first_on_the_path_is_passed_over(project: Path) -> None:
    place = project.parent / "bin"
    (place / "fake-python").rename(place / "python3.11")
    program(place, "python3", '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    done = run(project, "hello", COPRA_PYTHON="python3")
    assert done.returncode == 0, done.stderr
    assert "making .venv with Python 3.12.1" in done.stderr


def test_another_cd_hit_is_not_taken_for_the_right_one(project: Path) -> None:
    place = project.parent / "bin"
    for name in ("cd-hit", "cd-hit-2d"):
        program(place, name, CD_HIT.format(version="4.6", then="exit 1"))
    for name in ("apt-get", "conda", "mamba", "micromamba"):
        program(place, name, "#!/bin/sh\nexit 1\n")
    done = run(project, "hello")
    assert done.returncode == 0, done.stderr  # only some steps need it
    last = done.stderr[done.stderr.index("run: CD-HIT 4.8.1 could not be fetched") :].splitlines()
    assert len(last) <= 5
    assert "cluster-proteins" in last[0]
    assert "then ./run setup" in last[-1]


def test_snakemake_without_a_program_that_it_needs(project: Path, tmp_path: Path) -> None:
    assert run(project, "hello").returncode == 0
    place = tmp_path / "few"
    place.mkdir()
    for name in ("sh", "dirname", "cat", "cksum", "bash"):
        (place / name).symlink_to(shutil.which(name) or "")
    done = run(project, "snakemake", PATH=str(place))
    told(done, "run: snakemake", what="program 'which'", where="on PATH", then="install it")
