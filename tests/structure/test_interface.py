"""Contacts and interfaces: against brute force, against the reference numbers, and under rigid motion."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from copra.errors import InputError
from copra.files import sha256_of_text
from copra.structure.interface import chain_contacts, cut_interface, residue_contacts
from copra.structure.reader import read_structure
from copra.structure.residues import Structure

Reader = Callable[[str], Structure]


def brute_force(structure: Structure) -> np.ndarray:
    """Least heavy-atom distance of all residue pairs."""
    xyz = structure.arrays["atom_xyz_angstrom"].astype(float)
    starts = structure.atom_offsets[:-1]
    rows = np.minimum.reduceat(cdist(xyz, xyz), starts, axis=0)
    return np.minimum.reduceat(rows, starts, axis=1)


@pytest.mark.parametrize("pdb_id", ["1a4t", "1ec6"])
def test_contacts_equal_brute_force(pdb_id: str, real: Reader) -> None:
    structure = real(pdb_id)
    expected = brute_force(structure)
    of_chain = structure.arrays["chain"]
    protein = structure.chain_is(0)[of_chain]
    rna = structure.chain_is(1)[of_chain]
    wanted = np.argwhere((expected < 5.0) & protein[:, None] & rna[None, :])
    first, second, distance = residue_contacts(structure, 5.0)
    np.testing.assert_array_equal(np.stack([first, second], axis=1), wanted)
    np.testing.assert_allclose(distance, expected[first, second], atol=1e-6)
    contacts = chain_contacts(structure, 5.0)
    assert sum(c.n_residue_contacts for c in contacts) == len(wanted)
    assert min(c.min_distance_angstrom for c in contacts) == pytest.approx(distance.min())


@pytest.mark.parametrize("pdb_id", ["1EC6", "1J1U"])
def test_interface_equals_the_reference(pdb_id: str, shared: Path) -> None:
    golden = shared / "golden"
    complexes = json.loads((golden / "geom.json").read_text())["complexes"]
    (told,) = [c for c in complexes if c["id"] == pdb_id]
    expected = np.load(golden / f"geom_{pdb_id}.npz")
    structure = read_structure(golden / "inputs" / f"{pdb_id}.pdb.gz", pdb_id.lower())
    chains = [told["prot_chains"]], [told["rna_chains"]]
    everything = cut_interface(structure, "all", *chains, 100000)
    assert len(everything.molecule) == told["L"]
    np.testing.assert_allclose(everything.partner_distance_angstrom, expected["node_min_dist"], atol=1e-3)
    interface = cut_interface(structure, "x", *chains, 256)
    assert len(interface.molecule) == told["n_patch"]
    patch = np.sort(expected["patch_idx"])
    np.testing.assert_array_equal(interface.molecule, everything.molecule[patch])
    np.testing.assert_array_equal(interface.auth_number, everything.auth_number[patch])


def moved(structure: Structure, rotation: np.ndarray, shift: np.ndarray) -> Structure:
    arrays = dict(structure.arrays)
    for name in ("atom_xyz_angstrom", "backbone_xyz_angstrom"):
        arrays[name] = (arrays[name] @ rotation.T + shift).astype(np.float32)
    return replace(structure, arrays=arrays)


def test_interface_does_not_depend_on_the_frame(real: Reader, rng: np.random.Generator) -> None:
    structure = real("1qtq")
    here = cut_interface(structure, "x", ["A"], ["B"], 64)
    rotation = Rotation.random(rng=rng).as_matrix()
    shift = np.array([10.0, -20.0, 5.0])
    there = cut_interface(moved(structure, rotation, shift), "x", ["A"], ["B"], 64)
    np.testing.assert_array_equal(here.polymer_index, there.polymer_index)
    np.testing.assert_allclose(here.partner_distance_angstrom, there.partner_distance_angstrom, atol=1e-3)
    np.testing.assert_allclose(here.centres_angstrom @ rotation.T + shift, there.centres_angstrom, atol=1e-3)


def test_interface_does_not_depend_on_the_order_of_atoms(real: Reader, rng: np.random.Generator) -> None:
    structure = real("1ec6")
    order = np.concatenate(
        [rng.permutation(np.arange(a, b)) for a, b in zip(structure.atom_offsets, structure.atom_offsets[1:])]  # noqa: B905
    )
    arrays = structure.arrays | {name: structure.arrays[name][order] for name in ("atom_xyz_angstrom", "atom_name")}
    chains = ["A"], ["D"]
    here = cut_interface(structure, "x", *chains, 50)
    there = cut_interface(replace(structure, arrays=arrays), "x", *chains, 50)
    for name, value in vars(here).items():
        np.testing.assert_array_equal(value, getattr(there, name), err_msg=name)


def test_nodes_stand_in_record_order_with_their_keys(real: Reader) -> None:
    structure = real("1knz")
    interface = cut_interface(structure, "1knz:B,A:X,W", ["B", "A"], ["X", "W"], 60)
    assert interface.chain_ids == ("B", "A", "X", "W")
    assert len(interface.molecule) == 60
    assert np.all(np.diff(interface.molecule.astype(int)) >= 0)
    assert np.all(np.diff(interface.chain) >= 0)
    for chain in range(4):
        assert np.all(np.diff(interface.polymer_index[interface.chain == chain]) > 0)
    sequences = dict(zip(structure.chain_ids, structure.sequences, strict=True))
    assert interface.chain_sequence_sha256 == tuple(sha256_of_text(sequences[c]) for c in "BAXW")
    left = cut_interface(structure, "x", ["B", "A"], ["X", "W"], 10000).partner_distance_angstrom
    assert interface.partner_distance_angstrom.max() <= np.sort(left)[59]


def test_centres_use_heavy_atoms_where_the_representative_is_missing(real: Reader) -> None:
    structure = real("1ec6")
    mask = structure.arrays["backbone_mask"].copy()
    mask[:, 1] = False
    broken = replace(structure, arrays=structure.arrays | {"backbone_mask": mask})
    centres = cut_interface(broken, "x", ["A"], ["D"], 10000).centres_angstrom
    chain = structure.chain_ids.index("A")
    part = structure.chain_residues(chain)
    bounds = zip(structure.atom_offsets[part], structure.atom_offsets[part.start + 1 : part.stop + 1], strict=True)
    means = [structure.arrays["atom_xyz_angstrom"][a:b].mean(axis=0) for a, b in bounds]
    np.testing.assert_allclose(centres[1], np.mean(means, axis=0), atol=1e-3)


@pytest.mark.parametrize("chains", [(["A"], ["A"]), (["Z"], ["D"]), ([], ["D"])])
def test_wrong_chains_are_named(chains: tuple[list[str], list[str]], real: Reader) -> None:
    with pytest.raises(InputError, match="complex x: expected"):
        cut_interface(real("1ec6"), "x", *chains, 10)


def test_of_equally_near_residues_the_first_in_node_order_stays(tmp_path: Path) -> None:
    """Chain C at 4 angstrom from the one nucleotide, four residues of two other chains at 5."""
    places = [("A", 1, 5, 0), ("A", 2, 0, 5), ("B", 1, -5, 0), ("B", 2, 0, -5), ("C", 1, 4, 0)]
    lines = [
        f"ATOM  {i:>5}  CA  GLY {chain}{number:>4}    {x:8.3f}{y:8.3f}   0.000  1.00 10.00           C"
        for i, (chain, number, x, y) in enumerate(places, 1)
    ]
    for i, (atom, z) in enumerate([("C1'", 0.0), ("O2'", 1.4)], len(places) + 1):
        lines.append(f"ATOM  {i:>5}  {atom}   U R   1       0.000   0.000{z:8.3f}  1.00 10.00           {atom[0]}")
    (tmp_path / "toy.pdb").write_text("\n".join([*lines, "END", ""]))
    structure = read_structure(tmp_path / "toy.pdb", "toy")
    for proteins in (["A", "B", "C"], ["B", "A", "C"]):
        cut = cut_interface(structure, "x", proteins, ["R"], 4)
        assert cut.partner_distance_angstrom.tolist() == [5.0, 5.0, 4.0, 4.0]
        nodes = [(cut.chain_ids[c], int(n)) for c, n in zip(cut.chain, cut.auth_number, strict=True)]
        assert nodes == [(proteins[0], 1), (proteins[0], 2), ("C", 1), ("R", 1)]
