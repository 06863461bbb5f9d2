"""Cells that mean the same in every table: what they say, or a note of what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copra.parse.cells import chains_of_letters, number_of, pdb_id_of, ph_of, pmid_of, temperature_of
from copra.parse.reasons import NotUnderstood


@pytest.mark.parametrize(
    ("text", "temperature_k"),
    [
        ("298", 298.0), ("298 K", 298.0), ("298.15K", 298.15), (" ２９８ ", 298.0), ("4°C", 277.15), ("4 ℃", 277.15),
        ("25C", 298.15), ("37 °C", 310.15), ("273", 273.0), ("373 K", 373.0), ("0°C", 273.15),
    ],
)  # fmt: skip
def test_a_temperature_is_read_in_kelvin(text: str, temperature_k: float) -> None:
    assert temperature_of(text) == (temperature_k, "")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("", ""), ("unstated", ""), ("-", ""),
        ("25", "temperature_not_believed:25"),  # a number without a unit is in K: whether C was meant is not known
        ("393", "temperature_not_believed:393"),
        ("272.9", "temperature_not_believed:272.9"),
        ("373.1 K", "temperature_not_believed:373.1 K"),
        ("250 °C", "temperature_not_believed:250 °C"),
        ("Default=298", "temperature_assumed_by_source:Default=298"),
        ("293-298", "temperature_is_a_range:293-298"),
        ("20–25 °C", "temperature_is_a_range:20-25 °C"),
        ("RT", "temperature_not_understood:RT"),
        ("room temperature", "temperature_not_understood:room temperature"),
        ("298±1", "temperature_not_understood:298±1"),
        ("298 F", "temperature_not_understood:298 F"),
    ],
)  # fmt: skip
def test_a_temperature_that_is_not_one_loses_only_itself_and_says_so(text: str, note: str) -> None:
    assert temperature_of(text) == (None, note)


@given(st.text(max_size=20) | st.text("0123456789.-~ KC°℃to", max_size=12))
def test_any_temperature_is_believable_or_none(text: str) -> None:
    temperature_k, note = temperature_of(text)
    assert temperature_k is None or (273 <= temperature_k <= 373 and note == "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pH 7.4", (7.4, "")), ("  Ph 8.0", (8.0, "")), ("PH=7", (7.0, "")), ("7", (7.0, "")), ("unstated", (None, "")),
        ("Default=7", (None, "ph_assumed_by_source:Default=7")), ("298", (None, "ph_not_believed:298")),
        ("7.0-7.5", (None, "ph_not_understood:7.0-7.5")),
    ],
)  # fmt: skip
def test_ph(text: str, found: tuple[float | None, str]) -> None:
    assert ph_of(text) == found


def test_chains_keep_their_case_and_fold_symmetry_copies() -> None:
    assert chains_of_letters("ABHIKM") == ("A,B,H,I,K,M", False)
    assert chains_of_letters("AAb0") == ("A,b,0", False)
    assert chains_of_letters("AA'B’B") == ("A,B", True)
    with pytest.raises(NotUnderstood, match="bad_chains"):
        chains_of_letters("A,B")


def test_entries() -> None:
    assert (pdb_id_of(" 1URN "), pdb_id_of("5E08"), pdb_id_of("pdb_00001urn")) == ("1urn", "5e08", "pdb_00001urn")
    for text in ("500000000", "1ur", "1urn2", "1urn_A", "Izdi"):  # 5E08 as a spreadsheet's number, and a slip
        with pytest.raises(NotUnderstood, match="bad_pdb_id"):
            pdb_id_of(text)


def test_references() -> None:
    assert pmid_of("\xa0015800629\xa0") == ("", "reference:015800629")
    assert pmid_of(" 10452887") == ("10452887", "")
    assert pmid_of("BioRxiv") == ("", "reference:BioRxiv")


@pytest.mark.parametrize("text", ["1e999", "²", "3²", "1,5", "1 5", "0x1", "nm", "١"])
def test_a_number_is_plain(text: str) -> None:
    with pytest.raises(NotUnderstood, match="bad_kd"):
        number_of(text, "kd")


@given(st.text(max_size=15) | st.text("0123456789.eE+-−", max_size=12))
def test_any_number_is_finite_or_refused(text: str) -> None:
    try:
        found = number_of(text, "ddg")
    except NotUnderstood:
        return
    assert abs(found) < float("inf")
