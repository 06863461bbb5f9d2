from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.config_experiments import Linear
from copra.embed.store import rounded, write_embeddings
from copra.errors import InputError
from copra.tables import write_table
from copra.train.features import Sources, check_partner, read_features, shuffled_partners, weights_text

NOTHING = Sources([], [], [])


def linear(*features: str, **changed) -> Linear:
    settings = {"model": "linear", "protein_lm": None, "rna_lm": None, "shuffle_partner": False}
    more = {"penalty": [1.0], "inner_folds": 2, "shuffle_labels": False, "features": list(features)}
    return Linear(**{**settings, **more, **changed})


@pytest.fixture
def three() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "record_id": ["a", "b", "c"],
            "protein_sequences": ["AAR,AX", "X", "AR"],
            "rna_sequences": ["ACGU,AA", "N", "CC"],
            "protein_sha256": ["p1,p2", "p3", "p2,p2"],
            "rna_sha256": ["r1,r2", "r3", "r1"],
            "n_protein_residues": [5, 1, 2],
            "n_rna_nucleotides": [6, 1, 2],
            "n_protein_chains": [2, 1, 1],
            "n_rna_chains": [2, 1, 1],
        }
    )


def store(path: Path, values: dict[str, np.ndarray], name: str, molecule: str) -> Path:
    described = dict.fromkeys(("residue_numbering", "device", "precision", "code", "versions"), "")
    model = {"language_model": name, "molecule_type": molecule, "weights": f"sum:{name}", "layer": 1, "width": 2}
    lengths = {key: len(values[key]) for key in sorted(values)}
    rows = ((key, rounded(value.astype(np.float32), "float32", key)) for key, value in values.items())
    write_embeddings(path, lengths, {**described, **model, "heads": 1, "dtype": "float32"}, rows)
    return path


@pytest.fixture
def stores(tmp_path: Path) -> Sources:
    one, two = np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[10.0, -1.0]])
    first = store(tmp_path / "0.h5", {"p1": one, "p3": one + 1}, "esm", "protein")
    second = store(tmp_path / "1.h5", {"p2": two}, "esm", "protein")
    rna = store(tmp_path / "r.h5", {"r1": one, "r2": two, "r3": two}, "rin", "rna")
    return Sources([], [second, first], [rna])


def measured(path: Path, rows: list[tuple[str, str, str, float]]) -> Sources:
    table = pd.DataFrame(rows, columns=["record_id", "feature_set", "feature", "value"])
    write_table(table, path, "interface_features")
    return Sources([path], [], [])


def test_sequence_features_by_hand_in_the_order_of_their_names(three: pd.DataFrame) -> None:
    found = read_features(three, 2, linear("lengths", "composition", "chain_counts"), NOTHING)
    assert found.names == sorted(found.names)
    assert found.values.shape == (3, 28)
    of = dict(zip(found.names, found.values.T.tolist(), strict=True))
    assert of["lengths.n_protein_residues"] == [5, 1, 2]
    assert of["chain_counts.n_rna_chains"] == [2, 1, 1]
    assert of["composition.protein_A"] == [0.75, 0, 0.5]
    assert of["composition.rna_A"] == [0.5, 0, 0]
    same = read_features(three, 2, linear("chain_counts", "lengths", "composition"), NOTHING)
    assert same.names == found.names
    assert (same.values == found.values).all()


def test_halves_are_the_halves_of_the_whole(three: pd.DataFrame) -> None:
    whole = read_features(three, 2, linear("lengths", "composition"), NOTHING)
    protein = read_features(three, 2, linear("protein_length", "protein_composition"), NOTHING)
    rna = read_features(three, 2, linear("rna_length", "rna_composition"), NOTHING)
    assert rna.of_rna.all()
    assert not protein.of_rna.any()
    assert sorted(whole.values[:, whole.of_rna].sum(0)) == sorted(rna.values.sum(0))
    assert sorted(whole.values[:, ~whole.of_rna].sum(0)) == sorted(protein.values.sum(0))


def test_embeddings_are_means_over_all_residues_of_all_chains(three: pd.DataFrame, stores: Sources) -> None:
    settings = linear("protein_embedding", "rna_embedding", protein_lm="esm", rna_lm="rin")
    found = read_features(three, 2, settings, stores)
    assert found.names == [f"{kind}_embedding.0000{i}" for kind in ("protein", "rna") for i in (0, 1)]
    assert found.values[0] == pytest.approx([14 / 3, 1, 14 / 3, 1])  # not the mean of the chains' means, (6, 0.5)
    assert found.values[2] == pytest.approx([10, -1, 2, 2])
    assert found.of_rna.tolist() == [False, False, True, True]
    assert weights_text(settings, stores) == "esm sum:esm; rin sum:rin"
    turned = Sources([], stores.protein_embeddings[::-1], stores.rna_embeddings)
    assert (read_features(three, 2, settings, turned).values == found.values).all()


def test_embeddings_of_something_else_are_refused(three: pd.DataFrame, stores: Sources) -> None:
    both = ["protein_embedding", "rna_embedding"]
    with pytest.raises(InputError, match="embeddings of 'esm', expected protein embeddings of 'esm2'"):
        read_features(three, 2, linear(*both, protein_lm="esm2", rna_lm="rin"), stores)
    swapped = Sources([], stores.rna_embeddings, stores.protein_embeddings)
    with pytest.raises(InputError, match="rna embeddings of 'rin', expected protein"):
        read_features(three, 2, linear(*both, protein_lm="rin", rna_lm="esm"), swapped)
    with pytest.raises(InputError, match="protein embeddings of None, expected protein embeddings of 'esm'"):
        read_features(three, 2, linear("protein_embedding", protein_lm="esm"), NOTHING)
    with pytest.raises(InputError, match="expected protein embeddings of None"):
        read_features(three, 2, linear("lengths"), stores)
    lacking = three.assign(protein_sha256=["p1", "p9", "p2"])
    only_protein = Sources([], stores.protein_embeddings, [])
    with pytest.raises(InputError, match="record b: the embedding of sequence p9"):
        read_features(lacking, 2, linear("protein_embedding", protein_lm="esm"), only_protein)


def test_measured_features(three: pd.DataFrame, tmp_path: Path) -> None:
    size = [(r, "interface_size", "pairs", v) for r, v in (("a", 3.0), ("b", 5.0), ("c", 4.0), ("other", 9.0))]
    counts = [("a", "distance_signatures", "x", 2.0), ("b", "distance_signatures", "w", 1.0)]
    only_tested = [("c", "distance_signatures", "new", 7.0)]
    sources = measured(tmp_path / "f.parquet", size + counts + only_tested)
    found = read_features(three, 2, linear("distance_signatures", "interface_size"), sources)
    assert found.names == ["distance_signatures.w", "distance_signatures.x", "interface_size.pairs"]
    assert found.values.tolist() == [[0, 2, 3], [1, 0, 5], [0, 0, 4]]


def test_gaps_of_measured_features_are_named(three: pd.DataFrame, tmp_path: Path) -> None:
    rows = [(r, "interface_properties", f, 1.0) for r in "abc" for f in ("x", "y") if (r, f) != ("c", "y")]
    sources = measured(tmp_path / "f.parquet", rows)
    with pytest.raises(InputError, match=r"record c has no finite interface_properties\.y"):
        read_features(three, 2, linear("interface_properties"), sources)
    with pytest.raises(InputError, match="3 of 3 records have no row of the set 'interface_size' in 1 files, first a"):
        read_features(three, 2, linear("interface_size"), sources)
    twice = Sources([tmp_path / "f.parquet", tmp_path / "f.parquet"], [], [])
    with pytest.raises(InputError, match="twice"):
        read_features(three, 2, linear("interface_properties"), twice)


def test_partners_move_the_rna_only_and_within_a_part(three: pd.DataFrame) -> None:
    part = ["training"] * 7 + ["test"] * 4 + ["external"] * 2
    partner = shuffled_partners(part, np.random.default_rng([1, 0]))
    assert (partner != np.arange(13)).all()
    assert sorted(partner[:7]) == list(range(7))
    assert sorted(partner[7:11]) == [7, 8, 9, 10]
    assert partner[11:].tolist() == [12, 11]
    assert (partner == shuffled_partners(part, np.random.default_rng([1, 0]))).all()
    assert (partner[:11] == shuffled_partners(part[:11], np.random.default_rng([1, 0]))).all()
    assert (partner != shuffled_partners(part, np.random.default_rng([2, 0]))).any()
    before = read_features(three, 2, linear("lengths", "chain_counts", "composition"), NOTHING)
    after = before.with_partners(np.array([2, 0, 1]))
    moved = [name for i, name in enumerate(before.names) if (before.values[:, i] != after.values[:, i]).any()]
    of_rna = {"n_rna_nucleotides", "n_rna_chains", "rna_A", "rna_C", "rna_G", "rna_U"}
    assert {name.split(".")[1] for name in moved} == of_rna
    assert (after.values[:, after.of_rna] == before.values[[2, 0, 1]][:, before.of_rna]).all()


def test_partners_that_cannot_be_shuffled(caplog: pytest.LogCaptureFixture) -> None:
    assert shuffled_partners(["training", "training", "test"], np.random.default_rng(0)).tolist() == [1, 0, 2]
    assert "the only test record keeps its own partner" in caplog.text
    with pytest.raises(InputError, match="experiment 'one': shuffle_partner"):
        check_partner(linear("lengths", "interface_size", shuffle_partner=True), "one")
    with pytest.raises(InputError, match="have no RNA"):
        check_partner(linear("protein_length", shuffle_partner=True), "one")
    check_partner(linear("protein_length", "rna_length", shuffle_partner=True), "one")
