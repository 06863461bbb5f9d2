from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.errors import InputError
from copra.files import sha256_of_text
from copra.structure.interface import Interface, cut_interface
from copra.structure.pairs import build_pair_interfaces
from copra.structure.residues import Structure
from copra.structure.store import StructureStore, interface_ids, read_interfaces, write_interfaces, write_structures
from copra.tables import TABLES, read_table, write_table

Reader = Callable[[str], Structure]


def pair(structure: Structure, protein: str, rna: str) -> dict[str, object]:
    """A row of the table `pri30k`."""
    neutral = {"string": "", "int": 0, "float": 0.0, "bool": False}
    row: dict[str, object] = {c.split()[0]: neutral[c.split()[1].rstrip("?")] for c in TABLES["pri30k"].columns}
    for side, chain in (("protein", protein), ("rna", rna)):
        here = structure.chain_ids.index(chain) if chain in structure.chain_ids else 0
        row |= {f"{side}_chain": chain, f"{side}_sha256": sha256_of_text(structure.sequences[here])}
    return row | {"pair_id": f"{structure.pdb_id}:{protein}:{rna}", "pdb_id": structure.pdb_id}


def build(folder: Path, rows: list[dict[str, object]], structures: list[Structure]) -> pd.DataFrame:
    write_table(pd.DataFrame(rows), folder / "pri30k.parquet", "pri30k")
    write_structures(structures, folder / "store.h5")
    build_pair_interfaces(
        folder / "pri30k.parquet", store=folder / "store.h5", interface_nodes=64, out=folder / "out.h5",
        decisions=folder / "decisions.parquet",
    )  # fmt: skip
    return read_table(folder / "decisions.parquet", "decisions")


def test_each_entry_is_read_once_and_its_pairs_are_cut(real: Reader, tmp_path: Path, monkeypatch) -> None:
    one, two = real("1aq4"), real("1ec6")
    rows = [pair(one, "A", "R"), pair(one, "B", "R"), pair(two, "A", "D")]
    read: list[str] = []
    original = StructureStore.read

    def counted(store: StructureStore, pdb_id: str) -> Structure:
        read.append(pdb_id)
        return original(store, pdb_id)

    monkeypatch.setattr(StructureStore, "read", counted)
    dropped = build(tmp_path, [*rows, pair(real("1urn"), "A", "P")], [one, two])  # 1urn is in another shard
    assert read == ["1aq4", "1ec6"]
    assert len(dropped) == 0
    assert interface_ids([tmp_path / "out.h5"]) == ["1aq4:A:R", "1aq4:B:R", "1ec6:A:D"]
    found = read_interfaces([tmp_path / "out.h5"], ["1aq4:B:R"])["1aq4:B:R"]
    expected = cut_interface(one, "1aq4:B:R", ["B"], ["R"], 64)
    for field in fields(Interface):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


def test_a_pair_that_cannot_be_cut_is_a_row_and_stops_nothing(real: Reader, tmp_path: Path) -> None:
    one, two = real("1aq4"), real("1ec6")
    arrays = dict(two.arrays)
    arrays["backbone_xyz_angstrom"] = np.full_like(arrays["backbone_xyz_angstrom"], np.nan)
    other = pair(one, "B", "R") | {"rna_sha256": "0" * 64}
    rows = [pair(one, "A", "R"), other, pair(one, "R", "A"), pair(one, "A", "Q"), pair(two, "A", "D")]
    dropped = build(tmp_path, rows, [one, replace(two, arrays=arrays)])
    assert interface_ids([tmp_path / "out.h5"]) == ["1aq4:A:R"]
    assert dropped.set_index("subject")["rule"].to_dict() == {
        "1aq4:A:Q": "chains_not_in_structure",
        "1aq4:R:A": "chains_not_in_structure",
        "1aq4:B:R": "other_sequence",
        "1ec6:A:D": "coordinate_not_finite",
    }
    assert set(dropped["verdict"]) == {"drop"}


def test_the_same_pairs_give_the_same_bytes_in_any_order(real: Reader, tmp_path: Path) -> None:
    structures = [real("1aq4"), real("1ec6")]
    rows = [pair(structures[0], "A", "R"), pair(structures[0], "B", "R"), pair(structures[1], "A", "D")]
    for name, order in (("a", 1), ("b", -1)):
        (tmp_path / name).mkdir()
        build(tmp_path / name, rows[::order], structures[::order])
    assert (tmp_path / "a/out.h5").read_bytes() == (tmp_path / "b/out.h5").read_bytes()


def test_an_interface_of_two_thousand_chains_fits_and_no_complex_stands_twice(real: Reader, tmp_path: Path) -> None:
    """The chains' sums are longer than the 64 kB of an HDF5 attribute."""
    cut = cut_interface(real("1ec6"), "1ec6:A:D", ["A"], ["D"], 64)
    many = replace(
        cut, chain_ids=tuple(f"c{i}" for i in range(2000)), chain_sequence_sha256=("0" * 64,) * 2000, complex_id="9big"
    )
    write_interfaces([many, cut], tmp_path / "a.h5")
    found = read_interfaces([tmp_path / "a.h5"], ["9big", "1ec6:A:D"])
    assert found["9big"].chain_ids == many.chain_ids
    assert found["1ec6:A:D"].chain_ids == ("A", "D")
    with pytest.raises(InputError, match=r"two interfaces of the complexes \['1ec6:A:D'\]"):
        write_interfaces([cut, cut], tmp_path / "b.h5")
