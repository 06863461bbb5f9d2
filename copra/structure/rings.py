"""Flat groups of atoms that lie on each other: rings of side chains and the guanidinium of Arg on bases of RNA."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copra.structure.atom_classes import FIVE_RING, SIX_RING, Rings, named_atoms
from copra.structure.distances import near_pairs
from copra.structure.residues import FIRST_RNA, RESIDUE_TYPES, RNA_LETTERS, Structure

CENTRES_ANGSTROM = 5.0  # centres of two groups that stack are nearer
MAX_ANGLE_DEGREES = 30.0  # between their normals
GUANIDINIUM: Rings = {"R": (("NE", "CZ", "NH1", "NH2"),)}
BASE_RINGS: Rings = {
    letter: (SIX_RING,) if letter in "CU" else (SIX_RING, ("C4", "C5", *FIVE_RING)) for letter in RNA_LETTERS
}


@dataclass(frozen=True)
class Planes:
    """Flat groups: the residue of each [g], its centre [g, 3] in angstrom and its normal [g, 3] of either sign."""

    residue: npt.NDArray[np.int64]
    centre_angstrom: npt.NDArray[np.float64]
    normal: npt.NDArray[np.float64]


def planes(structure: Structure, residues: npt.NDArray[np.int64], groups: Rings) -> Planes:
    """The flat groups of residues, by one-letter type; a group that lacks an atom is left out."""
    letters = np.array(RESIDUE_TYPES)[structure.arrays["residue_type"][residues]]
    is_rna = structure.arrays["residue_type"][residues] >= FIRST_RNA
    found: list[tuple[npt.NDArray, npt.NDArray, npt.NDArray]] = [
        (np.zeros(0, dtype=np.int64), np.zeros((0, 3)), np.zeros((0, 3)))
    ]
    for letter, rings in groups.items():
        # A, C, G and N are letters of both molecules
        here = residues[(letters == letter) & (is_rna == (groups is BASE_RINGS))]
        for ring in rings if len(here) else ():
            atoms = named_atoms(structure, here, ring)
            whole = (atoms >= 0).all(axis=1)
            xyz = structure.arrays["atom_xyz_angstrom"][atoms[whole]].astype(np.float64)  # [g, atoms, 3]
            centre = xyz.mean(axis=1)
            normal = np.linalg.svd(xyz - centre[:, None])[2][:, 2] if len(xyz) else np.zeros((0, 3))
            found.append((here[whole], centre, normal))
    residue, centre, normal = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Planes(residue, centre, normal)


def stacked(
    structure: Structure,
    protein_residues: npt.NDArray[np.int64],
    rna_residues: npt.NDArray[np.int64],
    groups: Rings,
) -> int:
    """How many pairs of a residue and a nucleotide stack with a group of the one and a base ring of the other.

    Two groups stack when their centres are nearer than `CENTRES_ANGSTROM` and the angle between their normals is below
    `MAX_ANGLE_DEGREES`. `groups` are PROTEIN_RINGS or GUANIDINIUM.
    """
    ours = planes(structure, protein_residues, groups)
    bases = planes(structure, rna_residues, BASE_RINGS)
    first, second, distance = near_pairs(ours.centre_angstrom, bases.centre_angstrom, CENTRES_ANGSTROM)
    cosine = np.abs(np.sum(ours.normal[first] * bases.normal[second], axis=1))
    good = (distance < CENTRES_ANGSTROM) & (cosine > math.cos(math.radians(MAX_ANGLE_DEGREES)))
    return len({*zip(ours.residue[first[good]].tolist(), bases.residue[second[good]].tolist(), strict=True)})
