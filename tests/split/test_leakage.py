from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from split_rows import mutated, put, random_protein, write_records

from copra.config_file import load_config
from copra.config_split import Split
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.split.align import align_sequences
from copra.split.leakage import report_leakage
from copra.split.purge import purge_pri30k
from copra.tables import read_table

pytestmark = pytest.mark.skipif(shutil.which("cd-hit-2d") is None, reason="the programs of CD-HIT are not installed")


class World:
    """Six records in two folds, and pre-training pairs, with one of each kind of leak."""

    def __init__(self, folder: Path, split: Split) -> None:
        self.folder, self.split = folder, split
        generator = np.random.default_rng(8)
        protein = {name: random_protein(100, generator) for name in "abcdef"}
        self.trna = "".join(generator.choice(list("ACGU"), 70))
        proteins = {f"{i}abc:A:B": [protein[name]] for i, name in enumerate("abc", start=1)}
        proteins |= {"4abc:A:B": [random_protein(100, generator), mutated(protein["a"], 0.25, generator)]}  # 75 %
        proteins |= {"5abc:A:B": [protein["b"]], "1abc:C:D": [protein["d"]]}  # the same protein; the same entry
        rna = {record: ["".join(generator.choice(list("ACGU"), 30))] for record in proteins}
        rna["3abc:A:B"], rna["4abc:A:B"], rna["5abc:A:B"] = [self.trna], [self.trna[:60]], ["GG"]
        self.proteins = proteins
        self.records = write_records(folder / "records", proteins, list(range(-12, -6)), rna=rna)
        align_sequences(self.records, settings=split.alignment, threads=1, out=folder / "identities")
        fold = dict.fromkeys(proteins, 1) | {"1abc:A:B": 0, "2abc:A:B": 0, "3abc:A:B": 0}
        self.folds = self.put_folds("protein70", fold)
        self.pairs = {  # pair -> its protein and its RNA
            "1abc:X:Y": (random_protein(90, generator), "C" * 40),  # entry of a tested record
            "6abc:A:B": (protein["b"], "C" * 41),  # protein of a tested record
            "6abc:a:b": (random_protein(80, generator) + mutated(protein["c"], 0.2, generator), "C" * 42),  # relative
            "7abc:A:B": (random_protein(90, generator), self.trna),  # RNA of a tested record
            "8abc:A:B": (random_protein(90, generator), self.trna[4:64]),  # relative of it
            "9abc:A:B": ("ACD", "C" * 43),
        }
        self.write_pairs(self.pairs)

    def put_folds(self, family: str, fold: dict[str, int]) -> Path:
        rows = [{"record_id": r, "cluster": r, "fold": k} for r, k in fold.items()]
        return put(self.folder / f"{family}.parquet", "folds", rows)

    def write_pairs(self, pairs: dict[str, tuple[str, str]]) -> None:
        rows, chains = [], []
        for name, (protein, rna) in pairs.items():
            entry, a, b = name.split(":")
            keys = {"protein_sha256": sha256_of_text(protein), "rna_sha256": sha256_of_text(rna)}
            rows.append({"pair_id": name, "pdb_id": entry, "protein_chain": a, "rna_chain": b, **keys})
            for chain, kind, text in ((a, "protein", protein), (b, "rna", rna)):
                facts = {"molecule_type": kind, "sequence": text, "sequence_sha256": sha256_of_text(text)}
                chains.append({"pdb_id": entry, "chain": chain, **facts})
        put(self.folder / "pri30k", "pri30k", rows)
        put(self.folder / "chains", "chains", chains)

    def report(self, *folds: Path) -> pd.DataFrame:
        report_leakage(
            list(folds), records=self.records, identities=self.folder / "identities", pri30k=self.folder / "pri30k",
            chains=self.folder / "chains", settings=self.split, threads=1, out=self.folder / "leakage",
            page=self.folder / "leakage.md",
        )  # fmt: skip
        return read_table(self.folder / "leakage", "leakage")

    def purge(self, *, rna_identity: float | None, threads: int = 1, fold: int = 0) -> tuple[list[str], dict[str, str]]:
        """The kept pairs, and the reason of each removed one."""
        purge_pri30k(
            self.folder / "pri30k", chains=self.folder / "chains", records=self.records, folds=self.folds, fold=fold,
            settings=self.split.purge.model_copy(update={"rna_identity": rna_identity}),
            scoring=self.split.alignment.rna, threads=threads, kept=self.folder / "kept",
            decisions=self.folder / "decisions", funnel=self.folder / "funnel",
        )  # fmt: skip
        decisions = read_table(self.folder / "decisions", "decisions")
        return (self.folder / "kept").read_text().splitlines(), dict(decisions.set_index("subject")["rule"])


@pytest.fixture
def world(root: Path, tmp_path: Path) -> World:
    return World(tmp_path, load_config(root / "config.yaml").split)


def test_each_kind_of_leak_is_counted_and_the_worst_pair_named(world: World) -> None:
    row: dict[str, Any] = world.report(world.folds).set_index("fold").loc[0].to_dict()
    assert (row["n_train"], row["n_test"]) == (3, 3)
    assert (row["dg_mean_kcal_mol"], row["dg_sd_kcal_mol"]) == (-11, pytest.approx(np.sqrt(2 / 3)))
    assert row["protein_identity_max"] == 1
    assert (row["protein_test_record"], row["protein_train_record"]) == ("2abc:A:B", "5abc:A:B")
    assert [row[f"n_test_protein_{p}"] for p in (70, 90)] == [2, 1]  # 1abc through the second chain of 4abc
    assert row["n_test_same_protein"] == 1
    assert (row["rna_identity_max"], row["rna_test_record"]) == (1, "3abc:A:B")  # a piece of it is trained on
    assert (row["n_test_rna_90"], row["n_test_same_rna"]) == (1, 0)
    assert row["n_test_same_entry"] == 1
    shared = [row[f"n_pri30k_{kind}"] for kind in ("same_entry", "same_protein", "related_protein", "same_rna")]
    assert shared == [1, 1, 2, 1]


def test_by_date_only_earlier_folds_are_trained_on(world: World) -> None:
    fold = dict.fromkeys(world.proteins, 2) | {"1abc:A:B": 0, "2abc:A:B": 1}
    found = world.report(world.folds, world.put_folds("temporal", fold)).set_index(["family", "fold"])
    assert [key for key in found.index if key[0] == "temporal"] == [("temporal", 1), ("temporal", 2)]
    assert found.loc[("temporal", 1), "n_train"] == 1
    assert found.loc[("temporal", 1), "protein_identity_max"] < 0.3  # 5abc has the same protein, but later
    assert found.loc[("temporal", 2), "n_train"] == 2


def test_records_without_a_fold_are_in_no_part_and_are_told(world: World) -> None:
    fold = {record: int(record.startswith(("4", "5"))) for record in world.proteins if record != "1abc:C:D"}
    row = world.report(world.put_folds("published", fold)).iloc[0]
    assert (row["n_train"], row["n_test"], row["n_test_same_entry"]) == (2, 3, 0)
    page = (world.folder / "leakage.md").read_text()
    assert "1 records have no fold in this family." in page.partition("## published")[2]
    assert "Left out: its file is not here." in page.partition("## protein30")[2]


def test_folds_of_other_records_are_refused(world: World) -> None:
    with pytest.raises(InputError, match="9xyz:A:B"):
        world.report(world.put_folds("protein70", {"9xyz:A:B": 0, "1abc:A:B": 1}))


# --- purge --------------------------------------------------------------------------------------------


def test_purging_removes_entry_protein_and_relatives_and_says_why(world: World) -> None:
    kept, why = world.purge(rna_identity=None)
    assert why == {"1abc:X:Y": "same_entry", "6abc:A:B": "same_protein", "6abc:a:b": "related_protein"}
    assert kept == ["7abc:A:B", "8abc:A:B", "9abc:A:B"]


def test_purging_by_rna_too(world: World) -> None:
    kept, why = world.purge(rna_identity=0.8)
    assert (why["7abc:A:B"], why["8abc:A:B"]) == ("same_rna", "related_rna")
    assert kept == ["9abc:A:B"]
    funnel = read_table(world.folder / "funnel", "funnel")
    assert list(funnel["rows_in"] - funnel["rows_out"]) == [1, 1, 1, 1, 1]
    assert list(funnel["rows_in"])[1:] == list(funnel["rows_out"])[:-1]
    assert sorted([*kept, *why]) == sorted(world.pairs)


def test_purging_gives_the_same_bytes_for_any_threads_and_order(world: World) -> None:
    names = ("kept", "decisions", "funnel")
    world.purge(rna_identity=0.8)
    first = [(world.folder / name).read_bytes() for name in names]
    world.write_pairs(dict(reversed(world.pairs.items())))
    world.purge(rna_identity=0.8, threads=2)
    assert [(world.folder / name).read_bytes() for name in names] == first


def test_a_fold_without_records_is_an_error(world: World) -> None:
    with pytest.raises(InputError, match=r"fold 7 has no record; there are the folds \[0, 1\]"):
        world.purge(rna_identity=None, fold=7)


def test_a_pair_without_its_chain_is_an_error(world: World) -> None:
    chains = read_table(world.folder / "chains", "chains")
    put(world.folder / "chains", "chains", chains[chains["pdb_id"] != "9abc"].to_dict("records"))
    with pytest.raises(InputError, match="expected the protein chains of all pairs"):
        world.purge(rna_identity=None)
