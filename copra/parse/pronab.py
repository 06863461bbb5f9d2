"""A ProNAB export (Harini 2022), CSV or tab-separated: wild type and mutants, RNA and DNA, one value per record.

The headings of the export are not fixed, so each column is found by any of its known names, and a heading line
that lacks what is needed is refused by name. A Kd column must carry its unit in its heading or in its cells.

A record of the wild type (`mutation` = wild, WT, -) gives the wild type's value. A record of a mutant gives the
mutant's value only: the wild type's number beside it is another record's value and is not taken twice.
"""

from __future__ import annotations

import re
from pathlib import Path

from copra.errors import InputError
from copra.parse.affinity_text import Affinity, NotUnderstood, parse_affinity_text
from copra.parse.cells import (
    NUMBER,
    UNSTATED,
    Measured,
    Row,
    check_cells,
    columns_by_meaning,
    heading_key,
    joined,
    number_of,
    pdb_id_of,
    ph_of,
    pmid_of,
    read_delimited,
    read_text,
    renamed,
    require,
    temperature_of,
)
from copra.units import MOLAR_PER_UNIT

_KD_NAMES = ("Kd", "Kd (M)", "Kd (uM)", "Kd (nM)", "Kd (pM)")
COLUMNS = {
    "pdb_id": ("PDB_complex", "PDB complex", "PDB ID", "PDB_id", "PDB code", "PDB"),
    "mutation": ("mutation_protein", "Protein mutation", "Mutation", "mutant"),
    "type": ("type_nuc", "Nucleic acid type", "Type of nucleic acid", "Type"),
    "temperature": ("temperature (K)", "temperature", "T (K)", "temp"),
    "ph": ("pH",),
    "method": ("method", "Experimental method"),
    "reference": ("PubMed ID", "PubMed", "PMID", "Reference"),
    "entry": ("id", "Entry", "ProNAB ID", "Entry ID"),
    "dg_wild": ("dG_wild (kcal/mol)", "dG_wild_kcal_mol_", "dG_wild", "dG (kcal/mol)", "dG"),
    "dg_mutant": ("dG_mutant (kcal/mol)", "dG_mutant_kcal_mol_", "dG_mutant", "dG_mut (kcal/mol)", "dG_mut"),
    "kd_wild": (*(n.replace("Kd", "Kd_wild") for n in _KD_NAMES), *_KD_NAMES),
    "kd_mutant": (
        *(n.replace("Kd", "Kd_mutant") for n in _KD_NAMES), *(n.replace("Kd", "Kd_mut") for n in _KD_NAMES),
    ),
}  # fmt: skip
_WILD = UNSTATED | {"wild", "wildtype", "wild type", "wild-type", "wt"}
# columns that mean the same in a table with one value column: then a mutant's value stands there too
_SHARED = {heading_key(name) for name in ("dG (kcal/mol)", "dG", *_KD_NAMES)}


def read_rows(path: Path) -> list[Row]:
    """The records, cells under the names of COLUMNS; raises InputError when a needed column is not there."""
    first_line = read_text(path).partition("\n")[0]
    headings, rows = read_delimited(path, "\t" if first_line.count("\t") > first_line.count(",") else ",")
    found = columns_by_meaning(headings, COLUMNS)
    require(path, found, ["pdb_id", "mutation", "type"], headings)
    if not {"dg_wild", "kd_wild"} & set(found):
        raise InputError(f"{path}: the heading line lacks a dG or Kd column of the wild type; found {headings}")
    units = {f"{key}_unit": _unit_of(found[key]) for key in ("kd_wild", "kd_mutant") if key in found}
    shared = {f"{key}_shared": "yes" for key in ("dg_wild", "kd_wild") if heading_key(found.get(key, "")) in _SHARED}
    named = [renamed(row, found) for row in rows]
    return [row if "" in row.cells else Row(row.number, row.raw_text, row.cells | units | shared) for row in named]


def read_measured(row: Row) -> list[Measured]:
    """The value of a record: its Kd where it states one, else its dG; raises NotUnderstood."""
    check_cells(row)
    cells = row.cells
    pdb_id = pdb_id_of(cells["pdb_id"])
    mutation = "" if cells["mutation"].strip().lower() in _WILD else " ".join(cells["mutation"].split())
    temperature_k, note = temperature_of(cells.get("temperature", ""))
    pmid, reference = pmid_of(cells.get("reference", ""))
    quantity, relation, value, unit, uncertainty, rule = _stated(cells, mutation)
    nucleic_acid = cells["type"].strip().upper()
    entry = f"entry:{cells['entry'].strip()}" if cells.get("entry", "").strip() else ""
    return [
        Measured(
            pdb_id, "", "", quantity, relation, value, unit, uncertainty, temperature_k, ph_of(cells.get("ph", "")),
            cells.get("method", "").strip(), pmid, mutation, nucleic_acid if nucleic_acid in ("RNA", "DNA") else "",
            rule, joined(entry, note, reference),
        )
    ]  # fmt: skip


def _stated(cells: dict[str, str], mutation: str) -> tuple[str, str, float, str, float | None, str]:
    for kind in ("kd", "dg"):
        key = f"{kind}_wild"
        if mutation and cells.get(f"{key}_shared") != "yes":
            key = f"{kind}_mutant"
        text = cells.get(key, "").strip()
        if text.lower() in UNSTATED:
            continue
        if kind == "dg":
            return "dG", "=", number_of(text, "dg"), "kcal/mol", None, key
        kd = _kd(text, cells.get(f"{key}_unit", ""))
        return kd.quantity, kd.relation, kd.value_molar, "M", kd.uncertainty_molar, kd.rule
    raise NotUnderstood("mutant_without_value" if mutation else "no_value", "neither a Kd nor a dG is stated")


def _kd(text: str, unit: str) -> Affinity:
    return parse_affinity_text(text + unit if NUMBER.fullmatch(text) else text, quantity="Kd")


def _unit_of(heading: str) -> str:
    match = re.search(r"\((M|uM|µM|μM|nM|pM)\)", heading)
    unit = match.group(1).replace("µ", "u").replace("μ", "u") if match else ""
    return unit if unit in MOLAR_PER_UNIT else ""
