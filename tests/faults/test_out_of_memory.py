"""Too little memory: a worker that the system ends, and an allocation that it refuses, are told in one line.

Elsewhere: one of several training processes that dies (tests/train/test_ranks.py), an error in a loader's thread
(tests/train/test_complexes.py), a job beyond its memory on SLURM (tests/slurm).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from copra import cli
from copra.fetch.structures import in_parallel

ROOT = Path(__file__).resolve().parents[2]

POOL = """
import sys
from pathlib import Path
from copra.config_file import load_config
from copra.split.align import compare_all
from copra.split.pairwise import Comparison

if __name__ == "__main__":
    scoring = load_config(Path(sys.argv[1])).split.alignment.protein
    text = "ARNDCQEGHILKMFPSTWYV" * 100
    tasks = [Comparison("protein", scoring, text, [text] * 50)] * 100
    print("started", flush=True)
    for matches in compare_all(tasks, 2):
        pass
"""


def start_pool(folder: Path) -> subprocess.Popen[str]:
    """A process that aligns for minutes with two workers; returns when both work."""
    (folder / "pool.py").write_text(POOL)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(folder / "pool.py"), str(ROOT / "config.yaml")]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    until(lambda: len(workers(process)) == 2)
    return process


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The workers of a pool that are alive, also when the process that started them is not."""
    words = ["pgrep", "-g", str(process.pid), "-f", "spawn_main"]
    return [int(pid) for pid in subprocess.run(words, capture_output=True, text=True).stdout.split()]


def until(happened, limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_worker_that_the_system_ends_is_an_error_and_no_hang(tmp_path: Path) -> None:
    process = start_pool(tmp_path)
    os.kill(workers(process)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "CopraError: one of 2 processes that align sequences was ended from outside" in said
    assert "give the job more memory or fewer threads" in said
    assert workers(process) == []


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    process = start_pool(tmp_path)
    process.kill()
    process.wait()
    try:
        until(lambda: workers(process) == [])
    finally:
        for pid in workers(process):
            os.kill(pid, signal.SIGKILL)


def refused(task: int) -> None:
    raise MemoryError("Unable to allocate 3 GiB")


def test_what_a_thread_cannot_allocate_ends_the_others() -> None:
    with pytest.raises(MemoryError):
        in_parallel(refused, range(1000), 4, lambda result: None)


LIMITED = """
import resource, sys
import numpy, torch, copra.cli as cli
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), -1))
import types
def numbers() -> None:
    numpy.zeros(1 << 30)
def tensors() -> None:
    torch.zeros(1 << 30)
def texts() -> None:
    "x" * (1 << 33)
def processes() -> None:
    raise OSError(12, "Cannot allocate memory")
sys.modules["standin"] = sys.modules["__main__"]
cli.STAGES["demo"] = {name: ("standin", "") for name in ("numbers", "tensors", "texts", "processes")}
sys.exit(sum(cli.main([name]) for name in cli.STAGES["demo"]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here to measure memory by")
def test_memory_that_is_refused_is_one_line_and_status_2() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, env=environment)
    assert done.returncode == 8, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    for name, line in zip(("numbers", "tensors", "texts", "processes"), lines, strict=True):
        assert line.startswith(f"copra {name}: out of memory: ")
        assert line.endswith("; give the job more memory, then type the same command again")


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the machine lacks is told so; a mistake in copra shows where it is."""

    def verb() -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setitem(sys.modules, "standin", type("module", (), {"verb": staticmethod(verb)}))
    monkeypatch.setitem(cli.STAGES, "standin", {"verb": ("standin", "")})
    with pytest.raises(RuntimeError, match="shapes"):
        cli.main(["verb"])
