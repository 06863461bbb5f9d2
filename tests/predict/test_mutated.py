"""The interface of a mutant differs from the wild type's in the exchanged residue and the sequence's sum alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from copra.errors import InputError
from copra.predict.mutated import mutated_interface
from copra.structure.interface import Interface
from copra.structure.residues import type_index

NEW = "e" * 64


@pytest.fixture
def dimer() -> Interface:
    """Two protein chains A and B of one sequence, three nodes each, and an RNA chain R with two."""
    chain = np.array([0, 0, 0, 1, 1, 1, 2, 2], dtype=np.int16)
    n = len(chain)
    return Interface(
        complex_id="9abc:A,B:R",
        chain_ids=("A", "B", "R"),
        chain_sequence_sha256=("a" * 64, "a" * 64, "b" * 64),
        molecule=(chain == 2).astype(np.uint8),
        residue_type=np.array([type_index(x, x != "U") for x in "KRKKRK"] + [type_index("U", False)] * 2, np.uint8),
        chain=chain,
        polymer_index=np.array([4, 5, 9, 4, 5, 9, 0, 3], dtype=np.int32),
        auth_number=np.arange(n, dtype=np.int32),
        insertion_code=np.array([b""] * n, dtype="S1"),
        backbone_xyz_angstrom=np.zeros((n, 4, 3), np.float32),
        backbone_mask=np.ones((n, 4), bool),
        partner_distance_angstrom=np.ones(n, np.float32),
        centres_angstrom=np.zeros((3, 3), np.float32),
        buried_area_angstrom2=812.5,
    )


def changed(before: Interface, after: Interface) -> set[str]:
    names = [field.name for field in dataclasses.fields(Interface)]
    return {name for name in names if not np.array_equal(getattr(before, name), getattr(after, name))}


def test_one_chain_of_a_dimer_is_changed_and_the_given_interface_stays(dimer: Interface) -> None:
    before = dimer.residue_type.copy()
    mutant = mutated_interface(dimer, ["B"], 5, "A", NEW)
    assert np.array_equal(dimer.residue_type, before)
    assert np.flatnonzero(mutant.residue_type != before).tolist() == [4]
    assert mutant.residue_type[4] == type_index("A", True)
    assert mutant.chain_sequence_sha256 == ("a" * 64, NEW, "b" * 64)
    assert changed(dimer, mutant) == {"residue_type", "chain_sequence_sha256"}


def test_every_copy_is_changed_where_all_are_named(dimer: Interface) -> None:
    mutant = mutated_interface(dimer, ["A", "B"], 9, "W", NEW)
    assert np.flatnonzero(mutant.residue_type != dimer.residue_type).tolist() == [2, 5]
    assert mutant.chain_sequence_sha256 == (NEW, NEW, "b" * 64)


def test_a_residue_that_is_no_node_changes_the_sequence_alone(dimer: Interface) -> None:
    assert changed(dimer, mutated_interface(dimer, ["A"], 7, "W", NEW)) == {"chain_sequence_sha256"}


def test_a_nucleotide_gets_a_type_of_rna_not_of_the_amino_acid_of_its_letter(dimer: Interface) -> None:
    mutant = mutated_interface(dimer, ["R"], 3, "A", NEW)
    assert mutant.residue_type[7] == type_index("A", False) != type_index("A", True)


def test_several_exchanges_are_chained(dimer: Interface) -> None:
    once = mutated_interface(mutated_interface(dimer, ["A"], 4, "D", NEW), ["A"], 9, "E", "f" * 64)
    assert once.residue_type[[0, 2]].tolist() == [type_index("D", True), type_index("E", True)]
    assert once.chain_sequence_sha256[0] == "f" * 64


@pytest.mark.parametrize(
    ("chain", "place", "letter", "told"),
    [
        ("C", 5, "A", "no chain C to mutate, expected one of A, B, R"),
        ("R", 3, "W", "the mutant 'W' for RNA chain R, expected one letter of ACGUN"),
        ("A", 5, "AG", "the mutant 'AG' for protein chain A"),
        ("A", 5, "B", "the mutant 'B' for protein chain A"),
    ],
)
def test_what_is_no_exchange_is_refused(dimer: Interface, chain: str, place: int, letter: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        mutated_interface(dimer, [chain], place, letter, NEW)
