"""Protein-RNA binding residues by the rule of BioLiP, from coordinates.

BioLiP (Yang, Roy, Zhang 2013, Nucleic Acids Res. 41:D1096) calls two atoms in contact when they are closer than the
sum of their van der Waals radii + 0.5 angstrom, and a residue of the protein a binding residue when it has at least
two such contacts with the ligand. The radii are Bondi's (1964, J. Phys. Chem. 68:441: C 1.70, N 1.55, O 1.52, P 1.80,
S 1.80, Se 1.90 angstrom) with Mantina's (2009, J. Phys. Chem. A 113:5806) for what Bondi lacks, as gemmi holds them.
BioLiP does not print its radii. With these, on the 509 entries of the published PRI30k that were at hand, all 1,028
listed pairs whose chains are in the file have two binding residues or more, and none of the 130 chain pairs nearer
than 5 angstrom with fewer is listed.
"""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
import numpy.typing as npt

from copra.structure.distances import AtomPairs, partner_pairs
from copra.structure.residues import Structure

TOLERANCE_ANGSTROM = 0.5
MIN_CONTACTS_OF_BINDING_RESIDUE = 2
RADII_ANGSTROM = np.array([gemmi.Element(number).vdw_r for number in range(119)])  # [119] by atomic number


@dataclass(frozen=True)
class Binding:
    """What BioLiP's rule says of one protein chain and one RNA chain: heavy-atom contacts and binding residues."""

    n_atom_contacts: int
    n_binding_residues: int


NO_BINDING = Binding(0, 0)


def reach_angstrom(structure: Structure) -> float:
    """How far apart two atoms of a structure can be and still be in contact."""
    radius = RADII_ANGSTROM[structure.arrays["atom_element"]]
    return float(2 * radius.max(initial=0) + TOLERANCE_ANGSTROM)


def chain_bindings(structure: Structure, pairs: AtomPairs | None = None) -> dict[tuple[str, str], Binding]:
    """BioLiP's counts for each (protein chain, RNA chain) with at least one atom contact; hydrogens are not in it.

    Pairs further apart than the sum of the two largest radii + 0.5 angstrom (4.1 without selenium or halogens) have
    no contact and are not in the answer. `pairs` are the structure's, up to `reach_angstrom` or further; they are
    searched where they are not given.
    """
    residue, rna_chain = _atom_contacts(structure, pairs or partner_pairs(structure, reach_angstrom(structure)))
    n_chains = len(structure.chain_ids)
    site, n_contacts = np.unique(residue * n_chains + rna_chain, return_counts=True)
    protein_chain = structure.arrays["chain"].astype(np.int64)[site // n_chains]
    chain_pairs, pair_of_site = np.unique(protein_chain * n_chains + site % n_chains, return_inverse=True)
    is_binding = n_contacts >= MIN_CONTACTS_OF_BINDING_RESIDUE
    atoms, residues = (
        np.bincount(pair_of_site, counts, len(chain_pairs)).astype(np.int64) for counts in (n_contacts, is_binding)
    )
    names = structure.chain_ids
    return {
        (names[pair // n_chains], names[pair % n_chains]): Binding(int(n_atoms), int(n_residues))
        for pair, n_atoms, n_residues in zip(chain_pairs, atoms, residues, strict=True)
    }


def _atom_contacts(structure: Structure, pairs: AtomPairs) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Protein residue [K] and RNA chain [K] of each atom contact."""
    element = structure.arrays["atom_element"]
    radii = RADII_ANGSTROM[element[pairs.protein_atom]] + RADII_ANGSTROM[element[pairs.rna_atom]]
    touch = pairs.distance_angstrom < radii + TOLERANCE_ANGSTROM
    chain = structure.arrays["chain"].astype(np.int64)
    return pairs.protein_residue[touch], chain[pairs.rna_residue[touch]]
