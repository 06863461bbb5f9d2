"""What a residue's own neighbours in its chain or helix say of it: paired nucleotides, helix and strand."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from copra.structure.atom_classes import named_atoms
from copra.structure.distances import near_pairs
from copra.structure.residues import Structure, type_index

HYDROGEN_BOND_ANGSTROM = 3.5  # heavy atoms nearer than this
MIN_LOOP = 4  # nucleotides of one chain that pair are at least this many places apart
# the two hydrogen bonds by which a pair is told
BASE_PAIRS = (
    ("A", "U", (("N1", "N3"), ("N6", "O4"))),
    ("G", "C", (("N1", "N3"), ("O6", "N4"))),
    ("G", "U", (("N1", "O2"), ("O6", "N3"))),
)

PEPTIDE_BOND_ANGSTROM = 2.0  # C and the next N are nearer than this where the chain goes on
BACKBONE_CLASSES = ("helix", "strand", "other")
N_SLOT, CA_SLOT, C_SLOT = 0, 1, 2  # of backbone_xyz_angstrom


def is_paired(structure: Structure, residues: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which nucleotides pair with another of `residues` [r]: Watson-Crick A-U and G-C, and the wobble G-U.

    A pair is told by two hydrogen bonds between the bases, see `BASE_PAIRS`; whether the bases lie in one plane is not
    looked at. Nucleotides of other chains than those given are not partners.
    """
    paired = np.zeros(len(residues), dtype=bool)
    kind = structure.arrays["residue_type"][residues]
    chain, place = (structure.arrays[name][residues].astype(np.int64) for name in ("chain", "polymer_index"))
    xyz = structure.arrays["atom_xyz_angstrom"]
    for one, other, bonds in BASE_PAIRS:
        rows, atoms = [], []
        for letter, names in zip((one, other), zip(*bonds, strict=True), strict=True):
            here = np.flatnonzero(kind == type_index(letter, is_protein=False))
            found = named_atoms(structure, residues[here], names)
            whole = (found >= 0).all(axis=1)
            rows.append(here[whole])
            atoms.append(xyz[found[whole]].astype(np.float64))  # [r, 2, 3]
        i, j, _ = near_pairs(atoms[0][:, 0], atoms[1][:, 0], HYDROGEN_BOND_ANGSTROM)
        distance = np.linalg.norm(atoms[0][i] - atoms[1][j], axis=2)
        good = (distance < HYDROGEN_BOND_ANGSTROM).all(axis=1)
        first, second = rows[0][i[good]], rows[1][j[good]]
        apart = (chain[first] != chain[second]) | (np.abs(place[first] - place[second]) >= MIN_LOOP)
        paired[first[apart]] = paired[second[apart]] = True
    return paired


def backbone_classes(structure: Structure, residues: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The region of phi and psi of amino acids [r]: index into BACKBONE_CLASSES, -1 where an angle is not known.

    helix: phi -120 to -30 and psi -80 to 0 degrees; strand: phi below -40 or above 150, psi above 90 or below -150. No
    hydrogen bonds are looked at, so a single residue of a loop may count as helix or strand.
    """
    count = len(structure.arrays["chain"])
    before, after = np.maximum(residues - 1, 0), np.minimum(residues + 1, count - 1)
    known = (residues > 0) & (residues < count - 1) & _bonded(structure, before, residues)
    known &= _bonded(structure, residues, after) & structure.arrays["backbone_mask"][residues, CA_SLOT]
    xyz = structure.arrays["backbone_xyz_angstrom"].astype(np.float64)
    n, ca, c = (xyz[residues, slot] for slot in (N_SLOT, CA_SLOT, C_SLOT))
    phi = _dihedral_degrees(xyz[before, C_SLOT], n, ca, c)
    psi = _dihedral_degrees(n, ca, c, xyz[after, N_SLOT])
    helix = (phi > -120) & (phi < -30) & (psi > -80) & (psi < 0)
    strand = ((phi < -40) | (phi > 150)) & ((psi > 90) | (psi < -150))
    return np.where(known, np.where(helix, 0, np.where(strand, 1, 2)), -1)


def _bonded(
    structure: Structure, residues: npt.NDArray[np.int64], following: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether C of one residue is bonded to N of the one that follows in the arrays [r]."""
    xyz, mask = structure.arrays["backbone_xyz_angstrom"], structure.arrays["backbone_mask"]
    there = mask[residues, C_SLOT] & mask[following, N_SLOT]
    length = np.linalg.norm(xyz[residues, C_SLOT] - xyz[following, N_SLOT], axis=1)
    same = structure.arrays["chain"][residues] == structure.arrays["chain"][following]
    return there & same & (length < PEPTIDE_BOND_ANGSTROM)


def _dihedral_degrees(*points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The dihedral angle of four points [r, 3] each, -180 to 180 degrees; 0 is eclipsed."""
    one, two, three = (after - before for before, after in itertools.pairwise(points))
    across, along = np.cross(one, two), np.cross(two, three)
    sine = np.sum(np.cross(across, along) * two, axis=1)
    cosine = np.sum(across * along, axis=1) * np.linalg.norm(two, axis=1)
    return np.degrees(np.arctan2(sine, cosine))
