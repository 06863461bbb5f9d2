"""What all table readers share: bytes to rows without loss, and cells that mean the same in every table.

A reader turns each row into `Measured` values or raises NotUnderstood; it never judges and never guesses.
"""

from __future__ import annotations

import io
import json
import math
import re
import zlib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from copra.bounded import MAX_TABLE_BYTES, read_bounded
from copra.errors import InputError
from copra.parse.affinity_text import canonical
from copra.parse.reasons import NotUnderstood
from copra.units import is_believable_temperature

PDB_ID = re.compile(r"[0-9][a-z0-9]{3}|pdb_[0-9]{4}[0-9][a-z0-9]{3}")
PMID = re.compile(r"[1-9][0-9]{3,8}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
UNSTATED = {"", "-", "--", "na", "n/a", "nan", "none", "null", "unstated", "unknown"}
_DEGREES = r"[0-9]+(?:\.[0-9]+)?"
_ZERO_CELSIUS_K = Decimal("273.15")


@dataclass(frozen=True)
class Row:
    """One record of a source file: its number (1 = first line or heading), its bytes as text, its cells.

    `sheet` is the sheet of a workbook in which it stands; empty for text.
    """

    number: int
    raw_text: str
    cells: dict[str, str]
    sheet: str = ""

    @property
    def source_row(self) -> str:
        """The number, zero-padded so that text order is file order; after its sheet where there are sheets."""
        place = f"{self.number:06d}"
        # ids are joined by commas and colons elsewhere, so nothing but letters and digits of a sheet's name is kept
        return f"{re.sub('[^A-Za-z0-9]+', '_', self.sheet)}!{place}" if self.sheet else place


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
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{receipt}: not a readable receipt: {error}") from error
    if not isinstance(found, dict) or found.get("status") not in ("fetched", "missing"):
        raise InputError(f"{receipt}: expected a receipt with the status 'fetched' or 'missing', found {found!r}")
    return found


def read_text(path: Path) -> str:
    """The text of a file, unpacked when it is gzip; raises InputError when it is not UTF-8 text or too large."""
    try:
        data = read_bounded(path, MAX_TABLE_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not readable: {error}") from error
    if data[:2] == b"PK" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise InputError(f"{path}: found a spreadsheet or archive, expected text")
    if b"\x00" in data:
        raise InputError(f"{path}: found binary data, expected text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected UTF-8 text, found the byte {data[error.start]:#x} at {error.start}"
        ) from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file with their ends; only line feed and carriage return end a line."""
    return list(io.StringIO(read_text(path), newline=""))


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
    """A plain number; refuses anything else with the reason `no_{name}` or `bad_{name}`."""
    found = canonical(text)
    if found.lower() in UNSTATED:
        raise NotUnderstood(f"no_{name}", f"found {text!r}")
    if not NUMBER.fullmatch(found) or not math.isfinite(float(found)):
        raise NotUnderstood(f"bad_{name}", f"found {text!r}, expected a number")
    return float(found)


def temperature_of(text: str) -> tuple[float | None, str]:
    """A measured temperature in K and a note; None where none is stated, or where it is not understood or believed.

    A plain number is in K, as the columns' headings say. Only this cell is lost, never its row.
    """
    found = canonical(text.replace("℃", "°C"))
    if found.lower() in UNSTATED:
        return None, ""
    if found.lower().startswith("default"):
        return None, f"temperature_assumed_by_source:{found}"
    if re.fullmatch(rf"{_DEGREES} ?(?:-|~|to) ?{_DEGREES} ?(?:K|[°º]? ?C)?", found):
        return None, f"temperature_is_a_range:{found}"
    match = re.fullmatch(rf"({_DEGREES}) ?(K|[°º]? ?C)?", found)
    if not match:
        return None, f"temperature_not_understood:{found}"
    celsius = (match.group(2) or "").endswith("C")
    temperature_k = float(Decimal(match.group(1)) + (_ZERO_CELSIUS_K if celsius else 0))
    if not is_believable_temperature(temperature_k):
        return None, f"temperature_not_believed:{found}"
    return temperature_k, ""


def ph_of(text: str) -> tuple[float | None, str]:
    """A stated pH between 0 and 14 and a note; None where none is stated or it is not one."""
    found = canonical(text)
    if found.lower() in UNSTATED:
        return None, ""
    if found.lower().startswith("default"):
        return None, f"ph_assumed_by_source:{found}"
    match = re.fullmatch(r"(?:ph)? ?=? ?([0-9]+(?:\.[0-9]+)?)", found, re.IGNORECASE)
    if not match:
        return None, f"ph_not_understood:{found}"
    ph = float(match.group(1))
    return (ph, "") if ph <= 14 else (None, f"ph_not_believed:{found}")


def pmid_of(text: str) -> tuple[str, str]:
    """A PubMed id, and a note that keeps what else the cell says."""
    found = text.strip()
    if PMID.fullmatch(found):
        return found, ""
    return "", f"reference:{found}" if found.lower() not in UNSTATED else ""


def joined(*notes: str) -> str:
    """Notes that say something, joined by `; `."""
    return "; ".join(note for note in notes if note)
