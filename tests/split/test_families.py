from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from split_rows import put, write_clusters, write_records

from copra.config_file import parse_config
from copra.config_split import ByDate
from copra.errors import ConfigError, InputError
from copra.split.families import assign_by_date, choose_family, held_out_folds, read_folds, training_side
from copra.tables import read_table

RECORDS = ("1abc:A:B", "1abc:C:D", "2abc:A:B", "3abc:A:B")


def lines_of(path: Path) -> dict[str, list[str]]:
    """Cluster, fold and note of each record of a family's text file."""
    return {line.split("\t")[0]: line.split("\t")[1:] for line in path.read_text().splitlines()[1:]}


# --- by date ------------------------------------------------------------------------------------------


def by_date(folder: Path, dates: dict[str, str], test_from: list[str]) -> dict[str, list[str]]:
    records = write_records(folder / "r", {f"{entry}:A:B": ["ACD"] for entry in dates})
    entries = put(folder / "e", "entries", [{"pdb_id": e, "release_date": d} for e, d in dates.items()])
    clusters = write_clusters(folder / "c", {f"{entry}:A:B": "x" for entry in dates})
    family = ByDate(method="release_date", test_from=test_from, grouped_as="protein70")
    assign_by_date(records, entries=entries, clusters=clusters, settings=family, out=folder / "f", ids=folder / "t")
    return lines_of(folder / "t")


def test_blocks_begin_with_their_date_and_a_record_without_a_date_has_no_fold(tmp_path: Path) -> None:
    dates = {"1abc": "1999-12-31", "2abc": "2010-01-01", "3abc": "2014-12-31", "4abc": "2015-01-01", "5abc": ""}
    found = by_date(tmp_path, dates, ["2010-01-01", "2015-01-01"])
    assert [found[f"{entry}:A:B"] for entry in dates] == [
        ["x", "0", ""], ["x", "1", ""], ["x", "1", ""], ["x", "2", ""], ["", "", "no_release_date"],
    ]  # fmt: skip
    assert len(read_table(tmp_path / "f", "folds")) == 4


DATES = st.dates().map(str)


@given(
    released=st.lists(DATES, min_size=1, max_size=12), test_from=st.lists(DATES, min_size=1, max_size=4, unique=True)
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_training_was_released_before_everything_tested(
    tmp_path: Path, released: list[str], test_from: list[str]
) -> None:
    dates = {f"{i:04d}": date for i, date in enumerate(released)}
    by_date(tmp_path, dates, sorted(test_from))
    folds = read_table(tmp_path / "f", "folds")
    date = folds["record_id"].str[:4].map(dates)
    assert len(folds) == len(released)
    assert 0 not in held_out_folds(folds, "release_date")
    for fold in held_out_folds(folds, "release_date"):
        trained = date[training_side(folds, fold, "release_date")]
        assert all(before < after for before in trained for after in date[folds["fold"] == fold])


def test_an_entry_that_was_not_read_is_named(tmp_path: Path) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"]})
    clusters = write_clusters(tmp_path / "c", {"1abc:A:B": "x"})
    entries = put(tmp_path / "e", "entries", [{"pdb_id": "2abc", "release_date": "2010-01-01"}])
    family = ByDate(method="release_date", test_from=["2010-01-01"], grouped_as="protein70")
    with pytest.raises(InputError, match="1abc"):
        assign_by_date(records, entries=entries, clusters=clusters, settings=family, out=tmp_path / "f", ids=tmp_path)


# --- from a file --------------------------------------------------------------------------------------


def from_file(folder: Path, text: str) -> dict[str, list[str]]:
    (folder / "given").write_text(text)
    records = write_records(folder / "r", {record: ["ACD"] for record in RECORDS})
    clusters = write_clusters(folder / "c", dict.fromkeys(RECORDS, "x"))
    read_folds(records, published=folder / "given", clusters=clusters, out=folder / "f", ids=folder / "t")
    return lines_of(folder / "t")


def test_published_folds_are_matched_by_entry(tmp_path: Path) -> None:
    text = 'PDB,name,fold_0,fold_1\n1ABC,"a, b",val,train\n3ABC,c,train,val\n9XYZ,d,train,val\n'
    assert from_file(tmp_path, text) == {
        "1abc:A:B": ["x", "0", ""], "1abc:C:D": ["x", "0", ""],
        "2abc:A:B": ["", "", "not_in_file"], "3abc:A:B": ["x", "1", ""],
    }  # fmt: skip


def test_a_familys_own_file_can_be_read_again(tmp_path: Path) -> None:
    text = "record_id\tcluster\tfold\tnote\n1abc:A:B\tx\t1\t\n1abc:C:D\ty\t0\t\n2abc:A:B\t\t\tno_release_date\n"
    found = from_file(tmp_path, text)
    assert [found[record][1] for record in RECORDS] == ["1", "0", "", ""]
    again = from_file(tmp_path, (tmp_path / "t").read_text())
    assert [line[:2] for line in again.values()] == [line[:2] for line in found.values()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PDB,split\n1abc,val\n", r"expected the columns record_id or PDB.*found \['PDB', 'split'\]"),
        ("PDB,fold_0,fold_1\n1abc,val,val\n", "row 2: expected 'val' once"),
        ("PDB,fold_0,fold_1\n1abc,val,test\n", "row 2: expected 'val' once"),
        ("PDB,fold_0,fold_1\n1abc,val\n", "row 2: expected 'val' once"),
        ("PDB,fold\n1abc,1\n1ABC,2\n", "row 3: expected each id in one fold, found '1abc' in 2 too"),
        ("PDB,fold\n1abc,first\n", "row 2: expected a fold number, found 'first'"),
        ("", "expected the columns"),
    ],
)
def test_a_file_that_is_not_so_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        from_file(tmp_path, text)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"\xff\xfe\x00")
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"]})
    clusters = write_clusters(tmp_path / "c", {"1abc:A:B": "x"})
    with pytest.raises(InputError, match="given: not a readable text file"):
        read_folds(records, published=tmp_path / "given", clusters=clusters, out=tmp_path / "f", ids=tmp_path / "t")


def test_the_chosen_family_is_the_familys_tables(tmp_path: Path) -> None:
    from_file(tmp_path, "PDB,fold\n1abc,1\n2abc,0\n")
    choose_family(
        tmp_path / "f", clusters=tmp_path / "c", folds_out=tmp_path / "folds", clusters_out=tmp_path / "clusters"
    )
    assert (tmp_path / "folds").read_bytes() == (tmp_path / "f").read_bytes()
    assert (tmp_path / "clusters").read_bytes() == (tmp_path / "c").read_bytes()


# --- in the configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("family", "protein71", "'protein71' is not in split.families"),
        ("family", "temporal", "split.family: 'temporal' is by date"),
        ("compare", ["protein70", "rna"], "'rna' is not in split.families"),
        ("compare", [], "split.compare"),
    ],
)
def test_a_family_that_cannot_be_is_refused(root: Path, key: str, value: Any, expected: str) -> None:
    values = yaml.safe_load((root / "config.yaml").read_text())
    values["split"][key] = value
    with pytest.raises(ConfigError, match=expected):
        parse_config(values)


@pytest.mark.parametrize(
    ("family", "change", "expected"),
    [
        ("protein70", {"protein_identity": 0.39}, "split.families.protein70.protein_identity: found 0.39"),
        ("protein40", {"protein_identity": None}, "both null"),
        ("temporal", {"test_from": ["2015-01-01", "2010-01-01"]}, "test_from must rise"),
        ("temporal", {"test_from": ["2015"]}, "found '2015'"),
        ("published", {"grouped_as": "temporal"}, "split.families.published.grouped_as: 'temporal' is none of"),
        ("rna80", {"method": "guess"}, "guess"),
    ],
)
def test_a_familys_setting_that_cannot_be_is_refused(
    root: Path, family: str, change: dict[str, Any], expected: str
) -> None:
    values = copy.deepcopy(yaml.safe_load((root / "config.yaml").read_text()))
    values["split"]["families"][family] |= change
    with pytest.raises(ConfigError, match=expected):
        parse_config(values)
