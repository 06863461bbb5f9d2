"""./run makes the environment; the lists of requirements say the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "isal": "python-isal"}
# run by the person who starts snakemake, not by the rules
NOT_FOR_RULES = {"snakemake", "snakemake-executor-plugin-slurm"}


def run(script: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *words],
        env={**os.environ, **environment},
        cwd=script.parent.parent,  # no place from which the package could be imported by chance
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def copy_of_the_tree(root: Path, folder: Path) -> Path:
    """A checkout's worth of files, in a folder with a blank in its name."""
    copy = folder / "a copy"
    copy.mkdir()
    for name in ("run", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy2(root / name, copy / name)
    for name in ("copra", "envs"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def fake_environment(copy: Path) -> Path:
    """A finished set-up whose one program is `hello`."""
    programs = copy / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "hello").write_text('#!/bin/sh\necho "hello $*"\n')
    (programs / "hello").chmod(0o755)
    (copy / ".venv" / "pyvenv.cfg").write_text("version = 3.11.0\n")
    parts = [(copy / name).read_bytes() for name in ("requirements.txt", "pyproject.toml", ".venv/pyvenv.cfg")]
    text = b"".join(parts) + str(copy.resolve()).encode()
    checksum = subprocess.run(["cksum"], input=text, capture_output=True, check=True).stdout
    (copy / ".venv" / "setup.stamp").write_bytes(checksum)
    return programs


def only_these_programs(folder: Path, *names: str) -> str:
    """A PATH with the named programs of this machine and nothing else."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, f"this test needs {name}"
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.parametrize("words", [(), ("help",), ("--help",)])
def test_run_alone_explains_its_words(root: Path, words: tuple[str, ...]) -> None:
    result = run(root / "run", *words)
    assert result.returncode == 0
    for word in ("demo", "test", "full", "plan", "lock", "setup", "help"):
        assert re.search(rf"^  {word} ", result.stdout, re.MULTILINE), f"{word} is not explained"


@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_scripts_are_executable_and_plain_sh(root: Path, script: str) -> None:
    assert os.access(root / script, os.X_OK)
    assert (root / script).read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", root / script], check=True)


def test_run_short_circuits_when_set_up(root: Path, tmp_path: Path) -> None:
    copy = copy_of_the_tree(root, tmp_path)
    fake_environment(copy)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        result = run(copy / "run", "hello", "two  blanks", "*")
        seconds.append(time.perf_counter() - begin)
        assert result.returncode == 0, result.stderr
        assert result.stdout == "hello two  blanks *\n"
        assert result.stderr == ""
    assert min(seconds) < 0.1, f"./run takes {min(seconds):.3f} s before the command starts"


def test_run_passes_on_status_and_folder(root: Path, tmp_path: Path) -> None:
    copy = copy_of_the_tree(root, tmp_path)
    fake_environment(copy)
    result = subprocess.run([copy / "run", "sh", "-c", "pwd; exit 7"], cwd="/", capture_output=True, text=True)
    assert (result.stdout, result.returncode) == ("/\n", 7)
    result = run(copy / "run", "no-such-word")
    assert result.returncode == 1
    assert "'no-such-word' is neither a word" in result.stderr


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml", ".venv/pyvenv.cfg"])
def test_a_changed_list_is_noticed(root: Path, tmp_path: Path, name: str) -> None:
    copy = copy_of_the_tree(root, tmp_path)
    programs = fake_environment(copy)
    (programs / "python").unlink()  # so that the set-up which must now begin ends at once
    programs_path = only_these_programs(tmp_path / "programs", "sh", "dirname", "cat", "cksum", "mkdir", "find", "rm")
    assert run(copy / "run", "hello", PATH=programs_path).returncode == 1
    (programs / "python").symlink_to(sys.executable)
    with (copy / name).open("a") as handle:
        handle.write("# changed\n")
    (programs / "python").unlink()
    (programs / "python").symlink_to("/bin/false")
    result = run(copy / "run", "hello", PATH=programs_path)
    assert result.returncode == 1
    assert "needs Python >= 3.11 and < 3.15" in result.stderr


def test_unfit_python_gets_one_clear_message(root: Path, tmp_path: Path) -> None:
    copy = copy_of_the_tree(root, tmp_path)
    programs = only_these_programs(tmp_path / "programs", "sh", "dirname", "cat", "cksum", "mkdir", "find", "rm")
    old = Path(programs) / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    result = run(copy / "run", "setup", PATH=programs)
    assert result.returncode == 1
    assert "needs Python >= 3.11 and < 3.15; python3 here is: Python 3.9.2" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (copy / ".venv" / "setup.stamp").exists()


def test_no_network_gets_one_clear_line(root: Path, tmp_path: Path) -> None:
    copy = copy_of_the_tree(root, tmp_path)
    nowhere = "http://127.0.0.1:9"
    settings = {"PIP_INDEX_URL": nowhere, "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
    result = run(copy / "run", "copra", "--version", **settings)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("run: the package index does not answer")
    assert not (copy / ".venv" / "setup.stamp").exists()


@pytest.mark.slow
def test_cold_set_up_then_two_at_once(root: Path, tmp_path: Path) -> None:
    copy = copy_of_the_tree(root, tmp_path)
    words = [str(copy / "run"), "copra", "--version"]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=600)
        if "the package index does not answer" in err:
            pytest.skip("a set-up from nothing needs a package index")
        assert process.returncode == 0, err
        assert out.startswith("copra ")
    (copy / ".venv" / "setup.stamp").unlink()
    (copy / ".venv" / "setup.unfinished").touch()  # as after a set-up that was killed
    shutil.rmtree(next((copy / ".venv" / "lib").glob("python3*/site-packages/numpy")))
    result = run(copy / "run", "python", "-c", "import numpy, torch, copra; print(copra.__file__)")
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()) == (copy / "copra" / "__init__.py").resolve()


# --- the lists of requirements ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def direct(root: Path) -> dict[str, dict[str, str]]:
    """The direct requirements of pyproject.toml: for the rules and for developers, name -> version."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lists = {"rules": project["dependencies"], "dev": project["optional-dependencies"]["dev"]}
    return {kind: dict(exact(Requirement(line)) for line in lines) for kind, lines in lists.items()}


def exact(requirement: Requirement) -> tuple[str, str]:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==", f"{requirement}: an exact version is wanted"
    return canonicalize_name(requirement.name), specifier.version


def test_requirements_hold_the_versions_of_pyproject(root: Path, direct: dict[str, dict[str, str]]) -> None:
    lines = (root / "requirements.txt").read_text().splitlines()
    locked = dict(exact(Requirement(line)) for line in lines)
    assert len(locked) == len(lines)
    for name, version in (direct["rules"] | direct["dev"]).items():
        assert locked.get(name) == version, f"{name}: run `./run lock`"


def test_requirements_name_no_build_path_or_index(root: Path) -> None:
    for line in (root / "requirements.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+( ; [^@/]+)?", line), line


def test_conda_environment_has_the_same_versions(root: Path, direct: dict[str, dict[str, str]]) -> None:
    parts = yaml.safe_load((root / "envs" / "copra.yaml").read_text())["dependencies"]
    conda = dict(part.split("=") for part in parts if isinstance(part, str) and "=" in part)
    from_pip = dict(part.split("==") for group in parts if isinstance(group, dict) for part in group["pip"])
    wanted = {name: version for name, version in direct["rules"].items() if name not in NOT_FOR_RULES}
    found = {name: conda.get(CONDA_NAMES.get(name, name)) or from_pip.get(name) for name in wanted}
    assert found == wanted
    extra = conda.keys() - {CONDA_NAMES.get(name, name) for name in wanted}
    assert extra == {"python", "cd-hit"}


def test_conda_environments_pin_cd_hit(root: Path) -> None:
    for name in ("cdhit.yaml", "copra.yaml"):
        environment = yaml.safe_load((root / "envs" / name).read_text())
        assert "cd-hit=4.8.1" in environment["dependencies"], name
        assert environment["channels"] == ["conda-forge", "bioconda", "nodefaults"], name
