"""What a run was: its configuration, the commit of the code and the versions of what it ran on."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from copra.config import Config
from copra.files import replacing

PACKAGES = (
    "copra", "snakemake", "torch", "fair-esm", "gemmi", "biopython", "numpy", "scipy", "pandas", "pyarrow", "h5py",
    "scikit-learn",
)  # fmt: skip


def describe_run(*, config: Config, out: Path) -> None:
    """Write the configuration, the commit and the versions of a run as JSON, for the audit and the report."""
    description = {
        "config": config.model_dump(mode="json"),
        "git_commit": git_commit(Path(__file__).resolve().parent),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": platform.machine(),
        "system": platform.system(),
    }
    with replacing(out) as temporary:
        temporary.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def git_commit(folder: Path) -> str:
    """The commit of the checkout that holds `folder`, with `+changes` where files differ from it; or `unknown`."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, encoding="utf-8", errors="replace", check=True
    )
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
