"""A download that is killed and started again: the same bytes, and nothing that was whole is fetched again."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from archive_server import DIVIDED, Archive, serving
from wanted_tables import N_SHARDS, tree, write_wanted

ROOT = Path(__file__).resolve().parent.parent


def copra(*words: str, folder: Path) -> subprocess.Popen[bytes]:
    """The real command line, run in `folder`."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from copra.cli import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=folder, stderr=subprocess.DEVNULL)


def fetching(archive: Archive, folder: Path) -> subprocess.Popen[bytes]:
    return copra(
        "fetch-structures", "wanted.parquet", "--shards", str(N_SHARDS), "--url", archive.url + DIVIDED,
        "--folder", "structures", "--parallel-downloads", "4", "--retries", "2", "--timeout-s", "20",
        "--min-bytes-per-s", "10", "--missing", "stop", "--out", "fetched", folder=folder,
    )  # fmt: skip


def wait_for_hits(archive: Archive, n: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while len(archive.hits) < n and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)


def whole_files(structures: Path) -> set[str]:
    """The names of the files that have the bytes of their receipts."""
    found = set()
    for receipt in structures.rglob("*.receipt.json"):
        file = receipt.with_name(receipt.name.removesuffix(".receipt.json"))
        told = json.loads(receipt.read_text())
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == told["sha256"]:
            found.add(file.name)
    return found


def kill_and_rerun(root: Path, folder: Path, kills: int) -> None:
    choice = random.Random(7)
    with serving() as archive:
        ids = archive.put_structures(root / "resources" / "demo" / "archive" / "structures")[:80]
        for name in ("whole", "killed"):
            (folder / name).mkdir()
            write_wanted(ids, folder / name / "wanted.parquet")
        assert fetching(archive, folder / "whole").wait(120) == 0
        archive.delay_s = 0.02
        structures = folder / "killed" / "structures"
        for n in range(kills + 1):
            before, hits = whole_files(structures), len(archive.hits)
            process = fetching(archive, folder / "killed")
            if n < kills:
                wait_for_hits(archive, hits + choice.randint(1, 12), process)
                time.sleep(choice.uniform(0, 0.03))
                assert process.poll() is None, "killed too late to prove anything"
                process.kill()
                assert process.wait() == -signal.SIGKILL
            else:
                assert process.wait(120) == 0
            time.sleep(0.1)  # requests that were under way when it died
            asked = {Path(hit.path).name for hit in archive.hits[hits:]}
            assert asked & before == set(), "a whole file was fetched again"
    assert len(before) > kills, "the runs that were killed brought files"
    assert tree(folder / "killed") == tree(folder / "whole")


def test_a_killed_run_ends_as_one_that_was_not(root: Path, tmp_path: Path) -> None:
    kill_and_rerun(root, tmp_path, kills=1)


@pytest.mark.slow
def test_ten_kills_at_random_moments(root: Path, tmp_path: Path) -> None:
    kill_and_rerun(root, tmp_path, kills=10)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_large_source_goes_on_where_a_killed_process_left_it(pinned: bool, tmp_path: Path) -> None:
    body = random.Random(3).randbytes(3_000_000)
    sha256 = hashlib.sha256(body).hexdigest()
    with serving() as archive:
        url = archive.put("/weights.pt", body, "drip")
        words = (
            "fetch-source", "esm2_650M", "--url", url, "--sha256", sha256 if pinned else "first_use", "--version=1",
            "--begins=", "--required", "--timeout-s", "20", "--retries", "0", "--min-bytes-per-s", "0",
            "--out", "weights.pt", "--receipt", "weights.pt.receipt.json",
        )  # fmt: skip
        process = copra(*words, folder=tmp_path)
        part = tmp_path / ".weights.pt.part"
        end = time.monotonic() + 60
        while not (part.is_file() and part.stat().st_size >= len(body) // 2) and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
        process.wait()
        kept = part.stat().st_size
        assert kept >= len(body) // 2
        assert copra(*words, folder=tmp_path).wait(60) == 0
        assert archive.asked("/weights.pt") == ["", f"bytes={kept}-"]
    assert (tmp_path / "weights.pt").read_bytes() == body
    assert json.loads((tmp_path / "weights.pt.receipt.json").read_text())["sha256"] == sha256
    assert [path.name for path in tmp_path.glob("*.part*")] == []


def test_kept_bytes_of_another_file_do_not_spoil_it(tmp_path: Path) -> None:
    body = random.Random(3).randbytes(10_000)
    with serving() as archive:
        url = archive.put("/a", body)
        (tmp_path / ".a.part").write_bytes(b"x" * 5_000)
        (tmp_path / ".a.part.json").write_text(json.dumps({"url": url, "validator": ""}))
        words = (
            "fetch-source", "esm2_650M", "--url", url, "--sha256", hashlib.sha256(body).hexdigest(), "--version=1",
            "--begins=", "--required", "--timeout-s", "20", "--retries", "0", "--min-bytes-per-s", "0",
            "--out", "a", "--receipt", "a.receipt.json",
        )  # fmt: skip
        assert copra(*words, folder=tmp_path).wait(60) == 0
        assert archive.asked("/a") == ["bytes=5000-", ""]
    assert (tmp_path / "a").read_bytes() == body
