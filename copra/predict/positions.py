"""Which residues of a chain a scan mutates: `interface`, `contacts`, `all`, or a list such as `12,15-20,52A`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from copra.errors import InputError
from copra.predict.cautions import counted
from copra.structure.mutants import NotApplicable, find_residue
from copra.structure.residues import Structure

ALL = "all"
_RESIDUE = r"(-?[0-9]{1,9})([A-Za-z]?)"
_ITEM = re.compile(rf"{_RESIDUE}(?:-{_RESIDUE})?")


@dataclass(frozen=True)
class Position:
    """One residue that has coordinates."""

    number: int  # the author's
    insertion_code: str  # "" where there is none
    polymer_index: int  # 0-based place in the chain's full sequence
    wild_type: str  # one letter of the full sequence, the parent's of a modified residue

    @property
    def name(self) -> str:
        """Wild type, author number and insertion code, as R52 or K80A."""
        return f"{self.wild_type}{self.number}{self.insertion_code}"


def choose_positions(
    text: str, structure: Structure, chain: int, named: Mapping[str, Iterable[int]], path: Path
) -> tuple[list[Position], list[str]]:
    """The residues of chain `chain` (its index) that `text` asks for, in the order of the sequence, and warnings.

    `text` is a list, joined by commas, of author numbers with their insertion codes (`12`, `-3`, `52A`), of ranges
    of them (`15-20`, `-5--2`: everything that stands between the two in the chain), of `all`, and of the keys of
    `named`, which holds places (0-based) in the full sequence, as for `interface`. Places without coordinates
    are left out and, between the ends of a range, counted in a warning.

    Raises InputError, with the file `path`, for what is none of these, a residue that is not there or has no
    coordinates, a range that runs backwards, and where no residue is chosen.
    """
    part = structure.chain_residues(chain)
    places = structure.arrays["polymer_index"][part]
    chosen: set[int] = set()
    told: list[str] = []
    for item in text.split(","):
        word = item.strip()
        if word == ALL:
            chosen.update(places.tolist())
        elif word in named:
            chosen.update(np.intersect1d(places, np.array(sorted(named[word]), dtype=np.int64)).tolist())
        elif match := _ITEM.fullmatch(word):
            between, missing = _residues(match, structure, chain, path)
            chosen.update(between)
            if missing:
                told.append(
                    f"{counted(missing, 'residue')} of {word} in chain {structure.chain_ids[chain]} without "
                    "coordinates, not scanned"
                )
        else:
            words = ", ".join((*named, ALL))
            raise InputError(
                f"{path}: --positions: found {word!r}, expected {words}, an author number such as 12, -3 or 52A, "
                "or a range such as 15-20"
            )
    if not chosen:
        at = _extent(structure, chain)
        raise InputError(f"{path}: --positions {text}: no residue of chain {structure.chain_ids[chain]} is one; {at}")
    rows = [part.start + int(i) for i in np.flatnonzero(np.isin(places, sorted(chosen)))]
    found, twice = _distinct([_position(structure, chain, row) for row in rows], structure, chain)
    return found, [*dict.fromkeys(told), *twice]


def _residues(match: re.Match[str], structure: Structure, chain: int, path: Path) -> tuple[list[int], int]:
    """The places of one residue or of a range, and how many places of the range have no coordinates."""
    numbers = [match.group(1, 2)] + ([match.group(3, 4)] if match.group(3) else [])
    ends = []
    for number, code in numbers:
        try:
            row = find_residue(int(number), code, structure, chain)
        except NotApplicable as refused:
            why = "it has no coordinates: " if refused.reason == "no_coordinates" else ""
            raise InputError(f"{path}: --positions {match[0]}: {number}{code}: {why}{refused.detail}") from None
        ends.append(int(structure.arrays["polymer_index"][row]))
    first, last = ends[0], ends[-1]
    if first > last:
        raise InputError(
            f"{path}: --positions {match[0]}: the range runs backwards; in chain {structure.chain_ids[chain]} "
            f"{''.join(numbers[-1])} stands before {''.join(numbers[0])}"
        )
    places = structure.arrays["polymer_index"][structure.chain_residues(chain)]
    found = places[(places >= first) & (places <= last)].tolist()
    return found, last - first + 1 - len(found)


def _distinct(found: list[Position], structure: Structure, chain: int) -> tuple[list[Position], list[str]]:
    """Without the residues that share number and insertion code with another one: a table could not tell them apart."""
    part = structure.chain_residues(chain)
    numbers, codes = (structure.arrays[name][part].tolist() for name in ("auth_number", "insertion_code"))
    times = Counter((number, code.decode()) for number, code in zip(numbers, codes, strict=True))
    kept = [at for at in found if times[at.number, at.insertion_code] == 1]
    names = sorted({f"{at.number}{at.insertion_code}" for at in found if at not in kept})
    if not names:
        return kept, []
    return kept, [
        f"several residues of chain {structure.chain_ids[chain]} bear the number {', '.join(names)}: not scanned"
    ]


def _position(structure: Structure, chain: int, row: int) -> Position:
    place = int(structure.arrays["polymer_index"][row])
    code = structure.arrays["insertion_code"][row].decode()
    return Position(int(structure.arrays["auth_number"][row]), code, place, structure.sequences[chain][place])


def _extent(structure: Structure, chain: int) -> str:
    """`its residues are 3 to 120`."""
    numbers = structure.arrays["auth_number"][structure.chain_residues(chain)]
    return f"its residues are {numbers.min()} to {numbers.max()}" if len(numbers) else "it has no residues"
