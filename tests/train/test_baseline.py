from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.config import ForestBaseline, MeanBaseline
from copra.errors import InputError
from copra.model.baselines import choose_forest, sequence_features
from copra.tables import read_table, write_table
from copra.train.baseline import fit_baseline
from copra.train.folds import choose_validation, read_fold

FOREST = ForestBaseline(
    model="forest",
    features=["lengths", "chain_counts", "composition"],
    trees=40,
    min_samples_leaf=[1, 5],
    max_features=[0.5, 1.0],
    inner_folds=4,
    shuffle_labels=False,
)
MEAN = MeanBaseline(model="train_mean", shuffle_labels=False)


def run(world, out: Path, experiment, **changed) -> pd.DataFrame:
    given = {"records": world.records, "folds": world.folds, "fold": 0, "seed": 1, "name": "one"} | changed
    fit_baseline(**given, experiment=experiment, out=out)
    return read_table(out, "predictions")


def test_mean_is_that_of_the_training_labels(tmp_path: Path, tiny_world) -> None:
    found = run(tiny_world, tmp_path / "p.parquet", MEAN)
    parts = read_fold(tiny_world.records, tiny_world.folds, 0)
    assert found["predicted_dg_kcal_mol"].to_numpy() == pytest.approx(parts.training["dg_kcal_mol"].mean())
    assert set(found["record_id"]) == set(parts.test["record_id"])
    assert set(found["weights"]) == {"no language model"}
    assert set(found["architecture"]) == {""}
    assert set(found["protocol"]) == {"nested"}


def test_forest_learns_from_composition(tmp_path: Path, world_maker) -> None:
    world = world_maker(tmp_path, 120, (20, 40), seed=2)
    found = run(world, tmp_path / "p.parquet", FOREST)
    pearson = np.corrcoef(found["measured_dg_kcal_mol"], found["predicted_dg_kcal_mol"])[0, 1]
    assert pearson > 0.7
    again = run(world, tmp_path / "q.parquet", FOREST)
    assert (found["predicted_dg_kcal_mol"] == again["predicted_dg_kcal_mol"]).all()
    shuffled = run(world, tmp_path / "s.parquet", FOREST.model_copy(update={"shuffle_labels": True}))
    assert np.corrcoef(shuffled["measured_dg_kcal_mol"], shuffled["predicted_dg_kcal_mol"])[0, 1] < 0.5


def test_test_labels_have_no_influence_on_the_forest(tmp_path: Path, tiny_world) -> None:
    before = run(tiny_world, tmp_path / "a.parquet", FOREST)
    records = read_table(tiny_world.records, "records")
    tested = records["record_id"].isin(before["record_id"])
    changed = records.assign(dg_kcal_mol=records["dg_kcal_mol"].where(~tested, 0.0))
    write_table(changed, tmp_path / "records.parquet", "records")
    after = run(tiny_world, tmp_path / "b.parquet", FOREST, records=tmp_path / "records.parquet")
    assert (before["predicted_dg_kcal_mol"] == after["predicted_dg_kcal_mol"]).all()
    assert (after["measured_dg_kcal_mol"] == 0).all()


def test_features() -> None:
    rows = {"protein_sequences": ["AAR,AX", "X"], "rna_sequences": ["ACGU,AA", "N"]}
    counts = {"n_protein_residues": [5, 1], "n_rna_nucleotides": [6, 1], "n_protein_chains": [2, 1]}
    records = pd.DataFrame({**rows, **counts, "n_rna_chains": [2, 1]})
    found = sequence_features(records, ["lengths", "chain_counts", "composition"])
    assert found.shape == (2, 28)
    assert found[0, :6].tolist() == [5, 6, 2, 2, 0.75, 0.25]
    assert found[0, 24:].tolist() == pytest.approx([0.5, 1 / 6, 1 / 6, 1 / 6])
    assert found[1, 4:].tolist() == [0.0] * 24


def test_inner_folds_keep_clusters_whole() -> None:
    # a feature that only tells the cluster: a large leaf wins only when no cluster is on both sides
    generator = np.random.default_rng(0)
    clusters = np.repeat([f"c{i}" for i in range(20)], 6)
    features = np.repeat(generator.normal(size=(20, 1)), 6, axis=0)
    labels = np.repeat(generator.normal(size=20), 6)
    settings = FOREST.model_copy(update={"min_samples_leaf": [1, 40], "max_features": [1.0]})
    assert choose_forest(features, labels, clusters, settings, 0).min_samples_leaf == 40
    with pytest.raises(InputError, match="3 clusters to train on"):
        choose_forest(features[:18], labels[:18], clusters[:18], settings, 0)


def test_validation_takes_whole_clusters_and_its_share() -> None:
    clusters = [f"c{i % 13}" for i in range(60)] + ["big"] * 10
    chosen = choose_validation(clusters, 5, np.random.default_rng(1))
    assert not {c for c, v in zip(clusters, chosen, strict=True) if v} & {
        c for c, v in zip(clusters, chosen, strict=True) if not v
    }
    assert 10 <= chosen.sum() <= 18
    assert (choose_validation(clusters, 5, np.random.default_rng(1)) == chosen).all()
    assert any((choose_validation(clusters, 5, np.random.default_rng(s)) != chosen).any() for s in range(2, 6))


def test_folds_that_do_not_fit_are_refused(tmp_path: Path, tiny_world) -> None:
    with pytest.raises(InputError, match="fold 9 has 0 of 16"):
        run(tiny_world, tmp_path / "p.parquet", MEAN, fold=9)
    fewer = read_table(tiny_world.folds, "folds").iloc[1:]
    write_table(fewer, tmp_path / "folds.parquet", "folds")
    with pytest.raises(InputError, match="x000:A:B"):
        run(tiny_world, tmp_path / "p.parquet", MEAN, folds=tmp_path / "folds.parquet")
