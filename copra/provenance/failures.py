"""What a run says last when jobs failed: which they were, and how their logs end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

TAIL_LINES = 10


def failure_summary(failed: Iterable[Any]) -> str:
    """Rule, wildcards, attempts and the last lines of the log of jobs that failed for good, in the order of names.

    `failed` holds snakemake's jobs. Of a group of jobs those are named whose outputs are not all there.
    """
    jobs = [member for job in failed for member in (job.jobs if job.is_group() else [job])]
    lost = [job for job in jobs if not all(Path(str(path)).exists() for path in job.output)]
    named = sorted(((_name(job), job) for job in lost), key=lambda pair: pair[0])
    parts = [f"{len(named)} jobs failed for good:"]
    for name, job in named:
        parts.append(f"  {name} (attempt {job.attempt})")
        parts += [f"    {line}" for path in job.log for line in _tail(Path(str(path)))]
    parts.append("What is done is kept: mend the cause and type the same command again.")
    return "\n".join(parts)


def _name(job: Any) -> str:
    wildcards = (f"{name}={value}" for name, value in sorted(job.wildcards.items()) if value)
    return " ".join([job.rule.name, *wildcards])


def _tail(path: Path) -> list[str]:
    """The path of a log and its last lines; of a large file only the end is read."""
    if not path.is_file():
        return [f"{path}: no log was written; the job was ended before it began"]
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200 * TAIL_LINES))
        lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    return [f"{path} ends with:", *lines] if lines else [f"{path} is empty; the job was ended from outside"]
