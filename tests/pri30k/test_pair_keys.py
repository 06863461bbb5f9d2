"""Names of pairs for files, and lists of pairs from elsewhere."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from copra.errors import InputError
from copra.pri30k.pairs import KEY, case_safe_key, pair_of_key, read_pair_list

HARD = [
    ("8rjb", "C", "v"), ("8rjb", "c", "V"), ("8rjb", "C", "V"), ("8rjb", "c", "v"), ("pdb_00008rjb", "Aa", "1b"),
    ("1abc", "A-2", "x_Y"), ("1abc", "a-2", "X_y"), ("1abc", "%", "é"), ("1abc", "%2D", "-"), ("1abc", "2d", "--"),
]  # fmt: skip


def test_keys_are_readable() -> None:
    assert case_safe_key("8rjb", "C", "v") == "8rjb_C_-v"


def test_keys_differ_where_case_is_ignored_and_lead_back_to_their_pair() -> None:
    keys = [case_safe_key(*pair) for pair in HARD]
    assert len({key.lower() for key in keys}) == len(HARD)
    assert [pair_of_key(key.lower()) for key in keys] == HARD
    assert [pair_of_key(key) for key in keys] == HARD


@pytest.mark.parametrize("text", ["", "1abc", "1abc_A", "1abc_A_", "1abc__A", "1abc_A_b~", "1abc_A_%2"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="8rjb_C_-v"):
        pair_of_key(text)


def test_no_key_of_the_published_pairs_collides(shared: Path) -> None:
    pairs = read_pair_list(shared / "data" / "labels" / "pri30k_published.csv")
    rows = list(pairs[KEY].itertuples(index=False, name=None))
    assert len(rows) == 30006
    assert len({"_".join(row).lower() for row in rows}) == 30006 - 584, "the published names collide"
    keys = [case_safe_key(*row) for row in rows]
    assert len({key.lower() for key in keys}) == 30006
    assert [pair_of_key(key.upper()) for key in keys] == rows


def test_three_forms_of_a_list_are_read(tmp_path: Path) -> None:
    csv, rnapedia = tmp_path / "list.csv", tmp_path / "list.tsv.gz"
    csv.write_text("pdb,prot_chain,rna_chain\r\n1ABC,A,NA\r\n1ABC,a,1E5\r\n1ABC,a,1E5\r\n")
    rnapedia.write_bytes(gzip.compress(b'1ABC_NA_A\tRIBOSOME \tTITLE, "CUT\t12\t99\t3\n1ABC_1E5_a\tX\tY\t1\t2\t3\n'))
    wanted = [("1abc", "A", "NA"), ("1abc", "a", "1E5")]
    for path in (csv, rnapedia):
        assert list(read_pair_list(path).itertuples(index=False, name=None)) == wanted
    read_pair_list(csv).to_parquet(tmp_path / "pairs.parquet")
    assert list(read_pair_list(tmp_path / "pairs.parquet").itertuples(index=False, name=None)) == wanted


@pytest.mark.parametrize("text", ["pdb,prot_chain,rna_chain\n1abc,A\n", "pdb,chain\n1abc,A\n", "1abc A B\n"])
def test_a_list_of_another_form_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=r"list\.csv"):
        read_pair_list(tmp_path / "list.csv")
    with pytest.raises(InputError, match=r"none\.csv"):
        read_pair_list(tmp_path / "none.csv")
    (tmp_path / "bad.parquet").write_text(text)
    with pytest.raises(InputError, match=r"bad\.parquet"):
        read_pair_list(tmp_path / "bad.parquet")
