"""The verbs of the structure room: read one shard of entries, join the shards' tables, cut interfaces."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from copra.files import sha256_of_text
from copra.progress import progress
from copra.structure.biolip_contacts import NO_BINDING, chain_bindings, reach_angstrom
from copra.structure.distances import partner_pairs
from copra.structure.interface import Interface, chain_contacts, cut_interface
from copra.structure.quarantine import Unreadable
from copra.structure.reader import read_structure
from copra.structure.residues import Structure, chain_gaps
from copra.structure.store import StructureStore, write_interfaces, write_structures
from copra.structure.surface import buried_area_angstrom2
from copra.tables import RNA_CHAIN_TYPES, TABLES, concat_tables, read_table, write_table

log = logging.getLogger(__name__)


def read_structures(
    fetched: Path, *, contact_cutoff_angstrom: float, store: Path, entries: Path, chains: Path, contacts: Path
) -> None:
    """Read the coordinate files of one shard into a store and three tables.

    A file that cannot be read, or holds no protein or no RNA, becomes an `entries` row with status "quarantined"
    and a reason of `quarantine.REASONS`; the others have status "read". Residue pairs with heavy atoms nearer than
    `contact_cutoff_angstrom` are contacts; an entry without contacts is read all the same. BioLiP's counts stand
    beside them, for the same chain pairs.
    """
    rows: dict[str, list[dict[str, Any]]] = {"entries": [], "chains": [], "contacts": []}
    table = read_table(fetched, "fetched").sort_values("pdb_id")
    write_structures(_read_entries(table, contact_cutoff_angstrom, rows), store)
    for name, path in (("entries", entries), ("chains", chains), ("contacts", contacts)):
        write_table(_frame(rows[name], name), path, name)
    counts = pd.Series([row["reason"] for row in rows["entries"] if row["reason"]], dtype=str).value_counts()
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())) or "none"
    n_read = sum(row["status"] == "read" for row in rows["entries"])
    log.info("structures: %d of %d entries read; quarantined: %s", n_read, len(table), told)


def _read_entries(
    table: pd.DataFrame, contact_cutoff_angstrom: float, rows: dict[str, list[dict[str, Any]]]
) -> Iterator[Structure]:
    """The structures of the rows of `fetched` that can be used, one at a time; adds to the `rows` of the tables."""
    for row in progress(table.itertuples(), "structures", len(table)):
        structure, reason, detail = _read_entry(row)
        rows["entries"].append(_entry_row(row, structure, reason, detail))
        if structure is None or reason:
            continue
        rows["chains"] += [_chain_row(structure, i) for i in range(len(structure.chain_ids))]
        rows["contacts"] += _contact_rows(structure, contact_cutoff_angstrom)
        yield structure


def _read_entry(row: Any) -> tuple[Structure | None, str, str]:
    """The structure of one row of `fetched`, and the reason and detail of its quarantine, "" where it is read."""
    if row.status != "fetched":
        return None, "not_fetched", row.detail
    try:
        structure = read_structure(Path(row.path), row.pdb_id)
    except Unreadable as error:
        log.warning("%s: quarantined, %s: %s", row.pdb_id, error.reason, error)
        return None, error.reason, str(error)
    found = ", ".join(f"{c} {m}" for c, m in zip(structure.chain_ids, structure.molecule_types, strict=True))
    if "protein" not in structure.molecule_types:
        return structure, "no_protein", f"chains: {found}"
    if not set(RNA_CHAIN_TYPES) & set(structure.molecule_types):
        return structure, "no_rna", f"chains: {found}"
    return structure, "", ""


def _entry_row(row: Any, structure: Structure | None, reason: str, detail: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "pdb_id": row.pdb_id,
        "status": "quarantined" if reason else "read",
        "reason": reason,
        "detail": detail,
        "file_sha256": row.sha256,
        "method": "",
        "resolution_angstrom": None,
        "release_date": "",
        "handled": "",
    }
    counts = ("n_models", "n_protein_chains", "n_rna_chains", "n_residues", "n_atoms")
    if structure is None:
        return values | dict.fromkeys(counts, 0)
    kinds = structure.molecule_types
    numbers = (
        structure.n_models,
        kinds.count("protein"),
        sum(kinds.count(kind) for kind in RNA_CHAIN_TYPES),
        len(structure.arrays["chain"]),
        len(structure.arrays["atom_name"]),
    )
    return values | {
        "file_sha256": structure.file_sha256,
        "method": structure.method,
        "resolution_angstrom": structure.resolution_angstrom,
        "release_date": structure.release_date,
        **dict(zip(counts, numbers, strict=True)),
        "handled": ";".join(f"{name}={count}" for name, count in sorted(structure.handled.items())),
    }


def _chain_row(structure: Structure, index: int) -> dict[str, Any]:
    part = structure.chain_residues(index)
    sequence = structure.sequences[index]
    return {
        "pdb_id": structure.pdb_id,
        "chain": structure.chain_ids[index],
        "label_chains": structure.label_chains[index],
        "molecule_type": structure.molecule_types[index],
        "sequence": sequence,
        "sequence_sha256": sha256_of_text(sequence),
        "observed_sequence": structure.observed_sequence(index),
        "n_residues": len(sequence),
        "n_observed": part.stop - part.start,
        "n_modified": int(structure.arrays["modified"][part].sum()),
        "n_gaps": chain_gaps(structure, index),
        "sequence_origin": structure.sequence_origins[index],
    }


def _contact_rows(structure: Structure, cutoff_angstrom: float) -> list[dict[str, Any]]:
    # one search serves both rules
    pairs = partner_pairs(structure, max(cutoff_angstrom, reach_angstrom(structure)))
    bindings = chain_bindings(structure, pairs)
    return [
        {
            "pdb_id": structure.pdb_id,
            **vars(contact),
            **vars(bindings.get((contact.protein_chain, contact.rna_chain), NO_BINDING)),
        }
        for contact in chain_contacts(structure, cutoff_angstrom, pairs)
    ]


def _frame(rows: list[dict[str, Any]], name: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=TABLES[name].schema().names)


def gather_structures(shards: list[Path], *, entries: Path, chains: Path, contacts: Path) -> None:
    """Join the tables of all shards; `shards` are their folders."""
    for name, path in (("entries", entries), ("chains", chains), ("contacts", contacts)):
        write_table(concat_tables([shard / f"{name}.parquet" for shard in shards], name), path, name)


def build_interfaces(records: Path, *, store: Path, interface_nodes: int, out: Path) -> None:
    """Cut the interfaces of those records whose entry is in this store, and the surface buried in each.

    Raises InputError when a record names a chain that its entry does not have, or has as another molecule.
    """
    table = read_table(records, "records")
    with StructureStore(store) as structures:
        here = table[table["pdb_id"].isin(structures.pdb_ids)]
        write_interfaces(_cut_all(here, structures, interface_nodes), out)
    log.info("interfaces: %d of %d records are in %s", len(here), len(table), store)


def _cut_all(records: pd.DataFrame, structures: StructureStore, interface_nodes: int) -> Iterator[Interface]:
    """The interfaces of the records, one at a time, with the surface buried in each."""
    for row in progress(records.itertuples(), "interfaces", len(records)):
        structure = structures.read(str(row.pdb_id))
        sides = str(row.protein_chains).split(","), str(row.rna_chains).split(",")
        cut = cut_interface(structure, str(row.record_id), *sides, interface_nodes)
        buried = buried_area_angstrom2(structure, str(row.record_id), *sides)
        yield replace(cut, buried_area_angstrom2=buried)
