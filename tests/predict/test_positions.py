"""Positions are the author's, as a reader of the structure names them; what is not there is told, never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from copra.errors import InputError
from copra.predict.positions import Position, choose_positions
from copra.structure.residues import ATOM_ARRAYS, RESIDUE_ARRAYS, Structure, type_index

FILE = Path("x.cif")
# chain -> molecule, full sequence, observed residues as place:number[insertion code]
CHAINS = {
    # G1 and S2 are missing, and two residues between 52B and 60; 52B stands before 52A, as in some old numberings
    "A": ("protein", "GSKRDMKLLWKKE", "2:-2 3:-1 4:0 5:1 6:52 7:52B 8:52A 11:60 12:61"),
    "D": ("protein", "MKXK", "0:7 1:8 2:9 3:9"),  # two residues 9
    "R": ("rna", "ACGU", "0:-5 1:-4 2:-3 3:-2"),
}
NAMED = {"interface": [3, 8, 0, 11], "contacts": [8]}


@pytest.fixture
def structure() -> Structure:
    rows: dict[str, list[object]] = {name: [] for name in RESIDUE_ARRAYS}
    for index, (molecule, sequence, residues) in enumerate(CHAINS.values()):
        for text in residues.split():
            place, _, number = text.partition(":")
            rows["chain"].append(index)
            rows["residue_name"].append("any")
            rows["residue_type"].append(type_index(sequence[int(place)], molecule == "protein"))
            rows["polymer_index"].append(int(place))
            rows["auth_number"].append(int(number.rstrip("AB")))
            rows["insertion_code"].append(number[-1] if number[-1] in "AB" else "")
    n = len(rows["chain"])
    arrays = {
        name: np.array(rows[name] or np.zeros((n, *shape)), dtype=kind)
        for name, (kind, shape) in RESIDUE_ARRAYS.items()
    }
    arrays |= {name: np.zeros((0, *shape), dtype=kind) for name, (kind, shape) in ATOM_ARRAYS.items()}
    molecules, sequences, _ = zip(*CHAINS.values(), strict=True)
    offsets = np.zeros(n + 1, dtype=np.int64)
    origins = ("seqres",) * len(CHAINS)
    return Structure(
        "1syn", "", "", None, "", 1, {}, tuple(CHAINS), tuple(CHAINS), molecules, sequences, origins, arrays, offsets
    )


def names(text: str, structure: Structure, chain: str = "A") -> str:
    found, _ = choose_positions(text, structure, structure.chain_ids.index(chain), NAMED, FILE)
    return " ".join(at.name for at in found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("52", "K52"),
        ("52A", "L52A"),
        ("-2", "K-2"),
        ("61,52,-2,52", "K-2 K52 E61"),  # each once, in the order of the sequence
        (" 0 , 1", "D0 M1"),
        ("-2--1", "K-2 R-1"),
        ("-1-1", "R-1 D0 M1"),
        ("52-52A", "K52 L52B L52A"),  # what stands between them in the chain
        ("52B-60", "L52B L52A K60"),
        ("60-60", "K60"),
        ("interface", "R-1 L52A K60"),  # the place without coordinates is no residue
        ("contacts,61", "L52A E61"),
        ("all", "K-2 R-1 D0 M1 K52 L52B L52A K60 E61"),
    ],
)
def test_positions_are_found_by_the_authors_numbers(text: str, found: str, structure: Structure) -> None:
    assert names(text, structure) == found


def test_a_position_knows_its_place_in_the_full_sequence(structure: Structure) -> None:
    found, told = choose_positions("52A", structure, 0, NAMED, FILE)
    assert (found, told) == ([Position(52, "A", 8, "L")], [])
    assert names("-5--4", structure, "R") == "A-5 C-4"


def test_residues_of_a_range_that_have_no_coordinates_are_counted(structure: Structure) -> None:
    _, told = choose_positions("52B-60,52B-60,0-1", structure, 0, NAMED, FILE)
    assert told == ["2 residues of 52B-60 in chain A without coordinates, not scanned"]


def test_residues_of_one_number_are_left_out_of_a_whole_chain_and_refused_by_name(structure: Structure) -> None:
    found, told = choose_positions("all", structure, 1, NAMED, FILE)
    assert [at.name for at in found] == ["M7", "K8"]
    assert told == ["several residues of chain D bear the number 9: not scanned"]
    with pytest.raises(InputError, match="found any and any with number 9 in chain D"):
        choose_positions("9", structure, 1, NAMED, FILE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("99", "x.cif: --positions 99: 99: found no 99 in chain A, whose observed residues are -2 to 61"),
        ("52C", "found no 52C in chain A"),
        ("-4", "-4: it has no coordinates: found no -4 in chain A, whose observed residues are -2 to 61"),
        ("58", "58: it has no coordinates: found no 58"),
        ("10-70", "10: found no 10"),
        ("60-52", "--positions 60-52: the range runs backwards; in chain A 52 stands before 60"),
        ("52A-52B", "in chain A 52B stands before 52A"),
        ("K52A", "found 'K52A', expected interface, contacts, all, an author number"),
        ("", "found '', expected interface"),
        ("1,,2", "found ''"),
        ("1..2", "found '1..2'"),
        ("1-2-3", "found '1-2-3'"),
        ("Interface", "found 'Interface'"),
    ],
)
def test_what_is_no_position_of_the_chain_is_refused(text: str, told: str, structure: Structure) -> None:
    with pytest.raises(InputError) as refused:
        choose_positions(text, structure, 0, NAMED, FILE)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_chain_without_a_residue_in_the_interface_says_so(structure: Structure) -> None:
    with pytest.raises(InputError, match="interface: no residue of chain R is one; its residues are -5 to -2"):
        choose_positions("interface", structure, 2, {"interface": []}, FILE)
