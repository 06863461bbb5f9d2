"""Transcription of affinity tables: each source row becomes measurements or one reject, and the counts are told."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from copra.errors import InputError
from copra.files import sha256_of_file
from copra.parse import pdbbind, prbabv2, prdbv3, predprba, pronab
from copra.parse.cells import Measured, Row, read_receipt
from copra.parse.reasons import NotUnderstood
from copra.tables import empty_table, write_table

log = logging.getLogger(__name__)

Reader = tuple[Callable[[Path], list[Row]], Callable[[Row], list[Measured]]]
FORMATS: dict[str, Reader] = {
    "pdbbind": (pdbbind.read_rows, pdbbind.read_measured),
    "prbabv2": (prbabv2.read_rows, prbabv2.read_measured),
    "prdbv3": (prdbv3.read_rows, prdbv3.read_measured),
    "predprba": (predprba.read_rows, predprba.read_measured),
    "pronab": (pronab.read_rows, pronab.read_measured),
}


def parse_affinity(
    table: Path, *, format: str, source: str, version: str, receipt: Path, measurements: Path, rejects: Path
) -> None:
    """Transcribe one affinity table into the tables `measurements` and `rejects`.

    `format` is one of FORMATS. Values are in mol/l (Kd, Ki, IC50) or kcal/mol (dG). A source whose receipt says
    "missing" gives empty tables. Raises InputError for a file of another kind or that changed after its receipt.
    """
    if format not in FORMATS:
        raise InputError(f"{table}: unknown format '{format}', expected one of {sorted(FORMATS)}")
    if not present(table, receipt):
        write_table(empty_table("measurements"), measurements, "measurements")
        write_table(empty_table("rejects"), rejects, "rejects")
        return
    read_rows, read_measured = FORMATS[format]
    rows = read_rows(table)
    good, bad = transcribe(rows, read_measured, source, version, sha256_of_file(table))
    understood = len({row["source_row"] for row in good})
    if understood + len(bad) != len(rows):
        raise InputError(
            f"{table}: {len(rows)} rows in, {understood} understood and {len(bad)} refused: rows were lost"
        )
    log.info("%s: %d rows = %d understood (%d values) + %d refused", table, len(rows), understood, len(good), len(bad))
    write_table(frame_of(good, "measurements"), measurements, "measurements")
    write_table(frame_of(bad, "rejects"), rejects, "rejects")


def present(table: Path, receipt: Path) -> bool:
    """Whether the receipt says that the file is here; raises InputError when the file is not the one received."""
    said = read_receipt(receipt)
    if said["status"] == "missing":
        log.warning("%s: this source is missing; its tables are empty", table)
        return False
    found = sha256_of_file(table) if table.is_file() else "no file"
    if said.get("sha256") != found:
        raise InputError(f"{table}: its receipt says sha256 {said.get('sha256')}, found {found}")
    return True


def transcribe(
    rows: list[Row], read_measured: Callable[[Row], list[Measured]], source: str, version: str, file_sha256: str
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The rows of the tables `measurements` and `rejects`: each source row is in exactly one of them."""
    good: list[dict[str, object]] = []
    bad: list[dict[str, object]] = []
    for row in rows:
        try:
            values = read_measured(row)
        except NotUnderstood as refused:
            bad.append(reject(source, row.source_row, row.raw_text, refused))
            continue
        for count, value in enumerate(values, start=1):
            suffix = "" if count == 1 else f".{count}"
            origin = {
                "measurement_id": f"{source}:{row.source_row}{suffix}", "source": source, "source_version": version,
                "source_row": row.source_row, "file_sha256": file_sha256, "raw_text": row.raw_text,
            }  # fmt: skip
            good.append(origin | dataclasses.asdict(value))
    return good, bad


def reject(source: str, source_row: str, raw_text: str, refused: NotUnderstood) -> dict[str, object]:
    """One row of the table `rejects`."""
    return {
        "source": source, "source_row": source_row, "raw_text": raw_text, "reason": refused.reason,
        "detail": refused.detail,
    }  # fmt: skip


def frame_of(rows: list[dict[str, object]], name: str) -> pd.DataFrame:
    """The rows as the table `name`; the empty table where there are none."""
    return pd.DataFrame(rows) if rows else empty_table(name)
