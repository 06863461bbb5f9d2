"""What the atoms of a protein-RNA interface can do: classes of their interactions, and the parts of a nucleotide.

The classes are those by which graph-based signatures name atoms (Pires, Ascher, Blundell 2014, Bioinformatics 30:335;
nucleic acids: Pires, Ascher 2017, Nucleic Acids Res. 45:W241), at neutral pH. An atom may be in several. A modified
residue counts as its parent; an atom that its parent does not have is classed by its element.

Protein:

| class | atoms |
| --- | --- |
| hydrophobic | side-chain carbons that are bonded to nothing but carbon and hydrogen |
| positive | nitrogens of the charged ends of Arg (NE NH1 NH2), Lys (NZ) and His (ND1 NE2) |
| negative | carboxylate oxygens of Asp and Glu |
| donor | backbone N but proline's; nitrogens and hydroxyls of side chains that carry hydrogen |
| acceptor | backbone O and OXT; oxygens of side chains; ND1 and NE2 of His |
| aromatic | ring atoms of Phe, Tyr, Trp and His |
| sulphur | SG, SD, and the selenium in the place of one |
| neutral | every other atom |

RNA:

| class | atoms |
| --- | --- |
| phosphate | P and the oxygens on it: OP1 OP2 OP3 O5' O3' |
| sugar | ribose without its hydroxyl: C1' C2' C3' C4' C5' O4' |
| hydroxyl | O2' |
| base_donor | N6 of A; N1 N2 of G; N4 of C; N3 of U |
| base_acceptor | N1 N3 N7 of A; N3 N7 O6 of G; N3 O2 of C; O2 O4 of U |
| base_aromatic | ring atoms of the base, so also its ring nitrogens |
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from copra.structure.residues import PROTEIN, PROTEIN_LETTERS, RNA_LETTERS, Structure, type_index

# one-letter residue -> the atoms of each of its flat groups
Rings = dict[str, tuple[tuple[str, ...], ...]]

PROTEIN_CLASSES = ("hydrophobic", "positive", "negative", "donor", "acceptor", "aromatic", "sulphur", "neutral")
RNA_CLASSES = ("phosphate", "sugar", "hydroxyl", "base_donor", "base_acceptor", "base_aromatic")
NUCLEOTIDE_PARTS = ("phosphate", "sugar", "base")

PROTEIN_BACKBONE_ATOMS = ("N", "CA", "C", "O", "OXT")
PHOSPHATE_ATOMS = ("P", "OP1", "OP2", "OP3", "O5'", "O3'")
SUGAR_ATOMS = ("C1'", "C2'", "C3'", "C4'", "C5'", "O4'", "O2'")
SIX_RING = ("N1", "C2", "N3", "C4", "C5", "C6")
FIVE_RING = ("N7", "C8", "N9")  # with C4 and C5 a purine's second ring
PROTEIN_RINGS: Rings = {
    "F": (("CG", "CD1", "CD2", "CE1", "CE2", "CZ"),),
    "Y": (("CG", "CD1", "CD2", "CE1", "CE2", "CZ"),),
    "W": (("CG", "CD1", "CD2", "NE1", "CE2"), ("CD2", "CE2", "CE3", "CZ2", "CZ3", "CH2")),
    "H": (("CG", "ND1", "CD2", "CE1", "NE2"),),
}

# side-chain atoms by one-letter residue
HYDROPHOBIC = {
    "A": "CB", "R": "CB CG", "N": "CB", "D": "CB", "Q": "CB CG", "E": "CB CG", "H": "CB", "I": "CB CG1 CG2 CD1",
    "L": "CB CG CD1 CD2", "K": "CB CG CD", "M": "CB", "F": "CB CG CD1 CD2 CE1 CE2 CZ", "P": "CB CG", "T": "CG2",
    "W": "CB CG CD2 CE3 CZ2 CZ3 CH2", "Y": "CB CG CD1 CD2 CE1 CE2", "V": "CB CG1 CG2",
}  # fmt: skip
POSITIVE = {"R": "NE NH1 NH2", "K": "NZ", "H": "ND1 NE2"}
NEGATIVE = {"D": "OD1 OD2", "E": "OE1 OE2"}
DONOR = {
    "R": "NE NH1 NH2", "N": "ND2", "Q": "NE2", "H": "ND1 NE2", "K": "NZ", "S": "OG", "T": "OG1", "W": "NE1",
    "Y": "OH",
}  # fmt: skip
ACCEPTOR = {
    "N": "OD1", "D": "OD1 OD2", "Q": "OE1", "E": "OE1 OE2", "H": "ND1 NE2", "S": "OG", "T": "OG1", "Y": "OH",
}  # fmt: skip
SULPHUR = {"C": "SG", "M": "SD"}
BASE_DONOR = {"A": "N6", "G": "N1 N2", "C": "N4", "U": "N3"}
BASE_ACCEPTOR = {"A": "N1 N3 N7", "G": "N3 N7 O6", "C": "N3 O2", "U": "O2 O4"}

NITROGEN, OXYGEN, SULPHUR_NUMBER, SELENIUM = 7, 8, 16, 34


def protein_classes(letter: str, atom: str) -> list[str]:
    """The classes of one atom of an amino acid; none for a side-chain atom that is neutral or not there."""
    if atom in PROTEIN_BACKBONE_ATOMS:
        found = {"N": [] if letter == "P" else ["donor"], "O": ["acceptor"], "OXT": ["acceptor"]}.get(atom, [])
        return found or ["neutral"]
    rings = {name for ring in PROTEIN_RINGS.get(letter, ()) for name in ring}
    tables = (HYDROPHOBIC, POSITIVE, NEGATIVE, DONOR, ACCEPTOR)
    found = [
        name for name, table in zip(PROTEIN_CLASSES, tables, strict=False) if atom in table.get(letter, "").split()
    ]
    found += ["aromatic"] * (atom in rings) + ["sulphur"] * (atom in SULPHUR.get(letter, "").split())
    return found


def rna_classes(letter: str, atom: str) -> list[str]:
    """The classes of one atom of a nucleotide; none where it has no such atom or none of the classes fits."""
    if atom in PHOSPHATE_ATOMS:
        return ["phosphate"]
    if atom in SUGAR_ATOMS:
        return ["hydroxyl" if atom == "O2'" else "sugar"]
    found = [
        name for name, table in (("base_donor", BASE_DONOR), ("base_acceptor", BASE_ACCEPTOR))
        if atom in table.get(letter, "").split()
    ]  # fmt: skip
    ring = SIX_RING if letter in "CU" else (*SIX_RING, *FIVE_RING)
    return [*found, "base_aromatic"] if atom in ring else found


def atom_classes(
    structure: Structure, atoms: npt.NDArray[np.int64], residues: npt.NDArray[np.int64], molecule: int
) -> npt.NDArray[np.int64]:
    """Classes of atoms as bits [a]: bit i for class i of PROTEIN_CLASSES, or of RNA_CLASSES where `molecule` is RNA.

    `residues` [a] are the atoms' residues.
    """
    elements = structure.arrays["atom_element"][atoms]
    names = PROTEIN_CLASSES if molecule == PROTEIN else RNA_CLASSES
    keys, values = _table(molecule)
    key = _keys(structure.arrays["residue_type"][residues], structure.arrays["atom_name"][atoms])
    place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    known = keys[place] == key
    found = np.where(known, values[place], 0)
    if molecule == PROTEIN:
        by_element = {NITROGEN: "donor", OXYGEN: "acceptor", SULPHUR_NUMBER: "sulphur", SELENIUM: "sulphur"}
        other = "neutral"
    else:
        by_element, other = {NITROGEN: "base_donor", OXYGEN: "base_acceptor"}, ""
    for element in np.unique(elements[~known]):
        name = by_element.get(int(element), other)
        found[~known & (elements == element)] = 1 << names.index(name) if name else 0
    return found


def has_class(classes: npt.NDArray[np.int64], molecule: int, *names: str) -> npt.NDArray[np.bool_]:
    """Which atoms are in one of the named classes [a], from the bits of `atom_classes`."""
    order = PROTEIN_CLASSES if molecule == PROTEIN else RNA_CLASSES
    return (classes & sum(1 << order.index(name) for name in names)) != 0


def nucleotide_parts(names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
    """The part of its nucleotide to which each atom belongs by its name [a]: index into NUCLEOTIDE_PARTS."""
    part = np.full(len(names), NUCLEOTIDE_PARTS.index("base"))
    part[np.isin(names, _bytes(SUGAR_ATOMS))] = NUCLEOTIDE_PARTS.index("sugar")
    part[np.isin(names, _bytes(PHOSPHATE_ATOMS))] = NUCLEOTIDE_PARTS.index("phosphate")
    return part


def is_backbone(names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bool_]:
    """Which atoms of amino acids are backbone, by their names [a]."""
    return np.isin(names, _bytes(PROTEIN_BACKBONE_ATOMS))


def named_atoms(structure: Structure, residues: npt.NDArray[np.int64], names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """The atom of each name in each residue [r, names], -1 where it is absent."""
    start, stop = structure.atom_offsets[residues], structure.atom_offsets[residues + 1]
    sizes = stop - start
    row = np.repeat(np.arange(len(residues)), sizes)
    atoms = np.arange(len(row)) + np.repeat(start - np.cumsum(sizes) + sizes, sizes)
    codes = _codes(structure.arrays["atom_name"][atoms])
    wanted = _codes(_bytes(names))
    order = np.argsort(wanted)
    place = np.minimum(np.searchsorted(wanted[order], codes), len(names) - 1)
    hit = wanted[order][place] == codes
    found = np.full((len(residues), len(names)), -1, dtype=np.int64)
    found[row[hit], order[place[hit]]] = atoms[hit]
    return found


def _all_names(of_protein: bool) -> list[str]:
    """Every atom name that one of the tables holds."""
    tables: tuple[dict[str, str], ...] = (BASE_DONOR, BASE_ACCEPTOR)
    names = {*PHOSPHATE_ATOMS, *SUGAR_ATOMS, *SIX_RING, *FIVE_RING}
    if of_protein:
        tables = (HYDROPHOBIC, POSITIVE, NEGATIVE, DONOR, ACCEPTOR, SULPHUR)
        names = {
            *PROTEIN_BACKBONE_ATOMS,
            *(name for rings in PROTEIN_RINGS.values() for ring in rings for name in ring),
        }
    return sorted(names | {name for table in tables for text in table.values() for name in text.split()})


def _bytes(names: tuple[str, ...]) -> npt.NDArray[np.bytes_]:
    return np.array(names, dtype="S4")


def _codes(names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
    """Four-letter names as numbers, which compare faster than texts."""
    return np.ascontiguousarray(names, dtype="S4").view("<u4").astype(np.int64)


def _keys(types: npt.NDArray[np.uint8], names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
    return types.astype(np.int64) << 32 | _codes(names)


@cache
def _table(molecule: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sorted keys of residue type and atom name, and the class bits of each."""
    of_protein = molecule == PROTEIN
    letters, order = (PROTEIN_LETTERS, PROTEIN_CLASSES) if of_protein else (RNA_LETTERS, RNA_CLASSES)
    rows: dict[int, int] = {}
    for letter in letters:
        for atom in _all_names(of_protein):
            found = protein_classes(letter, atom) if of_protein else rna_classes(letter, atom)
            if found:
                kind = np.array([type_index(letter, of_protein)], dtype=np.uint8)
                key = int(_keys(kind, _bytes((atom,)))[0])
                rows[key] = sum(1 << order.index(name) for name in found)
    keys = np.array(sorted(rows), dtype=np.int64)
    return keys, np.array([rows[key] for key in keys.tolist()], dtype=np.int64)
