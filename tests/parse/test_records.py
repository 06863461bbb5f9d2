"""Tables of any kind become the same records, and a table that lacks a column is refused by name."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from copra.errors import InputError
from copra.parse.records import heading_key, read_records, read_sheets

Workbook = Callable[[dict[str, list[list[object]]]], Path]
COLUMNS = {"name": ("PDB ID", "PDB"), "kd": ("Kd (M)",), "note": ("Note",)}
NEEDED = ["name", "kd"]


def test_a_workbook_and_its_csv_give_the_same_cells(workbook: Workbook, tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["A title over the whole width"],
        [None, "PDB ID", "Kd (M)", "Note"],
        ["#", "a section", None, None],
        [1, "1A9N_AB:Q", 2e-10, 'says "so", twice'],
        [None, None, None, None],
        [2, "1URN_A:P", 6.099999999999999e-08, None],
    ]
    book = workbook({"Table 1,2": rows, "Other": [["nothing", "here"]]})
    text = tmp_path / "table.csv"
    text.write_text(
        'A title over the whole width,,,\n,PDB ID,Kd (M),Note\n#,a section,,\n1,1A9N_AB:Q,2e-10,"says ""so"", twice"\n'
        ",,,\n2,1URN_A:P,6.099999999999999e-08,\n"
    )
    from_book, _ = read_records(book, COLUMNS, NEEDED)
    from_text, _ = read_records(text, COLUMNS, NEEDED)
    assert [row.cells for row in from_book] == [row.cells for row in from_text]
    assert [row.cells["kd"] for row in from_book] == ["2e-10", "6.099999999999999e-08"]
    assert [row.source_row for row in from_book] == ["Table_1_2!000004", "Table_1_2!000006"]
    assert [row.source_row for row in from_text] == ["000004", "000006"]
    assert from_text[0].raw_text == '1,1A9N_AB:Q,2e-10,"says ""so"", twice"'
    assert [row.raw_text for row in from_book] == [row.raw_text.rstrip(",") for row in from_text]


def test_every_sheet_with_the_columns_is_read(workbook: Workbook) -> None:
    head: list[object] = ["PDB ID", "Kd (M)"]
    rows, _ = read_records(workbook({"S2": [head, ["a", 1]], "S3": [head, ["b", 2], ["c", 3]]}), COLUMNS, NEEDED)
    assert [(row.source_row, row.cells["name"]) for row in rows] == [
        ("S2!000002", "a"), ("S3!000002", "b"), ("S3!000003", "c"),
    ]  # fmt: skip


def test_values_of_a_spreadsheet_are_not_changed(workbook: Workbook) -> None:
    values: list[object] = [298, 298.0, 6.099999999999999e-08, 1e-300, datetime.date(2024, 5, 1), " x ", -0.5]
    (lines,) = read_sheets(workbook({"S": [values]})).values()
    said = ["298", "298", "6.099999999999999e-08", "1e-300", "2024-05-01T00:00:00", " x ", "-0.5"]
    assert lines[0].cells == said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("PDB ID,dG\n1urn,-9\n", [r"line 1", r"lacks kd \(Kd \(M\)\)", r"\['PDB ID', 'dG'\]"]),
        ("a,b\n1,2\n", [r"name \(PDB ID or PDB\); kd \(Kd \(M\)\)", r"\['a', 'b'\]"]),
        ("", [r"lacks name .*; kd", r"found \[\]"]),
        ("PDB ID,Kd (M),KD (m)\n1urn,1,2\n", [r"'Kd \(M\)' stands there twice"]),
    ],
)
def test_lacking_columns_are_named_with_what_was_found(text: str, told: list[str], tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text)
    for part in [r"table\.csv", *told]:
        with pytest.raises(InputError, match=part):
            read_records(table, COLUMNS, NEEDED)


def test_the_nearest_sheet_is_named(workbook: Workbook) -> None:
    book = workbook({"First": [["x"]], "Second": [["title"], ["PDB", "Note"]]})
    with pytest.raises(InputError, match=r"sheet 'Second', line 2\) lacks kd \(Kd \(M\)\); found \['PDB', 'Note'\]"):
        read_records(book, COLUMNS, NEEDED)


def test_headings_are_found_whatever_their_spelling() -> None:
    assert heading_key("△G°（kcal/mol)") == heading_key("dG (kcal/mol)") == heading_key("ΔG(kcal/mol)")
    assert heading_key("∆∆G") == "ddg"


def test_line_breaks_inside_cells_are_kept_and_odd_separators_end_no_line(tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    table.write_bytes('PDB ID\tKd (M)\r\n1urn\t"1\n2"\r\n1a9n\tx\u2028y\x85z\r\nlong\t1\t2\r\n'.encode())
    rows, _ = read_records(table, COLUMNS, NEEDED)
    assert [row.cells.get("kd") for row in rows] == ["1\n2", "x\u2028y\x85z", None]
    assert rows[2].cells == {"": "3 cells, expected 2"}
    assert rows[0].raw_text == '1urn\t"1\n2"'


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04no workbook", b"\xd0\xcf\x11\xe0no workbook", b"\xd0\xcf\x11\xe0" + bytes(600)]
)
def test_a_broken_workbook_is_refused_with_its_name(data: bytes, tmp_path: Path) -> None:
    table = tmp_path / "table.xls"
    table.write_bytes(data)
    with pytest.raises(InputError, match=r"table\.xls: not a readable"):
        read_records(table, COLUMNS, NEEDED)
