"""Fetching against a real HTTP server on the loopback, with the failures that archives show."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from copra import download
from copra.errors import InputError
from copra.fetch import fetch_source, fetch_structures
from copra.tables import read_table, write_table

BODY = b"entry\tvalue\n" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
STRUCTURE = gzip.compress(b"data_x\nloop_\n_atom_site.id\nATOM\n", mtime=0)


class Archive(ThreadingHTTPServer):
    """A server that answers by path; a number at its end says how often it fails first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.hits: Counter[str] = Counter()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Archive

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.hits[self.path] += 1
        first = self.server.hits[self.path] == 1
        kind = self.path.split("/")[1]
        if kind == "moved":
            self.answer(302, b"", Location="/ok/file")
        elif kind == "busy" and first:
            self.answer(429, b"slow down", Retry_After="1")
        elif kind == "long":
            self.answer(429, b"slow down", Retry_After="86400")
        elif (kind == "error" and first) or kind == "broken":
            self.answer(500, b"oh")
        elif kind == "cut" and first:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:100])
            self.close_connection = True
        elif kind == "page":
            self.answer(200, b"<!DOCTYPE html><html>please register</html>")
        elif kind == "gone":
            self.answer(404, b"no")
        elif kind == "pdb":
            ok = self.path.endswith(("1abc.cif.gz", "2abc.cif.gz", "00003xyz.cif.gz"))
            self.answer(*((200, STRUCTURE) if ok else (404, b"no")), Content_Encoding="gzip")
        elif kind == "halfpdb":
            self.answer(200, STRUCTURE[:-10])
        else:
            self.answer(200, BODY)


@pytest.fixture
def archive() -> Iterator[Archive]:
    server = Archive()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.01)


def bring(folder: Path, urls: list[str], sha256: str = "first_use", required: bool = True) -> tuple[bytes, dict]:
    out, receipt = folder / "file.txt", folder / "file.txt.receipt.json"
    fetch_source(
        "mcsm_blind", url=urls, sha256=sha256, version="1", required=required, timeout_s=5, retries=2, out=out,
        receipt=receipt,
    )  # fmt: skip
    return out.read_bytes(), json.loads(receipt.read_text())


@pytest.mark.parametrize(("kind", "hits"), [("ok", 1), ("error", 2), ("cut", 2), ("moved", 1)])
def test_a_file_comes_whole(kind: str, hits: int, archive: Archive, tmp_path: Path) -> None:
    url = f"{archive.url}/{kind}/a"
    body, receipt = bring(tmp_path, [url], SHA256)
    assert body == BODY
    assert receipt == {
        "source": "mcsm_blind", "version": "1", "url": url, "sha256": SHA256, "bytes": len(BODY),
        "status": "fetched", "detail": "",
    }  # fmt: skip
    assert archive.hits[f"/{kind}/a"] == hits
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.txt", "file.txt.receipt.json"]


def test_the_server_says_how_long_to_wait(archive: Archive, tmp_path: Path) -> None:
    started = time.monotonic()
    assert bring(tmp_path, [f"{archive.url}/busy/a"])[0] == BODY
    assert time.monotonic() - started >= 0.9


def test_mirrors_are_tried_in_order(archive: Archive, tmp_path: Path) -> None:
    kinds = ("gone", "long", "page", "broken", "ok")
    body, receipt = bring(tmp_path, [f"{archive.url}/{kind}/a" for kind in kinds])
    assert body == BODY
    assert receipt["url"].endswith("/ok/a")
    assert [archive.hits[f"/{kind}/a"] for kind in kinds] == [1, 1, 1, 3, 1]


def test_every_failure_of_a_required_source_is_told(archive: Archive, tmp_path: Path) -> None:
    urls = [
        f"{archive.url}/gone/a",
        f"{archive.url}/ok/a",
        "http://127.0.0.1:1/x",
        f"file:{tmp_path}/none",
        "ftp://x/y",
    ]
    with pytest.raises(InputError) as error:
        bring(tmp_path, urls, "0" * 64)
    text = str(error.value)
    for part in (*urls, "HTTP status 404", f"found {SHA256}", "(3 tries)", "no such file", "source 'mcsm_blind'"):
        assert part in text
    assert list(tmp_path.iterdir()) == []


def test_a_by_hand_source_tells_where_it_is_had(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)pdbbind_pn.*pdbbind-plus.*put it: by/hand\.lst"):
        fetch_source(
            "pdbbind_pn", url=["file:by/hand.lst"], sha256="first_use", version="", required=True, timeout_s=5,
            retries=0, out=tmp_path / "a", receipt=tmp_path / "r",
        )  # fmt: skip


def test_an_optional_source_may_be_missing(archive: Archive, tmp_path: Path) -> None:
    body, receipt = bring(tmp_path, [f"{archive.url}/gone/a"], required=False)
    assert body == b""
    assert (receipt["status"], receipt["sha256"], receipt["bytes"]) == ("missing", "", 0)
    assert "404" in receipt["detail"]


def test_other_bytes_than_at_first_use_are_told(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in.txt").write_text("first")
    url = [f"file:{tmp_path / 'in.txt'}"]
    assert bring(tmp_path, url)[1]["detail"] == ""
    (tmp_path / "in.txt").write_text("second")
    with caplog.at_level(logging.WARNING):
        body, receipt = bring(tmp_path, url)
    assert body == b"second"
    assert hashlib.sha256(b"first").hexdigest() in receipt["detail"]
    assert "other bytes" in caplog.text


def test_file_urls_relative_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.txt").write_bytes(BODY)
    for url in ("file:a b.txt", f"file:{tmp_path}/a b.txt", f"file://{tmp_path}/a%20b.txt"):
        assert bring(tmp_path / "out", [url], SHA256)[0] == BODY


def fetch(folder: Path, ids: list[str], urls: list[str]) -> pd.DataFrame:
    write_table(pd.DataFrame({"pdb_id": ids, "shard": 0}), folder / "wanted.parquet", "wanted_entries")
    fetch_structures(
        folder / "wanted.parquet", shard=0, url=urls, folder=folder / "raw", parallel_downloads=3, retries=1,
        timeout_s=5, out=folder / "fetched.parquet",
    )  # fmt: skip
    return read_table(folder / "fetched.parquet", "fetched").set_index("pdb_id")


def test_structures_are_brought_once(archive: Archive, tmp_path: Path) -> None:
    template = f"{archive.url}/pdb/{{mid}}/{{id}}.cif.gz"
    ids = ["1abc", "2abc", "9xxx", "pdb_00003xyz"]
    table = fetch(tmp_path, ids, [f"{archive.url}/halfpdb/{{id}}.cif.gz", template])
    assert table["status"].to_dict() == {
        "1abc": "fetched", "2abc": "fetched", "9xxx": "missing", "pdb_00003xyz": "fetched"
    }  # fmt: skip
    assert table.loc["1abc", "path"] == str(tmp_path / "raw" / "ab" / "1abc.cif.gz")
    assert table.loc["pdb_00003xyz", "path"] == str(tmp_path / "raw" / "xy" / "pdb_00003xyz.cif.gz")
    assert "not a whole gzip file" in str(table.loc["9xxx", "detail"])
    assert "HTTP status 404" in str(table.loc["9xxx", "detail"])
    assert Path(str(table.loc["1abc", "path"])).read_bytes() == STRUCTURE
    again = fetch(tmp_path, ids[:2], [template])
    assert archive.hits["/pdb/ab/1abc.cif.gz"] == 1
    pd.testing.assert_frame_equal(again, table.loc[ids[:2]])
    # a file that changed since is brought again; one put there by hand is taken when it is whole
    Path(str(table.loc["1abc", "path"])).write_bytes(STRUCTURE[:-4])
    (tmp_path / "raw" / "xx").mkdir(exist_ok=True)
    (tmp_path / "raw" / "xx" / "9xxx.cif.gz").write_bytes(STRUCTURE)
    mended = fetch(tmp_path, ["1abc", "9xxx"], [template])
    assert archive.hits["/pdb/ab/1abc.cif.gz"] == 2
    assert mended["status"].tolist() == ["fetched", "fetched"]
    assert mended.loc["9xxx", "detail"] == "found in the folder"


def test_structures_from_a_folder_in_two_formats(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "1abc.cif.gz").write_bytes(STRUCTURE)
    (tmp_path / "here" / "2abc.pdb.gz").write_bytes(STRUCTURE)
    urls = [f"file:{tmp_path}/here/{{id}}{ending}" for ending in (".cif.gz", ".pdb.gz")]
    table = fetch(tmp_path, ["1abc", "2abc"], urls)
    assert [Path(p).name for p in table["path"]] == ["1abc.cif.gz", "2abc.pdb.gz"]
    with pytest.raises(InputError, match="expected an ending"):
        fetch(tmp_path, ["1abc"], ["http://x/{id}.bcif"])


def test_fetch_is_light_to_import() -> None:
    code = "import sys, copra.fetch; print([m for m in ('pandas', 'pyarrow', 'numpy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
