"""The rules that decide a label, one case each."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from copra.errors import InputError
from copra.units import dg_from_kd

HEADING = "subject\tkd_molar\ttemperature_k\tph\tmethod\tpmid\tlocation\tnote\n"
FROM_A_PAPER = {"method": "ITC", "pmid": "12345678"}


def calibrated(desk: Any, *stated: dict[str, Any]) -> Any:
    desk.measurements = list(stated)
    desk.run()
    return desk.label()


def test_sources_that_agree_give_the_mean_of_log_kd(desk: Any) -> None:
    label = calibrated(
        desk, desk.one("good:1", 1e-8, temperature_k=310.0), desk.one("fair:1", 1.21e-8, temperature_k=None)
    )
    assert label["kd_molar"] == pytest.approx(1.1e-8)
    assert label["dg_kcal_mol"] == pytest.approx(dg_from_kd(1.1e-8, 310.0))
    assert label["dg_298k_kcal_mol"] == pytest.approx(dg_from_kd(1.1e-8, 298.15))
    assert (label["deciding_rule"], label["label_grade"], label["temperature_assumed"]) == ("sources_agree", "A", False)
    assert label["dg_spread_kcal_mol"] == pytest.approx(dg_from_kd(1.21, 298.15))


def test_one_source(desk: Any) -> None:
    label = calibrated(desk, desk.one("fair:1", 3e-9, temperature_k=None))
    assert (label["deciding_rule"], label["label_grade"], label["kd_molar"]) == ("single_source", "C", 3e-9)
    assert (label["temperature_k"], label["temperature_assumed"]) == (298.15, True)
    assert pd.isna(label["dg_spread_kcal_mol"])


@pytest.mark.parametrize(
    ("stated", "rule", "grade", "kd"),
    [
        ([("fair:1", 1e-9, {"quantity": "Ki"}), ("good:1", 1e-6, {})], "kd_over_ki_over_ic50", "B", 1e-6),
        ([("good:1", 1e-9, {"relation": "~"}), ("fair:1", 1e-6, {})], "equal_over_approximate", "B", 1e-6),
        ([("fair:1", 1e-8, {}), ("good:1", 3e-8, {})], "better_documented_source", "B", 3e-8),
        ([("else:1", 1e-8, {}), ("fair:1", 3e-8, {})], "better_documented_source", "B", 3e-8),
        ([("good:1", 1e-8, {"quantity": "IC50"})], "single_source", "D", 1e-8),
        ([("good:1", 1e-8, {}), ("fair:1", 1e-3, {"relation": "<"})], "single_source", "B", 1e-8),
        ([("good:1", 1e-8, {}), ("fair:1", 1e-5, {}), ("else:1", 1e-8, {})], "majority_of_sources", "D", 1e-8),
        ([("good:1", 1e-5, {}), ("fair:1", 1e-8, FROM_A_PAPER)], "documented_over_bare", "D", 1e-8),
        ([("fair:1", 1e-8, {}), ("fair_old:1", 1e-3, {})], "single_source", "B", 1e-8),
    ],
)
def test_rules_in_order(
    stated: list[tuple[str, float, dict[str, Any]]], rule: str, grade: str, kd: float, desk: Any
) -> None:
    label = calibrated(desk, *(desk.one(name, value, **changes) for name, value, changes in stated))
    assert (label["deciding_rule"], label["label_grade"], label["kd_molar"]) == (rule, grade, kd)


def test_free_energy_is_turned_into_kd_at_its_own_temperature(desk: Any) -> None:
    stated = desk.one("good:1", -10.0, quantity="dG", unit="kcal/mol", temperature_k=310.0)
    label = calibrated(desk, stated)
    assert label["dg_kcal_mol"] == pytest.approx(-10.0)
    assert label["dg_298k_kcal_mol"] == pytest.approx(-10.0 * 298.15 / 310.0)


def test_conflicts_and_bounds_are_quarantined(desk: Any) -> None:
    desk.measurements = [
        desk.one("good:1", 1e-8),
        desk.one("fair:1", 1e-6),
        desk.measurement("fair:2", "1bbb", "A:Q", 5e-12, relation="<"),
    ]
    desk.run()
    assert desk.table("labels").empty
    told = desk.verdicts("calibrate")
    assert told["good:1"] == told["fair:1"] == ("unresolved", "flag")
    assert told["1bbb:A:Q"] == ("only_censored", "flag")


def test_what_speaks_against_a_value_is_written_down(desk: Any) -> None:
    desk.measurements = [
        desk.one("fair:1", 1e-8, temperature_k=298.0),
        desk.one("fair_old:1", 1e-3),
        desk.one("good:1", 1e-8, temperature_k=338.0),
        desk.measurement("fair_old:2", "1bbb", "A:Q"),
    ]
    desk.run()
    told = desk.verdicts("calibrate")
    assert told["fair_old:1"] == ("superseded_edition", "drop")
    assert told["fair_old:2"] == ("single_source", "keep")
    assert told["1aaa:A:Q"] == ("temperature_disputed", "flag")
    assert desk.table("labels").set_index("candidate_id").loc["1aaa:A:Q", "temperature_k"] == 338.0


def test_documented_rows_that_contradict_each_other_stay_unresolved(desk: Any) -> None:
    stated = [("good:1", 1e-8, FROM_A_PAPER), ("fair:1", 1e-5, FROM_A_PAPER), ("else:1", 1e-3, {})]
    desk.measurements = [desk.one(name, value, **more) for name, value, more in stated]
    desk.run()
    assert desk.verdicts("calibrate")["1aaa:A:Q"] == ("unresolved", "flag")


CORRECTION = """corrections:
  - subject: 1aaa:A:Q
    value: {kd_molar: 1.1e-8, temperature_k: 300.0}
    expect: {source: fair, quantity: Kd, value: 1.0e-5}
    reason: the exponent of the table is wrong
    evidence: arithmetic on the row itself
"""


def test_a_correction_decides_while_its_guard_holds(desk: Any) -> None:
    desk.corrections = CORRECTION
    label = calibrated(desk, desk.one("good:1", 1e-8), desk.one("fair:1", 1e-5))
    assert (label["deciding_rule"], label["label_grade"], label["kd_molar"]) == ("correction", "A", 1.1e-8)
    assert label["temperature_k"] == 300.0
    assert label["measurement_ids"] == "good:1"
    told = desk.verdicts("calibrate")
    assert (told["good:1"], told["fair:1"]) == (("correction", "prefer"), ("correction", "override"))
    desk.measurements[1]["value"] = 1e-8
    with pytest.raises(InputError, match="review this line"):
        desk.run()


def test_a_correction_of_a_source_that_is_not_used_does_nothing(desk: Any) -> None:
    desk.corrections = CORRECTION
    assert calibrated(desk, desk.one("good:1", 1e-8))["deciding_rule"] == "single_source"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1aaa:A:Q", "1aaa:A:Z", "must name one candidate"),
        ("kd_molar: 1.1e-8", "kd_molar: -1.0", "kd_molar"),
        ("reason", "because", "because"),
        ("1.1e-8", "2e-9", "kd_molar"),
    ],
)
def test_a_wrong_correction_stops(old: str, new: str, said: str, desk: Any) -> None:
    desk.corrections = CORRECTION.replace(old, new)
    with pytest.raises(InputError, match=said):
        calibrated(desk, desk.one("fair:1", 1e-5))


def test_the_paper_itself_goes_before_the_tables(desk: Any) -> None:
    desk.literature += "1aaa\t2e-8\t295\t7\tITC\t12345678\tTable 1\t\n"
    label = calibrated(desk, desk.one("good:1", 1e-6), desk.one("fair:1", 1e-9))
    assert (label["deciding_rule"], label["kd_molar"], label["temperature_k"]) == ("primary_literature", 2e-8, 295.0)
    assert label["measurement_ids"] == ""
    desk.literature = HEADING + "1aaa\t2e-8\t295\t7\tITC\t\tTable 1\t\n"
    with pytest.raises(InputError, match=r"literature\.tsv: line 2"):
        desk.run()
