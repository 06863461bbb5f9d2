"""The pieces of benchmarks/synthetic_archive.py: folds with RNA strands docked onto them, and entries as mmCIF text.

Folds, strands and docking are those of the demo archive. What differs is speed: a fold is grown and its strands are
docked once; the members of a family are the same backbone with other side chains, each residue computed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from copra.demo.docking import touch_down
from copra.demo.geometry import (
    Floats,
    frame,
    random_rotation,
    rotate,
    squared_distances_float,
    to_global,
    unit,
)
from copra.demo.law import CONTACT_ANGSTROM
from copra.demo.molecules import PROTEIN_NAMES
from copra.demo.nucleic import backbone, nucleotide, rna_sequence
from copra.demo.protein import rotamers, side_chain
from copra.demo.world import new_fold

GAP_ANGSTROM = 3.0  # between the nearest heavy atoms of a protein and a strand
CLEAR_ANGSTROM = 5.0  # between strands
DIRECTIONS = 60  # tried for each strand
POLYMER = {"protein": "polypeptide(L)", "rna": "polyribonucleotide"}


@dataclass(frozen=True)
class Atoms:
    """A residue as it stands in a file: component, letter, atoms as `C CA` (element, name), positions in angstrom."""

    component: str
    letter: str
    names: tuple[str, ...]
    xyz: Floats


class Strand:
    """A strand of RNA where it lies on a fold; its bases can be exchanged."""

    def __init__(self, length: int, rng: np.random.Generator) -> None:
        self.sequence = rna_sequence(length, rng)
        self._sugars = backbone(length, rng.uniform(-7, 7, (length, 2)))
        self._turn, self._shift = np.eye(3), np.zeros(3)
        self._known: dict[tuple[int, str], Atoms] = {}
        self.touched: list[int] = []  # residues of the fold that this strand touches

    def points(self) -> Floats:
        """All atoms [n, 3]."""
        return np.concatenate([residue.xyz for residue in self.residues(self.sequence)])

    def residues(self, sequence: str) -> list[Atoms]:
        """The nucleotides with these bases."""
        return [self._nucleotide(i, letter) for i, letter in enumerate(sequence)]

    def place(self, turn: Floats, shift: Floats) -> None:
        """Turn [3, 3] the strand as it was grown, and shift it [3]."""
        self._turn, self._shift = turn, shift
        self._known.clear()

    def _nucleotide(self, i: int, letter: str) -> Atoms:
        found = self._known.get((i, letter))
        if found is None:
            made = nucleotide(self._sugars[i], letter, first=i == 0, deoxy=False)
            names = tuple(f'{name[0]} "{name}"' if "'" in name else f"{name[0]} {name}" for name in made.atoms)
            found = Atoms(letter, letter, names, rotate(made.xyz, self._turn) + self._shift)
            self._known[i, letter] = found
        return found


class Fold:
    """A protein backbone with strands docked onto it; its side chains can be exchanged."""

    def __init__(self, length: int, strand_lengths: Iterable[int], rng: np.random.Generator) -> None:
        grown = new_fold(length, rng)
        self.sequence = grown.sequence
        self._backbone = grown.backbone
        self._frames = [frame(ca, c, n) for n, ca, c, _ in grown.backbone]
        self._known: dict[tuple[int, str], Atoms] = {}
        own = self.residues(self.sequence)
        points = np.concatenate([residue.xyz for residue in own])
        owners = np.repeat(np.arange(length), [len(residue.xyz) for residue in own])
        self.strands: list[Strand] = []
        for n in strand_lengths:
            strand = Strand(n, rng)
            if _dock(strand, points, [other.points() for other in self.strands], rng):
                near = (squared_distances_float(points, strand.points()) < CONTACT_ANGSTROM**2).any(axis=1)
                strand.touched = np.unique(owners[near]).tolist()
                self.strands.append(strand)

    def residues(self, sequence: str) -> list[Atoms]:
        """The residues with these side chains."""
        return [self._residue(i, letter) for i, letter in enumerate(sequence)]

    def _residue(self, i: int, letter: str) -> Atoms:
        found = self._known.get((i, letter))
        if found is None:
            sides = to_global(rotamers(letter)[0], self._backbone[i, 1], self._frames[i])
            names = ("N", "CA", "C", "O", *side_chain(letter)[0])
            cells = tuple(f"{name[0]} {name}" for name in names)
            found = Atoms(PROTEIN_NAMES[letter], letter, cells, np.concatenate([self._backbone[i], sides]))
            self._known[i, letter] = found
        return found


def _dock(strand: Strand, fold: Floats, others: list[Floats], rng: np.random.Generator) -> bool:
    """Bring a strand down onto a fold [n, 3] from a random side, clear of the other strands; False where none is."""
    grown = strand.points()
    centred = grown - grown.mean(axis=0)
    for _ in range(DIRECTIONS):
        direction, turn = unit(rng.normal(size=3)), random_rotation(rng)
        aim = fold[int(rng.integers(len(fold)))]
        turned = rotate(centred, turn) + aim
        landed = touch_down(turned, fold, direction, GAP_ANGSTROM, np.ones(len(fold), dtype=bool))
        if landed is None:
            continue
        shift = landed.shift_angstrom * direction + aim - rotate(grown.mean(axis=0)[None], turn)[0]
        points = rotate(grown, turn) + shift
        if all(squared_distances_float(points, other).min() > CLEAR_ANGSTROM**2 for other in others):
            strand.place(turn, shift)
            return True
    return False


@dataclass
class Chain:
    """One chain: its parts are residues with a shift [3]; `head` are residues that are not in the coordinates."""

    name: str
    molecule: str
    parts: list[tuple[list[Atoms], Floats]]
    head: str = ""

    @property
    def sequence(self) -> str:
        """The full sequence."""
        return self.head + "".join(residue.letter for residues, _ in self.parts for residue in residues)

    @property
    def residues(self) -> str:
        """The same, for the writers of the demo's tables, which count residues."""
        return self.sequence


@dataclass
class Entry:
    """What the mmCIF file and the tables need of an entry."""

    pdb_id: str
    family: str
    chains: list[Chain]
    resolution: float | None
    release_date: str
    models: int = 1
    pairs: list[tuple[Chain, Chain, list[int]]] = field(default_factory=list)  # protein, RNA, residues that bind

    def of(self, *molecules: str) -> list[Chain]:
        """The chains of the given molecule types, in order."""
        return [chain for chain in self.chains if chain.molecule in molecules]


def mmcif_text(entry: Entry) -> str:
    """The entry as mmCIF: the categories that readers use, atoms to 0.001 angstrom."""
    entity: dict[tuple[str, str], int] = {}
    numbers = [entity.setdefault((chain.molecule, chain.sequence), len(entity) + 1) for chain in entry.chains]
    copies = Counter(numbers)
    method = "SOLUTION NMR" if entry.resolution is None else "X-RAY DIFFRACTION"
    high = "?" if entry.resolution is None else f"{entry.resolution:.2f}"
    lines = [
        f"data_{entry.pdb_id.upper()}", f"_entry.id {entry.pdb_id.upper()}",
        "_struct.title 'SYNTHETIC BENCHMARK COMPLEX, NOT A REAL STRUCTURE'", f"_exptl.method '{method}'",
        f"_refine.ls_d_res_high {high}",
        *_loop("pdbx_audit_revision_history", ("ordinal", "data_content_type", "revision_date")),
        f"1 'Structure model' {entry.release_date}",
        *_loop("entity", ("id", "type", "pdbx_description", "pdbx_number_of_molecules")),
        *(f"{n} polymer 'SYNTHETIC {kind} OF FAMILY {entry.family}' {copies[n]}" for (kind, _), n in entity.items()),
        *_loop("entity_poly", ("entity_id", "type", "pdbx_seq_one_letter_code_can")),
        *(f"{n} {POLYMER[kind]} {sequence}" for (kind, sequence), n in entity.items()),
        *_loop("entity_poly_seq", ("entity_id", "num", "mon_id", "hetero")),
        *(
            f"{n} {i} {PROTEIN_NAMES[letter] if kind == 'protein' else letter} n"
            for (kind, sequence), n in entity.items()
            for i, letter in enumerate(sequence, start=1)
        ),
        *_loop("struct_asym", ("id", "entity_id")),
        *(f"{_label(i)} {n}" for i, n in enumerate(numbers)),
        *_loop(
            "atom_site",
            ("group_PDB", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
             "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "auth_seq_id", "auth_asym_id", "occupancy",
             "B_iso_or_equiv", "pdbx_PDB_model_num", "Cartn_x", "Cartn_y", "Cartn_z", "id"),
        ),
    ]  # fmt: skip
    serial = 0
    for model in range(1, entry.models + 1):
        for i, (chain, n) in enumerate(zip(entry.chains, numbers, strict=True)):
            serial = _add_atoms(lines, chain, f"{_label(i)} {n}", model, serial)
    return "\n".join([*lines, "#", ""])


def _add_atoms(lines: list[str], chain: Chain, label: str, model: int, serial: int) -> int:
    """Append the rows of one chain; returns the last serial number."""
    number = len(chain.head)
    for residues, shift in chain.parts:
        xyz = (np.concatenate([residue.xyz for residue in residues]) + shift).tolist()
        start = 0
        for residue in residues:
            number += 1
            tail = f". {residue.component} {label} {number} ? {number} {chain.name} 1.00 30.00 {model}"
            for name, (x, y, z) in zip(residue.names, xyz[start : start + len(residue.names)], strict=True):
                serial += 1
                lines.append(f"ATOM {name} {tail} {x:.3f} {y:.3f} {z:.3f} {serial}")
            start += len(residue.names)
    return serial


def _loop(category: str, columns: tuple[str, ...]) -> list[str]:
    return ["#", "loop_", *(f"_{category}.{column}" for column in columns)]


def _label(index: int) -> str:
    """The label id of the chain at this place: A to Z, then AA, AB, ..."""
    first, last = divmod(index, 26)
    return (chr(64 + first) if first else "") + chr(65 + last)
