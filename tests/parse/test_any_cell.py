"""Whatever stands in a cell of any table: the row is understood or refused with a reason, and nothing else happens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copra.parse import pdbbind
from copra.parse.affinity import FORMATS
from copra.parse.cells import Row
from copra.parse.reasons import NotUnderstood

CONDITIONS = {"temperature": "298", "ph": "pH 7.4", "reference": "9814759", "method": "EMSA"}
PLAIN = {"name": "1A9N_AB:Q", "kd": "2e-10", "dg": "-13.2", **CONDITIONS}
CELLS = {
    "prbabv2": {**PLAIN, "text": "0.20±0.07nM", "location": "Table 3"},
    "prdbv3": {**PLAIN, "crystal_rna": "75", "solution_rna": "76"},
    "predprba": PLAIN,
    "pronab": {
        "pdb_id": "1A9N", "mutation": "wild", "mutation_nucleic_acid": "-", "type": "RNA", "entry": "1",
        "dg_wild": "-10.37", "dg_mutant": "-9", "kd_wild": "25", "kd_wild_unit": "nM", "kd_mutant": "30",
        "kd_mutant_unit": "nM", **CONDITIONS,
    },
}  # fmt: skip
text = st.text(max_size=20) | st.text("0123456789.eE+-±<>=~nuµM K°C:_ABx10^", max_size=15) | st.just("9999")


@pytest.mark.parametrize("kind", sorted(CELLS))
@given(data=st.data())
def test_any_cell_of_a_table(kind: str, data: st.DataObject) -> None:
    cells = CELLS[kind]
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(cells)), text, min_size=1, max_size=3))
    check(kind, Row(1, "", cells | changed))


@given(st.text(max_size=60) | st.from_regex(pdbbind._LINE, fullmatch=True))
def test_any_line_of_the_pdbbind_index(line: str) -> None:
    check("pdbbind", Row(1, line, {"line": line}))


def check(kind: str, row: Row) -> None:
    _, read_measured = FORMATS[kind]
    try:
        values = read_measured(row)
    except NotUnderstood:  # which takes no reason but one of the list
        return
    assert values
    for value in values:
        assert math.isfinite(value.value)
        assert value.unit == "kcal/mol" or value.value > 0
        assert value.temperature_k is None or 273 <= value.temperature_k <= 373
        assert value.ph is None or 0 <= value.ph <= 14


def test_every_format_is_tried() -> None:
    assert set(FORMATS) == {*CELLS, "pdbbind"}
