"""Mutation effects as full sequences: every mutation that a source states, put into the chain that the source names.

A mutation is named by the author's residue number, with its insertion code; what stands at that place of the full
sequence must be the stated wild type. A modified residue counts as its parent. Only the named chain is changed; the
other chains of the entry with its sequence are told, so that a homo-oligomer can be mutated whole. What cannot be put
in is refused with one of `REASONS`: nothing is guessed and no numbering is shifted.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.files import sha256_of_text
from copra.parse.obsolete import same_entry_key
from copra.progress import progress
from copra.structure.residues import PROTEIN_LETTERS, RNA_LETTERS, Structure
from copra.structure.store import StructureStore
from copra.tables import RNA_CHAIN_TYPES, TABLES, concat_tables, read_table, write_table

log = logging.getLogger(__name__)

REASONS = {
    "entry_not_read": "the entry is not among the structures that were read",
    "no_chain": "the entry has no protein or nucleic acid chain of this id",
    "bad_mutation": "the mutation is not wild type, residue number, mutant",
    "wrong_molecule": "the letters are not those of the named chain's molecule",
    "two_molecules": "protein and RNA are mutated, but one chain is named",
    "no_coordinates": "residues of the full sequence without coordinates, so without a number, stand at this place",
    "no_residue": "no residue of the chain has this number and insertion code",
    "ambiguous_residue": "several residues of the chain have this number and insertion code",
    "other_wild_type": "the residue of this number is neither the stated wild type nor the mutant",
    "mutant_in_structure": "the residue of this number is the mutant: the entry holds the mutated molecule",
}
LETTERS = {"protein": set(PROTEIN_LETTERS) - {"X"}, "rna": set(RNA_LETTERS) - {"N"}}
_MUTATION = re.compile(r"([A-Z])(-?[0-9]{1,9})([A-Z]?)([A-Z])")


@dataclass(frozen=True)
class Mutation:
    """One exchange, as `K52BA`: letters of wild type and mutant, the author's number and insertion code."""

    wildtype: str
    number: int
    code: str
    mutant: str


class NotApplicable(Exception):
    """A mutation that cannot be put into its chain; `reason` is a key of `REASONS`, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        assert reason in REASONS, reason
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def apply_mutations(mutations: list[Path], *, stores: list[Path], entries: Path, out: Path, rejects: Path) -> None:
    """Write the mutated full sequences (table `mutants`) and, with reasons, the mutations that have none (`rejects`).

    `mutations` are tables of mutation effects, or none; `stores` hold the structures of all shards, and the table
    `entries` says of an entry that is in none of them why. Every mutation ends in exactly one of the two tables.
    """
    rows = concat_tables(mutations, "mutations").to_dict("records")
    by_entry: dict[str, list[dict[Any, Any]]] = {}
    for row in rows:
        by_entry.setdefault(same_entry_key(row["pdb_id"]), []).append(row)
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for path in progress(sorted(stores), "stores", len(stores)):
        with StructureStore(path) as store:
            for pdb_id in store.pdb_ids:
                of_entry = by_entry.pop(same_entry_key(pdb_id), [])
                if of_entry:
                    _apply_all(of_entry, store.read(pdb_id), good, bad)
    told = _told(entries) if by_entry else {}
    for key, of_entry in by_entry.items():
        detail = told.get(key, "not among the entries of this run")
        bad += [_reject(row, "entry_not_read", f"{row['pdb_id']}: {detail}") for row in of_entry]
    for name, found, path in (("mutants", good, out), ("rejects", bad, rejects)):
        write_table(pd.DataFrame(found, columns=TABLES[name].schema().names), path, name)
    counts = ", ".join(f"{reason} {count}" for reason, count in sorted(Counter(row["reason"] for row in bad).items()))
    distinct = len({row["mutant_sha256"] for row in good})
    log.info("mutants: %d of %d mutations, %d sequences; refused: %s", len(good), len(rows), distinct, counts or "none")


def _told(entries: Path) -> dict[str, str]:
    """What the table `entries` says of the entries that were not read, by their `same_entry_key`."""
    table = read_table(entries, "entries")
    rows = table[["pdb_id", "reason", "detail"]].itertuples(index=False, name=None)
    return {same_entry_key(pdb_id): f"{reason}: {detail}" for pdb_id, reason, detail in rows}


def _apply_all(
    rows: list[dict[Any, Any]], structure: Structure, good: list[dict[str, Any]], bad: list[dict[str, Any]]
) -> None:
    for row in rows:
        try:
            good.append(mutant_of(row, structure))
        except NotApplicable as refused:
            bad.append(_reject(row, refused.reason, refused.detail))


def _reject(row: dict[Any, Any], reason: str, detail: str) -> dict[str, Any]:
    said = {name: row[name] for name in ("source", "source_row", "raw_text")}
    return {**said, "reason": reason, "detail": detail}


def mutant_of(row: dict[Any, Any], structure: Structure) -> dict[str, Any]:
    """The row of the table `mutants` for a row of `mutations` whose entry is `structure`; raises NotApplicable."""
    chain = row["chain"]
    if chain not in structure.chain_ids:
        there = ", ".join(f"{c} {m}" for c, m in zip(structure.chain_ids, structure.molecule_types, strict=True))
        raise NotApplicable("no_chain", f"found no chain {chain} in {structure.pdb_id}, which has {there}")
    index = structure.chain_ids.index(chain)
    changes = [_read(name) for name in row["mutation"].split(",")]
    molecule = _molecule_type(row, changes, structure.molecule_types[index])
    wildtype = structure.sequences[index]
    found = [_place_of(change, structure, index) for change in changes]
    if len(dict(found)) < len(found):
        raise NotApplicable("bad_mutation", f"found {row['mutation']}, which mutates a residue twice")
    letters = list(wildtype)
    for change, (place, _) in zip(changes, found, strict=True):
        letters[place] = change.mutant
    mutant = "".join(letters)
    return {
        "mutation_id": row["mutation_id"], "source": row["source"], "pdb_id": structure.pdb_id, "chain": chain,
        "molecule_type": molecule, "mutation": row["mutation"], "mutation_kind": row["mutation_kind"],
        "polymer_indices": ",".join(str(place) for place, _ in found),
        "residue_names": ",".join(residue_name for _, residue_name in found),
        "same_sequence_chains": ",".join(sorted(same_sequence_chains(structure, index))), "n_residues": len(mutant),
        "wildtype_sha256": sha256_of_text(wildtype), "mutant_sha256": sha256_of_text(mutant),
        "mutant_sequence": mutant,
    }  # fmt: skip


def same_sequence_chains(structure: Structure, index: int) -> list[str]:
    """The other chains of the same molecule type with the sequence of chain `index`, in the order of the file."""
    own = (structure.sequences[index], structure.molecule_types[index])
    every = zip(structure.sequences, structure.molecule_types, strict=True)
    return [structure.chain_ids[i] for i, other in enumerate(every) if i != index and other == own]


def _read(name: str) -> Mutation:
    match = _MUTATION.fullmatch(name)
    if not match or match.group(1) == match.group(4):
        raise NotApplicable("bad_mutation", f"found {name!r}, expected a form such as D210A")
    wildtype, digits, code, mutant = match.groups()
    return Mutation(wildtype, int(digits), code, mutant)


def _molecule_type(row: dict[Any, Any], changes: list[Mutation], said: str) -> str:
    """protein or rna: what the named chain is `said` to be, if the letters of the changes are those of that molecule.

    A, C and G are letters of both, so G12A of an RNA chain is taken for what the chain says.
    """
    if row["mutation_kind"] == "protein_and_rna":
        raise NotApplicable("two_molecules", f"found {row['mutation']}, and one chain, {row['chain']}")
    kind = "rna" if said in RNA_CHAIN_TYPES else said
    if not {letter for change in changes for letter in (change.wildtype, change.mutant)} <= LETTERS.get(kind, set()):
        raise NotApplicable("wrong_molecule", f"found {row['mutation']} for chain {row['chain']}, which is {said}")
    return kind


def _place_of(change: Mutation, structure: Structure, index: int) -> tuple[int, str]:
    """Place (0-based) in the full sequence, and name of the residue there, of one change."""
    row = find_residue(change.number, change.code, structure, index)
    chain, name = structure.chain_ids[index], structure.arrays["residue_name"][row].decode()
    place = int(structure.arrays["polymer_index"][row])
    found = structure.sequences[index][place]
    if found != change.wildtype:
        number = f"{change.number}{change.code}"
        reason = "mutant_in_structure" if found == change.mutant else "other_wild_type"
        detail = f"found {found} ({name}) with number {number} in chain {chain}, expected {change.wildtype}"
        raise NotApplicable(reason, detail)
    return place, name


def find_residue(number: int, code: str, structure: Structure, index: int) -> int:
    """The row, in the arrays of residues, of the author's number and insertion code in chain `index`.

    Raises NotApplicable where no observed residue or more than one bears them.
    """
    part = structure.chain_residues(index)
    numbers, codes = structure.arrays["auth_number"][part], structure.arrays["insertion_code"][part]
    here = np.flatnonzero((numbers == number) & (codes == code.encode()))
    if not len(here):
        raise _absent(number, f"{number}{code}", structure, index)
    if len(here) > 1:
        names = [text.decode() for text in structure.arrays["residue_name"][part][here].tolist()]
        chain = structure.chain_ids[index]
        raise NotApplicable(
            "ambiguous_residue", f"found {' and '.join(names)} with number {number}{code} in chain {chain}"
        )
    return part.start + int(here[0])


def _absent(number: int, name: str, structure: Structure, index: int) -> NotApplicable:
    """Why no observed residue has this number: residues are missing at its place, or the chain has no such place."""
    part = structure.chain_residues(index)
    numbers, places = (structure.arrays[key][part].astype(np.int64) for key in ("auth_number", "polymer_index"))
    chain, n_residues = structure.chain_ids[index], len(structure.sequences[index])
    below, above = np.flatnonzero(numbers < number), np.flatnonzero(numbers > number)
    last = below[numbers[below].argmax()] if len(below) else None
    first = above[numbers[above].argmin()] if len(above) else None
    if np.any(numbers == number):
        missing = False  # with another insertion code only
    elif last is not None and first is not None:
        missing = places[first] - places[last] > 1
    elif last is not None:
        missing = places[last] + number - numbers[last] < n_residues
    else:
        missing = first is not None and places[first] - (numbers[first] - number) >= 0
    detail = f"found no {name} in chain {chain}, whose observed residues are {numbers.min()} to {numbers.max()}"
    return NotApplicable("no_coordinates" if missing else "no_residue", detail)
