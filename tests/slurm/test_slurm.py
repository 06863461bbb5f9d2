"""copra's workflow through profiles/slurm on a real SLURM: one node on this machine, see cluster.py.

`./run test -n0 -m slurm` runs these; README.md beside this file holds what was seen and how long it took.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm.cluster import Cluster, hindrance
from slurm.runs import LONGER, PROFILE, RESULTS, end_processes_of, finish, jobs_of, rule_of, start, wait_for
from test_pretraining_workflow import started_from
from workflow_copy import Project, copy_project, digests

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

FOLDER = RESULTS / "train/coformer_structure/seed_2024"
FOLD_0 = FOLDER / "fold_0"
SRUN = "srun --ntasks=2 --gpus-per-task=1 --kill-on-bad-exit=1"  # as copra/train/ranks.py says, on one node
PREDICTIONS = str(FOLD_0 / "predictions.parquet")


@pytest.fixture(scope="module", autouse=True)
def asked_for(request: pytest.FixtureRequest) -> None:
    """These take a quarter of an hour: they run where they are asked for."""
    if "slurm" not in request.config.option.markexpr:
        pytest.skip("the whole workflow on a SLURM of one node: ./run test -n0 -m slurm")
    reason = hindrance()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which everything has run on this machine, without SLURM."""
    project = copy_project(root, tmp_path_factory.mktemp("finished") / "copra")
    shutil.copy(root / "tests/slurm/longer.yaml", project.folder)
    done = project.snakemake(*LONGER, "--", "all", timeout_s=3000)
    assert done.returncode == 0, done.stdout[-6000:]
    return project


@pytest.fixture
def untrained(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """The finished run as it was before training."""
    folder = tmp_path / "copra"
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2)
    shutil.rmtree(folder / RESULTS / "train")
    shutil.rmtree(folder / RESULTS / "logs/train_fold")
    yield Project(folder)
    end_processes_of(folder)


def said_in(project: Project, fold: int = 0) -> str:
    """The log of the training of a fold."""
    path = project.folder / RESULTS / f"logs/train_fold/coformer_structure/seed_2024_fold_{fold}.log"
    return path.read_text() if path.is_file() else ""


def in_mid_training(project: Project) -> bool:
    """Whether a checkpoint has been written; the training's end is some seconds off."""
    return any((project.folder / FOLDER).glob("fold_*/checkpoint/checkpoint.safetensors"))


def same_predictions(project: Project, finished: Project) -> bool:
    return (project.folder / PREDICTIONS).read_bytes() == (finished.folder / PREDICTIONS).read_bytes()


def test_the_whole_workflow_gives_the_same_bytes_as_without_slurm(
    finished: Project, cluster: Cluster, root: Path, tmp_path: Path
) -> None:
    project = copy_project(root, tmp_path / "copra")
    shutil.copy(root / "tests/slurm/longer.yaml", project.folder)
    plan = project.snakemake(*PROFILE, *LONGER, "--dry-run", "--quiet", "rules", "--", "all").stdout
    announced = int(re.findall(r"(\d+) submissions to a cluster", plan)[0])
    run = start(project, *LONGER, "--", "all")
    said = finish(project, run)
    assert run.returncode == 0, said[-6000:]
    assert digests(project, ".safetensors") == digests(finished, ".safetensors")
    assert not cluster.unfinished()
    jobs = cluster.jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert len(jobs) == announced
    for job in jobs:
        on_gpu = rule_of(job) in {"embed_sequences", "train_fold", "train_mutations", "predict_mutations"}
        assert job["Partition"] == ("gpu" if on_gpu else "cpu")
        assert ("gres:gpu:1" in job.get("TresPerJob", "")) == on_gpu
    (training, *_) = jobs_of(cluster, "train_fold")
    assert (training["MinMemoryNode"], training["TimeLimit"]) == ("32000M", "12:00:00")
    (reading,) = [job for job in jobs if rule_of(job).startswith("read_")]
    assert (reading["NumCPUs"], reading["MinMemoryNode"]) == ("1", "4000M")  # two shards, one after another
    assert reading["TimeLimit"] == "02:00:00"
    assert "INFO" in said_in(project)


@pytest.mark.parametrize("blow", ["scancel", "node down"])
def test_training_goes_on_from_its_checkpoint(
    blow: str, untrained: Project, finished: Project, cluster: Cluster
) -> None:
    run = start(untrained, *LONGER, "--", PREDICTIONS)
    wait_for(lambda: in_mid_training(untrained), run)
    (job,) = jobs_of(cluster, "train_fold")
    if blow == "scancel":
        cluster.cancel(job["JobId"])
    else:
        cluster.node("down")
        wait_for(lambda: "RUNNING" not in {job["JobState"] for job in cluster.jobs()}, run)
        cluster.node("resume")
    said = finish(untrained, run)
    assert run.returncode == 0, said[-6000:]
    jobs = jobs_of(cluster, "train_fold")
    if blow == "scancel":  # snakemake sees it and submits anew
        assert [job["JobState"] for job in jobs] == ["CANCELLED", "COMPLETED"]
    else:  # SLURM puts the job back into the queue by itself
        assert [(job["JobState"], job["Restarts"]) for job in jobs] == [("COMPLETED", "1")]
    assert ": going on " in said_in(untrained)
    assert same_predictions(untrained, finished)


def test_a_job_that_runs_out_of_memory_is_given_more(untrained: Project, finished: Project, cluster: Cluster) -> None:
    memory = "train_fold:mem_mb=350*6**(attempt-1)"
    run = start(untrained, *LONGER, "--set-resources", memory, "--", PREDICTIONS)
    said = finish(untrained, run)
    assert run.returncode == 0, said[-6000:]
    assert [job["MinMemoryNode"] for job in jobs_of(cluster, "train_fold")] == ["350M", "2100M"]
    assert same_predictions(untrained, finished)


def test_a_job_that_runs_out_of_time_is_given_more_and_goes_on(untrained: Project, cluster: Cluster) -> None:
    (untrained.folder / "endless.yaml").write_text(
        "experiments:\n  coformer_structure: {epochs: 100000, patience_epochs: 100000}\n"
    )
    runtime = ("--set-resources", "train_fold:runtime=2*attempt")
    run = start(untrained, *LONGER, "endless.yaml", *runtime, "--", PREDICTIONS)
    wait_for(lambda: ": going on " in said_in(untrained), run)
    first, second = jobs_of(cluster, "train_fold")
    assert (first["JobState"], first["TimeLimit"]) == ("TIMEOUT", "00:02:00")
    assert (second["JobState"], second["TimeLimit"]) == ("RUNNING", "00:04:00")
    run.send_signal(signal.SIGINT)
    finish(untrained, run)
    cluster.wait_until_empty(limit_s=60)


def test_ctrl_c_leaves_no_job_behind(untrained: Project, cluster: Cluster) -> None:
    both = [str(FOLDER / f"fold_{fold}" / "predictions.parquet") for fold in range(2)]
    run = start(untrained, *LONGER, "--set-resources", "train_fold:gpu=2", "--", *both)
    wait_for(lambda: in_mid_training(untrained), run)
    assert {job["JobState"] for job in jobs_of(cluster, "train_fold")} == {"RUNNING", "PENDING"}
    run.send_signal(signal.SIGINT)
    finish(untrained, run)
    assert run.returncode != 0
    cluster.wait_until_empty(limit_s=60)
    assert {job["JobState"] for job in jobs_of(cluster, "train_fold")} == {"CANCELLED"}
    again = untrained.snakemake(*LONGER, "--dry-run", "--quiet", "rules", "--", *both)
    assert again.returncode == 0, again.stdout[-3000:]  # nothing is locked


def test_a_job_that_fails_for_good_leaves_the_others_running(untrained: Project, cluster: Cluster) -> None:
    store = untrained.folder / RESULTS / "embeddings/esm2_random/0.h5"
    store.write_bytes(store.read_bytes()[:1000])
    broken = PREDICTIONS.replace("coformer_structure", "coformer_random_lm")
    words = ("--retries", "1", "--rerun-triggers", "input", "--", broken, PREDICTIONS)
    run = start(untrained, *LONGER, *words)
    said = finish(untrained, run)
    assert run.returncode != 0
    summary = said[said.index("1 jobs failed for good") :]
    assert "train_fold experiment=coformer_random_lm fold=0 seed=2024 (attempt 2)" in summary
    assert "esm2_random/0.h5" in summary  # the last lines of the job's log name the file
    assert "coformer_structure" not in summary
    assert (untrained.folder / PREDICTIONS).is_file()


def test_pretraining_on_two_tasks_of_srun(untrained: Project, cluster: Cluster) -> None:
    words = started_from(untrained, "cpri", purge="none", ranks=2)
    by_srun = ("slurm_partition=gpu", "mpi=srun", "nodes=1", "tasks_per_node=2", f"launcher={SRUN}")
    settings = [f"pretrain:{setting}" for setting in by_srun]
    run = start(untrained, *words, "--set-resources", *settings, "--", str(RESULTS / "pretrain/tiny/all/model.json"))
    said = finish(untrained, run)
    assert run.returncode == 0, said[-6000:]
    (job,) = jobs_of(cluster, "pretrain")
    assert (job["NumTasks"], job["Partition"]) == ("2", "gpu")
    assert "gres:gpu:2" in job["TresPerJob"]
    assert '"ranks": 2' in (untrained.folder / RESULTS / "pretrain/tiny/all/model.json").read_text()
