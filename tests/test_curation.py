"""The hand-written files of resources/curation are whole and say what the code says."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import yaml

from copra.pra310.curation import load_corrections, load_literature
from copra.tables import TABLES
from copra.units import dg_from_kd


def test_every_column_of_every_table_is_described(root: Path) -> None:
    with (root / "resources" / "curation" / "columns.tsv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    described = [(row["table"], row["column"]) for row in rows]
    assert len(described) == len(set(described))
    assert set(described) == {(name, column.split()[0]) for name, t in TABLES.items() for column in t.columns}
    assert all(row["description"].strip() for row in rows)


def test_columns_with_a_unit_in_their_name_say_so(root: Path) -> None:
    units = {"_kcal_mol": "kcal/mol", "_angstrom": "angstrom", "temperature_k": "K", "kd_molar": "mol/l"}
    with (root / "resources" / "curation" / "columns.tsv").open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            for ending, unit in units.items():
                if row["column"].endswith(ending):
                    assert row["unit"] == unit, row


def test_corrections_and_literature_are_readable(root: Path) -> None:
    curation = root / "resources" / "curation"
    assert all(len(correction.evidence) > 20 for correction in load_corrections(curation / "corrections.yaml"))
    load_literature(curation / "literature.tsv")


def test_the_arithmetic_of_3iev(root: Path) -> None:
    corrections = {c.subject: c for c in load_corrections(root / "resources" / "curation" / "corrections.yaml")}
    line = corrections["3iev:A:D"]
    assert line.value.temperature_k is not None
    assert not math.isclose(dg_from_kd(line.value.kd_molar, line.value.temperature_k), line.expect.value, abs_tol=1)
    # the row from which the number comes: 8 uM at 277 K
    assert math.isclose(dg_from_kd(8e-6, 277.0), line.expect.value, abs_tol=0.01)


def test_expected_counts(root: Path) -> None:
    found = yaml.safe_load((root / "resources" / "curation" / "expected_counts.yaml").read_text())["expected_counts"]
    counts = {row["name"]: row["count"] for row in found}
    assert len(counts) == len(found)
    assert {row["where"] for row in found} <= {"paper", "published"}
    assert (counts["pra310_records"], counts["pra201_records"], counts["pri30k_pairs"]) == (310, 201, 30006)
