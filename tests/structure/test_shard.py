"""The structure room's files: round trips, equal bytes, and a batch with bad entries in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.errors import InputError
from copra.files import sha256_of_file
from copra.structure.interface import cut_interface
from copra.structure.quarantine import REASONS
from copra.structure.residues import Structure
from copra.structure.shard import build_interfaces, gather_structures, read_structures
from copra.structure.store import StructureStore, read_interfaces, write_interfaces, write_structures
from copra.tables import TABLES, read_table, write_table

Reader = Callable[[str], Structure]


def same(left: object, right: object) -> None:
    for name, value in vars(left).items():
        other = getattr(right, name)
        if isinstance(value, dict) and name == "arrays":
            assert value.keys() == other.keys()
            for key in value:
                assert value[key].dtype == other[key].dtype
                np.testing.assert_array_equal(value[key], other[key])
        elif isinstance(value, np.ndarray):
            assert value.dtype == other.dtype
            np.testing.assert_array_equal(value, other)
        else:
            assert value == other, name


def test_structures_come_back_as_they_were(real: Reader, tmp_path: Path) -> None:
    structures = [real("1ec6"), real("1a4t"), real("6ozp")]
    write_structures(structures, tmp_path / "a.h5")
    write_structures(structures[::-1], tmp_path / "b.h5")
    assert sha256_of_file(tmp_path / "a.h5") == sha256_of_file(tmp_path / "b.h5")
    with StructureStore(tmp_path / "a.h5") as store:
        assert store.pdb_ids == ["1a4t", "1ec6", "6ozp"]
        for structure in structures:
            same(structure, store.read(structure.pdb_id))
        with pytest.raises(InputError, match="no entry '9zzz'"):
            store.read("9zzz")


def test_interfaces_come_back_as_they_were(real: Reader, tmp_path: Path) -> None:
    one = cut_interface(real("1ec6"), "1ec6:A:D", ["A"], ["D"], 40)
    two = cut_interface(real("1a4t"), "1a4t:B:A", ["B"], ["A"], 20)
    one, two = replace(one, buried_area_angstrom2=1855.1), replace(two, buried_area_angstrom2=0.0)
    write_interfaces([one], tmp_path / "one.h5")
    write_interfaces([two], tmp_path / "two.h5")
    write_interfaces([], tmp_path / "none.h5")
    paths = [tmp_path / f"{name}.h5" for name in ("none", "two", "one")]
    found = read_interfaces(paths, ["1ec6:A:D", "1a4t:B:A"])
    assert list(found) == ["1ec6:A:D", "1a4t:B:A"]
    same(one, found["1ec6:A:D"])
    same(two, found["1a4t:B:A"])
    with pytest.raises(InputError, match="1urn:A:P"):
        read_interfaces(paths, ["1urn:A:P"])
    (tmp_path / "bad.h5").write_bytes(b"no hdf5")
    with pytest.raises(InputError, match=r"bad\.h5"):
        read_interfaces([tmp_path / "bad.h5"], ["1urn:A:P"])


def fetched_row(pdb_id: str, path: Path | None) -> dict[str, str | int]:
    status = "missing" if path is None else "fetched"
    detail = "HTTP status 404" if path is None else ""
    return {
        "pdb_id": pdb_id, "status": status, "path": str(path or ""), "url": "", "sha256": "", "bytes": 0,
        "detail": detail,
    }  # fmt: skip


@pytest.fixture
def batch(shared: Path, tmp_path: Path) -> Path:
    """A `fetched` table of two good entries and one bad entry of each kind."""
    folder = shared / "data" / "structures"
    (tmp_path / "cut.cif.gz").write_bytes((folder / "1ec6.cif.gz").read_bytes()[:3000])
    protein = "ATOM      1  CA  GLY A   1      11.000  12.000  13.000  1.00 10.00           C\n"
    rna = (
        "ATOM      1  C1'   U B   1      11.000  12.000  13.000  1.00 10.00           C\n"
        "ATOM      2  O2'   U B   1      12.000  12.000  13.000  1.00 10.00           O\n"
    )
    (tmp_path / "prot.pdb").write_text(protein)
    (tmp_path / "rna.pdb").write_text(rna)
    rows = [
        fetched_row("1ec6", folder / "1ec6.cif.gz"),
        fetched_row("1aq4", folder / "1aq4.pdb.gz"),
        fetched_row("9aaa", tmp_path / "cut.cif.gz"),
        fetched_row("9aab", tmp_path / "prot.pdb"),
        fetched_row("9aac", tmp_path / "rna.pdb"),
        fetched_row("9aad", None),
    ]
    write_table(pd.DataFrame(rows), tmp_path / "fetched.parquet", "fetched")
    return tmp_path


def read_shard(folder: Path, out: Path) -> None:
    names = ("entries", "chains", "contacts")
    tables = {name: out / f"{name}.parquet" for name in names}
    read_structures(folder / "fetched.parquet", contact_cutoff_angstrom=5.0, store=out / "store.h5", **tables)


def test_bad_entries_are_quarantined_and_the_batch_goes_on(batch: Path) -> None:
    read_shard(batch, batch / "one")
    entries = read_table(batch / "one" / "entries.parquet", "entries").set_index("pdb_id")
    assert entries["status"].to_dict() == {
        "1aq4": "read", "1ec6": "read", "9aaa": "quarantined", "9aab": "quarantined", "9aac": "quarantined",
        "9aad": "quarantined",
    }  # fmt: skip
    assert entries["reason"].tolist() == ["", "", "damaged_gzip", "no_rna", "no_protein", "not_fetched"]
    assert set(entries["reason"]) - {""} <= set(REASONS)
    assert entries.loc["1aq4", "handled"] == "missing_backbone_atoms=2;missing_residues=8;waters=214;zero_occupancy=25"
    assert entries.loc["1aq4", "release_date"] == "1997-12-24"
    assert entries.loc["9aad", "detail"] == "HTTP status 404"
    chains = read_table(batch / "one" / "chains.parquet", "chains")
    assert set(chains["pdb_id"]) == {"1aq4", "1ec6"}
    (row,) = chains[(chains["pdb_id"] == "1aq4") & (chains["chain"] == "R")].to_dict("records")
    assert (row["n_residues"], row["n_observed"], row["molecule_type"]) == (19, 16, "rna")
    contacts = read_table(batch / "one" / "contacts.parquet", "contacts")
    assert set(contacts["pdb_id"]) == {"1aq4", "1ec6"}
    assert (contacts["min_distance_angstrom"] < 5).all()


def test_a_shard_gives_the_same_bytes_twice_and_gathers(batch: Path) -> None:
    read_shard(batch, batch / "one")
    read_shard(batch, batch / "two")
    for name in ("store.h5", "entries.parquet", "chains.parquet", "contacts.parquet"):
        assert sha256_of_file(batch / "one" / name) == sha256_of_file(batch / "two" / name)
    paths = {name: batch / "all" / f"{name}.parquet" for name in ("entries", "chains", "contacts")}
    gather_structures([batch / "one"], **paths)
    assert len(read_table(paths["entries"], "entries")) == 6


def record(record_id: str) -> dict[str, object]:
    pdb_id, proteins, rnas = record_id.split(":")
    filled: dict[str, object] = {"string": "", "int": 0, "float": 0.0, "bool": False}
    columns = [column.split() for column in TABLES["records"].columns]
    row = {name: filled[kind.rstrip("?")] for name, kind in columns}
    return row | {"record_id": record_id, "pdb_id": pdb_id, "protein_chains": proteins, "rna_chains": rnas}


def test_interfaces_are_cut_for_the_entries_of_the_store(batch: Path) -> None:
    read_shard(batch, batch / "one")
    rows = [record("1ec6:A:D"), record("1aq4:A,B:R"), record("1urn:A:P")]
    write_table(pd.DataFrame(rows), batch / "records.parquet", "records")
    store, out = batch / "one" / "store.h5", batch / "out.h5"
    build_interfaces(batch / "records.parquet", store=store, interface_nodes=64, out=out)
    found = read_interfaces([out], ["1aq4:A,B:R", "1ec6:A:D"])
    assert [len(i.molecule) for i in found.values()] == [64, 64]
    assert found["1aq4:A,B:R"].chain_ids == ("A", "B", "R")
    with pytest.raises(InputError, match="1urn"):
        read_interfaces([out], ["1urn:A:P"])
