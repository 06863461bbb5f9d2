"""The labelled complexes that become records: structure there, chains as named, in touch, within the limits.

Lengths are those of the full polymer sequences, summed over the chains of a side. The first reason that applies
refuses a label; each reason has its count. Two labels of one entry with the same sequences on both sides are one
complex: the first in text order is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import Pra310
from copra.decisions import Book, rows_as_dicts
from copra.pra310.archive import PROTEIN, Entry, entry_status, load_archive
from copra.tables import RNA_CHAIN_TYPES, empty_table, read_table, write_table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """One label beside its structure, which is None when it was not read."""

    label: dict[str, Any]
    entry: Entry | None

    def names(self, side: str) -> list[str]:
        """The chains of a side (`protein_chains` or `rna_chains`)."""
        return self.label[side].split(",") if self.label[side] else []

    def sequences(self, side: str) -> list[str]:
        """The full sequences of a side's chains, in the order of the names."""
        assert self.entry is not None
        return [self.entry.chains[name].sequence for name in self.names(side)]

    def length(self, side: str) -> int:
        """Residues of a side, over all its chains."""
        return sum(len(sequence) for sequence in self.sequences(side))

    def sha256(self, side: str) -> list[str]:
        """The sequence keys of a side's chains."""
        assert self.entry is not None
        return [self.entry.chains[name].sequence_sha256 for name in self.names(side)]


Check = Callable[[Labelled], str]


def select_records(
    labels: Path,
    *,
    entries: Path,
    chains: Path,
    contacts: Path,
    settings: Pra310,
    records: Path,
    decisions: Path,
    funnel: Path,
) -> None:
    """Write the table `records`; every refused label has a decision, every reason a count."""
    found = read_table(labels, "labels").sort_values("candidate_id")
    archive = load_archive(chains, contacts, found["pdb_id"])
    status = entry_status(read_table(entries, "entries"))
    book = Book("pra310", "select", first_order=300)
    left = [Labelled(label, archive.get(label["pdb_id"])) for label in rows_as_dicts(found)]
    for reason, check in _checks(settings, status):
        kept = []
        for labelled in left:
            why = check(labelled)
            if why:
                book.decide(labelled.label["candidate_id"], reason, "drop", evidence=why)
            else:
                kept.append(labelled)
        book.count(reason, len(left), len(kept))
        left = kept
    kept = _without_repeats(left, book)
    book.count("same_sequences_in_entry", len(left), len(kept))
    rows = [_record(labelled, settings) for labelled in kept]
    for row in rows:
        book.decide(row["record_id"], "within_all_limits", "keep", after=f"{row['dg_kcal_mol']:.4f} kcal/mol")
    n_single = sum(bool(row["in_pra201"]) for row in rows)
    log.info("select: %d labels, %d records, %d of them with one chain on each side", len(found), len(rows), n_single)
    write_table(pd.DataFrame(rows) if rows else empty_table("records"), records, "records")
    book.write(decisions, funnel)


def _checks(settings: Pra310, status: dict[str, str]) -> list[tuple[str, Check]]:
    """The reasons in order, each with a function that says why a label is refused, or nothing."""

    def absent(item: Labelled) -> str:
        told = status.get(item.label["pdb_id"], "not among the entries")
        return "" if item.entry is not None else told

    def within(side: str, low: int, high: int) -> Check:
        return lambda item: _outside(item.length(side), low, high)

    def at_most(side: str, high: int) -> Check:
        return lambda item: _outside(len(item.names(side)), 1, high)

    s = settings
    return [
        ("structure_not_in_archive", absent),
        ("chains_unresolved", lambda item: "" if item.names("protein_chains") else "no chains are known"),
        ("chain_not_in_structure", _missing),
        ("chain_is_not_protein", lambda item: _not_of_type(item, "protein_chains", (PROTEIN,))),
        ("chain_is_not_rna", lambda item: _not_of_type(item, "rna_chains", RNA_CHAIN_TYPES)),
        ("chains_do_not_touch", _not_in_touch),
        ("number_of_protein_chains", at_most("protein_chains", s.max_protein_chains)),
        ("number_of_rna_chains", at_most("rna_chains", s.max_rna_chains)),
        ("protein_length", within("protein_chains", s.min_protein_residues, s.max_protein_residues)),
        ("rna_length", within("rna_chains", s.min_rna_nucleotides, s.max_rna_nucleotides)),
        ("dg_window", lambda item: _outside_window(item, s)),
    ]


def _missing(item: Labelled) -> str:
    assert item.entry is not None
    named = item.names("protein_chains") + item.names("rna_chains")
    missing = [name for name in named if name not in item.entry.chains]
    return f"named {missing}, the structure has {list(item.entry.chains)}" if missing else ""


def _not_of_type(item: Labelled, side: str, allowed: tuple[str, ...]) -> str:
    assert item.entry is not None
    kinds = {name: item.entry.chains[name].molecule_type for name in item.names(side)}
    wrong = {name: kind for name, kind in kinds.items() if kind not in allowed}
    return ", ".join(f"{name} is {kind}" for name, kind in wrong.items())


def _not_in_touch(item: Labelled) -> str:
    assert item.entry is not None
    proteins, rnas = set(item.names("protein_chains")), set(item.names("rna_chains"))
    touching = any(protein in proteins and rna in rnas for protein, rna in item.entry.contacts)
    return "" if touching else f"contacts of the entry: {list(item.entry.contacts)}"


def _outside(found: int, low: int, high: int) -> str:
    return "" if low <= found <= high else f"{found}, allowed {low} to {high}"


def _outside_window(item: Labelled, settings: Pra310) -> str:
    window, dg = settings.dg_window_kcal_mol, item.label["dg_kcal_mol"]
    if settings.variant == "full" or window.holds(dg):
        return ""
    return f"{dg:.3f} kcal/mol, allowed between {window.low} and {window.high}"


def _without_repeats(left: list[Labelled], book: Book) -> list[Labelled]:
    first: dict[tuple[str, ...], str] = {}
    kept = []
    for item in left:
        sides = (*sorted(item.sha256("protein_chains")), "|", *sorted(item.sha256("rna_chains")))
        name = item.label["candidate_id"]
        known = first.setdefault((item.label["pdb_id"], *sides), name)
        if known == name:
            kept.append(item)
        else:
            book.decide(name, "same_sequences_in_entry", "drop", before=name, after=known)
    return kept


def _record(item: Labelled, settings: Pra310) -> dict[str, Any]:
    label = {key: value for key, value in item.label.items() if key != "candidate_id"}
    proteins, rnas = item.names("protein_chains"), item.names("rna_chains")
    n_residues, n_nucleotides = item.length("protein_chains"), item.length("rna_chains")
    small = n_residues <= settings.pra201.max_protein_residues and n_nucleotides <= settings.pra201.max_rna_nucleotides
    return label | {
        "record_id": item.label["candidate_id"],
        "protein_sequences": ",".join(item.sequences("protein_chains")),
        "rna_sequences": ",".join(item.sequences("rna_chains")),
        "protein_sha256": ",".join(item.sha256("protein_chains")), "rna_sha256": ",".join(item.sha256("rna_chains")),
        "n_protein_chains": len(proteins), "n_rna_chains": len(rnas), "n_protein_residues": n_residues,
        "n_rna_nucleotides": n_nucleotides, "in_pra201": len(proteins) == 1 and len(rnas) == 1 and small,
        "in_dg_window": settings.dg_window_kcal_mol.holds(label["dg_kcal_mol"]),
    }  # fmt: skip
