"""Which complex a mutation is of, what it is related to, and that no mutation is lost."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from mutation_world import PDB_IDS, SETS, MutationWorld, mutation_world, select

from copra.mutation.records import repetitions
from copra.mutation.relations import deal_clusters
from copra.structure.store import interface_ids
from copra.tables import read_table, write_table


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> MutationWorld:
    return mutation_world(tmp_path_factory.mktemp("mutations"))


@pytest.fixture(scope="module")
def table(world: MutationWorld) -> pd.DataFrame:
    return read_table(world.records, "mutation_records").set_index("mutation_id")


def test_every_mutation_ends_in_the_records_or_with_a_reason(world: MutationWorld, tmp_path: Path) -> None:
    stated = [
        name for part in SETS for name in read_table(world.folder / f"{part}.parquet", "mutations")["mutation_id"]
    ]
    kept = set(read_table(world.records, "mutation_records")["mutation_id"])
    refused = read_table(world.folder / "rejects.parquet", "rejects")
    assert kept < set(stated)
    assert len(kept) + len(refused) == len(stated)
    assert set(refused["source"] + refused["reason"]) == {"extrain_another_set"}  # entries with one protein
    far = {"contact_cutoff_angstrom": 0.001}
    files = {"out": tmp_path / "r.parquet", "rejects": tmp_path / "x.parquet", "interfaces": tmp_path / "i.h5"}
    select(world, **far, **files)
    assert read_table(files["out"], "mutation_records").empty
    rejects = read_table(files["rejects"], "rejects")
    assert len(rejects) == len(stated)
    assert set(rejects["reason"]) == {"no_complex", "in_another_set"}
    far_apart = rejects[rejects["reason"] == "no_complex"]
    assert len(far_apart) == len(kept)
    assert far_apart["detail"].str.contains("expected chains that touch").all()


def test_a_homodimer_on_one_rna_is_one_complex_mutated_in_both_chains(table: pd.DataFrame) -> None:
    row = table.loc["cv:2aaa0"]
    assert (row["complex_id"], row["mutated_chains"]) == ("2aaa:A,B:R", "A,B")


def test_a_copy_stands_for_a_chain_without_partners(table: pd.DataFrame) -> None:
    row = table.loc["cv:3aaa0"]
    assert (row["chain"], row["complex_id"], row["mutated_chains"]) == ("A", "3aaa:B:R", "B")


def test_related_proteins_share_a_cluster_and_records(table: pd.DataFrame) -> None:
    assert table.loc["cv:1aaa0", "cluster"] == table.loc["cv:4aaa0", "cluster"] == "1aaa:A:R"
    assert table.loc["cv:1aaa0", "related_records"] == "1aaa:A:R;4aaa:A:R"
    assert table.loc["cv:7aaa0", "related_records"] == table.loc["cv:7aaa0", "wild_type_records"] == ""
    assert table.loc["cv:3aaa0", "wild_type_records"] == "3aaa:A:R"


def test_a_cluster_stands_in_the_fold_of_its_records(table: pd.DataFrame) -> None:
    of_cv = table[table["part"] == "cv"]
    assert of_cv.groupby("cluster")["fold"].nunique().eq(1).all()
    assert [of_cv.loc[f"cv:{PDB_IDS[i]}0", "fold"] for i in (0, 1, 2, 3)] == [0, 1, 2, 0]
    assert table.loc[table["part"] != "cv", "fold"].isna().all()


def test_clusters_without_a_home_go_where_least_is() -> None:
    rows = pd.DataFrame({"cluster": ["a"] * 5 + ["b"] * 2 + ["c"], "related_records": ["r"] * 5 + ["r;s"] * 2 + [""]})
    assert deal_clusters(rows, {"r": 1, "s": 0}, 2) == {"a": 1, "b": 0, "c": 0}
    assert deal_clusters(rows, {"r": 4}, 2) == {"a": 0, "b": 1, "c": 1}  # no such fold of mutations


def test_in_interface_tells_of_the_changed_residue(world: MutationWorld, tmp_path: Path) -> None:
    files = {"out": tmp_path / "r.parquet", "rejects": tmp_path / "x.parquet", "interfaces": tmp_path / "i.h5"}
    select(world, interface_nodes=2, **files)
    narrow = read_table(files["out"], "mutation_records")
    assert 0 < narrow["in_interface"].sum() < len(narrow)
    assert set(interface_ids([files["interfaces"]])) == set(narrow["complex_id"])


def test_the_same_bytes_whatever_the_order_of_files(world: MutationWorld, tmp_path: Path) -> None:
    files = {"out": tmp_path / "r.parquet", "rejects": tmp_path / "x.parquet", "interfaces": tmp_path / "i.h5"}
    select(world, mutations=[world.folder / f"{part}.parquet" for part in reversed(SETS)], **files)
    assert files["out"].read_bytes() == world.records.read_bytes()
    assert files["interfaces"].read_bytes() == world.interfaces.read_bytes()


def test_an_extra_mutation_that_another_set_holds_is_refused_with_its_name() -> None:
    rows = [
        ("extra:1", "c", "w", "m"), ("blind:1", "b", "w", "m"), ("cv:1", "a", "w", "n"), ("extra:2", "c", "w", "n"),
        ("extra:3", "c", "w", "o"), ("extra:4", "c", "v", "m"), ("extra:5", "c", "w", "o"),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["mutation_id", "source", "wildtype_sha256", "mutant_sha256"])
    found = repetitions(table, {"a": "cv", "b": "blind", "c": "extra"})
    assert found == {"extra:1": "blind:1", "extra:2": "cv:1"}


def test_a_repeated_mutation_ends_in_the_rejects(world: MutationWorld, tmp_path: Path) -> None:
    files = {}
    for name, table in (("cv", "mutations"), ("mutants", "mutants")):
        rows = read_table(world.folder / f"{name}.parquet", table)
        rows = rows[rows["source"] == "cv"]
        twins = rows.assign(source="extra", mutation_id="twin of " + rows["mutation_id"])
        files[name] = tmp_path / f"{name}.parquet"
        write_table(pd.concat([rows, twins]), files[name], table)
    out = {"out": tmp_path / "r", "rejects": tmp_path / "x", "interfaces": tmp_path / "i.h5"}
    select(world, mutants=files["mutants"], mutations=[files["cv"]], **out)
    kept, rejects = read_table(out["out"], "mutation_records"), read_table(out["rejects"], "rejects")
    assert set(kept["part"]) == {"cv"}
    assert len(kept) == len(rejects) > 0
    assert set(rejects["reason"]) == {"in_another_set"}
    assert set(rejects["detail"]) <= {f"found as {name} too" for name in kept["mutation_id"]}
