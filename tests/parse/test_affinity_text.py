"""The grammar of affinity text: what is written is read back to 12 digits, and what is not clear is refused."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from copra.parse.affinity_text import canonical, parse_affinity_text
from copra.parse.reasons import NotUnderstood
from copra.units import MOLAR_PER_UNIT

UNDERSTOOD = [
    ("Kd=12nM", "Kd", "=", 12e-9, None),
    ("Kd~1nM", "Kd", "~", 1e-9, None),
    ("IC50<3uM", "IC50", "<", 3e-6, None),
    ("IC50 3uM", "IC50", "=", 3e-6, None),
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
    ("1.2x10^-9 M", "Kd", "=", 1.2e-9, None),
    ("8.6×10–9 M", "Kd", "=", 8.6e-9, None),
    ("1.06×10⁻⁷ M", "Kd", "=", 1.06e-7, None),
    ("7.8 ± 0.52  E -8 M", "Kd", "=", 7.8e-8, 0.52e-8),
    ("0.35\u2009µM", "Kd", "=", 0.35e-6, None),
    ("1μM ", "Kd", "=", 1e-6, None),
    ("Ｋｄ＝１２ｎＭ", "Kd", "=", 12e-9, None),
    ("\u200e12nM\u200b", "Kd", "=", 12e-9, None),
    ("Ka=2E6M-1", "Kd", "=", 5e-7, None),
    ("Ka>2E6M^-1", "Kd", "<", 5e-7, None),
    ("Kb=2.0+-0.3M⁻¹", "Kd", "=", 0.5, 0.075),
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
    (" \u200b", "empty"),
    ("1.8 ± 0.12", "no_unit"),
    ("Kd=12", "no_unit"),
    ("Kd=12nm", "unknown_unit"),
    ("Kd=12 NM", "unknown_unit"),
    ("Kd=12nM (25°C)", "unknown_unit"),
    ("Kd=12nM and 13nM", "several_values"),
    ("12nM/13nM", "several_values"),
    ("Kd=2nM;Ki=5uM", "several_values"),
    ("0.15~0.4nM", "range"),
    ("2-5 nM", "range"),
    ("2nM–5nM", "range"),
    ("2 to 5 nM", "range"),
    ("Kd=0nM", "not_positive"),
    ("Kd=1e-400M", "out_of_range"),
    ("Ka=1e-400M-1", "out_of_range"),
    ("1±1E400M", "out_of_range"),
    ("Kd=-3nM", "no_number"),
    ("high", "no_number"),
    ("1,000nM", "comma_in_number"),
    ("0,5nM", "comma_in_number"),
    ("1 000 nM", "space_in_number"),
    ("Kd1 5nM", "space_in_number"),
    ("Kd1=5nM", "no_number"),
    ("8.6×109 M", "unknown_unit"),
    ("12₂nM", "unknown_unit"),
    ("12②nM", "unknown_unit"),
    ("½nM", "no_number"),
    ("12²nM", "unknown_unit"),
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


def test_a_reason_that_is_not_in_the_list_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="no_such_reason"):
        NotUnderstood("no_such_reason", "")


# --- properties ---------------------------------------------------------------------------------------

SIGNS = {"=": "=＝", "<": "<＜", ">": ">", "~": "~≈∼～", "<=": ["<=", "≤", "< ="], ">=": [">=", "≥"]}
SPACES = st.sampled_from(["", " ", "\u2009", "\xa0", "  ", "\u200b", "\t"])
RAISED = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")
WIDE = {code: chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
decimals = st.decimals("0.0001", "99999", places=4).map(lambda d: f"{d.normalize():f}") | st.sampled_from([".5", "7."])


@dataclass(frozen=True)
class Written:
    """A text of the grammar and what it says."""

    text: str
    quantity: str
    relation: str
    value_molar: Decimal
    uncertainty_molar: Decimal | None


@st.composite
def scaled(draw: st.DrawFn) -> tuple[str, int]:
    """An exponent as it is written, and its value."""
    n = draw(st.integers(-15, 3))
    times = draw(st.sampled_from(["x", "X", "×"]))
    spellings = [
        "",
        f"E{n}",
        f"e{n:+03d}",
        f"{times}10^{n}",
        f"{times}10{n:+d}",
        f"{times}10" + f"{n}".translate(RAISED),
    ]
    written = draw(st.sampled_from([*spellings, f" {times} 10^{n}".replace("-", "–")]))
    return written, n if written else 0


@st.composite
def written(draw: st.DrawFn) -> Written:
    """A text that the grammar describes, in any of its spellings."""
    quantity = draw(st.sampled_from(["Kd", "Ki", "IC50"]))
    relation = draw(st.sampled_from(sorted(SIGNS)))
    sign = draw(SPACES) + draw(st.sampled_from(SIGNS[relation])) + draw(SPACES)
    unit = draw(st.sampled_from(sorted(MOLAR_PER_UNIT)))
    number, (scale, exponent) = draw(decimals), draw(scaled())
    assume(Decimal(number) > 0)
    molar = Decimal(1).scaleb(exponent) * Decimal(str(MOLAR_PER_UNIT[unit]))
    error = draw(st.none() | decimals)
    plus_minus = draw(SPACES) + draw(st.sampled_from(["±", "+/-", "+-"])) + draw(SPACES)
    shared = draw(st.booleans())
    middle = "" if error is None else f"{plus_minus}{error}"
    value = f"{number}{middle}{scale}" if shared or error is None else f"{number}{scale}{middle}{scale}"
    spelled = draw(st.sampled_from(["uM", "µM", "μM"])) if unit == "uM" else unit
    name = draw(st.sampled_from([quantity, quantity.upper(), quantity.lower()]))
    text = draw(SPACES) + name + sign + value + draw(SPACES) + spelled + draw(SPACES)
    if draw(st.booleans()):
        text = text.translate(WIDE)
    return Written(text, quantity, relation, Decimal(number) * molar, None if error is None else Decimal(error) * molar)


@given(written())
def test_every_spelling_of_the_grammar_is_read_back(case: Written) -> None:
    found = parse_affinity_text(case.text, quantity=None)
    assert (found.quantity, found.relation) == (case.quantity, case.relation)
    assert found.value_molar == pytest.approx(float(case.value_molar), rel=1e-12)
    stated = case.uncertainty_molar
    assert found.uncertainty_molar == (None if stated is None else pytest.approx(float(stated), rel=1e-12, abs=0))


@given(written(), written(), st.sampled_from([" and ", ", ", "; ", "/", " or ", "-", " to ", "~", " – "]))
def test_two_values_in_one_cell_are_never_one(first: Written, second: Written, between: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        parse_affinity_text(first.text + between + second.text, quantity=None)
    assert refused.value.reason in ("several_values", "range", "unknown_unit", "space_in_number", "comma_in_number")


@given(written(), st.text(min_size=1, max_size=8))
def test_nothing_that_stands_behind_a_value_is_passed_over(case: Written, junk: str) -> None:
    assume(canonical(junk))
    with pytest.raises(NotUnderstood):
        parse_affinity_text(case.text + junk, quantity=None)


@given(st.integers(1, 999), st.integers(0, 999), st.sampled_from(",  \xa0\u2009"), st.sampled_from(["nM", " uM"]))
def test_thousands_are_refused(thousands: int, rest: int, separator: str, unit: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        parse_affinity_text(f"Kd={thousands}{separator}{rest:03d}{unit}", quantity=None)
    assert refused.value.reason in ("comma_in_number", "space_in_number")


texts = st.text(max_size=40) | st.text("KdiaIC50=<>~≤±+-x×10^Enuµμmpf M,./⁻¹²０１Ｍ", max_size=25)


@given(texts)
def test_any_text_gives_a_positive_value_or_a_reason_of_the_list(text: str) -> None:
    try:
        found = parse_affinity_text(text, quantity="Kd")
    except NotUnderstood:  # which takes no reason but one of the list
        return
    assert 0 < found.value_molar < float("inf")
    assert found.uncertainty_molar is None or 0 <= found.uncertainty_molar < float("inf")


@given(texts)
def test_one_spelling_is_its_own_spelling(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(written())
def test_the_one_spelling_says_what_the_text_says(case: Written) -> None:
    found = parse_affinity_text(case.text, quantity=None)
    again = parse_affinity_text(canonical(case.text), quantity=None)
    assert dataclasses.asdict(again) == dataclasses.asdict(found)
