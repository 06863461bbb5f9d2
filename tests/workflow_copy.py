"""A copy of the project in which tests run snakemake and edit files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

KEPT = (
    "Snakefile",
    "config.yaml",
    "workflow",
    "copra",
    "profiles",
    "envs",
    "resources/curation",
    "resources/demo",
    "tests/tiny.yaml",
)
DEMO = ("--configfile", "resources/demo/config.yaml", "tests/tiny.yaml")


@dataclass(frozen=True)
class Project:
    """The folder of a copy, and how to run commands in it."""

    folder: Path

    def snakemake(self, *words: str, timeout_s: float = 1800) -> subprocess.CompletedProcess[str]:
        """Run snakemake to its end; output and errors together in `stdout`."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )

    def command(self, *words: str) -> list[str]:
        """The command line of snakemake."""
        return [sys.executable, "-m", "snakemake", "--cores", "2", *words]

    def environment(self) -> dict[str, str]:
        """The environment of a run: this Python first, few threads."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.folder)}

    def demo(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The tiny demo run; fails the test with its output when it fails."""
        done = self.snakemake(*DEMO, *words)
        assert done.returncode == 0, done.stdout[-6000:]
        return done

    def queued(self) -> dict[str, int]:
        """How many jobs of which rule a run would start now."""
        return job_table(self.demo("--dry-run", "--quiet", "rules", "--", "all").stdout)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace one passage of one file; it must be there."""
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) >= 1, f"{name} does not hold {old!r}"
        path.write_text(text.replace(old, new, 1))

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the tiny demo run in a process group of its own."""
        return subprocess.Popen(
            self.command(*DEMO, *words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def digests(project: Project, *more: str) -> dict[str, str]:
    """sha256 of every table and store of the tiny demo's results, and of files with `more` endings."""
    results = project.folder / "results" / "demo"
    kinds = {".parquet", ".h5", ".tsv", ".md", *more}
    kept = [path for path in results.rglob("*") if path.suffix in kinds and "checkpoint" not in path.parts]
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(kept)}


def job_table(text: str) -> dict[str, int]:
    """The job counts that a dry run prints, by rule, without targets that only gather and without the total."""
    found = {}
    for block in re.findall(r"^job +count\n-+ +-+\n(.*?)\n(?:\n|$)", text, flags=re.M | re.S)[:1]:
        for line in block.splitlines():
            rule, count = line.split()
            found[rule] = int(count)
    for target in ("total", "all", "pra310", "pri30k", "embeddings"):
        found.pop(target, None)
    return found


def copy_project(root: Path, folder: Path) -> Project:
    """Copy what a run needs."""
    for name in KEPT:
        source = root / name
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return Project(folder)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a run and every job that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
