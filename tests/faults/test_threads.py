"""Two cores against eight threads: data sets to the byte; trained models to the byte as the workflow runs them.

Snakemake hands each job as many threads as its rule states, and training states one: how many cores a run has changes
nothing. Where a user gives training more threads (`--set-threads`), sums are taken in another order.

Elsewhere: alignment, clusters, purge and loader threads by themselves (tests/split, tests/train).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from workflow_copy import DEMO, Project, copy_project, digests

from copra.tables import read_table

# allowed between training on 1 and on 8 threads, one epoch of the tiny demo; seen: 9e-8 and 1.5e-6
PREDICTIONS_KCAL_MOL, METRICS = 1e-5, 1e-4
# what follows from predictions of trained networks
AFTER_TRAINING = ("train/coformer", "evaluate/", "table1/", "models/")


@pytest.mark.slow
def test_two_cores_and_eight_threads_agree(undisturbed: Project, root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    targets = ("pri30k", "pra310", "embeddings", "models", "table1", "results/demo/split/leakage.parquet")
    done = project.snakemake("--cores", "8", "--set-threads", "train_fold=8", *DEMO, "--", *targets)
    assert done.returncode == 0, done.stdout[-6000:]
    few, many = digests(undisturbed), digests(project)
    differ = {name for name in many if many[name] != few[name]}
    assert {name for name in differ if not name.startswith(AFTER_TRAINING)} == set()
    assert len(many) > 60
    for name in differ:
        if name.endswith("predictions.parquet"):
            assert largest_difference(undisturbed, project, name, "predictions") < PREDICTIONS_KCAL_MOL
        if name.endswith("metrics.parquet"):
            assert largest_difference(undisturbed, project, name, "metrics") < METRICS


@pytest.mark.slow
def test_more_cores_change_no_byte(undisturbed: Project, root: Path, tmp_path: Path) -> None:
    """With each rule's own threads; the networks' models too."""
    project = copy_project(root, tmp_path / "copra")
    model = "results/demo/models/coformer_structure/model.json"
    done = project.snakemake("--cores", "8", *DEMO, "--", model, "pri30k", "results/demo/split/leakage.parquet")
    assert done.returncode == 0, done.stdout[-6000:]
    few = digests(undisturbed)
    assert {name: few[name] for name in digests(project)} == digests(project)
    package = Path(model).parent
    for path in sorted((project.folder / package).glob("*.safetensors")):
        assert path.read_bytes() == (undisturbed.folder / package / path.name).read_bytes()


def largest_difference(one: Project, other: Project, name: str, table: str) -> float:
    """The largest |difference| of any number of a table; what is missing must be missing in both."""
    a, b = (read_table(project.folder / "results/demo" / name, table) for project in (one, other))
    numbers = a.select_dtypes("number").columns
    np.testing.assert_array_equal(a[numbers].isna(), b[numbers].isna())
    return float((a[numbers] - b[numbers]).abs().to_numpy().max(initial=0, where=~a[numbers].isna().to_numpy()))
