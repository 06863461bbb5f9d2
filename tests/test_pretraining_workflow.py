"""Pre-training inside the workflow: which jobs there are, and a tiny run from structures to fine-tuning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from workflow_copy import DEMO, Project, copy_project, job_table

from copra.config import Coformer
from copra.config_file import load_config
from copra.config_model import Architecture
from copra.tables import read_table

EXPERIMENT = "coformer_structure"


def started_from(project: Project, model: str, **settings: object) -> tuple[str, ...]:
    """Words that put a recipe `tiny`, made after the recipe `model`, before the demo's experiment, at its size."""
    config = load_config(*(project.folder / name for name in ("config.yaml", *DEMO[1:])))
    experiment = config.experiments[EXPERIMENT]
    assert isinstance(experiment, Coformer)
    size = experiment.model_dump(include=set(Architecture.model_fields))
    quick = {"epochs": 1, "batch_size": 16, "loader_threads": 0}
    recipe = config.pretraining.recipes[model].model_dump() | size | quick
    values = {
        "pretraining": {**settings, "recipes": {"tiny": recipe}},
        "experiments": {EXPERIMENT: {"pretrained": "tiny"}},
        "evaluate": {"table1": ["train_mean", EXPERIMENT], "controls": [], "compare_with": []},
    }
    (project.folder / "pretrained.yaml").write_text(yaml.safe_dump(values))
    return (*DEMO, "pretrained.yaml")


@pytest.fixture
def fresh(root: Path, tmp_path: Path) -> Project:
    """A copy in which nothing has run."""
    return copy_project(root, tmp_path / "copra copy")


def test_without_a_pretrained_experiment_nothing_is_pre_trained(fresh: Project) -> None:
    jobs = job_table(fresh.demo("--dry-run", "--quiet", "rules", "--", "all").stdout)
    assert not {"pretrain", "evaluate_pretraining", "measure_distances", "purge_pri30k"} & jobs.keys()


@pytest.mark.parametrize(("purge", "runs"), [("per_fold", 3), ("none", 1)])
def test_one_run_for_each_recipe_and_scope(fresh: Project, purge: str, runs: int) -> None:
    words = started_from(fresh, "cpri_midm", purge=purge, ranks=2)
    done = fresh.snakemake(*words, "--dry-run", "--printshellcmds", "--", "all")
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = job_table(done.stdout)
    assert jobs["pretrain"] == jobs["evaluate_pretraining"] == runs
    assert jobs.get("purge_pri30k", 0) == (3 if purge == "per_fold" else 0)
    assert jobs["measure_distances"] == 2
    assert "COPRA_LAUNCHER='torchrun --standalone --no-python --nproc-per-node 2' copra pretrain" in done.stdout


def test_a_recipe_without_distances_measures_none(fresh: Project) -> None:
    words = started_from(fresh, "cpri", purge="none")
    jobs = job_table(fresh.snakemake(*words, "--dry-run", "--quiet", "rules", "--", "pretraining").stdout)
    assert jobs["pretrain"] == 1
    assert "measure_distances" not in jobs


@pytest.mark.slow
def test_from_structures_to_fine_tuning_with_two_processes(fresh: Project) -> None:
    words = started_from(fresh, "cpri_midm", purge="per_fold", ranks=2)
    done = fresh.snakemake(*words, "--", "all")
    assert done.returncode == 0, done.stdout[-6000:]
    results = fresh.folder / "results" / "demo"
    folder = results / "pretrain" / "tiny" / "fold_1"
    said = json.loads((folder / "model.json").read_text())
    assert (said["scope"], said["ranks"], said["epochs"]) == ("fold_1", 2, 1)
    used = set(read_table(folder / "pairs.parquet", "pretraining_pairs")["pair_id"])
    folds = read_table(results / "split" / "folds.parquet", "folds")
    tested = {record.split(":")[0] for record in folds.loc[folds["fold"] == 1, "record_id"]}
    assert used
    assert not {pair.split(":")[0] for pair in used} & tested
    said_of = read_table(results / "train" / EXPERIMENT / "seed_2024" / "fold_1" / "predictions.parquet", "predictions")
    assert said_of["architecture"].str.contains("pre-trained by tiny").all()
    assert 'id="pretraining"' in (results / "report" / "report.html").read_text()
