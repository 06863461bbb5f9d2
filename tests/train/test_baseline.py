from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.config_experiments import (
    BoostedTrees,
    FoldX,
    Forest,
    Linear,
    NearestProtein,
    Perceptron,
    SupportVectors,
    TrainMean,
)
from copra.errors import Diverged, InputError
from copra.model.choice import Trial, choose, inner_parts
from copra.model.neighbours import Nearest, record_identity
from copra.model.regressors import (
    BoostedCandidates,
    ForestCandidates,
    PerceptronCandidates,
    SupportVectorCandidates,
    rotated,
)
from copra.model.ridge import Ridge, standardised
from copra.tables import read_table, write_table
from copra.train.baseline import fit_baseline
from copra.train.folds import choose_validation, read_fold

REGRESSOR = {
    "features": ["lengths", "chain_counts", "composition"],
    "protein_lm": None,
    "rna_lm": None,
    "shuffle_partner": False,
    "inner_folds": 3,
    "shuffle_labels": False,
}
MEAN = TrainMean(model="train_mean", shuffle_labels=False)
LINEAR = Linear(model="linear", penalty=[1.0], **REGRESSOR)
FOREST = Forest(model="forest", trees=30, min_samples_leaf=[1, 5], max_features=[0.5], **REGRESSOR)
SVR = SupportVectors(model="svr", cost=[1.0, 10.0], tube_kcal_mol=[0.1], **REGRESSOR)
MLP = Perceptron(model="mlp", hidden_widths=[8], penalty=[0.1], learning_rate=0.01, epochs=60, **REGRESSOR)
BOOSTED = BoostedTrees(
    model="boosted_trees", trees=[10, 40], depth=[2], learning_rate=[0.1], subsample=0.7, **REGRESSOR
)
NEAREST = NearestProtein(model="nearest_protein", neighbours=[1, 3], inner_folds=3, shuffle_labels=False)
FOLDX = FoldX(model="foldx", calibrate=False, shuffle_labels=False)
LISTS = ("features", "protein_embeddings", "rna_embeddings", "identities", "energies")


def run(world, out: Path, experiment, **changed) -> pd.DataFrame:
    given = {"records": world.records, "folds": world.folds, "fold": 0, "method": "cd_hit", "seed": 1, "name": "one"}
    fit_baseline(**{**given, **{key: [] for key in LISTS}, **changed}, experiment=experiment, out=out)
    return read_table(out, "predictions")


def predicted(world, out: Path, experiment, **changed) -> list[float]:
    return run(world, out, experiment, **changed)["predicted_dg_kcal_mol"].tolist()


def changed(experiment, **values):
    return experiment.model_copy(update=values)


@pytest.fixture(scope="module")
def matrix() -> tuple[np.ndarray, np.ndarray]:
    """40 records of 6 columns, one of them constant, and labels on a plane with noise."""
    generator = np.random.default_rng(3)
    features = generator.normal(size=(40, 6)) * [1, 5, 0.1, 1, 1, 0] + [0, 3, 0, 0, 0, 7]
    labels = features @ [1, 0.2, 5, 0, 0, 0] - 9 + generator.normal(0, 0.3, 40)
    return features, labels


KNOWN, NEW = np.arange(30), np.arange(30, 40)


# --- the protocol -------------------------------------------------------------------------------------


def test_mean_is_that_of_the_training_labels(tmp_path: Path, tiny_world) -> None:
    found = run(tiny_world, tmp_path / "p.parquet", MEAN)
    parts = read_fold(tiny_world.records, tiny_world.folds, 0, "cd_hit")
    assert found["predicted_dg_kcal_mol"].to_numpy() == pytest.approx(parts.training["dg_kcal_mol"].mean())
    assert set(found["record_id"]) == set(parts.test["record_id"])
    assert set(found["weights"]) == {"no language model"}
    assert set(found["architecture"]) == {""}
    assert set(found["protocol"]) == {"nested"}
    assert set(found["failure"]) == {""}


@pytest.mark.parametrize("experiment", [LINEAR, FOREST, SVR, MLP, BOOSTED], ids=lambda e: e.model)
def test_regressors_learn_what_is_there_and_nothing_from_dealt_labels(tmp_path: Path, world_maker, experiment) -> None:
    world = world_maker(tmp_path, 80, (20, 40), seed=2)
    found = run(world, tmp_path / "p.parquet", experiment)
    pearson = np.corrcoef(found["measured_dg_kcal_mol"], found["predicted_dg_kcal_mol"])[0, 1]
    assert pearson > 0.6
    run(world, tmp_path / "q.parquet", experiment)
    assert (tmp_path / "q.parquet").read_bytes() == (tmp_path / "p.parquet").read_bytes()
    dealt = run(world, tmp_path / "s.parquet", changed(experiment, shuffle_labels=True))
    assert np.corrcoef(dealt["measured_dg_kcal_mol"], dealt["predicted_dg_kcal_mol"])[0, 1] < pearson - 0.2


def test_test_labels_have_no_influence(tmp_path: Path, tiny_world) -> None:
    before = run(tiny_world, tmp_path / "a.parquet", FOREST)
    records = read_table(tiny_world.records, "records")
    tested = records["record_id"].isin(before["record_id"])
    zeros = records.assign(dg_kcal_mol=records["dg_kcal_mol"].where(~tested, 0.0))
    write_table(zeros, tmp_path / "records.parquet", "records")
    after = run(tiny_world, tmp_path / "b.parquet", FOREST, records=tmp_path / "records.parquet")
    assert (before["predicted_dg_kcal_mol"] == after["predicted_dg_kcal_mol"]).all()
    assert (after["measured_dg_kcal_mol"] == 0).all()


def test_external_records_are_predicted_and_change_nothing(tmp_path: Path, tiny_world) -> None:
    dealt, records = read_table(tiny_world.folds, "folds"), read_table(tiny_world.records, "records")
    outside = set(dealt.loc[dealt["fold"] == 0, "record_id"])
    write_table(dealt[dealt["fold"] != 0], tmp_path / "folds.parquet", "folds")
    write_table(records[~records["record_id"].isin(outside)], tmp_path / "fewer.parquet", "records")
    shuffled = changed(LINEAR, shuffle_partner=True)
    found = run(tiny_world, tmp_path / "a.parquet", shuffled, fold=1, folds=tmp_path / "folds.parquet")
    given = {"folds": tmp_path / "folds.parquet", "records": tmp_path / "fewer.parquet"}
    without = run(tiny_world, tmp_path / "b.parquet", shuffled, fold=1, **given)
    assert set(found.loc[found["part"] == "external", "record_id"]) == outside
    assert np.isfinite(found["predicted_dg_kcal_mol"]).all()
    tested = found[found["part"] == "test"].set_index("record_id")["predicted_dg_kcal_mol"]
    assert tested.to_dict() == without.set_index("record_id")["predicted_dg_kcal_mol"].to_dict()


def test_by_date_only_earlier_folds_are_trained_on(tmp_path: Path, tiny_world) -> None:
    found = predicted(tiny_world, tmp_path / "a.parquet", MEAN, fold=1, method="release_date")
    table = read_table(tiny_world.records, "records").merge(read_table(tiny_world.folds, "folds"), on="record_id")
    assert found == pytest.approx([table.loc[table["fold"] == 0, "dg_kcal_mol"].mean()] * 4)


def test_partner_is_shuffled_by_seed_and_only_where_there_is_rna(tmp_path: Path, tiny_world) -> None:
    shuffled = changed(LINEAR, shuffle_partner=True)
    own = predicted(tiny_world, tmp_path / "a.parquet", LINEAR)
    assert predicted(tiny_world, tmp_path / "b.parquet", shuffled) != own
    assert predicted(tiny_world, tmp_path / "c.parquet", shuffled, seed=2) != predicted(
        tiny_world, tmp_path / "b.parquet", shuffled
    )
    with pytest.raises(InputError, match="shuffle_partner"):
        run(tiny_world, tmp_path / "d.parquet", changed(shuffled, features=["interface_size"]))


def test_language_models_are_named_and_checked(tmp_path: Path, tiny_world, embedded) -> None:
    protein, rna = embedded(tiny_world, tmp_path)
    features = ["protein_embedding", "rna_embedding"]
    experiment = changed(LINEAR, features=features, protein_lm="esm2_random", rna_lm="rinalmo_random")
    given = {"protein_embeddings": [protein], "rna_embeddings": [rna]}
    found = run(tiny_world, tmp_path / "p.parquet", experiment, **given)
    assert found["weights"].str.match(r"esm2_random random:0.*; rinalmo_random random:0").all()
    assert found["predicted_dg_kcal_mol"].nunique() > 1
    with pytest.raises(InputError, match="expected protein embeddings of 'esm2_8M'"):
        run(tiny_world, tmp_path / "q.parquet", changed(experiment, protein_lm="esm2_8M"), **given)


def test_folds_that_do_not_fit_are_refused(tmp_path: Path, tiny_world) -> None:
    with pytest.raises(InputError, match="fold 9 has 0 of 16"):
        run(tiny_world, tmp_path / "p.parquet", MEAN, fold=9)
    fewer = read_table(tiny_world.folds, "folds").iloc[1:]
    write_table(fewer, tmp_path / "folds.parquet", "folds")
    with pytest.raises(InputError, match="6 clusters to train on; 9 inner folds"):
        run(tiny_world, tmp_path / "p.parquet", changed(LINEAR, inner_folds=9))


def test_a_model_without_numbers_has_failed(tmp_path: Path, tiny_world) -> None:
    found = run(tiny_world, tmp_path / "p.parquet", changed(MLP, learning_rate=1e38, epochs=30))
    assert found["predicted_dg_kcal_mol"].isna().all()
    assert found["failure"].str.startswith("diverged: none of 1 settings predicts").all()


def test_mean_imports_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, copra.train.baseline; print([m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# --- the choice ---------------------------------------------------------------------------------------


def test_inner_folds_keep_clusters_whole(matrix) -> None:
    # a feature that only tells the cluster: a forest of deep trees wins wherever a cluster is on both sides
    generator = np.random.default_rng(0)
    clusters = np.repeat([f"c{i}" for i in range(20)], 6)
    features = np.repeat(generator.normal(size=(20, 1)), 6, axis=0)
    labels = np.repeat(generator.normal(size=20), 6)
    candidates = ForestCandidates(features, changed(FOREST, min_samples_leaf=[1, 40], max_features=[1.0]), 0)
    assert choose(candidates, labels, clusters, 4).name == "min_samples_leaf 40, max_features 1"
    apart = [f"r{i}" for i in generator.permutation(120)]
    assert choose(candidates, labels, apart, 4).name == "min_samples_leaf 1, max_features 1"


def test_inner_parts_are_whole_clusters_of_like_size() -> None:
    from sklearn.model_selection import GroupKFold

    generator = np.random.default_rng(1)
    clusters = [f"c{i}" for i in generator.integers(0, 25, 90)] + ["big"] * 20
    part = inner_parts(clusters, 5)
    assert all(len(set(part[np.array(clusters) == c])) == 1 for c in set(clusters))
    oracle = [len(test) for _, test in GroupKFold(5).split(clusters, groups=clusters)]
    assert sorted(np.bincount(part)) == sorted(oracle)
    order = generator.permutation(len(clusters))
    assert (inner_parts([clusters[i] for i in order], 5) == part[order]).all()
    with pytest.raises(InputError, match="3 clusters to train on; 4 inner folds"):
        inner_parts(["a", "b", "c", "a"], 4)


class Offsets:
    """Predicts the training mean plus a constant: its inner error is known."""

    names = ("two", "one", "minus one", "nothing")

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        predicted = labels.mean() + np.array([2.0, 1.0, -1.0, np.nan])[:, None] + np.zeros(len(tested))
        return Trial(predicted, np.zeros_like(predicted) + np.array([0.0, 0.25, 0.0, 0.0])[:, None])


def test_choice_is_the_lowest_error_over_all_inner_records_without_the_excess() -> None:
    labels = np.full(6, -9.0)
    found = choose(Offsets(), labels, list("aabbcc"), 3)  # type: ignore[arg-type]
    assert (found.index, found.name) == (1, "one")
    assert found.inner_rmse_kcal_mol == pytest.approx(np.sqrt(1 - 0.25))
    with pytest.raises(Diverged):
        choose(Offsets(), np.full(6, np.nan), list("aabbcc"), 3)  # type: ignore[arg-type]


def test_validation_takes_whole_clusters_and_its_share() -> None:
    clusters = [f"c{i % 13}" for i in range(60)] + ["big"] * 10
    chosen = choose_validation(clusters, 5, np.random.default_rng(1))
    assert not {c for c, v in zip(clusters, chosen, strict=True) if v} & {
        c for c, v in zip(clusters, chosen, strict=True) if not v
    }
    assert 10 <= chosen.sum() <= 18
    assert (choose_validation(clusters, 5, np.random.default_rng(1)) == chosen).all()
    assert any((choose_validation(clusters, 5, np.random.default_rng(s)) != chosen).any() for s in range(2, 6))


# --- the models ---------------------------------------------------------------------------------------


def test_ridge_solves_the_normal_equations(matrix) -> None:
    features, labels = matrix
    known, new = features[KNOWN, :5], features[NEW, :5]
    mean, deviation = known.mean(0), known.std(0)
    x, y = (known - mean) / deviation, labels[KNOWN]
    candidates = Ridge(features, [0.0, 3.0, 1e9])
    for i, penalty in enumerate(candidates.penalties):
        weight = np.linalg.solve(x.T @ x + penalty * np.eye(5), x.T @ (y - y.mean()))
        expected = y.mean() + (new - mean) / deviation @ weight
        assert candidates.predict(i, KNOWN, y, NEW) == pytest.approx(expected, abs=1e-9)
        assert candidates.trial(KNOWN, y, NEW).predicted[i] == pytest.approx(expected, abs=1e-9)


def test_ridge_with_more_columns_than_records(matrix) -> None:
    from sklearn.linear_model import Ridge as Oracle

    wide, labels = np.random.default_rng(5).normal(size=(40, 90)), matrix[1]
    x, new = standardised(wide[KNOWN], wide[NEW])
    expected = Oracle(alpha=2.0, solver="svd").fit(x, labels[KNOWN]).predict(new)
    assert Ridge(wide, [2.0]).predict(0, KNOWN, labels[KNOWN], NEW) == pytest.approx(expected, abs=1e-9)
    fitted = Ridge(wide, [0.0]).predict(0, KNOWN, labels[KNOWN], KNOWN)
    assert fitted == pytest.approx(labels[KNOWN], abs=1e-9)


def test_standardised_leaves_out_what_does_not_vary() -> None:
    known, new = standardised(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[4.0, 900.0]]))
    assert known.tolist() == [[-1], [1]]
    assert new.tolist() == [[2]]
    known, new = standardised(np.ones((2, 2)), np.zeros((1, 2)))
    assert (known.tolist(), new.tolist()) == ([[0], [0]], [[0]])


def test_rotation_keeps_the_training_rows_and_drops_the_rest() -> None:
    generator = np.random.default_rng(0)
    known, new = standardised(generator.normal(size=(8, 30)), generator.normal(size=(5, 30)))
    short, other = rotated(known, new)
    assert short.shape == (8, 7)
    assert short @ short.T * 30 / 7 == pytest.approx(known @ known.T)
    assert other @ short.T * 30 / 7 == pytest.approx(new @ known.T)
    assert np.mean(short**2) == pytest.approx(1)
    assert rotated(known[:, :8], new[:, :8])[0] is not None
    assert (rotated(known[:, :8], new[:, :8])[0] == known[:, :8]).all()


def test_few_trees_are_told_apart_from_many(matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    # over many small forests the squared error less the excess is that of a large forest
    monkeypatch.setattr("copra.model.regressors.TRIAL_TREES", 5)
    features, labels = matrix
    settings = changed(FOREST, trees=300, min_samples_leaf=[1])
    large = ForestCandidates(features, settings, 0).predict(0, KNOWN, labels[KNOWN], NEW)
    expected = np.mean((large - labels[NEW]) ** 2)
    small = [ForestCandidates(features, settings, s + 1).trial(KNOWN, labels[KNOWN], NEW) for s in range(60)]
    raw = np.mean([(one.predicted[0] - labels[NEW]) ** 2 for one in small])
    assert raw - np.mean([one.excess for one in small]) == pytest.approx(expected, rel=0.1)
    assert raw > 1.15 * expected


def test_forest_is_that_of_scikit_learn(matrix) -> None:
    from sklearn.ensemble import RandomForestRegressor

    features, labels = matrix
    for leaf, fraction in ((1, 1.0), (4, 0.4)):
        settings = changed(FOREST, trees=400, min_samples_leaf=[leaf], max_features=[fraction])
        ours = ForestCandidates(features, settings, 0).predict(0, KNOWN, labels[KNOWN], NEW)
        drawn = [
            RandomForestRegressor(400, min_samples_leaf=leaf, max_features=fraction, random_state=seed)
            .fit(features[KNOWN], labels[KNOWN]).predict(features[NEW])
            for seed in (1, 2)
        ]  # fmt: skip
        chance = np.abs(drawn[0] - drawn[1]).max()
        assert np.abs(ours - drawn[0]).max() < 2 * chance < 0.5 * np.ptp(ours)


def test_trials_are_the_models_themselves(matrix) -> None:
    features, labels = matrix
    one_setting = {"cost": [0.5, 3.0], "tube_kcal_mol": [0.2]}
    for candidates in (
        BoostedCandidates(features, BOOSTED, 4),
        SupportVectorCandidates(features, changed(SVR, **one_setting)),
        PerceptronCandidates(features, changed(MLP, penalty=[0.1, 10.0]), 4),
    ):
        trial = candidates.trial(KNOWN, labels[KNOWN], NEW)
        assert (trial.excess == 0).all()
        assert len(trial.predicted) == len(candidates.names) == 2
        for i, expected in enumerate(trial.predicted):
            assert candidates.predict(i, KNOWN, labels[KNOWN], NEW) == pytest.approx(expected, abs=1e-9)


def test_support_vectors_within_their_tube_and_cost(matrix) -> None:
    features, labels = matrix
    loose = SupportVectorCandidates(features, changed(SVR, cost=[1.0], tube_kcal_mol=[100.0]))
    assert np.ptp(loose.predict(0, KNOWN, labels[KNOWN], NEW)) == 0
    tight = SupportVectorCandidates(features, changed(SVR, cost=[1e4], tube_kcal_mol=[0.05]))
    assert np.abs(tight.predict(0, KNOWN, labels[KNOWN], KNOWN) - labels[KNOWN]).max() < 0.051


# --- neighbours ---------------------------------------------------------------------------------------


def test_identity_of_records_is_that_of_their_nearest_chains() -> None:
    pairs = {("a", "b"): 0.5, ("a", "c"): 0.25, ("b", "c"): 0.75}
    found = record_identity([["a"], ["b", "c"], ["c", "c"], ["a", "b"]], pairs)
    assert found.tolist() == [[1, 0.5, 0.25, 1], [0.5, 1, 1, 1], [0.25, 1, 1, 0.75], [1, 1, 0.75, 1]]
    with pytest.raises(InputError, match="no row of the proteins a and d"):
        record_identity([["d"], ["a"]], pairs)


def test_nearest_neighbours_by_hand() -> None:
    identity = np.zeros((6, 6))
    identity[4, :4] = [0.5, 0.2, 0.5, 0.3]  # of equally near ones the first
    model = Nearest(identity, [1, 2, 3, 9])
    labels = np.array([-8.0, -10.0, -12.0, -6.0])
    found = model.trial(np.arange(4), labels, np.array([4, 5])).predicted
    three = (0.5 * -8 + 0.5 * -12 + 0.3 * -6) / 1.3
    assert found[:, 0] == pytest.approx([-8, -10, three, (three * 1.3 + 0.2 * -10) / 1.5])
    assert found[:, 1] == pytest.approx([-9] * 4)  # no relative: the mean
    assert model.predict(1, np.arange(4), labels, np.array([4])) == pytest.approx([-10])


def test_nearest_protein_reads_identities(tmp_path: Path, tiny_world) -> None:
    records = read_table(tiny_world.records, "records")
    parts = read_fold(tiny_world.records, tiny_world.folds, 0, "cd_hit")
    of = dict(zip(records["record_id"], records["protein_sha256"], strict=True))
    tested, near = parts.test["record_id"].iloc[0], parts.training["record_id"].iloc[3]
    rows = [
        {"sequence_a": a, "sequence_b": b, "identity": 0.9 if {a, b} == {of[tested], of[near]} else 0.0}
        for a, b in combinations(sorted(set(of.values())), 2)
    ]
    whole = dict.fromkeys(("n_residues_a", "n_residues_b", "n_aligned", "n_identical"), 1)
    table = pd.DataFrame(rows).assign(molecule_type="protein", score=1.0, **whole)
    write_table(table, tmp_path / "i.parquet", "identities")
    found = run(tiny_world, tmp_path / "p.parquet", NEAREST, identities=[tmp_path / "i.parquet"])
    found = found.set_index("record_id")["predicted_dg_kcal_mol"]
    labels = parts.training.set_index("record_id")["dg_kcal_mol"]
    assert found[tested] == pytest.approx(labels[near])
    assert found.drop(tested).to_numpy() == pytest.approx(labels.mean())


# --- FoldX --------------------------------------------------------------------------------------------


def energies(path: Path, world, unscored: dict[str, str], everything: str = "") -> list[Path]:
    """Energies 2 x dG + 5 in two files; records of `unscored` have a failure's text instead."""
    records = read_table(world.records, "records")
    says = {name: everything or unscored.get(name, "") for name in records["record_id"]}
    table = records[["record_id"]].assign(
        status=["scored" if not says[name] else "skipped" if everything else "failed" for name in records["record_id"]],
        interaction_energy_kcal_mol=[
            None if says[name] else 2 * dg + 5
            for name, dg in zip(records["record_id"], records["dg_kcal_mol"], strict=True)
        ],
        repaired=True, program="", detail=[says[name] for name in records["record_id"]],
    )  # fmt: skip
    paths = [path / f"e{k}.parquet" for k in (0, 1)]
    for k in (0, 1):
        write_table(table.iloc[k::2], paths[k], "foldx")
    return paths


def test_foldx_as_it_stands_and_calibrated(tmp_path: Path, tiny_world) -> None:
    paths = energies(tmp_path, tiny_world, {})
    plain = run(tiny_world, tmp_path / "a.parquet", FOLDX, energies=paths)
    assert plain["predicted_dg_kcal_mol"].to_numpy() == pytest.approx(2 * plain["measured_dg_kcal_mol"] + 5)
    line = run(tiny_world, tmp_path / "b.parquet", changed(FOLDX, calibrate=True), energies=paths[::-1])
    assert line["predicted_dg_kcal_mol"].to_numpy() == pytest.approx(line["measured_dg_kcal_mol"].to_numpy())
    dealt = changed(FOLDX, calibrate=True, shuffle_labels=True)
    found = run(tiny_world, tmp_path / "c.parquet", dealt, energies=paths)
    assert found["predicted_dg_kcal_mol"].std() < line["predicted_dg_kcal_mol"].std()


def test_foldx_says_why_there_are_no_scores(tmp_path: Path, tiny_world) -> None:
    def failure(settings, **given) -> str:
        found = run(tiny_world, tmp_path / "p.parquet", settings, energies=energies(tmp_path, tiny_world, **given))
        assert found["predicted_dg_kcal_mol"].isna().all() == bool(found["failure"].iloc[0])
        assert found["failure"].nunique() == 1
        return str(found["failure"].iloc[0])

    tested = read_fold(tiny_world.records, tiny_world.folds, 0, "cd_hit").test["record_id"].iloc[0]
    trained = read_fold(tiny_world.records, tiny_world.folds, 0, "cd_hit").training["record_id"].iloc[0]
    assert failure(FOLDX, unscored={}, everything="no program") == "skipped: no program"
    assert failure(FOLDX, unscored={tested: "it broke"}) == "failed: 1 of 4 records not scored: it broke"
    assert failure(FOLDX, unscored={trained: "it broke"}) == ""
    calibrated = changed(FOLDX, calibrate=True)
    assert failure(calibrated, unscored={trained: "it broke"}) == "failed: 1 of 16 records not scored: it broke"
    with pytest.raises(InputError, match="4 of 4 records are in no file"):
        run(tiny_world, tmp_path / "p.parquet", FOLDX)
