"""Transcription of mutation effects: ddG = dG(mutant) - dG(wild type) in kcal/mol, positive = weaker binding.

Three formats. `mutation_list`: `1ASY_A_D210A <tab> 1.41`, no heading. `mutation_csv`: headed columns for entry, chain,
mutation and ddG, under the names that such tables have. `deng`: see deng.py. What the sign of a file means is no
matter of its format but of its source: the files of PEMPNI and Deng hold mutant minus wild type, mCSM and mmCSM hold
wild type minus mutant. So `ddg_sign` is stated for each source, and the table has one sign.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from copra.errors import InputError
from copra.files import sha256_of_file
from copra.parse import deng
from copra.parse.affinity import frame_of, present, reject
from copra.parse.cells import (
    Row,
    check_cells,
    joined,
    number_of,
    pdb_id_of,
    pmid_of,
    read_lines,
    temperature_of,
)
from copra.parse.mutation_text import read_mutations
from copra.parse.reasons import NotUnderstood
from copra.parse.records import heading_key, read_records
from copra.tables import write_table

log = logging.getLogger(__name__)

FORMATS = ("deng", "mutation_csv", "mutation_list")
# what the ddG of a source is multiplied with to be dG(mutant) - dG(wild type)
DDG_SIGNS = {"mut_minus_wt": 1.0, "wt_minus_mut": -1.0}
COLUMNS = {
    "pdb_id": ("pdb_id", "PDB", "PDB code"),
    "chain": ("chain", "chain_id", "mutated_chain"),
    "mutation": ("mutation", "mutations", "mutant"),
    "ddg": (
        "ddg_kcal_mol", "ddg_mut_minus_wt_kcal_mol", "ddg_wt_minus_mut_kcal_mol", "ddG", "ddG (kcal/mol)", "ddG_exp",
        "experimental ddG",
    ),
    "temperature": ("temperature_k", "temperature (K)", "temperature", "T (K)"),
    "reference": ("pmid", "PubMed ID", "PubMed", "reference"),
}  # fmt: skip
_NEEDED = ["pdb_id", "chain", "mutation", "ddg"]
_NAME = re.compile(r"([^_\s]+)_([A-Za-z0-9]+)_(.+)")


def parse_mutations(
    table: Path, *, format: str, ddg_sign: str, source: str, receipt: Path, mutations: Path, rejects: Path
) -> None:
    """Transcribe one table of mutation effects into the tables `mutations` and `rejects`.

    `format` is `mutation_list`, `mutation_csv` or `deng`; `ddg_sign` is what the source's ddG is: `mut_minus_wt` or
    `wt_minus_mut`. Raises InputError for a file of another kind, or whose heading says the other sign.
    """
    for name, value, known in (("format", format, FORMATS), ("ddg_sign", ddg_sign, tuple(DDG_SIGNS))):
        if value not in known:
            raise InputError(f"{table}: unknown {name} '{value}', expected one of {sorted(known)}")
    good: list[dict[str, object]] = []
    bad: list[dict[str, object]] = []
    if present(table, receipt):
        file_sha256 = sha256_of_file(table)
        for row in _read_rows(table, format, ddg_sign):
            try:
                good.append(_effect(row, source, file_sha256, DDG_SIGNS[ddg_sign]))
            except NotUnderstood as refused:
                bad.append(reject(source, row.source_row, row.raw_text, refused))
        log.info("%s: %d rows = %d understood + %d refused", table, len(good) + len(bad), len(good), len(bad))
    write_table(frame_of(good, "mutations"), mutations, "mutations")
    write_table(frame_of(bad, "rejects"), rejects, "rejects")


def _effect(row: Row, source: str, file_sha256: str, sign: float) -> dict[str, object]:
    """The row of the table `mutations`; raises NotUnderstood."""
    check_cells(row)
    cells = row.cells
    pdb_id = pdb_id_of(cells["pdb_id"])
    mutation, kind = read_mutations(cells["mutation"])
    chain = cells["chain"].strip()
    if not re.fullmatch(r"[A-Za-z0-9]+", chain):
        raise NotUnderstood("bad_chains", f"found {chain!r}, expected one chain id")
    temperature_k, temperature_note = temperature_of(cells.get("temperature", ""))
    pmid, reference = pmid_of(cells.get("reference", ""))
    return {
        "mutation_id": f"{source}:{row.source_row}", "source": source, "source_row": row.source_row,
        "file_sha256": file_sha256, "raw_text": row.raw_text, "pdb_id": pdb_id, "chain": chain,
        "mutation": mutation, "mutation_kind": kind,
        # 0.0 is added so that no change is never -0.0
        "ddg_mut_minus_wt_kcal_mol": sign * number_of(cells["ddg"], "ddg") + 0.0,
        "temperature_k": temperature_k, "pmid": pmid,
        "comment": joined(cells.get("comment", ""), temperature_note, reference),
    }  # fmt: skip


def _read_rows(path: Path, format: str, ddg_sign: str) -> list[Row]:
    if format == "deng":
        return deng.read_rows(path)
    return _read_list(path) if format == "mutation_list" else _read_csv(path, ddg_sign)


def _read_list(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate((line.rstrip("\r\n") for line in read_lines(path)), start=1):
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


def _read_csv(path: Path, ddg_sign: str) -> list[Row]:
    rows, found = read_records(path, COLUMNS, _NEEDED)
    said = [sign for sign in DDG_SIGNS if heading_key(sign) in heading_key(found["ddg"])]
    if said and said != [ddg_sign]:
        raise InputError(f"{path}: the heading '{found['ddg']}' says {said[0]}, the source is said to be {ddg_sign}")
    return rows
