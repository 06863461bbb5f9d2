"""Transcription of BioLiP2: which protein chain binds which RNA chain.

21 tab-separated columns without heading; a row is one binding site of one receptor chain and one ligand. Only rows
whose ligand (column 5) is `rna`, or `NUC` of the old BioLiP (RNA or DNA), are kept; the others are not ours and are
counted, not refused. The rows of a chain pair are merged: their binding residues (column 8) are counted once each.
Chain ids are case-sensitive and may have several letters.
"""

from __future__ import annotations

import gzip
import logging
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from copra.bounded import GZIP_MAGIC
from copra.errors import InputError
from copra.parse.affinity import frame_of, present, reject
from copra.parse.cells import number_of, pdb_id_of
from copra.parse.reasons import NotUnderstood
from copra.tables import write_table

log = logging.getLogger(__name__)

N_COLUMNS = 21
MAX_LINE_LETTERS = 10_000_000  # the longest receptor has 35,000 residues
LIGANDS = ("rna", "NUC")
_RESIDUES = re.compile(r"(?:[A-Za-z]-?\d+[A-Za-z]?)(?: [A-Za-z]-?\d+[A-Za-z]?)*")


def parse_biolip2(table: Path, *, source: str, receipt: Path, pairs: Path, rejects: Path) -> None:
    """Transcribe BioLiP2's table (text or gzip) into the tables `pairs` and `rejects`.

    `resolution_angstrom` is null where BioLiP2 has -1 (NMR). Raises InputError for a file of another kind.
    """
    merged: dict[tuple[str, str, str], dict[str, Any]] = {}
    bad: list[dict[str, object]] = []
    n_rows = n_ours = 0
    if present(table, receipt):
        for number, line in enumerate(_lines(table), start=1):
            n_rows += 1
            cells = line.split("\t")
            if len(cells) == N_COLUMNS and cells[4] not in LIGANDS:
                continue
            n_ours += 1
            try:
                _add(merged, cells, f"{number:08d}")
            except NotUnderstood as refused:
                bad.append(reject(source, f"{number:08d}", line, refused))
        if n_ours == len(bad):
            raise InputError(f"{table}: none of {n_rows} lines is a row of {N_COLUMNS} columns with the ligand 'rna'")
    log.info("%s: %d rows, %d of RNA = %d refused, rest is %d pairs", table, n_rows, n_ours, len(bad), len(merged))
    for pair in merged.values():
        pair["n_binding_residues"] = len(set(" ".join(pair["n_binding_residues"]).split()))
    write_table(frame_of(list(merged.values()), "pairs"), pairs, "pairs")
    write_table(frame_of(bad, "rejects"), rejects, "rejects")


def _add(merged: dict[tuple[str, str, str], dict[str, Any]], cells: list[str], source_row: str) -> None:
    if len(cells) != N_COLUMNS:
        raise NotUnderstood("wrong_number_of_cells", f"{len(cells)} cells, expected {N_COLUMNS}")
    pdb_id, protein_chain, rna_chain = pdb_id_of(cells[0]), cells[1], cells[5]
    if not protein_chain.strip() or not rna_chain.strip():
        raise NotUnderstood("bad_chains", f"found receptor chain {protein_chain!r} and ligand chain {rna_chain!r}")
    if not _RESIDUES.fullmatch(cells[7].strip()):
        raise NotUnderstood("bad_binding_residues", f"found {cells[7]!r}, expected a list such as N180 L181")
    resolution = number_of(cells[2], "resolution")
    if not cells[20].strip().isalpha():
        raise NotUnderstood("bad_sequence", f"found {cells[20]!r}, expected the receptor's sequence")
    residues = cells[7].strip()  # as it stands: a set of residues takes twenty times the memory
    pair = merged.get((pdb_id, protein_chain, rna_chain))
    if pair is None:
        merged[pdb_id, protein_chain, rna_chain] = {
            "pdb_id": pdb_id, "protein_chain": protein_chain, "rna_chain": rna_chain,
            "resolution_angstrom": resolution if resolution > 0 else None, "n_binding_residues": [residues],
            # a receptor has a row for each of its partners
            "receptor_sequence": sys.intern(cells[20].strip().upper()), "source_row": source_row,
        }  # fmt: skip
    else:
        pair["n_binding_residues"].append(residues)


def _lines(path: Path) -> Iterator[str]:
    """The non-empty lines, one at a time: the whole of BioLiP2 is too large to hold."""
    with path.open("rb") as handle:
        packed = handle.read(2) == GZIP_MAGIC
    try:
        with gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8") as lines:
            while line := lines.readline(MAX_LINE_LETTERS):
                if len(line) == MAX_LINE_LETTERS:
                    raise InputError(
                        f"{path}: expected lines of fewer than {MAX_LINE_LETTERS} letters, found a longer one"
                    )
                if line.strip():
                    yield line.rstrip("\r\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text: {error}") from error
