"""Properties of interfaces: counted by hand, and on real complexes against slow loops and Biopython."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB.vectors import Vector, calc_dihedral
from hand_made_complex import Atoms, hand_made, moved, two_atoms, with_other_atom_order
from scipy.spatial.transform import Rotation

from copra.errors import InputError
from copra.structure.interface_properties import AMINO_ACIDS, interface_properties, interface_size
from copra.structure.local_shape import backbone_classes, is_paired
from copra.structure.measure import measure_complex
from copra.structure.partners import find_partners
from copra.structure.residues import Structure
from copra.structure.rings import BASE_RINGS, GUANIDINIUM, planes, stacked

Reader = Callable[[str], Structure]


def properties(structure: Structure, cutoff: float = 5.0, buried: float = 100.0) -> dict[str, float]:
    return interface_properties(find_partners(structure, "x", ["A"], ["R"], 12.0), cutoff, buried)


def rna_with(*residues: tuple[str, Atoms]) -> dict[str, list[tuple[str, Atoms]]]:
    return {"R": list(residues)}


# --- counted by hand ------------------------------------------------------------------------------


def test_size_of_a_hand_made_interface() -> None:
    structure = hand_made(
        {
            "A": [
                ("LYS", {"CA": (0.0, 0.0, 0.0), "NZ": (0.0, 2.0, 0.0)}),
                ("ALA", {"CB": (0.0, 0.0, 30.0)}),
                ("SER", {"OG": (8.0, 0.0, 0.0)}),
            ],
            "R": [("A", {"OP1": (4.0, 0.0, 0.0)}), ("U", {"O2": (4.0, 2.0, 0.0)}), ("G", {"N9": (0.0, 90.0, 0.0)})],
        },
        {"A": "protein", "R": "rna"},
    )
    size = interface_size(find_partners(structure, "x", ["A"], ["R"], 12.0), 4.4, 55.5)
    # CA, NZ and OG are 4 from OP1 or O2 across, 4.472 at a slant
    assert size == {
        "n_protein_residues_in_contact": 2, "n_nucleotides_in_contact": 2, "n_residue_contacts": 3,
        "n_atom_contacts": 3, "nearest_distance_angstrom": 4.0, "buried_area_angstrom2": 55.5,
    }  # fmt: skip
    wider = interface_size(find_partners(structure, "x", ["A"], ["R"], 12.0), 4.5, 55.5)
    assert (wider["n_atom_contacts"], wider["n_residue_contacts"]) == (6, 4)


@pytest.mark.parametrize(
    ("protein", "rna", "distance", "bonds"),
    [
        (("SER", "OG"), ("A", "OP1"), 3.4, 1), (("SER", "OG"), ("A", "OP1"), 3.5, 0),
        (("ALA", "N"), ("A", "O4'"), 3.0, 1), (("PRO", "N"), ("A", "OP1"), 3.0, 0),
        (("ASP", "OD1"), ("A", "OP1"), 3.0, 0), (("ASP", "OD1"), ("A", "O2'"), 3.0, 1),
        (("ASP", "OD1"), ("A", "O4'"), 3.0, 0), (("ASP", "OD1"), ("A", "N6"), 3.0, 1),
        (("ASP", "OD1"), ("A", "N1"), 3.0, 0),
        (("LYS", "NZ"), ("G", "N7"), 3.0, 1), (("LYS", "NZ"), ("G", "N1"), 3.0, 0),
        (("LYS", "NZ"), ("G", "P"), 3.0, 0), (("LEU", "CD1"), ("G", "O6"), 3.0, 0),
    ],
)  # fmt: skip
def test_hydrogen_bonds(protein: tuple[str, str], rna: tuple[str, str], distance: float, bonds: int) -> None:
    found = properties(two_atoms(protein, rna, distance))
    assert found["n_hydrogen_bonds"] == bonds
    parts = {name: value for name, value in found.items() if name.startswith("n_hydrogen_bonds_")}
    assert sum(parts.values()) == bonds
    assert len(parts) == 6
    if bonds:
        side = "backbone" if protein[1] in ("N", "O") else "side_chain"
        sugar, phosphate = rna[1] in ("O4'", "O2'"), rna[1] == "OP1"
        part = "sugar" if sugar else "phosphate" if phosphate else "base"
        assert parts[f"n_hydrogen_bonds_{side}_to_{part}"] == 1


@pytest.mark.parametrize(
    ("protein", "rna", "distance", "arginine", "lysine"),
    [
        (("ARG", "NH1"), ("A", "OP1"), 3.9, 1, 0), (("ARG", "NH1"), ("A", "OP1"), 4.0, 0, 0),
        (("LYS", "NZ"), ("A", "OP2"), 3.9, 0, 1), (("HIS", "ND1"), ("A", "OP1"), 3.0, 0, 0),
        (("LYS", "NZ"), ("A", "O3'"), 3.0, 0, 0), (("LYS", "N"), ("A", "OP1"), 3.0, 0, 0),
    ],
)  # fmt: skip
def test_salt_bridges(
    protein: tuple[str, str], rna: tuple[str, str], distance: float, arginine: int, lysine: int
) -> None:
    found = properties(two_atoms(protein, rna, distance))
    assert (found["n_salt_bridges_arginine"], found["n_salt_bridges_lysine"]) == (arginine, lysine)


def test_a_residue_pair_is_one_salt_bridge() -> None:
    atoms = {"NH1": (0.0, 0.0, 0.0), "NH2": (0.0, 1.0, 0.0)}
    structure = hand_made(
        {"A": [("ARG", atoms)], **rna_with(("A", {"OP1": (3.0, 0.0, 0.0), "OP2": (3.0, 1.0, 0.0)}))},
        {"A": "protein", "R": "rna"},
    )
    assert properties(structure)["n_salt_bridges_arginine"] == 1
    assert properties(structure)["n_hydrogen_bonds_side_chain_to_phosphate"] == 4


def test_contacts_by_class_and_part_and_composition() -> None:
    structure = hand_made(
        {
            "A": [("ARG", {"NH1": (0.0, 0.0, 0.0), "CZ": (0.0, 0.5, 0.0)}), ("GLY", {"CA": (0.0, 0.0, 1.0)})],
            **rna_with(("A", {"OP1": (4.0, 0.0, 0.0), "P": (4.0, 0.5, 0.0), "N9": (4.0, 1.0, 0.0)})),
        },
        {"A": "protein", "R": "rna"},
    )
    found = properties(structure)
    counts = {name: value for name, value in found.items() if name.split("_")[1] in AMINO_ACIDS and name[0] == "n"}
    assert len(counts) == 18
    assert {name for name, value in counts.items() if value} == {
        "n_basic_to_phosphate", "n_basic_to_base", "n_special_to_phosphate", "n_special_to_base"
    }  # fmt: skip
    assert max(counts.values()) == 1
    assert (found["fraction_basic"], found["fraction_special"], found["fraction_nucleotide_A"]) == (0.5, 0.5, 1)
    assert found["fraction_polar_protein_atoms"] == pytest.approx(1 / 3)
    assert found["fraction_polar_rna_atoms"] == 1
    assert found["buried_area_per_residue_angstrom2"] == pytest.approx(100 / 3)


def ring(names: tuple[str, ...], centre: tuple[float, float, float], tilt_degrees: float) -> Atoms:
    """A regular polygon in the plane x = constant, turned about the axis y."""
    angles = 2 * np.pi * np.arange(len(names)) / len(names)
    flat = np.stack([np.zeros(len(names)), 1.4 * np.cos(angles), 1.4 * np.sin(angles)], axis=1)
    turned = Rotation.from_euler("y", tilt_degrees, degrees=True).apply(flat) + np.array(centre)
    return {name: tuple(xyz) for name, xyz in zip(names, turned.tolist(), strict=True)}


PHENYL = ("CG", "CD1", "CE1", "CZ", "CE2", "CD2")
BASE = ("N1", "C2", "N3", "C4", "C5", "C6")


@pytest.mark.parametrize(
    ("distance", "tilt", "expected"), [(3.5, 0, 1), (4.9, 0, 1), (5.0, 0, 0), (4.0, 29, 1), (4.0, 31, 0), (4.9, 90, 0)]
)
def test_rings_that_stack(distance: float, tilt: float, expected: int) -> None:
    structure = hand_made(
        {"A": [("PHE", ring(PHENYL, (0, 0, 0), 0))], **rna_with(("U", ring(BASE, (distance, 0, 0), tilt)))},
        {"A": "protein", "R": "rna"},
    )
    found = properties(structure, cutoff=6.0)
    assert (found["n_ring_stacking"], found["n_guanidinium_stacking"]) == (expected, 0)


def test_guanidinium_stacks_and_an_incomplete_ring_does_not() -> None:
    group = ring(("NE", "NH1", "CZ", "NH2"), (0, 0, 0), 0)
    bases = rna_with(("C", ring(BASE, (3.6, 0, 0), 0)))
    structure = hand_made({"A": [("ARG", group)], **bases}, {"A": "protein", "R": "rna"})
    found = properties(structure)
    assert (found["n_ring_stacking"], found["n_guanidinium_stacking"]) == (0, 1)
    del group["NH2"]
    structure = hand_made({"A": [("ARG", group)], **bases}, {"A": "protein", "R": "rna"})
    assert stacked(structure, np.array([0]), np.array([1]), GUANIDINIUM) == 0
    assert len(planes(structure, np.array([1]), BASE_RINGS).residue) == 1


def pair_of(one: str, other: str, bonds: list[tuple[str, str]], distance: float, gap: int) -> Structure:
    """Two nucleotides of one chain, `gap` places apart, with atoms opposite each other."""
    mine: Atoms = {a: (0.0, 5.0 * i, 0.0) for i, (a, _) in enumerate(bonds)}
    theirs: Atoms = {b: (distance, 5.0 * i, 0.0) for i, (_, b) in enumerate(bonds)}
    between: list[tuple[str, Atoms]] = [("A", {"P": (99.0, float(i), 0.0)}) for i in range(gap - 1)]
    return hand_made({"R": [(one, mine), *between, (other, theirs)]}, {"R": "rna"})


@pytest.mark.parametrize(
    ("one", "other", "bonds", "distance", "gap", "paired"),
    [
        ("A", "U", [("N1", "N3"), ("N6", "O4")], 3.0, 6, True),
        ("A", "U", [("N1", "N3"), ("N6", "O4")], 3.5, 6, False),
        ("A", "U", [("N1", "N3")], 3.0, 6, False),
        ("A", "U", [("N1", "N3"), ("N6", "O4")], 3.0, 4, True),
        ("A", "U", [("N1", "N3"), ("N6", "O4")], 3.0, 3, False),
        ("G", "C", [("N1", "N3"), ("O6", "N4"), ("N2", "O2")], 3.0, 6, True),
        ("G", "U", [("N1", "O2"), ("O6", "N3")], 3.0, 6, True),
        ("A", "C", [("N1", "N3"), ("N6", "N4")], 3.0, 6, False),
    ],
)
def test_base_pairs(
    one: str, other: str, bonds: list[tuple[str, str]], distance: float, gap: int, paired: bool
) -> None:
    found = is_paired(pair_of(one, other, bonds, distance, gap), np.arange(gap + 1))
    assert found[[0, -1]].tolist() == [paired, paired]
    assert not found[1:-1].any()


def test_shape_of_a_flat_interface() -> None:
    corners = [(0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (2.0, 2.0)]
    protein = {name: (x, y, 0.0) for name, (x, y) in zip(("N", "CA", "C", "O"), corners, strict=True)}
    rna = {name: (x, y, 4.0) for name, (x, y) in zip(("P", "OP1", "OP2", "O5'"), corners, strict=True)}
    structure = hand_made({"A": [("GLY", protein)], **rna_with(("A", rna))}, {"A": "protein", "R": "rna"})
    found = properties(structure)
    assert found["radius_of_gyration_angstrom"] == pytest.approx(math.sqrt(1 + 1 + 4))
    assert found["planarity_rms_angstrom"] == pytest.approx(1)
    flat = properties(two_atoms(("GLY", "N"), ("A", "P"), 3.0))
    assert flat["planarity_rms_angstrom"] == pytest.approx(0, abs=1e-9)


# --- real complexes -------------------------------------------------------------------------------


def test_counts_equal_slow_loops(real: Reader) -> None:
    structure = real("1aq4")
    arrays, xyz = structure.arrays, structure.arrays["atom_xyz_angstrom"].tolist()
    atoms = []
    for chain in ("A", "R"):
        part = structure.chain_residues(structure.chain_ids.index(chain))
        atoms.append([
            (r, arrays["residue_name"][r].decode(), arrays["atom_name"][a].decode(), xyz[a])
            for r in range(part.start, part.stop)
            for a in range(structure.atom_offsets[r], structure.atom_offsets[r + 1])
        ])  # fmt: skip
    donors = {("LYS", "NZ"), ("ARG", "NE"), ("ARG", "NH1"), ("ARG", "NH2"), ("ASN", "ND2"), ("GLN", "NE2"),
              ("HIS", "ND1"), ("HIS", "NE2"), ("TRP", "NE1"), ("SER", "OG"), ("THR", "OG1"), ("TYR", "OH")}  # fmt: skip
    acceptors = {("ASN", "OD1"), ("GLN", "OE1"), ("ASP", "OD1"), ("ASP", "OD2"), ("GLU", "OE1"), ("GLU", "OE2"),
                 ("HIS", "ND1"), ("HIS", "NE2"), ("SER", "OG"), ("THR", "OG1"), ("TYR", "OH")}  # fmt: skip
    base_donors = {("A", "N6"), ("G", "N1"), ("G", "N2"), ("C", "N4"), ("U", "N3")}
    base_acceptors = {("A", "N1"), ("A", "N3"), ("A", "N7"), ("G", "N3"), ("G", "N7"), ("C", "N3")}  # nitrogens
    contacts, bonds, bridges, residues = 0, 0, set(), set()
    for r, name, atom, here in atoms[0]:
        gives = (name, atom) in donors or (atom == "N" and name != "PRO")
        takes = (name, atom) in acceptors or atom in ("O", "OXT")
        for n, nucleotide, partner, there in atoms[1]:
            distance = math.dist(here, there)
            if distance < 5:
                contacts += 1
                residues.add((r, n))
            if distance < 3.5:
                into = gives and (partner.startswith("O") or (nucleotide, partner) in base_acceptors)
                bonds += into or (takes and (partner == "O2'" or (nucleotide, partner) in base_donors))
            charged = (name, atom) in (("LYS", "NZ"), ("ARG", "NE"), ("ARG", "NH1"), ("ARG", "NH2"))
            if distance < 4 and charged and partner in ("OP1", "OP2", "OP3"):
                bridges.add((r, n, name))
    found = measure_complex(structure, "x", ["A"], ["R"], 5.0)["interface_properties"]
    assert found["n_atom_contacts"] == contacts > 100
    assert found["n_residue_contacts"] == len(residues)
    assert found["n_hydrogen_bonds"] == bonds > 3
    for name, code in (("arginine", "ARG"), ("lysine", "LYS")):
        assert found[f"n_salt_bridges_{name}"] == sum(bridge[2] == code for bridge in bridges)
    assert bridges
    assert sum(found[f"fraction_{name}"] for name in AMINO_ACIDS) == pytest.approx(1)
    assert sum(found[f"fraction_{name}"] for name in ("helix", "strand", "other")) == pytest.approx(1)


def angle(*atoms: gemmi.Atom) -> float:
    return math.degrees(calc_dihedral(*(Vector(*atom.pos.tolist()) for atom in atoms)))


def test_backbone_regions_have_the_angles_of_biopython(shared: Path, real: Reader) -> None:
    structure = real("1ec6")
    (path,) = (shared / "data" / "structures").glob("1ec6.*")
    chain = gemmi.read_structure(str(path))[0]["A"]
    part = structure.chain_residues(structure.chain_ids.index("A"))
    found = backbone_classes(structure, np.arange(part.start, part.stop))
    residues = list(chain.get_polymer())
    assert len(residues) == len(found)
    expected = []
    for before, here, after in zip([None, *residues[:-1]], residues, [*residues[1:], None], strict=True):
        phi = angle(before["C"][0], here["N"][0], here["CA"][0], here["C"][0]) if before else math.nan
        psi = angle(here["N"][0], here["CA"][0], here["C"][0], after["N"][0]) if after else math.nan
        helix = -120 < phi < -30 and -80 < psi < 0
        strand = (phi < -40 or phi > 150) and (psi > 90 or psi < -150)
        expected.append(-1 if np.isnan(phi + psi) else 0 if helix else 1 if strand else 2)
    assert found.tolist() == expected
    assert {-1, 0, 1, 2} == set(expected)


def test_pairs_of_a_transfer_rna_equal_a_slow_loop(real: Reader) -> None:
    structure = real("1qtq")
    part = structure.chain_residues(structure.chain_ids.index("B"))
    atoms = []
    for r in range(part.start, part.stop):
        span = slice(structure.atom_offsets[r], structure.atom_offsets[r + 1])
        names = [name.decode() for name in structure.arrays["atom_name"][span].tolist()]
        atoms.append(dict(zip(names, structure.arrays["atom_xyz_angstrom"][span].tolist(), strict=True)))
    letters = structure.observed_sequence(structure.chain_ids.index("B")).replace("-", "")
    rules = {"AU": ("N1 N3", "N6 O4"), "GC": ("N1 N3", "O6 N4"), "GU": ("N1 O2", "O6 N3")}
    places = structure.arrays["polymer_index"][part]
    expected = np.zeros(len(atoms), dtype=bool)
    for i, one in enumerate(atoms):
        for j, other in enumerate(atoms):
            bonds = [text.split() for text in rules.get(letters[i] + letters[j], ())]
            if bonds and abs(int(places[i]) - int(places[j])) >= 4:
                near = [a in one and b in other and math.dist(one[a], other[b]) < 3.5 for a, b in bonds]
                expected[[i, j]] |= all(near)
    found = is_paired(structure, np.arange(part.start, part.stop))
    assert found.tolist() == expected.tolist()
    assert 0.4 < found.mean() < 0.8  # a cloverleaf


@pytest.mark.parametrize(("pdb_id", "protein", "rna"), [("1ec6", ["A"], ["D"]), ("1aq4", ["A", "B"], ["R"])])
def test_values_know_no_frame_and_no_order(
    pdb_id: str, protein: list[str], rna: list[str], real: Reader, rng: np.random.Generator
) -> None:
    structure = real(pdb_id)
    here = measure_complex(structure, "x", protein, rna, 5.0)
    turned = moved(structure, Rotation.random(rng=rng).as_matrix(), np.array([10.0, -20.0, 5.0]))
    for other in (turned, with_other_atom_order(structure, rng)):
        there = measure_complex(other, "x", protein[::-1], rna, 5.0)
        for name, values in here.items():
            assert list(values) == list(there[name])
            for feature, value in values.items():
                # the points of the buried area stand fixed in the file's frame
                tolerance = 0.02 * value if "buried" in feature else 1e-4
                assert there[name][feature] == pytest.approx(value, abs=tolerance), (name, feature)


def test_what_cannot_be_measured_is_told() -> None:
    far = two_atoms(("LYS", "NZ"), ("A", "OP1"), 9.0)
    with pytest.raises(InputError, match="complex x: expected heavy atoms of protein and RNA nearer than 5 angstrom"):
        measure_complex(far, "x", ["A"], ["R"], 5.0)
    with pytest.raises(InputError, match=r"complex x: expected RNA chains \['Q'\]"):
        measure_complex(far, "x", ["A"], ["Q"], 5.0)
    bad = two_atoms(("LYS", "NZ"), ("A", "OP1"), math.nan)
    with pytest.raises(InputError, match="finite coordinates"):
        measure_complex(bad, "x", ["A"], ["R"], 5.0)
