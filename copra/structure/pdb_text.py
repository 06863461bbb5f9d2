"""A complex as the text of a PDB file, for programs that read no other format: single-letter chains, standard names.

The numbers of residues are their places in the full sequence of their chain, from 1: they are unique, need no insertion
codes and name mutations. A modified residue is written as its parent with the atoms that both have; a residue of
unknown type is left out. Only heavy atoms of the named chains are written.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.structure.atom_classes import PHOSPHATE_ATOMS, PROTEIN_BACKBONE_ATOMS, SUGAR_ATOMS
from copra.structure.interface import find_chains
from copra.structure.residues import FIRST_RNA, PROTEIN, RESIDUE_TYPES, RNA, UNKNOWN_TYPES, Structure

CHAIN_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
MAX_ATOMS, MAX_NUMBER = 99_999, 9_999  # what the columns hold, chain ends counted as atoms
LOWEST_ANGSTROM, HIGHEST_ANGSTROM = -999.999, 9999.999

# three-letter name and side-chain atoms of each amino acid
AMINO_ACIDS = {
    "A": ("ALA", "CB"), "R": ("ARG", "CB CG CD NE CZ NH1 NH2"), "N": ("ASN", "CB CG OD1 ND2"),
    "D": ("ASP", "CB CG OD1 OD2"), "C": ("CYS", "CB SG"), "Q": ("GLN", "CB CG CD OE1 NE2"),
    "E": ("GLU", "CB CG CD OE1 OE2"), "G": ("GLY", ""), "H": ("HIS", "CB CG ND1 CD2 CE1 NE2"),
    "I": ("ILE", "CB CG1 CG2 CD1"), "L": ("LEU", "CB CG CD1 CD2"), "K": ("LYS", "CB CG CD CE NZ"),
    "M": ("MET", "CB CG SD CE"), "F": ("PHE", "CB CG CD1 CD2 CE1 CE2 CZ"), "P": ("PRO", "CB CG CD"),
    "S": ("SER", "CB OG"), "T": ("THR", "CB OG1 CG2"), "W": ("TRP", "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2"),
    "Y": ("TYR", "CB CG CD1 CD2 CE1 CE2 CZ OH"), "V": ("VAL", "CB CG1 CG2"),
}  # fmt: skip
BASES = {
    "A": "N1 C2 N3 C4 C5 C6 N6 N7 C8 N9", "G": "N1 C2 N2 N3 C4 C5 C6 O6 N7 C8 N9",
    "C": "N1 C2 O2 N3 C4 N4 C5 C6", "U": "N1 C2 O2 N3 C4 O4 C5 C6",
}  # fmt: skip
THYMINE_METHYL = "C7"
ELEMENTS = "CNOPS"  # first letters of the names of all those atoms are their elements
MODIFIED, LEFT_OUT = "modified residues written as their parents", "residues of unknown type left out"
SELENIUM_IN_PLACE_OF = {"SE": "SD", "SEG": "SG"}  # selenomethionine, selenocysteine


class NotWritable(InputError):
    """A complex that the PDB format cannot hold."""


@dataclass(frozen=True)
class PdbText:
    """The text, the letters of each molecule's chains in the record's order, and what was changed, in words."""

    text: str
    protein_letters: str
    rna_letters: str
    notes: str


def pdb_text(structure: Structure, complex_id: str, protein_chains: list[str], rna_chains: list[str]) -> PdbText:
    """The named chains of a structure in PDB format.

    Raises InputError when a chain is not in the structure or is not of the wanted molecule; NotWritable, which is one,
    when there are more chains, atoms or residues than the format has places for, or a coordinate it cannot hold.
    """
    places = [
        *find_chains(structure, complex_id, protein_chains, PROTEIN),
        *find_chains(structure, complex_id, rna_chains, RNA),
    ]
    letters = _letters(complex_id, [structure.chain_ids[place] for place in places])
    lines: list[str] = []
    counts = {MODIFIED: 0, LEFT_OUT: 0}
    for place, letter in zip(places, letters, strict=True):
        lines += _chain_lines(structure, complex_id, place, letter, len(lines), counts)
    if len(lines) > MAX_ATOMS:
        raise NotWritable(f"complex {complex_id}: expected at most {MAX_ATOMS} atoms, found {len(lines)}")
    names = (*protein_chains, *rna_chains)
    renamed = [f"{name}={letter}" for name, letter in zip(names, letters, strict=True) if name != letter]
    notes = [f"chains renamed: {' '.join(renamed)}"] if renamed else []
    notes += [f"{what}: {count}" for what, count in counts.items() if count]
    n = len(protein_chains)
    return PdbText("\n".join([*lines, "END", ""]), "".join(letters[:n]), "".join(letters[n:]), "; ".join(notes))


def _letters(complex_id: str, names: list[str]) -> list[str]:
    """One letter for each chain: its own where that is one and free, else the first that is free."""
    if len(names) > len(CHAIN_LETTERS):
        raise NotWritable(f"complex {complex_id}: expected at most {len(CHAIN_LETTERS)} chains, found {len(names)}")
    taken: dict[int, str] = {}
    for i, name in enumerate(names):
        if len(name) == 1 and name in CHAIN_LETTERS and name not in taken.values():
            taken[i] = name
    free = iter([letter for letter in CHAIN_LETTERS if letter not in taken.values()])
    return [taken[i] if i in taken else next(free) for i in range(len(names))]


def _chain_lines(
    structure: Structure, complex_id: str, place: int, letter: str, serial: int, counts: dict[str, int]
) -> list[str]:
    """The ATOM lines of one chain and its TER; `serial` lines stand before them."""
    part, arrays = structure.chain_residues(place), structure.arrays
    number = arrays["polymer_index"][part].astype(int) + 1
    if len(number) and (number.max() > MAX_NUMBER or len(set(number.tolist())) < len(number)):
        raise NotWritable(
            f"complex {complex_id}: expected residues of chain {structure.chain_ids[place]} at different places up to "
            f"{MAX_NUMBER}, found {len(number)} up to {number.max()}"
        )
    lines, end = [], ""
    for r in range(part.start, part.stop):
        if arrays["residue_type"][r] in UNKNOWN_TYPES:
            counts[LEFT_OUT] += 1
            continue
        name, wanted = _written_as(structure, r)
        counts[MODIFIED] += bool(arrays["modified"][r])
        where = f"{name:>3} {letter}{number[r - part.start]:4d} "
        end = f"TER   {{:5d}}      {where}".rstrip()
        for a in range(structure.atom_offsets[r], structure.atom_offsets[r + 1]):
            atom = arrays["atom_name"][a].decode()
            atom = SELENIUM_IN_PLACE_OF.get(atom, atom)
            if atom in wanted:
                xyz = _numbers(complex_id, arrays["atom_xyz_angstrom"][a])
                serial += 1
                lines.append(
                    f"ATOM  {serial % 100_000:5d} {f' {atom}' if len(atom) < 4 else atom:<4} {where}   {xyz}"
                    f"  1.00  0.00          {atom[0]:>2}"
                )
    if not lines:
        raise NotWritable(
            f"complex {complex_id}: expected known residues in chain {structure.chain_ids[place]}, found none"
        )
    return [*lines, end.format((serial + 1) % 100_000)]


def _written_as(structure: Structure, residue: int) -> tuple[str, frozenset[str]]:
    """The name under which a residue is written, and the names of the atoms it has there."""
    kind = int(structure.arrays["residue_type"][residue])
    letter = RESIDUE_TYPES[kind]
    if kind < FIRST_RNA:
        name, side_chain = AMINO_ACIDS[letter]
        return name, frozenset((*PROTEIN_BACKBONE_ATOMS, *side_chain.split()))
    atoms = frozenset((*PHOSPHATE_ATOMS, *SUGAR_ATOMS, *BASES[letter].split()))
    if not structure.arrays["deoxy"][residue]:
        return letter, atoms
    deoxy = atoms - {"O2'"}
    return ("DT", deoxy | {THYMINE_METHYL}) if letter == "U" else (f"D{letter}", deoxy)


def _numbers(complex_id: str, xyz: npt.NDArray[np.float32]) -> str:
    """Three coordinates in columns of eight."""
    if not all(LOWEST_ANGSTROM <= value <= HIGHEST_ANGSTROM for value in xyz):  # no number is not in the range either
        raise NotWritable(
            f"complex {complex_id}: expected coordinates from {LOWEST_ANGSTROM} to {HIGHEST_ANGSTROM} angstrom, "
            f"found {xyz.tolist()}"
        )
    return "".join(f"{value:8.3f}" for value in xyz)
