"""The objects of the demo world: residues with atoms, chains, entries."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from copra.demo.geometry import Floats, Integers, thousandths

PROTEIN_NAMES = {
    "A": "ALA", "R": "ARG", "N": "ASN", "D": "ASP", "C": "CYS", "Q": "GLN", "E": "GLU", "G": "GLY", "H": "HIS",
    "I": "ILE", "L": "LEU", "K": "LYS", "M": "MET", "F": "PHE", "P": "PRO", "S": "SER", "T": "THR", "W": "TRP",
    "Y": "TYR", "V": "VAL",
}  # fmt: skip


@dataclass
class Residue:
    """One residue: component name, parent's one-letter code, atom names and positions [n, 3] in Angstrom."""

    name: str
    letter: str
    atoms: tuple[str, ...]
    xyz: Floats
    number: int = 0
    insertion: str = "?"
    observed: bool = True
    modified: bool = False
    alternate: bool = False  # the side chain is written twice, as locations A and B

    def atom(self, name: str) -> Floats:
        """Position [3] of the atom of that name."""
        return self.xyz[self.atoms.index(name)]


@dataclass
class Chain:
    """One polymer chain; `molecule` is protein, rna or dna."""

    name: str
    molecule: str
    residues: list[Residue]

    @property
    def sequence(self) -> str:
        """One-letter sequence of all residues, seen or not; modified residues as their parent."""
        return "".join(residue.letter for residue in self.residues)

    def points(self) -> Floats:
        """Positions of all observed atoms [n, 3] in Angstrom."""
        return np.concatenate([residue.xyz for residue in self.residues if residue.observed])

    def owners(self) -> Integers:
        """For each atom of `points` the index of its residue in the chain [n]."""
        counts = [(i, len(residue.atoms)) for i, residue in enumerate(self.residues) if residue.observed]
        return np.concatenate([np.full(count, i, dtype=np.int64) for i, count in counts])

    def move(self, points: Floats) -> None:
        """Replace the positions of all observed atoms by `points`, in the order of `points()`."""
        start = 0
        for residue in self.residues:
            if residue.observed:
                residue.xyz = points[start : start + len(residue.atoms)]
                start += len(residue.atoms)

    def rounded(self) -> Integers:
        """Positions of all observed atoms [n, 3] in 0.001 Angstrom, as written."""
        return thousandths(self.points())


@dataclass
class Entry:
    """One entry of the archive."""

    pdb_id: str
    family: str
    title: str
    chains: list[Chain]
    method: str
    resolution: float | None
    release_date: str
    models: int = 1
    ions: list[Floats] = field(default_factory=list)
    waters: list[Floats] = field(default_factory=list)
    hard_case: str = ""
    in_archive: bool = True
    damaged: bool = False

    def of(self, *molecules: str) -> list[Chain]:
        """The chains of the given molecule types, in order."""
        return [chain for chain in self.chains if chain.molecule in molecules]
