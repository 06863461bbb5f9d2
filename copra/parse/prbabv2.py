"""PRBAB v2.0 (supplement of Hong 2023), xlsx or CSV: one complex per record, chains as `1A9N_AB:Q`.

The experimental text and the plain Kd column are both stated; see curated.py for what happens where they differ.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from copra.parse.affinity_text import parse_affinity_text
from copra.parse.cells import Measured, Row, joined
from copra.parse.curated import plain_kd, with_dg, with_second_kd
from copra.parse.reasons import NotUnderstood
from copra.parse.records import read_records

COLUMNS = {
    "name": ("PDB ID",),
    "text": ("Kd(Experimental Value)",),
    "kd": ("Kd(mol)",),
    "dg": ("dG(kcal/mol)",),
    "method": ("Method",),
    "ph": ("pH",),
    "temperature": ("T(k)",),
    "reference": ("Reference",),
    "location": ("Reference location",),
}


def read_rows(path: Path) -> list[Row]:
    """The records, cells under the names of COLUMNS; raises InputError when a column is not there."""
    return read_records(path, COLUMNS, list(COLUMNS))[0]


def read_measured(row: Row) -> list[Measured]:
    """The values of a record; raises NotUnderstood."""
    plain = plain_kd(row)
    comment = joined(plain.comment, f"location:{' '.join(row.cells['location'].split())}")
    text = row.cells["text"].strip()
    try:
        affinity = parse_affinity_text(text, quantity="Kd")
    except NotUnderstood as refused:
        # the source itself states the same value in mol/l beside the text
        first = replace(plain, comment=joined(comment, f"text_not_understood:{refused.reason}:{text}"))
    else:
        first = replace(
            plain, quantity=affinity.quantity, relation=affinity.relation, value=affinity.value_molar,
            uncertainty=affinity.uncertainty_molar, parse_rule=affinity.rule, comment=comment,
        )  # fmt: skip
    return with_dg(with_second_kd(first, plain.value), row)
