"""The verb that measures interfaces: rows, records that cannot be measured, equal bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hand_made_complex import hand_made, two_atoms
from split_rows import put

from copra.config_experiments import MEASURED
from copra.structure.interface import residue_contacts
from copra.structure.measure import measure_interfaces
from copra.structure.residues import Structure
from copra.structure.store import write_structures
from copra.structure.surface import buried_area_angstrom2
from copra.tables import read_table

Reader = Callable[[str], Structure]


def write_records(path: Path, *record_ids: str) -> Path:
    rows = []
    for record_id in record_ids:
        pdb_id, protein, rna = record_id.split(":")
        rows.append({"record_id": record_id, "pdb_id": pdb_id, "protein_chains": protein, "rna_chains": rna})
    return put(path, "records", rows)


def measured(store: Path, records: Path, out: Path) -> pd.DataFrame:
    measure_interfaces(records, store=store, contact_cutoff_angstrom=5.0, out=out)
    return read_table(out, "interface_features")


def test_records_of_the_store_are_measured(real: Reader, tmp_path: Path) -> None:
    structures = [real("1ec6"), real("1aq4")]
    write_structures(structures, tmp_path / "store.h5")
    records = write_records(tmp_path / "records.parquet", "1ec6:A:D", "1aq4:A,B:R", "1urn:A:P")
    table = measured(tmp_path / "store.h5", records, tmp_path / "out.parquet")
    keys = table[["record_id", "feature_set", "feature"]]
    assert keys.equals(keys.sort_values(list(keys), ignore_index=True))
    assert set(table["record_id"]) == {"1ec6:A:D", "1aq4:A,B:R"}
    assert set(table["feature_set"]) == set(MEASURED)
    each = table.groupby("record_id")["feature"].agg(["size"])["size"]
    assert each.nunique() == 1
    size = table[(table["record_id"] == "1ec6:A:D") & (table["feature_set"] == "interface_size")]
    found = dict(zip(size["feature"], size["value"], strict=True))
    assert found["buried_area_angstrom2"] == buried_area_angstrom2(structures[0], "x", ["A"], ["D"])
    entry = structures[0]
    protein, rna, distance = residue_contacts(entry, 5.0)
    names = (
        [entry.chain_ids[i] for i in entry.arrays["chain"][protein]],
        [entry.chain_ids[i] for i in entry.arrays["chain"][rna]],
    )
    mine = [i for i, pair in enumerate(zip(*names, strict=True)) if pair == ("A", "D")]
    assert found["n_residue_contacts"] == len(mine)
    assert found["nearest_distance_angstrom"] == pytest.approx(distance[mine].min(), abs=1e-4)
    again = tmp_path / "again.parquet"
    measured(tmp_path / "store.h5", records, again)
    assert again.read_bytes() == (tmp_path / "out.parquet").read_bytes()


def test_a_record_that_cannot_be_measured_has_no_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = two_atoms(("LYS", "NZ"), ("A", "OP1"), 3.0, "9good")
    far = two_atoms(("LYS", "NZ"), ("A", "OP1"), 7.0, "9far")
    lacks = hand_made({"A": [("LYS", {"NZ": (0.0, 0.0, 0.0)})]}, {"A": "protein"}, "9lone")
    write_structures([good, far, lacks], tmp_path / "store.h5")
    records = write_records(tmp_path / "records.parquet", "9good:A:R", "9far:A:R", "9lone:A:R")
    with caplog.at_level(logging.INFO):
        table = measured(tmp_path / "store.h5", records, tmp_path / "out.parquet")
    assert set(table["record_id"]) == {"9good:A:R"}
    assert "9far:A:R: not measured: complex 9far:A:R: expected heavy atoms" in caplog.text
    assert "1 of 3 records" in caplog.text
    assert "not measured: 9far:A:R, 9lone:A:R" in caplog.text


def test_a_store_without_records_gives_an_empty_table(tmp_path: Path) -> None:
    write_structures([two_atoms(("LYS", "NZ"), ("A", "OP1"), 3.0)], tmp_path / "store.h5")
    records = write_records(tmp_path / "records.parquet", "1urn:A:P")
    assert len(measured(tmp_path / "store.h5", records, tmp_path / "out.parquet")) == 0
