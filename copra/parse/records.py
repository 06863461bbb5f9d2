"""Tables to records without loss: delimited text and spreadsheets (xlsx, xls), each with a line of headings.

The line of headings is found by what it holds, in whichever sheet it stands: published tables carry titles above it
and section lines below it. Numbers of a spreadsheet become the shortest text that reads back as the same number.
"""

from __future__ import annotations

import csv
import datetime
import io
import logging
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
import xlrd

from copra.bounded import MAX_CELLS, MAX_TABLE_BYTES, PIECE_BYTES, too_large, unpacked_bytes
from copra.errors import InputError
from copra.parse.cells import Row, read_lines

log = logging.getLogger(__name__)

# lines from the top among which the headings are looked for
HEADING_LINES = 5
# what the two readers raise for files that are no workbooks, or damaged ones
XLSX_ERRORS = (
    zipfile.BadZipFile, zlib.error, ParseError, OSError, EOFError, RuntimeError, LookupError, ValueError, TypeError,
    AttributeError,
)  # fmt: skip
XLS_ERRORS = (xlrd.XLRDError, xlrd.compdoc.CompDocError, struct.error, LookupError, AssertionError)
DOCUMENT_TYPE = tuple("<!DOCTYPE".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
Columns = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Line:
    """One line of a sheet: its number (1 = first), its text as it lies, its cells."""

    number: int
    raw_text: str
    cells: list[str]


def read_records(path: Path, columns: Columns, needed: list[str]) -> tuple[list[Row], dict[str, str]]:
    """The records of every sheet that has the `needed` columns, cells under the names (keys) of `columns`.

    Also returns the heading of each column that was found. Lines that are empty or begin with `#` are no records.
    A record of another width keeps its count of cells under the key "", for its reader to refuse. Raises InputError
    naming the columns that are lacking, or that stand there twice, and the headings that were found.
    """
    rows: list[Row] = []
    headings: dict[str, str] = {}
    nearest: tuple[int, str] = (-1, _lacking("", Line(1, "", []), needed, columns))
    skipped = 0
    for sheet, lines in read_sheets(path).items():
        for place, line in enumerate(lines[:HEADING_LINES]):
            found = columns_by_meaning(line.cells, columns)
            lacking = [meaning for meaning in needed if meaning not in found]
            if lacking:
                nearest = max(nearest, (len(found), _lacking(sheet, line, lacking, columns)), key=lambda near: near[0])
                continue
            _refuse_twice(path, line.cells, found)
            records = [line for line in lines[place + 1 :] if _is_record(line)]
            skipped += len(lines) - place - 1 - len(records)
            width = len(line.cells)
            rows += [_row(record, found, width, sheet) for record in records]
            headings |= {meaning: line.cells[index] for meaning, index in found.items()}
            break
    if not headings:
        raise InputError(f"{path}: {nearest[1]}")
    if skipped:
        log.info("%s: %d empty lines and section titles among the records", path, skipped)
    return rows, headings


def _lacking(sheet: str, line: Line, lacking: list[str], columns: Columns) -> str:
    where = f"sheet '{sheet}', line {line.number}" if sheet else f"line {line.number}"
    wanted = "; ".join(f"{meaning} ({' or '.join(columns[meaning])})" for meaning in lacking)
    return f"the heading line ({where}) lacks {wanted}; found {[cell for cell in line.cells if cell.strip()]}"


def _is_record(line: Line) -> bool:
    return any(cell.strip() for cell in line.cells) and not line.raw_text.startswith("#")


def _row(line: Line, found: Mapping[str, int], width: int, sheet: str) -> Row:
    cells = {meaning: line.cells[index] for meaning, index in found.items()} if len(line.cells) == width else {}
    return Row(line.number, line.raw_text, cells or {"": f"{len(line.cells)} cells, expected {width}"}, sheet)


def heading_key(text: str) -> str:
    """A heading in one spelling: full-width forms folded, lower case, only letters, digits and signs kept."""
    folded = re.sub("[δ△∆]", "d", unicodedata.normalize("NFKC", text).lower())
    return re.sub(r"[^a-z0-9.]+", "", folded)


def columns_by_meaning(headings: list[str], columns: Columns) -> dict[str, int]:
    """For each meaning the place of the heading that carries it: the first of its names that is there."""
    keys = [heading_key(heading) for heading in headings]
    found = {}
    for meaning, names in columns.items():
        there = [heading_key(name) for name in names if heading_key(name) in keys]
        if there:
            found[meaning] = keys.index(there[0])
    return found


def _refuse_twice(path: Path, headings: list[str], found: Mapping[str, int]) -> None:
    keys = [heading_key(heading) for heading in headings]
    twice = [headings[place] for place in found.values() if keys.count(keys[place]) > 1]
    if twice:
        raise InputError(f"{path}: the heading '{twice[0]}' stands there twice; found {headings}")


def read_sheets(path: Path) -> dict[str, list[Line]]:
    """The sheets of a workbook by name; delimited text is one sheet without a name.

    Raises InputError when the file is neither a workbook nor UTF-8 text, or larger than copra.bounded says.
    """
    try:
        with path.open("rb") as handle:
            begins = handle.read(4)
        n_bytes = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: not readable: {error}") from error
    if begins[:2] == b"PK":
        return _sheets_of_xlsx(path)
    if begins == b"\xd0\xcf\x11\xe0":
        if n_bytes > MAX_TABLE_BYTES:
            raise InputError(too_large(path, MAX_TABLE_BYTES))
        return _sheets_of_xls(path)
    return {"": _lines_of_text(path)}


def _lines_of_text(path: Path) -> list[Line]:
    lines = read_lines(path)
    head = lines[0] if lines else ""
    reader = csv.reader(lines, delimiter="\t" if head.count("\t") > head.count(",") else ",", strict=True)
    found: list[Line] = []
    before = 0
    try:
        for number, cells in enumerate(reader, start=1):
            raw = "".join(lines[before : reader.line_num]).rstrip("\r\n")
            before = reader.line_num
            if cells:
                found.append(Line(number, raw, cells))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: not a delimited table: {error}") from error
    return found


def _sheets_of_xlsx(path: Path) -> dict[str, list[Line]]:
    """Row by row: a workbook whose cells stand far apart is refused before its rows fill the memory."""
    try:
        _check_members(path)
        with path.open("rb") as handle:
            book = openpyxl.load_workbook(handle, read_only=True, data_only=True)
            return {sheet.title: _lines_of_values(values) for sheet, values in _values_of_sheets(path, book)}
    except XLSX_ERRORS as error:
        raise InputError(f"{path}: not a readable xlsx workbook: {error}") from error


def _check_members(path: Path) -> None:
    """Raise InputError for a workbook that would swell, when it is unpacked or by entities that its text declares."""
    if unpacked_bytes(path) > MAX_TABLE_BYTES:
        raise InputError(too_large(path, MAX_TABLE_BYTES))
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as text:
                before = b""
                while piece := text.read(PIECE_BYTES):
                    if any(mark in before + piece for mark in DOCUMENT_TYPE):
                        raise InputError(f"{path}: {member.filename} declares a document type, which no workbook does")
                    before = piece[-32:]


def _values_of_sheets(path: Path, book: openpyxl.Workbook) -> Iterator[tuple[Any, list[list[str]]]]:
    n_cells = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # those that the file states may be wrong
        values = []
        for row in sheet.iter_rows(values_only=True):
            n_cells += max(len(row), 1)
            if n_cells > MAX_CELLS:
                raise InputError(f"{path}: expected at most {MAX_CELLS} cells, empty ones in between counted")
            values.append([_cell_text(cell) for cell in row])
        yield sheet, values


def _sheets_of_xls(path: Path) -> dict[str, list[Line]]:
    try:
        book = xlrd.open_workbook(file_contents=path.read_bytes(), ragged_rows=True, logfile=io.StringIO())
    except XLS_ERRORS as error:
        raise InputError(f"{path}: not a readable xls workbook: {error}") from error
    return {
        sheet.name: _lines_of_values(
            [[_cell_text(_xls_value(cell, book.datemode)) for cell in sheet.row(row)] for row in range(sheet.nrows)]
        )
        for sheet in book.sheets()
    }


def _xls_value(cell: xlrd.sheet.Cell, datemode: int) -> object:
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code[cell.value]
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return bool(cell.value)
    if cell.ctype == xlrd.XL_CELL_DATE:
        return xlrd.xldate_as_datetime(cell.value, datemode)
    return cell.value


def _cell_text(value: object) -> str:
    """The value of a spreadsheet's cell as text; what a spreadsheet turned into a date stays one, to be refused."""
    if value is None:
        return ""
    if isinstance(value, float):
        # xls holds every number as a double: 298 is 298.0 there
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _lines_of_values(values: list[list[str]]) -> list[Line]:
    """Lines of one width: columns that are empty throughout are left out at the right."""
    width = max((place for row in values for place, cell in enumerate(row, start=1) if cell), default=0)
    lines = []
    for number, row in enumerate(values, start=1):
        cells = (row + [""] * width)[:width]
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(cells)
        if any(cells):
            lines.append(Line(number, text.getvalue().rstrip(","), cells))
    return lines
