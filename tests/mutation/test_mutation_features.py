"""What baselines read of a mutation: exchanges, burial and signatures, by hand and against slow or foreign code."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from Bio.SeqUtils import ProtParamData
from hand_made_complex import hand_made, moved
from sample_results import fill, put
from scipy.spatial.transform import Rotation

from copra.errors import InputError
from copra.mutation.environment import CLASSES, ENVIRONMENT_RADIUS_ANGSTROM, environment_signature
from copra.mutation.exchange import (
    HYDROPATHY,
    VOLUME_ANGSTROM3,
    Change,
    exchange_features,
    pharmacophore_change,
    read_changes,
    reverse,
)
from copra.mutation.measure import measure_mutation, measure_mutations
from copra.mutation.surroundings import MAX_AREA_ANGSTROM2, accessible_area_angstrom2, surroundings
from copra.structure.atom_classes import protein_classes, rna_classes
from copra.structure.biolip_contacts import RADII_ANGSTROM
from copra.structure.distances import chain_atoms
from copra.structure.residues import Structure
from copra.structure.signatures import CUTOFFS_ANGSTROM, signature_name
from copra.structure.store import write_structures
from copra.structure.surface import PROBE_RADIUS_ANGSTROM, buried_area_angstrom2
from copra.tables import read_table

LETTERS = "ARNDCQEGHILKMFPSTWYV"


def spread(seed: int = 3, n_protein: int = 12, n_rna: int = 8, pdb_id: str = "9abc") -> Structure:
    """Residues at random places of a small box, so that many atoms touch; chain B is the same sequence far away."""
    generator = np.random.default_rng(seed)

    def place(names: str, box: float, shift: float) -> dict[str, tuple[float, float, float]]:
        low, high = (0.0, 0.0, shift), (box, box, box + shift)
        return {n: tuple(generator.uniform(low, high).tolist()) for n in names.split()}

    kinds_of_residue = (("LYS", "N CA C O CB CG CD CE NZ"), ("TYR", "N CA C O CB CG OH"))
    protein = [(name, place(atoms, 14.0, 0.0)) for name, atoms in (kinds_of_residue[i % 2] for i in range(n_protein))]
    rna = [("G", place("P OP1 O5' C1' O2' N9 N1 O6", 14.0, 8.0)) for _ in range(n_rna)]
    other = [(name, {n: (x + 60.0, y, z) for n, (x, y, z) in atoms.items()}) for name, atoms in protein]
    kinds = {"A": "protein", "B": "protein", "R": "rna"}
    return hand_made({"A": protein, "B": other, "R": rna}, kinds, pdb_id)


# --- exchanges ------------------------------------------------------------------------------------


def test_scales_cover_the_twenty_amino_acids() -> None:
    assert ProtParamData.kd == HYDROPATHY
    assert set(VOLUME_ANGSTROM3) == set(MAX_AREA_ANGSTROM2) == set(LETTERS)


def test_exchanges_by_hand() -> None:
    found = exchange_features(read_changes("K12A", "11"), "BLOSUM62")
    assert found == pytest.approx(
        {"exchange_score": -1, "hydropathy_change": 1.8 + 3.9, "volume_change_angstrom3": 88.6 - 168.6}
    )
    both = exchange_features(read_changes("K12A,W-3GA", "11,4"), "BLOSUM62")  # of W, number -3, code G, to A
    assert both == pytest.approx(
        {
            "exchange_score": -1 - 3,
            "hydropathy_change": 5.7 + 1.8 + 0.9,
            "volume_change_angstrom3": 2 * 88.6 - 168.6 - 227.8,
        }
    )


def test_the_way_back_keeps_the_score_and_turns_the_rest() -> None:
    for a, b in itertools.permutations(LETTERS, 2):
        there, back = [Change(a, b, 0)], reverse([Change(a, b, 0)])
        forward, backward = exchange_features(there, "BLOSUM62"), exchange_features(back, "BLOSUM62")
        assert forward["exchange_score"] == backward["exchange_score"]
        assert forward["hydropathy_change"] == -backward["hydropathy_change"]
        assert forward["volume_change_angstrom3"] == -backward["volume_change_angstrom3"]
        turned = pharmacophore_change(back)
        assert {name: -value for name, value in pharmacophore_change(there).items()} == turned


def test_pharmacophores_by_hand() -> None:
    told = {n: v for n, v in pharmacophore_change([Change("K", "A", 0)]).items() if v}
    # CG CD go, CE is neutral, NZ is charged and a donor
    assert told == {"hydrophobic_change": -2, "neutral_change": -1, "positive_change": -1, "donor_change": -1}
    assert pharmacophore_change([Change("G", "P", 0)])["donor_change"] == -1  # proline's N carries no hydrogen
    assert pharmacophore_change([Change("A", "F", 0)])["aromatic_change"] == 6


@pytest.mark.parametrize(("mutation", "places"), [("K12", "3"), ("K12A", "3,4"), ("12A", "3"), ("K12A", "x"), ("", "")])
def test_what_is_no_exchange_is_refused(mutation: str, places: str) -> None:
    with pytest.raises(InputError, match="expected a form such as D210A"):
        read_changes(mutation, places)


def test_letters_and_matrices_that_are_unknown_are_refused() -> None:
    with pytest.raises(InputError, match="20 amino acids, found 'X'"):
        exchange_features([Change("X", "A", 0)], "BLOSUM62")
    with pytest.raises(InputError, match="20 amino acids, found 'U'"):
        pharmacophore_change([Change("A", "U", 0)])
    with pytest.raises(InputError, match="substitution matrix of Biopython, found 'BLOSUM1'"):
        exchange_features([Change("K", "A", 0)], "BLOSUM1")


# --- burial ---------------------------------------------------------------------------------------


def test_area_of_one_and_of_two_spheres() -> None:
    reach = np.array([3.0, 3.0])
    far = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    assert accessible_area_angstrom2(np.array([0]), far, reach) == pytest.approx(4 * math.pi * 9)
    near = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    cap = 2 * math.pi * 3.0 * (3.0 - 1.0)  # beyond the plane in the middle
    assert accessible_area_angstrom2(np.array([0]), near, reach) == pytest.approx(4 * math.pi * 9 - cap, rel=0.01)
    assert accessible_area_angstrom2(np.array([0]), np.zeros((2, 3)), np.array([2.0, 4.0])) == 0


def test_what_residues_lose_is_the_buried_area() -> None:
    structure = spread()
    protein, rna = chain_atoms(structure, [0]), chain_atoms(structure, [2])
    lost = 0.0
    for residue in protein.residues:
        found = surroundings(structure, int(residue), protein, rna)
        most = MAX_AREA_ANGSTROM2["KY"[int(residue) % 2]]
        assert 0 <= found.relative_area_complex <= found.relative_area_unbound
        lost += most * (found.relative_area_unbound - found.relative_area_complex)
    elements = structure.arrays["atom_element"]
    sides = [(s.xyz, RADII_ANGSTROM[elements[s.atoms]] + PROBE_RADIUS_ANGSTROM) for s in (rna, protein)]
    both = np.concatenate([sides[0][0], sides[1][0]]), np.concatenate([sides[0][1], sides[1][1]])
    every = np.arange(len(rna.atoms))
    lost_by_rna = accessible_area_angstrom2(every, *sides[0]) - accessible_area_angstrom2(every, *both)
    assert lost + lost_by_rna == pytest.approx(buried_area_angstrom2(structure, "x", ["A"], ["R"]), rel=1e-4)
    assert lost > 50


# --- signatures -----------------------------------------------------------------------------------


def slow_signature(structure: Structure, residue: int) -> dict[str, float]:
    """The same counts with one loop over all pairs of atoms of chains A and R."""
    named = []
    for r in range(len(structure.arrays["chain"])):
        chain = int(structure.arrays["chain"][r])
        for a in range(structure.atom_offsets[r], structure.atom_offsets[r + 1]):
            name = structure.arrays["atom_name"][a].decode()
            if chain == 0:
                classes = protein_classes("KY"[r % 2], name) or ["neutral"]
            elif chain == 2:
                classes = rna_classes("G", name)
            else:
                continue
            named.append((r, structure.arrays["atom_xyz_angstrom"][a].astype(float), classes))
    centre = np.mean([xyz for r, xyz, _ in named if r == residue], axis=0)
    near = [(xyz, classes) for _, xyz, classes in named if math.dist(xyz, centre) < ENVIRONMENT_RADIUS_ANGSTROM]
    counts = {
        signature_name(a, b, c): 0.0 for i, a in enumerate(CLASSES) for b in CLASSES[i:] for c in CUTOFFS_ANGSTROM
    }
    for (first, left), (second, right) in itertools.combinations(near, 2):
        for pair in itertools.product(left, right):
            for cutoff in CUTOFFS_ANGSTROM:
                name = signature_name(*sorted(pair, key=CLASSES.index), cutoff)
                counts[name] += math.dist(first, second) < cutoff
    return counts


def test_signature_is_what_a_slow_loop_counts() -> None:
    structure = spread()
    sides = chain_atoms(structure, [0]), chain_atoms(structure, [2])
    for residue in (1, 6):
        found = environment_signature(structure, residue, *sides)
        assert len(found) == 630
        assert found == slow_signature(structure, residue)
    assert found[signature_name("positive", "phosphate", 12.0)] > 0


def test_features_do_not_depend_on_the_frame() -> None:
    structure = spread()
    turned = moved(structure, Rotation.random(random_state=5).as_matrix(), np.array([31.0, -7.0, 12.0]))
    for change in ([Change("K", "A", 2)], [Change("Y", "F", 5)]):
        there, here = (measure_mutation(s, "9abc:A:R", ["A"], "protein", change) for s in (structure, turned))
        assert there["environment_signature"] == here["environment_signature"]
        assert there["surroundings"] == pytest.approx(here["surroundings"], abs=0.02)


# --- mutations ------------------------------------------------------------------------------------


def test_of_several_copies_the_nearest_is_described() -> None:
    structure = spread()
    change = [Change("K", "A", 2)]
    alone = measure_mutation(structure, "9abc:A,B:R", ["A"], "protein", change)
    assert measure_mutation(structure, "9abc:A,B:R", ["B", "A"], "protein", change) == alone
    far = measure_mutation(structure, "9abc:A,B:R", ["B"], "protein", change)
    assert far["surroundings"]["partner_distance_angstrom"] > 30
    assert far["surroundings"]["relative_area_complex"] == far["surroundings"]["relative_area_unbound"]


def test_several_exchanges_add_up_and_the_nearest_counts() -> None:
    structure = spread()
    one, other = (
        measure_mutation(structure, "9abc:A:R", ["A"], "protein", [Change(a, "A", i)]) for a, i in (("K", 2), ("Y", 5))
    )
    both = measure_mutation(structure, "9abc:A:R", ["A"], "protein", [Change("K", "A", 2), Change("Y", "A", 5)])
    for name in ("relative_area_unbound", "relative_area_complex"):
        assert both["surroundings"][name] == one["surroundings"][name] + other["surroundings"][name]
    near = [each["surroundings"]["partner_distance_angstrom"] for each in (one, other)]
    assert both["surroundings"]["partner_distance_angstrom"] == min(near)
    name = signature_name("hydrophobic", "sugar", 8.0)
    assert both["environment_signature"][name] == sum(each["environment_signature"][name] for each in (one, other))


def test_what_cannot_be_measured_stops_nothing(tmp_path: Path) -> None:
    write_structures([spread(), spread(4, pdb_id="9def")], tmp_path / "store.h5")
    common = {"molecule_type": "protein", "mutation": "K3A", "polymer_indices": "2", "mutated_chains": "A"}
    rows = [
        {**common, "mutation_id": "b", "pdb_id": "9abc", "complex_id": "9abc:A:R"},
        {**common, "mutation_id": "a", "pdb_id": "9def", "complex_id": "9def:A:R"},
        {**common, "mutation_id": "elsewhere", "pdb_id": "9zzz", "complex_id": "9zzz:A:R"},
        {**common, "mutation_id": "rna", "pdb_id": "9abc", "complex_id": "9abc:A:R", "molecule_type": "rna"},
        {**common, "mutation_id": "unseen", "pdb_id": "9abc", "complex_id": "9abc:A:R", "polymer_indices": "77"},
        {**common, "mutation_id": "chain", "pdb_id": "9abc", "complex_id": "9abc:Q:R"},
    ]
    made = []
    for name, order in (("one", rows), ("two", rows[::-1])):
        put(tmp_path / f"{name}.parquet", "mutation_records", [fill("mutation_records", **row) for row in order])
        out = tmp_path / f"{name}_features.parquet"
        measure_mutations(tmp_path / f"{name}.parquet", store=tmp_path / "store.h5", out=out)
        made.append(out.read_bytes())
    assert made[0] == made[1]
    found = read_table(out, "mutation_features")
    assert found.groupby("mutation_id").size().to_dict() == {"a": 633, "b": 633}
    with pytest.raises(InputError, match="mutation of rna"):
        measure_mutation(spread(), "9abc:A:R", ["A"], "rna", [Change("A", "C", 2)])
    with pytest.raises(InputError, match=r"residue 77 of chains \['A'\] has no coordinates"):
        measure_mutation(spread(), "9abc:A:R", ["A"], "protein", [Change("K", "A", 77)])
