"""What the curated tables share: a complex such as `1A9N_AB:Q`, its conditions, and more than one cell of affinity.

Each stated value is transcribed once. Cells that say the same (within rounding) are one measurement; cells that
contradict each other become two, so that the contradiction is seen and judged later, not settled here.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

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
    temperature_of,
)
from copra.parse.reasons import NotUnderstood
from copra.units import STANDARD_TEMPERATURE_K, dg_from_kd, kd_from_dg

# relative difference of two Kd cells that rounding to two digits explains
KD_ROUNDING = 0.05
# difference of a dG cell from R T ln Kd that rounding of dG, R and T explains
DG_ROUNDING_KCAL_MOL = 0.1


def plain_kd(row: Row) -> Measured:
    """The complex, the conditions and the plain Kd cell (mol/l) of a record; raises NotUnderstood.

    Its cells are name, kd, temperature, ph, reference and, where the table has it, method. A prime marks a chain
    made by crystal symmetry, as in `3HL2_AA'BB':E`; it is folded into the chain that it copies.
    """
    check_cells(row)
    cells = row.cells
    name, protein, rna = split_name(cells["name"])
    protein_chains, protein_copies = chains_of_letters(protein)
    rna_chains, rna_copies = chains_of_letters(rna)
    temperature_k, temperature_note = temperature_of(cells["temperature"])
    ph, ph_note = ph_of(cells["ph"])
    pmid, reference = pmid_of(cells["reference"])
    kd_molar = number_of(cells["kd"], "kd")
    if kd_molar <= 0:
        raise NotUnderstood("not_positive", f"Kd: found {cells['kd']!r}")
    copies = f"symmetry_copies_folded:{protein}:{rna}" if protein_copies or rna_copies else ""
    return Measured(
        pdb_id_of(name), protein_chains, rna_chains, "Kd", "=", kd_molar, "M", None, temperature_k, ph,
        cells.get("method", "").strip(), pmid, "", "RNA", "kd_column",
        joined(temperature_note, ph_note, reference, copies),
    )  # fmt: skip


def split_name(text: str) -> tuple[str, str, str]:
    """`1A9N_AB:Q` as id, protein and RNA letters; refuses another form."""
    name, _, chains = text.strip().partition("_")
    protein, colon, rna = chains.partition(":")
    if not (name and protein and colon and rna):
        raise NotUnderstood("bad_complex_name", f"found {text!r}, expected a form such as 1A9N_AB:Q")
    return name, protein, rna


def with_second_kd(first: Measured, kd_molar: float) -> list[Measured]:
    """The first value, and the plain Kd cell as a second one where the two differ beyond rounding."""
    if first.relation == "=" and math.isclose(first.value, kd_molar, rel_tol=KD_ROUNDING):
        return [first]
    if first.relation != "=":
        # the plain cell drops the sign of the text; the text says more
        return [first]
    second = replace(first, value=kd_molar, uncertainty=None, parse_rule="kd_column")
    return [replace(first, comment=joined(first.comment, "cells_disagree")), _marked(second)]


def with_dg(stated: list[Measured], row: Row) -> list[Measured]:
    """The values, and the cell `dg` as a further one where it follows from none of them at the row's temperature.

    The number in the cell `temperature` is used, believed or not: the source computed dG with it.
    """
    dg_kcal_mol = number_of(row.cells["dg"], "dg")
    temperature_k = _temperature_of_source(row.cells["temperature"])
    for value in stated:
        if abs(dg_from_kd(value.value, temperature_k) - dg_kcal_mol) <= DG_ROUNDING_KCAL_MOL:
            return stated
    dg = replace(
        stated[0], quantity="dG", relation="=", value=dg_kcal_mol, unit="kcal/mol", uncertainty=None,
        parse_rule="dg_column",
    )  # fmt: skip
    note = _meaning(dg_kcal_mol, temperature_k)
    return [replace(value, comment=joined(value.comment, "cells_disagree")) for value in stated] + [_marked(dg, note)]


def _temperature_of_source(text: str) -> float:
    """The temperature in K with which a source computed its dG: what it states or assumes, else 298.15."""
    measured_k, _ = temperature_of(text)
    if measured_k is not None:
        return measured_k
    match = re.fullmatch(r"(?:default ?= ?)?([1-9][0-9]{2}(?:\.[0-9]+)?) ?K?", text.strip(), re.IGNORECASE)
    return float(match.group(1)) if match else STANDARD_TEMPERATURE_K


def _meaning(dg_kcal_mol: float, temperature_k: float) -> str:
    try:
        return f"dg_cell_means_kd:{kd_from_dg(dg_kcal_mol, temperature_k):.3g}M"
    except OverflowError:
        return ""


def _marked(value: Measured, note: str = "") -> Measured:
    return replace(value, comment=joined(value.comment, "cells_disagree", note))
