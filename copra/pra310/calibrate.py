"""One label per candidate, decided by named rules (see rules.py), one decision row per candidate and measurement.

dG = R T ln Kd is given at the measured temperature and, from the same Kd, at 298.15 K. Where no source states a
temperature the default is taken and the label says so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from copra.config import Pra310
from copra.decisions import Book, require_unique, rows_as_dicts
from copra.errors import InputError
from copra.pra310.curation import (
    Correction,
    KnownValue,
    candidate_of,
    is_in_force,
    load_corrections,
    load_literature,
)
from copra.pra310.noise import label_noise
from copra.pra310.rules import (
    Decision,
    Value,
    decide,
    label_grade,
    spread_kcal_mol,
    temperature,
    without_older_editions,
)
from copra.tables import concat_tables, empty_table, read_table, write_table
from copra.units import STANDARD_TEMPERATURE_K, dg_from_kd, kd_from_dg

log = logging.getLogger(__name__)

# what a rule says of the values that it uses; of the others it says "drop"
_VERDICT_OF_USED = {"single_source": "keep", "sources_agree": "keep"}
_NO_LABEL = ("unresolved", "only_censored")
# 25 degrees Celsius is written 298 or 298.15 K; 3 K change a dG of -10 kcal/mol by 0.1
SAME_TEMPERATURE_WITHIN_K = 3.0


def calibrate_labels(
    candidates: Path,
    *,
    measurements: list[Path],
    settings: Pra310,
    corrections: Path,
    labels: Path,
    noise: Path,
    decisions: Path,
    funnel: Path,
) -> None:
    """Decide the label of each candidate: table `labels`, dG in kcal/mol, Kd in mol/l.

    Also the table `label_noise`: how far the sources disagree. literature.tsv is read from the folder of
    corrections.yaml. Raises InputError when a correction's guard fails, a candidate names a measurement that is not
    there, or a curated line is refused.
    """
    found = read_table(candidates, "candidates").sort_values("candidate_id")
    stated = concat_tables(measurements, "measurements")
    require_unique(stated, "measurement_id", "measurements")
    values = {value.measurement_id: value for value in _values(stated, settings)}
    known = _known_values(found, stated, corrections)
    book = Book("pra310", "calibrate", first_order=200)
    rows = []
    compared = []
    refused = dict.fromkeys(_NO_LABEL, 0)
    for candidate in rows_as_dicts(found):
        ids = candidate["measurement_ids"].split(",")
        lacking = [name for name in ids if name not in values]
        if lacking:
            raise InputError(f"{candidates}: {candidate['candidate_id']} names the measurements {lacking}: not there")
        stated_of = [values[name] for name in ids]
        of_candidate = without_older_editions(stated_of, settings)
        _set_aside(candidate["candidate_id"], stated_of, of_candidate, book)
        compared.append(of_candidate)
        curated = known.get(candidate["candidate_id"])
        decision = _curated(curated, of_candidate, settings) if curated else decide(of_candidate, settings)
        _write_verdicts(candidate["candidate_id"], of_candidate, decision, curated[2] if curated else "", book)
        _flag_temperatures(candidate["candidate_id"], decision, settings, book)
        if decision.kd_molar is None:
            refused[decision.rule] += 1
        else:
            rows.append(_label(candidate, of_candidate, decision, curated[1] if curated else None, settings))
    left = len(found)
    for reason, count in refused.items():
        book.count(reason, left, left - count)
        left -= count
    log.info("calibrate: %d candidates, %d labels, refused %s", len(found), len(rows), refused)
    table = pd.DataFrame(rows) if rows else empty_table("labels")
    write_table(table, labels, "labels")
    write_table(label_noise(compared, table["dg_298k_kcal_mol"]), noise, "label_noise")
    book.write(decisions, funnel)


def _values(stated: pd.DataFrame, settings: Pra310) -> Iterable[Value]:
    columns = ["measurement_id", "source", "quantity", "relation", "value", "temperature_k", "method", "pmid"]
    for name, source, quantity, relation, number, kelvin, method, pmid in stated[columns].itertuples(index=False):
        measured_at = None if pd.isna(kelvin) else float(kelvin)
        if quantity == "dG":
            number = kd_from_dg(number, measured_at if measured_at is not None else settings.default_temperature_k)
        is_documented = measured_at is not None and bool(method) and bool(pmid)
        yield Value(name, source, quantity, relation, number, measured_at, is_documented)


def _known_values(
    candidates: pd.DataFrame, stated: pd.DataFrame, corrections: Path
) -> dict[str, tuple[str, KnownValue, str]]:
    """Candidate -> (rule, value, evidence) from the curated files; a correction goes before the literature."""
    known: dict[str, tuple[str, KnownValue, str]] = {}
    literature = corrections.with_name("literature.tsv")
    for subject, (value, citation) in load_literature(literature).items():
        candidate = candidate_of(subject, candidates, literature)
        if candidate is not None:
            known[candidate] = ("primary_literature", value, citation)
    numbers = stated.set_index("measurement_id")[["source", "quantity", "value"]]
    for correction in load_corrections(corrections):
        candidate = candidate_of(correction.subject, candidates, corrections)
        if candidate is None:
            continue
        ids = candidates.loc[candidates["candidate_id"] == candidate, "measurement_ids"].iloc[0].split(",")
        if is_in_force(correction, list(numbers.loc[ids].itertuples(index=False, name=None)), corrections):
            known[candidate] = ("correction", correction.value, _evidence(correction))
    return known


def _evidence(correction: Correction) -> str:
    return f"{correction.reason.strip()} | {correction.evidence.strip()}"


def _curated(known: tuple[str, KnownValue, str], values: list[Value], settings: Pra310) -> Decision:
    """A decision by hand: the values near the curated Kd are used, the others are overridden."""
    rule, value, _ = known
    dg = dg_from_kd(value.kd_molar, STANDARD_TEMPERATURE_K)
    near = [v for v in values if not v.is_censored and abs(v.dg_298k_kcal_mol - dg) <= settings.agree_within_kcal_mol]
    return Decision(rule, value.kd_molar, tuple(near))


def _write_verdicts(name: str, values: list[Value], decision: Decision, evidence: str, book: Book) -> None:
    by_hand = decision.rule in ("correction", "primary_literature")
    after = "" if decision.kd_molar is None else f"{decision.kd_molar:.6g} M"
    book.decide(
        name, decision.rule, "flag" if decision.kd_molar is None else "override" if by_hand else "keep",
        before="; ".join(f"{v.source} {v}" for v in values), after=after,
        evidence=evidence or ",".join(v.measurement_id for v in values),
        note=_spread_note(values),
    )  # fmt: skip
    for value in values:
        before = str(value)
        if value.is_censored and decision.rule != "only_censored":
            rule, verdict = "censored_not_an_equality", "drop"
        elif decision.kd_molar is None:
            rule, verdict = decision.rule, "flag"
        elif value in decision.used:
            rule, verdict = decision.rule, _VERDICT_OF_USED.get(decision.rule, "prefer")
        else:
            rule, verdict = decision.rule, "override" if by_hand else "drop"
        book.decide(value.measurement_id, rule, verdict, before=before, after=after, evidence=name)


def _set_aside(name: str, stated: list[Value], kept: list[Value], book: Book) -> None:
    for value in stated:
        if value not in kept:
            book.decide(value.measurement_id, "superseded_edition", "drop", before=str(value), evidence=name)


def _flag_temperatures(name: str, decision: Decision, settings: Pra310, book: Book) -> None:
    """Say where the values of a label were measured, by their sources' word, at different temperatures."""
    stated = {value.source: value.temperature_k for value in decision.used if value.temperature_k is not None}
    if stated and max(stated.values()) - min(stated.values()) > SAME_TEMPERATURE_WITHIN_K:
        told = ", ".join(f"{source} {kelvin:g} K" for source, kelvin in sorted(stated.items()))
        taken = f"{temperature(decision.used, settings)[0]:g} K"
        book.decide(name, "temperature_disputed", "flag", before=told, after=taken)


def _spread_note(values: list[Value]) -> str:
    usable = [value for value in values if not value.is_censored]
    return f"spread {spread_kcal_mol(usable):.3f} kcal/mol" if len(usable) > 1 else ""


def _label(
    candidate: dict[str, str], values: list[Value], decision: Decision, curated: KnownValue | None, settings: Pra310
) -> dict[str, object]:
    assert decision.kd_molar is not None
    if curated is not None and curated.temperature_k is not None:
        temperature_k, assumed = curated.temperature_k, False
    else:
        temperature_k, assumed = temperature(decision.used, settings)
    usable = [value for value in values if not value.is_censored]
    used = sorted(decision.used, key=lambda value: value.measurement_id)
    return {
        "candidate_id": candidate["candidate_id"], "pdb_id": candidate["pdb_id"],
        "protein_chains": candidate["protein_chains"], "rna_chains": candidate["rna_chains"],
        "dg_kcal_mol": dg_from_kd(decision.kd_molar, temperature_k),
        "dg_298k_kcal_mol": dg_from_kd(decision.kd_molar, STANDARD_TEMPERATURE_K), "kd_molar": decision.kd_molar,
        "dg_spread_kcal_mol": spread_kcal_mol(usable) if len(usable) > 1 else math.nan,
        "temperature_k": temperature_k, "temperature_assumed": assumed,
        "sources": ",".join(sorted({value.source for value in used})),
        "measurement_ids": ",".join(value.measurement_id for value in used), "deciding_rule": decision.rule,
        "label_grade": label_grade(decision.rule, decision.used, assumed),
    }  # fmt: skip
