"""What a dry run adds to Snakemake's own job table: how many jobs ask for a GPU, and how many submissions they are."""

from __future__ import annotations

from collections import Counter
from typing import Any

from copra.provenance.start import unknown_targets


def announce_plan(workflow: Any) -> None:
    """Print by rule how many of the jobs that a dry run lists ask for a GPU; say nothing after a real run.

    Where the profile bundles jobs, say too how many submissions to the cluster they are.
    """
    if not workflow.dryrun or workflow.dag is None or unknown_targets(workflow):
        return
    # a dry run counts a job as finished once it has listed it
    jobs = {*workflow.dag.needrun_jobs(), *workflow.dag.finished_jobs}
    counts = Counter(job.rule.name for job in jobs if job.resources.get("gpu"))
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    print(f"{sum(counts.values())} of {len(jobs)} jobs ask for a GPU" + (f": {rules}" if rules else ""))
    _announce_submissions(workflow, jobs)


def _announce_submissions(workflow: Any, jobs: set[Any]) -> None:
    # job.is_local says yes of every job in a dry run
    submitted = [job for job in jobs if not (job.rule.norun or job.rule.name in workflow._localrules)]
    bundles = Counter(group for group in map(workflow.dag.get_job_group, submitted) if group is not None)
    if not bundles:
        return
    single = len(submitted) - sum(bundles.values())
    print(
        f"{len(bundles) + single} submissions to a cluster: {single} of one job and {len(bundles)} bundles of up to "
        f"{max(bundles.values())} jobs; {len(jobs) - len(submitted)} jobs run here"
    )
