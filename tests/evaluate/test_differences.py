from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from copra.evaluate.bootstrap import bootstrap_weights, mean_scores
from copra.evaluate.differences import (
    Difference,
    Scores,
    difference_rows,
    holm,
    paired_difference,
    resolution,
    verdict,
)
from copra.tables import read_table

N = 150


def scores_of(guess: list[np.ndarray], measured: np.ndarray, metric: str = "rmse", samples: int = 1000) -> Scores:
    weights = bootstrap_weights(np.arange(len(measured)), samples, np.random.default_rng(0))
    stacked, everyone = np.array(guess)[:, None], [np.ones(len(measured), dtype=bool)]
    itself = mean_scores(metric, measured, stacked, everyone, np.ones((1, len(measured))))
    return Scores(itself[:, 0], mean_scores(metric, measured, stacked, everyone, weights))


def test_holm_by_hand() -> None:
    # sorted: .01 * 4, .02 * 3, .03 * 2, .5 * 1; none may fall below the one before
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.04, 0.05]) == pytest.approx([0.08, 0.08])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_passes_over_what_is_not_defined() -> None:
    found = holm([float("nan"), 0.02, 0.04])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.04, 0.04])


def test_the_resolution_is_2_8_standard_errors_at_95_percent() -> None:
    assert resolution(1.0, 0.95) == pytest.approx(1.95996 + 0.84162, abs=1e-4)


def test_an_experiment_and_itself_do_not_differ() -> None:
    generator = np.random.default_rng(1)
    measured = generator.normal(size=N)
    guess = measured + generator.normal(size=N)
    found = paired_difference(scores_of([guess, guess], measured), 0, 1, 0.95)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert verdict("rmse", found, 1.0, 0.95) == "not told apart (resolution 0.00 kcal/mol)"


def test_pairing_tells_what_two_intervals_do_not() -> None:
    generator = np.random.default_rng(1)
    measured = generator.normal(-9.5, 1.7, N)
    guess = measured + generator.normal(0, 1.5, N)
    worse = guess + generator.normal(0, 0.9, N)  # itself plus noise
    scores = scores_of([guess, worse], measured)
    own = [np.quantile(sample, [0.025, 0.975]) for sample in scores.samples]
    assert own[0][1] > own[1][0]  # the two intervals overlap
    found = paired_difference(scores, 1, 0, 0.95)
    assert found.value == pytest.approx(scores.value[1] - scores.value[0])
    assert 0 < found.low < found.value < found.high
    assert verdict("rmse", found, found.p_value, 0.95) == "worse"
    mirrored = paired_difference(scores, 0, 1, 0.95)
    assert (mirrored.value, mirrored.p_value) == (-found.value, found.p_value)
    assert verdict("rmse", mirrored, mirrored.p_value, 0.95) == "better"
    assert verdict("rmse", mirrored, 0.2, 0.95).startswith("not told apart (resolution 0.")


@pytest.mark.parametrize(
    ("metric", "word"), [("rmse", "worse"), ("mae", "worse"), ("pcc", "better"), ("scc", "better")]
)
def test_higher_is_better_for_correlations_only(metric: str, word: str) -> None:
    assert verdict(metric, Difference(0.3, 0.1, 0.5, 0.1, 0.003), 0.003, 0.95) == word


def test_p_values_of_equal_experiments_are_even() -> None:
    generator = np.random.default_rng(5)
    p_values = []
    for _ in range(200):
        measured = generator.normal(size=60)
        guess = [measured + generator.normal(size=60) for _ in range(2)]
        p_values.append(paired_difference(scores_of(guess, measured, samples=200), 0, 1, 0.95).p_value)
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.12
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)


def test_a_difference_of_the_resolution_is_found_in_four_of_five() -> None:
    generator = np.random.default_rng(6)
    found = []
    for _ in range(150):
        measured = np.zeros(100)
        first, second = (np.abs(generator.normal(size=100)) for _ in range(2))
        base = scores_of([first, second], measured, "mae", samples=200)
        error = resolution(float(np.std(base.samples[0] - base.samples[1], ddof=1)), 0.95)
        shifted = scores_of([first + error, second], measured, "mae", samples=200)
        found.append(paired_difference(shifted, 0, 1, 0.95).p_value < 0.05)
    assert 0.7 <= np.mean(found) <= 0.9


def test_rows_leave_out_the_reference_itself_and_say_why_there_is_no_number() -> None:
    generator = np.random.default_rng(1)
    measured = generator.normal(size=N)
    scores = scores_of([measured + generator.normal(size=N) for _ in range(2)], measured)
    statuses = {"a": "ok", "b": "skipped", "c": "ok"}
    rows = difference_rows("rmse", scores, statuses, ["c", "a"], 0.95)
    assert [(row["experiment"], row["reference"]) for row in rows] == [("a", "c"), ("b", "c"), ("b", "a"), ("c", "a")]
    assert rows[0]["difference"] == pytest.approx(scores.value[0] - scores.value[1])
    assert rows[0]["p_holm"] == pytest.approx(min(1, 2 * rows[0]["p_value"]))  # of the two that can be told
    assert [row["verdict"] for row in rows[1:3]] == ["not compared: b skipped"] * 2
    assert [row["p_holm"] for row in rows[1:3]] == [None, None]


def test_a_constant_has_no_difference_of_correlations() -> None:
    measured = np.random.default_rng(1).normal(size=N)
    scores = scores_of([np.ones(N), measured], measured, "pcc")
    (row,) = difference_rows("pcc", scores, {"a": "ok", "b": "ok"}, ["b"], 0.95)
    assert (row["difference"], row["p_value"], row["verdict"]) == (
        None, None, "not compared: the metric is not defined"
    )  # fmt: skip


def test_the_table_of_differences(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    out = sample.score_results(tmp_path, change={"compare_with": ["forest", "ghost", "coformer"]})
    table = read_table(out / "differences.parquet", "differences")
    assert len(table) == 2 * 2 * 2 * 4  # references, the others, subsets, metrics
    metrics = read_table(out / "metrics.parquet", "metrics").set_index(["experiment", "subset", "aggregate", "metric"])
    row = table[(table["experiment"] == "coformer") & (table["metric"] == "rmse") & (table["subset"] == "all")].iloc[0]
    value = {name: metrics.loc[(name, "all", "pooled", "rmse"), "value"] for name in ("coformer", "forest")}
    assert row["reference"] == "forest"
    assert row["difference"] == pytest.approx(value["coformer"] - value["forest"])
    assert (row["n_records"], row["n_clusters"], row["split_family"]) == (20, 20, "protein70")
    assert (table["p_holm"] >= table["p_value"]).all()
    for _, part in table.groupby(["subset", "metric"]):
        assert part["p_holm"].tolist() == pytest.approx(holm(part["p_value"].tolist()))
