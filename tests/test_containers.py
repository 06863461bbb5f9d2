"""The recipes of containers/ and envs/ name the versions of requirements.txt, and each other's.

They cannot be built where these tests run; this keeps at least their versions, files and commands from drifting apart.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "python-isal": "isal"}
FILES = ("requirements.txt", "pyproject.toml", "run", "containers", "envs", "copra/split/cd_hit.py", ".dockerignore")
SENT = {"requirements.txt", "pyproject.toml", "README.md", "LICENSE", "copra"}  # what an image is made of


def disagreements(folder: Path) -> list[str]:
    """What differs between the lock file, the conda environments and the two recipes."""
    texts = {name: (folder / "containers" / name).read_text() for name in ("Dockerfile", "copra.def")}
    commands = {"Dockerfile": docker_commands(texts["Dockerfile"]), "copra.def": post_commands(texts["copra.def"])}
    found = []
    if commands["Dockerfile"] != commands["copra.def"]:
        found.append(f"commands: {set(commands['Dockerfile']) ^ set(commands['copra.def'])}")
    bases = [re.findall(r"^(?:FROM|From:) +(\S+)$", text, re.M) for text in texts.values()]
    if bases[0] != bases[1]:
        found.append(f"base images: {bases}")
    locked_for = re.findall(r"--python-version (\S+)", (folder / "run").read_text())
    if [re.sub(r"^python:(\d+\.\d+)\..*", r"\1", base) for base in bases[0]] != locked_for:
        found.append(f"Python: {bases[0]}, requirements.txt is for {locked_for}")
    lists = re.findall(r" -r (\S+)", "\n".join(commands["Dockerfile"]))
    if lists != ["/srv/copra/requirements.txt"]:
        found.append(f"installed from {lists}")
    pinned = set(re.findall(r"([\w-]+)==", "\n".join(commands["Dockerfile"]))) - {"uv"}
    if pinned:
        found.append(f"versions beside requirements.txt: {pinned}")
    return found + conda_disagreements(folder) + cd_hit_disagreements(folder) + sent_disagreements(folder, texts)


def docker_commands(text: str) -> list[str]:
    """The commands of a Dockerfile's RUN lines that install something."""
    joined = re.sub(r"\\\n\s*", "", text)
    commands = [part.strip() for line in re.findall(r"^RUN (.+)$", joined, re.M) for part in line.split("&&")]
    return [command for command in commands if not command.startswith("useradd")]  # Apptainer runs as its caller


def post_commands(text: str) -> list[str]:
    """The commands of an Apptainer recipe's %post that install something."""
    section = re.findall(r"^%post\n(.*?)(?=^%)", text, re.M | re.S)[0]
    lines = [line.strip() for line in section.splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "set ", "TORCH_BACKEND="))]


def conda_disagreements(folder: Path) -> list[str]:
    """The pins of envs/copra.yaml that requirements.txt does not have."""
    locked = dict(line.split("==") for line in (folder / "requirements.txt").read_text().splitlines())
    parts = yaml.safe_load((folder / "envs" / "copra.yaml").read_text())["dependencies"]
    pins = [part.split("=") for part in parts if isinstance(part, str) and "=" in part]
    pins += [part.split("==") for group in parts if isinstance(group, dict) for part in group["pip"]]
    versions = {CONDA_NAMES.get(name, name): version for name, version in pins}
    python = versions.pop("python")
    del versions["cd-hit"]  # no package of Python
    found = [
        f"{name}: {locked.get(name)} and {version}" for name, version in versions.items() if locked.get(name) != version
    ]
    low, high = re.findall(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (folder / "pyproject.toml").read_text())[0]
    if not int(low) <= int(python.split(".")[1]) < int(high):
        found.append(f"envs/copra.yaml: Python {python}")
    return found


def cd_hit_disagreements(folder: Path) -> list[str]:
    """CD-HIT's versions, where they are not all the same."""
    places = {
        "copra/split/cd_hit.py": r'^VERSION = "([\d.]+)"',
        "run": r"CD-HIT version ([\d\\.]+) ",
        "envs/cdhit.yaml": r"cd-hit=([\d.]+)$",
        "envs/copra.yaml": r"cd-hit=([\d.]+)$",
        "containers/Dockerfile": r"'cd-hit=([\d.]+)-\*'",
        "containers/copra.def": r"'cd-hit=([\d.]+)-\*'",
    }
    versions = {name: re.findall(pattern, (folder / name).read_text(), re.M) for name, pattern in places.items()}
    plain = {name: [version.replace("\\", "") for version in found] for name, found in versions.items()}
    return [] if len({tuple(found) for found in plain.values()}) == 1 else [f"CD-HIT: {plain}"]


def sent_disagreements(folder: Path, texts: dict[str, str]) -> list[str]:
    """What reaches the images beside what they are made of."""
    ignored = (folder / ".dockerignore").read_text().splitlines()
    section = re.findall(r"^%files\n(.*?)(?=^%)", texts["copra.def"], re.M | re.S)[0]
    copied = re.findall(r"^COPY (.+) \S+$", texts["Dockerfile"], re.M)
    sent = {
        ".dockerignore": {line[1:] for line in ignored if line.startswith("!")} if "*" in ignored else {"everything"},
        "copra.def": {line.split()[0] for line in section.splitlines() if line.strip()},
        "Dockerfile": {name for names in copied for name in names.split()},
    }
    return [f"{name} sends {what}" for name, what in sent.items() if what != SENT]


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of the files that are compared."""
    for name in FILES:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (root / name).is_dir() else shutil.copy2)(root / name, target)
    return tmp_path


def test_recipes_environments_and_lock_file_agree(root: Path) -> None:
    assert disagreements(root) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("requirements.txt", "torch==2.", "torch==3."),
        ("requirements.txt", "gemmi==", "gemmi==9."),
        ("envs/copra.yaml", "numpy=2.", "numpy=1."),
        ("envs/copra.yaml", "fair-esm==2", "fair-esm==3"),
        ("envs/copra.yaml", "python=3.12", "python=3.10"),
        ("envs/copra.yaml", "cd-hit=4.8.1", "cd-hit=4.8.2"),
        ("envs/cdhit.yaml", "cd-hit=4.8.1", "cd-hit=4.6.8"),
        ("containers/Dockerfile", "python:3.11.", "python:3.12."),
        ("containers/copra.def", "python:3.11.7", "python:3.11.8"),
        ("containers/Dockerfile", "cd-hit=4.8.1", "cd-hit=4.8.2"),
        ("containers/copra.def", "uv==", "uv==9."),
        ("containers/copra.def", "requirements.txt\n    pip", "requirements.txt\n    pip install torch\n    pip"),
        ("containers/Dockerfile", "COPY copra ", "COPY copra results "),
        (".dockerignore", "*\n!requirements", "!requirements"),
        ("run", "--python-version 3.11", "--python-version 3.13"),
        ("copra/split/cd_hit.py", 'VERSION = "4.8.1"', 'VERSION = "4.8.2"'),
    ],
)
def test_a_version_that_is_edited_alone_is_noticed(copy: Path, name: str, old: str, new: str) -> None:
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new, 1))
    assert disagreements(copy)


def test_recipes_say_that_they_are_untested_and_name_no_machine_architecture(root: Path) -> None:
    for name in ("Dockerfile", "copra.def"):
        text = (root / "containers" / name).read_text()
        assert "untested" in text
        assert not re.search(r"x86_64|amd64|aarch64|arm64|--platform", text)


def test_images_do_not_run_as_root_and_start_copra(root: Path) -> None:
    docker = (root / "containers" / "Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)$", docker, re.M) == ["copra"]
    assert 'ENTRYPOINT ["copra"]' in docker
    assert re.search(r'^%runscript\n +exec copra "\$@"$', (root / "containers" / "copra.def").read_text(), re.M)


@pytest.mark.parametrize("name", ["Dockerfile", "copra.def"])
def test_a_recipes_commands_are_plain_sh(root: Path, name: str) -> None:
    text = (root / "containers" / name).read_text()
    commands = docker_commands(text) if name == "Dockerfile" else post_commands(text)
    assert len(commands) >= 6
    subprocess.run(["sh", "-n"], input="\n".join(commands), text=True, check=True)
