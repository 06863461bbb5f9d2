"""The law of the demo world: the affinity of a synthetic complex follows from its interface alone.

    dG = MEAN + PER_POSITIVE * (positive - 0.35) / 0.22 + PER_PURINE * (purine - 0.5) / 0.22   [kcal/mol]

positive: fraction of Lys and Arg among the protein residues in the interface shell;
purine: fraction of A and G among the nucleotides in the interface shell;
in the shell: some heavy atom nearer than SHELL_ANGSTROM to some heavy atom of the other molecule.

The value is clipped to [LOWEST, HIGHEST]; a label is the value plus Gaussian noise of NOISE_SD, held within
LABEL_RANGE. Both terms are fractions, so neither the lengths nor the overall composition of the chains tell
them: they depend on which faces meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from copra.demo.geometry import squared_distances
from copra.demo.molecules import Chain

SHELL_ANGSTROM = 7.0
CONTACT_ANGSTROM = 5.0  # two residues in contact, as BioLiP counts binding residues
MEAN, PER_POSITIVE, PER_PURINE = -9.2, -1.35, -0.75
POSITIVE_CENTRE, POSITIVE_SCALE = 0.35, 0.22
PURINE_CENTRE, PURINE_SCALE = 0.5, 0.22
LOWEST, HIGHEST = -12.9, -5.6
NOISE_SD = 0.4
LABEL_RANGE = (-12.95, -5.55)
GAS_CONSTANT_KCAL_MOL_K = 1.98720425864083e-3
ROOM_TEMPERATURE_K = 298.15
POSITIVE_LETTERS, PURINE_LETTERS = "KR", "AG"


@dataclass(frozen=True)
class Terms:
    """The law's terms of one complex and how many residues they are counted over."""

    positive: float
    purine: float
    n_protein: int
    n_rna: int


def near_residues(
    protein: list[Chain], rna: list[Chain], cutoff_angstrom: float
) -> tuple[list[set[int]], list[set[int]]]:
    """For each protein chain and each RNA chain the indices of its residues nearer than the cutoff to the other."""
    limit = round(cutoff_angstrom * 1000) ** 2
    of_protein: list[set[int]] = [set() for _ in protein]
    of_rna: list[set[int]] = [set() for _ in rna]
    for i, one in enumerate(protein):
        for j, other in enumerate(rna):
            near = squared_distances(one.rounded(), other.rounded()) < limit
            of_protein[i].update(int(k) for k in one.owners()[near.any(axis=1)])
            of_rna[j].update(int(k) for k in other.owners()[near.any(axis=0)])
    return of_protein, of_rna


def terms_of(protein: list[Chain], rna: list[Chain]) -> Terms:
    """The law's terms from the coordinates as they are written."""
    of_protein, of_rna = near_residues(protein, rna, SHELL_ANGSTROM)
    letters = [chain.residues[i].letter for chain, found in zip(protein, of_protein, strict=True) for i in found]
    bases = [chain.residues[i].letter for chain, found in zip(rna, of_rna, strict=True) for i in found]
    positive = sum(letter in POSITIVE_LETTERS for letter in letters) / len(letters)
    purine = sum(base in PURINE_LETTERS for base in bases) / len(bases)
    return Terms(positive, purine, len(letters), len(bases))


def law_dg_kcal_mol(positive: float, purine: float) -> float:
    """The noise-free affinity of the law."""
    value = (
        MEAN
        + PER_POSITIVE * (positive - POSITIVE_CENTRE) / POSITIVE_SCALE
        + PER_PURINE * (purine - PURINE_CENTRE) / PURINE_SCALE
    )
    return min(max(value, LOWEST), HIGHEST)


def kd_molar(dg_kcal_mol: float, temperature_k: float) -> float:
    """The dissociation constant of an affinity at a temperature: exp(dG / RT)."""
    return math.exp(dg_kcal_mol / (GAS_CONSTANT_KCAL_MOL_K * temperature_k))


def dg_kcal_mol(kd: float, temperature_k: float) -> float:
    """The affinity of a dissociation constant in mol/L at a temperature: RT ln Kd."""
    return GAS_CONSTANT_KCAL_MOL_K * temperature_k * math.log(kd)
