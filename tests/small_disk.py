"""A file system of its own for a test: as small as it likes, and writable or not.

It is mounted in a name space that ends with the test, as root or not; this process reaches it through /proc.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sample_results import fill, put

PAGE_BYTES = 4096
FILLER = "filler"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Disk:
    """A mounted disk; `shell` is the process in whose name space it lies, at `place`."""

    shell: subprocess.Popen[str]
    place: Path
    pages: int

    @property
    def path(self) -> Path:
        """Where this process finds it."""
        return Path(f"/proc/{self.shell.pid}/root{self.place}")

    def leave_free(self, pages: int) -> None:
        """Fill the disk but for so many pages of 4 KiB."""
        filler = self.path / FILLER
        filler.unlink(missing_ok=True)
        free = os.statvfs(self.path).f_bavail
        with filler.open("wb") as handle:
            handle.write(bytes(max(0, free - pages) * PAGE_BYTES))
        assert os.statvfs(self.path).f_bavail == min(free, pages)

    def make_room(self) -> None:
        """Take away what `leave_free` put there."""
        (self.path / FILLER).unlink(missing_ok=True)

    def remount(self, mode: str) -> None:
        """`ro` or `rw`."""
        _tell(self.shell, f'mount -o remount,{mode} "$place"')

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the name space, in the folder of the disk; the project's package comes first."""
        enter = ["nsenter", "-t", str(self.shell.pid), "-m"]
        if os.geteuid():
            enter += ["-U", "--preserve-credentials"]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        own = {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        words = (*enter, "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(self.place), *words)
        return subprocess.run(words, capture_output=True, text=True, timeout=300, env={**os.environ, **own})

    def copra(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a verb there."""
        return self.run(sys.executable, "-m", "copra.cli", *map(str, words))

    def files(self) -> dict[str, bytes]:
        """Everything on it but the filler, also what begins with a dot."""
        found = (path for path in self.path.rglob("*") if path.is_file() and path.name != FILLER)
        return {str(path.relative_to(self.path)): path.read_bytes() for path in found}


@contextmanager
def small_disk(place: Path, pages: int) -> Iterator[Disk]:
    """A disk of so many pages of 4 KiB at the folder `place`; skips the test where nothing may be mounted."""
    place.mkdir(parents=True, exist_ok=True)
    words = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh"]
    try:
        shell = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "place": str(place)},
        )  # fmt: skip
    except OSError as error:
        pytest.skip(f"no small disk: {error}")
    with shell:
        said = _tell(shell, f'mount -t tmpfs -o size={pages * PAGE_BYTES} copra "$place"', allowed=True)
        if said is not None:
            pytest.skip(f"no small disk can be mounted here: {said}")
        yield Disk(shell, place, pages)
        assert shell.stdin is not None
        shell.stdin.close()  # the shell ends, its name space with it


def _tell(shell: subprocess.Popen[str], command: str, *, allowed: bool = False) -> str | None:
    """Have the shell do it; returns what it said where it failed and may."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    lines = [""]
    try:
        shell.stdin.write(f"{command} && echo done || echo failed\n")
        shell.stdin.flush()
        while lines[-1] not in ("done", "failed") and (line := shell.stdout.readline()):
            lines.append(line.strip())
    except BrokenPipeError:
        lines += shell.stdout.read().splitlines()
    if lines[-1] == "done":
        return None
    said = " ".join(lines).strip()
    assert allowed, said
    return said


def families(folder: Path) -> tuple[str | Path, ...]:
    """The words of a verb that soon writes two tables: `choose-family`, with its inputs in `folder`."""
    folds, clusters = folder / "in" / "folds.parquet", folder / "in" / "clusters.parquet"
    put(folds, "folds", [fill("folds", record_id=f"1a{i:02}:A:B", cluster="c", fold=i % 2) for i in range(9)])
    put(clusters, "clusters", [fill("clusters", record_id=f"1a{i:02}:A:B", cluster="c") for i in range(9)])
    return (
        "choose-family",
        folds,
        "--clusters",
        clusters,
        "--folds-out",
        "folds.parquet",
        "--clusters-out",
        "clusters.parquet",
    )
