"""Baselines of Table 2: who is trained on whom, what is predicted both ways, and what is said where nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sample_results import fill, put

from copra.config_mutation import DeepNapDifference, FoldXBuildModel, McsmForest, MeanEffect, SubstitutionBurial
from copra.errors import InputError
from copra.mutation.baselines import fit_mutation_baseline
from copra.mutation.exchange import exchange_features, read_changes
from copra.mutation.fitted import SEEN, UNMEASURED
from copra.tables import read_table

LETTERS = "ARNDCQEGHILKMFPSTWYV"
MEAN, FOLDX = MeanEffect(kind="mean"), FoldXBuildModel(kind="foldx")
RIDGE = SubstitutionBurial(kind="substitution_burial", matrix="BLOSUM62", penalty=[1e-6, 100.0], inner_folds=2)
FOREST = McsmForest(kind="mcsm", trees=8, min_samples_leaf=[1, 3], max_features=[0.5], inner_folds=2)
DEEPNAP = DeepNapDifference(kind="deepnap", base="deepnap_retrained")


class World:
    """60 mutations of 12 clusters in 3 folds, 8 blind ones in c0 and a new cluster, 3 others; ddG is a linear law."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generator = np.random.default_rng(5)
        self.rows: list[dict[str, Any]] = []
        self.features: list[dict[str, Any]] = []
        for i in range(60):
            self.add(generator, f"cv:{i:02}", "cv", f"c{i % 12}", i % 12 % 3)
        for i in range(8):
            self.add(generator, f"blind:{i}", "blind", "c0" if i < 4 else "new", None)
        for name, cluster in (("extra:c5", "c5"), ("extra:c6", "c6"), ("extra:new", "other")):
            self.add(generator, name, "extra", cluster, None)
        self.write()

    def add(self, generator: np.random.Generator, name: str, part: str, cluster: str, fold: int | None) -> None:
        a, b = generator.choice(list(LETTERS), 2, replace=False)
        mutation, area = f"{a}7{b}", generator.uniform(0, 1, 3)
        changed = exchange_features(read_changes(mutation, "6"), "BLOSUM62")
        ddg = 1.0 + 0.1 * changed["hydropathy_change"] - 0.01 * changed["volume_change_angstrom3"] - 2 * area[0]
        self.rows.append(fill(
            "mutation_records", mutation_id=name, part=part, source=part, pdb_id="9abc", complex_id=f"9abc:A:{cluster}",
            molecule_type="protein", mutation=mutation, polymer_indices="6", mutated_chains="A", n_changes=1,
            ddg_kcal_mol=ddg, cluster=cluster, fold=fold,
        ))  # fmt: skip
        for place, feature in enumerate(
            ("relative_area_complex", "relative_area_unbound", "partner_distance_angstrom")
        ):
            self.measure(name, "surroundings", feature, area[place])
            self.measure(name, "environment_signature", f"count_{place}", round(10 * area[place]))

    def measure(self, name: str, feature_set: str, feature: str, value: float) -> None:
        row = {"mutation_id": name, "feature_set": feature_set, "feature": feature, "value": float(value)}
        self.features.append(row)

    def write(self) -> None:
        put(self.folder / "records.parquet", "mutation_records", self.rows)
        put(self.folder / "features.parquet", "mutation_features", self.features)

    def run(self, experiment: Any, **given: Any) -> pd.DataFrame:
        """The rows of a baseline, by part, training, seed, fold and mutation."""
        out = self.folder / "predictions.parquet"
        inputs: dict[str, Any] = {"features": [self.folder / "features.parquet"], "energies": [], "mutants": []}
        fit_mutation_baseline(
            self.folder / "records.parquet", name="tried", experiment=experiment,
            **{"seeds": [1], "chains": [], **inputs, **given}, out=out,
        )  # fmt: skip
        found = read_table(out, "mutation_predictions")
        assert set(found["experiment"]) == {"tried"}
        assert set(found["kind"]) == {experiment.kind}
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def value(found: pd.DataFrame, name: str, training: str, fold: int) -> float:
    rows = found[(found["mutation_id"] == name) & (found["training"] == training) & (found["fold"] == fold)]
    assert len(rows) == 1, (name, training, fold)
    return float(rows["predicted_ddg_kcal_mol"].iloc[0])


# --- who is trained on whom -----------------------------------------------------------------------


def test_the_mean_is_that_of_the_other_folds_and_without_blind_clusters(world: World) -> None:
    found, table = world.run(MEAN), read_table(world.folder / "records.parquet", "mutation_records")
    cv = table[table["part"] == "cv"]
    for fold in (0, 1, 2):
        every = cv[cv["fold"] != fold]["ddg_kcal_mol"].mean()
        fresh = cv[(cv["fold"] != fold) & (cv["cluster"] != "c0")]["ddg_kcal_mol"].mean()
        assert value(found, f"cv:{fold:02}", "all", fold) == pytest.approx(every)
        assert value(found, f"cv:{fold:02}", "unseen", fold) == pytest.approx(fresh)
        assert value(found, "blind:1", "all", fold) == pytest.approx(every)
        assert value(found, "blind:1", "unseen", fold) == pytest.approx(fresh)
    of_blind = [value(found, "blind:5", "all", fold) for fold in (0, 1, 2)]
    assert value(found, "blind:5", "all", -1) == pytest.approx(np.mean(of_blind))
    # each cross-validated mutation once, by the model of its own fold
    own = found[found["part"] == "cv"].merge(table[["mutation_id", "fold"]], on="mutation_id")
    assert (own["fold_x"] == own["fold_y"]).all()
    assert len(own) == 2 * 60
    assert (found["predicted_ddg_kcal_mol"] == found["predicted_reverse_ddg_kcal_mol"]).all()


@pytest.mark.parametrize("training", ["all", "unseen"])
def test_a_model_is_silent_on_an_extra_mutation_whose_cluster_it_learnt(world: World, training: str) -> None:
    found = world.run(MEAN)
    said = found[found["training"] == training].set_index("mutation_id")
    # c5 is in fold 2, c6 in fold 0: only the models of those folds have not seen them
    assert sorted(said.loc["extra:c5", "fold"]) == [-1, 2]
    assert sorted(said.loc["extra:c6", "fold"]) == [-1, 0]
    assert sorted(said.loc["extra:new", "fold"]) == [-1, 0, 1, 2]
    assert value(found, "extra:c5", training, -1) == value(found, "extra:c5", training, 2)


def test_where_every_model_has_seen_a_relative_the_mean_says_so(world: World) -> None:
    # a cluster in two folds, as no records of ours have it
    for row in world.rows:
        row["cluster"] = "c5" if row["mutation_id"] == "cv:00" else row["cluster"]
    world.write()
    found = world.run(MEAN)
    said = found[(found["mutation_id"] == "extra:c5") & (found["training"] == "unseen")]
    assert said["fold"].tolist() == [-1]
    assert said["failure"].tolist() == [SEEN]
    assert said["predicted_ddg_kcal_mol"].isna().all()


# --- what is fitted -------------------------------------------------------------------------------


def test_ridge_finds_a_linear_law_and_turns_the_exchange(world: World) -> None:
    found = world.run(RIDGE, seeds=[1, 2])
    assert found["predicted_ddg_kcal_mol"].to_numpy() == pytest.approx(
        found["measured_ddg_kcal_mol"].to_numpy(), abs=1e-4
    )
    by_seed = [rows.drop(columns="seed").reset_index(drop=True) for _, rows in found.groupby("seed")]
    pd.testing.assert_frame_equal(*by_seed)  # nothing is drawn
    area = {(row["mutation_id"], row["feature"]): row["value"] for row in world.features}
    mutation = {row["mutation_id"]: row["mutation"] for row in world.rows}
    for row in found.head(50).itertuples():
        changed = exchange_features(read_changes(mutation[row.mutation_id], "6"), "BLOSUM62")
        back = 1.0 - 0.1 * changed["hydropathy_change"] + 0.01 * changed["volume_change_angstrom3"]
        back -= 2 * area[row.mutation_id, "relative_area_complex"]
        assert row.predicted_reverse_ddg_kcal_mol == pytest.approx(back, abs=1e-4)


def test_labels_of_the_held_out_fold_are_not_read(world: World) -> None:
    before = world.run(RIDGE)
    for row in world.rows:
        if row["fold"] == 1 or row["part"] != "cv":
            row["ddg_kcal_mol"] += 100.0
    world.write()
    after = world.run(RIDGE)
    is_first = (before["fold"] == 1) & (before["part"] != "extra")
    pd.testing.assert_series_equal(
        before.loc[is_first, "predicted_ddg_kcal_mol"], after.loc[is_first, "predicted_ddg_kcal_mol"]
    )
    other = (before["part"] == "cv") & (before["fold"] == 0)
    assert (after.loc[other, "predicted_ddg_kcal_mol"] > before.loc[other, "predicted_ddg_kcal_mol"] + 5).all()


def test_forest_learns_repeats_itself_and_has_no_way_back(world: World) -> None:
    found = world.run(FOREST, seeds=[1, 2])
    cv = found[(found["part"] == "cv") & (found["training"] == "all")]
    held_out = cv.groupby("mutation_id")[["measured_ddg_kcal_mol", "predicted_ddg_kcal_mol"]].mean()
    assert held_out.corr().iloc[0, 1] > 0.5
    assert found["predicted_reverse_ddg_kcal_mol"].isna().all()
    one, two = (rows["predicted_ddg_kcal_mol"].to_numpy() for _, rows in found.groupby("seed"))
    assert (one != two).any()
    first = (world.folder / "predictions.parquet").read_bytes()
    world.rows, world.features = world.rows[::-1], world.features[::-1]
    world.write()
    world.run(FOREST, seeds=[1, 2])
    assert (world.folder / "predictions.parquet").read_bytes() == first


def test_what_has_no_features_is_neither_trained_on_nor_predicted(world: World) -> None:
    world.features = [row for row in world.features if row["mutation_id"] not in ("cv:03", "blind:2")]
    of_rna = next(row for row in world.rows if row["mutation_id"] == "blind:6")
    of_rna |= {"molecule_type": "rna", "mutation": "A7C"}
    world.write()
    found = world.run(RIDGE).set_index("mutation_id")
    assert set(found.loc["cv:03", "failure"]) == set(found.loc["blind:2", "failure"]) == {UNMEASURED}
    assert set(found.loc["blind:6", "failure"]) == {"skipped: not a mutation of the protein"}
    silent = found["predicted_ddg_kcal_mol"].isna()
    assert set(found.index[silent]) == {"cv:03", "blind:2", "blind:6"}
    assert (silent == (found["failure"] != "")).all()
    assert world.run(MEAN)["predicted_ddg_kcal_mol"].notna().all()


def test_too_few_clusters_fail_the_fold_and_not_the_run(world: World) -> None:
    found = world.run(RIDGE.model_copy(update={"inner_folds": 8}))
    failed = found[found["failure"] != ""]
    # without c0 the folds 1 and 2 leave seven clusters to train on
    assert set(failed["training"]) == {"unseen"}
    assert set(failed["fold"]) == {1, 2, -1}
    # the mean is over the model that there is; of c5 only that of fold 2 could say anything
    assert failed[failed["fold"] == -1]["mutation_id"].tolist() == ["extra:c5"]
    assert value(found, "blind:1", "unseen", -1) == value(found, "blind:1", "unseen", 0)
    assert failed["failure"].str.startswith("failed: 7 clusters to train on").all()


def test_missing_inputs_are_named(world: World) -> None:
    with pytest.raises(InputError, match="needs --features"):
        world.run(RIDGE, features=[])
    with pytest.raises(InputError, match="needs --package"):
        world.run(DEEPNAP)
    world.features.pop()
    world.write()
    with pytest.raises(InputError, match="lacks"):
        world.run(FOREST)
    world.rows = [row for row in world.rows if row["part"] != "cv"]
    world.write()
    with pytest.raises(InputError, match=r"in two folds or more, found the folds \[\]"):
        world.run(MEAN)


# --- FoldX ----------------------------------------------------------------------------------------


def test_foldx_is_taken_as_it_stands(world: World) -> None:
    rows = [
        fill("mutation_foldx", mutation_id=row["mutation_id"], status="scored", ddg_kcal_mol=2 * row["ddg_kcal_mol"])
        for row in world.rows
    ]
    rows[0] |= {"status": "failed", "ddg_kcal_mol": None, "detail": "it broke"}
    put(world.folder / "e.parquet", "mutation_foldx", rows)
    found = world.run(FOLDX, energies=[world.folder / "e.parquet"], seeds=[1, 2])
    assert len(found) == 2 * 2 * len(rows)
    assert set(found[found["part"] != "cv"]["fold"]) == {-1}
    silent = found["predicted_ddg_kcal_mol"].isna()
    assert set(found.loc[silent, "failure"]) == {"failed: it broke"}
    assert set(found.loc[silent, "mutation_id"]) == {"cv:00"}
    kept = found[~silent]
    assert kept["predicted_ddg_kcal_mol"].to_numpy() == pytest.approx(2 * kept["measured_ddg_kcal_mol"].to_numpy())
    put(world.folder / "e.parquet", "mutation_foldx", rows[1:])
    with pytest.raises(InputError, match="1 of 71 mutations are in no file, first cv:00"):
        world.run(FOLDX, energies=[world.folder / "e.parquet"])
    skipped = [row | {"status": "skipped", "ddg_kcal_mol": None, "detail": "no program"} for row in rows]
    put(world.folder / "e.parquet", "mutation_foldx", skipped)
    assert set(world.run(FOLDX, energies=[world.folder / "e.parquet"])["failure"]) == {"skipped: no program"}
