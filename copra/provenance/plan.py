"""What a dry run adds to Snakemake's own job table: how many of the jobs ask for a GPU."""

from __future__ import annotations

from collections import Counter
from typing import Any

from copra.provenance.start import unknown_targets


def announce_gpu_jobs(workflow: Any) -> None:
    """Print how many of the jobs that a dry run lists ask for a GPU, by rule; say nothing after a real run."""
    if not workflow.dryrun or workflow.dag is None or unknown_targets(workflow):
        return
    # a dry run counts a job as finished once it has listed it
    jobs = {*workflow.dag.needrun_jobs(), *workflow.dag.finished_jobs}
    counts = Counter(job.rule.name for job in jobs if job.resources.get("gpu"))
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    print(f"{sum(counts.values())} of {len(jobs)} jobs ask for a GPU" + (f": {rules}" if rules else ""))
