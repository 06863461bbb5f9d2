"""What SLURM's accounts call the state of a job, in the words that Snakemake's executor knows."""

from __future__ import annotations

import sys
from typing import Any

EXECUTOR = "snakemake_executor_plugin_slurm"


def see_cancelled_jobs() -> None:
    """Let the executor see that a job was cancelled; nothing where there is no executor.

    After `scancel`, sacct tells `CANCELLED by 1000`; executor 2.8.0 knows the bare word alone and would wait for ever.
    """
    executor = sys.modules.get(EXECUTOR)
    if executor is not None:
        executor.query_job_status = first_words(executor.query_job_status)  # type: ignore[attr-defined]


def first_words(query: Any) -> Any:
    """The executor's coroutine that asks for states, {job: state} and the seconds it took, without ` by 1000`."""

    async def ask(*words: Any, **named: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await query(*words, **named)
        return states and {job: state.split()[0] if state else state for job, state in states.items()}, seconds

    return ask
