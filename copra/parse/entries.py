"""The list of wanted PDB entries, from the answer of a search, a table or a plain list."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import zlib
from pathlib import Path

import pandas as pd

from copra.errors import InputError
from copra.tables import write_table

log = logging.getLogger(__name__)

# an id becomes part of a file's path, so nothing else may stand in it
ID_PATTERN = re.compile(r"[A-Za-z0-9_]+")


def list_entries(entry_list: Path, *, shards: int, out: Path) -> None:
    """Read the wanted PDB ids and deal them into shards by a hash of the id, so that new ids move no others.

    `entry_list` is the JSON of an RCSB search, a CSV or TSV table with a column pdb_id, or one id per line.
    Raises InputError when an id holds anything but letters, digits and "_", or when the list is empty or cut.
    """
    try:
        text = entry_list.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{entry_list}: not a readable text file: {error}") from error
    found = _ids_of_json(text, entry_list) if text.lstrip().startswith("{") else _ids_of_lines(text)
    for where, pdb_id in found:
        if not ID_PATTERN.fullmatch(pdb_id):
            raise InputError(f"{entry_list}, {where}: expected a PDB id of letters, digits and '_', found '{pdb_id}'")
    ids = sorted({pdb_id.lower() for _, pdb_id in found})
    if not ids:
        raise InputError(f"{entry_list}: expected PDB ids, found none")
    dealt = [zlib.crc32(pdb_id.encode()) % shards for pdb_id in ids]
    write_table(pd.DataFrame({"pdb_id": ids, "shard": dealt}), out, "wanted_entries")
    log.info("entries: %d wanted, %d named more than once, %d shards", len(ids), len(found) - len(ids), shards)


def _ids_of_json(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        answer = json.loads(text)
        hits = [hit if isinstance(hit, str) else str(hit["identifier"]) for hit in answer["result_set"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected JSON with result_set: [{{identifier: ...}}, ...]: {error!r}") from error
    total = answer.get("total_count", len(hits))
    if total != len(hits):
        raise InputError(f"{path}: the search found {total} entries, the file holds {len(hits)}: ask for all hits")
    return [(f"hit {i}", hit) for i, hit in enumerate(hits, start=1)]


def _ids_of_lines(text: str) -> list[tuple[str, str]]:
    head = text.partition("\n")[0]
    delimiter = "\t" if "\t" in head else ","
    if "pdb_id" in [cell.strip() for cell in head.split(delimiter)]:
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
        rows = [(f"line {reader.line_num}", (row["pdb_id"] or "").strip()) for row in reader]
        named = [(where, pdb_id) for where, pdb_id in rows if pdb_id]
        if len(named) < len(rows):
            log.info("entries: %d of %d rows name no entry", len(rows) - len(named), len(rows))
        return named
    lines = ((i, line.partition("#")[0].strip()) for i, line in enumerate(text.splitlines(), start=1))
    return [(f"line {i}", line) for i, line in lines if line]
