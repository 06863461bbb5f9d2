"""What all table readers share: bytes to rows without loss, and cells that mean the same in every table.

A reader turns each row into `Measured` values or raises NotUnderstood; it never judges and never guesses.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copra.errors import InputError
from copra.parse.affinity_text import NotUnderstood
from copra.units import is_believable_temperature

PDB_ID = re.compile(r"[0-9][a-z0-9]{3}|pdb_[0-9]{4}[0-9][a-z0-9]{3}")
PMID = re.compile(r"[1-9][0-9]{3,8}")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
UNSTATED = {"", "-", "--", "na", "n/a", "nan", "none", "null", "unstated", "unknown"}


@dataclass(frozen=True)
class Row:
    """One record of a source file: its number (1 = first line or heading), its bytes as text, its cells."""

    number: int
    raw_text: str
    cells: dict[str, str]

    @property
    def source_row(self) -> str:
        """The number, zero-padded so that text order is file order."""
        return f"{self.number:06d}"


@dataclass(frozen=True)
class Measured:
    """One affinity value that a row states; names and units are those of the table `measurements`."""

    pdb_id: str
    protein_chains: str
    rna_chains: str
    quantity: str
    relation: str
    value: float
    unit: str
    uncertainty: float | None
    temperature_k: float | None
    ph: float | None
    method: str
    pmid: str
    mutation: str
    nucleic_acid: str
    parse_rule: str
    comment: str


def read_receipt(receipt: Path) -> dict[str, Any]:
    """The receipt of a fetched file; raises InputError when it is not one."""
    try:
        found = json.loads(receipt.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{receipt}: not a readable receipt: {error}") from error
    if not isinstance(found, dict) or found.get("status") not in ("fetched", "missing"):
        raise InputError(f"{receipt}: expected a receipt with the status 'fetched' or 'missing', found {found!r}")
    return found


def read_text(path: Path) -> str:
    """The text of a file, unpacked when it is gzip; raises InputError when it is not UTF-8 text."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not readable: {error}") from error
    if data[:2] == b"PK" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise InputError(f"{path}: found a spreadsheet or archive, expected text; save the sheet as CSV (UTF-8)")
    if b"\x00" in data:
        raise InputError(f"{path}: found binary data, expected text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected UTF-8 text, found the byte {data[error.start]:#x} at {error.start}"
        ) from error


def heading_key(text: str) -> str:
    """A heading in one spelling: full-width forms folded, lower case, only letters, digits and signs kept."""
    folded = unicodedata.normalize("NFKC", text).lower().replace("δ", "d").replace("△", "d").replace("∆", "d")
    return re.sub(r"[^a-z0-9.]+", "", folded)


def read_delimited(path: Path, delimiter: str) -> tuple[list[str], list[Row]]:
    """Headings and rows of a delimited file with one heading line; every cell is a string, line breaks kept.

    A record with too few or too many cells keeps what it has under the key "" as a count, for the reader to refuse.
    """
    lines = read_text(path).splitlines(keepends=True)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[Row] = []
    headings: list[str] = []
    before = 0
    try:
        for number, cells in enumerate(reader, start=1):
            raw = "".join(lines[before : reader.line_num]).rstrip("\r\n")
            before = reader.line_num
            if number == 1:
                headings = cells
            elif cells:
                rows.append(Row(number, raw, _named(headings, cells)))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: not a delimited table: {error}") from error
    return headings, rows


def _named(headings: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(headings):
        return {"": f"{len(cells)} cells, expected {len(headings)}"}
    return dict(zip(headings, cells, strict=True))


def columns_by_meaning(headings: list[str], aliases: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For each meaning the heading that carries it: the first alias (in `heading_key` spelling) that is there."""
    keys = {heading_key(heading): heading for heading in reversed(headings)}
    return {
        meaning: keys[heading_key(alias)]
        for meaning, names in aliases.items()
        for alias in reversed(names)
        if heading_key(alias) in keys
    }


def require(path: Path, found: dict[str, str], meanings: list[str], headings: list[str]) -> None:
    """Raise InputError when a needed column is not there, naming the columns that are."""
    lacking = [meaning for meaning in meanings if meaning not in found]
    if lacking:
        raise InputError(f"{path}: the heading line lacks {lacking}; found {headings}")


def check_cells(row: Row) -> None:
    """Refuse a row that has another number of cells than the heading."""
    if "" in row.cells and len(row.cells) == 1:
        raise NotUnderstood("wrong_number_of_cells", row.cells[""])


def pdb_id_of(text: str) -> str:
    """A PDB id, lower case; refuses anything else."""
    found = text.strip().lower()
    if found in UNSTATED:
        raise NotUnderstood("no_pdb_id", f"found {text!r}")
    if not PDB_ID.fullmatch(found):
        raise NotUnderstood("bad_pdb_id", f"found {text!r}, expected one id such as 1urn")
    return found


def chains_of_letters(text: str) -> tuple[str, bool]:
    """Chains written as one character each, `ABHIKM` -> `A,B,H,I,K,M`; a prime marks a symmetry copy of its chain.

    Returns the comma-joined chains without repeats and whether a symmetry copy was folded into its chain.
    """
    letters = re.sub(r"[’′]", "'", text.strip())
    if not re.fullmatch(r"(?:[A-Za-z0-9]'*)+", letters):
        raise NotUnderstood("bad_chains", f"found {text!r}, expected one letter or digit for each chain")
    return ",".join(dict.fromkeys(letters.replace("'", ""))), "'" in letters


def number_of(text: str, name: str) -> float:
    """A plain number; refuses anything else."""
    found = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    if found.lower() in UNSTATED:
        raise NotUnderstood(f"no_{name}", f"found {text!r}")
    if not NUMBER.fullmatch(found):
        raise NotUnderstood(f"bad_{name}", f"found {text!r}, expected a number")
    return float(found)


def temperature_of(text: str) -> tuple[float | None, str]:
    """A measured temperature in K and a note; None where none was measured, or where it is not believed."""
    found = text.strip()
    if found.lower() in UNSTATED:
        return None, ""
    if found.lower().startswith("default"):
        return None, f"temperature_assumed_by_source:{found}"
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*K?", found, re.IGNORECASE)
    if not match:
        return None, f"temperature_not_understood:{found}"
    if not is_believable_temperature(float(match.group(1))):
        return None, f"temperature_not_believed:{found}"
    return float(match.group(1)), ""


def ph_of(text: str) -> float | None:
    """A stated pH between 0 and 14; None where none is stated or it is not one."""
    match = re.fullmatch(r"(?:ph)?\s*=?\s*(\d+(?:\.\d+)?)", text.strip(), re.IGNORECASE)
    return float(match.group(1)) if match and 0 <= float(match.group(1)) <= 14 else None


def pmid_of(text: str) -> tuple[str, str]:
    """A PubMed id, and a note that keeps what else the cell says."""
    found = text.strip()
    if PMID.fullmatch(found):
        return found, ""
    return "", f"reference:{found}" if found.lower() not in UNSTATED else ""


def joined(*notes: str) -> str:
    """Notes that say something, joined by `; `."""
    return "; ".join(note for note in notes if note)


def read_columns(path: Path, columns: Mapping[str, tuple[str, ...]]) -> list[Row]:
    """The records of a comma-separated file, cells under the names of `columns`; every column must be there.

    Raises InputError naming the columns that the file lacks.
    """
    headings, rows = read_delimited(path, ",")
    found = columns_by_meaning(headings, columns)
    require(path, found, list(columns), headings)
    return [renamed(row, found) for row in rows]


def renamed(row: Row, found: Mapping[str, str]) -> Row:
    """The row with its cells under the meanings of their headings; a row of another width stays as it is."""
    if "" in row.cells:
        return row
    return Row(row.number, row.raw_text, {meaning: row.cells[heading] for meaning, heading in found.items()})
