from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from copra.errors import InputError
from copra.evaluate import metrics
from copra.evaluate.bootstrap import bootstrap_weights, interval, mean_scores
from copra.evaluate.scores import METRICS, weighted_ranks
from copra.tables import concat_tables, read_table, write_table

Change = Callable[[list[Path]], None]


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


def test_a_correlation_far_from_zero_and_of_a_tiny_spread_is_exact() -> None:
    x, y = pairs(False)
    x, y = 1e6 + x, -9.5 + 1e-6 * y
    assert metrics.pearson(x, y) == pytest.approx(stats.pearsonr(x - 1e6, (y + 9.5) * 1e6).statistic, abs=1e-8)


def test_errors_of_few_values() -> None:
    one, none = np.array([2.0]), np.array([])
    assert metrics.rmse(one, one + 3) == 3
    assert metrics.mae(one, one - 3) == 3
    assert np.isnan(metrics.rmse(none, none))
    assert np.isnan(metrics.mae(none, none))


ORACLES = {
    "rmse": root_mean_squared_error,
    "mae": mean_absolute_error,
    "pcc": lambda x, y: stats.pearsonr(x, y).statistic,
    "scc": lambda x, y: stats.spearmanr(x, y).statistic,
}


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("ties", [False, True])
def test_a_weight_is_how_often_a_record_stands_there(metric: str, ties: bool) -> None:
    x, y = pairs(ties)
    weights = np.random.default_rng(1).integers(0, 4, (40, len(x)))
    expected = [ORACLES[metric](np.repeat(x, w), np.repeat(y, w)) for w in weights]
    np.testing.assert_allclose(METRICS[metric](x, y, weights.astype(float)), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("metric", list(METRICS))
def test_many_predictors_at_once_are_each_alone(metric: str) -> None:
    x, first = pairs(False)
    others = [first, *pairs(True, seed=3), np.full(len(x), -9.0), -first]
    guess = np.stack([*others, pairs(False, seed=5)[1]]).reshape(2, 3, len(x))
    weights = np.random.default_rng(1).integers(0, 3, (7, len(x))).astype(float)
    weights[2] = 0
    found = METRICS[metric](x, guess, weights)
    assert found.shape == (2, 3, 7)
    assert np.isnan(found[..., 2]).all()
    for i in range(2):
        for j in range(3):
            np.testing.assert_allclose(found[i, j], METRICS[metric](x, guess[i, j], weights), rtol=1e-12)


def test_a_sample_of_one_record_drawn_often_has_no_correlation() -> None:
    x, y = pairs(False)
    weights = np.zeros((1, len(x)))
    weights[0, 7] = 50
    assert np.isnan(METRICS["pcc"](x, y, weights)).all()
    assert np.isnan(METRICS["scc"](x, y, weights)).all()
    assert METRICS["mae"](x, y, weights)[0] == pytest.approx(abs(x[7] - y[7]))


def test_ranks_equal_scipys() -> None:
    x, _ = pairs(True)
    np.testing.assert_allclose(weighted_ranks(x, np.ones((1, len(x))))[0], stats.rankdata(x))


def test_bootstrap_draws_whole_clusters_and_is_quick() -> None:
    clusters = np.array([f"c{i % 150}" for i in range(300)])
    started = time.process_time()
    weights = metrics.bootstrap_weights(clusters, 2000, np.random.default_rng(0))
    x, y = pairs(False, n=300)
    for score in METRICS.values():
        score(x, y, weights)
    assert time.process_time() - started < 2
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


# --- a whole table ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    sample.write_results(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of a whole run that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def score(sample: ModuleType, folder: Path, change: Change | None = None) -> pd.DataFrame:
    if change:
        change(sorted((folder / "results/train").glob("*/seed_*/fold_*/predictions.parquet")))
    out = sample.score_results(folder)
    return read_table(out / "metrics.parquet", "metrics").set_index(["experiment", "subset", "aggregate", "metric"])


def predicted(folder: Path, experiment: str) -> pd.DataFrame:
    paths = list((folder / "results/train" / experiment).glob("*/*/predictions.parquet"))
    return concat_tables(paths, "predictions")


def test_evaluate_scores_each_seed_and_takes_the_mean(sample: ModuleType, folder: Path) -> None:
    table = score(sample, folder)
    said = predicted(folder, "forest")
    by_seed = [
        stats.pearsonr(s["measured_dg_kcal_mol"], s["predicted_dg_kcal_mol"])[0] for _, s in said.groupby("seed")
    ]
    row = table.loc[("forest", "all", "pooled", "pcc")]
    assert row["value"] == pytest.approx(np.mean(by_seed))
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["n_records"], row["n_clusters"], row["n_seeds"], row["status"]) == (20, 20, 2, "ok")
    assert (row["results_table"], row["split_family"]) == ("table1", "protein70")
    by_fold = [
        root_mean_squared_error(s["measured_dg_kcal_mol"], s["predicted_dg_kcal_mol"])
        for _, s in said.groupby(["seed", "fold"])
    ]
    assert table.loc[("forest", "all", "fold_mean", "rmse"), "value"] == pytest.approx(np.mean(by_fold))
    assert 0 < table.loc[("forest", "pra201", "pooled", "pcc"), "n_records"] < 20


def test_the_ensemble_is_the_mean_prediction_over_seeds(sample: ModuleType, folder: Path) -> None:
    table = score(sample, folder)
    said = predicted(folder, "forest").groupby("record_id")
    mean, measured = said["predicted_dg_kcal_mol"].mean(), said["measured_dg_kcal_mol"].first()
    value = {metric: table.loc[("forest", "all", "ensemble", metric), "value"] for metric in METRICS}
    assert value["scc"] == pytest.approx(stats.spearmanr(mean, measured).statistic)
    assert value["mae"] == pytest.approx((mean - measured).abs().mean())
    assert value["rmse"] < table.loc[("forest", "all", "pooled", "rmse"), "value"]


def test_one_number_per_fold_has_errors_but_no_correlation_within_folds(sample: ModuleType, folder: Path) -> None:
    table = score(sample, folder)
    assert table.loc[("train_mean", "all", "pooled", "rmse"), "value"] > 0
    assert np.isnan(table.loc[("train_mean", "all", "fold_mean", "pcc"), "value"])
    assert "one number per fold" in table.loc[("train_mean", "all", "pooled", "pcc"), "note"]


def test_the_order_of_files_changes_nothing(sample: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = sample.score_results(folder)
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(first) == {"metrics.parquet", "differences.parquet", "intervals.parquet"}
    found = Path.glob
    monkeypatch.setattr(Path, "glob", lambda path, pattern: sorted(found(path, pattern), reverse=True))
    assert {path.name: path.read_bytes() for path in sample.score_results(folder).iterdir()} == first


def test_the_luck_of_the_dealing_is_in_the_interval_where_the_seeds_are_drawn_too() -> None:
    generator = np.random.default_rng(3)
    measured = generator.normal(size=150)
    # a control that reads a size off the complex, up or down as its dealing of the labels would have it
    guess = np.stack([[sign * (measured + generator.normal(size=150)) for sign in (1, -1, 1, 1)]])
    everyone = [np.ones(150, dtype=bool)]
    draws = bootstrap_weights(np.arange(150), 1000, generator)
    deals = bootstrap_weights(np.arange(4), 1000, generator)
    low, high = interval(mean_scores("pcc", measured, guess, everyone, draws)[0], 0.95)
    assert 0 < low < high
    low, high = interval(mean_scores("pcc", measured, guess, everyone, draws, deals)[0], 0.95)
    assert low < 0 < high
    one = mean_scores("mae", measured, guess, everyone, draws[:2], np.array([[2.0, 0, 1, 1], [0, 0, 4, 0]]))[0]
    alone = [mean_scores("mae", measured, guess[:, [run]], everyone, draws[:2])[0] for run in range(4)]
    assert one[0] == pytest.approx((2 * alone[0][0] + alone[2][0] + alone[3][0]) / 4)
    assert one[1] == pytest.approx(alone[2][1])


def test_label_shuffled_controls_hold_zero(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path, n=100, controls=("forest", "coformer"))
    table = read_table(sample.score_results(tmp_path, "controls") / "metrics.parquet", "metrics")
    pcc = table[(table["subset"] == "all") & (table["aggregate"] == "pooled") & (table["metric"] == "pcc")]
    assert pcc["experiment"].tolist() == ["coformer_shuffled", "forest_shuffled"]
    assert ((pcc["ci_low"] < 0) & (pcc["ci_high"] > 0)).all()
    real = read_table(sample.score_results(tmp_path) / "metrics.parquet", "metrics")
    learned = real[(real["experiment"] == "forest") & (real["metric"] == "pcc") & (real["aggregate"] == "pooled")]
    assert (learned["ci_low"] > 0).all()


def test_predictions_of_another_table_are_refused(sample: ModuleType, folder: Path) -> None:
    path = folder / "results/train/forest/seed_1/fold_0/predictions.parquet"
    write_table(read_table(path, "predictions").assign(experiment="ghost"), path, "predictions")
    with pytest.raises(InputError, match=r"predictions of \['ghost'\], expected those of table1"):
        sample.score_results(folder)


# --- predictions that cannot be scored ----------------------------------------------------------------


def _edit(column: str, value: object) -> Change:
    def change(paths: list[Path]) -> None:
        path = next(p for p in paths if "forest" in str(p))
        frame = read_table(path, "predictions")
        frame.loc[0, column] = value
        write_table(frame, path, "predictions")

    return change


def _whole_fold(name: str = "forest/seed_2/fold_3", **values: object) -> Change:
    def change(paths: list[Path]) -> None:
        for path in paths:
            if name in str(path):
                write_table(read_table(path, "predictions").assign(**values), path, "predictions")

    return change


def _unlink(pattern: str) -> Change:
    def change(paths: list[Path]) -> None:
        for path in paths:
            if pattern in str(path):
                path.unlink()

    return change


def _twice(paths: list[Path]) -> None:
    first, second = [p for p in paths if "forest" in str(p)][:2]
    frame = pd.concat([read_table(first, "predictions"), read_table(second, "predictions")])
    write_table(frame, second, "predictions")


def _diverged_once_skipped_once(paths: list[Path]) -> None:
    _whole_fold("forest/seed_1/fold_1", predicted_dg_kcal_mol=np.nan, failure="skipped: no program")(paths)
    _whole_fold("forest/seed_2/fold_3", predicted_dg_kcal_mol=np.nan, failure="diverged: nan")(paths)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_unlink("forest/seed_2/fold_3"), "seed 2: 4 of 20 records not predicted: 1a03:A:B"),
        (_unlink("forest/seed_2"), "no predictions of the seeds [2]"),
        (_whole_fold(seed=7), "predictions of the seeds [7], expected [1, 2]"),
        (_unlink("forest"), "no predictions"),
        (_twice, "more than once: 1a00:A:B"),
        (_whole_fold("forest", predicted_dg_kcal_mol=-9.0), "constant output in fold 0 of seed 1"),
        (_whole_fold(predicted_dg_kcal_mol=-9.0), "constant output in fold 3 of seed 2"),
        (_whole_fold(predicted_dg_kcal_mol=np.nan), "seed 2: predictions that are not finite: 1a03:A:B"),
        (_edit("predicted_dg_kcal_mol", np.inf), "not finite: 1a00:A:B"),
        (_edit("record_id", "9xyz:A:B"), "1 of 20 records not predicted: 1a00:A:B"),
        (_edit("part", "external"), "1 of 20 records not predicted: 1a00:A:B"),
        (_edit("fold", 3), "another fold than the split's: 1a00:A:B"),
        (_edit("measured_dg_kcal_mol", -1.0), "measured dG differs from the records' label: 1a00:A:B"),
        (_whole_fold(predicted_dg_kcal_mol=np.nan, failure="diverged: loss nan"), "seed 2, fold 3: diverged: loss nan"),
        (_whole_fold(failure="diverged: but here are numbers"), "diverged: but here are numbers"),
        (_diverged_once_skipped_once, "seed 2, fold 3: diverged: nan"),
    ],
)
def test_incomplete_predictions_fail_by_name(sample: ModuleType, folder: Path, change: Change, words: str) -> None:
    table = score(sample, folder, change)
    rows = table.loc["forest"]
    assert (rows["status"] == "failed").all()
    assert rows[["value", "ci_low", "ci_high"]].isna().all(axis=None)
    assert words in rows["note"].iloc[0]
    assert (table.loc["coformer", "status"] == "ok").all()  # the others are scored
    out = folder / "results/evaluate/table1"
    differences = read_table(out / "differences.parquet", "differences")
    assert differences["difference"].isna().all()  # all are from the forest
    assert set(differences["verdict"]) == {"not compared: forest failed"}
    coverage = read_table(out / "intervals.parquet", "intervals").set_index("experiment")
    assert (coverage.loc["forest", "status"] == "failed").all()
    assert coverage.loc["forest", "coverage"].isna().all()
    assert coverage.loc["coformer", "coverage"].notna().all()


def test_what_was_skipped_is_not_called_a_failure(sample: ModuleType, folder: Path) -> None:
    change = _whole_fold("forest", predicted_dg_kcal_mol=np.nan, failure="skipped: foldx is not here")
    rows = score(sample, folder, change).loc["forest"]
    assert set(rows["status"]) == {"skipped"}
    assert set(rows["note"]) == {"foldx is not here"}
    assert rows["value"].isna().all()


def test_a_constant_is_no_failure_where_the_model_is_one(sample: ModuleType, folder: Path) -> None:
    change = _whole_fold("train_mean", predicted_dg_kcal_mol=-9.0)
    assert (score(sample, folder, change).loc["train_mean", "status"] == "ok").all()


def test_a_number_that_another_experiment_failed_to_give_changes_nothing(sample: ModuleType, folder: Path) -> None:
    before = score(sample, folder).loc["coformer"]
    after = score(sample, folder, _unlink("forest/seed_2/fold_3")).loc["coformer"]
    pd.testing.assert_frame_equal(before, after, rtol=1e-12)


def test_the_papers_protocol_is_told(sample: ModuleType, folder: Path) -> None:
    rows = score(sample, folder, _whole_fold("coformer", protocol="paper")).loc["coformer"]
    assert set(rows["protocol"]) == {"paper"}
    assert rows["note"].str.startswith("protocol of the paper: the labels of the reported fold chose the epoch").all()
