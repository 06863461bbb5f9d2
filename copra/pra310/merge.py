"""Measurements and structures become candidates: complexes that at least one wild-type measurement describes.

The join key is entry and chains and construct: mutants never meet the wild type. Values are not compared here.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import Pra310
from copra.decisions import Book, require_unique, rows_as_dicts
from copra.pra310.archive import Entry, entry_status, load_archive
from copra.pra310.copies import one_copy_of
from copra.pra310.naming import (
    Complex,
    from_structure,
    join_names,
    named_complex,
    note_once,
    says_dna,
    split_chains,
)
from copra.tables import concat_tables, empty_table, read_table, write_table

log = logging.getLogger(__name__)

_FROM = {"structure": "from_structure", "unresolved": "unresolved"}


def merge_measurements(
    measurements: list[Path],
    *,
    entries: Path,
    chains: Path,
    contacts: Path,
    settings: Pra310,
    candidates: Path,
    decisions: Path,
    funnel: Path,
) -> None:
    """Join measurements and structures into the table `candidates`, with one decision per judgement.

    A measurement that is dropped (mutant, DNA) has its one verdict here; each other one is in exactly one candidate.
    Raises InputError when two measurements have the same id.
    """
    stated = concat_tables(measurements, "measurements").sort_values("measurement_id")
    require_unique(stated, "measurement_id", "measurements")
    archive = load_archive(chains, contacts, stated["pdb_id"])
    book = Book("pra310", "merge", first_order=100)
    rows = rows_as_dicts(stated)
    wild = [row for row in rows if _is_wild_type(row, book)]
    book.count("mutant_construct", len(rows), len(wild))
    status = read_table(entries, "entries")
    no_rna = set(status.loc[status["reason"] == "no_rna", "pdb_id"])
    rna = _without_dna(wild, archive, no_rna, book)
    book.count("nucleic_acid_is_dna", len(wild), len(rna))
    complexes: list[Complex] = []
    by_entry: dict[str, list[dict[str, Any]]] = {}
    for row in rna:
        by_entry.setdefault(row["pdb_id"], []).append(row)
    for pdb_id, of_entry in sorted(by_entry.items()):
        complexes += complexes_of_entry(pdb_id, of_entry, archive.get(pdb_id), settings, book)
    book.count("measurements_joined_into_candidates", len(rna), len(complexes))
    _flag_absent(complexes, archive, entry_status(status), book)
    log.info(
        "merge: %d measurements, %d of wild-type RNA complexes, %d candidates", len(rows), len(rna), len(complexes)
    )
    table = pd.DataFrame([_candidate(c) for c in complexes]) if complexes else empty_table("candidates")
    write_table(table, candidates, "candidates")
    book.write(decisions, funnel)


def complexes_of_entry(
    pdb_id: str, rows: list[dict[str, Any]], entry: Entry | None, settings: Pra310, book: Book
) -> list[Complex]:
    """The candidates of one entry from its wild-type measurements (rows of the table `measurements`)."""
    named: list[Complex] = []
    unnamed: list[dict[str, Any]] = []
    for row in rows:
        complex_ = named_complex(
            pdb_id, split_chains(row["protein_chains"]), split_chains(row["rna_chains"]), entry, book
        )
        if complex_ is None:
            unnamed.append(row)
        else:
            complex_.measurements[row["measurement_id"]] = row["source"]
            named.append(complex_)
    if entry is not None:
        named = [one_copy_of(c, entry, settings.max_packing_contacts, book) for c in named]
    joined = join_names(named, entry, settings.source_order, book)
    if not unnamed:
        return joined
    home = joined[0] if len(joined) == 1 else from_structure(pdb_id, entry)
    if len(joined) != 1:
        joined.append(home)
    rule = "chains_from_other_source" if home.origin == "source" else f"chains_{_FROM[home.origin]}"
    for row in unnamed:
        home.measurements[row["measurement_id"]] = row["source"]
        stated = Complex(pdb_id, split_chains(row["protein_chains"]), split_chains(row["rna_chains"]), "source").name
        note_once(book, stated, rule, home.name, _why_unnamed(stated, entry))
    return join_names(joined, entry, settings.source_order, book)


def _why_unnamed(stated: str, entry: Entry | None) -> str:
    if stated.endswith(":?:?"):
        return "the source names no chains"
    return f"chains of the structure: {','.join(entry.chains)}" if entry is not None else "no structure"


def _is_wild_type(row: dict[str, Any], book: Book) -> bool:
    if row["mutation"]:
        book.decide(row["measurement_id"], "mutant_construct", "drop", before=row["mutation"])
    return not row["mutation"]


def _without_dna(
    rows: list[dict[str, Any]], archive: dict[str, Entry], no_rna: set[str], book: Book
) -> list[dict[str, Any]]:
    """`no_rna` are the entries that were read and set aside because they hold no RNA."""
    rna_said = {row["pdb_id"] for row in rows if row["nucleic_acid"] == "RNA"}
    kept = []
    for row in rows:
        why = says_dna(
            split_chains(row["protein_chains"]), split_chains(row["rna_chains"]), row["nucleic_acid"],
            archive.get(row["pdb_id"]), row["pdb_id"] in rna_said,
        )  # fmt: skip
        if row["pdb_id"] in no_rna:
            why = "the structure holds no RNA chain"
        if why:
            book.decide(row["measurement_id"], "nucleic_acid_is_dna", "drop", evidence=why)
        else:
            kept.append(row)
    return kept


def _flag_absent(complexes: list[Complex], archive: dict[str, Entry], told: dict[str, str], book: Book) -> None:
    absent = [c for c in complexes if c.pdb_id not in archive]
    for complex_ in absent:
        evidence = told.get(complex_.pdb_id, "not among the entries")
        book.decide(complex_.name, "structure_not_in_archive", "flag", evidence=evidence)


def _candidate(complex_: Complex) -> dict[str, object]:
    return {
        "candidate_id": complex_.name, "pdb_id": complex_.pdb_id,
        "protein_chains": ",".join(complex_.protein_chains), "rna_chains": ",".join(complex_.rna_chains),
        "chains_origin": complex_.origin, "measurement_ids": ",".join(sorted(complex_.measurements)),
        "n_measurements": len(complex_.measurements),
    }  # fmt: skip
