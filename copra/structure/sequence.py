"""What a chain is: its molecule type, its full sequence, and where its observed residues stand in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import gemmi
import numpy as np
import numpy.typing as npt

from copra.structure.conformers import ModelAtoms
from copra.structure.residues import nucleotide_letter, protein_letter, residue, type_index

NUCLEIC = (gemmi.PolymerType.Rna, gemmi.PolymerType.Dna, gemmi.PolymerType.DnaRnaHybrid)
BY_TYPE = {
    gemmi.PolymerType.Rna: "rna", gemmi.PolymerType.Dna: "dna", gemmi.PolymerType.DnaRnaHybrid: "hybrid"
}  # fmt: skip


@dataclass
class Chain:
    """One author chain; `rows` are its observed residues among the kept ones."""

    chain_id: str
    label_chains: str
    molecule_type: str
    sequence: str
    sequence_origin: str
    rows: npt.NDArray[np.int64]
    polymer_index: npt.NDArray[np.int64]  # 0-based, one per row
    letters: npt.NDArray[np.str_]  # parent letter of each row
    deoxy_by_atoms: bool


class Monomers:
    """The full sequences of a file's polymer entities and the parents that the file itself names."""

    def __init__(self, structure: gemmi.Structure, canonical: dict[str, str]) -> None:
        self.entities = {sub: entity for entity in structure.entities for sub in entity.subchains}
        # setup_entities gives PDB chains names such as Axp; label ids exist in mmCIF only
        self.has_labels = structure.input_format != gemmi.CoorFormat.Pdb
        self.parents: dict[tuple[str, bool], str] = {}
        for entity in structure.entities:
            letters = canonical.get(entity.name, "")
            if len(letters) == len(entity.full_sequence):
                is_protein = entity.polymer_type not in NUCLEIC
                for names, letter in zip(entity.full_sequence, letters, strict=True):
                    self.parents.setdefault((names.split(",")[0], is_protein), letter)
        for modified in structure.mod_residues:
            parent = residue(modified.parent_comp_id)
            if parent.protein_letter:
                self.parents.setdefault((modified.res_id.name, True), parent.protein_letter)
            if parent.nucleotide_letter:
                self.parents.setdefault((modified.res_id.name, False), parent.nucleotide_letter)

    def letter(self, name: str, is_protein: bool) -> str:
        """The parent's letter: by gemmi's table and ours, then by what the file says; X or N where unknown."""
        known = residue(name)
        told = self.parents.get((name, is_protein), "")
        if is_protein:
            return known.protein_letter or protein_letter(told)
        return known.nucleotide_letter or nucleotide_letter(told)


def describe_chain(
    chain_id: str, rows: npt.NDArray[np.int64], atoms: ModelAtoms, monomers: Monomers, handled: Counter[str]
) -> Chain | None:
    """Describe one author chain from its observed residues `rows`; None for polymers of another kind.

    The full sequence is that of SEQRES or entity_poly_seq. Where there is none, or where an observed residue is
    not the one that stands at its place, it is the observed sequence; `sequence_origin` says which.
    """
    observed = [name.decode() for name in atoms.name[rows]]
    subchains = [s.decode() for s in atoms.subchain[rows]]
    labels = list(dict.fromkeys(subchains))
    full: list[str] = []
    start = {}
    for label in labels:
        start[label] = len(full)
        entity = monomers.entities.get(label)
        full += list(entity.full_sequence) if entity is not None else []
    polymer_types = {monomers.entities[s].polymer_type for s in labels if s in monomers.entities}
    index = np.array([start[s] for s in subchains]) + atoms.label_seq[rows] - 1
    is_seqres = _fits(observed, full, index, atoms.label_seq[rows])
    if full and not is_seqres:
        handled["alignment_failed"] += 1
    if not is_seqres:
        handled["observed_sequence"] += 1
        full, index = observed, np.arange(len(observed))
    names = [monomer.split(",")[0] for monomer in full]
    # files without entities and old files name DNA residues like RNA; the sugar tells
    by_atoms = not monomers.has_labels and _lacks_o2(rows, atoms, observed)
    molecule = _molecule_type(names, polymer_types, by_atoms)
    if molecule == "other":
        handled["other_polymer_chains"] += 1
        return None
    is_protein = molecule == "protein"
    if by_atoms:
        handled["deoxy_by_atoms"] += 1
    return Chain(
        chain_id=chain_id,
        label_chains=",".join(labels) if monomers.has_labels else "",
        molecule_type=molecule,
        sequence="".join(monomers.letter(name, is_protein) for name in names),
        sequence_origin="seqres" if is_seqres else "observed",
        rows=rows,
        polymer_index=index,
        letters=np.array([monomers.letter(name, is_protein) for name in observed]),
        deoxy_by_atoms=by_atoms,
    )


def _fits(observed: list[str], full: list[str], index: npt.NDArray[np.int64], label_seq: npt.NDArray[np.int64]) -> bool:
    """Whether every observed residue has its own, ascending place in the full sequence and is named there."""
    if not full or np.any(label_seq < 1) or index[-1] >= len(full) or np.any(np.diff(index) <= 0):
        return False
    return all(name in full[i].split(",") for name, i in zip(observed, index.tolist(), strict=True))


def _lacks_o2(rows: npt.NDArray[np.int64], atoms: ModelAtoms, observed: list[str]) -> bool:
    """Whether residues named A, C, G or U of a chain have sugars, none of them with O2'."""
    named = rows[[name in ("A", "C", "G", "U", "T") for name in observed]]
    of_chain = np.isin(atoms.residue, named)
    names = atoms.atom_name[of_chain]
    return bool(np.any(names == b"C2'") and not np.any(names == b"O2'"))


def _molecule_type(names: list[str], polymer_types: set[gemmi.PolymerType], deoxy_by_atoms: bool) -> str:
    """protein, rna, dna, hybrid or other: by the polymer entity, else by which residues are in the majority.

    A nucleic acid is a hybrid where ribo- and deoxyribonucleotides occur in one chain.
    """
    kinds = Counter(residue(name).kind for name in names)
    ribo, deoxy = kinds["rna"], kinds["dna"]
    if deoxy_by_atoms:
        ribo, deoxy = 0, ribo + deoxy
    known = polymer_types - {gemmi.PolymerType.Unknown}
    if known == {gemmi.PolymerType.PeptideL}:
        return "protein"
    if known - set(NUCLEIC):
        return "other"
    if not known and kinds["protein"] >= ribo + deoxy:
        return "protein" if kinds["protein"] else "other"
    if ribo and deoxy:
        return "hybrid"
    if ribo or deoxy:
        return "rna" if ribo else "dna"
    return BY_TYPE[next(iter(known))] if len(known) == 1 else "other"


@dataclass
class ResidueCodes:
    """Per residue of the assembled structure [R]."""

    residue_type: npt.NDArray[np.uint8]
    modified: npt.NDArray[np.bool_]
    deoxy: npt.NDArray[np.bool_]
    unknown: npt.NDArray[np.bool_]


def residue_codes(
    names: npt.NDArray[np.bytes_],
    is_protein: npt.NDArray[np.bool_],
    letters: npt.NDArray[np.str_],
    rows: npt.NDArray[np.int64],
) -> ResidueCodes:
    """Types and marks of the residues `rows`, whose parent letters are `letters`."""
    ids, which = np.unique(names[rows], return_inverse=True)
    known = [residue(name.decode()) for name in ids]
    codes = np.zeros(len(rows), dtype=np.uint8)
    protein = is_protein[rows]
    for of_protein in (True, False):
        part = protein == of_protein
        found, inverse = np.unique(letters[part], return_inverse=True)
        codes[part] = np.array([type_index(str(x), of_protein) for x in found], dtype=np.uint8)[inverse]
    return ResidueCodes(
        residue_type=codes,
        modified=~np.array([k.standard for k in known], dtype=bool)[which],
        deoxy=np.array([k.kind == "dna" for k in known], dtype=bool)[which],
        unknown=np.isin(letters, ["X", "N"]) & (protein == (letters == "X")),
    )
