"""Heavy-atom distances in angstrom between parts of a structure, never with an array of all atom pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from copra.structure.residues import PROTEIN, RNA, Structure

BLOCK_ATOMS = 512  # two blocks' distances are 2 MiB, which stay in the processor's cache


@dataclass(frozen=True)
class ChainAtoms:
    """Residues and atoms of some chains."""

    residues: npt.NDArray[np.int64]  # [r] residues of the chosen chains
    atoms: npt.NDArray[np.int64]  # [a] their atoms
    residue: npt.NDArray[np.int64]  # [a] the residue of each atom
    xyz: npt.NDArray[np.float64]  # [a, 3] angstrom


@dataclass(frozen=True)
class AtomPairs:
    """The K pairs of a heavy atom of protein and one of RNA up to a distance, unordered."""

    protein_atom: npt.NDArray[np.int64]  # [K]
    rna_atom: npt.NDArray[np.int64]  # [K]
    protein_residue: npt.NDArray[np.int64]  # [K]
    rna_residue: npt.NDArray[np.int64]  # [K]
    distance_angstrom: npt.NDArray[np.float64]  # [K]


def chain_atoms(structure: Structure, chains: Sequence[int] | npt.NDArray[np.int64]) -> ChainAtoms:
    """Residues and atoms of chains, in the order in which the chains are given."""
    parts = [structure.chain_residues(int(c)) for c in chains]
    nothing = np.zeros(0, dtype=np.int64)
    residues = np.concatenate([nothing, *(np.arange(p.start, p.stop) for p in parts)])
    # the residues of a chain stand together, and so do their atoms
    ranges = [(int(structure.atom_offsets[p.start]), int(structure.atom_offsets[p.stop])) for p in parts]
    atoms = np.concatenate([nothing, *(np.arange(start, stop) for start, stop in ranges)])
    sizes = structure.atom_offsets[residues + 1] - structure.atom_offsets[residues]
    xyz = structure.arrays["atom_xyz_angstrom"][atoms].astype(np.float64)
    return ChainAtoms(residues, atoms, np.repeat(residues, sizes), xyz)


def tree(xyz: npt.NDArray[np.float64]) -> cKDTree:
    """A k-d tree that is quick to build: halved in space, not by counts; it finds the same neighbours."""
    return cKDTree(xyz, leafsize=32, balanced_tree=False, compact_nodes=False)


def near_pairs(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], cutoff_angstrom: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Index in `first` [K], index in `second` [K] and distance [K] of the point pairs up to the cutoff, unordered.

    K stays in proportion to the atoms: the reader refuses a structure with more than
    `quarantine.MAX_HEAVY_ATOMS_PER_CELL` of them in one place.
    """
    left = _near_box(first, second, cutoff_angstrom)
    right = _near_box(second, first[left], cutoff_angstrom)
    if not len(left) or not len(right):
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, np.zeros(0)
    trees = tree(first[left]), tree(second[right])
    pairs = trees[0].sparse_distance_matrix(trees[1], cutoff_angstrom, output_type="ndarray")
    return left[pairs["i"]], right[pairs["j"]], pairs["v"]


def partner_pairs(structure: Structure, cutoff_angstrom: float) -> AtomPairs:
    """The pairs of a protein atom and an RNA atom up to the cutoff, over all chains of a structure."""
    protein, rna = (chain_atoms(structure, np.flatnonzero(structure.chain_is(m))) for m in (PROTEIN, RNA))
    i, j, distance = near_pairs(protein.xyz, rna.xyz, cutoff_angstrom)
    return AtomPairs(protein.atoms[i], rna.atoms[j], protein.residue[i], rna.residue[j], distance)


def _near_box(
    points: npt.NDArray[np.float64], others: npt.NDArray[np.float64], cutoff_angstrom: float
) -> npt.NDArray[np.int64]:
    """The points inside the box around `others` that is wider by the cutoff; most atoms of a complex are not."""
    inside = np.full(len(points), len(others) > 0)
    for axis in range(3 if len(others) else 0):
        low, high = others[:, axis].min() - cutoff_angstrom, others[:, axis].max() + cutoff_angstrom
        inside &= (points[:, axis] >= low) & (points[:, axis] <= high)
    return np.flatnonzero(inside)


def nearest_of_residues(side: ChainAtoms, partner: ChainAtoms) -> npt.NDArray[np.float64]:
    """For each residue of `side` the distance of its nearest atom pair with `partner` [r], in angstrom."""
    distance, _ = tree(partner.xyz).query(side.xyz)
    first = np.concatenate([[True], np.diff(side.residue) != 0])
    return np.minimum.reduceat(distance, np.flatnonzero(first))


def node_distances(structure: Structure, residues: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Least heavy-atom distance between any two of the residues, in angstrom, float32 [n, n], 0 on the diagonal.

    `residues` [n] are indices into the structure's residues. Exact: squared distances are |a|^2 + |b|^2 - 2ab of
    double precision, taken over blocks of about `BLOCK_ATOMS` atoms, so that memory grows with n^2 and not with the
    square of the atoms.
    """
    start, stop = structure.atom_offsets[residues], structure.atom_offsets[np.asarray(residues) + 1]
    sizes = stop - start
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    atoms = np.repeat(start - offsets[:-1], sizes) + np.arange(offsets[-1])
    xyz = structure.arrays["atom_xyz_angstrom"][atoms].astype(np.float64)
    square, one = np.sum(xyz * xyz, axis=1, keepdims=True), np.ones((len(xyz), 1))
    # the product of a row of one and a row of the other is the squared distance
    left, right = np.hstack([-2 * xyz, one, square]), np.hstack([xyz, square, one])
    blocks = _blocks(offsets)
    distance = np.zeros((len(residues), len(residues)), dtype=np.float32)
    for i, (a, b) in enumerate(blocks):
        for c, d in blocks[i:]:
            squared = left[offsets[a] : offsets[b]] @ right[offsets[c] : offsets[d]].T
            least = np.minimum.reduceat(squared, offsets[a:b] - offsets[a], axis=0)
            least = np.minimum.reduceat(least, offsets[c:d] - offsets[c], axis=1)
            distance[a:b, c:d] = np.sqrt(np.maximum(least, 0))
            distance[c:d, a:b] = distance[a:b, c:d].T
    np.fill_diagonal(distance, 0)
    return distance


def _blocks(offsets: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Consecutive ranges of nodes with about `BLOCK_ATOMS` atoms, at least one node in each."""
    blocks, first, n_nodes = [], 0, len(offsets) - 1
    while first < n_nodes:
        last = int(np.searchsorted(offsets, offsets[first] + BLOCK_ATOMS, side="right")) - 1
        blocks.append((first, max(last, first + 1)))
        first = blocks[-1][1]
    return blocks
