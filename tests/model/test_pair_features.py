from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from copra.model.pair_features import (
    N_RESIDUE_TYPES,
    PADDING_TYPE,
    Nodes,
    PairEncoder,
    dihedral,
    dihedrals,
    squared_distances_nm,
)
from copra.structure.residues import RESIDUE_TYPES


@pytest.fixture(scope="module")
def golden(shared: Path) -> tuple[dict[str, np.ndarray], Nodes]:
    values = dict(np.load(shared / "golden" / "geom_1EC6.npz"))

    def batch(name: str) -> torch.Tensor:
        return torch.from_numpy(values[name])[None]

    nodes = Nodes(
        residue_type=batch("restype").long(),
        molecule=batch("identifier").long(),
        chain=batch("chain_nb").long(),
        polymer_index=batch("res_nb").long(),
        xyz_angstrom=batch("pos_atoms"),
        atom_mask=batch("mask_atoms"),
    )
    return values, nodes


def planar(angle: np.ndarray, official: np.ndarray) -> np.ndarray:
    """Pairs whose angle is pi to the last digit; the official code multiplies by a sign of zero and gets 0."""
    found = ((official == 0) & (np.abs(angle) > 3.141)).any(-1)
    assert found.sum() == 1
    return found


def test_types_are_those_of_the_structures() -> None:
    assert len(RESIDUE_TYPES) == N_RESIDUE_TYPES
    assert RESIDUE_TYPES[26:] == ("complex", "protein", "RNA", "padding")
    assert RESIDUE_TYPES[PADDING_TYPE] == "padding"


def test_distances_equal_the_official_numbers(golden) -> None:
    values, nodes = golden
    squared, _ = squared_distances_nm(nodes)
    assert np.abs(squared[0].sqrt().numpy() - values["dist16_nm"]).max() < 1e-5


def test_dihedrals_equal_the_official_numbers_where_all_atoms_are(golden) -> None:
    values, nodes = golden
    angle, exists = dihedrals(nodes)
    there = exists[0].numpy()
    assert there.sum() == 106**2  # one nucleotide of the 107 residues lacks its P
    difference = np.angle(np.exp(1j * (angle[0].numpy() - values["dihedral"])))
    there = there & ~planar(angle[0].numpy(), values["dihedral"])
    assert np.abs(difference[there]).max() < 1e-3


def test_pair_embedding_equals_the_official_numbers(golden, shared: Path) -> None:
    values, nodes = golden
    encoder = PairEncoder(40, special_node_geometry=True)
    weights = dict(np.load(shared / "golden" / "pair_encoder_weights.npz"))
    del weights["dihedral_embed.freq_bands"]
    encoder.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=True)
    with torch.no_grad():
        found = encoder(nodes)[0].numpy()
    expected = np.load(shared / "golden" / "pair_encoder_out_1EC6.npz")["z"]
    # the official code reads the place of an absent atom as if it were there; here such a pair has no dihedral
    whole = nodes.atom_mask[0].all(-1).numpy()
    assert whole.sum() == 106
    pairs = whole[:, None] & whole & ~planar(dihedrals(nodes)[0][0].numpy(), values["dihedral"])
    assert np.linalg.norm((found - expected)[pairs]) < 1e-5 * np.linalg.norm(expected[pairs])
    assert np.abs(found - expected)[pairs].max() < 1e-4  # the largest where the official angle of i = j is not quite 0


def test_nothing_changes_when_the_complex_is_moved_and_turned(golden) -> None:
    _, nodes = golden
    torch.manual_seed(0)
    encoder = PairEncoder(16, special_node_geometry=True)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    moved = Nodes(**{**vars(nodes), "xyz_angstrom": nodes.xyz_angstrom @ torch.from_numpy(turn).float() + 3.0})
    mirrored = Nodes(**{**vars(nodes), "xyz_angstrom": nodes.xyz_angstrom * torch.tensor([-1.0, 1.0, 1.0])})
    with torch.no_grad():
        z = encoder(nodes)
        assert (encoder(moved) - z).abs().max() < 1e-3
        assert (encoder(mirrored) - z).abs().max() > 1e-2  # dihedrals tell a structure from its mirror image


def test_dihedral_sign_and_degenerate_points() -> None:
    p = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1]])
    assert dihedral(*p) == pytest.approx(-np.pi / 2)
    assert dihedral(p[0], p[0], p[0], p[0]) == 0
