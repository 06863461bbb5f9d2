from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import mlcroissant
import pandas as pd
import pytest
from release_run import ID_LIKE_A_NUMBER

from copra.files import sha256_of_file
from copra.release.croissant import CONFORMS_TO, REFERENCES
from copra.tables import TABLES, read_table


@pytest.fixture
def dataset(released: Path) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(released / "croissant.json")


def loaded(dataset: mlcroissant.Dataset, name: str) -> list[dict[str, object]]:
    """The records of a record set, as column -> value; texts come as bytes."""
    return [
        {key.partition("/")[2]: value.decode() if isinstance(value, bytes) else value for key, value in row.items()}
        for row in dataset.records(name)
    ]


def test_mlcroissant_has_nothing_to_say(dataset: mlcroissant.Dataset) -> None:
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    assert dataset.metadata.ctx.conforms_to.value == CONFORMS_TO


def test_every_table_loads_and_equals_its_parquet_file(dataset: mlcroissant.Dataset, released: Path) -> None:
    names = [record_set.uuid for record_set in dataset.metadata.record_sets]
    assert sorted(names) == sorted(path.stem for path in (released / "tables").glob("*.csv"))
    for name in names:  # all from one Dataset, one after the other
        table = read_table(released / f"tables/{name}.parquet", name)
        rows = loaded(dataset, name)
        assert len(rows) == len(table)
        if rows:
            found = pd.DataFrame(rows)[list(table.columns)].astype(table.dtypes)
            pd.testing.assert_frame_equal(found, table)


def test_an_id_that_reads_like_a_number_is_loaded_as_text(dataset: mlcroissant.Dataset) -> None:
    names = [row["entries/pdb_id"] for row in dataset.records("entries")]
    assert ID_LIKE_A_NUMBER.encode() in names


def test_sums_and_sizes_are_those_of_the_files(released: Path) -> None:
    metadata = json.loads((released / "croissant.json").read_text())
    urls = [file["contentUrl"] for file in metadata["distribution"]]
    tables = {path.relative_to(released).as_posix() for path in (released / "tables").iterdir()}
    assert tables <= set(urls)
    assert set(Counter(urls).values()) == {1}
    for file in metadata["distribution"]:
        path = released / file["contentUrl"]
        assert file["sha256"] == sha256_of_file(path)
        assert file["contentSize"] == f"{path.stat().st_size} B"


def test_every_column_is_described(released: Path) -> None:
    record_sets = json.loads((released / "croissant.json").read_text())["recordSet"]
    for record_set in record_sets:
        columns = [column.split()[0] for column in TABLES[record_set["name"]].columns]
        assert [field["name"] for field in record_set["field"]] == columns
        assert all(field["description"] for field in record_set["field"])
        assert [key["@id"].partition("/")[2] for key in record_set["key"]] == list(TABLES[record_set["name"]].key)
    records = next(
        r for r in json.loads((released / "croissant.json").read_text())["recordSet"] if r["@id"] == "records"
    )
    dg = next(field for field in records["field"] if field["name"] == "dg_kcal_mol")
    assert dg["description"].endswith("[kcal/mol]")
    assert dg["dataType"] == "sc:Float"


@pytest.mark.parametrize(("start", "end"), REFERENCES.items(), ids=lambda place: ".".join(place))
def test_a_reference_leads_to_one_row(released: Path, start: tuple[str, str], end: tuple[str, str]) -> None:
    tables = {name: read_table(released / f"tables/{name}.parquet", name) for name in (start[0], end[0])}
    assert TABLES[end[0]].key == (end[1],)
    assert len(tables[start[0]]) > 0
    assert set(tables[start[0]][start[1]]) <= set(tables[end[0]][end[1]])
    metadata = json.loads((released / "croissant.json").read_text())
    field = next(
        field
        for record_set in metadata["recordSet"]
        for field in record_set["field"]
        if field["@id"] == f"{start[0]}/{start[1]}"
    )
    assert field["references"] == {
        "fileObject": {"@id": f"tables/{end[0]}.parquet"},
        "extract": {"column": end[1]},
    }
