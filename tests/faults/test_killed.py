"""SIGKILL at random moments, of the whole run, of snakemake alone and of single jobs, in every stage.

Elsewhere: kills of a download (tests/fetch/test_fetch_killed.py), of an embedding
(tests/embed/test_embedding_kills.py), of training (tests/train/test_resume.py, test_finetune.py), of pre-training
(test_pretrain.py), of one of several processes (test_ranks.py), of FoldX (tests/structure/test_foldx.py), between the
two renames of a release (tests/release/test_release.py), of a whole run by the clock (tests/test_workflow.py).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from workflow_copy import DEMO, Project, copy_project, digests, kill_group

from copra.files import replacing

# one verb of each stage, and what is killed while it runs
STAGES = {
    "parse-affinity": "job", "fetch-structures": "run", "read-structures": "snakemake", "build-pri30k": "job",
    "merge-measurements": "run", "align-sequences": "job", "assign-folds": "run", "embed-sequences": "snakemake",
    "train-fold": "job", "package-model": "run", "train-mutations": "snakemake", "evaluate": "job", "report": "run",
}  # fmt: skip
LONGEST_ROUND_S = 600


@pytest.mark.slow
def test_a_kill_in_each_stage_ends_in_the_same_tables(undisturbed: Project, root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    left, moments = dict(STAGES), random.Random(9)
    while left and (verb := kill_in_a_stage(project, left, moments.uniform(0, 1.5))):
        del left[verb]
    assert len(left) < 4, f"never met: {left}"  # some jobs take a fraction of a second
    done = project.snakemake(*DEMO, "--", "all")
    assert done.returncode == 0, done.stdout[-6000:]
    assert not [path for path in project.folder.rglob("*.tmp") if ".snakemake" not in path.parts]
    assert digests(project) == digests(undisturbed)


def kill_in_a_stage(project: Project, stages: dict[str, str], after_s: float) -> str:
    """Run until a job of one of the stages has run so long, then kill; returns the verb, "" where none was met.

    The folder is unlocked again.
    """
    process = project.start("--", "all")
    verb, job = "", 0
    end = time.monotonic() + LONGEST_ROUND_S
    while not job and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
        verb, job = running(process.pid, stages)
    if job:
        time.sleep(after_s)
        if stages[verb] == "job":
            kill(job)
            process.wait(timeout=LONGEST_ROUND_S)  # snakemake lets other jobs end, and unlocks
        elif stages[verb] == "snakemake":
            kill(process.pid)  # its jobs live on, beside those of the next round
            process.wait()
    if process.poll() is None:
        kill_group(process)
    for table in project.folder.rglob("[!.]*.parquet"):
        pq.read_table(table)  # what is there is there whole
    project.snakemake(*DEMO, "--unlock")
    return verb


def running(group: int, verbs: Iterable[str]) -> tuple[str, int]:
    """A verb that a run executes and its process; 0 where it executes none of these."""
    words = ["pgrep", "-a", "-g", str(group), "-f", "python -m copra.cli "]
    for line in subprocess.run(words, capture_output=True, text=True).stdout.splitlines():
        pid, _, command = line.partition(" ")
        verb = command.partition(" copra.cli ")[2].split(" ")[0]
        if verb in verbs and " -c " not in command.partition("copra.cli")[0]:  # not the shell around it
            return verb, int(pid)
    return "", 0


def kill(pid: int) -> None:
    """SIGKILL, where it has not ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


WRITER = """
import sys, time
from pathlib import Path
from copra.files import replacing
path, letter = Path(sys.argv[1]), sys.argv[2]
with replacing(path) as temporary:
    with temporary.open("w") as handle:
        handle.write(letter)
        handle.flush()
        print("half", flush=True)
        sys.stdin.readline()
        handle.write(letter)
"""


def writer(path: Path, letter: str) -> subprocess.Popen[str]:
    """A process that has written the first half of a file and waits for a line."""
    started = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), letter],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    assert started.stdout.readline() == "half\n"
    return started


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_a_job_that_outlives_snakemake_never_puts_half_a_file_under_its_name(
    tmp_path: Path, first_ends_first: bool
) -> None:
    """Snakemake alone was killed; its job goes on writing what the next run's job writes too."""
    path = tmp_path / "a.txt"
    left, own = writer(path, "l"), writer(path, "o")
    for process in (left, own) if first_ends_first else (own, left):
        process.communicate("\n", timeout=60)
        assert not path.exists() or path.read_text() == "oo"
    assert left.returncode == 1, "the earlier one has lost its file"
    assert own.returncode == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_the_temporary_file_of_another_path_is_left_alone(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.json") as other:
        other.write_text("x")
        with replacing(tmp_path / "a") as own:
            own.write_text("y")
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a"}
