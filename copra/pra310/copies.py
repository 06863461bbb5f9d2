"""From the chains that a source names to one copy of the complex.

A crystal often holds several copies, and an index line may name all of them, while the affinity belongs to one.
The steps, each a rule of the decision book:

    dna_strand_left_out     a DNA chain named beside RNA is no part of a protein-RNA record
    loose_copy_left_out     a second copy of a protein chain that hardly touches the RNA is crystal packing
    one_copy                the named chains fall into several groups of the same molecules: one of them, the most
                            complete (longest full sequences), the first in text order among equals
    copy_in_contact         the named chains do not touch each other, but a copy of them does
    first_copy              of equal copies of the complex in the entry the first in text order stands for all
"""

from __future__ import annotations

from collections.abc import Iterable

from copra.decisions import Book
from copra.linkage import connected_groups
from copra.pra310.archive import PROTEIN, Entry
from copra.pra310.naming import Complex, Names, note_once
from copra.tables import RNA_CHAIN_TYPES

Sides = tuple[Names, Names]


def one_copy_of(complex_: Complex, entry: Entry, max_packing_contacts: int, book: Book) -> Complex:
    """The complex reduced to one copy, one decision for each step that changes its chains.

    A pair of chains is in firm contact when more than `max_packing_contacts` of their residue pairs touch.
    """
    firm = {pair for pair, n_contacts in entry.contacts.items() if n_contacts > max_packing_contacts}
    steps = (
        ("dna_strand_left_out", lambda sides: _without_dna(sides, entry)),
        ("loose_copy_left_out", lambda sides: _without_loose_copies(sides, entry, firm)),
        ("one_copy", lambda sides: _one_group(sides, entry, firm)),
        ("copy_in_contact", lambda sides: _touching_copy(sides, entry, firm)),
        ("first_copy", lambda sides: _first_copy(sides, entry, firm)),
    )
    for rule, step in steps:
        sides = step((complex_.protein_chains, complex_.rna_chains))
        if sides != (complex_.protein_chains, complex_.rna_chains):
            before = complex_.name
            complex_ = Complex(complex_.pdb_id, *sides, complex_.origin, complex_.measurements)
            evidence = ", ".join(f"{p}-{r} {n}" for (p, r), n in entry.contacts.items())
            note_once(book, before, rule, complex_.name, f"residue contacts: {evidence}")
    return complex_


def _without_dna(sides: Sides, entry: Entry) -> Sides:
    rna = tuple(name for name in sides[1] if entry.chains[name].molecule_type in RNA_CHAIN_TYPES)
    return (sides[0], rna) if rna else sides


def _without_loose_copies(sides: Sides, entry: Entry, firm: set[tuple[str, str]]) -> Sides:
    proteins, rnas = sides
    holding = {protein for protein, rna in firm if rna in rnas}
    held_sequences = {entry.chains[name].sequence for name in proteins if name in holding}
    kept = tuple(name for name in proteins if name in holding or entry.chains[name].sequence not in held_sequences)
    return kept, rnas


def _one_group(sides: Sides, entry: Entry, firm: set[tuple[str, str]]) -> Sides:
    named = set(sides[0] + sides[1])
    groups = _groups((pair for pair in firm if named.issuperset(pair)), entry)
    if len(groups) < 2 or sum(len(p) + len(r) for p, r in groups) < len(named):
        return sides
    if not all(_same_molecules(groups[0], group, entry) for group in groups[1:]):
        return sides
    return min(groups, key=lambda group: (-_length(group, entry), group))


def _touching_copy(sides: Sides, entry: Entry, firm: set[tuple[str, str]]) -> Sides:
    if any(protein in sides[0] and rna in sides[1] for protein, rna in entry.contacts):
        return sides
    return min(_equal_copies(sides, entry, firm), default=sides)


def _first_copy(sides: Sides, entry: Entry, firm: set[tuple[str, str]]) -> Sides:
    copies = _equal_copies(sides, entry, firm)
    own = (tuple(sorted(sides[0])), tuple(sorted(sides[1])))
    return min(copies) if own in copies and min(copies) != own else sides


def _equal_copies(sides: Sides, entry: Entry, firm: set[tuple[str, str]]) -> list[Sides]:
    """The groups of the entry in firm contact that have the same sequences on both sides."""
    wanted = (entry.sequences_of(sides[0]), entry.sequences_of(sides[1]))
    groups = _groups(firm, entry)
    return [group for group in groups if (entry.sequences_of(group[0]), entry.sequences_of(group[1])) == wanted]


def _groups(pairs: Iterable[tuple[str, str]], entry: Entry) -> list[Sides]:
    """Connected groups of chains as sorted (protein chains, RNA chains), in text order."""
    found = []
    for group in connected_groups(sorted(pairs)):
        proteins = tuple(sorted(name for name in group if entry.chains[name].molecule_type == PROTEIN))
        found.append((proteins, tuple(sorted(group.difference(proteins)))))
    return sorted(found)


def _same_molecules(a: Sides, b: Sides, entry: Entry) -> bool:
    """Whether two groups hold the same molecules, some of them possibly cut shorter in one copy."""
    for mine, other in zip(a, b, strict=True):
        left, right = (sorted((entry.chains[n].sequence for n in names), key=len) for names in (mine, other))
        if len(left) != len(right) or any(x not in y and y not in x for x, y in zip(left, right, strict=True)):
            return False
    return True


def _length(sides: Sides, entry: Entry) -> int:
    return sum(len(entry.chains[name].sequence) for name in sides[0] + sides[1])
