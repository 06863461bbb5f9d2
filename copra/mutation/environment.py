"""Distance-pattern signatures of the surroundings of a residue, as mCSM makes them.

mCSM (Pires, Ascher, Blundell 2014, Bioinformatics 30:335; for nucleic acids Pires, Ascher 2017, Nucleic Acids Res.
45:W241) takes the atoms around the wild-type residue, names each by its class, and counts for each two classes the
pairs of atoms nearer than a cutoff, for a row of growing cutoffs. Classes and cutoffs are those with which
copra/structure/signatures.py describes a whole interface.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from copra.structure.atom_classes import PROTEIN_CLASSES, RNA_CLASSES, atom_classes
from copra.structure.distances import ChainAtoms
from copra.structure.partners import DECIMALS
from copra.structure.residues import PROTEIN, RNA, Structure
from copra.structure.signatures import CUTOFFS_ANGSTROM, signature_name

ENVIRONMENT_RADIUS_ANGSTROM = 10.0  # around the centre of the wild-type residue's heavy atoms
CLASSES = (*PROTEIN_CLASSES, *RNA_CLASSES)


def environment_signature(structure: Structure, residue: int, protein: ChainAtoms, rna: ChainAtoms) -> dict[str, float]:
    """For each two classes of atoms and each cutoff, how many pairs of the environment are nearer than the cutoff.

    The environment is every heavy atom of both sides within `ENVIRONMENT_RADIUS_ANGSTROM` of the mean position of the
    residue's heavy atoms, its own among them. 14 classes make 105 pairs of classes, which with 6 cutoffs are 630
    counts; an atom in several classes counts in each. A pair at exactly a cutoff is not below it.
    """
    arrays = structure.arrays
    start, stop = structure.atom_offsets[residue], structure.atom_offsets[residue + 1]
    centre = arrays["atom_xyz_angstrom"][start:stop].astype(np.float64).mean(axis=0)
    xyz, members = [], []
    for side, molecule, first in ((protein, PROTEIN, 0), (rna, RNA, len(PROTEIN_CLASSES))):
        from_centre = np.round(np.linalg.norm(side.xyz - centre, axis=1), DECIMALS)
        near = np.flatnonzero(from_centre < ENVIRONMENT_RADIUS_ANGSTROM)
        bits = atom_classes(structure, side.atoms[near], side.residue[near], molecule)
        n_classes = len(PROTEIN_CLASSES) if molecule == PROTEIN else len(RNA_CLASSES)
        member = np.zeros((len(near), len(CLASSES)))
        member[:, first : first + n_classes] = (bits[:, None] >> np.arange(n_classes)) & 1
        xyz.append(side.xyz[near])
        members.append(member)
    counts = _pair_counts(np.concatenate(xyz), np.concatenate(members))
    return {
        signature_name(CLASSES[i], CLASSES[j], cutoff): float(counts[k, i, j])
        for i in range(len(CLASSES))
        for j in range(i, len(CLASSES))
        for k, cutoff in enumerate(CUTOFFS_ANGSTROM)
    }


def _pair_counts(xyz: npt.NDArray[np.float64], member: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pairs of an atom of one class and another atom of the other, below each cutoff [cutoffs, classes, classes].

    `member` [a, classes] is 1 where an atom is in a class. Within a class each pair counts once.
    """
    distance = np.round(cdist(xyz, xyz), DECIMALS)
    np.fill_diagonal(distance, np.inf)
    counts = np.stack([member.T @ (distance < cutoff).astype(np.float64) @ member for cutoff in CUTOFFS_ANGSTROM])
    same = np.arange(member.shape[1])
    counts[:, same, same] /= 2
    return counts
