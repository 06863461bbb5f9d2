"""PRDB v3.0, Table S2, as the sheet of its workbook or saved as CSV: one complex per record, chains as `1ASY_A:R`.

The Kd column has no unit in its own heading; it is mol/l, as the line above says and dG = R T ln Kd shows row by
row. The technique is the table's own letter code.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from copra.parse.cells import Measured, Row, joined
from copra.parse.curated import plain_kd, with_dg
from copra.parse.records import read_records

COLUMNS = {
    "name": ("PDB ID",),
    "crystal_rna": ("Crystal_RNA_len",),
    "solution_rna": ("Solution_RNA_len",),
    "kd": ("Kd",),
    "temperature": ("Temperature (K)",),
    "ph": ("pH",),
    "dg": ("dG (kcal/mol)",),
    "method": ("Exp Technique",),
    "reference": ("PubMed ID",),
}


def read_rows(path: Path) -> list[Row]:
    """The records, cells under the names of COLUMNS; raises InputError when a column is not there."""
    return read_records(path, COLUMNS, list(COLUMNS))[0]


def read_measured(row: Row) -> list[Measured]:
    """The values of a record; raises NotUnderstood."""
    plain = plain_kd(row)
    crystal, solution = row.cells["crystal_rna"].strip(), row.cells["solution_rna"].strip()
    lengths = f"crystal_rna:{crystal}nt; solution_rna:{solution}nt"
    return with_dg([replace(plain, comment=joined(plain.comment, lengths))], row)
