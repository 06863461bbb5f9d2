"""Measurements and structures become candidates; nothing is lost; order does not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from copra.decisions import check_conservation
from copra.errors import InputError
from copra.pra310.merge import merge_measurements

PR = {"A": ("protein", "MKVAL"), "Q": ("rna", "GGCC")}


def test_names_that_are_one_complex_are_joined(desk: Any) -> None:
    desk.structure("1aaa", PR | {"B": ("protein", "MTTTT")}, "AQ BQ")
    desk.structure("1bbb", PR | {"C": PR["A"], "R": PR["Q"]}, "AQ CR")
    desk.structure("1ccc", PR | {"C": ("protein", "MWWWW"), "R": ("rna", "AAAA")}, "AQ CR")
    desk.measurements = [
        desk.measurement("fair:1", "1aaa", "A:Q"),
        desk.measurement("good:1", "1aaa", "B,A:Q"),
        desk.measurement("fair:2", "1bbb", "C:R"),
        desk.measurement("good:2", "1bbb", "A:Q"),
        desk.measurement("fair:3", "1ccc", "C:R"),
        desk.measurement("good:3", "1ccc", "A:Q"),
    ]
    desk.run()
    found = desk.table("candidates").set_index("candidate_id")["measurement_ids"].to_dict()
    assert found == {
        "1aaa:B,A:Q": "fair:1,good:1",
        "1bbb:A:Q": "fair:2,good:2",
        "1ccc:A:Q": "good:3",
        "1ccc:C:R": "fair:3",
    }
    told = desk.verdicts("merge")
    assert told["1aaa:A:Q"] == ("contained_chains", "override")
    assert told["1bbb:C:R"] == ("first_copy", "override")
    assert len(desk.table("records")) == 4


def test_chains_come_from_the_structure_where_the_source_has_none(desk: Any) -> None:
    two_copies = PR | {"B": ("protein", "MTTTT"), "C": PR["A"], "R": PR["Q"]}
    desk.structure("1aaa", two_copies, "AQ BQ CR")
    desk.structure("1bbb", PR, "AQ")
    desk.structure("1ddd", PR, "")
    desk.measurements = [
        desk.measurement("fair:1", "1aaa"),
        desk.measurement("fair:2", "1bbb", "X:Y"),
        desk.measurement("fair:3", "1ccc"),
        desk.measurement("fair:4", "1ddd"),
        desk.measurement("fair:5", "1eee", "A:Q"),
        desk.measurement("good:2", "1bbb", "A:Q"),
    ]
    desk.run()
    origin = desk.table("candidates").set_index("candidate_id")["chains_origin"].to_dict()
    assert origin == {
        "1aaa:C:R": "structure",
        "1bbb:A:Q": "source",
        "1ccc:?:?": "unresolved",
        "1ddd:?:?": "unresolved",
        "1eee:A:Q": "source",
    }
    told = desk.verdicts("merge")
    assert told["1bbb:X:Y"] == ("chains_from_other_source", "override")
    assert told["1eee:A:Q"] == ("structure_not_in_archive", "flag")
    assert set(desk.table("records")["record_id"]) == {"1aaa:C:R", "1bbb:A:Q"}
    refused = desk.verdicts("select")
    assert refused["1ddd:?:?"] == ("chains_unresolved", "drop")
    assert refused["1eee:A:Q"] == ("structure_not_in_archive", "drop")


def test_sides_are_mended_by_molecule_type_and_dna_is_dropped(desk: Any) -> None:
    dna = {"A": ("protein", "MKVAL"), "D": ("dna", "GGCC")}
    desk.structure("1aaa", PR, "AQ")
    desk.structure("1bbb", dna, "")
    desk.structure("1ccc", dna | PR, "AQ")
    desk.measurements = [
        desk.measurement("fair:1", "1aaa", "Q:A"),
        desk.measurement("fair:2", "1bbb", "A:D"),
        desk.measurement("fair:3", "1bbb"),
        desk.measurement("fair:4", "1ccc", "A:D"),
        desk.measurement("fair:5", "1ccc", "A:Q", nucleic_acid="DNA"),
        desk.measurement("fair:6", "1ddd", nucleic_acid="DNA"),
        desk.measurement("fair:7", "1eee", "A:D"),
        desk.measurement("fair:8", "1fff", "A:D"),
    ]
    desk.set_aside = {"1eee": "no_rna", "1fff": "damaged_gzip"}
    desk.run()
    assert list(desk.table("candidates")["candidate_id"]) == ["1aaa:A:Q", "1ccc:A:Q", "1fff:A:D"]
    told = desk.verdicts("merge")
    assert told["1aaa:Q:A"] == ("sides_by_molecule_type", "override")
    assert all(told[f"fair:{n}"] == ("nucleic_acid_is_dna", "drop") for n in (2, 3, 4, 6, 7))


def test_mutants_never_meet_the_wild_type_and_nothing_is_lost(desk: Any) -> None:
    desk.structure("1aaa", PR, "AQ")
    desk.measurements = [
        desk.measurement("good:1", "1aaa", "A:Q", 1e-8),
        desk.measurement("good:2", "1aaa", "A:Q", 1e-5, mutation="K2A"),
        desk.measurement("fair:1", "1aaa", "A:Q", 1.2e-8),
        desk.measurement("fair:2", "1bbb", nucleic_acid="DNA"),
        desk.measurement("fair:3", "1ccc", "A:Q", relation="<"),
        desk.measurement("fair:4", "1aaa", kd=1e-9, relation=">"),
    ]
    desk.run()
    assert desk.label()["measurement_ids"] == "fair:1,good:1"
    stated, told = desk.table_of_measurements(), desk.decisions("merge", "calibrate")
    assert check_conservation(stated, told) == []
    assert check_conservation(stated, told[told["subject"] != "good:2"]) == ["good:2: 0 verdicts, expected 1"]
    twice = pd.concat([told, told[told["subject"] == "fair:1"]])
    assert check_conservation(stated, twice) == ["fair:1: 2 verdicts, expected 1"]


def test_file_order_does_not_matter(desk: Any, tmp_path: Path) -> None:
    desk.structure("1aaa", PR | {"B": ("protein", "MTTTT"), "C": PR["A"], "R": PR["Q"]}, "AQ BQ CR")
    stated = [
        desk.measurement("good:1", "1aaa", "A,B:Q"),
        desk.measurement("fair:1", "1aaa", "C:R"),
        desk.measurement("fair:2", "1aaa"),
        desk.measurement("else:1", "1aaa", "B,A:Q"),
    ]
    names = ("candidates.parquet", "merge_d.parquet", "labels.parquet", "calibrate_d.parquet", "records.parquet")
    desk.measurements = stated
    desk.run()
    first = [(tmp_path / name).read_bytes() for name in names]
    desk.measurements, desk.chains, desk.contacts = stated[::-1], desk.chains[::-1], desk.contacts[::-1]
    desk.run()
    assert [(tmp_path / name).read_bytes() for name in names] == first


def test_the_same_source_twice_is_refused(desk: Any) -> None:
    desk.measurements = [desk.measurement("good:1", "1aaa", "A:Q")]
    desk.run()
    twice = [desk.folder / "m.parquet"] * 2
    structures = {name: desk.folder / f"{name}.parquet" for name in ("entries", "chains", "contacts")}
    out = {name: desk.folder / f"x_{name}.parquet" for name in ("candidates", "decisions", "funnel")}
    with pytest.raises(InputError, match="good:1"):
        merge_measurements(twice, **structures, settings=desk.settings, **out)
