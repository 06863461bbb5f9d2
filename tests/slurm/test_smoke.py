"""The first jobs of the demo through profiles/slurm on a real SLURM: one bundle and one job alone, in a minute."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm.cluster import Cluster
from slurm.runs import RESULTS, finish, rule_of, start
from workflow_copy import DEMO, copy_project

from copra.tables import read_table


@pytest.mark.slow
@pytest.mark.slurm
def test_a_bundle_and_a_job_run_on_the_cluster(cluster: Cluster, root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    parsed = [f"parsed/{source}/measurements.parquet" for source in ("prbabv2", "pronab")]
    run = start(project, *DEMO, "--", *(str(RESULTS / name) for name in (*parsed, "run.json")))
    said = finish(project, run)
    assert run.returncode == 0, said[-6000:]
    for name in parsed:
        assert not read_table(project.folder / RESULTS / name, "measurements").empty
    bundle, alone = sorted(cluster.jobs(), key=lambda job: job["TimeLimit"])
    assert (rule_of(alone), alone["TimeLimit"]) == ("describe_run", "02:00:00")
    assert (bundle["JobState"], bundle["Partition"]) == ("COMPLETED", "cpu")
    # two jobs, one after another: the time of both, the cores and the memory of one
    assert (bundle["TimeLimit"], bundle["NumCPUs"], bundle["MinMemoryNode"]) == ("01:00:00", "1", "4000M")
    assert (project.folder / RESULTS / "logs/parse_affinity/prbabv2.log").is_file()
