from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from copra.config import Evaluate
from copra.evaluate import metrics, tables
from copra.tables import read_table, write_table

SETTINGS = Evaluate(
    table1=["forest", "coformer", "train_mean"], seeds=[1, 2], bootstrap_samples=200,
    confidence=0.95, title="A title", notice="A notice", noise_ceiling_pcc=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "trained"),
    [
        ("", False), ("no language model", False), ("esm2_random random:0; rinalmo_random random:1", False),
        ("esm2_650M sha256:ab", True), ("esm2_random random:0; rinalmo_giga sha256:cd", True),
    ],
)  # fmt: skip
def test_trained_weights_are_told_from_random_ones(weights: str, trained: bool) -> None:
    assert tables.has_trained_weights(weights) is trained


def make(sample: ModuleType, folder: Path) -> str:
    sample.write_results(folder)
    metrics.evaluate(
        [*(folder / "results/train").glob("*/*/*/predictions.parquet")],
        records=folder / "results/pra310/select/records.parquet", folds=folder / "results/split/folds.parquet",
        settings=SETTINGS, out=folder / "m",
    )  # fmt: skip
    tables.table1(folder / "m", settings=SETTINGS, markdown=folder / "t.md", tsv=folder / "t.tsv")
    return (folder / "t.md").read_text()


def test_markdown_says_what_weights_were_used_and_keeps_the_order(sample: ModuleType, tmp_path: Path) -> None:
    text = make(sample, tmp_path)
    assert text.startswith("# A title\n\n> **A notice**\n\n> **No pre-trained language model was used")
    first = [line for line in text.splitlines() if line.startswith("| ") and "RMSE" not in line][:3]
    assert [line.split(" | ")[0].strip("| ") for line in first] == ["forest", "coformer", "train_mean"]
    assert all(line.count(" | ") == first[0].count(" | ") for line in first)
    assert "random:0" in first[1]


def test_tsv_holds_the_numbers_of_the_metrics_table(sample: ModuleType, tmp_path: Path) -> None:
    make(sample, tmp_path)
    frame = pd.read_csv(tmp_path / "t.tsv", sep="\t")
    assert len(frame) == 3 * 2 * 2 * 4
    row = frame[(frame["experiment"] == "forest") & (frame["metric"] == "pcc")].iloc[0]
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_architecture_and_the_papers_protocol_are_told(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    for path in (tmp_path / "results/train/coformer").glob("*/*/predictions.parquet"):
        told = read_table(path, "predictions")
        write_table(told.assign(protocol="paper", architecture="official pre-trained by cpri"), path, "predictions")
    metrics.evaluate(
        [*(tmp_path / "results/train").glob("*/*/*/predictions.parquet")],
        records=tmp_path / "results/pra310/select/records.parquet", folds=tmp_path / "results/split/folds.parquet",
        settings=SETTINGS, out=tmp_path / "m",
    )  # fmt: skip
    tables.table1(tmp_path / "m", settings=SETTINGS, markdown=tmp_path / "t.md", tsv=tmp_path / "t.tsv")
    text = (tmp_path / "t.md").read_text()
    assert "| paper | official pre-trained by cpri | esm2_random random:0; rinalmo_random random:0 | ok |" in text
    assert "- coformer: ok: protocol of the paper: the labels of the reported fold chose the epoch" in text
    frame = pd.read_csv(tmp_path / "t.tsv", sep="\t", keep_default_na=False).set_index("experiment")
    assert set(frame.loc["coformer", "architecture"]) == {"official pre-trained by cpri"}
    assert set(frame.loc["forest", "architecture"]) == {""}


def test_a_failed_experiment_stands_in_the_table_with_its_reason(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    paths = [p for p in (tmp_path / "results/train").glob("*/*/*/predictions.parquet") if "forest" not in str(p)]
    metrics.evaluate(
        paths, records=tmp_path / "results/pra310/select/records.parquet",
        folds=tmp_path / "results/split/folds.parquet", settings=SETTINGS, out=tmp_path / "m",
    )  # fmt: skip
    tables.table1(tmp_path / "m", settings=SETTINGS, markdown=tmp_path / "t.md", tsv=tmp_path / "t.tsv")
    text = (tmp_path / "t.md").read_text()
    assert "| forest | – | – | – | – | 20 | 0 | – | – | – | failed |" in text
    assert "- forest: failed: no predictions" in text


def test_values_are_written_with_a_minus_sign_and_undefined_ones_as_a_dash() -> None:
    assert tables.format_value(-0.123, -0.4, 0.2, 2) == "−0.12 [−0.40, 0.20]"
    assert tables.format_value(None, None, None, 2) == "–"
    assert tables.format_value(1.0, float("nan"), 2.0, 1) == "1.0"
