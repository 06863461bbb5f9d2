"""Distances between nodes: against the official numbers, against brute force, within bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from copra.structure.distances import chain_atoms, near_pairs, node_distances
from copra.structure.reader import read_structure
from copra.structure.residues import Structure

Reader = Callable[[str], Structure]


def without(structure: Structure, atom_name: bytes) -> Structure:
    keep = structure.arrays["atom_name"] != atom_name
    names = ("atom_name", "atom_xyz_angstrom", "atom_element")
    arrays = structure.arrays | {name: structure.arrays[name][keep] for name in names}
    offsets = np.concatenate([[0], np.cumsum(keep)])[structure.atom_offsets]
    return replace(structure, arrays=arrays, atom_offsets=offsets)


@pytest.mark.parametrize("pdb_id", ["1EC6", "1J1U"])
def test_distance_map_equals_the_official_one(pdb_id: str, shared: Path) -> None:
    """The official tables of atoms do not know OXT, the second oxygen of a chain's end."""
    golden = shared / "golden"
    (told,) = [c for c in json.loads((golden / "geom.json").read_text())["complexes"] if c["id"] == pdb_id]
    expected = np.load(golden / f"geom_{pdb_id}.npz")["atom_min_dist"]
    structure = without(read_structure(golden / "inputs" / f"{pdb_id}.pdb.gz", pdb_id.lower()), b"OXT")
    order = [structure.chain_ids.index(chain) for chain in (told["prot_chains"], told["rna_chains"])]
    found = node_distances(structure, chain_atoms(structure, order).residues)
    assert found.shape == expected.shape == (told["L"], told["L"])
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_distances_equal_brute_force_in_any_order(real: Reader, rng: np.random.Generator) -> None:
    structure = real("1qtq")
    residues = rng.permutation(len(structure.arrays["chain"]))[:300]
    found = node_distances(structure, residues)
    parts = [slice(*structure.atom_offsets[r : r + 2]) for r in residues]
    xyz = np.concatenate([structure.arrays["atom_xyz_angstrom"][part] for part in parts]).astype(float)
    starts = np.cumsum([0, *(part.stop - part.start for part in parts)])[:-1]
    expected = np.minimum.reduceat(np.minimum.reduceat(cdist(xyz, xyz), starts, axis=0), starts, axis=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found, found.T)


def test_far_from_the_origin_the_distances_stay_exact(real: Reader) -> None:
    structure = real("1ec6")
    residues = np.arange(len(structure.arrays["chain"]))
    here = node_distances(structure, residues)
    structure.arrays["atom_xyz_angstrom"] = structure.arrays["atom_xyz_angstrom"].astype(np.float64) + 9000.0
    np.testing.assert_allclose(node_distances(structure, residues), here, atol=1e-4)


def test_memory_does_not_grow_with_the_square_of_the_atoms(real: Reader) -> None:
    """All pairs of atoms would be more than 500 MB here; the answer is 7 MB."""
    structure = real("1asy")
    residues = np.arange(len(structure.arrays["chain"]))
    n_atoms = len(structure.arrays["atom_name"])
    tracemalloc.start()
    found = node_distances(structure, residues)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_atoms**2 * 8 > 500e6
    assert peak < found.nbytes + 1000 * n_atoms + 10e6


def test_one_node_and_none(real: Reader) -> None:
    structure = real("1ec6")
    assert node_distances(structure, np.array([3])).tolist() == [[0.0]]
    assert node_distances(structure, np.zeros(0, dtype=int)).shape == (0, 0)


def test_near_pairs_equal_brute_force(rng: np.random.Generator) -> None:
    first, second = rng.normal(0, 12, (400, 3)), rng.normal(15, 6, (200, 3))
    i, j, distance = near_pairs(first, second, 5.0)
    every = cdist(first, second)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == set(map(tuple, np.argwhere(every <= 5.0).tolist()))
    np.testing.assert_allclose(distance, every[i, j])
    for a, b in ((first, second + 500), (first[:0], second), (first, second[:0])):
        assert [len(x) for x in near_pairs(a, b, 5.0)] == [0, 0, 0]
