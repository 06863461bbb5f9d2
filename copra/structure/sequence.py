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
    residue_type: npt.NDArray[np.uint8]  # of each row
    modified: npt.NDArray[np.bool_]  # of each row
    deoxy: npt.NDArray[np.bool_]  # of each row


class Monomers:
    """The full sequences of a file's polymer entities and the parents that the file itself names."""

    def __init__(self, structure: gemmi.Structure, canonical: dict[str, str]) -> None:
        self.entities = {sub: entity for entity in structure.entities for sub in entity.subchains}
        # setup_entities gives PDB chains names such as Axp; label ids exist in mmCIF only
        self.has_labels = structure.input_format != gemmi.CoorFormat.Pdb
        self.letters = {True: _Letters(True), False: _Letters(False)}
        for modified in structure.mod_residues:
            parent = residue(modified.parent_comp_id)
            self.letters[True].tell(modified.res_id.name, parent.protein_letter)
            self.letters[False].tell(modified.res_id.name, parent.nucleotide_letter)
        for entity in structure.entities:
            letters = canonical.get(entity.name, "")
            if len(letters) == len(entity.full_sequence):
                told = self.letters[entity.polymer_type not in NUCLEIC]
                for names, letter in dict.fromkeys(zip(entity.full_sequence, letters, strict=True)):
                    told.tell(names.split(",")[0], letter)


class _Letters(dict[str, str]):
    """Component id -> letter of the parent: by gemmi's table and ours, then by what the file says, else X or N."""

    def __init__(self, is_protein: bool) -> None:
        self._is_protein = is_protein
        self._unknown = "X" if is_protein else "N"
        self._told: dict[str, str] = {}

    def tell(self, name: str, letter: str) -> None:
        """What the file says of a component; the first known letter counts."""
        letter = protein_letter(letter) if self._is_protein else nucleotide_letter(letter)
        if letter != self._unknown:
            self._told.setdefault(name, letter)

    def __missing__(self, name: str) -> str:
        known = residue(name)
        letter = known.protein_letter if self._is_protein else known.nucleotide_letter
        self[name] = letter or self._told.get(name, self._unknown)
        return self[name]


def describe_chain(
    chain_id: str, rows: npt.NDArray[np.int64], atoms: ModelAtoms, monomers: Monomers, handled: Counter[str]
) -> Chain | None:
    """Describe one author chain from its observed residues `rows`; None for polymers of another kind.

    The full sequence is that of SEQRES or entity_poly_seq. Where there is none, or where an observed residue is
    not the one that stands at its place, it is the observed sequence; `sequence_origin` says which.
    """
    observed = [name.decode() for name in atoms.name[rows].tolist()]
    subchains = [s.decode() for s in atoms.subchain[rows].tolist()]
    full: list[str] = []
    start = dict.fromkeys(subchains, 0)
    for label in start:
        start[label] = len(full)
        entity = monomers.entities.get(label)
        full += entity.full_sequence if entity is not None else []
    polymer_types = {monomers.entities[s].polymer_type for s in start if s in monomers.entities}
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
    letters = monomers.letters[is_protein]
    codes = {name: type_index(letters[name], is_protein) for name in set(observed)}
    known = {name: residue(name) for name in codes}
    return Chain(
        chain_id=chain_id,
        label_chains=",".join(start) if monomers.has_labels else "",
        molecule_type=molecule,
        sequence="".join([letters[name] for name in names]),
        sequence_origin="seqres" if is_seqres else "observed",
        rows=rows,
        polymer_index=index,
        residue_type=np.array([codes[name] for name in observed], dtype=np.uint8),
        modified=np.array([not known[name].standard for name in observed], dtype=bool),
        deoxy=np.array([by_atoms or known[name].kind == "dna" for name in observed], dtype=bool),
    )


def _fits(observed: list[str], full: list[str], index: npt.NDArray[np.int64], label_seq: npt.NDArray[np.int64]) -> bool:
    """Whether every observed residue has its own, ascending place in the full sequence and is named there."""
    if not full or np.any(label_seq < 1) or index[-1] >= len(full) or np.any(np.diff(index) <= 0):
        return False
    # an entity with two names at one place has them with a comma between
    expected = [full[i] for i in index.tolist()]
    return expected == observed or all(o in e.split(",") for o, e in zip(observed, expected, strict=True))


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
    kinds: Counter[str] = Counter()
    for name, count in Counter(names).items():
        kinds[residue(name).kind] += count
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
