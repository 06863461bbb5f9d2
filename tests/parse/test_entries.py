from __future__ import annotations

import json
import logging
import zlib
from pathlib import Path

import pytest
import sample_results

from copra.errors import InputError
from copra.parse.entries import list_entries
from copra.parse.obsolete import current_entries, read_obsolete
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
    list_entries(tmp_path / "list", obsolete=[], mutations=[], shards=4, out=tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", "wanted_entries")
    assert table["pdb_id"].tolist() == ["1a9n", "1urn", "5e08"]
    assert table["shard"].tolist() == [2, 0, 1]
    assert table["replaces"].tolist() == ["", "", ""]


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
        list_entries(tmp_path / "list", obsolete=[], mutations=[], shards=4, out=tmp_path / "a.parquet")


# the archive's file pads its lines
OBSOLETE = """ LIST OF OBSOLETE COORDINATE ENTRIES AND SUCCESSORS
OBSLTE    31-JUL-94 116L     216L
OBSLTE    21-NOV-03 1HG6{blanks}
OBSLTE    18-JUL-84 1HHB     2HHB 3HHB{blanks}
OBSLTE    18-JUL-85 2HHB     4HHB
OBSLTE    01-JAN-20 1CYC     2CYC
OBSLTE    01-JAN-21 2CYC     1CYC
OBSLTE    01-JAN-30 PDB_00005OLD pdb_12345new
""".replace("{blanks}", "   ")


def wanted(folder: Path, ids: str, obsolete: str = OBSOLETE) -> dict[str, str]:
    """The wanted entries of a list, each with what it replaces."""
    (folder / "list").write_text(ids)
    (folder / "obsolete.dat").write_text(obsolete)
    list_entries(folder / "list", obsolete=[folder / "obsolete.dat"], mutations=[], shards=4, out=folder / "a.parquet")
    table = read_table(folder / "a.parquet", "wanted_entries")
    assert table["shard"].tolist() == [zlib.crc32(name.encode()) % 4 for name in table["pdb_id"]]
    return dict(zip(table["pdb_id"], table["replaces"], strict=True))


def test_an_obsolete_entry_gives_way_to_its_successors_and_they_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert wanted(tmp_path, "116L\n216l\n1hhb\n1urn\n") == {
            "216l": "116l",
            "3hhb": "1hhb",
            "4hhb": "1hhb",
            "1urn": "",
        }
    assert "116l is obsolete; its successor 216l is taken" in caplog.text
    assert "1hhb is obsolete; its successor 3hhb, 4hhb is taken" in caplog.text
    assert "4 wanted, 2 obsolete ones replaced" in caplog.text


def test_an_entry_stays_wanted_when_it_has_no_successor_or_they_go_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert wanted(tmp_path, "1hg6\n1cyc\n") == {"1hg6": "", "1cyc": ""}
    assert "1hg6 is obsolete and has no successor; it stays wanted" in caplog.text


def test_mutated_entries_are_wanted_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "list").write_text("1urn\n5e08\n")
    (tmp_path / "obsolete.dat").write_text(OBSOLETE)
    for name, ids in (("one", ["1urn", "1a9n", "1hhb"]), ("two", ["1a9n", "pdb_00005e08"])):
        rows = [sample_results.fill("mutations", mutation_id=str(i), pdb_id=pdb_id) for i, pdb_id in enumerate(ids)]
        sample_results.put(tmp_path / f"{name}.parquet", "mutations", rows)
    mutations = [tmp_path / "two.parquet", tmp_path / "one.parquet"]
    with caplog.at_level(logging.INFO):
        list_entries(
            tmp_path / "list", obsolete=[tmp_path / "obsolete.dat"], mutations=mutations, shards=4,
            out=tmp_path / "a.parquet",
        )  # fmt: skip
    table = read_table(tmp_path / "a.parquet", "wanted_entries")
    found = dict(zip(table["pdb_id"], table["replaces"], strict=True))
    assert found == {"1a9n": "", "1urn": "", "3hhb": "1hhb", "4hhb": "1hhb", "5e08": ""}
    assert "5 wanted, 1 obsolete ones replaced, 3 for their mutations alone" in caplog.text


def test_extended_ids_are_never_cut(tmp_path: Path) -> None:
    ids = "pdb_00001urn\npdb_12341urn\npdb_00001hhb\n5old\n"
    assert wanted(tmp_path, ids) == {
        "pdb_00001urn": "", "pdb_12341urn": "", "3hhb": "pdb_00001hhb", "4hhb": "pdb_00001hhb", "pdb_12345new": "5old",
    }  # fmt: skip


def test_two_forms_of_one_id_are_one_entry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert wanted(tmp_path, "PDB_00001ABC\n1abc\n116l\nPDB_0000216L\n") == {"1abc": "", "216l": "116l"}
    assert "1abc and pdb_00001abc are one entry; 1abc is kept" in caplog.text


def test_the_list_of_obsolete_entries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "obsolete.dat"
    path.write_text(OBSOLETE + "OBSLTE    01-JAN-99\nOBSLTE    01-JAN-99 1X?Y\n")
    assert read_obsolete(path) == {
        "116l": ("216l",), "1hg6": (), "1hhb": ("2hhb", "3hhb"), "2hhb": ("4hhb",), "1cyc": ("2cyc",),
        "2cyc": ("1cyc",), "5old": ("pdb_12345new",),
    }  # fmt: skip
    assert "line 9: not understood" in caplog.text
    assert "line 10: not understood" in caplog.text
    path.write_text("")
    assert read_obsolete(path) == {}
    path.write_text("<html>not the list</html>\n")
    with pytest.raises(InputError, match="not the list of obsolete entries"):
        read_obsolete(path)


def test_successors_are_followed_to_their_end() -> None:
    obsolete = {"1aaa": ("1bbb", "1ccc"), "1bbb": ("1aaa",), "1ccc": ("1ddd",), "1ddd": ()}
    assert current_entries("1aaa", obsolete) == ("1ddd",)
    assert current_entries("1ddd", obsolete) == ("1ddd",)
    assert current_entries("9zzz", obsolete) == ("9zzz",)
