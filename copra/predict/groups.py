"""The complexes of a file: chains that hang together by contacts, parted into the copies of a crystal.

Crystal packing is told from the complex as for the labels (`pra310.copies`): a pair of chains with at most
`max_packing_contacts` touching residue pairs does not join two groups, and a chain that touches no more than that
belongs to its partner's group unless it is a second copy of a chain that stands there already.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from copra.pra310.archive import Entry
from copra.predict.cautions import ComplexLimits, Sides
from copra.structure.distances import chain_atoms, near_pairs
from copra.structure.residues import Structure

# A contact of less than this part of the strongest one of both its chains holds no complex together, where it is
# all that joins equal copies. In 2zzn the copies have 122 and 117 residue pairs, and 18 and 8 between them.
WEAK_PART = 0.5
# Sequences without SEQRES lack what is not seen: they are compared where both copies have a residue
SAME_LETTERS, SHARED_PART = 0.95, 0.7


@dataclass(frozen=True)
class Group:
    """Chains that form a complex, in text order as the records have them."""

    sides: Sides
    n_contacts: int  # residue pairs
    first: int  # place of its first chain in the file

    def __str__(self) -> str:
        return f"{label(self.sides)} ({self.n_contacts})"


def label(sides: Sides) -> str:
    """`A,B:R`."""
    return f"{','.join(sides[0])}:{','.join(sides[1])}"


def group_of(sides: Sides, entry: Entry) -> Group:
    """The chains as a group, with their contacts counted."""
    n = sum(count for (p, r), count in entry.contacts.items() if p in sides[0] and r in sides[1])
    order = {name: i for i, name in enumerate(entry.chains)}
    return Group(sides, n, min(order[name] for name in sides[0] + sides[1]))


def find_groups(
    structure: Structure, entry: Entry, kinds: dict[str, int], cutoff_angstrom: float, limits: ComplexLimits
) -> list[Group]:
    """The complexes of the file: connected by firm contacts, parted into copies, with their loose chains."""
    firm = {pair: n for pair, n in entry.contacts.items() if n > limits.max_packing_contacts} or entry.contacts
    found: list[Sides] = []
    for sides in Entry(entry.chains, firm).groups():
        found += _parted(structure, sides, firm, kinds, cutoff_angstrom, limits)
    members = [set(p + r) for p, r in found]
    placed = set().union(*members)
    loose: dict[str, Counter[int]] = {}
    for pair, n in entry.contacts.items():
        for name, partner in (pair, pair[::-1]):
            if name not in placed and partner in placed:
                place = next(i for i, group in enumerate(members) if partner in group)
                loose.setdefault(name, Counter())[place] += n
    for name, places in sorted(loose.items()):
        place = min(places, key=lambda i: (-places[i], i))
        if kinds[name] not in {kinds[m] for m in members[place]}:
            side = int(entry.chains[name].molecule_type != "protein")
            sides = found[place]
            grown = tuple(sorted((*sides[side], name)))
            found[place] = (grown, sides[1]) if side == 0 else (sides[0], grown)
    return [group_of(sides, entry) for sides in found]


def _parted(
    structure: Structure,
    sides: Sides,
    firm: dict[tuple[str, str], int],
    kinds: dict[str, int],
    cutoff_angstrom: float,
    limits: ComplexLimits,
) -> list[Sides]:
    """The equal copies that only weak contacts join, or the group itself.

    Copies whose RNA strands touch by more than packing stay together: they may be the strands of one duplex.
    """
    own = {pair: n for pair, n in firm.items() if pair[0] in sides[0] and pair[1] in sides[1]}
    strongest: Counter[str] = Counter()
    for pair, n in own.items():
        for name in pair:
            strongest[name] = max(strongest[name], n)
    strong = {pair: n for pair, n in own.items() if n >= WEAK_PART * min(strongest[name] for name in pair)}
    parts = Entry({}, strong).groups()
    if len(parts) < 2 or not all(is_copy(part, parts[0], kinds) for part in parts[1:]):
        return [sides]
    index = {name: i for i, name in enumerate(structure.chain_ids)}
    strands = [chain_atoms(structure, [index[name] for name in part[1]]) for part in parts]
    for i, one in enumerate(strands):
        for other in strands[:i]:
            a, b, _ = near_pairs(one.xyz, other.xyz, cutoff_angstrom)
            if len(set(zip(one.residue[a].tolist(), other.residue[b].tolist(), strict=True))) > (
                limits.max_packing_contacts
            ):
                return [sides]
    return parts


def is_copy(one: Sides, other: Sides, kinds: dict[str, int]) -> bool:
    """Whether two groups hold the same molecules, as often."""
    return all(Counter(kinds[n] for n in a) == Counter(kinds[n] for n in b) for a, b in zip(one, other, strict=True))


def molecules(structure: Structure) -> dict[str, int]:
    """Chain -> number of its molecule: that of the first chain of the file with the same one."""
    found: dict[str, int] = {}
    for i, name in enumerate(structure.chain_ids):
        same = (j for j in sorted(set(found.values())) if _are_same(structure, i, j))
        found[name] = next(same, i)
    return found


def _are_same(structure: Structure, i: int, j: int) -> bool:
    """Whether two chains are one molecule: equal sequences, or one within the other; where the full sequence is not
    known, equal letters at the author's numbers that both show."""
    if structure.molecule_types[i] != structure.molecule_types[j]:
        return False
    short, long = sorted((structure.sequences[i], structure.sequences[j]), key=len)
    if short in long and len(short) >= SHARED_PART * len(long):
        return True
    if "observed" not in (structure.sequence_origins[i], structure.sequence_origins[j]):
        return False
    one, other = (_by_number(structure, k) for k in (i, j))
    shared = one.keys() & other.keys()
    if len(shared) < SHARED_PART * min(len(one), len(other)) or not shared:
        return False
    return float(np.mean([one[key] == other[key] for key in shared])) >= SAME_LETTERS


def _by_number(structure: Structure, index: int) -> dict[tuple[int, bytes], int]:
    part = structure.chain_residues(index)
    keys = (structure.arrays[name][part].tolist() for name in ("auth_number", "insertion_code", "residue_type"))
    return {(number, code): kind for number, code, kind in zip(*keys, strict=True)}
