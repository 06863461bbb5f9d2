"""Each trap of coordinate files on a real entry that has it; what the file says is counted here from its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from raw_rows import Row, atom_rows, file_lines

from copra.structure.handled import HANDLED
from copra.structure.interface import cut_interface
from copra.structure.reader import read_structure
from copra.structure.residues import RESIDUE_TYPES, Structure

Reader = Callable[[str], Structure]


def residues_of(read: Structure, marked: np.ndarray) -> set[tuple[str, int, str]]:
    """Chain, number and insertion code of the marked residues."""
    arrays = read.arrays
    return {
        (read.chain_ids[arrays["chain"][i]], int(arrays["auth_number"][i]), arrays["insertion_code"][i].decode())
        for i in np.flatnonzero(marked)
    }


def polymer_rows(shared: Path, pdb_id: str) -> list[Row]:
    return [row for row in atom_rows(shared, pdb_id) if row.in_polymer and row.is_heavy]


def atoms_of(read: Structure, residue: tuple[str, int, str]) -> set[str]:
    names = [residues_of(read, np.arange(len(read.arrays["chain"])) == i) for i in range(len(read.arrays["chain"]))]
    i = names.index({residue})
    return {n.decode() for n in read.arrays["atom_name"][read.atom_offsets[i] : read.atom_offsets[i + 1]]}


def test_every_count_has_a_meaning(real: Reader) -> None:
    for pdb_id in ("6ozp", "8joz", "1a4t", "3o8c", "1asy", "3adb"):
        assert real(pdb_id).handled.keys() <= HANDLED.keys()


def test_modified_residues_have_the_parents_that_modres_names(real: Reader, shared: Path) -> None:
    """Yeast tRNA-Asp of 1asy: pseudouridines, dihydrouridines, 5-methylcytidine and others, 8 in each of two."""
    told = {}
    for line in file_lines(shared, "1asy"):
        if line.startswith("MODRES"):
            told[line[16], int(line[18:22]), line[22].strip()] = line[24:27].strip()
    read = real("1asy")
    assert read.handled["modified"] == len(told) == 16
    assert residues_of(read, read.arrays["modified"]) == told.keys()
    for i in np.flatnonzero(read.arrays["modified"]):
        (residue,) = residues_of(read, np.arange(len(read.arrays["chain"])) == i)
        assert RESIDUE_TYPES[read.arrays["residue_type"][i]] == told[residue]


@pytest.mark.parametrize(
    ("pdb_id", "component", "parent"),
    [
        ("6vrd", "6OO", "C"), ("6vrd", "6NW", "A"), ("5vaj", "URU", "U"), ("5zq0", "MUM", "U"), ("6dcc", "G5J", "G"),
        ("7mjv", "ZJS", "A"), ("7r9f", "5UD", "U"), ("4e78", "GDO", "G"), ("5ki6", "6U0", "N"), ("1q2r", "N", "N"),
    ],
)  # fmt: skip
def test_a_base_is_named_where_its_ring_atoms_are_those_of_the_parent(
    pdb_id: str, component: str, parent: str, real: Reader
) -> None:
    """6U0 has no natural base and 1q2r's N an abasic site: they stay unknown."""
    ring = {"C": {"N1", "C2", "O2", "N3", "C4", "N4"}, "U": {"N1", "C2", "O2", "N3", "C4", "O4"}}
    ring |= {
        "A": {"N9", "C8", "N7", "C6", "N6", "N1", "N3"},
        "G": {"N9", "C8", "N7", "C6", "O6", "N1", "N2"},
        "N": set(),
    }
    read = real(pdb_id)
    hits = np.flatnonzero(read.arrays["residue_name"] == component.encode())
    assert len(hits)
    for i in hits:
        assert RESIDUE_TYPES[read.arrays["residue_type"][i]] == parent
        names = {n.decode() for n in read.arrays["atom_name"][read.atom_offsets[i] : read.atom_offsets[i + 1]]}
        assert ring[parent] <= names


@pytest.mark.parametrize(("pdb_id", "count"), [("1k8w", 6), ("4nku", 5), ("1rpu", 42)])
def test_alternative_locations_leave_one_atom_of_each_name(pdb_id: str, count: int, real: Reader, shared: Path) -> None:
    rows = polymer_rows(shared, pdb_id)
    letters: dict[tuple[str, int, str], dict[str, list[float]]] = {}
    for row in rows:
        if row.alternative:
            letters.setdefault(row.residue, {}).setdefault(row.alternative, []).append(row.occupancy)
    read = real(pdb_id)
    assert read.handled["altloc"] == len(letters) == count
    for residue, occupancies in letters.items():
        best = max(sorted(occupancies), key=lambda letter: round(float(np.mean(occupancies[letter])), 3))
        expected = {r.atom for r in rows if r.residue == residue and r.alternative in ("", best)}
        assert atoms_of(read, residue) == expected, residue


@pytest.mark.parametrize(("pdb_id", "count"), [("3dd2", 44), ("3adb", 19), ("2zzm", 12), ("2der", 1)])
def test_insertion_codes_stay_with_their_residues(pdb_id: str, count: int, real: Reader, shared: Path) -> None:
    read = real(pdb_id)
    expected = {row.residue for row in polymer_rows(shared, pdb_id) if row.insertion_code}
    assert residues_of(read, read.arrays["insertion_code"] != b"") == expected
    assert read.handled["insertion_codes"] == len(expected) == count


def test_missing_residues_are_those_of_remark_465(real: Reader, shared: Path) -> None:
    """1aq4: residues 1, 2 and 19 of RNA chain R, 1, 2, 17, 18 and 19 of S; its REMARK 465 lists them."""
    lines = [line.split() for line in file_lines(shared, "1aq4") if line.startswith("REMARK 465")]
    told = Counter(words[3] for words in lines if len(words) == 5 and words[4].isdigit())
    assert told == {"R": 3, "S": 5}
    read = real("1aq4")
    assert read.handled["missing_residues"] == 8
    aligned = {chain: read.observed_sequence(i) for i, chain in enumerate(read.chain_ids)}
    assert {chain: text.count("-") for chain, text in aligned.items() if "-" in text} == told
    assert (aligned["R"][:2], aligned["R"][18:], aligned["S"][16:]) == ("--", "-", "---")
    assert "gaps" not in read.handled


def test_missing_backbone_atoms_are_masked(real: Reader, shared: Path) -> None:
    read = real("4wan")
    there: dict[tuple[str, int, str], set[str]] = {}
    for row in polymer_rows(shared, "4wan"):
        there.setdefault(row.residue, set()).add(row.atom)
    n_missing = 0
    for chain, kind in zip(read.chain_ids, read.molecule_types, strict=True):
        names = [{"N"}, {"CA"}, {"C"}, {"O"}] if kind == "protein" else [{"P"}, {"C4'"}, {"C1'"}, {"N1", "N9"}]
        of_chain = [atoms for residue, atoms in there.items() if residue[0] == chain]
        n_missing += sum(not (wanted & atoms) for atoms in of_chain for wanted in names)
    assert read.handled["missing_backbone_atoms"] == n_missing == 33
    absent = read.arrays["backbone_xyz_angstrom"][~read.arrays["backbone_mask"]]
    assert not absent.any()


@pytest.mark.parametrize(("pdb_id", "n_models"), [("1a4t", 20), ("1aud", 31), ("4cio", 15)])
def test_of_nmr_models_the_first_is_read(pdb_id: str, n_models: int, real: Reader, shared: Path) -> None:
    rows = atom_rows(shared, pdb_id)
    assert len({row.model for row in rows}) == n_models
    read = real(pdb_id)
    assert read.n_models == n_models
    assert read.handled["models"] == n_models - 1
    first = [row for row in rows if row.model == rows[0].model and row.in_polymer]
    assert len(read.arrays["atom_name"]) == sum(row.is_heavy for row in first)
    assert read.handled.get("hydrogens", 0) == sum(not row.is_heavy for row in first)


@pytest.mark.parametrize(("pdb_id", "n_chains", "n_deoxy"), [("2qkb", 1, 1), ("3dd2", 1, 1), ("5ev1", 1, 4)])
def test_hybrid_chains_hold_both_sugars(pdb_id: str, n_chains: int, n_deoxy: int, real: Reader, shared: Path) -> None:
    read = real(pdb_id)
    hybrids = [c for c, kind in zip(read.chain_ids, read.molecule_types, strict=True) if kind == "hybrid"]
    assert read.handled["hybrid_chains"] == len(hybrids) == n_chains
    rows = [row for row in polymer_rows(shared, pdb_id) if row.chain in hybrids]
    deoxy = {row.residue for row in rows if row.name in ("DA", "DC", "DG", "DT", "DU", "BRU")}
    assert not any(row.residue in deoxy and row.atom == "O2'" for row in rows)
    assert any(row.residue not in deoxy and row.atom == "O2'" for row in rows)
    of_hybrid = np.isin(np.array(read.chain_ids)[read.arrays["chain"]], hybrids)
    assert residues_of(read, read.arrays["deoxy"] & of_hybrid) == deoxy
    assert read.handled["deoxy_in_hybrid"] == len(deoxy) == n_deoxy


def test_several_chains_a_side_are_one_partner(real: Reader) -> None:
    """1knz: a dimer of NSP3 on one RNA; the partner of a protein residue is the nearer of two RNA chains."""
    read = real("1knz")
    both = cut_interface(read, "x", ["A", "B"], ["W", "X"], 10000)
    alone = [cut_interface(read, "x", ["A", "B"], [rna], 10000) for rna in "WX"]
    n_protein = np.count_nonzero(both.molecule == 0)
    nearer = np.minimum(*(one.partner_distance_angstrom[:n_protein] for one in alone))
    np.testing.assert_array_equal(both.partner_distance_angstrom[:n_protein], nearer)


def test_microheterogeneity_leaves_one_name_at_a_place(real: Reader, shared: Path) -> None:
    names: dict[tuple[str, int, str], Counter[str]] = {}
    for row in polymer_rows(shared, "8joz"):
        names.setdefault(row.residue, Counter())[row.name] += 1
    two = {residue: found for residue, found in names.items() if len(found) > 1}
    read = real("8joz")
    assert sorted(map(len, two.values())) == [2, 4]
    assert read.handled["microheterogeneity"] == 1 + 3
    everything = np.ones(len(read.arrays["chain"]), dtype=bool)
    assert len(residues_of(read, everything)) == len(everything)
    for i in range(len(everything)):
        (residue,) = residues_of(read, np.arange(len(everything)) == i)
        assert read.arrays["residue_name"][i].decode() in names[residue]


@pytest.mark.parametrize(("pdb_id", "ligands", "waters"), [("1aq4", 0, 214), ("1dk1", 12, 25), ("2drb", 2, 112)])
def test_ligands_and_waters_are_left_out(pdb_id: str, ligands: int, waters: int, real: Reader, shared: Path) -> None:
    rows = [row for row in atom_rows(shared, pdb_id) if row.record == "HETATM"]
    free = {(*row.residue, row.name) for row in rows if row.name != "MSE"}
    read = real(pdb_id)
    assert read.handled["waters"] == sum(name == "HOH" for *_, name in free) == waters
    assert read.handled.get("ligands", 0) == sum(name != "HOH" for *_, name in free) == ligands
    kept = set(read.arrays["residue_name"].tolist())
    assert not kept & {name.encode() for *_, name in free}


@pytest.mark.parametrize(("pdb_id", "count"), [("1aq3", 25), ("1cvj", 180), ("1ddl", 32)])
def test_atoms_of_zero_occupancy_stay(pdb_id: str, count: int, real: Reader, shared: Path) -> None:
    rows = [row for row in polymer_rows(shared, pdb_id) if not row.alternative]
    read = real(pdb_id)
    assert read.handled["zero_occupancy"] == sum(row.occupancy == 0 for row in rows) == count
    assert len(read.arrays["atom_name"]) >= len(rows)


def test_chain_ids_that_differ_by_case_are_two_chains(real: Reader, shared: Path) -> None:
    """6ozp: RNase H-like chains and their substrates are called C, D and c, d."""
    read = real("6ozp")
    ids = {row.chain for row in polymer_rows(shared, "6ozp")}
    assert set(read.chain_ids) == ids == {"A", "B", "C", "D", "c", "d"}
    assert read.handled["chain_ids_by_case"] == 4
    index = read.chain_ids.index
    assert read.sequences[index("C")] != read.sequences[index("c")]
    assert read.label_chains[index("C")] != read.label_chains[index("c")]


@pytest.mark.parametrize(("pdb_id", "count"), [("3o8c", 30), ("2vod", 14), ("2xd0", 3), ("4al5", 1)])
def test_negative_numbers_stay_in_their_order(pdb_id: str, count: int, real: Reader, shared: Path) -> None:
    expected = {row.residue for row in polymer_rows(shared, pdb_id) if row.number < 0}
    read = real(pdb_id)
    assert residues_of(read, read.arrays["auth_number"] < 0) == expected
    assert read.handled["negative_numbers"] == len(expected) == count
    for chain in range(len(read.chain_ids)):
        numbers = read.arrays["auth_number"][read.chain_residues(chain)]
        if numbers[0] < 0:
            assert np.all(np.diff(numbers[numbers < 2]) > 0)


@pytest.mark.parametrize(("pdb_id", "count"), [("1k1g", 1122), ("4ngd", 2454), ("5w0m", 3060)])
def test_hydrogens_are_left_out(pdb_id: str, count: int, real: Reader, shared: Path) -> None:
    rows = [row for row in atom_rows(shared, pdb_id) if row.in_polymer]
    read = real(pdb_id)
    assert read.handled["hydrogens"] == sum(not row.is_heavy for row in rows) == count
    assert read.arrays["atom_element"].min() > 1


@pytest.mark.parametrize(("pdb_id", "origins"), [("2xd0", 2), ("4zt0", 2), ("8t66", 3)])
def test_files_without_seqres_take_the_observed_sequence(pdb_id: str, origins: int, real: Reader, shared: Path) -> None:
    assert not any(line.startswith(("SEQRES", "_entity_poly")) for line in file_lines(shared, pdb_id))
    read = real(pdb_id)
    assert read.handled["observed_sequence"] == len(read.chain_ids) == origins
    assert set(read.sequence_origins) == {"observed"}
    assert read.label_chains == ("",) * origins
    for i, sequence in enumerate(read.sequences):
        assert read.observed_sequence(i) == sequence


def test_a_modified_nucleotide_among_hetatm_rows_of_a_bare_file_stays_in_its_chain(tmp_path: Path) -> None:
    """No entry here has one that gemmi does not know: 5-methylcytidine between two uridines, and ATP beside them."""
    lines = []
    for number, (record, name) in enumerate([("ATOM", "U"), ("HETATM", "5MC"), ("ATOM", "U"), ("HETATM", "ATP")], 1):
        for shift, atom in enumerate(["P", "C4'", "C1'", "N1", "O2'", "C2'"]):
            start = f"{record:<6}{len(lines) + 1:>5}  {atom:<3} {name:>3} B{number:>4}    "
            place = f"{6.0 * number:8.3f}{1.5 * shift:8.3f}{0:8.3f}"
            lines.append(f"{start}{place}  1.00 10.00           {atom[0]}")
    (tmp_path / "toy.pdb").write_text("\n".join([*lines, "END", ""]))
    read = read_structure(tmp_path / "toy.pdb", "toy")
    assert read.sequences == ("UCU",)
    assert read.molecule_types == ("rna",)
    assert read.handled["modified"] == read.handled["ligands"] == 1
