"""The list of wanted PDB entries: the answer of a search, a table or a plain list, and the mutated entries."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from copra.errors import InputError
from copra.parse.obsolete import current_entries, read_obsolete, same_entry_key
from copra.tables import concat_tables, write_table

log = logging.getLogger(__name__)

# an id becomes part of a file's path, so nothing else may stand in it
ID_PATTERN = re.compile(r"[A-Za-z0-9_]+")


def list_entries(entry_list: Path, *, obsolete: list[Path], mutations: list[Path], shards: int, out: Path) -> None:
    """Read the wanted PDB ids and deal them into shards by a hash of the id, so that new ids move no others.

    `entry_list` is the JSON of an RCSB search, a CSV or TSV table with a column pdb_id, or one id per line. The entries
    of the tables `mutations`, if there are any, are wanted too: a mutant is made from its structure. `obsolete` is the
    archive's list of obsolete entries, or nothing: an obsolete entry gives way to its successors, which name it in the
    column `replaces`; one without a successor stays, for the fetch to report. Ids are kept as they are written, in
    lower case; where an entry is named by its short and by its extended id, the short one is kept.
    Raises InputError when an id holds anything but letters, digits and "_", or when the list is empty or cut.
    """
    successors = {old: new for path in obsolete for old, new in read_obsolete(path).items()}
    forms: dict[str, set[str]] = {}  # by what the ids of one entry have in common: the ids, ...
    replaced: dict[str, set[str]] = {}  # ... and the obsolete ids that it stands in for
    named, mutated = _named_ids(entry_list), set(concat_tables(mutations, "mutations")["pdb_id"])
    for pdb_id in sorted(mutated.union(named)):
        current = current_entries(pdb_id, successors)
        _tell_obsolete(pdb_id, current, successors)
        for name in current:
            key = same_entry_key(name)
            forms.setdefault(key, set()).add(name)
            replaced.setdefault(key, set()).update({pdb_id} if key != same_entry_key(pdb_id) else ())
    rows = []
    for key, names in forms.items():
        pdb_id = min(names, key=len)
        if len(names) > 1:
            log.info("entries: %s are one entry; %s is kept", " and ".join(sorted(names)), pdb_id)
        rows.append((pdb_id, zlib.crc32(pdb_id.encode()) % shards, ",".join(sorted(replaced[key]))))
    write_table(pd.DataFrame(rows, columns=["pdb_id", "shard", "replaces"]), out, "wanted_entries")
    n_replaced = len(set().union(*replaced.values()))
    n_mutated = len(mutated.difference(named))
    log.info(
        "entries: %d wanted, %d obsolete ones replaced, %d for their mutations alone, %d shards",
        len(rows), n_replaced, n_mutated, shards,
    )  # fmt: skip


def _named_ids(entry_list: Path) -> list[str]:
    """The ids that the list names, in lower case, each once, sorted."""
    try:
        text = entry_list.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{entry_list}: not a readable text file: {error}") from error
    found = _ids_of_json(text, entry_list) if text.lstrip().startswith("{") else _ids_of_lines(text, entry_list)
    for where, pdb_id in found:
        if not ID_PATTERN.fullmatch(pdb_id):
            raise InputError(f"{entry_list}, {where}: expected a PDB id of letters, digits and '_', found '{pdb_id}'")
    ids = sorted({pdb_id.lower() for _, pdb_id in found})
    if not ids:
        raise InputError(f"{entry_list}: expected PDB ids, found none")
    log.info("entries: %d ids named, %d of them repeated", len(ids), len(found) - len(ids))
    return ids


def _tell_obsolete(pdb_id: str, current: tuple[str, ...], obsolete: Mapping[str, tuple[str, ...]]) -> None:
    if same_entry_key(pdb_id) not in obsolete:
        return
    if current == (pdb_id,):
        log.warning("entries: %s is obsolete and has no successor; it stays wanted", pdb_id)
    else:
        log.info("entries: %s is obsolete; its successor %s is taken", pdb_id, ", ".join(current))


def _ids_of_json(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        answer = json.loads(text)
        hits = [hit if isinstance(hit, str) else str(hit["identifier"]) for hit in answer["result_set"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON with result_set: [{{identifier: ...}}, ...]: {error!r}") from error
    total = answer.get("total_count", len(hits))
    if total != len(hits):
        raise InputError(f"{path}: the search found {total} entries, the file holds {len(hits)}: ask for all hits")
    return [(f"hit {i}", hit) for i, hit in enumerate(hits, start=1)]


def _ids_of_lines(text: str, path: Path) -> list[tuple[str, str]]:
    head = text.partition("\n")[0]
    delimiter = "\t" if "\t" in head else ","
    if "pdb_id" in [cell.strip() for cell in head.split(delimiter)]:
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
        try:
            rows = [(f"line {reader.line_num}", (row["pdb_id"] or "").strip()) for row in reader]
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: not a delimited table: {error}") from error
        named = [(where, pdb_id) for where, pdb_id in rows if pdb_id]
        if len(named) < len(rows):
            log.info("entries: %d of %d rows name no entry", len(rows) - len(named), len(rows))
        return named
    lines = ((i, line.partition("#")[0].strip()) for i, line in enumerate(text.splitlines(), start=1))
    return [(f"line {i}", line) for i, line in lines if line]
