"""The hand-written judgements: corrections.yaml and literature.tsv, checked as strictly as the configuration.

A correction carries its reason, its evidence and a guard: `expect` is the value that the source states today. When
the source states another one, the correction is out of date and the run stops.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from copra.errors import InputError
from copra.parse.cells import PMID, read_text
from copra.units import is_believable_temperature

LITERATURE_COLUMNS = [
    "subject", "kd_molar", "temperature_k", "ph", "method", "pmid", "location", "note",
]  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Expected(_Strict):
    """The value that a source states, in the unit of its measurement (M, or kcal/mol for dG)."""

    source: str
    quantity: Literal["Kd", "Ki", "IC50", "dG"]
    value: float


class KnownValue(_Strict):
    """What is true of a complex: Kd in mol/l, and the temperature in K or null where it is not known."""

    kd_molar: Annotated[float, Field(gt=0)]
    temperature_k: Annotated[float, Field(ge=273, le=373)] | None


class Correction(_Strict):
    """One line of corrections.yaml; `subject` is a candidate (`3iev:A:D`) or an entry (`3iev`)."""

    subject: str
    value: KnownValue
    expect: Expected
    reason: Annotated[str, Field(min_length=10)]
    evidence: Annotated[str, Field(min_length=10)]


class Corrections(_Strict):
    """The file corrections.yaml."""

    corrections: list[Correction]


def load_corrections(path: Path) -> list[Correction]:
    """Read corrections.yaml; raises InputError that names the refused key."""
    try:
        found = Corrections.model_validate(yaml.safe_load(read_text(path)))
    except (ValidationError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: {error}") from None
    subjects = [correction.subject for correction in found.corrections]
    twice = sorted({subject for subject in subjects if subjects.count(subject) > 1})
    if twice:
        raise InputError(f"{path}: more than one correction of {twice}")
    return found.corrections


def load_literature(path: Path) -> dict[str, tuple[KnownValue, str]]:
    """Read literature.tsv: subject -> (value, citation); raises InputError that names the refused line."""
    lines = read_text(path).splitlines()
    reader = csv.DictReader(lines, delimiter="\t")
    if reader.fieldnames is None or list(reader.fieldnames) != LITERATURE_COLUMNS:
        raise InputError(f"{path}: expected the columns {LITERATURE_COLUMNS}, found {reader.fieldnames}")
    known: dict[str, tuple[KnownValue, str]] = {}
    for row in reader:
        where = f"{path}: line {reader.line_num}"
        try:
            temperature_k = float(row["temperature_k"]) if row["temperature_k"] else None
            value = KnownValue(kd_molar=float(row["kd_molar"]), temperature_k=temperature_k)
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: expected kd_molar and temperature_k as numbers: {error}") from None
        if temperature_k is not None and not is_believable_temperature(temperature_k):
            raise InputError(f"{where}: temperature_k is {temperature_k}, expected 273 to 373")
        if not PMID.fullmatch(row["pmid"] or "") or not row["location"]:
            raise InputError(f"{where}: expected a PubMed id and where in the paper the value stands")
        if row["subject"] in known:
            raise InputError(f"{where}: a second line for {row['subject']}")
        known[row["subject"]] = (value, f"PubMed {row['pmid']}, {row['location']}")
    return known


def candidate_of(subject: str, candidates: pd.DataFrame, path: Path) -> str | None:
    """The candidate that a subject names; None when its entry has no candidate in this run.

    Raises InputError when the entry has candidates but the subject names none of them, or several.
    """
    of_entry = sorted(candidates.loc[candidates["pdb_id"] == subject.partition(":")[0], "candidate_id"])
    if not of_entry:
        return None
    named = of_entry if ":" not in subject else [name for name in of_entry if name == subject]
    if len(named) != 1:
        raise InputError(f"{path}: '{subject}' must name one candidate of its entry, which has {of_entry}")
    return named[0]


def is_in_force(correction: Correction, stated: list[tuple[str, str, float]], path: Path) -> bool:
    """Whether a correction applies to the values (source, quantity, value) of its candidate.

    False when its source is not part of this run. Raises InputError when the source states another value than
    `expect`: then the upstream error is gone or has changed, and the line must be reviewed.
    """
    expect = correction.expect
    values = [value for source, quantity, value in stated if (source, quantity) == (expect.source, expect.quantity)]
    of_source = [1 for source, _, _ in stated if source == expect.source]
    if not of_source:
        return False
    if not any(math.isclose(value, expect.value, rel_tol=1e-6) for value in values):
        raise InputError(
            f"{path}: the correction of '{correction.subject}' expects {expect.source} to state {expect.quantity} = "
            f"{expect.value}, found {values or 'no such value'}: review this line"
        )
    return True
