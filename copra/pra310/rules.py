"""The ordered rules by which several measured values become one label. The first rule that applies decides.

    correction                  a line of corrections.yaml says the value
    primary_literature          a line of literature.tsv, read from the paper itself, says it
    only_censored               nothing but "<" and ">": no label
    single_source               one source (its values agree within agree_within): their mean
    sources_agree               two or more sources agree within agree_within: their mean
    kd_over_ki_over_ic50        values of the strongest quantity alone settle it
    equal_over_approximate      values stated with "=" alone settle it
    better_documented_source    they differ by no more than unresolved_beyond: the first source of source_order
    majority_of_sources         values of at least two sources agree, and no other value has as many
    documented_over_bare        values whose rows state temperature, method and paper agree, the others' rows lack one
    unresolved                  none of these: quarantined until a line of corrections.yaml decides

Before them `superseded_edition` sets aside what an older edition of a source says where the newer one speaks.

The mean is that of log Kd; the distance of two values is that of their dG at 298.15 K, so that it compares Kd and
not temperatures. Where a source states Kd and dG, Kd counts: dG is computed from it. Curated tables copy from each
other, so sources that agree protect against a slip of transcription, not against a wrong experiment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from copra.config import Pra310
from copra.units import STANDARD_TEMPERATURE_K, dg_from_kd

# the lower, the closer to the equilibrium constant itself
QUANTITY_ORDER = {"Kd": 0, "dG": 0, "Ki": 1, "IC50": 2}


@dataclass(frozen=True)
class Value:
    """One measured value as Kd in mol/l; `temperature_k` is None where the source states none."""

    measurement_id: str
    source: str
    quantity: str
    relation: str
    kd_molar: float
    temperature_k: float | None
    is_documented: bool  # its row states temperature, method and paper

    def __str__(self) -> str:
        stated = f" from {self.quantity}" if self.quantity == "dG" else ""
        return f"{'Kd' if stated else self.quantity}{self.relation}{self.kd_molar:.6g} M{stated}"

    @property
    def dg_298k_kcal_mol(self) -> float:
        """dG of this Kd at 298.15 K."""
        return dg_from_kd(self.kd_molar, STANDARD_TEMPERATURE_K)

    @property
    def is_censored(self) -> bool:
        """Whether the value is only a bound."""
        return self.relation in ("<", ">", "<=", ">=")


@dataclass(frozen=True)
class Decision:
    """The deciding rule, the values it uses, and the Kd in mol/l (None: no label)."""

    rule: str
    kd_molar: float | None
    used: tuple[Value, ...]


def decide(values: list[Value], settings: Pra310) -> Decision:
    """Apply the rules from `only_censored` on to the values of one candidate (at least one)."""
    usable = [value for value in values if not value.is_censored]
    if not usable:
        return Decision("only_censored", None, ())
    agree = settings.agree_within_kcal_mol
    if spread_kcal_mol(usable) <= agree:
        return _mean("single_source" if len(_sources(usable)) == 1 else "sources_agree", usable)
    strongest = min(QUANTITY_ORDER[value.quantity] for value in usable)
    best = [value for value in usable if QUANTITY_ORDER[value.quantity] == strongest]
    if len(best) < len(usable) and spread_kcal_mol(best) <= agree:
        return _mean("kd_over_ki_over_ic50", best)
    equal = [value for value in best if value.relation == "="] or best
    if len(equal) < len(best) and spread_kcal_mol(equal) <= agree:
        return _mean("equal_over_approximate", equal)
    if spread_kcal_mol(equal) <= settings.unresolved_beyond_kcal_mol:
        first = min(_sources(equal), key=lambda source: source_rank(source, settings.source_order))
        return _mean("better_documented_source", [value for value in equal if value.source == first])
    return _settle_conflict(equal, agree)


def _settle_conflict(values: list[Value], agree_within_kcal_mol: float) -> Decision:
    """The last two rules, for values that differ by more than unresolved_beyond."""
    groups = _groups(values, agree_within_kcal_mol)
    by_support = sorted(groups, key=lambda group: -len(_sources(group)))
    support = [len(_sources(group)) for group in by_support]
    if support[0] > 1 and support[0] > support[1]:
        return _mean("majority_of_sources", by_support[0])
    documented = [value for value in values if value.is_documented]
    if documented and len(documented) < len(values) and spread_kcal_mol(documented) <= agree_within_kcal_mol:
        return _mean("documented_over_bare", documented)
    return Decision("unresolved", None, ())


def _groups(values: list[Value], agree_within_kcal_mol: float) -> list[list[Value]]:
    """Values in the order of dG, cut wherever a group would span more than `agree_within_kcal_mol`."""
    groups: list[list[Value]] = []
    for value in sorted(values, key=lambda v: (v.dg_298k_kcal_mol, v.measurement_id)):
        if groups and spread_kcal_mol([groups[-1][0], value]) <= agree_within_kcal_mol:
            groups[-1].append(value)
        else:
            groups.append([value])
    return groups


def without_older_editions(values: list[Value], settings: Pra310) -> list[Value]:
    """The values but those of an older edition whose newer edition also speaks of this complex."""
    present = _sources(values)
    return [value for value in values if settings.older_editions.get(value.source) not in present]


def spread_kcal_mol(values: list[Value]) -> float:
    """Largest distance of two values, in kcal/mol at 298.15 K."""
    free_energies = [value.dg_298k_kcal_mol for value in values]
    return max(free_energies) - min(free_energies)


def source_rank(source: str, source_order: Sequence[str]) -> tuple[int, str]:
    """Sort key of a source: its place in `source_order`; sources not named there come last, by name."""
    return (source_order.index(source) if source in source_order else len(source_order), source)


def temperature(used: tuple[Value, ...], settings: Pra310) -> tuple[float, bool]:
    """Temperature in K of a label and whether it is assumed: that of the best documented value that states one."""
    stated = [value for value in used if value.temperature_k is not None]
    if not stated:
        return settings.default_temperature_k, True
    best = min(stated, key=lambda value: (source_rank(value.source, settings.source_order), value.measurement_id))
    assert best.temperature_k is not None
    return best.temperature_k, False


def label_grade(rule: str, used: tuple[Value, ...], temperature_assumed: bool) -> str:
    """How well a label is founded.

    A: a correction or the paper itself, or two or more sources that agree, at a measured temperature.
    B: one exact Kd (or dG) at a measured temperature.
    C: the temperature is assumed.
    D: nothing but Ki, IC50 or approximate values, or the sources contradict each other.
    """
    if rule in ("correction", "primary_literature"):
        return "A" if not temperature_assumed else "C"
    contradicted = rule in ("majority_of_sources", "documented_over_bare")
    if contradicted or not any(QUANTITY_ORDER[value.quantity] == 0 and value.relation == "=" for value in used):
        return "D"
    if temperature_assumed:
        return "C"
    return "A" if rule == "sources_agree" else "B"


def _sources(values: list[Value]) -> set[str]:
    return {value.source for value in values}


def _mean(rule: str, values: list[Value]) -> Decision:
    measured = [value for value in values if value.quantity != "dG"] or values
    log_kd = sum(math.log(value.kd_molar) for value in measured) / len(measured)
    # a mean of equal values must be that value, to the last bit
    same = len({value.kd_molar for value in measured}) == 1
    return Decision(rule, measured[0].kd_molar if same else math.exp(log_kd), tuple(values))
