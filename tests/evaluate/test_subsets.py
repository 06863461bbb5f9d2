from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sample_results import fill, protein, put, rna
from scipy import stats

from copra.cli import main
from copra.config_experiments import Experiment, TrainMean
from copra.config_file import load_config
from copra.errors import InputError
from copra.evaluate.metrics import evaluate
from copra.evaluate.scores import METRICS
from copra.evaluate.subsets import choose_subsets, external_subset, measure_similarity
from copra.evaluate.truth import read_truth
from copra.files import sha256_of_text
from copra.tables import read_table

ROOT = Path(__file__).resolve().parents[2]
MODELS: dict[str, Experiment] = {"forest": load_config(ROOT / "config.yaml").experiments["forest_lengths"]}
MODELS["train_mean"] = TrainMean(model="train_mean", shuffle_labels=False)
# protein of each record, its fold (None = in none), its RNA
PLACES = {
    "r0": (0, 0, 0), "r1": (1, 0, 3), "r2": (2, 1, 0), "r3": (3, 1, 0), "r4": (4, 2, 0), "r5": (5, 2, 0),
    "x6": (6, None, 0), "x7": (7, None, 0), "x8": (8, None, 0),
}  # fmt: skip
# pairs of proteins that are alike; all others are alike by 5 %
ALIKE = {(0, 2): 0.3, (0, 1): 0.99, (1, 4): 0.7, (3, 5): 0.2999, (2, 6): 0.9, (6, 7): 0.7, (7, 8): 0.69}


def make(folder: Path, cluster: dict[str, str] | None = None) -> dict[str, Path]:
    """Records, folds and identities by hand: three folds of two records, and three records in none.

    Each record is a cluster of its own but for those that `cluster` names.
    """
    records, folds, sequences = [], [], {}
    for number, (name, (own, fold, of)) in enumerate(PLACES.items()):
        texts = {"protein": protein(own), "rna": rna(of)}
        values = {f"{side}_sequences": text for side, text in texts.items()}
        values |= {f"{side}_sha256": sha256_of_text(text) for side, text in texts.items()}
        sequences |= {sha256_of_text(text): (side, own) for side, text in texts.items()}
        grade = "AABBCC"[number % 6]
        records.append(fill("records", record_id=name, dg_kcal_mol=-5.0 - number, label_grade=grade,
                            in_pra201=number < 5, **values))  # fmt: skip
        if fold is not None:
            folds.append({"record_id": name, "cluster": (cluster or {}).get(name, name), "fold": fold})
    rows = []
    keys = sorted(sequences)
    for i, b in enumerate(keys):
        for a in keys[:i]:
            (kind, one), (other_kind, two) = sequences[a], sequences[b]
            if kind == other_kind:
                identity = ALIKE.get((min(one, two), max(one, two)), 0.05) if kind == "protein" else 0.5
                rows.append(fill("identities", molecule_type=kind, sequence_a=a, sequence_b=b, identity=identity))
    paths = {name: folder / f"{name}.parquet" for name in ("records", "folds", "identities")}
    for name, table in (("records", records), ("folds", folds), ("identities", rows)):
        put(paths[name], name, table)
    return paths


def inside(paths: dict[str, Path], method: str = "alignment") -> dict[str, list[str]]:
    truth = read_truth(paths["records"], paths["folds"], method)
    similarity = measure_similarity(truth, *(paths[n] for n in ("records", "folds", "identities")), method)
    names = truth.test["record_id"].to_numpy()
    return {subset.name: names[subset.inside].tolist() for subset in choose_subsets(truth.test, similarity)}


def test_subsets_by_hand(tmp_path: Path) -> None:
    # r0 and r1 are alike by 99 %, but stand in one fold; x6 is alike to r2, but nobody trains on it
    assert inside(make(tmp_path)) == {
        "all": ["r0", "r1", "r2", "r3", "r4", "r5"],
        "pra201": ["r0", "r1", "r2", "r3", "r4"],
        "grade_A": ["r0", "r1"],
        "grade_B": ["r2", "r3"],
        "grade_C": ["r4", "r5"],
        "protein_identity_below_30": ["r3", "r5"],
        "protein_identity_30_to_70": ["r0", "r2"],
        "protein_identity_70_or_more": ["r1", "r4"],
        "same_rna_in_training": ["r0", "r2", "r3", "r4", "r5"],
    }


def test_by_date_only_earlier_records_count_and_the_first_fold_is_not_tested(tmp_path: Path) -> None:
    found = inside(make(tmp_path), "release_date")
    assert found["all"] == ["r2", "r3", "r4", "r5"]
    assert found["protein_identity_70_or_more"] == ["r4"]  # r1 is earlier
    assert found["protein_identity_30_to_70"] == ["r2"]
    assert "grade_A" not in found


def test_external_records_are_grouped_by_their_proteins(tmp_path: Path) -> None:
    paths = make(tmp_path)
    truth = read_truth(paths["records"], paths["folds"], "alignment")
    similarity = measure_similarity(truth, *(paths[n] for n in ("records", "folds", "identities")), "alignment")
    assert similarity.external_groups.tolist() == ["x6", "x6", "x8"]
    subset = external_subset(similarity)
    assert (subset.n_records, subset.n_clusters, subset.note) == (3, 2, "few records (3 in 2 clusters)")


def test_a_missing_pair_of_sequences_is_named(tmp_path: Path) -> None:
    paths = make(tmp_path)
    put(paths["identities"], "identities", read_table(paths["identities"], "identities").iloc[1:].to_dict("records"))
    with pytest.raises(InputError, match=r"expected .* pairs of protein sequences"):
        inside(paths)


# --- external records ---------------------------------------------------------------------------------

SEEDS, FOLDS = (1, 2), (0, 1, 2)


def predict(folder: Path, paths: dict[str, Path], drop: tuple[int, int, str] | None = None) -> dict[str, Path]:
    """Predictions of every seed and fold, of its own records and of the external ones."""
    labels = read_table(paths["records"], "records").set_index("record_id")["dg_kcal_mol"]
    generator = np.random.default_rng(4)
    for seed in SEEDS:
        for fold in FOLDS:
            rows = []
            for name, (_, own, _) in PLACES.items():
                if own not in (fold, None) or (seed, fold, name) == drop:
                    continue
                said = {"experiment": "forest", "protocol": "nested", "seed": seed, "fold": fold, "record_id": name}
                said |= {"measured_dg_kcal_mol": labels[name], "part": "test" if own is not None else "external"}
                guess = labels[name] + generator.normal(0, 2)
                rows.append(fill("predictions", predicted_dg_kcal_mol=guess, **said))
            put(folder / f"{seed}_{fold}.parquet", "predictions", rows)
    return {f"{seed}_{fold}": folder / f"{seed}_{fold}.parquet" for seed in SEEDS for fold in FOLDS}


def scored(
    folder: Path, drop: tuple[int, int, str] | None = None, cluster: dict[str, str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    paths = make(folder, cluster)
    predictions = predict(folder, paths, drop)
    settings = load_config(ROOT / "config.yaml").evaluate
    settings = settings.model_copy(update={"seeds": list(SEEDS), "bootstrap_samples": 200})
    evaluate(
        list(predictions.values()), table="table1", experiments={"forest": MODELS["forest"]}, family="here",
        method="alignment", **paths, settings=settings, metrics=folder / "m", differences=folder / "d",
        intervals=folder / "i",
    )  # fmt: skip
    said = pd.concat([read_table(path, "predictions") for path in predictions.values()])
    metrics = read_table(folder / "m", "metrics").set_index(["subset", "aggregate", "metric"])
    return metrics, said[said["part"] == "external"]


def test_the_external_ensemble_is_the_mean_over_seeds_and_folds(tmp_path: Path) -> None:
    metrics, said = scored(tmp_path)
    by = said.groupby("record_id")
    mean, measured = by["predicted_dg_kcal_mol"].mean(), by["measured_dg_kcal_mol"].first()
    assert by.size().tolist() == [6, 6, 6]
    row = metrics.loc[("external", "ensemble", "rmse")]
    assert row["value"] == pytest.approx(np.sqrt(((mean - measured) ** 2).mean()))
    assert (row["n_records"], row["n_clusters"], row["note"]) == (3, 2, "few records (3 in 2 clusters)")
    alone = [
        stats.pearsonr(part["predicted_dg_kcal_mol"], part["measured_dg_kcal_mol"])[0]
        for _, part in said.groupby(["seed", "fold"])
    ]
    assert len(alone) == 6
    assert metrics.loc[("external", "pooled", "pcc"), "value"] == pytest.approx(np.mean(alone))
    assert metrics.loc[("all", "pooled", "pcc"), "n_records"] == 6  # external records are in no other subset


def test_records_of_one_cluster_have_a_value_but_no_interval(tmp_path: Path) -> None:
    metrics, _ = scored(tmp_path, cluster={"r4": "r1"})
    rows = metrics.xs("rmse", level="metric").xs("pooled", level="aggregate")
    assert rows["value"].notna().all()
    assert rows.loc["protein_identity_70_or_more", ["n_records", "n_clusters"]].tolist() == [2, 1]
    assert rows.loc["protein_identity_70_or_more", ["ci_low", "ci_high"]].isna().all()
    assert rows.loc["all", ["ci_low", "ci_high"]].notna().all()


def test_an_external_record_that_one_fold_does_not_predict_fails(tmp_path: Path) -> None:
    metrics, _ = scored(tmp_path, drop=(2, 1, "x7"))
    assert set(metrics["status"]) == {"failed"}
    assert metrics["value"].isna().all()
    assert set(metrics["note"]) == {
        "seed 2: 1 of 9 predictions of records outside the folds are not there: x7 in fold 1"
    }


@pytest.fixture(scope="module")
def table(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("scored")
    sample.write_results(folder)
    return read_table(sample.score_results(folder) / "metrics.parquet", "metrics")


def test_few_records_are_said_to_be_few_and_have_a_value(table: pd.DataFrame) -> None:
    rows = table[(table["experiment"] == "forest") & (table["aggregate"] == "pooled") & (table["metric"] == "mae")]
    by = rows.set_index("subset")
    assert by.loc["pra201", "note"] == "few records (13 in 13 clusters)"
    assert by.loc["all", "note"] == ""
    assert by["value"].notna().all()


def test_only_the_whole_subsets_have_other_aggregates(table: pd.DataFrame) -> None:
    found = table.groupby("subset")["aggregate"].agg(lambda part: ",".join(sorted(set(part))))
    assert (found.drop(["all", "pra201"]) == "pooled").all()
    assert (found[["all", "pra201"]] == "ensemble,fold_mean,pooled").all()
    assert set(table["metric"]) == set(METRICS)


def test_the_command_line_takes_experiments_as_json(tmp_path: Path) -> None:
    paths = make(tmp_path)
    predictions = predict(tmp_path, paths)
    settings = load_config(ROOT / "config.yaml").evaluate.model_copy(update={"seeds": list(SEEDS)})
    text = json.dumps({name: model.model_dump() for name, model in MODELS.items()})
    words = [*(str(path) for path in predictions.values()), "--table", "table1", "--experiments", text]
    words += ["--family", "protein70", "--method", "alignment", "--settings", settings.model_dump_json()]
    for name, path in paths.items():
        words += [f"--{name}", str(path)]
    for name in ("metrics", "differences", "intervals"):
        words += [f"--{name}", str(tmp_path / name)]
    assert main(["evaluate", *words]) == 0
    table = read_table(tmp_path / "metrics", "metrics").groupby("experiment")["status"].first()
    assert table.to_dict() == {"forest": "ok", "train_mean": "failed"}  # the mean was not predicted
    broken = text.replace('"trees": 500', '"trees": 0')
    assert main(["evaluate", *(broken if word == text else word for word in words)]) == 2
