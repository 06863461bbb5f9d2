"""Residue types, modified residues and their parents, and the arrays that hold one structure.

The layout of every array of a structure is written here once, in `RESIDUE_ARRAYS`, `ATOM_ARRAYS` and `Structure`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import gemmi
import numpy as np
import numpy.typing as npt

from copra.tables import RNA_CHAIN_TYPES

PROTEIN_LETTERS = "ARNDCQEGHILKMFPSTWYVX"
RNA_LETTERS = "ACGUN"
# index 0-20 protein, 21-25 RNA, 26-28 special nodes, 29 padding
RESIDUE_TYPES: tuple[str, ...] = (*PROTEIN_LETTERS, *RNA_LETTERS, "complex", "protein", "RNA", "padding")
LETTERS = np.array(list(PROTEIN_LETTERS + RNA_LETTERS), dtype="S1")  # of the first 26 types
FIRST_RNA = len(PROTEIN_LETTERS)
UNKNOWN_TYPES = (RESIDUE_TYPES.index("X"), RESIDUE_TYPES.index("N", FIRST_RNA))

PROTEIN, RNA = 0, 1  # values of `molecule` arrays
MOLECULE_TYPES = ("protein", "rna", "dna", "hybrid")

PROTEIN_BACKBONE = ("N", "CA", "C", "O")
RNA_BACKBONE = ("P", "C4'", "C1'", "N9")  # pyrimidines have N1 in the place of N9
REPRESENTATIVE_SLOT = 1  # CA or C4'

# Arrays with one entry per observed polymer residue: name -> (type, shape after the first axis)
RESIDUE_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "chain": ("i2", ()),  # index into the chain tuples
    "residue_name": ("S5", ()),  # component id as the file has it
    "residue_type": ("u1", ()),  # index into RESIDUE_TYPES
    "polymer_index": ("i4", ()),  # 0-based position in the chain's full sequence
    "auth_number": ("i4", ()),
    "insertion_code": ("S1", ()),  # b"" where there is none
    "modified": ("?", ()),  # not one of the standard residues of its molecule
    "deoxy": ("?", ()),  # a deoxyribonucleotide
    "backbone_xyz_angstrom": ("f4", (4, 3)),  # N CA C O | P C4' C1' N9-or-N1
    "backbone_mask": ("?", (4,)),
}
# Arrays with one entry per heavy atom, in the order of the residues
ATOM_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "atom_xyz_angstrom": ("f4", (3,)),
    "atom_name": ("S4", ()),
    "atom_element": ("u1", ()),  # atomic number
}

# Names that force fields and old files use for standard residues
ALIASES = {
    "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "HID": "HIS", "HIE": "HIS", "HIP": "HIS", "CYX": "CYS", "CYM": "CYS",
    "ASH": "ASP", "GLH": "GLU", "LYN": "LYS",
    "ADE": "A", "CYT": "C", "GUA": "G", "URA": "U", "URI": "U", "THY": "DT",
    "RA": "A", "RC": "C", "RG": "G", "RU": "U", "RA5": "A", "RC5": "C", "RG5": "G", "RU5": "U",
    "RA3": "A", "RC3": "C", "RG3": "G", "RU3": "U", "A5": "A", "C5": "C", "G5": "G", "U5": "U",
    "A3": "A", "C3": "C", "G3": "G", "U3": "U",
}  # fmt: skip

# Parents of nucleotides that gemmi's table does not hold (wwPDB Chemical Component Dictionary,
# mon_nstd_parent_comp_id, or the base where the dictionary names no parent). Modified ribonucleotides of chains:
RIBONUCLEOTIDE_PARENTS = {
    "5MC": "C", "4AC": "C", "6OO": "C",
    "A2M": "A", "A23": "A", "6IA": "A", "T6A": "A", "2MA": "A", "MIA": "A", "12A": "A", "6NW": "A", "ZJS": "A",
    "G7M": "G", "23G": "G", "YG": "G", "YYG": "G", "QUO": "G", "GDO": "G",
    "U8U": "U", "URU": "U", "MUM": "U", "CM0": "U", "3AU": "U", "B8N": "U", "3TD": "U", "2SU": "U", "SUR": "U",
}  # fmt: skip
# and those that are found on their own too, or whose sugar may be no ribose
OTHER_NUCLEOTIDE_PARENTS = {
    "CFL": "C", "CFZ": "C", "C5L": "C", "N4S": "C", "RPC": "C", "CTP": "C", "CDP": "C", "C5P": "C",
    "ATP": "A", "ADP": "A", "AMP": "A", "GTP": "G", "GMP": "G", "5GP": "G", "GF2": "G", "N6G": "G", "G5J": "G",
    "UFT": "U", "FHU": "U", "IU": "U", "5IU": "U", "5UD": "U", "U5P": "U", "UTP": "U", "UDP": "U", "UD5": "U",
    "T": "U", "RT": "U",
}  # fmt: skip

STANDARD = frozenset({
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET", "PHE", "PRO", "SER",
    "THR", "TRP", "TYR", "VAL", "A", "C", "G", "U", "DA", "DC", "DG", "DT",
})  # fmt: skip
RARE_PROTEIN_PARENTS = {"U": "C", "O": "K"}  # selenocysteine, pyrrolysine


@dataclass(frozen=True)
class Residue:
    """What is known of a component id; a letter is "" where it is not known."""

    kind: str  # "protein" | "rna" | "dna" | "" where not known
    protein_letter: str
    nucleotide_letter: str
    standard: bool


@cache
def residue(name: str) -> Residue:
    """Kind and parent letter of a component id, from gemmi's table and the nucleotide tables above."""
    found = gemmi.find_tabulated_residue(name)
    kinds = {
        gemmi.ResidueKind.AA: "protein", gemmi.ResidueKind.AAD: "protein", gemmi.ResidueKind.PAA: "protein",
        gemmi.ResidueKind.MAA: "protein", gemmi.ResidueKind.RNA: "rna", gemmi.ResidueKind.DNA: "dna",
    }  # fmt: skip
    kind = kinds.get(found.kind, "")
    letter = found.one_letter_code.upper().strip()
    if name in RIBONUCLEOTIDE_PARENTS:
        return Residue("rna", "", RIBONUCLEOTIDE_PARENTS[name], False)
    if name in OTHER_NUCLEOTIDE_PARENTS:
        return Residue(kind, "", OTHER_NUCLEOTIDE_PARENTS[name], False)
    protein = protein_letter(letter) if kind == "protein" else ""
    nucleotide = nucleotide_letter(letter) if kind != "protein" and letter else ""
    if protein == "X":
        protein = ""
    if nucleotide == "N":
        nucleotide = ""
    return Residue(kind, protein, nucleotide, name in STANDARD)


def protein_letter(letter: str) -> str:
    """A letter of the protein alphabet; selenocysteine and pyrrolysine go to their parents, others to X."""
    letter = RARE_PROTEIN_PARENTS.get(letter, letter)
    return letter if letter and letter in PROTEIN_LETTERS else "X"


def nucleotide_letter(letter: str) -> str:
    """A letter of the RNA alphabet; T becomes U, others N."""
    letter = "U" if letter == "T" else letter
    return letter if letter and letter in RNA_LETTERS else "N"


def type_index(letter: str, is_protein: bool) -> int:
    """The index of a one-letter residue in `RESIDUE_TYPES`."""
    return PROTEIN_LETTERS.index(letter) if is_protein else FIRST_RNA + RNA_LETTERS.index(letter)


@dataclass
class Structure:
    """Polymer residues and heavy atoms of the first model of one entry; R residues, A atoms, lengths in angstrom.

    Residues stand chain by chain; `arrays` holds `RESIDUE_ARRAYS` [R, ...] and `ATOM_ARRAYS` [A, ...];
    the atoms of residue r are `atom_offsets[r]:atom_offsets[r + 1]`.
    """

    pdb_id: str
    file_sha256: str
    method: str
    resolution_angstrom: float | None
    release_date: str
    n_models: int
    handled: dict[str, int]
    chain_ids: tuple[str, ...]  # author ids
    label_chains: tuple[str, ...]  # comma-joined label ids
    molecule_types: tuple[str, ...]  # of MOLECULE_TYPES
    sequences: tuple[str, ...]  # full sequence, one letter of the parent residue
    sequence_origins: tuple[str, ...]  # "seqres" | "observed"
    arrays: dict[str, npt.NDArray] = field(repr=False)
    atom_offsets: npt.NDArray[np.int64] = field(repr=False)  # [R + 1]

    def chain_residues(self, index: int) -> slice:
        """The residues of one chain."""
        first, last = np.searchsorted(self.arrays["chain"], [index, index + 1])
        return slice(int(first), int(last))

    def chain_is(self, molecule: int) -> npt.NDArray[np.bool_]:
        """Which chains count as PROTEIN or as RNA [chains]; a hybrid holds a ribonucleotide and counts as RNA."""
        wanted = ("protein",) if molecule == PROTEIN else RNA_CHAIN_TYPES
        return np.array([kind in wanted for kind in self.molecule_types], dtype=bool)

    def observed_sequence(self, index: int) -> str:
        """The observed residues of one chain as letters in their places, "-" where none is: as long as the sequence."""
        part = self.chain_residues(index)
        aligned = np.full(len(self.sequences[index]), b"-")
        aligned[self.arrays["polymer_index"][part]] = LETTERS[self.arrays["residue_type"][part]]
        return str(aligned.tobytes().decode())


def chain_gaps(structure: Structure, index: int) -> int:
    """How many stretches are missing inside a chain: jumps of the polymer index, or, where the full sequence is
    the observed one, jumps of the author's numbers."""
    part = structure.chain_residues(index)
    name = "polymer_index" if structure.sequence_origins[index] == "seqres" else "auth_number"
    return int(np.count_nonzero(np.diff(structure.arrays[name][part]) > 1))
