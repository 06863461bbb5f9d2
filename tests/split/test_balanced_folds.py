from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from split_rows import write_clusters, write_records

from copra.errors import InputError
from copra.split.folds import assign_folds, deal
from copra.tables import read_table


def assign(clusters: Path, records: Path, out: Path, *, folds: int = 5, seed: int = 0, balance: str = "mean") -> None:
    ids = out.with_suffix(".tsv")
    assign_folds(clusters, records=records, folds=folds, balance=balance, seed=seed, out=out, ids=ids)


def random_split(n: int, seed: int) -> tuple[dict[str, str], list[float]]:
    generator = np.random.default_rng(seed)
    member = generator.zipf(1.6, n) % 40  # a few large clusters, many small ones
    return {f"{i:04d}:A:B": f"c{m}" for i, m in enumerate(member)}, list(generator.normal(-9.5, 1.7, n))


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_balanced_and_split_no_cluster(tmp_path: Path, seed: int) -> None:
    cluster, dg = random_split(300, seed)
    largest = max(list(cluster.values()).count(c) for c in set(cluster.values()))
    records = write_records(tmp_path / "r", {r: ["ACD"] for r in cluster}, dg)
    assign(write_clusters(tmp_path / "c", cluster), records, tmp_path / "f", seed=seed)
    folds = read_table(tmp_path / "f", "folds")
    assert dict(zip(folds["record_id"], folds["cluster"], strict=True)) == cluster
    assert (folds.groupby("cluster")["fold"].nunique() == 1).all()
    assert sorted(folds["fold"].unique()) == [0, 1, 2, 3, 4]
    sizes = folds.groupby("fold").size()
    assert sizes.max() <= max(largest, 60) + 3
    small = sizes[sizes <= 60]
    assert small.max() - small.min() <= max(6, largest)


def test_singletons_give_equal_folds_with_like_labels(tmp_path: Path) -> None:
    dg = list(np.random.default_rng(0).normal(-9.5, 1.7, 300))
    cluster = {f"{i:04d}:A:B": f"c{i}" for i in range(300)}
    records = write_records(tmp_path / "r", {r: ["ACD"] for r in cluster}, dg)
    clusters = write_clusters(tmp_path / "c", cluster)
    assign(clusters, records, tmp_path / "f", seed=1)
    assign(clusters, records, tmp_path / "g", seed=2)
    folds = read_table(tmp_path / "f", "folds")
    folds["dg"] = dg
    assert (folds.groupby("fold").size() == 60).all()
    means = folds.groupby("fold")["dg"].mean()
    assert means.max() - means.min() < 0.2  # by chance alone: about 0.5
    assert (tmp_path / "f").read_bytes() != (tmp_path / "g").read_bytes()  # the seed breaks ties


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_of_the_labels_is_balanced_where_it_shall_be(tmp_path: Path, seed: int) -> None:
    cluster, dg = random_split(300, seed)
    records = write_records(tmp_path / "r", {r: ["ACD"] for r in cluster}, dg)
    clusters = write_clusters(tmp_path / "c", {record: record for record in cluster})
    ranges = {}
    for balance in ("mean", "mean_and_spread"):
        assign(clusters, records, tmp_path / balance, balance=balance)
        grouped = read_table(tmp_path / balance, "folds").assign(dg=dg).groupby("fold")["dg"]
        assert (grouped.size() == 60).all()
        assert grouped.mean().max() - grouped.mean().min() < 0.2
        ranges[balance] = grouped.std().max() - grouped.std().min()
    assert ranges["mean_and_spread"] < 0.15 < ranges["mean"]  # by chance alone: about 0.36


def test_the_order_of_the_records_changes_no_byte(tmp_path: Path) -> None:
    cluster, dg = random_split(100, 7)
    labels = dict(zip(cluster, dg, strict=True))
    for name, order in (("forward", list(cluster)), ("backward", list(reversed(cluster)))):
        records = write_records(tmp_path / f"r_{name}", {r: ["ACD"] for r in order}, [labels[r] for r in order])
        clusters = write_clusters(tmp_path / f"c_{name}", {r: cluster[r] for r in order})
        assign(clusters, records, tmp_path / name)
    assert (tmp_path / "forward").read_bytes() == (tmp_path / "backward").read_bytes()
    assert (tmp_path / "forward.tsv").read_bytes() == (tmp_path / "backward.tsv").read_bytes()


def test_the_ids_are_plain_sorted_text(tmp_path: Path) -> None:
    cluster = {"2abc:A:B": "x", "1abc:A:b": "y", "1abc:A:B": "x"}
    records = write_records(tmp_path / "r", {r: ["ACD"] for r in cluster})
    assign(write_clusters(tmp_path / "c", cluster), records, tmp_path / "f", folds=2)
    lines = (tmp_path / "f.tsv").read_text().splitlines()
    fold = dict(read_table(tmp_path / "f", "folds").set_index("record_id")["fold"])
    assert lines[0] == "record_id\tcluster\tfold\tnote"
    assert lines[1:] == [f"{r}\t{cluster[r]}\t{fold[r]}\t" for r in ("1abc:A:B", "1abc:A:b", "2abc:A:B")]


def test_as_many_clusters_as_folds_leaves_no_fold_empty() -> None:
    dealt = deal(np.ones(5, dtype=int), np.array([[3.0], [-3.0], [2.0], [-2.0], [0.0]]), 5, np.random.default_rng(0))
    assert sorted(dealt) == [0, 1, 2, 3, 4]


def test_fewer_clusters_than_folds(tmp_path: Path) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"], "2abc:A:B": ["ACD"]})
    clusters = write_clusters(tmp_path / "c", {"1abc:A:B": "x", "2abc:A:B": "x"})
    with pytest.raises(InputError, match="at least 5 clusters for 5 folds, found 1"):
        assign(clusters, records, tmp_path / "f")


def test_clusters_of_other_records(tmp_path: Path) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"]})
    clusters = write_clusters(tmp_path / "c", {"1abc:A:B": "x", "2abc:A:B": "x"})
    with pytest.raises(InputError, match="2abc:A:B"):
        assign(clusters, records, tmp_path / "f", folds=2)
