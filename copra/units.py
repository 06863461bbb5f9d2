"""Units of binding: molar prefixes, and dG = R T ln(Kd / 1 M).

Negative dG = binds. Kd in mol/l, temperature in kelvin, dG in kcal/mol.
"""

from __future__ import annotations

import math

# CODATA 2018: 8.314462618... J/mol/K over 4184 J/kcal
GAS_CONSTANT_KCAL_MOL_K = 1.98720425864083e-3
STANDARD_TEMPERATURE_K = 298.15
# Water is liquid between these at 1 atm; a binding temperature outside them is a typing error.
LOWEST_TEMPERATURE_K = 273.0
HIGHEST_TEMPERATURE_K = 373.0

MOLAR_PER_UNIT = {"M": 1.0, "mM": 1e-3, "uM": 1e-6, "nM": 1e-9, "pM": 1e-12, "fM": 1e-15}


def dg_from_kd(kd_molar: float, temperature_k: float) -> float:
    """Binding free energy in kcal/mol of a dissociation constant in mol/l at a temperature in K.

    Raises ValueError when one of them is not a positive finite number.
    """
    _positive("kd_molar", kd_molar)
    _positive("temperature_k", temperature_k)
    return GAS_CONSTANT_KCAL_MOL_K * temperature_k * math.log(kd_molar)


def kd_from_dg(dg_kcal_mol: float, temperature_k: float) -> float:
    """Dissociation constant in mol/l of a binding free energy in kcal/mol at a temperature in K."""
    _positive("temperature_k", temperature_k)
    return math.exp(dg_kcal_mol / (GAS_CONSTANT_KCAL_MOL_K * temperature_k))


def is_believable_temperature(temperature_k: float) -> bool:
    """Whether binding in water can have been measured at this temperature (273 to 373 K)."""
    return LOWEST_TEMPERATURE_K <= temperature_k <= HIGHEST_TEMPERATURE_K


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: found {value}, expected a positive finite number")
