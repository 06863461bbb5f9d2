"""The file of a source: its mirrors, its receipt, and when it is not fetched again."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from archive_server import Archive, serving

from copra.errors import InputError
from copra.fetch.source import fetch_source

BODY = b"entry\tvalue\n" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


def bring(
    folder: Path, urls: list[str], sha256: str = "first_use", *, required: bool = True, version: str = "1",
    begins: str = "", timeout_s: float = 5,
) -> tuple[bytes, dict]:  # fmt: skip
    """Call the verb as snakemake does: the outputs of an earlier job are gone."""
    out, receipt = folder / "file.txt", folder / "file.txt.receipt.json"
    out.unlink(missing_ok=True)
    receipt.unlink(missing_ok=True)
    fetch_source(
        "mcsm_blind", url=urls, sha256=sha256, version=version, begins=begins, required=required, timeout_s=timeout_s,
        retries=2, min_bytes_per_s=1000, out=out, receipt=receipt,
    )  # fmt: skip
    return out.read_bytes(), json.loads(receipt.read_text())


@pytest.mark.parametrize("fault", ["", "busy", "error", "reset", "cut", "truncated", "wrong", "moved", "page"])
def test_a_pinned_file_comes_whole_whatever_the_server_does_first(fault: str, archive: Archive, tmp_path: Path) -> None:
    url = archive.put("/a", BODY, *filter(None, [fault]))
    body, receipt = bring(tmp_path, [url], SHA256)
    assert body == BODY
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", receipt.pop("retrieved"))
    assert receipt == {
        "source": "mcsm_blind", "version": "1", "url": url, "sha256": SHA256, "bytes": len(BODY),
        "status": "fetched", "detail": "",
    }  # fmt: skip
    assert len(archive.asked("/a")) == (2 if fault else 1)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"file.txt", "file.txt.receipt.json", ".file.txt.kept", ".file.txt.kept.json"}


@pytest.mark.parametrize("pinned", [True, False])
def test_a_cut_body_is_continued_where_it_broke_off(pinned: bool, archive: Archive, tmp_path: Path) -> None:
    url = archive.put("/a", BODY, "cut", "reset")
    archive.validators = not pinned
    assert bring(tmp_path, [url], SHA256 if pinned else "first_use")[0] == BODY
    half, rest = len(BODY) // 2, len(BODY) - len(BODY) // 2
    assert archive.asked("/a") == ["", f"bytes={half}-", f"bytes={half + rest // 2}-"]


def test_without_a_sum_or_a_validator_it_begins_anew(archive: Archive, tmp_path: Path) -> None:
    archive.validators = False
    assert bring(tmp_path, [archive.put("/a", BODY, "cut")])[0] == BODY
    assert archive.asked("/a") == ["", ""]


def test_a_file_that_changed_on_the_way_is_not_patched_together(archive: Archive, tmp_path: Path) -> None:
    class Changing(dict[str, bytes]):
        def get(self, path: str, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
            return BODY if len(archive.hits) == 1 else BODY.upper()

    url = archive.put("/a", BODY, "cut")
    archive.files = Changing()
    assert bring(tmp_path, [url])[0] == BODY.upper()
    assert len(archive.hits) == 2, "the server saw by the validator that the whole file is needed"


def test_an_answer_for_another_range_is_refused(archive: Archive, tmp_path: Path) -> None:
    assert bring(tmp_path, [archive.put("/a", BODY, "cut", "wrong_range")])[0] == BODY
    assert archive.asked("/a")[2] == ""


def test_wrong_bytes_are_fetched_once_more_and_then_from_the_mirror(archive: Archive, tmp_path: Path) -> None:
    bad, good = archive.put("/bad", BODY, "cut", "wrong", "wrong"), archive.put("/good", BODY)
    body, receipt = bring(tmp_path, [bad, good], SHA256)
    assert (body, receipt["url"]) == (BODY, good)
    # the cut half, its rest (answered with other bytes), once more from the start
    assert archive.asked("/bad") == ["", f"bytes={len(BODY) // 2}-", ""]


def test_mirrors_are_tried_in_order(archive: Archive, tmp_path: Path) -> None:
    faults = {"gone": 1, "page": 2, "error": 3}
    urls = [archive.put(f"/{fault}", BODY, f"always {fault}") for fault in faults]
    with serving() as closed:
        closed.retry_after = "86400"
        urls += [closed.put("/a", BODY, "busy"), archive.put("/ok", BODY)]
        body, receipt = bring(tmp_path, urls)
        assert len(closed.hits) == 1, "a server that closes for a day is not asked again"
    assert (body, receipt["url"]) == (BODY, urls[-1])
    assert {fault: len(archive.asked(f"/{fault}")) for fault in faults} == faults


def test_every_failure_of_a_required_source_is_told(archive: Archive, tmp_path: Path) -> None:
    urls = [
        f"{archive.url}/gone", archive.put("/ok", BODY), "http://127.0.0.1:1/x", f"file:{tmp_path}/none", "ftp://x/y"
    ]  # fmt: skip
    with pytest.raises(InputError) as error:
        bring(tmp_path, urls, "0" * 64)
    text = str(error.value)
    for part in (*urls, "HTTP status 404", f"found {SHA256}", "(3 tries)", "no such file", "source 'mcsm_blind'"):
        assert part in text
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_a_local_file_is_refused(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a redirect to file:, expected one to http: or https:"):
        bring(tmp_path, [archive.put("/a", BODY, "always to_a_file")])


def test_the_server_names_no_file_here(archive: Archive, tmp_path: Path) -> None:
    bring(tmp_path / "in" / "here", [archive.put("/a", BODY, "nameless")])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["here"]


def test_a_by_hand_source_tells_where_it_is_had(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"(?s)pdbbind_pn.*pdbbind-plus.*put it: by/hand\.lst"):
        fetch_source(
            "pdbbind_pn", url=["file:by/hand.lst"], sha256="first_use", version="", begins="", required=True,
            timeout_s=5, retries=0, min_bytes_per_s=0, out=tmp_path / "a", receipt=tmp_path / "r",
        )  # fmt: skip


def test_another_kind_of_file_is_refused(archive: Archive, tmp_path: Path) -> None:
    url = archive.put("/a", BODY)
    assert bring(tmp_path, [url], begins="entry\t")[0] == BODY
    with pytest.raises(InputError, match="another kind of file"):
        bring(tmp_path / "other", [url], begins="HEADER")


def test_an_optional_source_may_be_missing(archive: Archive, tmp_path: Path) -> None:
    body, receipt = bring(tmp_path, [f"{archive.url}/gone"], required=False)
    assert body == b""
    assert (receipt["status"], receipt["sha256"], receipt["bytes"]) == ("missing", "", 0)
    assert "404" in receipt["detail"]


def test_other_bytes_than_at_first_use_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_file_that_is_here_is_not_fetched_again(archive: Archive, tmp_path: Path) -> None:
    url, mirror = archive.put("/a", BODY), archive.put("/b", BODY)
    _, first = bring(tmp_path, [url])
    first_time = "2001-02-03T04:05:06Z"
    kept = tmp_path / ".file.txt.kept.json"
    kept.write_text(kept.read_text().replace(first["retrieved"], first_time))
    for urls, sha256, version in (([url], "first_use", "1"), ([mirror, url], "first_use", "1"), ([url], SHA256, "2")):
        body, again = bring(tmp_path, urls, sha256, version=version, timeout_s=9)
        assert body == BODY
        assert again == first | {"retrieved": first_time, "version": version}
    assert len(archive.hits) == 1


@pytest.mark.parametrize("change", ["version", "url", "sum", "damage", "deletion"])
def test_a_change_fetches_again(change: str, archive: Archive, tmp_path: Path) -> None:
    url, other = archive.put("/a", BODY), archive.put("/b", BODY.upper())
    bring(tmp_path, [url])
    kept = tmp_path / ".file.txt.kept"
    if change == "damage":
        kept.write_bytes(BODY[:-1])
    if change == "deletion":
        kept.unlink()
    sha256 = hashlib.sha256(BODY.upper()).hexdigest() if change == "sum" else "first_use"
    urls = {"url": [other], "sum": [url, other]}.get(change, [url])
    bring(tmp_path, urls, sha256, version="2" if change == "version" else "1")
    assert len(archive.hits) > 1


def test_fetch_is_light_to_import() -> None:
    code = (
        "import sys, copra.fetch.source, copra.fetch.structures; "
        "print([m for m in ('pandas', 'pyarrow', 'numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
