from __future__ import annotations

import json
from pathlib import Path

import pytest

from copra.errors import InputError
from copra.parse.entries import list_entries
from copra.tables import read_table


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"total_count": 3, "result_set": [{"identifier": "1URN"}, {"identifier": "5E08"}, "1a9n"]}),
        "name,pdb_id\nx,1URN\ny,5E08\nnone,\nz,1a9n\nz,1urn\n",
        "pdb_id\tname\n1URN\tx\n5e08\ty\n1A9N\tz\n",
        "1URN\n\n5E08  # a comment\n# more\n1A9N\n1urn\n",
    ],
)
def test_entry_lists(text: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(text)
    list_entries(tmp_path / "list", shards=4, out=tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", "wanted_entries")
    assert table["pdb_id"].tolist() == ["1a9n", "1urn", "5e08"]
    assert table["shard"].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("1urn\n../../etc\n", r"line 2.*\.\./\.\./etc"),
        ("pdb_id,x\n1urn,1\na b,2\n", "line 3"),
        ("\n", "found none"),
        ('{"result_set": [{"id": 1}]}', "result_set"),
        ('{"result_set": []', "result_set"),
        ('{"total_count": 9, "result_set": [{"identifier": "1urn"}]}', "found 9 entries, the file holds 1"),
    ],
)  # fmt: skip
def test_bad_entry_lists(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(InputError, match=part):
        list_entries(tmp_path / "list", shards=4, out=tmp_path / "a.parquet")
