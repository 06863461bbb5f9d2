"""Contacts between protein and RNA, and the interface: the residues nearest to the partner molecule.

Distances are between heavy atoms, in angstrom. Neighbours come from k-d trees, so memory grows with the number of
atoms and contacts, not with the square of the residues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.files import sha256_of_text
from copra.structure.distances import AtomPairs, chain_atoms, nearest_of_residues, partner_pairs
from copra.structure.residues import PROTEIN, REPRESENTATIVE_SLOT, RNA, Structure

# Arrays with one entry per interface node: name -> (type, shape after the first axis)
NODE_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "molecule": ("u1", ()),  # 0 protein, 1 RNA
    "residue_type": ("u1", ()),  # index into residues.RESIDUE_TYPES
    "chain": ("i2", ()),  # index into chain_ids
    "polymer_index": ("i4", ()),  # 0-based position in the chain's full sequence
    "auth_number": ("i4", ()),
    "insertion_code": ("S1", ()),
    "backbone_xyz_angstrom": ("f4", (4, 3)),  # N CA C O | P C4' C1' N9-or-N1
    "backbone_mask": ("?", (4,)),
    "partner_distance_angstrom": ("f4", ()),  # nearest heavy atom of the partner molecule
}


@dataclass(frozen=True)
class Interface:
    """The n residues of a complex that are nearest to the partner molecule.

    Nodes stand protein chains first, then RNA chains, in the record's order, by polymer index. `centres_angstrom`
    [3, 3] are the means over all nodes, the protein nodes and the RNA nodes of one atom each: CA or C4', and where
    that is missing the mean of the residue's heavy atoms. `file_sha256` is that of the coordinate file, "" where
    there is none; `buried_area_angstrom2` that of `surface.buried_area_angstrom2`, NaN where it was not computed.
    """

    complex_id: str
    chain_ids: tuple[str, ...]
    chain_sequence_sha256: tuple[str, ...]
    molecule: npt.NDArray[np.uint8]
    residue_type: npt.NDArray[np.uint8]
    chain: npt.NDArray[np.int16]
    polymer_index: npt.NDArray[np.int32]
    auth_number: npt.NDArray[np.int32]
    insertion_code: npt.NDArray[np.bytes_]
    backbone_xyz_angstrom: npt.NDArray[np.float32]
    backbone_mask: npt.NDArray[np.bool_]
    partner_distance_angstrom: npt.NDArray[np.float32]
    centres_angstrom: npt.NDArray[np.float32]
    file_sha256: str = ""
    buried_area_angstrom2: float = math.nan


@dataclass(frozen=True)
class ChainContact:
    """A protein chain and an RNA chain with at least one residue pair nearer than the cutoff."""

    protein_chain: str
    rna_chain: str
    n_residue_contacts: int
    min_distance_angstrom: float


def residue_contacts(
    structure: Structure, cutoff_angstrom: float, pairs: AtomPairs | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Protein residues [K], RNA residues [K] and their least heavy-atom distance [K], where it is below the cutoff.

    `pairs` are the structure's, up to the cutoff or further; they are searched where they are not given.
    """
    pairs = pairs or partner_pairs(structure, cutoff_angstrom)
    below = pairs.distance_angstrom < cutoff_angstrom
    distance = pairs.distance_angstrom[below]
    n_residues = len(structure.arrays["chain"])
    key = pairs.protein_residue[below] * n_residues + pairs.rna_residue[below]
    order = np.argsort(key)
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    found = key[order][starts]
    least = np.minimum.reduceat(distance[order], starts) if len(starts) else np.zeros(0)
    return found // n_residues, found % n_residues, least


def chain_contacts(structure: Structure, cutoff_angstrom: float, pairs: AtomPairs | None = None) -> list[ChainContact]:
    """The touching chain pairs of a structure, in the order of its chains; `pairs` as in `residue_contacts`.

    A hybrid chain holds at least one ribonucleotide and counts as RNA.
    """
    protein, rna, distance = residue_contacts(structure, cutoff_angstrom, pairs)
    chain = structure.arrays["chain"].astype(np.int64)
    key = chain[protein] * len(structure.chain_ids) + chain[rna]
    contacts = []
    for value in np.unique(key):
        of_pair = key == value
        contacts.append(
            ChainContact(
                protein_chain=structure.chain_ids[value // len(structure.chain_ids)],
                rna_chain=structure.chain_ids[value % len(structure.chain_ids)],
                n_residue_contacts=int(np.count_nonzero(of_pair)),
                min_distance_angstrom=float(distance[of_pair].min()),
            )
        )
    return contacts


def cut_interface(
    structure: Structure, complex_id: str, protein_chains: list[str], rna_chains: list[str], interface_nodes: int
) -> Interface:
    """Keep the `interface_nodes` residues with the smallest distance to the partner molecule; ties by node order.

    Raises InputError when a chain is not in the structure or is not of the wanted molecule.
    """
    sides = [
        chain_atoms(structure, find_chains(structure, complex_id, protein_chains, PROTEIN)),
        chain_atoms(structure, find_chains(structure, complex_id, rna_chains, RNA)),
    ]
    residues = np.concatenate([side.residues for side in sides])
    distance = np.concatenate([nearest_of_residues(*sides), nearest_of_residues(*sides[::-1])])
    # rounded to float32, so that equal distances stay equal whatever the frame's rounding
    distance = distance.astype(np.float32)
    nodes = np.sort(np.argsort(distance, kind="stable")[:interface_nodes])
    kept = residues[nodes]
    molecule = (nodes >= len(sides[0].residues)).astype(np.uint8)
    chain_ids = (*protein_chains, *rna_chains)
    place = np.zeros(len(structure.chain_ids), dtype=np.int16)
    for order, name in enumerate(chain_ids):
        place[structure.chain_ids.index(name)] = order
    points = _representative(structure, kept)
    centres = [points.mean(axis=0), points[molecule == PROTEIN].mean(axis=0), points[molecule == RNA].mean(axis=0)]
    copied = ("residue_type", "polymer_index", "auth_number", "insertion_code", "backbone_xyz_angstrom")
    return Interface(
        complex_id=complex_id,
        chain_ids=chain_ids,
        chain_sequence_sha256=tuple(
            sha256_of_text(structure.sequences[structure.chain_ids.index(name)]) for name in chain_ids
        ),
        molecule=molecule,
        chain=place[structure.arrays["chain"][kept]],
        backbone_mask=structure.arrays["backbone_mask"][kept],
        partner_distance_angstrom=distance[nodes],
        centres_angstrom=np.array(centres, dtype=np.float32),
        file_sha256=structure.file_sha256,
        **{name: structure.arrays[name][kept] for name in copied},
    )


def find_chains(structure: Structure, complex_id: str, names: list[str], molecule: int) -> list[int]:
    """Indices of the named chains, which count as the molecule PROTEIN or RNA.

    Raises InputError when a chain is not in the structure or is not of that molecule.
    """
    wanted = "protein" if molecule == PROTEIN else "RNA"
    there = dict(zip(structure.chain_ids, structure.molecule_types, strict=True))
    fitting = structure.chain_is(molecule)
    found = [i for name in names for i, c in enumerate(structure.chain_ids) if c == name and fitting[i]]
    if not names or len(found) != len(names):
        raise InputError(f"complex {complex_id}: expected {wanted} chains {names}, found the chains {there}")
    return found


def _representative(structure: Structure, residues: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """CA or C4' of each residue, the mean of its heavy atoms where that is missing [r, 3]."""
    points = structure.arrays["backbone_xyz_angstrom"][residues, REPRESENTATIVE_SLOT].astype(np.float64)
    for i in np.flatnonzero(~structure.arrays["backbone_mask"][residues, REPRESENTATIVE_SLOT]):
        start, stop = structure.atom_offsets[residues[i]], structure.atom_offsets[residues[i] + 1]
        points[i] = structure.arrays["atom_xyz_angstrom"][start:stop].astype(np.float64).mean(axis=0)
    return points
