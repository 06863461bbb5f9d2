"""Classes of atoms and distance signatures: counted by hand, and against a slow loop on a real complex."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hand_made_complex import hand_made, moved, two_atoms, with_other_atom_order
from scipy.spatial.transform import Rotation

from copra.structure.atom_classes import (
    PROTEIN_CLASSES,
    RNA_CLASSES,
    atom_classes,
    named_atoms,
    nucleotide_parts,
    protein_classes,
    rna_classes,
)
from copra.structure.partners import find_partners
from copra.structure.pdb_text import AMINO_ACIDS, BASES
from copra.structure.residues import PROTEIN, RNA, Structure
from copra.structure.signatures import CUTOFFS_ANGSTROM, distance_signatures, signature_name

Reader = Callable[[str], Structure]


def signatures(structure: Structure, protein: list[str], rna: list[str]) -> dict[str, float]:
    return distance_signatures(find_partners(structure, "x", protein, rna, 12.0))


def counted(structure: Structure) -> dict[str, list[float]]:
    """Class pairs of chains A and R that have any count: name -> count at each cutoff."""
    found = signatures(structure, ["A"], ["R"])
    table = {
        f"{p} {r}": [found[signature_name(p, r, cutoff)] for cutoff in CUTOFFS_ANGSTROM]
        for p in PROTEIN_CLASSES
        for r in RNA_CLASSES
    }
    assert len(found) == len(table) * len(CUTOFFS_ANGSTROM) == 288
    return {name: counts for name, counts in table.items() if any(counts)}


# --- classes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "atom", "expected"),
    [
        ("R", "NH1", {"positive", "donor"}), ("K", "NZ", {"positive", "donor"}), ("K", "CE", {"neutral"}),
        ("K", "CD", {"hydrophobic"}), ("D", "OD1", {"negative", "acceptor"}), ("H", "CE1", {"aromatic"}),
        ("H", "ND1", {"positive", "donor", "acceptor", "aromatic"}), ("F", "CZ", {"hydrophobic", "aromatic"}),
        ("S", "OG", {"donor", "acceptor"}), ("M", "SD", {"sulphur"}), ("M", "CE", {"neutral"}),
        ("A", "N", {"donor"}), ("P", "N", {"neutral"}), ("A", "O", {"acceptor"}), ("A", "CA", {"neutral"}),
        ("W", "NE1", {"donor", "aromatic"}), ("Y", "OH", {"donor", "acceptor"}), ("N", "ND2", {"donor"}),
    ],
)  # fmt: skip
def test_classes_of_amino_acid_atoms(letter: str, atom: str, expected: set[str]) -> None:
    found = set(protein_classes(letter, atom))
    assert found == expected or (expected == {"neutral"} and not found)


@pytest.mark.parametrize(
    ("letter", "atom", "expected"),
    [
        ("A", "P", {"phosphate"}), ("A", "O5'", {"phosphate"}), ("U", "C1'", {"sugar"}), ("U", "O4'", {"sugar"}),
        ("U", "O2'", {"hydroxyl"}), ("A", "N6", {"base_donor"}), ("A", "N1", {"base_acceptor", "base_aromatic"}),
        ("G", "N1", {"base_donor", "base_aromatic"}), ("G", "O6", {"base_acceptor"}), ("C", "O2", {"base_acceptor"}),
        ("U", "N3", {"base_donor", "base_aromatic"}), ("C", "N3", {"base_acceptor", "base_aromatic"}),
        ("G", "N9", {"base_aromatic"}),
    ],
)  # fmt: skip
def test_classes_of_nucleotide_atoms(letter: str, atom: str, expected: set[str]) -> None:
    assert set(rna_classes(letter, atom)) == expected


def test_every_standard_atom_has_a_class() -> None:
    for letter, (name, side_chain) in AMINO_ACIDS.items():
        for atom in ("N", "CA", "C", "O", *side_chain.split()):
            structure = two_atoms((name, atom), ("A", "P"), 3.0)
            bits = atom_classes(structure, np.array([0]), np.array([0]), PROTEIN)
            expected = protein_classes(letter, atom) or ["neutral"]
            assert bits[0] == sum(1 << PROTEIN_CLASSES.index(found) for found in expected), (name, atom)
    for letter, text in BASES.items():
        for atom in (*text.split(), "P", "OP1", "C1'", "O2'"):
            structure = two_atoms(("GLY", "N"), (letter, atom), 3.0)
            bits = atom_classes(structure, np.array([1]), np.array([1]), RNA)
            assert bits[0] == sum(1 << RNA_CLASSES.index(found) for found in rna_classes(letter, atom)) > 0


def test_atoms_that_the_parent_lacks_go_by_their_element() -> None:
    assert counted(two_atoms(("MSE", "SE"), ("A", "P"), 3.0)).keys() == {"sulphur phosphate"}
    assert counted(two_atoms(("SEP", "O1P"), ("A", "P"), 3.0)).keys() == {"acceptor phosphate"}
    assert counted(two_atoms(("GLY", "N"), ("5MC", "CM5"), 3.0)) == {}
    assert counted(two_atoms(("GLY", "N"), ("4SU", "S4"), 3.0)) == {}


def test_parts_of_nucleotides_and_named_atoms() -> None:
    names = np.array(["P", "OP1", "O3'", "C5'", "O2'", "N9", "O6", "CM5"], dtype="S4")
    assert nucleotide_parts(names).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    structure = two_atoms(("LYS", "NZ"), ("A", "P"), 3.0)
    assert named_atoms(structure, np.array([1, 0]), ("C1'", "P", "NZ")).tolist() == [[-1, 1, -1], [-1, -1, 0]]


# --- signatures -----------------------------------------------------------------------------------


def test_two_atoms_are_counted_in_each_class_from_the_first_cutoff_beyond_them() -> None:
    found = counted(two_atoms(("LYS", "NZ"), ("A", "OP1"), 3.0))
    assert found == {"positive phosphate": [0, 1, 1, 1, 1, 1], "donor phosphate": [0, 1, 1, 1, 1, 1]}


@pytest.mark.parametrize(
    ("distance", "counts"),
    [
        (1.9999, [1, 1, 1, 1, 1, 1]), (2.0, [0, 1, 1, 1, 1, 1]), (3.9999, [0, 1, 1, 1, 1, 1]),
        (4.0, [0, 0, 1, 1, 1, 1]), (11.9999, [0, 0, 0, 0, 0, 1]),
    ],
)  # fmt: skip
def test_a_cutoff_is_not_below_itself(distance: float, counts: list[int]) -> None:
    assert counted(two_atoms(("LEU", "CD1"), ("U", "C1'"), distance)) == {"hydrophobic sugar": counts}


def test_at_the_last_cutoff_there_is_nothing() -> None:
    assert counted(two_atoms(("LEU", "CD1"), ("U", "C1'"), 12.0)) == {}
    assert counted(two_atoms(("LEU", "CD1"), ("U", "C1'"), 50.0)) == {}


def test_pairs_add_up() -> None:
    atoms = {"CB": (0.0, 0.0, 0.0), "CG": (0.0, 1.5, 0.0)}
    structure = hand_made(
        {"A": [("LYS", atoms), ("SER", {"CB": (0.0, 0.0, 1.0)})], "R": [("A", {"C1'": (5.0, 0.0, 0.0)})]},
        {"A": "protein", "R": "rna"},
    )
    assert counted(structure) == {"hydrophobic sugar": [0, 0, 2, 2, 2, 2], "neutral sugar": [0, 0, 1, 1, 1, 1]}


BRUTE = {
    ("positive", "phosphate"): (
        {("ARG", "NE"), ("ARG", "NH1"), ("ARG", "NH2"), ("LYS", "NZ"), ("HIS", "ND1"), ("HIS", "NE2")},
        {(n, a) for n in "ACGU" for a in ("P", "OP1", "OP2", "OP3", "O5'", "O3'")},
    ),
    ("negative", "base_donor"): (
        {("ASP", "OD1"), ("ASP", "OD2"), ("GLU", "OE1"), ("GLU", "OE2")},
        {("A", "N6"), ("G", "N1"), ("G", "N2"), ("C", "N4"), ("U", "N3")},
    ),
    ("aromatic", "hydroxyl"): (
        {(n, a) for n in ("PHE", "TYR") for a in ("CG", "CD1", "CD2", "CE1", "CE2", "CZ")}
        | {("HIS", a) for a in ("CG", "ND1", "CD2", "CE1", "NE2")}
        | {("TRP", a) for a in ("CG", "CD1", "CD2", "NE1", "CE2", "CE3", "CZ2", "CZ3", "CH2")},
        {(n, "O2'") for n in "ACGU"},
    ),
}


def named(structure: Structure, chain: str) -> list[tuple[str, str, list[float]]]:
    part = structure.chain_residues(structure.chain_ids.index(chain))
    return [
        (structure.arrays["residue_name"][r].decode(), structure.arrays["atom_name"][a].decode(),
         structure.arrays["atom_xyz_angstrom"][a].tolist())
        for r in range(part.start, part.stop)
        for a in range(structure.atom_offsets[r], structure.atom_offsets[r + 1])
    ]  # fmt: skip


def test_signatures_equal_a_slow_loop(real: Reader) -> None:
    structure = real("1ec6")
    found = signatures(structure, ["A"], ["D"])
    protein, rna = named(structure, "A"), named(structure, "D")
    for (p, r), (ours, theirs) in BRUTE.items():
        distances = [
            math.dist(xyz, other)
            for name, atom, xyz in protein if (name, atom) in ours
            for nucleotide, partner, other in rna if (nucleotide, partner) in theirs
        ]  # fmt: skip
        expected = [sum(d < cutoff for d in distances) for cutoff in CUTOFFS_ANGSTROM]
        assert [found[signature_name(p, r, cutoff)] for cutoff in CUTOFFS_ANGSTROM] == expected, (p, r)
        assert expected[-1] > 10


def test_signatures_grow_with_the_cutoff_and_know_no_frame(real: Reader, rng: np.random.Generator) -> None:
    structure = real("1aq4")
    here = signatures(structure, ["A", "B"], ["R"])
    for p in PROTEIN_CLASSES:
        for r in RNA_CLASSES:
            counts = [here[signature_name(p, r, cutoff)] for cutoff in CUTOFFS_ANGSTROM]
            assert counts == sorted(counts)
    there = moved(structure, Rotation.random(rng=rng).as_matrix(), np.array([10.0, -20.0, 5.0]))
    assert signatures(there, ["A", "B"], ["R"]) == here
    assert signatures(with_other_atom_order(structure, rng), ["B", "A"], ["R"]) == here
