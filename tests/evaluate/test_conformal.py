from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from copra.evaluate.conformal import CONSTANT, SCALED, conformal_quantile, half_widths
from copra.tables import concat_tables, read_table


def test_the_quantile_by_hand() -> None:
    scores = np.array([5.0, 1, 4, 2, 3, 9, 8, 7, 6])
    assert conformal_quantile(scores, 0.8) == 8  # the 8th of 9: ceil(10 * 0.8)
    assert conformal_quantile(scores, 0.9) == 9
    assert conformal_quantile(scores, 0.91) == np.inf  # a 10th is needed
    assert conformal_quantile(scores[:3], 0.8) == np.inf
    assert conformal_quantile(scores[:0], 0.8) == np.inf


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_coverage_of_exchangeable_records_is_the_nominal_one(spread: bool, coverage: float) -> None:
    generator = np.random.default_rng(3)
    folds = np.arange(100) % 5
    held = []
    for _ in range(100):
        scale = generator.uniform(0.2, 2, 100)
        residuals = np.abs(generator.normal(0, scale))
        widths = half_widths(residuals, scale if spread else None, folds, np.arange(100), coverage)
        held.append((residuals <= widths).mean())
    assert coverage - 0.05 <= np.mean(held) <= coverage + 0.05
    assert np.mean(held) >= coverage - 0.01  # never below, but for chance


def test_a_width_that_follows_the_spread_holds_small_and_large_errors_alike() -> None:
    generator = np.random.default_rng(3)
    scale = np.repeat([0.5, 2.0], 1000)
    residuals, folds = np.abs(generator.normal(0, scale)), np.arange(2000) % 5
    far = {}
    for name, spread in (("constant", None), ("scaled", scale)):
        held = residuals <= half_widths(residuals, spread, folds, np.arange(2000), 0.8)
        far[name] = held[:1000].mean() - held[1000:].mean()
    assert far["constant"] > 0.35
    assert far["scaled"] < far["constant"] - 0.05


def test_a_fold_is_calibrated_on_the_other_folds_alone() -> None:
    residuals = np.array([100.0, 100, 100, 1, 2, 3, 4])
    folds = np.array([0, 0, 0, 1, 1, 1, 1])
    widths = half_widths(residuals, None, folds, np.arange(7), 0.75)
    assert widths.tolist() == [4, 4, 4, 100, 100, 100, 100]


def test_a_cluster_on_both_sides_is_not_calibrated_on() -> None:
    """By date a cluster may stand in several folds; its error is no news of an unseen cluster."""
    residuals = np.array([1.0, 1, 9, 2, 3, 4])
    folds = np.array([0, 0, 1, 1, 1, 1])
    clusters = np.array(["a", "b", "b", "c", "d", "e"])
    assert half_widths(residuals, None, folds, clusters, 0.75)[:2].tolist() == [4, 4]
    apart = np.array(["a", "b", "f", "c", "d", "e"])
    assert half_widths(residuals, None, folds, apart, 0.75)[:2].tolist() == [9, 9]


def test_seeds_that_all_agree_give_no_scale() -> None:
    folds = np.arange(40) % 4
    assert np.isnan(half_widths(np.ones(40), np.zeros(40), folds, np.arange(40), 0.8)).all()
    one = np.where(np.arange(40) < 2, 0.0, 1.0)  # a few that agree by chance get a width all the same
    assert (half_widths(np.ones(40), one, folds, np.arange(40), 0.8) > 0).all()


def table_of(sample: ModuleType, folder: Path, **change: object) -> pd.DataFrame:
    return read_table(sample.score_results(folder, change=change) / "intervals.parquet", "intervals")


def test_the_table_of_intervals(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    table = table_of(sample, tmp_path)
    assert len(table) == 3 * 2 * 2 * 2  # experiments, subsets, methods, coverages
    key = ["experiment", "subset", "method", "nominal_coverage"]
    row = table.set_index(key).loc[("forest", "all", CONSTANT, 0.8)]
    said = concat_tables(list((tmp_path / "results/train/forest").glob("*/*/predictions.parquet")), "predictions")
    by = said.groupby("record_id").agg(
        {"predicted_dg_kcal_mol": "mean", "measured_dg_kcal_mol": "first", "fold": "first"}
    )
    residual = (by["predicted_dg_kcal_mol"] - by["measured_dg_kcal_mol"]).abs()
    held, width = [], []
    for fold in range(5):
        others = np.sort(residual[by["fold"] != fold])
        held += (residual[by["fold"] == fold] <= others[13]).tolist()  # the ceil(17 * 0.8) = 14th of 16
        width += [2 * others[13]] * 4
    assert row["coverage"] == pytest.approx(np.mean(held))
    assert row["mean_width_kcal_mol"] == pytest.approx(np.mean(width))
    assert row["ci_low"] <= row["coverage"] <= row["ci_high"]
    assert (row["n_records"], row["n_clusters"], row["status"], row["note"]) == (20, 20, "ok", "")
    alike = table[(table["experiment"] == "train_mean") & (table["method"] == SCALED)]
    assert set(alike["status"]) == {"skipped"}
    assert alike["coverage"].isna().all()
    assert alike["note"].str.startswith("all seeds say the same").all()


def test_one_seed_has_no_spread_and_few_records_no_interval(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path, n=10)
    for path in (tmp_path / "results/train").glob("*/seed_2/*/predictions.parquet"):
        path.unlink()
    table = table_of(sample, tmp_path, seeds=[1], coverages=[0.8, 0.9])
    assert set(table["method"]) == {CONSTANT}
    few = table[table["nominal_coverage"] == 0.9]  # 8 records to calibrate on, 9 are needed
    assert set(few["status"]) == {"skipped"}
    assert few["note"].str.startswith("too few records in the other folds to calibrate on").all()
    assert (table.loc[table["nominal_coverage"] == 0.8, "status"] == "ok").all()
