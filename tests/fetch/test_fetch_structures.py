"""Coordinate files from a server that misbehaves: the same bytes as from one that does not, or a named row."""

from __future__ import annotations

import gzip
import logging
import random
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from archive_server import DIVIDED, FAULTS, Archive, serving
from wanted_tables import N_SHARDS, tree, write_wanted

from copra.errors import InputError
from copra.fetch import download
from copra.fetch.structures import fetch_structures
from copra.tables import read_table

# hexadecimal digits at random pack badly, so that half of the file is half of its content
STRUCTURE = gzip.compress(
    b"data_x\nloop_\n_atom_site.id\nATOM\n" + random.Random(0).randbytes(600).hex().encode(), mtime=0
)


def fetch(ids: list[str], urls: list[str], folder: Path, **changed: object) -> pd.DataFrame:
    """Fetch into `folder`/structures; returns the rows of all shards."""
    settings: dict = {
        "parallel_downloads": 4, "requests_per_s": None, "retries": 3, "timeout_s": 0.3, "min_bytes_per_s": 10_000,
        "missing": "go_on",
    } | changed  # fmt: skip
    wanted = write_wanted(ids, folder / "wanted.parquet")
    out = folder / "fetched"
    fetch_structures(wanted, shards=N_SHARDS, url=urls, folder=folder / "structures", out=out, **settings)
    assert sorted(path.name for path in out.iterdir()) == [f"{shard}.parquet" for shard in range(N_SHARDS)]
    shards = [read_table(out / f"{shard}.parquet", "fetched") for shard in range(N_SHARDS)]
    return pd.concat(shards).set_index("pdb_id").sort_index()


def compare_with_and_without_faults(archive: Archive, ids: list[str], folder: Path, seed: int) -> None:
    template = archive.url + DIVIDED
    whole = fetch(ids, [template], folder / "whole", timeout_s=20)
    assert set(whole["status"]) == {"fetched"}
    choice = random.Random(seed)
    for path in archive.files:
        # two in a row at most: two wrong bodies would be a missing file
        archive.faults[path] = choice.sample(FAULTS, choice.randint(0, 2))
        if {"truncated", "wrong"} <= set(archive.faults[path]):
            archive.faults[path].remove("wrong")
    faulty = fetch(ids, [template], folder / "faulty")
    assert tree(folder / "faulty" / "structures") == tree(folder / "whole" / "structures")
    pd.testing.assert_frame_equal(faulty.drop(columns="path"), whole.drop(columns="path"))
    assert len(archive.hits) > 2 * len(ids)


def test_faults_leave_no_trace(archive: Archive, root: Path, tmp_path: Path) -> None:
    ids = archive.put_structures(root / "resources" / "demo" / "archive" / "structures")[::4]
    compare_with_and_without_faults(archive, ids, tmp_path, seed=1)


def test_faults_leave_no_trace_on_real_structures(archive: Archive, shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data" / "structures").glob("*.cif.gz"), key=lambda path: path.stat().st_size)[:40]
    for file in files:
        (tmp_path / "some").mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "some")
    compare_with_and_without_faults(archive, archive.put_structures(tmp_path / "some"), tmp_path, seed=2)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_outlived(fault: str, archive: Archive, tmp_path: Path) -> None:
    path = DIVIDED.format(mid="ab", id="1abc")
    archive.put(path, STRUCTURE, *(["cut", fault] if fault == "wrong_range" else [fault]))
    table = fetch(["1abc"], [archive.url + DIVIDED], tmp_path)
    assert Path(table.loc["1abc", "path"]).read_bytes() == STRUCTURE
    expected = {"nameless": 1, "wrong_range": 3}.get(fault, 2)
    assert len(archive.asked(path)) == expected
    if fault in ("reset", "cut", "drip"):
        assert archive.asked(path)[1].startswith("bytes="), "continued, not begun anew"


def test_a_missing_file_is_named_and_the_mirror_has_the_rest(archive: Archive, tmp_path: Path) -> None:
    for pdb_id in ("1abc", "2abc"):
        archive.put(f"/mirror/{pdb_id}.cif.gz", STRUCTURE)
    archive.put(DIVIDED.format(mid="ab", id="1abc"), STRUCTURE[:-10])  # not whole, however often it is asked for
    urls = [archive.url + DIVIDED, archive.url + "/mirror/{id}.cif.gz"]
    table = fetch(["1abc", "2abc", "9xxx", "pdb_00003xyz"], urls, tmp_path)
    assert table["status"].tolist() == ["fetched", "fetched", "missing", "missing"]
    assert table.loc["1abc", "url"] == f"{archive.url}/mirror/1abc.cif.gz"
    assert table.loc["1abc", "path"] == str(tmp_path / "structures" / "ab" / "1abc.cif.gz")
    for url in urls:
        assert f"{url.format(mid='xx', id='9xxx')}: HTTP status 404" in table.loc["9xxx", "detail"]
    assert "/xy/pdb_00003xyz.cif.gz" in table.loc["pdb_00003xyz", "detail"]
    with pytest.raises(InputError, match=r"2 of 3 structures cannot be had: 9xxx, pdb_00003xyz;"):
        fetch(["1abc", "9xxx", "pdb_00003xyz"], urls, tmp_path, missing="stop")


def test_what_is_here_is_not_fetched_again(archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = ["1abc", "2abc", "3abc"]
    for pdb_id in ids:
        archive.put(DIVIDED.format(mid="ab", id=pdb_id), STRUCTURE)
    before = fetch(ids, [archive.url + DIVIDED], tmp_path)
    folder = tmp_path / "structures" / "ab"
    (folder / "1abc.cif.gz").write_bytes(STRUCTURE[:-4])  # damaged
    (folder / "2abc.cif.gz.receipt.json").write_text("{")  # a power cut leaves such things
    (folder / "4abc.cif.gz").write_bytes(STRUCTURE)  # put there by hand
    with caplog.at_level(logging.INFO):
        after = fetch([*ids, "4abc"], [archive.url + DIVIDED], tmp_path)
    assert "structures: 2 fetched, 2 already here, 0 missing; 0.0 MB in " in caplog.text
    assert [len(archive.asked(DIVIDED.format(mid="ab", id=pdb_id))) for pdb_id in ids] == [2, 2, 1]
    pd.testing.assert_frame_equal(after.loc[ids], before)
    assert after.loc["4abc", "detail"] == "found in the folder"


@pytest.mark.parametrize("pdb_id", ["../../../x", "..", "a/bc", "/etc/hostname", "1ab\x00", "1abc\n", "a b c", "1a"])
def test_a_hostile_id_reaches_nothing(pdb_id: str, archive: Archive, tmp_path: Path) -> None:
    archive.put(DIVIDED.format(mid="ab", id="1abc"), STRUCTURE)
    table = fetch([pdb_id, "1abc"], [archive.url + DIVIDED], tmp_path / "in" / "here")
    assert table["status"].to_dict() == {pdb_id: "missing", "1abc": "fetched"}
    assert "not a PDB id" in table.loc[pdb_id, "detail"]
    assert {hit.path for hit in archive.hits} == {DIVIDED.format(mid="ab", id="1abc")}
    structures = tmp_path / "in" / "here" / "structures"
    assert sorted(tree(structures)) == ["ab/1abc.cif.gz", "ab/1abc.cif.gz.receipt.json"]
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"here"}


def test_a_link_out_of_the_folder_is_not_followed(archive: Archive, tmp_path: Path) -> None:
    archive.put(DIVIDED.format(mid="ab", id="1abc"), STRUCTURE)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "structures").mkdir()
    (tmp_path / "structures" / "ab").symlink_to(tmp_path / "elsewhere")
    assert "leads out of the folder" in fetch(["1abc"], [archive.url + DIVIDED], tmp_path).loc["1abc", "detail"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_structures_from_a_folder_in_two_formats(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "1abc.cif.gz").write_bytes(STRUCTURE)
    (tmp_path / "mirror" / "2abc.pdb").write_bytes(b"ATOM      1")
    (tmp_path / "mirror" / "3abc.pdb").write_bytes(b"REMARK")
    urls = [f"file:{tmp_path}/mirror/{{id}}{ending}" for ending in (".cif.gz", ".pdb")]
    table = fetch(["1abc", "2abc", "3abc"], urls, tmp_path)
    assert [Path(path).name for path in table["path"]] == ["1abc.cif.gz", "2abc.pdb", ""]
    assert "no coordinates in the file" in table.loc["3abc", "detail"]
    with pytest.raises(InputError, match="expected an ending"):
        fetch(["1abc"], ["http://x/{id}.bcif"], tmp_path)


def test_all_threads_keep_one_rate(archive: Archive, tmp_path: Path) -> None:
    ids = [f"{i}abc" for i in range(1, 9)]
    for pdb_id in ids:
        archive.put(DIVIDED.format(mid="ab", id=pdb_id), STRUCTURE)
    fetch(ids, [archive.url + DIVIDED], tmp_path, requests_per_s=20.0, parallel_downloads=8)
    first, last = archive.hits[0].at, archive.hits[-1].at
    assert last - first >= 0.25, "seven pauses of 0.05 s; all at once would take 0.02 s"


def test_a_429_stops_all_threads(archive: Archive, tmp_path: Path) -> None:
    archive.retry_after = "1"
    ids = [f"{i}abc" for i in range(10, 24)]
    for pdb_id in ids:
        archive.put(DIVIDED.format(mid="ab", id=pdb_id), STRUCTURE)
    busy = DIVIDED.format(mid="ab", id=ids[0])
    archive.faults[busy] = ["busy"]
    fetch(ids, [archive.url + DIVIDED], tmp_path, requests_per_s=10.0, parallel_downloads=2)
    told = next(hit.at for hit in archive.hits if hit.path == busy)
    # requests that were under way may still come at the start of the pause
    assert [hit for hit in archive.hits if 0.5 < hit.at - told < 0.95] == []
    assert len(archive.hits) == len(ids) + 1


def test_a_server_that_closes_for_a_day_is_left_alone(archive: Archive, tmp_path: Path) -> None:
    archive.retry_after = "86400"
    ids = ["1abc", "2abc", "3abc"]
    for pdb_id in ids:
        archive.put(DIVIDED.format(mid="ab", id=pdb_id), STRUCTURE, "busy")
    table = fetch(ids, [archive.url + DIVIDED], tmp_path, parallel_downloads=1)
    assert set(table["status"]) == {"missing"}
    assert "the server asks to wait 86400 s" in table.loc["1abc", "detail"]
    assert "the server asked to be left alone" in table.loc["2abc", "detail"]
    assert len(archive.hits) == 1


def test_a_server_that_fails_is_asked_last(archive: Archive, tmp_path: Path) -> None:
    ids = [f"{i}abc" for i in range(1, 9)]
    for pdb_id in ids:
        archive.put(f"/{pdb_id}.cif.gz", STRUCTURE)
    with serving() as broken:
        for pdb_id in ids:
            broken.put(f"/{pdb_id}.cif.gz", STRUCTURE, "always error")
        urls = [f"{server.url}/{{id}}.cif.gz" for server in (broken, archive)]
        table = fetch(ids, urls, tmp_path, retries=0, parallel_downloads=1)
        assert set(table["status"]) == {"fetched"}
        assert len(broken.hits) == download.FAILURES_OF_A_SICK_HOST


def test_connections_are_used_again(archive: Archive, tmp_path: Path) -> None:
    ids = [f"{i}abc" for i in range(1, 10)]
    for pdb_id in ids:
        archive.put(DIVIDED.format(mid="ab", id=pdb_id), STRUCTURE)
    started = time.monotonic()
    fetch(ids, [archive.url + DIVIDED], tmp_path, parallel_downloads=2)
    assert archive.connections <= 2
    assert time.monotonic() - started < 5
