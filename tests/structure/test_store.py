"""What the HDF5 stores say of themselves, and what must fit into them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from copra.errors import InputError
from copra.structure.interface import cut_interface
from copra.structure.residues import Structure
from copra.structure.store import StructureStore, read_interfaces, write_interfaces, write_structures

Reader = Callable[[str], Structure]


def test_an_entry_is_described_by_its_group(real: Reader, tmp_path: Path) -> None:
    structures = [real("6ozp"), real("1a4t")]
    write_structures(structures, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["format"] == "copra structures 2"
        assert list(file["entries"]) == ["1a4t", "6ozp"]
        for structure in structures:
            told = file["entries"][structure.pdb_id].attrs
            assert told["file_sha256"].decode() == structure.file_sha256
            assert told["method"].decode() == structure.method
            assert told["release_date"].decode() == structure.release_date
            assert told["n_models"] == structure.n_models
            assert json.loads(told["handled"]) == structure.handled
            for name, array in (("residues", "chain"), ("atoms", "atom_name")):
                start, stop = told[name]
                np.testing.assert_array_equal(file[name][array][start:stop], structure.arrays[array])
        assert file["entries"]["6ozp"].attrs["resolution_angstrom"] == pytest.approx(2.0, abs=1.0)
        assert math.isnan(file["entries"]["1a4t"].attrs["resolution_angstrom"])


def test_datasets_of_lengths_and_areas_have_a_unit(real: Reader, tmp_path: Path) -> None:
    structure = real("1ec6")
    write_structures([structure], tmp_path / "a.h5")
    write_interfaces([cut_interface(structure, "1ec6:A:D", ["A"], ["D"], 40)], tmp_path / "b.h5")
    units: dict[str, str] = {}
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name) as file:
            file.visititems(lambda path, item: units.update({path: item.attrs.get("unit", "")}))
    assert {path: unit for path, unit in units.items() if unit} == {
        "residues/backbone_xyz_angstrom": "angstrom",
        "atoms/atom_xyz_angstrom": "angstrom",
        "nodes/backbone_xyz_angstrom": "angstrom",
        "nodes/partner_distance_angstrom": "angstrom",
        "centres_angstrom": "angstrom",
        "buried_area_angstrom2": "angstrom^2",
    }
    assert not [path for path, unit in units.items() if "angstrom" in path and not unit]


def test_an_interface_names_its_coordinate_file(real: Reader, tmp_path: Path) -> None:
    structure = real("1ec6")
    cut = cut_interface(structure, "1ec6:A:D", ["A"], ["D"], 40)
    write_interfaces([cut], tmp_path / "b.h5")
    (found,) = read_interfaces([tmp_path / "b.h5"], ["1ec6:A:D"]).values()
    assert found.file_sha256 == structure.file_sha256
    assert math.isnan(found.buried_area_angstrom2)


def test_eighty_chains_of_five_thousand_residues_fit(real: Reader, tmp_path: Path) -> None:
    """The texts of an entry are far longer than the 64 kB of an HDF5 attribute."""
    structure = real("1ec6")
    n = 80
    large = replace(
        structure,
        pdb_id="9big",
        chain_ids=tuple(f"c{i}" for i in range(n)),
        label_chains=tuple(f"L{i}" for i in range(n)),
        molecule_types=("rna",) * n,
        sequences=tuple("ACGU" * 1250 for _ in range(n)),
        sequence_origins=("seqres",) * n,
    )
    write_structures([large, structure], tmp_path / "a.h5")
    with StructureStore(tmp_path / "a.h5") as store:
        assert store.read("9big").sequences == large.sequences
        assert store.read("9big").chain_ids == large.chain_ids
        assert store.read("1ec6").sequences == structure.sequences


def test_a_store_of_another_format_is_refused(tmp_path: Path) -> None:
    write_interfaces([], tmp_path / "b.h5")
    with pytest.raises(InputError, match=r"b\.h5: expected a store of the format 'copra structures 2'"):
        StructureStore(tmp_path / "b.h5")
