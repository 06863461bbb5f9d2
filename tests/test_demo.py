"""The demo as its user runs it: the planted law is found across families, and not in shuffled labels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from workflow_copy import Project, copy_project

from copra.tables import read_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project in which the demo has run."""
    project = copy_project(root, tmp_path_factory.mktemp("demo") / "copra")
    done = project.snakemake("--configfile", "resources/demo/config.yaml", "--", "all", timeout_s=1500)
    assert done.returncode == 0, done.stdout[-6000:]
    return project


def test_the_law_is_found_across_families_and_not_in_shuffled_labels(demo: Project) -> None:
    folder = demo.folder / "results/demo/evaluate"
    metrics = pd.concat(read_table(folder / table / "metrics.parquet", "metrics") for table in ("table1", "controls"))
    pooled = metrics[(metrics["subset"] == "all") & (metrics["aggregate"] == "pooled") & (metrics["metric"] == "pcc")]
    pcc = pooled.set_index("experiment")
    settings = yaml.safe_load((demo.folder / "resources/demo/config.yaml").read_text())
    ceiling = settings["evaluate"]["noise_ceiling_pcc"]
    assert pcc.loc["coformer_structure", "value"] >= 0.8 * ceiling
    for name in ("coformer_structure_shuffled", "forest_lengths_composition"):
        assert pcc.loc[name, "ci_low"] <= 0
        assert pcc.loc[name, "ci_high"] < pcc.loc["coformer_structure", "ci_low"]


def test_every_record_of_the_truth_table_comes_out_with_its_label(demo: Project) -> None:
    truth = [line.split("\t") for line in (demo.folder / "resources/demo/truth.tsv").read_text().splitlines()]
    columns = {name: i for i, name in enumerate(truth[0])}
    expected = {
        row[0]: float(row[columns["label_dg_kcal_mol"]]) for row in truth[1:] if row[columns["expected"]] == "yes"
    }
    records = read_table(demo.folder / "results/demo/pra310/select/records.parquet", "records")
    found = dict(zip(records["pdb_id"], records["dg_kcal_mol"], strict=True))
    assert found.keys() == expected.keys()
    assert max(abs(found[name] - expected[name]) for name in found) < 0.2


def test_the_report_names_what_was_left_out_and_which_weights_were_used(demo: Project) -> None:
    page = (demo.folder / "results/demo/report/report.html").read_text()
    assert "synthetic" in page
    assert "No pre-trained language model was used" in page
    assert "ceiling by label noise" in page or "data:image" in page
    for reason in ("not_a_coordinate_file", "not_fetched", "only_censored", "nucleic_acid_is_dna"):
        assert reason in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script src" not in page


def test_foldx_is_skipped_visibly_and_no_row_failed(demo: Project) -> None:
    metrics = read_table(demo.folder / "results/demo/evaluate/table1/metrics.parquet", "metrics")
    status = metrics.groupby("experiment")["status"].unique().map(lambda found: "".join(found))
    assert status["foldx"] == "skipped"
    assert set(status.drop("foldx")) == {"ok"}
    assert "foldx.binary" in (demo.folder / "results/demo/table1/table1.md").read_text()


def test_a_second_run_has_nothing_to_do(demo: Project) -> None:
    done = demo.snakemake("--configfile", "resources/demo/config.yaml", "--", "all", timeout_s=20)
    assert "Nothing to be done" in done.stdout
