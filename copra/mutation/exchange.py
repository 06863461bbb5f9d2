"""What the exchange of one amino acid for another changes, from the two letters alone.

Sources of the scales: hydropathy Kyte, Doolittle 1982, J. Mol. Biol. 157:105; volumes of residues Zamyatnin 1972,
Prog. Biophys. Mol. Biol. 24:107; scores of exchanges are those of Biopython's matrices (BLOSUM62: Henikoff, Henikoff
1992, Proc. Natl. Acad. Sci. USA 89:10915). Classes of atoms stand in copra/structure/atom_classes.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from Bio.Align import substitution_matrices

from copra.errors import InputError
from copra.structure.atom_classes import PROTEIN_CLASSES, protein_classes
from copra.structure.pdb_text import AMINO_ACIDS

HYDROPATHY = {
    "A": 1.8, "R": -4.5, "N": -3.5, "D": -3.5, "C": 2.5, "Q": -3.5, "E": -3.5, "G": -0.4, "H": -3.2, "I": 4.5,
    "L": 3.8, "K": -3.9, "M": 1.9, "F": 2.8, "P": -1.6, "S": -0.8, "T": -0.7, "W": -0.9, "Y": -1.3, "V": 4.2,
}  # fmt: skip
VOLUME_ANGSTROM3 = {
    "A": 88.6, "R": 173.4, "N": 114.1, "D": 111.1, "C": 108.5, "Q": 143.8, "E": 138.4, "G": 60.1, "H": 153.2,
    "I": 166.7, "L": 166.7, "K": 168.6, "M": 162.9, "F": 189.9, "P": 112.7, "S": 89.0, "T": 116.1, "W": 227.8,
    "Y": 193.6, "V": 140.0,
}  # fmt: skip
BACKBONE = ("N", "CA", "C", "O")
_CHANGE = re.compile(r"([A-Z])-?[0-9]+[A-Z]?([A-Z])")


@dataclass(frozen=True)
class Change:
    """One exchange: letters of wild type and mutant, and the place (0-based) in the full sequence."""

    wildtype: str
    mutant: str
    polymer_index: int


def read_changes(mutation: str, polymer_indices: str) -> list[Change]:
    """The exchanges of a row of `mutants` or `mutation_records`; both texts are comma-joined in one order.

    Raises InputError where they do not fit each other or an exchange is not wild type, number, mutant.
    """
    names, places = mutation.split(","), polymer_indices.split(",")
    matches = [_CHANGE.fullmatch(name) for name in names]
    if len(names) != len(places) or not all(matches) or not all(place.isdigit() for place in places):
        raise InputError(f"mutation {mutation!r}: expected a form such as D210A and its places, found {places}")
    pairs = zip(matches, places, strict=True)
    return [Change(match[1], match[2], int(place)) for match, place in pairs if match]


def reverse(changes: Sequence[Change]) -> list[Change]:
    """The way back: from the mutant to the wild type."""
    return [Change(change.mutant, change.wildtype, change.polymer_index) for change in changes]


def exchange_features(changes: Sequence[Change], matrix: str) -> dict[str, float]:
    """Sums over the exchanges: the matrix's score, and mutant minus wild type of hydropathy and of volume (angstrom^3).

    The score is the same both ways; the other two change their sign. Raises InputError for an unknown matrix and a
    letter that is none of the 20 amino acids.
    """
    scores = _scores(matrix)
    _check(changes)
    return {
        "exchange_score": float(sum(scores[change.wildtype, change.mutant] for change in changes)),
        "hydropathy_change": float(sum(HYDROPATHY[c.mutant] - HYDROPATHY[c.wildtype] for c in changes)),
        "volume_change_angstrom3": float(
            sum(VOLUME_ANGSTROM3[c.mutant] - VOLUME_ANGSTROM3[c.wildtype] for c in changes)
        ),
    }


def pharmacophore_change(changes: Sequence[Change]) -> dict[str, float]:
    """For each class of protein atoms how many heavy atoms of it the mutant has more than the wild type.

    Summed over the exchanges; an atom in several classes counts in each. The way back has the opposite signs. Raises
    InputError for a letter that is none of the 20 amino acids.
    """
    _check(changes)
    total = np.zeros(len(PROTEIN_CLASSES))
    for change in changes:
        total += _class_counts(change.mutant) - _class_counts(change.wildtype)
    return {f"{name}_change": float(value) for name, value in zip(PROTEIN_CLASSES, total, strict=True)}


def _check(changes: Sequence[Change]) -> None:
    for change in changes:
        for letter in (change.wildtype, change.mutant):
            if letter not in HYDROPATHY:
                raise InputError(f"expected an exchange of two of the 20 amino acids, found {letter!r}")


@cache
def _scores(matrix: str) -> dict[tuple[str, str], float]:
    if matrix not in substitution_matrices.load():
        raise InputError(f"expected a substitution matrix of Biopython, found {matrix!r}")
    loaded = substitution_matrices.load(matrix)
    return {(a, b): float(loaded[a, b]) for a in HYDROPATHY for b in HYDROPATHY}


@cache
def _class_counts(letter: str) -> np.ndarray:
    """How many heavy atoms of an amino acid are in each class of PROTEIN_CLASSES, float64 [8]."""
    counts = np.zeros(len(PROTEIN_CLASSES))
    for atom in (*BACKBONE, *AMINO_ACIDS[letter][1].split()):
        for name in protein_classes(letter, atom) or ["neutral"]:
            counts[PROTEIN_CLASSES.index(name)] += 1
    return counts
