"""A table in, the transcribed tables out: what the tests of the readers share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from copra.files import sha256_of_file
from copra.parse.affinity import parse_affinity
from copra.parse.mutations import parse_mutations
from copra.tables import read_table

Transcribe = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]


@pytest.fixture
def transcribe(tmp_path: Path) -> Transcribe:
    """`transcribe(table, format)` gives measurements and rejects; with `ddg_sign=` it gives mutations and rejects."""

    def call(table: Path, kind: str, *, ddg_sign: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        receipt, good, bad = (tmp_path / name for name in ("receipt.json", "good.parquet", "bad.parquet"))
        receipt.write_text(json.dumps({"status": "fetched", "sha256": sha256_of_file(table)}))
        if ddg_sign is None:
            parse_affinity(
                table, format=kind, source="s", version="v1", receipt=receipt, measurements=good, rejects=bad
            )
            return read_table(good, "measurements"), read_table(bad, "rejects")
        parse_mutations(table, format=kind, ddg_sign=ddg_sign, source="s", receipt=receipt, mutations=good, rejects=bad)
        return read_table(good, "mutations"), read_table(bad, "rejects")

    return call


@pytest.fixture
def of_text(transcribe: Transcribe, tmp_path: Path) -> Transcribe:
    """As `transcribe`, of the text of a table."""

    def call(text: str, kind: str, *, ddg_sign: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        table = tmp_path / "table"
        table.write_text(text, encoding="utf-8")
        return transcribe(table, kind, ddg_sign=ddg_sign)

    return call


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[[dict[str, list[list[object]]]], Path]:
    """`workbook({sheet: rows})` writes an xlsx file and gives its path."""

    def write(sheets: dict[str, list[list[object]]]) -> Path:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / "book.xlsx")
        return tmp_path / "book.xlsx"

    return write
