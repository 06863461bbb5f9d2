from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from copra.config import Evaluate
from copra.evaluate import metrics
from copra.evaluate.scores import METRICS, weighted_ranks
from copra.tables import concat_tables, read_table, write_table

SETTINGS = Evaluate(
    table1=["train_mean", "forest", "coformer"], seeds=[1, 2], bootstrap_samples=300,
    confidence=0.95, title="t", notice="", noise_ceiling_pcc=None,
)  # fmt: skip


def pairs(ties: bool, seed: int = 0, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(-9.5, 1.7, n)
    y = 0.5 * x + generator.normal(0, 1, n)
    return (np.round(x), np.round(y)) if ties else (x, y)


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_equal_scipys_and_sklearns(ties: bool) -> None:
    x, y = pairs(ties)
    assert metrics.rmse(x, y) == pytest.approx(root_mean_squared_error(x, y), rel=1e-12)
    assert metrics.mae(x, y) == pytest.approx(mean_absolute_error(x, y), rel=1e-12)
    assert metrics.pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, rel=1e-12)
    assert metrics.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)


def test_correlations_keep_their_sign() -> None:
    x, y = pairs(False)
    assert metrics.pearson(x, -y) == pytest.approx(-metrics.pearson(x, y))
    assert metrics.pearson(x, -y) < 0
    assert metrics.spearman(x, -y) < 0


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_correlation_of_a_constant_or_of_one_value_is_nan(metric: str) -> None:
    function = getattr(metrics, metric)
    x, _ = pairs(False)
    assert np.isnan(function(x, np.full(80, -9.1)))
    assert np.isnan(function(np.full(80, 0.1 + 0.2), x))
    assert np.isnan(function(x[:1], x[:1]))
    assert np.isnan(function(x[:0], x[:0]))


def test_errors_of_few_values() -> None:
    one, none = np.array([2.0]), np.array([])
    assert metrics.rmse(one, one + 3) == 3
    assert metrics.mae(one, one - 3) == 3
    assert np.isnan(metrics.rmse(none, none))
    assert np.isnan(metrics.mae(none, none))


@pytest.mark.parametrize("metric", list(METRICS))
def test_a_weight_is_how_often_a_record_stands_there(metric: str) -> None:
    x, y = pairs(True)
    weights = np.random.default_rng(1).integers(0, 4, (6, len(x))).astype(float)
    expected = [
        METRICS[metric](np.repeat(x, w), np.repeat(y, w), np.ones((1, w.sum())))[0] for w in weights.astype(int)
    ]
    np.testing.assert_allclose(METRICS[metric](x, y, weights), expected, rtol=1e-10)


def test_ranks_equal_scipys() -> None:
    x, _ = pairs(True)
    np.testing.assert_allclose(weighted_ranks(x, np.ones((1, len(x))))[0], stats.rankdata(x))


def test_bootstrap_draws_whole_clusters_and_is_quick() -> None:
    clusters = np.array([f"c{i % 150}" for i in range(300)])
    started = time.perf_counter()
    weights = metrics.bootstrap_weights(clusters, 2000, np.random.default_rng(0))
    x, y = pairs(False, n=300)
    for score in METRICS.values():
        score(x, y, weights)
    assert time.perf_counter() - started < 2
    assert weights.shape == (2000, 300)
    assert (weights[:, :150] == weights[:, 150:]).all()
    assert (weights.sum(axis=1) == 300).all()  # all clusters have two records here
    assert weights.mean() == pytest.approx(1)


def test_the_interval_of_independent_records_is_the_known_one() -> None:
    x, y = pairs(False, n=400)
    weights = metrics.bootstrap_weights(np.array([f"c{i}" for i in range(400)]), 4000, np.random.default_rng(0))
    low, high = metrics.interval(METRICS["pcc"](x, y, weights), 0.95)
    fisher = stats.pearsonr(x, y).confidence_interval(0.95)
    assert low == pytest.approx(fisher.low, abs=0.02)
    assert high == pytest.approx(fisher.high, abs=0.02)


def score(folder: Path, change: object = None) -> pd.DataFrame:
    paths = sorted((folder / "results/train").glob("*/seed_*/fold_*/predictions.parquet"))
    if callable(change):
        change(paths)
    metrics.evaluate(
        [p for p in paths if p.exists()], records=folder / "results/pra310/select/records.parquet",
        folds=folder / "results/split/folds.parquet", settings=SETTINGS, out=folder / "metrics",
    )  # fmt: skip
    return read_table(folder / "metrics", "metrics").set_index(["experiment", "subset", "aggregate", "metric"])


def test_evaluate_scores_each_seed_and_takes_the_mean(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    table = score(tmp_path)
    said = concat_tables(list((tmp_path / "results/train/forest").glob("*/*/predictions.parquet")), "predictions")
    by_seed = [
        stats.pearsonr(s["measured_dg_kcal_mol"], s["predicted_dg_kcal_mol"])[0] for _, s in said.groupby("seed")
    ]
    row = table.loc[("forest", "all", "pooled", "pcc")]
    assert row["value"] == pytest.approx(np.mean(by_seed))
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["n_records"], row["n_seeds"], row["status"]) == (20, 2, "ok")
    by_fold = [
        root_mean_squared_error(s["measured_dg_kcal_mol"], s["predicted_dg_kcal_mol"])
        for _, s in said.groupby(["seed", "fold"])
    ]
    assert table.loc[("forest", "all", "fold_mean", "rmse"), "value"] == pytest.approx(np.mean(by_fold))
    assert 0 < table.loc[("forest", "pra201", "pooled", "pcc"), "n_records"] < 20


def test_one_number_per_fold_has_errors_but_no_correlation_within_folds(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    table = score(tmp_path)
    assert table.loc[("train_mean", "all", "pooled", "rmse"), "value"] > 0
    assert np.isnan(table.loc[("train_mean", "all", "fold_mean", "pcc"), "value"])
    assert "one number per fold" in table.loc[("train_mean", "all", "pooled", "pcc"), "note"]


def test_the_order_of_files_changes_nothing(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    score(tmp_path)
    first = (tmp_path / "metrics").read_bytes()
    score(tmp_path, lambda paths: paths.reverse())
    assert (tmp_path / "metrics").read_bytes() == first


def _edit(column: str, value: object):  # type: ignore[no-untyped-def]
    def change(paths: list[Path]) -> None:
        path = next(p for p in paths if "forest" in str(p))
        frame = read_table(path, "predictions")
        frame.loc[0, column] = value
        write_table(frame, path, "predictions")

    return change


def _constant(paths: list[Path]) -> None:
    for path in (p for p in paths if "forest" in str(p) and "seed_1" in str(p)):
        write_table(read_table(path, "predictions").assign(predicted_dg_kcal_mol=-9.0), path, "predictions")


def _unlink(pattern: str):  # type: ignore[no-untyped-def]
    def change(paths: list[Path]) -> None:
        for path in paths:
            if pattern in str(path):
                path.unlink()

    return change


def _twice(paths: list[Path]) -> None:
    first, second = [p for p in paths if "forest" in str(p)][:2]
    frame = pd.concat([read_table(first, "predictions"), read_table(second, "predictions")])
    write_table(frame, second, "predictions")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_unlink("forest/seed_2/fold_3"), "seed 2: 4 of 20 records not predicted: 1a03:A:B"),
        (_unlink("forest/seed_2"), "no predictions of the seeds [2]"),
        (_unlink("forest"), "no predictions"),
        (_twice, "more than once: 1a00:A:B"),
        (_constant, "every prediction is the same number (-9.000)"),
        (_edit("predicted_dg_kcal_mol", np.inf), "not finite: 1a00:A:B"),
        (_edit("record_id", "9xyz:A:B"), "1 of 20 records not predicted: 1a00:A:B"),
        (_edit("fold", 3), "another fold than the split's: 1a00:A:B"),
        (_edit("measured_dg_kcal_mol", -1.0), "measured dG differs from the records' label: 1a00:A:B"),
    ],
)
def test_incomplete_predictions_fail_by_name(sample: ModuleType, tmp_path: Path, change: object, words: str) -> None:
    sample.write_results(tmp_path)
    table = score(tmp_path, change)
    rows = table.loc["forest"]
    assert (rows["status"] == "failed").all()
    assert rows["value"].isna().all()
    assert words in rows["note"].iloc[0]
    assert (table.loc["coformer", "status"] == "ok").all()  # the others are scored
