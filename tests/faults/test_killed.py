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
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from workflow_copy import DEMO, Project, copy_project, digests, kill_group

from copra.files import replacing

# one verb of each stage, in the order of a run, and what is killed while it runs
STAGES = {
    "fetch-structures": "run", "parse-affinity": "job", "read-structures": "snakemake", "build-pri30k": "job",
    "merge-measurements": "run", "align-sequences": "job", "embed-sequences": "snakemake", "train-fold": "job",
    "package-model": "run", "train-mutations": "snakemake", "evaluate": "job", "report": "run",
}  # fmt: skip
LONGEST_ROUND_S = 600


@pytest.mark.slow
def test_a_kill_in_each_stage_ends_in_the_same_tables(undisturbed: Project, root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    moments = random.Random(9)
    killed = [verb for verb, what in STAGES.items() if kill_during(project, verb, what, moments.uniform(0, 1.5))]
    assert len(killed) > len(STAGES) // 2, f"only met {killed}"
    done = project.snakemake(*DEMO, "--", "all")
    assert done.returncode == 0, done.stdout[-6000:]
    assert not [path for path in project.folder.rglob("*.tmp") if ".snakemake" not in path.parts]
    assert digests(project) == digests(undisturbed)


def kill_during(project: Project, verb: str, what: str, after_s: float) -> bool:
    """Run until a job of `verb` has run so long, then kill; whether it was met. The folder is unlocked again."""
    process = project.start("--", "all")
    job = 0
    end = time.monotonic() + LONGEST_ROUND_S
    while not job and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
        job = running(process.pid, verb)
    if job:
        time.sleep(after_s)
        if what == "job":
            kill(job)
            process.wait(timeout=LONGEST_ROUND_S)  # snakemake lets other jobs end, and unlocks
        elif what == "snakemake":
            kill(process.pid)  # its jobs live on, beside those of the next round
            process.wait()
    if what != "snakemake":
        kill_group(process)
    for table in project.folder.rglob("[!.]*.parquet"):
        pq.read_table(table)  # what is there is there whole
    project.snakemake(*DEMO, "--unlock")
    return bool(job)


def running(group: int, verb: str) -> int:
    """The process of a run's job, 0 where none runs."""
    words = ["pgrep", "-g", str(group), "-f", f"python -m copra.cli {verb}"]
    listed = subprocess.run(words, capture_output=True, text=True).stdout.split()
    return int(listed[-1]) if listed else 0


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
