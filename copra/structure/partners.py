"""The two sides of one complex and the atom pairs between them: what every measure of an interface starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.structure.distances import ChainAtoms, chain_atoms, near_pairs
from copra.structure.interface import find_chains
from copra.structure.residues import PROTEIN, RNA, Structure

DECIMALS = 4  # of a distance: a pair at a cutoff stays on its side whatever the rounding of the file's frame


@dataclass(frozen=True)
class Pairs:
    """K pairs of a protein atom and an RNA atom, unordered."""

    protein: npt.NDArray[np.int64]  # [K] place in Partners.protein
    rna: npt.NDArray[np.int64]  # [K] place in Partners.rna
    distance_angstrom: npt.NDArray[np.float64]  # [K] rounded to DECIMALS

    def where(self, chosen: npt.NDArray[np.bool_]) -> Pairs:
        """Those of the pairs that are chosen [K]."""
        return Pairs(self.protein[chosen], self.rna[chosen], self.distance_angstrom[chosen])


@dataclass(frozen=True)
class Partners:
    """Protein and RNA of one complex and their atom pairs nearer than `reach_angstrom`."""

    structure: Structure
    complex_id: str
    protein: ChainAtoms
    rna: ChainAtoms
    reach_angstrom: float
    pairs: Pairs

    def below(self, cutoff_angstrom: float) -> Pairs:
        """The pairs nearer than a cutoff of at most the reach; a pair at the cutoff is not among them."""
        assert cutoff_angstrom <= self.reach_angstrom, (cutoff_angstrom, self.reach_angstrom)
        return self.pairs.where(self.pairs.distance_angstrom < cutoff_angstrom)


def find_partners(
    structure: Structure, complex_id: str, protein_chains: list[str], rna_chains: list[str], reach_angstrom: float
) -> Partners:
    """The sides of a complex and their pairs of heavy atoms nearer than the reach.

    Raises InputError when a chain is not in the structure or is not of the wanted molecule, or a coordinate is no
    finite number.
    """
    protein = chain_atoms(structure, find_chains(structure, complex_id, protein_chains, PROTEIN))
    rna = chain_atoms(structure, find_chains(structure, complex_id, rna_chains, RNA))
    if not (np.isfinite(protein.xyz).all() and np.isfinite(rna.xyz).all()):
        raise InputError(f"complex {complex_id}: expected finite coordinates, found others in {structure.pdb_id}")
    first, second, distance = near_pairs(protein.xyz, rna.xyz, reach_angstrom)
    distance = np.round(distance, DECIMALS)
    pairs = Pairs(first, second, distance).where(distance < reach_angstrom)
    return Partners(structure, complex_id, protein, rna, reach_angstrom, pairs)


def distinct(places: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different numbers among `places` [K], ascending [d], and where each of `places` stands there [K].

    As numpy's unique, without its sorting: the numbers are small.
    """
    is_there = np.zeros(places.max(initial=-1) + 1, dtype=bool)
    is_there[places] = True
    return np.flatnonzero(is_there), (np.cumsum(is_there) - 1)[places]
