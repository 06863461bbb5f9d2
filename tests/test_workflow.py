"""The workflow itself: dry runs, refused configurations, reruns after real edits, killed runs."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from workflow_copy import DEMO, Project, copy_project, digests, job_table, kill_group

from copra.embed.store import read_embeddings
from copra.tables import read_table


@pytest.fixture
def fresh(root: Path, tmp_path: Path) -> Project:
    """A copy in which nothing has run."""
    return copy_project(root, tmp_path / "copra copy")


def test_the_full_dry_run_needs_no_network_and_tells_jobs_and_gpu_jobs(fresh: Project) -> None:
    done = fresh.snakemake("--dry-run", "--quiet", "rules", "--", "all")
    assert done.returncode == 0, done.stdout
    jobs = job_table(done.stdout)
    assert jobs["read_structures"] == 64
    assert jobs["apply_mutations"] == 1
    assert jobs["build_pair_interfaces"] == 64
    assert jobs["pretrain"] == 5
    assert jobs["train_fold"] == 15 * 3 * 5  # 11 of table1, 2 controls, 1 on two other split families
    assert jobs["fit_baseline"] == 23 * 3 * 5
    assert jobs["embed_sequences"] == 2 * 32
    assert jobs["predict_mutations"] == 3
    assert jobs["train_mutations"] == 4 * 2 * 3 * 5  # each with and without wild types in training
    assert f"{225 + 64 + 2 * 5 + 3 + 120} of" in done.stdout
    asking = "embed_sequences 64, evaluate_pretraining 5, predict_mutations 3, pretrain 5, train_fold 225"
    assert f"jobs ask for a GPU: {asking}, train_mutations 120" in done.stdout


def test_every_table_of_the_paper_is_a_target(fresh: Project) -> None:
    done = fresh.snakemake("--dry-run", "--quiet", "rules", "--", "table1", "table3", "table4", "figure3")
    jobs = job_table(done.stdout)
    assert jobs["write_table"] == jobs["table_page"] == 4
    assert jobs["pretrain"] == 5 * 5  # the recipes of Table 4, once a fold
    assert jobs["build_whole_interfaces"] == 64  # without a crop


def test_the_dry_run_under_the_slurm_profile(fresh: Project) -> None:
    done = fresh.snakemake("--profile", "profiles/slurm", "--dry-run", "--", "all")
    assert done.returncode == 0, done.stdout
    jobs = re.findall(r"^ +resources: (.*)$", done.stdout, flags=re.M)
    assert len(jobs) == 1367
    for resources in jobs:
        assert ("gpu=" in resources) == ("slurm_partition=gpu" in resources)
        assert "mem_mb=" in resources
        assert "runtime=" in resources
    # not 6,000 for 6,000 entries: a structure's jobs go by the 64 shards
    said = "531 submissions to a cluster: 469 of one job and 62 bundles of up to 16 jobs; 15 jobs run here"
    assert said in done.stdout
    # members of bundles are indented; the time of all adds up, here of a whole bundle of the slowest
    times = [int(found) for found in re.findall(r"^ {8}resources: .*runtime=(\d+)", done.stdout, flags=re.M)]
    assert max(times) * 16 <= 24 * 60


def test_missing_by_hand_files_stop_the_run_before_any_job(fresh: Project) -> None:
    done = fresh.snakemake("--", "pra310")
    assert done.returncode != 0
    assert "resources/by_hand/INDEX_general_PN.2020R1.lst" in done.stdout
    assert "pdbbind" in done.stdout
    assert not (fresh.folder / "results").exists()
    assert not (fresh.folder / "resources" / "raw").exists()


@pytest.mark.parametrize(
    "target", ["pri30k", "pra310", "embeddings", "table1", "audit", "report", "report_leakage", "release"]
)
def test_every_named_target_exists(fresh: Project, target: str) -> None:
    assert job_table(fresh.demo("--dry-run", "--quiet", "rules", "--", target).stdout)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("split={identity: 0.2}",), "split.identity: unknown key"),
        (("splitt=3",), "splitt: unknown key; found the value 3"),
        (("structures={shards: many}",), "structures.shards: found 'many'"),
        (("evaluate={table1: [no_such]}",), "'no_such' is not in experiments"),
    ],
)
def test_a_refused_configuration_names_the_key(fresh: Project, words: tuple[str, ...], expected: str) -> None:
    done = fresh.snakemake("--dry-run", "--config", *words)
    assert done.returncode != 0
    assert expected in done.stdout


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which the tiny demo has run to its end."""
    project = copy_project(root, tmp_path_factory.mktemp("finished") / "copra")
    project.demo("--", "all")
    assert project.queued() == {}
    return project


@pytest.fixture
def done_copy(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run, with its times, to edit."""
    folder = tmp_path / "copra"
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2)
    return Project(folder)


@pytest.mark.slow
def test_mutants_are_sequences_like_others(finished: Project) -> None:
    results = finished.folder / "results" / "demo"
    mutants = read_table(results / "structures/mutants.parquet", "mutants")
    assert len(mutants) >= 20
    sequences = read_table(results / "embeddings/sequences.parquet", "sequences").set_index("sequence_sha256")
    assert set(mutants["mutant_sha256"]) | set(mutants["wildtype_sha256"]) <= set(sequences.index)
    shards = sorted((results / "embeddings/esm2_random").glob("*.h5"))
    found = read_embeddings(shards, mutants["mutant_sha256"].unique().tolist())
    assert {key: len(rows) for key, rows in found.items()} == {
        key: len(sequences.loc[key, "sequence"]) for key in mutants["mutant_sha256"]
    }


@pytest.mark.slow
def test_a_run_without_mutation_sets_has_no_mutants(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    (project.folder / "none.yaml").write_text("sources:\n  mcsm_blind: {use: false}\n")
    table = "results/demo/structures/mutants.parquet"
    done = project.snakemake(*DEMO, "none.yaml", "--", table)
    assert done.returncode == 0, done.stdout[-6000:]
    assert read_table(project.folder / table, "mutants").empty


@pytest.mark.slow
def test_a_comment_or_docstring_reruns_nothing(done_copy: Project) -> None:
    for name in ("split/folds.py", "tables.py", "structure/reader.py", "train/loop.py"):
        path = done_copy.folder / "copra" / name
        path.write_text(path.read_text() + "\n\n# a remark\n")
    done_copy.edit("copra/split/folds.py", '"""', '"""Once more: ')
    done_copy.edit("config.yaml", "split:\n", "# a remark\nsplit:\n")
    assert done_copy.queued() == {}


@pytest.mark.slow
def test_an_edited_function_reruns_its_rule_and_those_after(done_copy: Project) -> None:
    path = done_copy.folder / "copra" / "evaluate" / "tables.py"
    text = path.read_text()
    path.write_text(text.replace("def write_table(", "def _unused() -> int:\n    return 1\n\n\ndef write_table(", 1))
    assert done_copy.queued() == {}
    path.write_text(_with_new_first_statement(path.read_text(), "write_table"))
    assert done_copy.queued() == {"write_table": 1, "table_page": 1, "report": 1}


@pytest.mark.slow
def test_an_edited_model_retrains_that_model_alone(done_copy: Project) -> None:
    path = done_copy.folder / "copra" / "model" / "graphs" / "egnn.py"
    path.write_text(_with_new_first_statement(path.read_text(), "build_affinity_model"))
    assert done_copy.queued() == {}  # no experiment of the tiny demo is an EGNN
    path = done_copy.folder / "copra" / "model" / "coformer.py"
    path.write_text(_with_new_first_statement(path.read_text(), "build_affinity_model"))
    assert done_copy.queued()["train_fold"] == 6


@pytest.mark.slow
def test_an_edit_early_in_the_flow_reruns_all_that_follows(done_copy: Project) -> None:
    path = done_copy.folder / "copra" / "split" / "folds.py"
    path.write_text(_with_new_first_statement(path.read_text(), "assign_folds"))
    queued = done_copy.queued()
    assert queued["assign_folds"] >= 1
    assert queued["train_fold"] == 6
    assert queued["fit_baseline"] == 3
    assert not {"read_structures", "merge_measurements", "cluster_proteins", "embed_sequences"} & queued.keys()


@pytest.mark.slow
def test_one_experiments_slice_reruns_only_its_folds(done_copy: Project) -> None:
    done_copy.edit(
        "config.yaml",
        "  coformer_structure: {<<: *coformer,",
        "  coformer_structure: {<<: *coformer, head_width: 1281,",
    )
    done_copy.edit(
        "tests/tiny.yaml", "coformer_random_lm: *tiny", "coformer_random_lm: {<<: *tiny, learning_rate: 2.0e-3}"
    )
    queued = done_copy.queued()
    assert queued["train_fold"] == 3
    assert "fit_baseline" not in queued
    assert queued.keys() <= {
        *("train_fold", "evaluate", "write_table", "table_page", "describe_run", "audit", "audit_predictions"),
        *("report", "package_model", "predict_mutations", "evaluate_mutations", "write_mutation_table"),
    }


@pytest.mark.slow
def test_killed_runs_continue_to_the_same_result(finished: Project, root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    generator = random.Random(7)
    for round_number in range(5):
        process = project.start("--", "all")
        time.sleep(generator.uniform(4, 14))
        if round_number % 2:
            _kill_one_job(process.pid)
            time.sleep(1)
        kill_group(process)
        for table in project.folder.rglob("[!.]*.parquet"):
            pq.read_table(table)  # what is there is there whole
        project.snakemake("--configfile", "resources/demo/config.yaml", "tests/tiny.yaml", "--unlock")
    project.demo("--rerun-incomplete", "--", "all")
    assert not [path for path in project.folder.rglob("*.tmp") if ".snakemake" not in path.parts]
    assert digests(project) == digests(finished)


def _with_new_first_statement(text: str, function: str) -> str:
    """The module's text with one more statement in the function, after its docstring."""
    start = text.index(f"def {function}(")
    end = text.index('"""', text.index('"""', start) + 3) + 3
    return text[:end] + "\n    _edited = 1" + text[end:]


def _kill_one_job(group: int) -> None:
    """SIGKILL one running verb of a run, if there is one."""
    listed = subprocess.run(["pgrep", "-g", str(group), "-f", "copra.cli"], capture_output=True, text=True)
    for pid in listed.stdout.split()[:1]:
        os.kill(int(pid), signal.SIGKILL)
