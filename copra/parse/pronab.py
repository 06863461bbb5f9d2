"""A ProNAB export (Harini 2022), CSV, tab-separated or xlsx: wild type and mutants, RNA and DNA, one value per record.

The headings of the export are not fixed, so each column is found by any of its known names, and a heading line
that lacks what is needed is refused by name. A Kd column must carry its unit in its heading or in its cells.

A record of the wild type (`mutation` = wild, WT, -) gives the wild type's value. A record of a mutant gives the
mutant's value only: the wild type's number beside it is another record's value and is not taken twice. Where the
nucleic acid is mutated too, or alone, the record is a mutant as well.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from copra.errors import InputError
from copra.parse.affinity_text import Affinity, canonical, parse_affinity_text
from copra.parse.cells import (
    NUMBER,
    UNSTATED,
    Measured,
    Row,
    check_cells,
    joined,
    number_of,
    pdb_id_of,
    ph_of,
    pmid_of,
    temperature_of,
)
from copra.parse.reasons import NotUnderstood
from copra.parse.records import heading_key, read_records
from copra.units import MOLAR_PER_UNIT

_KD_NAMES = ("Kd", "Kd (M)", "Kd (mM)", "Kd (uM)", "Kd (nM)", "Kd (pM)")
COLUMNS = {
    "pdb_id": ("PDB_complex", "PDB complex", "PDB ID", "PDB_id", "PDB code", "PDB"),
    "mutation": ("mutation_protein", "Protein mutation", "Mutation", "mutant"),
    "mutation_nucleic_acid": ("mutation_nuc", "mutation_nucleic_acid", "Nucleic acid mutation", "RNA mutation"),
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
    rows, found = read_records(path, COLUMNS, ["pdb_id", "mutation", "type"])
    if not {"dg_wild", "kd_wild"} & set(found):
        names = " or ".join(COLUMNS["dg_wild"] + COLUMNS["kd_wild"])
        raise InputError(f"{path}: the heading line lacks a dG or Kd of the wild type ({names}); found {found}")
    units = {f"{key}_unit": _unit_of(found[key]) for key in ("kd_wild", "kd_mutant") if key in found}
    shared = {f"{key}_shared": "yes" for key in ("dg_wild", "kd_wild") if heading_key(found.get(key, "")) in _SHARED}
    return [row if "" in row.cells else replace(row, cells=row.cells | units | shared) for row in rows]


def read_measured(row: Row) -> list[Measured]:
    """The value of a record: its Kd where it states one, else its dG; raises NotUnderstood."""
    check_cells(row)
    cells = row.cells
    pdb_id = pdb_id_of(cells["pdb_id"])
    mutation = joined(*(_mutation(cells.get(key, "")) for key in ("mutation", "mutation_nucleic_acid")))
    temperature_k, temperature_note = temperature_of(cells.get("temperature", ""))
    ph, ph_note = ph_of(cells.get("ph", ""))
    pmid, reference = pmid_of(cells.get("reference", ""))
    quantity, relation, value, unit, uncertainty, rule = _stated(cells, mutation)
    nucleic_acid = cells["type"].strip().upper()
    entry = f"entry:{cells['entry'].strip()}" if cells.get("entry", "").strip() else ""
    return [
        Measured(
            pdb_id, "", "", quantity, relation, value, unit, uncertainty, temperature_k, ph,
            cells.get("method", "").strip(), pmid, mutation, nucleic_acid if nucleic_acid in ("RNA", "DNA") else "",
            rule, joined(entry, temperature_note, ph_note, reference),
        )
    ]  # fmt: skip


def _mutation(text: str) -> str:
    """The mutation as it is written; empty where the cell says that there is none."""
    return "" if text.strip().lower() in _WILD else " ".join(text.split())


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
    """The Kd of a cell; a plain number is in the unit of its heading."""
    return parse_affinity_text(text + unit if NUMBER.fullmatch(canonical(text)) else text, quantity="Kd")


def _unit_of(heading: str) -> str:
    """The molar unit that a heading such as `Kd_wild (µM)` names in brackets; empty where it names none."""
    match = re.search(r"\((\w+)\)", canonical(heading))
    return match.group(1) if match and match.group(1) in MOLAR_PER_UNIT else ""
