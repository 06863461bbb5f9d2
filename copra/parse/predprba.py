"""PredPRBA (supplement of Deng 2019), xls or CSV: one complex per record, chains as `1A9N_AB:Q`, Kd in mol/l.

The table states no experimental text, no error and no method.
"""

from __future__ import annotations

from pathlib import Path

from copra.parse.cells import Measured, Row
from copra.parse.curated import plain_kd, with_dg
from copra.parse.records import read_records

COLUMNS = {
    "name": ("PDB ID",),
    "kd": ("Experimental Kd(mol)",),
    "dg": ("Experimental dG(kcal/mol)",),
    "ph": ("pH",),
    "temperature": ("T(k)",),
    "reference": ("PubMed",),
}


def read_rows(path: Path) -> list[Row]:
    """The records, cells under the names of COLUMNS; raises InputError when a column is not there."""
    return read_records(path, COLUMNS, list(COLUMNS))[0]


def read_measured(row: Row) -> list[Measured]:
    """The values of a record; raises NotUnderstood."""
    return with_dg([plain_kd(row)], row)
