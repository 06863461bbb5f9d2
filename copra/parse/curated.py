"""What the curated tables share: a row that states its affinity in more than one cell.

Each stated value is transcribed once. Cells that say the same (within rounding) are one measurement; cells that
contradict each other become two, so that the contradiction is seen and judged later, not settled here.
"""

from __future__ import annotations

import math
from dataclasses import replace

from copra.parse.affinity_text import NotUnderstood
from copra.parse.cells import Measured, joined
from copra.units import STANDARD_TEMPERATURE_K, dg_from_kd, kd_from_dg

# relative difference of two Kd cells that rounding to two digits explains
KD_ROUNDING = 0.05
# difference of a dG cell from R T ln Kd that rounding of dG, R and T explains
DG_ROUNDING_KCAL_MOL = 0.1


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
    second = replace(first, value=kd_molar, uncertainty=None, parse_rule="kd_mol_column")
    return [replace(first, comment=joined(first.comment, "cells_disagree")), _marked(second)]


def with_dg(stated: list[Measured], dg_kcal_mol: float, stated_temperature_k: float | None) -> list[Measured]:
    """The values, and the dG cell as a further one where it follows from none of them at the row's temperature.

    `stated_temperature_k` is the number in the row, believed or not: the source computed dG with it.
    """
    temperature_k = stated_temperature_k or STANDARD_TEMPERATURE_K
    for value in stated:
        if abs(dg_from_kd(value.value, temperature_k) - dg_kcal_mol) <= DG_ROUNDING_KCAL_MOL:
            return stated
    dg = replace(
        stated[0], quantity="dG", relation="=", value=dg_kcal_mol, unit="kcal/mol", uncertainty=None,
        parse_rule="dg_column",
    )  # fmt: skip
    note = f"dg_cell_means_kd:{kd_from_dg(dg_kcal_mol, temperature_k):.3g}M"
    return [replace(value, comment=joined(value.comment, "cells_disagree")) for value in stated] + [_marked(dg, note)]


def _marked(value: Measured, note: str = "") -> Measured:
    return replace(value, comment=joined(value.comment, "cells_disagree", note))
