"""Transcription of mutation effects: ddG = dG(mutant) - dG(wild type) in kcal/mol, positive = weaker binding.

Two formats. `mutation_list`: `1ASY_A_D210A <tab> 1.41`, no heading. `mutation_csv`: headed columns pdb_id, chain,
mutation, ddg_kcal_mol. Both state the sign of the tables by PEMPNI; mCSM's own convention is the opposite.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from copra.errors import InputError
from copra.files import sha256_of_file
from copra.parse.affinity import frame_of, present, reject
from copra.parse.affinity_text import NotUnderstood
from copra.parse.cells import (
    Row,
    check_cells,
    columns_by_meaning,
    number_of,
    pdb_id_of,
    read_delimited,
    read_text,
    require,
)
from copra.tables import write_table

log = logging.getLogger(__name__)

_LETTERS = "ARNDCQEGHILKMFPSTWYV"
# wild type, author residue number with insertion code, mutant; `D 210A` and `D 210 A` are seen too
_MUTATION = re.compile(rf"([{_LETTERS}])(-?\d+[A-Z]?)([{_LETTERS}])")
_NAME = re.compile(r"([^_\s]+)_([A-Za-z0-9]+)_(.+)")
_CSV = {
    "pdb_id": ("pdb_id",),
    "chain": ("chain",),
    "mutation": ("mutation",),
    "ddg": ("ddg_kcal_mol", "ddg_mut_minus_wt_kcal_mol"),
}


def parse_mutations(table: Path, *, format: str, source: str, receipt: Path, mutations: Path, rejects: Path) -> None:
    """Transcribe one table of mutation effects into the tables `mutations` and `rejects`.

    `format` is `mutation_list` or `mutation_csv`. Raises InputError for a file of another kind.
    """
    readers = {"mutation_list": _read_list, "mutation_csv": _read_csv}
    if format not in readers:
        raise InputError(f"{table}: unknown format '{format}', expected one of {sorted(readers)}")
    good: list[dict[str, object]] = []
    bad: list[dict[str, object]] = []
    if present(table, receipt):
        file_sha256 = sha256_of_file(table)
        for row in readers[format](table):
            try:
                good.append(_effect(row, source, file_sha256))
            except NotUnderstood as refused:
                bad.append(reject(source, row.source_row, row.raw_text, refused))
        log.info("%s: %d rows = %d understood + %d refused", table, len(good) + len(bad), len(good), len(bad))
    write_table(frame_of(good, "mutations"), mutations, "mutations")
    write_table(frame_of(bad, "rejects"), rejects, "rejects")


def _effect(row: Row, source: str, file_sha256: str) -> dict[str, object]:
    check_cells(row)
    pdb_id = pdb_id_of(row.cells["pdb_id"])
    chain = row.cells["chain"].strip()
    mutation = "".join(row.cells["mutation"].split())
    match = _MUTATION.fullmatch(mutation)
    if not match or match.group(1) == match.group(3):
        raise NotUnderstood("bad_mutation", f"found {row.cells['mutation']!r}, expected a form such as D210A")
    if not re.fullmatch(r"[A-Za-z0-9]+", chain):
        raise NotUnderstood("bad_chains", f"found {chain!r}, expected one chain id")
    return {
        "mutation_id": f"{source}:{row.source_row}", "source": source, "source_row": row.source_row,
        "file_sha256": file_sha256, "raw_text": row.raw_text, "pdb_id": pdb_id, "chain": chain,
        "mutation": mutation, "ddg_mut_minus_wt_kcal_mol": number_of(row.cells["ddg"], "ddg"),
    }  # fmt: skip


def _read_list(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        name, _, ddg = line.partition("\t")
        match = _NAME.fullmatch(name.strip())
        keys = ("pdb_id", "chain", "mutation")
        cells = {"": "expected ID_CHAIN_MUTATION, a tab and ddG"}
        if match:
            cells = dict(zip(keys, match.groups(), strict=True)) | {"ddg": ddg}
        rows.append(Row(number, line, cells))
    if not any("" not in row.cells for row in rows):
        raise InputError(f"{path}: no line reads `1ASY_A_D210A <tab> 1.41`: not a mutation list")
    return rows


def _read_csv(path: Path) -> list[Row]:
    headings, rows = read_delimited(path, ",")
    found = columns_by_meaning(headings, _CSV)
    require(path, found, list(_CSV), headings)
    return [
        row if "" in row.cells else Row(row.number, row.raw_text, {k: row.cells[v] for k, v in found.items()})
        for row in rows
    ]
