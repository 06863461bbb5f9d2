from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mutation_rows import MEAN, SIZES, Rows, blind_records, evaluated, one, prediction, settings
from scipy import stats

from copra.errors import InputError
from copra.evaluate.mutation_metrics import draw

COUNTED = [name for name, n in SIZES.items() if n >= 3]


@pytest.fixture(scope="module")
def records(sample: ModuleType) -> Rows:
    return blind_records(sample)


@pytest.fixture(scope="module")
def guesses(records: Rows) -> dict[str, float]:
    """Predictions with some skill, by mutation."""
    generator = np.random.default_rng(5)
    return {r["mutation_id"]: 0.5 * r["ddg_kcal_mol"] + float(generator.normal(0, 0.5)) for r in records}


def pairs(records: Rows, guesses: dict[str, float], complex_id: str = "") -> tuple[np.ndarray, np.ndarray]:
    chosen = [r for r in records if complex_id in ("", r["complex_id"])]
    return (
        np.array([r["ddg_kcal_mol"] for r in chosen]),
        np.array([guesses[r["mutation_id"]] for r in chosen]),
    )


ORACLES: dict[str, Any] = {
    "rmse": lambda x, y: float(np.sqrt(np.mean((x - y) ** 2))),
    "mae": lambda x, y: float(np.mean(np.abs(x - y))),
    "pcc": lambda x, y: float(stats.pearsonr(x, y)[0]),
    "scc": lambda x, y: float(stats.spearmanr(x, y)[0]),
}


@pytest.fixture(scope="module")
def metrics(
    sample: ModuleType, root: Path, tmp_path_factory: pytest.TempPathFactory, records: Rows, guesses: dict[str, float]
) -> pd.DataFrame:
    rows = [prediction(sample, r, guesses[r["mutation_id"]]) for r in records]
    return evaluated(sample, tmp_path_factory.mktemp("metrics"), records, rows, settings(root))


@pytest.mark.parametrize("metric", ORACLES)
def test_pooled_scores_are_those_of_scipy(
    metrics: pd.DataFrame, records: Rows, guesses: dict[str, float], metric: str
) -> None:
    row = one(metrics, aggregate="pooled", metric=metric)
    assert row["value"] == pytest.approx(ORACLES[metric](*pairs(records, guesses)), abs=1e-12)
    assert (row["n_mutations"], row["n_complexes"], row["status"]) == (16, 5, "ok")
    assert row["ci_low"] < row["value"] < row["ci_high"]


@pytest.mark.parametrize("metric", ORACLES)
def test_scores_per_complex_are_means_over_complexes_with_three_mutations(
    metrics: pd.DataFrame, records: Rows, guesses: dict[str, float], metric: str
) -> None:
    each = [ORACLES[metric](*pairs(records, guesses, name)) for name in COUNTED]
    row = one(metrics, aggregate="per_complex", metric=metric)
    assert row["value"] == pytest.approx(np.mean(each), abs=1e-12)
    assert (row["n_mutations"], row["n_complexes"]) == (13, 3)
    assert "few complexes (3)" in row["note"]
    if metric in ("pcc", "scc"):
        absolute = one(metrics, aggregate="per_complex_absolute", metric=metric)
        assert absolute["value"] == pytest.approx(np.mean(np.abs(each)), abs=1e-12)


def test_turned_round_predictions_turn_the_sign_but_not_the_published_score(
    sample: ModuleType, root: Path, tmp_path: Path, metrics: pd.DataFrame, records: Rows, guesses: dict[str, float]
) -> None:
    rows = [prediction(sample, r, -guesses[r["mutation_id"]]) for r in records]
    turned = evaluated(sample, tmp_path / "turned", records, rows, settings(root))
    for aggregate in ("pooled", "per_complex"):
        before, after = (one(table, aggregate=aggregate, metric="pcc")["value"] for table in (metrics, turned))
        assert after == pytest.approx(-before)
        assert before > 0
    assert one(turned, aggregate="per_complex_absolute", metric="pcc")["value"] == pytest.approx(
        one(metrics, aggregate="per_complex_absolute", metric="pcc")["value"]
    )


def test_intervals_are_percentiles_over_resampled_complexes(
    metrics: pd.DataFrame, root: Path, records: Rows, guesses: dict[str, float]
) -> None:
    how = settings(root)
    frame = pd.DataFrame(records).sort_values("mutation_id", ignore_index=True)
    drawn = draw("blind", frame, how)
    by_complex = {name: np.flatnonzero((frame["complex_id"] == name).to_numpy()) for name in SIZES}
    measured = frame["ddg_kcal_mol"].to_numpy()
    guess = np.array([guesses[name] for name in frame["mutation_id"]])
    scores: dict[str, list[float]] = {"pooled": [], "per_complex": []}
    for weights in drawn.weights:
        copies = [(name, inside) for name, inside in by_complex.items() for _ in range(int(weights[inside[0]]))]
        assert len(copies) == len(SIZES)
        chosen = np.concatenate([inside for _, inside in copies])
        scores["pooled"].append(ORACLES["pcc"](measured[chosen], guess[chosen]))
        within = [ORACLES["pcc"](measured[inside], guess[inside]) for name, inside in copies if name in COUNTED]
        if within:
            scores["per_complex"].append(float(np.mean(within)))
    for aggregate, values in scores.items():
        row = one(metrics, aggregate=aggregate, metric="pcc")
        low, high = np.quantile([v for v in values if np.isfinite(v)], [0.025, 0.975])
        assert (row["ci_low"], row["ci_high"]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_the_band_of_random_predictions_is_where_theory_has_it(sample: ModuleType, root: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    records = [
        sample.fill("mutation_records", mutation_id=f"m{c}:{i}", part="blind", complex_id=f"{c}abc:A:B", n_changes=1,
                    molecule_type="protein", ddg_kcal_mol=float(generator.normal()))
        for c in range(14) for i in range(5)
    ]  # fmt: skip
    rows = [prediction(sample, r, float(generator.normal())) for r in records]
    metrics = evaluated(sample, tmp_path, records, rows, settings(root, bootstrap_samples=2000))
    # a correlation of n normal numbers has the variance 1 / (n - 1); the mean size of one of five is 0.4244
    sd = {"pooled": 1 / np.sqrt(69), "per_complex": 1 / np.sqrt(4 * 14)}
    for aggregate, value in sd.items():
        for metric in ("pcc", "scc"):
            row = one(metrics, aggregate=aggregate, metric=metric)
            assert row["null_low"] == pytest.approx(-1.96 * value, rel=0.12)
            assert row["null_high"] == pytest.approx(1.96 * value, rel=0.12)
    row = one(metrics, aggregate="per_complex_absolute", metric="pcc")
    assert (row["null_low"] + row["null_high"]) / 2 == pytest.approx(0.4244, abs=0.02)
    assert 0.25 < row["null_low"] < row["null_high"] < 0.6
    errors = one(metrics, aggregate="pooled", metric="rmse")
    measured, guess = (np.array([row[name] for row in rows]) for name in
                       ("measured_ddg_kcal_mol", "predicted_ddg_kcal_mol"))  # fmt: skip
    uncorrelated = np.sqrt(measured.var() + guess.var() + (measured.mean() - guess.mean()) ** 2)
    assert errors["null_low"] < uncorrelated < errors["null_high"]


def test_antisymmetry_is_the_correlation_of_both_directions_and_half_their_mean_sum(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    generator = np.random.default_rng(8)
    back = {name: 0.2 - value + float(generator.normal(0, 0.2)) for name, value in guesses.items()}
    lost = records[3]["mutation_id"]
    rows = [
        prediction(sample, r, guesses[r["mutation_id"]],
                   predicted_reverse_ddg_kcal_mol=None if r["mutation_id"] == lost else back[r["mutation_id"]])
        for r in records
    ]  # fmt: skip
    metrics = evaluated(sample, tmp_path, records, rows, settings(root))
    names = [name for name in guesses if name != lost]
    there, home = np.array([guesses[n] for n in names]), np.array([back[n] for n in names])
    row = one(metrics, aggregate="pooled", metric="antisymmetry_pcc")
    assert row["value"] == pytest.approx(stats.pearsonr(there, home)[0])
    assert row["value"] < -0.8 < row["null_low"]
    bias = one(metrics, aggregate="pooled", metric="antisymmetry_bias_kcal_mol")
    assert bias["value"] == pytest.approx(np.mean(there + home) / 2)
    assert bias["ci_low"] < bias["value"] < bias["ci_high"]
    assert pd.isna(bias["null_low"])
    assert (row["status"], row["n_mutations"]) == ("partial", 15)
    assert "1 of 16 predictions have none for the way back" in row["note"]
    assert one(metrics, aggregate="pooled", metric="pcc")["status"] == "ok"


def test_without_predictions_for_the_way_back_there_is_no_number_of_them(metrics: pd.DataFrame) -> None:
    row = one(metrics, aggregate="pooled", metric="antisymmetry_pcc")
    assert (row["status"], row["n_mutations"]) == ("skipped", 0)
    assert pd.isna(row["value"])


def test_the_ensemble_counts_and_single_models_are_told_beside_it(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    rows = [prediction(sample, r, guesses[r["mutation_id"]]) for r in records]
    models = {k: {n: v + float(np.random.default_rng(k).normal(0, 0.1)) * (k + 1) * i for i, (n, v) in
                  enumerate(guesses.items())} for k in range(3)}  # fmt: skip
    for k, said in models.items():
        rows += [prediction(sample, r, said[r["mutation_id"]], fold=k) for r in records]
    rows.append(prediction(sample, records[0], 1.0, fold=4))  # a model that says one of them is left aside
    metrics = evaluated(sample, tmp_path, records, rows, settings(root))
    row = one(metrics, aggregate="pooled", metric="pcc")
    each = [ORACLES["pcc"](*pairs(records, said)) for said in models.values()]
    assert row["value"] == pytest.approx(ORACLES["pcc"](*pairs(records, guesses)))
    assert row["n_models"] == 3
    assert (row["models_low"], row["models_high"]) == (pytest.approx(min(each)), pytest.approx(max(each)))


def test_scores_are_means_over_seeds(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    other = {name: value**2 for name, value in guesses.items()}
    rows = [prediction(sample, r, said[r["mutation_id"]], seed=seed)
            for seed, said in ((1, guesses), (2, other)) for r in records]  # fmt: skip
    metrics = evaluated(sample, tmp_path, records, rows, settings(root))
    both = [ORACLES["scc"](*pairs(records, said)) for said in (guesses, other)]
    assert one(metrics, aggregate="pooled", metric="scc")["value"] == pytest.approx(np.mean(both))


def test_in_the_cross_validated_set_the_held_out_fold_counts_and_no_other(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    folds = {name: i % 2 for i, name in enumerate(SIZES)}
    cv = [r | {"part": "cv", "fold": folds[r["complex_id"]]} for r in records]
    common = {"experiment": "mean", "kind": "mean"}
    rows = [prediction(sample, r, guesses[r["mutation_id"]], fold=r["fold"], **common) for r in cv]
    # a model that was trained on the mutation, and an ensemble with it, know the answer
    for fold in (-1, None):
        rows += [prediction(sample, r, r["ddg_kcal_mol"], fold=1 - r["fold"] if fold is None else fold, **common)
                 for r in cv]  # fmt: skip
    metrics = evaluated(sample, tmp_path, cv, rows, settings(root), {"mean": MEAN})
    row = one(metrics, experiment="mean", subset="cv", aggregate="pooled", metric="rmse")
    assert row["value"] == pytest.approx(ORACLES["rmse"](*pairs(cv, guesses)))
    assert row["value"] > 0.3
    assert row["n_models"] == 0
    assert set(metrics["subset"]) == {"cv"}


def test_subsets_and_ways_of_training_are_kept_apart(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    kinds = {"extra_rna": ("rna", 1), "extra_multi_protein": ("protein", 2), "extra_single_protein": ("protein", 1)}
    extra = [
        r | {"part": "extra", "mutation_id": f"{name}{r['mutation_id']}", "molecule_type": kind, "n_changes": n}
        for name, (kind, n) in kinds.items() for r in records[:4]
    ]  # fmt: skip
    rows = [prediction(sample, r, 0.1 * i) for i, r in enumerate([*records, *extra])]
    seen = [r for r in records if r["complex_id"] < "3"]
    rows += [prediction(sample, r, guesses[r["mutation_id"]], training="unseen") for r in seen]
    metrics = evaluated(sample, tmp_path, [*records, *extra], rows, settings(root))
    counted = {s: one(metrics, subset=s, aggregate="pooled", metric="mae")["n_mutations"] for s in {*metrics["subset"]}}
    inside = sum(r["in_interface"] for r in records)
    assert counted == {"blind": 16, "blind_in_interface": inside, **dict.fromkeys(kinds, 4)}
    row = one(metrics, training="unseen", aggregate="pooled", metric="mae")
    assert (row["status"], row["n_mutations"], row["n_complexes"]) == ("partial", 10, 2)
    assert row["note"].startswith("6 of 16 mutations have no prediction: every model was trained on a related record")
    assert row["value"] == pytest.approx(ORACLES["mae"](*pairs(seen, guesses)))
    other = one(metrics, training="unseen", subset="extra_rna", aggregate="pooled", metric="mae")
    assert (other["status"], other["note"]) == ("skipped", "no predictions of these mutations")


@pytest.mark.parametrize(
    ("failure", "status", "note"),
    [
        ("skipped: no foldx.binary is set", "skipped", "no foldx.binary is set"),
        ("diverged: loss nan", "failed", "diverged: loss nan"),
        ("", "failed", "no finite number"),
    ],
)
def test_what_failed_has_no_number(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, failure: str, status: str, note: str
) -> None:
    rows = [prediction(sample, r, None if failure else float("inf"), failure=failure) for r in records]
    metrics = evaluated(sample, tmp_path, records, rows, settings(root))
    assert set(metrics["status"]) == {status}
    assert set(metrics["note"]) == {note}
    assert metrics[["value", "ci_low", "null_low", "models_low"]].isna().all().all()
    assert set(metrics["n_mutations"]) == {0}


def test_a_few_lost_mutations_are_told_and_an_experiment_without_a_file_is_failed(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    rows = [prediction(sample, r, guesses[r["mutation_id"]]) for r in records[1:]]
    rows.append(prediction(sample, records[0], None, failure="no_structure: the chain is not there"))
    experiments = {"zero_shot": MEAN.model_copy(), "absent": MEAN}
    metrics = evaluated(sample, tmp_path, records, rows, settings(root), experiments)
    row = one(metrics, aggregate="pooled", metric="rmse")
    assert row["status"] == "partial"
    assert row["note"] == "1 of 16 mutations have no prediction: no_structure: the chain is not there"
    assert row["value"] == pytest.approx(ORACLES["rmse"](*pairs(records[1:], guesses)))
    absent = one(metrics, experiment="absent", aggregate="pooled", metric="rmse")
    assert (absent["status"], absent["note"], absent["kind"]) == ("failed", "no predictions", "mean")


def test_one_number_for_all_has_errors_and_no_correlation(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows
) -> None:
    metrics = evaluated(sample, tmp_path, records, [prediction(sample, r, 0.9) for r in records], settings(root))
    for aggregate, note in (("pooled", "one number for all mutations"), ("per_complex", "within 3 of 3 complexes")):
        row = one(metrics, aggregate=aggregate, metric="pcc")
        assert pd.isna(row["value"])
        assert note in row["note"]
        errors = one(metrics, aggregate=aggregate, metric="rmse")
        assert errors["value"] > 0
        assert pd.isna(errors["null_low"])  # dealt anew, it is itself


def test_one_number_within_a_complex_counts_as_no_correlation(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    said = {r["mutation_id"]: 0.3 if r["complex_id"] == "2abc:A:B" else guesses[r["mutation_id"]] for r in records}
    rows = [prediction(sample, r, said[r["mutation_id"]]) for r in records]
    metrics = evaluated(sample, tmp_path, records, rows, settings(root))
    row = one(metrics, aggregate="per_complex", metric="pcc")
    others = [ORACLES["pcc"](*pairs(records, said, name)) for name in COUNTED if name != "2abc:A:B"]
    assert row["value"] == pytest.approx(sum(others) / 3)
    assert "one number within 1 of 3 complexes: counted as 0" in row["note"]


def test_a_complex_with_one_measured_value_counts_for_errors_alone(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows, guesses: dict[str, float]
) -> None:
    alike = [r | {"ddg_kcal_mol": 1.0} if r["complex_id"] == "1abc:A:B" else r for r in records]
    rows = [prediction(sample, r, guesses[r["mutation_id"]]) for r in alike]
    metrics = evaluated(sample, tmp_path, alike, rows, settings(root))
    assert one(metrics, aggregate="per_complex", metric="rmse")["n_complexes"] == 3
    assert one(metrics, aggregate="per_complex", metric="pcc")["n_complexes"] == 2


def test_the_draws_do_not_depend_on_what_else_is_scored(
    sample: ModuleType, root: Path, tmp_path: Path, metrics: pd.DataFrame, records: Rows, guesses: dict[str, float]
) -> None:
    rows = [prediction(sample, r, guesses[r["mutation_id"]]) for r in records]
    rows += [prediction(sample, r, float(i), experiment="mean", kind="mean") for i, r in enumerate(records)]
    cv = [r | {"part": "cv", "mutation_id": f"cv{r['mutation_id']}", "fold": 0} for r in records]
    kinds = {"mean": MEAN, "zero_shot": MEAN}
    more = evaluated(sample, tmp_path / "more", [*cv, *records[::-1]], rows[::-1], settings(root), kinds)
    columns = ["value", "ci_low", "ci_high", "null_low", "null_high"]
    of_both = [one(table, aggregate="per_complex", metric="scc") for table in (metrics, more)]
    assert [of_both[0][name] for name in columns] == [of_both[1][name] for name in columns]


def test_predictions_that_do_not_fit_the_records_are_refused(
    sample: ModuleType, root: Path, tmp_path: Path, records: Rows
) -> None:
    good = [prediction(sample, r, 0.5) for r in records]
    for changed, message in (
        ({"measured_ddg_kcal_mol": 9.0}, "measured ddG differs from mutation_records"),
        ({"mutation_id": "who:1"}, "are not in mutation_records"),
        ({"training": "some"}, "training: expected one of"),
        ({"experiment": "other"}, r"mutation_predictions of \['other'\], expected those of"),
    ):
        with pytest.raises(InputError, match=message):
            evaluated(sample, tmp_path, records, [*good[1:], good[0] | changed], settings(root))
