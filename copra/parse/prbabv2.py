"""PRBAB v2.0 (supplement of Hong 2023) saved as CSV: one complex per record, chains as `1A9N_AB:Q`.

The experimental text and the plain Kd column are both stated; see curated.py for what happens where they differ.
"""

from __future__ import annotations

from pathlib import Path

from copra.parse.affinity_text import NotUnderstood, parse_affinity_text
from copra.parse.cells import (
    Measured,
    Row,
    chains_of_letters,
    check_cells,
    joined,
    number_of,
    pdb_id_of,
    ph_of,
    pmid_of,
    read_columns,
    temperature_of,
)
from copra.parse.curated import split_name, with_dg, with_second_kd

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
    return read_columns(path, COLUMNS)


def read_measured(row: Row) -> list[Measured]:
    """The values of a record; raises NotUnderstood."""
    check_cells(row)
    cells = row.cells
    name, protein, rna = split_name(cells["name"])
    protein_chains, rna_chains = chains_of_letters(protein)[0], chains_of_letters(rna)[0]
    temperature_k, note = temperature_of(cells["temperature"])
    pmid, reference = pmid_of(cells["reference"])
    kd_molar = number_of(cells["kd"], "kd")
    if kd_molar <= 0:
        raise NotUnderstood("not_positive", f"Kd(mol): found {cells['kd']!r}")
    try:
        affinity = parse_affinity_text(cells["text"], quantity="Kd")
        stated = (affinity.quantity, affinity.relation, affinity.value_molar, "M", affinity.uncertainty_molar)
        rule, not_understood = affinity.rule, ""
    except NotUnderstood as refused:
        # the source itself states the same value in mol/l beside the text
        stated = ("Kd", "=", kd_molar, "M", None)
        rule, not_understood = "kd_mol_column", f"text_not_understood:{refused.reason}:{cells['text'].strip()}"
    first = Measured(
        pdb_id_of(name), protein_chains, rna_chains, *stated, temperature_k, ph_of(cells["ph"]),
        cells["method"].strip(), pmid, "", "RNA", rule,
        joined(note, reference, not_understood, f"location:{' '.join(cells['location'].split())}"),
    )  # fmt: skip
    believed_or_not = temperature_k if not note else _plain_temperature(cells["temperature"])
    return with_dg(with_second_kd(first, kd_molar), number_of(cells["dg"], "dg"), believed_or_not)


def _plain_temperature(text: str) -> float | None:
    try:
        return number_of(text, "temperature")
    except NotUnderstood:
        return None
