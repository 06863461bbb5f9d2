"""PRDB v3.0 Table S2 saved as CSV: one complex per record, chains as `1ASY_A:R`, `3HL2_AA'BB':E`.

A prime marks a chain made by crystal symmetry; it is folded into the chain it copies. The Kd column has no unit
in its heading; it is mol/l, as dG = R T ln Kd shows row by row. The technique is the table's own letter code.
"""

from __future__ import annotations

from pathlib import Path

from copra.parse.affinity_text import NotUnderstood
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
from copra.parse.curated import split_name, with_dg

COLUMNS = {
    "name": ("PDB ID",),
    "crystal_rna": ("Crystal_RNA_len",),
    "solution_rna": ("Solution_RNA_len",),
    "kd": ("Kd",),
    "temperature": ("Temperature (K)",),
    "ph": ("pH",),
    "dg": ("dG (kcal/mol)",),
    "technique": ("Exp Technique",),
    "reference": ("PubMed ID",),
}


def read_rows(path: Path) -> list[Row]:
    """The records, cells under the names of COLUMNS; raises InputError when a column is not there."""
    return read_columns(path, COLUMNS)


def read_measured(row: Row) -> list[Measured]:
    """The values of a record; raises NotUnderstood."""
    check_cells(row)
    cells = row.cells
    name, protein, rna = split_name(cells["name"])
    protein_chains, protein_copies = chains_of_letters(protein)
    rna_chains, rna_copies = chains_of_letters(rna)
    temperature_k, note = temperature_of(cells["temperature"])
    pmid, reference = pmid_of(cells["reference"])
    kd_molar = number_of(cells["kd"], "kd")
    if kd_molar <= 0:
        raise NotUnderstood("not_positive", f"Kd: found {cells['kd']!r}")
    lengths = f"crystal_rna:{cells['crystal_rna'].strip()}nt; solution_rna:{cells['solution_rna'].strip()}nt"
    copies = f"symmetry_copies_folded:{protein}:{rna}" if protein_copies or rna_copies else ""
    first = Measured(
        pdb_id_of(name), protein_chains, rna_chains, "Kd", "=", kd_molar, "M", None, temperature_k,
        ph_of(cells["ph"]), cells["technique"].strip(), pmid, "", "RNA", "kd_column",
        joined(note, reference, lengths, copies),
    )  # fmt: skip
    return with_dg([first], number_of(cells["dg"], "dg"), temperature_k)
