from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copra.parse.affinity_text import NotUnderstood, parse_affinity_text
from copra.units import MOLAR_PER_UNIT

UNDERSTOOD = [
    ("Kd=12nM", "Kd", "=", 12e-9, None),
    ("Kd~1nM", "Kd", "~", 1e-9, None),
    ("IC50<3uM", "IC50", "<", 3e-6, None),
    ("Ki=1.32uM", "Ki", "=", 1.32e-6, None),
    ("Ki = 120 nM", "Ki", "=", 1.2e-7, None),
    ("Kd<=5pM", "Kd", "<=", 5e-12, None),
    ("Kd≥2mM", "Kd", ">=", 2e-3, None),
    ("0.20±0.07nM", "Kd", "=", 0.2e-9, 0.07e-9),
    ("2.0+/-0.2uM", "Kd", "=", 2e-6, 0.2e-6),
    ("920+-240nM", "Kd", "=", 920e-9, 240e-9),
    ("3E-8M", "Kd", "=", 3e-8, None),
    ("165E-10M", "Kd", "=", 1.65e-8, None),
    ("10^-12M", "Kd", "=", 1e-12, None),
    ("10⁻¹²M", "Kd", "=", 1e-12, None),
    ("8.6×10–9 M", "Kd", "=", 8.6e-9, None),
    ("1.06×10⁻⁷ M", "Kd", "=", 1.06e-7, None),
    ("7.8 ± 0.52  E -8 M", "Kd", "=", 7.8e-8, 0.52e-8),
    ("0.35\u2009µM", "Kd", "=", 0.35e-6, None),
    ("1μM ", "Kd", "=", 1e-6, None),
    ("Ｋｄ＝１２ｎＭ", "Kd", "=", 12e-9, None),
    ("Ka=2E6M-1", "Kd", "=", 5e-7, None),
    ("Ka>2E6M^-1", "Kd", "<", 5e-7, None),
    ("Kd=40fM", "Kd", "=", 4e-14, None),
]


@pytest.mark.parametrize(("text", "quantity", "relation", "value", "uncertainty"), UNDERSTOOD)
def test_understood(text: str, quantity: str, relation: str, value: float, uncertainty: float | None) -> None:
    found = parse_affinity_text(text, quantity="Kd")
    assert (found.quantity, found.relation) == (quantity, relation)
    assert found.value_molar == pytest.approx(value, rel=1e-12)
    assert found.uncertainty_molar == (None if uncertainty is None else pytest.approx(uncertainty, rel=1e-12))


REFUSED = [
    ("", "empty"),
    ("1.8 ± 0.12", "no_unit"),
    ("Kd=12", "no_unit"),
    ("Kd=12nm", "unknown_unit"),
    ("Kd=12 NM", "unknown_unit"),
    ("Kd=12nM and 13nM", "unknown_unit"),
    ("0.15~0.4nM", "range"),
    ("2-5 nM", "range"),
    ("2nM-5nM", "range"),
    ("Kd=0nM", "not_positive"),
    ("Kd=1e-400M", "not_positive"),
    ("Kd=-3nM", "no_number"),
    ("high", "no_number"),
    ("1,000nM", "unknown_unit"),
    ("Ka=1.7E5+0.5E4M-1", "unknown_unit"),
    ("ka=8.023E5±5.856E4", "no_unit"),
    ("Kd=5M-1", "unknown_unit"),
    ("Km=5uM", "no_number"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        parse_affinity_text(text, quantity="Kd")
    assert refused.value.reason == reason


def test_a_value_without_a_quantity_is_refused_where_the_column_says_none() -> None:
    with pytest.raises(NotUnderstood, match="no_quantity"):
        parse_affinity_text("12nM", quantity=None)


numbers = st.decimals("0.001", "9999", places=3).map(str)
signs = {"=": ["=", " = ", "＝"], "<": ["<"], ">": [">"], "~": ["~", "≈", "∼"], "<=": ["<=", "≤"], ">=": [">=", "≥"]}
micro = {"uM": ["uM", "µM", "μM"]}


@given(data=st.data())
def test_every_spelling_of_the_grammar(data: st.DataObject) -> None:
    quantity = data.draw(st.sampled_from(["Kd", "Ki", "IC50"]))
    relation = data.draw(st.sampled_from(sorted(signs)))
    unit = data.draw(st.sampled_from(sorted(MOLAR_PER_UNIT)))
    number, exponent = data.draw(numbers), data.draw(st.integers(-9, 3))
    scale = data.draw(st.sampled_from(["", f"E{exponent}", f"e{exponent:+d}", f"x10^{exponent}", f"×10^{exponent}"]))
    error = data.draw(st.none() | numbers)
    plus_minus = data.draw(st.sampled_from(["±", " ± ", "+/-", "+-"]))
    spelled = data.draw(st.sampled_from(micro.get(unit, [unit])))
    gap = data.draw(st.sampled_from(["", " ", "\u2009", "\xa0"]))
    written = number + scale + (f"{plus_minus}{error}{scale}" if error else "")
    text = quantity + data.draw(st.sampled_from(signs[relation])) + written + gap + spelled
    found = parse_affinity_text(text, quantity=None)
    factor = (10.0**exponent if scale else 1.0) * MOLAR_PER_UNIT[unit]
    assert (found.quantity, found.relation) == (quantity, relation)
    assert found.value_molar == pytest.approx(float(number) * factor, rel=1e-12)
    assert found.uncertainty_molar == (pytest.approx(float(error) * factor, rel=1e-12) if error else None)


@given(st.text(max_size=30))
def test_any_text_gives_a_positive_value_or_a_reason(text: str) -> None:
    try:
        found = parse_affinity_text(text, quantity="Kd")
    except NotUnderstood:
        return
    assert found.value_molar > 0
