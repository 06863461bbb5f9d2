from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copra.units import GAS_CONSTANT_KCAL_MOL_K, dg_from_kd, is_believable_temperature, kd_from_dg


def test_published_value() -> None:
    # PRBABv2 lists 30 nM at 298 K as -10.2578 kcal/mol (R rounded in its fifth digit)
    assert dg_from_kd(3e-8, 298.0) == pytest.approx(-10.2578, abs=2e-4)


def test_gas_constant_is_codata_over_thermochemical_calorie() -> None:
    assert pytest.approx(8.31446261815324 / 4184, rel=1e-14) == GAS_CONSTANT_KCAL_MOL_K


@given(st.floats(1e-18, 1e3), st.floats(273, 373))
def test_there_and_back(kd_molar: float, temperature_k: float) -> None:
    assert kd_from_dg(dg_from_kd(kd_molar, temperature_k), temperature_k) == pytest.approx(kd_molar, rel=1e-9)


@pytest.mark.parametrize("kd_molar", [0.0, -1e-9, math.inf, math.nan])
def test_impossible_kd_is_refused(kd_molar: float) -> None:
    with pytest.raises(ValueError, match="kd_molar"):
        dg_from_kd(kd_molar, 298.0)


def test_tighter_binding_is_more_negative() -> None:
    assert dg_from_kd(1e-9, 298.0) < dg_from_kd(1e-6, 298.0) < 0


def test_believable_temperatures() -> None:
    assert [is_believable_temperature(t) for t in (272.9, 273.0, 373.0, 393.0)] == [False, True, True, False]
