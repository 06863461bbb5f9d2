"""Which source states what about which complex of the demo world: labels, agreements, conflicts.

Roles of labelled complexes (see resources/demo/README.md):
    agree            pdbbind states the label; prbabv2 or pronab too, within 0.2 kcal/mol
    conflict         prbabv2 states the label, pdbbind another value, 0.7 kcal/mol away
    unresolved       prbabv2 and pdbbind are 1.7 kcal/mol apart: no label
    censored         pdbbind states only a bound: no label
    ic50, ki         pdbbind states only an IC50 or a Ki
    approximate      pdbbind states `Kd~`
    inconsistent     the dG column of prbabv2 belongs to a Kd 1000 times that of its text; pdbbind states the
                     label, and so the majority
    temperature      only prbabv2, measured at 310 K
    unstated         only prbabv2, temperature "unstated"
    prbabv2_only, pronab_only, pdbbind_only
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from copra.demo.law import (
    LABEL_RANGE,
    NOISE_SD,
    ROOM_TEMPERATURE_K,
    Terms,
    dg_kcal_mol,
    kd_molar,
    law_dg_kcal_mol,
    terms_of,
)
from copra.demo.molecules import Entry

ROLES = {
    "unresolved": 2, "censored": 2, "conflict": 3, "ic50": 2, "ki": 1, "approximate": 2, "inconsistent": 1,
    "temperature": 2, "unstated": 2, "prbabv2_only": 3, "pronab_only": 3, "agree_prbabv2": 9, "agree_pronab": 12,
    "agree_all": 5,
}  # fmt: skip
WITHOUT_LABEL = ("unresolved", "censored")
WARM_TEMPERATURE_K = 310.0
CONFLICT_KCAL_MOL, UNRESOLVED_KCAL_MOL = 0.7, 1.7
WRONG_UNIT_FACTOR = 1000.0  # between text and dG of the inconsistent row
AGREE_SD_KCAL_MOL, AGREE_WITHIN_KCAL_MOL = 0.06, 0.15
UNITS = {"M": 1.0, "mM": 1e-3, "uM": 1e-6, "nM": 1e-9, "pM": 1e-12}


@dataclass(frozen=True)
class Labelled:
    """A labelled complex: its law terms, its noise, its label and the values that sources state."""

    entry: Entry
    role: str
    terms: Terms
    law_dg_kcal_mol: float
    noise_kcal_mol: float
    label_dg_kcal_mol: float
    temperature_k: float
    pdbbind: float | None
    prbabv2: float | None
    pronab: float | None


def label_all(entries: list[Entry], rng: np.random.Generator) -> list[Labelled]:
    """Give each complex a role, noise and the values its sources state (dG in kcal/mol)."""
    names = [name for name, count in ROLES.items() for _ in range(count)]
    names += ["pdbbind_only"] * (len(entries) - len(names))
    roles = [names[int(i)] for i in rng.permutation(len(names))]
    for i, entry in enumerate(entries):  # a hard case keeps its label, so that it reaches the training
        if entry.hard_case and roles[i] in WITHOUT_LABEL:
            k = next(k for k, e in enumerate(entries) if not e.hard_case and roles[k] == "pdbbind_only")
            roles[i], roles[k] = roles[k], roles[i]
    return [_label(entry, role, rng) for entry, role in zip(entries, roles, strict=True)]


def _label(entry: Entry, role: str, rng: np.random.Generator) -> Labelled:
    terms = terms_of(entry.of("protein"), entry.of("rna"))
    law = law_dg_kcal_mol(terms.positive, terms.purine)
    low, high = LABEL_RANGE
    label = round(min(max(law + float(rng.normal(0.0, NOISE_SD)), low), high), 4)
    noise = round(label - law, 4)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    other, third = (
        label + max(-AGREE_WITHIN_KCAL_MOL, min(AGREE_WITHIN_KCAL_MOL, float(rng.normal(0.0, AGREE_SD_KCAL_MOL))))
        for _ in range(2)
    )
    pdbbind: float | None = label
    prbabv2: float | None = None
    pronab: float | None = None
    if role in {"temperature", "unstated", "prbabv2_only"}:
        pdbbind, prbabv2 = None, label
    elif role == "pronab_only":
        pdbbind, pronab = None, label
    elif role == "conflict":
        pdbbind, prbabv2 = label + sign * CONFLICT_KCAL_MOL, label
    elif role == "unresolved":
        pdbbind, prbabv2 = label + sign * UNRESOLVED_KCAL_MOL, label
    elif role in {"agree_prbabv2", "agree_all", "inconsistent"}:
        prbabv2 = other
    if role in {"agree_pronab", "agree_all"}:
        pronab = third
    temperature_k = WARM_TEMPERATURE_K if role == "temperature" else ROOM_TEMPERATURE_K
    return Labelled(entry, role, terms, law, noise, label, temperature_k, pdbbind, prbabv2, pronab)


def quantity_text(kd: float) -> tuple[str, str]:
    """A Kd in mol/L as three significant digits and the unit in which it reads best."""
    unit = next((name for name, size in UNITS.items() if kd >= size), "pM")
    return f"{float(f'{kd / UNITS[unit]:.3g}'):g}", unit


def kd_text(dg: float, temperature_k: float) -> str:
    """The Kd of an affinity as text: `12.3nM`."""
    return "".join(quantity_text(kd_molar(dg, temperature_k)))


def dg_of_text(number: str, unit: str, temperature_k: float) -> float:
    """The affinity of a Kd given as text and unit."""
    return dg_kcal_mol(float(number) * UNITS[unit], temperature_k)


def is_expected(item: Labelled) -> bool:
    """Whether a labelled record is expected to come out of the pipeline."""
    return item.role not in WITHOUT_LABEL
