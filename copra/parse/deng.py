"""The mutation tables S2 and S3 of Deng's benchmark of hot spots, xlsx or CSV: Kd, dG and ddG of mutants.

A complex is named by entry and mutated chain, `1ASY_A`; `1URN_A_1` is a second data set of the same chain. The row
of the wild type (`WT`) stands above those of its mutants; it is no mutation, so it is no record of its own, but its
Kd and dG go with each mutant. Most dG, and so ddG, were computed with R = 1.9e-3 kcal/mol/K: they are 4 % small.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

from copra.parse.cells import Row, joined, number_of
from copra.parse.reasons import NotUnderstood
from copra.parse.records import read_records

log = logging.getLogger(__name__)

COLUMNS = {
    "name": ("PDB ID",),
    "mutation": ("Mutant",),
    "temperature": ("Temp",),
    "kd": ("Kd",),
    "dg": ("dG",),
    "ddg": ("ddG",),
    "reference": ("PMID",),
}
_NAME = re.compile(r"([^_\s]+)_([A-Za-z0-9]+)(?:_([0-9]+))?")
# what rounding of three numbers to two decimals explains
_DDG_ROUNDING_KCAL_MOL = 0.015


def read_rows(path: Path) -> list[Row]:
    """The records of mutants, cells pdb_id, chain, mutation, ddg, temperature, reference and comment.

    Raises InputError when a column is not there.
    """
    records, _ = read_records(path, COLUMNS, list(COLUMNS))
    mutants: list[Row] = []
    wild: dict[str, dict[str, str]] = {}
    for row in records:
        if "" in row.cells:
            mutants.append(row)
        elif row.cells["mutation"].strip().upper() == "WT":
            wild[row.cells["name"]] = row.cells
        else:
            mutants.append(_with_wild_type(row, wild.get(row.cells["name"])))
    log.info("%s: %d rows of wild types, %d of mutants", path, len(records) - len(mutants), len(mutants))
    return mutants


def _with_wild_type(row: Row, wild: dict[str, str] | None) -> Row:
    cells = row.cells
    match = _NAME.fullmatch(cells["name"].strip())
    if not match:
        return replace(row, cells=cells | {"pdb_id": cells["name"], "chain": "", "comment": ""})
    pdb_id, chain, data_set = match.groups()
    notes = [f"data_set:{data_set}" if data_set else "", f"kd:{cells['kd']}", f"dg:{cells['dg']}"]
    if wild is None:
        notes.append("no_row_of_the_wild_type")
    else:
        notes += [f"wild_type_kd:{wild['kd']}", f"wild_type_dg:{wild['dg']}", _contradiction(cells, wild)]
    return replace(row, cells=cells | {"pdb_id": pdb_id, "chain": chain, "comment": joined(*notes)})


def _contradiction(cells: dict[str, str], wild: dict[str, str]) -> str:
    """A note where the stated ddG is not dG(mutant) - dG(wild type); empty where one of the cells is no number."""
    try:
        difference = number_of(cells["dg"], "dg") - number_of(wild["dg"], "dg")
        stated = number_of(cells["ddg"], "ddg")
    except NotUnderstood:
        return ""
    return "cells_disagree" if abs(stated - difference) > _DDG_ROUNDING_KCAL_MOL else ""
