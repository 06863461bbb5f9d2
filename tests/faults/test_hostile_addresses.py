"""Servers that send us elsewhere or never end, and addresses that are none."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from archive_server import Answers, Archive, serving

from copra.errors import InputError
from copra.fetch import source as source_module
from copra.fetch import whole
from copra.fetch.connections import RefusedRedirect, _redirected
from copra.fetch.partial import Partial
from copra.fetch.receipts import read_receipt
from copra.fetch.source import fetch_source
from copra.fetch.sources import read_sources
from copra.fetch.structures import fetch_structures
from copra.files import sha256_of_file
from copra.tables import read_table, write_table

BODY = b"ATOM entry\tvalue\n" * 1000
NESTED = "[" * 100_000
REDIRECT, ENDLESS = b"redirect:", b"endless:"


class Hostile(Answers):
    """Sends on where the stored file says so, and never ends where it says that."""

    def do_GET(self) -> None:
        told = self.archive.files.get(self.path, b"")
        if told.startswith(REDIRECT):
            self.archive.hits.append(self.path)
            self.answer(302, b"", {"Location": told.removeprefix(REDIRECT).decode()})
        elif told.startswith(ENDLESS):
            self.send_response(302 if told != ENDLESS else 200)
            if told != ENDLESS:
                self.send_header("Location", told.removeprefix(ENDLESS).decode())
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(b"ATOM" * 16384)
            except OSError:  # nobody listens any more
                self.archive.faults["left"] = [self.path]
        else:
            super().do_GET()


@pytest.fixture
def archive() -> Iterator[Archive]:
    with serving(Hostile) as running:
        yield running


def bring(folder: Path, url: str, sha256: str = "first_use") -> dict[str, object]:
    fetch_source(
        "tried", url=[url], sha256=sha256, version="1", begins="", required=True, timeout_s=5, retries=0,
        min_bytes_per_s=0, out=folder / "file.txt", receipt=folder / "receipt.json",
    )  # fmt: skip
    return json.loads((folder / "receipt.json").read_text())


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("file:///etc/hostname", "a redirect to file:, expected one to http: or https:"),
        ("FILE:/etc/hostname", "a redirect to file:, expected"),
        ("ftp://elsewhere.invalid/x", "a redirect to ftp:, expected"),
        ("data:text/plain,ATOM", "a redirect to data:, expected"),
        ("javascript:alert(1)", "a redirect to javascript:, expected"),
        ("http://[::1", "a redirect to no usable url"),
        ("http://", "more than 10 redirects"),
        ("http://x:99999/y", ""),
    ],
)
def test_a_redirect_that_is_no_download_is_refused(place: str, told: str, archive: Archive, tmp_path: Path) -> None:
    url = archive.put("/a", REDIRECT + place.encode())
    with pytest.raises(InputError) as error:
        bring(tmp_path, url)
    assert told in str(error.value)
    assert url in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_from_https_none_goes_back_to_http() -> None:
    assert _redirected("https://a.org/x", "https://b.org/y?key=1") == "https://b.org/y?key=1"
    assert _redirected("http://a.org/x", "https://b.org/y") == "https://b.org/y"
    with pytest.raises(RefusedRedirect, match=r"a redirect from https to http://b\.org, where anybody on the way"):
        _redirected("https://a.org/x", "http://user:word@b.org/y?key=1")


@pytest.mark.parametrize("pinned", [False, True])
def test_another_server_is_allowed_and_stands_in_the_receipt_and_the_log(
    pinned: bool, archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "whole").write_bytes(BODY)
    sha256 = sha256_of_file(tmp_path / "whole") if pinned else "first_use"
    with serving() as other:
        place = other.put("/real", BODY) + "?key=secret"
        url = archive.put("/a", REDIRECT + place.encode())
        receipt = bring(tmp_path, url, sha256)
        assert (receipt["url"], receipt["detail"]) == (url, f"redirected to {other.url}")
        assert f"redirected to {other.url}" in caplog.text
        assert "secret" not in (tmp_path / "receipt.json").read_text() + caplog.text
        # within one server nothing is to be told
        archive.put("/here", BODY)
        assert bring(tmp_path / "b", archive.put("/b", REDIRECT + b"/here"))["detail"] == ""


def test_a_pinned_file_from_another_server_must_have_its_bytes(archive: Archive, tmp_path: Path) -> None:
    with serving() as other:
        url = archive.put("/a", REDIRECT + other.put("/real", BODY).encode())
        with pytest.raises(InputError, match=f"wrong bytes: expected sha256 {'0' * 64}"):
            bring(tmp_path, url, "0" * 64)
    assert not (tmp_path / "file.txt").exists()


def test_a_ring_of_redirects_ends(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than 10 redirects"):
        bring(tmp_path, archive.put("/a", REDIRECT + b"/a"))
    assert len(archive.hits) == 11


def test_the_body_of_a_redirect_is_not_read_to_an_end_that_never_comes(archive: Archive, tmp_path: Path) -> None:
    archive.put("/real", BODY)
    bring(tmp_path, archive.put("/a", ENDLESS + b"/real"))
    assert (tmp_path / "file.txt").read_bytes() == BODY


def test_a_source_that_never_ends_is_left(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "MAX_SOURCE_BYTES", 10_000_000)
    with pytest.raises(InputError, match=r"more than 10000000 bytes \(2 times\)"):
        bring(tmp_path, archive.put("/a", ENDLESS))
    assert list(tmp_path.iterdir()) == []


def structures(folder: Path, url: str, *ids: str) -> pd.DataFrame:
    wanted = pd.DataFrame({"pdb_id": ids, "shard": 0, "replaces": ""})
    write_table(wanted, folder / "wanted.parquet", "wanted_entries")
    fetch_structures(
        folder / "wanted.parquet", shards=1, url=[url], folder=folder / "raw", parallel_downloads=1, retries=0,
        timeout_s=5, min_bytes_per_s=0, missing="go_on", out=folder / "fetched",
    )  # fmt: skip
    return read_table(folder / "fetched" / "0.parquet", "fetched").set_index("pdb_id")


def test_a_structure_that_never_ends_is_missing_and_the_others_come(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "MAX_TEXT_BYTES", 10_000_000)
    archive.put("/1abc.cif", ENDLESS)
    with serving() as other:
        archive.put("/2abc.cif", REDIRECT + other.put("/x", BODY).encode())
        table = structures(tmp_path, archive.url + "/{id}.cif", "1abc", "2abc")
        assert table.loc["2abc", ["status", "detail"]].tolist() == ["fetched", f"redirected to {other.url}"]
    assert table.loc["1abc", "status"] == "missing"
    assert "more than 10000000 bytes of text (2 times)" in table.loc["1abc", "detail"]
    assert [path.name for path in sorted((tmp_path / "raw").rglob("*1abc*"))] == []


@pytest.mark.parametrize("ending", ["\r\nX-Evil: 1", "\n/../b", " c", "?\x00", "'$(touch owned)'"])
def test_an_address_with_odd_letters_stays_one_request(ending: str, archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="source 'tried' cannot be had"):
        bring(tmp_path, f"{archive.url}/a{ending}")
    assert len(archive.hits) <= 1
    assert list(tmp_path.iterdir()) == []


def test_a_local_address_of_what_never_ends_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/zero", str(tmp_path / "pipe"), str(tmp_path), "/nowhere/\0"):
        with pytest.raises((InputError, ValueError), match=r"no such file|null"):
            bring(tmp_path / "out", f"file:{place}")


def test_notes_that_are_nested_without_end_are_no_notes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "receipt.json").write_text(NESTED)
    assert read_receipt(tmp_path / "receipt.json") is None
    (tmp_path / "part").write_bytes(b"x")
    with Partial(tmp_path / "part", notes=tmp_path / "receipt.json") as partial:
        assert partial.n_bytes == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("sha256", "$(touch owned)"), ("sha256", "x; touch owned"), ("format", "a b"), ("source", "../../x")],
)
def test_a_cell_of_the_table_of_sources_that_a_shell_would_read_is_refused(
    column: str, value: str, root: Path, tmp_path: Path
) -> None:
    lines = (root / "resources" / "curation" / "sources.tsv").read_text().splitlines()
    cells = lines[1].split("\t")
    cells[lines[0].split("\t").index(column)] = value
    (tmp_path / "sources.tsv").write_text("\n".join([lines[0], "\t".join(cells)]) + "\n")
    with pytest.raises(InputError, match=f"sources.tsv, line 2: {column} is"):
        read_sources(tmp_path / "sources.tsv")
