"""Runs of copra's workflow through the SLURM profile, and what the cluster tells of their jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from slurm.cluster import Cluster, hindrance
from workflow_copy import DEMO, Project

# with accounts where they can be had: on a busy machine the executor falls back from squeue to sacct and, where sacct
# does not answer, waits for ever
ACCOUNTING = hindrance(accounting=True) is None
STATUS = "sacct" if ACCOUNTING else "squeue"
PROFILE = ("--profile", "profiles/slurm", "--slurm-status-command", STATUS)
# a test does not wait 40 s before it asks
QUICK = ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10")
LONGER = (*DEMO, "longer.yaml")
RESULTS = Path("results/demo")
LIMIT_S = 1500.0


def command(*words: str) -> list[str]:
    """The command line of a run through the profile."""
    return [sys.executable, "-m", "snakemake", *PROFILE, *QUICK, *words]


def start(project: Project, *words: str) -> subprocess.Popen[str]:
    """Start a run through the profile; what it says goes to slurm_run.log."""
    with (project.folder / "slurm_run.log").open("w") as log:
        return subprocess.Popen(
            command(*words),
            cwd=project.folder,
            env=project.environment(),
            stdout=log,
            stderr=log,
            text=True,
            preexec_fn=_hear_ctrl_c,
        )


def _hear_ctrl_c() -> None:
    """What a shell starts in the background is deaf to SIGINT, and so would be all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(project: Project, run: subprocess.Popen[str]) -> str:
    """Wait for a run's end and give what it said; one that does not end is killed and fails the test."""
    try:
        run.wait(timeout=LIMIT_S)
    finally:
        run.kill()
    return (project.folder / "slurm_run.log").read_text()


def end_processes_of(folder: Path) -> None:
    """End what a job left behind on a node that was taken down: SLURM lets it live, and it waits for ever."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may have ended by itself
            words = (place / "cmdline").read_text(errors="replace")
            if str(folder) in words and int(place.name) != os.getpid():
                os.kill(int(place.name), signal.SIGKILL)


def rule_of(job: dict[str, str]) -> str:
    """The rule of a job: the executor puts it into the job's comment."""
    return job["Comment"].removeprefix("rule_").split("_wildcards_")[0]


def jobs_of(cluster: Cluster, rule: str) -> list[dict[str, str]]:
    """All submissions of a rule, the first one first."""
    jobs = [job for job in cluster.jobs() if rule_of(job) == rule]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def wait_for(happened: Callable[[], bool], run: subprocess.Popen[str], limit_s: float = 600.0) -> None:
    """Look ten times a second until it has happened; the run must go on until then."""
    end = time.monotonic() + limit_s
    while not happened():
        assert run.poll() is None, "the run ended before it happened"
        assert time.monotonic() < end, f"it did not happen within {limit_s:.0f} s"
        time.sleep(0.1)
