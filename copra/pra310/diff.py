"""The labels and records of a build beside the published PRA310, entry by entry, each difference with its reason.

The published list is no source of the build: it is read here only. It has one row per entry, so entries are compared,
and of an entry with several labels the one nearest to the published value.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import Window
from copra.decisions import rows_as_dicts
from copra.errors import InputError, shown
from copra.provenance.results import table_files
from copra.tables import concat_tables, write_table
from copra.units import STANDARD_TEMPERATURE_K, dg_from_kd

COLUMNS = ("PDB", "Protein chains", "RNA chains", "Kd(mol)", "T(k)", "△G(kcal/mol)")
EQUAL_WITHIN_KCAL_MOL = 0.1
PUBLISHED_WINDOW_KCAL_MOL = Window(low=-13.0, high=-5.5)  # what the list shows, whatever a build asks for

REASONS = {
    "equal": "the labels agree within 0.1 kcal/mol",
    "other_temperature": "the same Kd, at another temperature",
    "follows_other_source": "the published value is that of another source than the one that decided here",
    "source_unknown": "no source of this build states the published value",
    "no_measurement": "no source of this build has the entry",
    "nucleic_acid_is_dna": "the sources' measurements are of DNA",
    "mutant_construct": "the sources' measurements are of mutants only",
    "unresolved": "the sources contradict each other and no rule decides",
    "only_censored": "the sources state bounds only",
    "outside_dg_window": "the label is outside the window that the published list shows",
    "other_sources_only": "none of the paper's sources (PDBbind, PRBABv2, ProNAB) has the entry",
    "structure_not_in_archive": "the build has the label, and no structure for it",
    "left_out_by_limits": "the build has the label but no record, for the reason in `record`",
    "left_out_by_the_authors": "a source of the paper has the entry and the limits hold; the list does not say why",
}
PAPER_SOURCES = ("pdbbind", "prbab", "pronab")


@dataclass(frozen=True)
class Published:
    """One row of the published list."""

    pdb_id: str
    protein_chains: frozenset[str]
    rna_chains: frozenset[str]
    kd_molar: float
    dg_kcal_mol: float
    in_pra201: bool


@dataclass(frozen=True)
class Build:
    """The tables of a build, as rows by entry."""

    measurements: dict[str, list[dict[str, Any]]]
    labels: dict[str, list[dict[str, Any]]]
    records: dict[str, list[dict[str, Any]]]
    decisions: dict[str, list[dict[str, Any]]]  # by subject


def read_published(path: Path) -> list[Published]:
    """The rows of a CSV file with the columns of the published PRA310.csv; `in_PRA201` may be lacking.

    Raises InputError that names the file and what lacks or is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise InputError(f"{path}: expected the columns {list(COLUMNS)}, lacking {lacking}")
            return [_published(row, f"{path}, line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable text file: {error}") from error


def _published(row: dict[str, str], where: str) -> Published:
    try:
        kd_molar, dg_kcal_mol = float(row["Kd(mol)"]), float(row["△G(kcal/mol)"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: expected Kd and dG as numbers: {error}") from None
    if any(row[name] is None for name in COLUMNS):
        raise InputError(f"{where}: expected as many cells as the heading has")
    sides = [frozenset(row[name].replace(" ", "").split(",")) for name in ("Protein chains", "RNA chains")]
    is_small = row.get("in_PRA201", "") == "1"
    return Published(row["PDB"].lower(), sides[0], sides[1], kd_molar, dg_kcal_mol, is_small)


def diff_pra310(results: Path, published: Path, out: Path) -> None:
    """Write the table `diff_pra310` and print its counts; `results` is the folder of a build."""
    listed = read_published(published)
    build = read_build(results)
    rows = [_compare(row, build) for row in listed]
    rows += list(_extra({row.pdb_id for row in listed}, build))
    write_table(pd.DataFrame(rows), out, "diff_pra310")
    for line in summary(rows):
        print(shown(line))
    print(f"every row: {out}")


def read_build(results: Path) -> Build:
    """Read what a build knows of its entries."""

    def by(name: str, column: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows_as_dicts(concat_tables(table_files(results, name), name)):
            found.setdefault(row[column], []).append(row)
        return found

    return Build(
        by("measurements", "pdb_id"), by("labels", "pdb_id"), by("records", "pdb_id"), by("decisions", "subject")
    )


def _compare(row: Published, build: Build) -> dict[str, Any]:
    labels = build.labels.get(row.pdb_id, [])
    told = {
        "pdb_id": row.pdb_id, "candidate_id": "", "published_dg_kcal_mol": row.dg_kcal_mol, "dg_kcal_mol": math.nan,
        "published_sources": ",".join(_sources_stating(row, build)), "sources": "", "record": "",
        "in_published_pra201": row.in_pra201, "in_pra201": False,
    }  # fmt: skip
    if not labels:
        return told | {"verdict": "missing", "reason": _why_missing(row.pdb_id, build), "record": "no_label"}
    label = min(labels, key=lambda found: (abs(found["dg_kcal_mol"] - row.dg_kcal_mol), found["candidate_id"]))
    records = [found for found in build.records.get(row.pdb_id, []) if found["record_id"] == label["candidate_id"]]
    told |= {"candidate_id": label["candidate_id"], "dg_kcal_mol": label["dg_kcal_mol"], "sources": label["sources"]}
    told |= {"record": _record(row, label, build), "in_pra201": any(found["in_pra201"] for found in records)}
    if abs(label["dg_kcal_mol"] - row.dg_kcal_mol) <= EQUAL_WITHIN_KCAL_MOL:
        return told | {"verdict": "equal_label", "reason": "equal"}
    if abs(_dg_298k(row.kd_molar) - label["dg_298k_kcal_mol"]) <= EQUAL_WITHIN_KCAL_MOL:
        return told | {"verdict": "other_label", "reason": "other_temperature"}
    return told | {
        "verdict": "other_label", "reason": "follows_other_source" if told["published_sources"] else "source_unknown"
    }  # fmt: skip


def _dg_298k(kd_molar: float) -> float:
    return dg_from_kd(kd_molar, STANDARD_TEMPERATURE_K)


def _sources_stating(row: Published, build: Build) -> list[str]:
    """The sources of the build that state the published Kd, or the published dG."""
    found = set()
    for stated in build.measurements.get(row.pdb_id, []):
        if stated["quantity"] == "dG":
            distance = abs(stated["value"] - row.dg_kcal_mol)
        else:
            distance = abs(_dg_298k(stated["value"]) - _dg_298k(row.kd_molar))
        if distance <= EQUAL_WITHIN_KCAL_MOL:
            found.add(stated["source"])
    return sorted(found)


def _why_missing(pdb_id: str, build: Build) -> str:
    stated = build.measurements.get(pdb_id, [])
    if not stated:
        return "no_measurement"
    rules = {d["rule"] for row in stated for d in build.decisions.get(row["measurement_id"], [])}
    for reason in ("unresolved", "only_censored", "nucleic_acid_is_dna", "mutant_construct"):
        if reason in rules:
            return reason
    raise InputError(f"{pdb_id}: measurements without a label and without a decision; run `copra audit`")


def _record(row: Published, label: dict[str, Any], build: Build) -> str:
    """`published_chains`, `other_chains`, or the reason for which the label became no record."""
    for record in build.records.get(row.pdb_id, []):
        sides = [frozenset(record[name].split(",")) for name in ("protein_chains", "rna_chains")]
        if sides == [row.protein_chains, row.rna_chains]:
            return "published_chains"
    if build.records.get(row.pdb_id):
        return "other_chains"
    return _refusal(label["candidate_id"], build)


def _refusal(candidate_id: str, build: Build) -> str:
    refused = [d for d in build.decisions.get(candidate_id, []) if d["step"] == "select" and d["verdict"] == "drop"]
    return str(refused[0]["rule"]) if refused else ""


def _extra(listed: set[str], build: Build) -> Iterator[dict[str, Any]]:
    for pdb_id, labels in build.labels.items():
        if pdb_id in listed:
            continue
        for label in labels:
            records = [r for r in build.records.get(pdb_id, []) if r["record_id"] == label["candidate_id"]]
            refusal = _refusal(label["candidate_id"], build)
            yield {
                "pdb_id": pdb_id, "candidate_id": label["candidate_id"], "verdict": "extra",
                "reason": _why_extra(label, refusal, build), "published_dg_kcal_mol": math.nan,
                "dg_kcal_mol": label["dg_kcal_mol"], "published_sources": "", "sources": label["sources"],
                "record": "record" if records else refusal, "in_published_pra201": False,
                "in_pra201": any(r["in_pra201"] for r in records),
            }  # fmt: skip


def _why_extra(label: dict[str, Any], refusal: str, build: Build) -> str:
    if not PUBLISHED_WINDOW_KCAL_MOL.holds(label["dg_kcal_mol"]):
        return "outside_dg_window"
    if refusal:
        return refusal if refusal == "structure_not_in_archive" else "left_out_by_limits"
    sources = {row["source"] for row in build.measurements[label["pdb_id"]]}
    if not any(source.startswith(PAPER_SOURCES) for source in sources):
        return "other_sources_only"
    return "left_out_by_the_authors"


def summary(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The counts as lines: PRA310, then PRA201, by verdict and reason, and what became of the listed entries."""
    for name, chosen in (("PRA310", None), ("PRA201", "in_published_pra201")):
        of_set = [row for row in rows if chosen is None or row[chosen]]
        if not of_set:
            continue  # the list does not mark its PRA201
        counts = Counter((row["verdict"], row["reason"]) for row in of_set)
        yield f"{name}: {sum(row['verdict'] != 'extra' for row in of_set)} published entries"
        for (verdict, reason), count in sorted(counts.items()):
            yield f"  {verdict:12} {reason:26} {count:5}   {REASONS[reason]}"
        became = Counter(row["record"] for row in of_set if row["verdict"] != "extra")
        yield "  of the published entries: " + ", ".join(f"{count} {what}" for what, count in became.most_common())
