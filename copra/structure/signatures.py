"""Distance-pattern signatures of a protein-RNA interface, after mCSM.

mCSM (Pires, Ascher, Blundell 2014, Bioinformatics 30:335; for nucleic acids Pires, Ascher 2017, Nucleic Acids Res.
45:W241) makes a graph of the atoms, names each by its class, and counts for each pair of classes the atom pairs that
are nearer than a cutoff, for a row of growing cutoffs: a cumulative distribution of distances. There the atoms are
those around one mutated residue; here the complex is what is described, so the pairs are those between the protein and
the RNA. The classes of atoms stand in `atom_classes`; an atom in several classes is counted in each of them.
"""

from __future__ import annotations

import numpy as np

from copra.structure.atom_classes import PROTEIN_CLASSES, RNA_CLASSES, atom_classes
from copra.structure.partners import Partners, distinct
from copra.structure.residues import PROTEIN, RNA

CUTOFFS_ANGSTROM = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
REACH_ANGSTROM = CUTOFFS_ANGSTROM[-1]


def signature_name(protein_class: str, rna_class: str, cutoff_angstrom: float) -> str:
    """The name of one value of a signature."""
    return f"{protein_class}_to_{rna_class}_below_{cutoff_angstrom:g}_angstrom"


def distance_signatures(partners: Partners) -> dict[str, float]:
    """For each class of protein atoms, class of RNA atoms and cutoff how many pairs are nearer than the cutoff.

    8 x 6 x 6 = 288 counts, not divided by anything: a larger interface has larger ones. A pair at exactly a cutoff is
    counted from the next one on. `partners` reach at least to the last cutoff.
    """
    pairs = partners.below(REACH_ANGSTROM)
    sides = ((partners.protein, pairs.protein, PROTEIN), (partners.rna, pairs.rna, RNA))
    codes, classes = [], []
    for side, places, molecule in sides:
        near, place = distinct(places)
        bits = atom_classes(partners.structure, side.atoms[near], side.residue[near], molecule)
        # atoms with the same classes count alike: a few kinds of atoms instead of thousands
        kinds, kind = np.unique(bits, return_inverse=True)
        codes.append(kind[place])
        classes.append(kinds)
    shape = (len(CUTOFFS_ANGSTROM), max(1, len(classes[0])), max(1, len(classes[1])))
    shell = np.searchsorted(np.array(CUTOFFS_ANGSTROM), pairs.distance_angstrom, side="right")
    key = np.ravel_multi_index((shell, codes[0], codes[1]), shape)
    counts = np.bincount(key, minlength=shape[0] * shape[1] * shape[2]).reshape(shape)
    counts = counts.cumsum(axis=0)[:, : len(classes[0]), : len(classes[1])]  # [cutoff, kind, kind]
    member = [(kinds[:, None] >> np.arange(n)) & 1 for kinds, n in zip(classes, _numbers(), strict=True)]
    found = np.einsum("cij,ip,jr->prc", counts, *member)
    return {
        signature_name(p, r, cutoff): float(found[i, j, k])
        for i, p in enumerate(PROTEIN_CLASSES)
        for j, r in enumerate(RNA_CLASSES)
        for k, cutoff in enumerate(CUTOFFS_ANGSTROM)
    }


def _numbers() -> tuple[int, int]:
    return len(PROTEIN_CLASSES), len(RNA_CLASSES)
