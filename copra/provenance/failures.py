"""What a run says last when jobs failed: which they were, why, where their logs are, and what to do next.

At most three lines for a job; jobs that failed for the same reason are told once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REASON_LINES = 2
SHOWN = 5  # different reasons
LONGEST_LINE = 500
TAIL_BYTES = 20_000

_USERS_MISTAKE = re.compile(r"^copra [a-z0-9-]+: ")  # what copra/cli.py prints of a CopraError
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:")  # a line of the log proper
_TRACEBACK = "Traceback (most recent call last):"


def failure_summary(failed: Iterable[Any]) -> str:
    """Rule, wildcards, attempts, log and reason of jobs that failed for good, in the order of names.

    `failed` holds snakemake's jobs. Of a group of jobs those are named whose outputs are not all there.
    """
    jobs = [member for job in failed for member in (job.jobs if job.is_group() else [job])]
    lost = [job for job in jobs if not all(Path(str(path)).exists() for path in job.output)]
    told: dict[str, list[tuple[str, str]]] = {}
    for name, job in sorted(((_name(job), job) for job in lost), key=lambda pair: pair[0]):
        paths = [Path(str(path)) for path in job.log]
        why = "\n".join(line for path in paths for line in _reason(path)) or "it has no log"
        head = f"  {name} (attempt {job.attempt}), log: {', '.join(map(str, paths)) or 'none'}"
        told.setdefault(_without_names(why, job), []).append((head, why))
    parts = [f"{len(lost)} jobs failed for good:"]
    for alike in list(told.values())[:SHOWN]:
        head, why = alike[0]
        parts += [head, *(f"    {line:.{LONGEST_LINE}}" for line in why.splitlines())]
        if len(alike) > 1:
            parts[-1] += f" (and so {len(alike) - 1} more, the last of them {alike[-1][0].split(',')[0].strip()})"
    if len(told) > SHOWN:
        parts.append(f"  and {sum(map(len, list(told.values())[SHOWN:]))} more for other reasons; see their logs")
    parts.append("What is done is kept: mend the cause and type the same command again.")
    return "\n".join(parts)


def _name(job: Any) -> str:
    wildcards = (f"{name}={value}" for name, value in sorted(job.wildcards.items()) if value)
    return " ".join([job.rule.name, *wildcards])


def _without_names(why: str, job: Any) -> str:
    """The reason without what tells this job from others of its rule."""
    for path in (*job.log, *job.output):
        why = why.replace(str(path), "")
    return f"{job.rule.name}: {re.sub(r'[0-9]+', '0', why)}"


def _reason(path: Path) -> list[str]:
    """Why a job failed, from its log: what copra said, the end of a traceback, or the last lines."""
    if not path.is_file():
        return ["no log was written; the job was ended before it began"]
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    if not lines:
        return ["the log is empty; the job was ended from outside"]
    said = [number for number, line in enumerate(lines) if _USERS_MISTAKE.match(line)]
    if said and not any(_LOGGED.match(line) for line in lines[said[-1] :]):
        return _begin_of(lines[said[-1] :])
    if _TRACEBACK in lines:
        # the text of an exception begins at the margin, what it passed through is indented
        after = lines[len(lines) - lines[::-1].index(_TRACEBACK) :]
        ends = [number for number, line in enumerate(after) if not line.startswith(" ")]
        if ends:
            return _begin_of([f"copra did not expect this; please report it: {after[ends[0]]}", *after[ends[0] + 1 :]])
    return ["the job was ended from outside (killed, or out of memory or time?); its log ends with:", lines[-1]]


def _begin_of(reason: list[str]) -> list[str]:
    more = len(reason) - REASON_LINES
    shown = reason[:REASON_LINES]
    return [*shown[:-1], f"{shown[-1]} (and {more} more lines in the log)"] if more > 0 else shown
