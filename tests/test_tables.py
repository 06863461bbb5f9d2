from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from copra.errors import InputError
from copra.tables import read_table, write_table

FOLDS = pd.DataFrame({"record_id": ["2b:A:C", "1a:A:B"], "cluster": ["x", "y"], "fold": [1, 0]})


def test_rows_come_back_sorted_and_bytes_do_not_depend_on_order(tmp_path: Path) -> None:
    write_table(FOLDS, tmp_path / "a.parquet", "folds")
    write_table(FOLDS.iloc[::-1], tmp_path / "b.parquet", "folds")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert list(read_table(tmp_path / "a.parquet", "folds")["record_id"]) == ["1a:A:B", "2b:A:C"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (FOLDS.drop(columns="fold"), r"lacks the columns \['fold'\]"),
        (FOLDS.assign(extra=1), r"unknown columns \['extra'\]"),
        (FOLDS.assign(fold=["one", "two"]), "column 'fold': expected int64"),
        (FOLDS.assign(cluster=[None, "y"]), "column 'cluster': no value in the row"),
        (pd.concat([FOLDS, FOLDS]), r"two rows with the key \('1a:A:B',\)"),
    ],
)
def test_a_wrong_table_is_refused_and_nothing_is_written(tmp_path: Path, frame: pd.DataFrame, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        write_table(frame, tmp_path / "folds.parquet", "folds")
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_another_kind_or_a_damaged_file_is_refused(tmp_path: Path) -> None:
    write_table(FOLDS, tmp_path / "folds.parquet", "folds")
    with pytest.raises(InputError, match="expected table 'clusters'"):
        read_table(tmp_path / "folds.parquet", "clusters")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "folds.parquet").read_bytes()[:100])
    with pytest.raises(InputError, match=r"cut\.parquet: not a readable Parquet file"):
        read_table(tmp_path / "cut.parquet", "folds")


def test_what_a_killed_writer_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".folds.parquet.tmp").write_bytes(b"half")
    write_table(FOLDS, tmp_path / "folds.parquet", "folds")
    assert [path.name for path in tmp_path.iterdir()] == ["folds.parquet"]
