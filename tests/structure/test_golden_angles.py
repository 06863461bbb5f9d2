"""From the coordinate file to the geometry of node pairs: the official distances and dihedral angles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from copra.model.pair_features import Nodes, dihedrals, squared_distances_nm
from copra.structure.interface import Interface, cut_interface
from copra.structure.reader import read_structure

PLANAR_RADIANS = 1e-3  # a torsion this near to +-180 degrees may be written with either sign


@pytest.fixture(scope="module", params=["1EC6", "1J1U"])
def pair(request: pytest.FixtureRequest, shared: Path) -> tuple[Interface, dict[str, np.ndarray]]:
    """Our interface of a reference complex, read from its file, and the official numbers."""
    golden = shared / "golden"
    (told,) = [c for c in json.loads((golden / "geom.json").read_text())["complexes"] if c["id"] == request.param]
    structure = read_structure(golden / "inputs" / f"{request.param}.pdb.gz", request.param.lower())
    interface = cut_interface(structure, "x", [told["prot_chains"]], [told["rna_chains"]], 256)
    values = dict(np.load(golden / f"geom_{request.param}.npz"))
    order = np.argsort(values["patch_idx"])  # the official crop is not in the order of the chains
    for name in ("pos_atoms", "mask_atoms"):
        values[name] = values[name][order]
    for name in ("dist16_nm", "dihedral"):
        values[name] = values[name][np.ix_(order, order)]
    return interface, values


def nodes_of(interface: Interface) -> Nodes:
    return Nodes(
        residue_type=torch.from_numpy(interface.residue_type.astype(np.int64))[None],
        molecule=torch.from_numpy(interface.molecule.astype(np.int64))[None],
        chain=torch.from_numpy(interface.chain.astype(np.int64))[None],
        polymer_index=torch.from_numpy(interface.polymer_index.astype(np.int64))[None],
        xyz_angstrom=torch.from_numpy(interface.backbone_xyz_angstrom)[None],
        atom_mask=torch.from_numpy(interface.backbone_mask)[None],
    )


def test_backbone_atoms_are_the_official_ones(pair: tuple[Interface, dict[str, np.ndarray]]) -> None:
    """The official places are shifted to a centre of their own."""
    interface, values = pair
    mask = values["mask_atoms"].astype(bool)
    np.testing.assert_array_equal(interface.backbone_mask, mask)
    shift = interface.backbone_xyz_angstrom[mask] - values["pos_atoms"][mask]
    np.testing.assert_allclose(shift, np.broadcast_to(shift.mean(axis=0), shift.shape), atol=1e-3)


def test_atom_pair_distances_are_the_official_ones(pair: tuple[Interface, dict[str, np.ndarray]]) -> None:
    interface, values = pair
    squared, both = squared_distances_nm(nodes_of(interface))
    there = both[0].numpy()
    distance_angstrom = 10 * np.sqrt(squared[0].numpy())
    np.testing.assert_allclose(distance_angstrom[there], 10 * values["dist16_nm"][there], atol=1e-3)


def test_dihedral_angles_are_the_official_ones(pair: tuple[Interface, dict[str, np.ndarray]]) -> None:
    interface, values = pair
    angle, exists = dihedrals(nodes_of(interface))
    found, expected = angle[0].numpy(), values["dihedral"]
    off_diagonal = ~np.eye(len(found), dtype=bool)
    there = exists[0].numpy() & off_diagonal
    difference = np.angle(np.exp(1j * (found - expected)))[there]
    planar = (np.abs(np.abs(found) - np.pi) < PLANAR_RADIANS)[there] | (np.abs(found) < PLANAR_RADIANS)[there]
    assert np.mean(planar) < 0.01
    np.testing.assert_allclose(difference[~planar], 0, atol=1e-3)
