from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra import split
from copra.errors import CopraError, InputError
from copra.files import sha256_of_text
from copra.tables import TABLES, read_table, write_table

needs_cd_hit = pytest.mark.skipif(shutil.which("cd-hit") is None, reason="the program cd-hit is not installed")
LETTERS = list("ARNDCQEGHILKMFPSTWYV")


def mutated(sequence: str, fraction: float, generator: np.random.Generator) -> str:
    letters = list(sequence)
    for i in generator.choice(len(letters), int(fraction * len(letters)), replace=False):
        letters[i] = LETTERS[(LETTERS.index(letters[i]) + 1 + int(generator.integers(18))) % 20]
    return "".join(letters)


def write_records(path: Path, proteins: dict[str, list[str]], dg: list[float] | None = None) -> Path:
    rows = []
    neutral = {"string": "", "int": 0, "float": 0.0, "bool": False}
    for i, (record, sequences) in enumerate(proteins.items()):
        row = {c.split()[0]: neutral.get(c.split()[1]) for c in TABLES["records"].columns}
        row["record_id"] = record
        row["protein_sequences"] = ",".join(sequences)
        row["protein_sha256"] = ",".join(sha256_of_text(s) for s in sequences)
        row["dg_kcal_mol"] = dg[i] if dg else -9.0
        rows.append(row)
    write_table(pd.DataFrame(rows), path, "records")
    return path


def families(generator: np.random.Generator) -> dict[str, list[str]]:
    """Records in four families; `link` joins the families a and b; `short` is beyond CD-HIT."""
    base = {name: "".join(generator.choice(LETTERS, 90)) for name in "abcd"}
    proteins = {
        f"{i}{name}:A:B": [mutated(base[name], 0.1 * (i > 1), generator)] for name in "abcd" for i in range(1, 4)
    }
    proteins["9link:A,B:C"] = [base["a"], mutated(base["b"], 0.15, generator)]
    proteins["9sht:A:B"] = ["ACD"]
    proteins["8sht:A:B"] = ["ACD"]
    return proteins


def clusters_of(path: Path) -> dict[str, str]:
    return dict(read_table(path, "clusters").set_index("record_id")["cluster"])


@needs_cd_hit
def test_related_records_share_a_cluster_named_by_its_smallest_record(tmp_path: Path) -> None:
    proteins = families(np.random.default_rng(1))
    split.cluster_proteins(write_records(tmp_path / "r", proteins), identity=0.7, threads=1, clusters=tmp_path / "c")
    found = clusters_of(tmp_path / "c")
    assert set(found) == set(proteins)
    assert found["9link:A,B:C"] == found["1a:A:B"] == found["3b:A:B"] == "1a:A:B"  # linked through two chains
    assert found["1c:A:B"] == found["2c:A:B"] == "1c:A:B"
    assert found["9sht:A:B"] == found["8sht:A:B"] == "8sht:A:B"  # three residues: not dropped, exact identity
    assert len(set(found.values())) == 4


@needs_cd_hit
def test_clusters_do_not_depend_on_threads_or_names(tmp_path: Path) -> None:
    proteins = families(np.random.default_rng(2))
    for threads in (1, 4):
        records = write_records(tmp_path / "r", proteins)
        split.cluster_proteins(records, identity=0.5, threads=threads, clusters=tmp_path / str(threads))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "4").read_bytes()


@needs_cd_hit
def test_a_long_gap_does_not_part_relatives() -> None:
    generator = np.random.default_rng(3)
    whole = "".join(generator.choice(LETTERS, 300))
    gapped = whole[:100] + whole[150:]
    assert len(split.cluster_sequences({"whole": whole, "gapped": gapped}, 0.7, 1)) == 1


@needs_cd_hit
@pytest.mark.parametrize("identity", [0.4, 0.5, 0.6, 0.7, 0.9, 1.0])
def test_every_sequence_of_every_length_comes_back(identity: float) -> None:
    generator = np.random.default_rng(4)
    sequences = {str(n): "".join(generator.choice(LETTERS, n)) for n in range(1, 40)} | {"unknown": "X" * 30}
    groups = split.cluster_sequences(sequences, identity, 1)
    assert sorted(key for group in groups for key in group) == sorted(sequences)


def test_missing_cd_hit_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CopraError, match="apt-get install cd-hit"):
        split.cluster_sequences({"a": "ACDEFGHIKL"}, 0.7, 1)


def test_a_lost_sequence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "run_cd_hit", lambda sequences, *rest: [["a"]])
    with pytest.raises(CopraError, match="'b'"):
        split.cluster_sequences({"a": "ACDEFGHIKL", "b": "GGGGGGGG"}, 0.7, 1)


def test_a_record_without_protein_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1abc:A:B"):
        split.cluster_proteins(
            write_records(tmp_path / "r", {"1abc:A:B": [""]}), identity=0.7, threads=1, clusters=tmp_path / "c"
        )


def test_identity_below_cd_hits_range() -> None:
    with pytest.raises(InputError, match=r"0\.4 or more"):
        split.word_length(0.3)


def write_clusters(path: Path, cluster: dict[str, str]) -> Path:
    rows = [{"record_id": r, "cluster": c, "protein_clusters": c} for r, c in cluster.items()]
    write_table(pd.DataFrame(rows), path, "clusters")
    return path


def random_split(n: int, seed: int) -> tuple[dict[str, str], list[float]]:
    generator = np.random.default_rng(seed)
    member = generator.zipf(1.6, n) % 40  # a few large clusters, many small ones
    return {f"{i:04d}:A:B": f"c{m}" for i, m in enumerate(member)}, list(generator.normal(-9.5, 1.7, n))


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_balanced_and_split_no_cluster(tmp_path: Path, seed: int) -> None:
    cluster, dg = random_split(300, seed)
    largest = max(list(cluster.values()).count(c) for c in set(cluster.values()))
    records = write_records(tmp_path / "r", {r: ["ACD"] for r in cluster}, dg)
    clusters = write_clusters(tmp_path / "c", cluster)
    split.assign_folds(clusters, records=records, folds=5, seed=seed, out=tmp_path / "f")
    folds = read_table(tmp_path / "f", "folds")
    assert dict(zip(folds["record_id"], folds["cluster"], strict=True)) == cluster
    assert (folds.groupby("cluster")["fold"].nunique() == 1).all()
    assert sorted(folds["fold"].unique()) == [0, 1, 2, 3, 4]
    sizes = folds.groupby("fold").size()
    assert sizes.max() <= max(largest, 60) + 3
    small = sizes[sizes <= 60]
    assert small.max() - small.min() <= max(6, largest)


def test_singletons_give_equal_folds_with_like_labels(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    dg = list(generator.normal(-9.5, 1.7, 300))
    cluster = {f"{i:04d}:A:B": f"c{i}" for i in range(300)}
    records = write_records(tmp_path / "r", {r: ["ACD"] for r in cluster}, dg)
    clusters = write_clusters(tmp_path / "c", cluster)
    split.assign_folds(clusters, records=records, folds=5, seed=1, out=tmp_path / "f")
    split.assign_folds(clusters, records=records, folds=5, seed=2, out=tmp_path / "g")
    folds = read_table(tmp_path / "f", "folds")
    folds["dg"] = dg
    assert (folds.groupby("fold").size() == 60).all()
    means = folds.groupby("fold")["dg"].mean()
    assert means.max() - means.min() < 0.2  # by chance alone: about 0.5
    assert (tmp_path / "f").read_bytes() != (tmp_path / "g").read_bytes()  # the seed breaks ties


def test_as_many_clusters_as_folds_leaves_no_fold_empty() -> None:
    dealt = split.deal(np.ones(5, dtype=int), np.array([3.0, -3.0, 2.0, -2.0, 0.0]), 5, np.random.default_rng(0))
    assert sorted(dealt) == [0, 1, 2, 3, 4]


def test_fewer_clusters_than_folds(tmp_path: Path) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"], "2abc:A:B": ["ACD"]})
    clusters = write_clusters(tmp_path / "c", {"1abc:A:B": "x", "2abc:A:B": "x"})
    with pytest.raises(InputError, match="at least 5 clusters for 5 folds, found 1"):
        split.assign_folds(clusters, records=records, folds=5, seed=0, out=tmp_path / "f")


def test_clusters_of_other_records(tmp_path: Path) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"]})
    clusters = write_clusters(tmp_path / "c", {"1abc:A:B": "x", "2abc:A:B": "x"})
    with pytest.raises(InputError, match="2abc:A:B"):
        split.assign_folds(clusters, records=records, folds=2, seed=0, out=tmp_path / "f")


@needs_cd_hit
def test_published_relatives_that_cd_hits_own_band_parts(shared: Path) -> None:
    table = pd.read_csv(shared / "data/labels/pra310.csv", dtype=str)
    sequences: dict[str, list[str]] = {}
    for pdb_id, text in zip(table["PDB"], table["Protein sequences"], strict=True):
        sequences[pdb_id] = [part.split(":")[-1].replace("_", "X") for part in text.replace(";", ",").split(",")]
    by_key = {sha256_of_text(s): s for chains in sequences.values() for s in chains}
    cluster = split.name_clusters(split.cluster_sequences(by_key, 0.7, 1))
    linked = split.link_records({p: [cluster[sha256_of_text(s)] for s in chains] for p, chains in sequences.items()})
    assert len(linked) == 310
    for a, b in (("5F98", "5F9F"), ("5F98", "3LRN"), ("5YKI", "1M8W"), ("2YH1", "2G4B")):
        assert linked[a] == linked[b]
