"""Running a measured job in a process of its own, and what a benchmark prints about the machine.

Standard library only, so that the process that measures stays small. `python measuring.py MODULE FUNCTION` is the
child: it reads the arguments as JSON, calls the function and answers with JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

MIB, GIB = 1024**2, 1024**3


def run_jobs(jobs: Sequence[tuple[str, dict[str, Any]]], threads: int) -> tuple[list[dict[str, Any]], float]:
    """Run jobs ("module.function", arguments) side by side, each in a fresh process with `threads` threads.

    Returns their answers, each with `job_s` and `peak_bytes`, and the wall time in seconds from the first start to the
    last end; what is longer than the jobs is Python's start and the imports.
    """
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    started = time.perf_counter()
    running = []
    for job, arguments in jobs:
        command = [sys.executable, __file__, *job.split(".")]
        process = subprocess.Popen(
            command, env={**os.environ, **limits}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(arguments))
        process.stdin.close()
        running.append(process)
    texts = [process.stdout.read() for process in running if process.stdout is not None]
    codes = [process.wait() for process in running]
    if any(codes):
        raise RuntimeError(f"{[job for job, _ in jobs]}: exit statuses {codes}")
    return [json.loads(text.splitlines()[-1]) for text in texts], time.perf_counter() - started


def run_job(job: str, threads: int, **arguments: Any) -> dict[str, Any]:
    """Run one job in a fresh process."""
    return run_jobs([(job, arguments)], threads)[0][0]


def peak_bytes() -> int:
    """The most memory this process ever held.

    Linux counts it in VmHWM from the start of the program; getrusage would also count the parent before it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_bytes() -> int:
    """Memory that a new process can have; where the system does not tell, all of it."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(packages: Iterable[str]) -> str:
    """One line: processor, cores, memory, load, versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{names[0] if names else platform.processor()}, {cores()} cores, {memory:.0f} GiB, {platform.system()}; "
        f"load at the start {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, {versions}"
    )


def medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each value over the rounds."""
    return {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}


def median_ratio(rounds: Sequence[dict[str, float]], above: str, below: str) -> float:
    """The median over the rounds of the ratio of two values of one round."""
    return statistics.median(found[above] / found[below] for found in rounds)


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _child() -> None:
    module, function = sys.argv[1:]
    job = getattr(importlib.import_module(module), function)
    started = time.perf_counter()
    answer = job(**json.load(sys.stdin))
    print(json.dumps({**answer, "job_s": time.perf_counter() - started, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    _child()
