"""A full disk: what is written there is whole, or is not there and the user is told.

Every writer is tried with each number of free pages from none until its file fits, so that a library that loses what
it only flushes while closing would be seen. tests/fetch has servers that break off; here the disk does.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import release_run
import torch
from packaged import Finished, finished_experiment
from predict_world import demo_file
from small_disk import PAGE_BYTES, Disk, families, small_disk
from training_runs import TRAINING, read_metrics, run, without_clock
from written_files import bins, checkpoint, embeddings, interfaces, structures, table, text, weights

from copra.errors import InputError, OutputError
from copra.fetch.source import fetch_source
from copra.fetch.structures import fetch_structures
from copra.release.release import release
from copra.tables import write_table

FULL = "no space left on device; make room there"
NAME = "written"
OLD = b"what stood there before"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", pages=1024) as made:
        yield made


WRITERS = (table, structures, interfaces, bins, embeddings, checkpoint, weights, text)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_file_is_there_whole_or_not_at_all(disk: Disk, tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / NAME)
    whole = (tmp_path / NAME).read_bytes()
    target = disk.path / NAME
    target.write_bytes(OLD)
    failed = 0
    for pages in range(0, 400, 1 if len(whole) < 20 * PAGE_BYTES else 5):
        disk.leave_free(pages)
        said = refused(write, target)
        if not said:
            break
        failed += 1
        assert said == f"{target}: cannot be written: {FULL}, then type the same command again"
        assert disk.files() == {NAME: OLD}
    assert failed > 2
    assert disk.files().keys() == {NAME}
    # a checkpoint's header names its values in any order; `checkpoint` reads it back
    assert target.read_bytes() == whole or (write is checkpoint and target.stat().st_size == len(whole))


def refused(write: Callable[[Path], None], path: Path) -> str:
    """What an OutputError says; nothing where there was room."""
    try:
        write(path)
    except OutputError as error:
        return str(error)
    return ""


def test_a_source_goes_on_when_there_is_room(disk: Disk, tmp_path: Path) -> None:
    body = b"entry\tvalue\n" * 9000
    (tmp_path / "a").write_bytes(body)
    out, receipt = disk.path / "a.txt", disk.path / "a.json"

    def fetch() -> None:
        fetch_source(
            "mcsm_blind", url=[(tmp_path / "a").as_uri().replace("file://", "file:")], begins="entry", version="1",
            sha256=hashlib.sha256(body).hexdigest(), required=True, timeout_s=5, retries=1, min_bytes_per_s=1000,
            out=out, receipt=receipt,
        )  # fmt: skip

    for pages in (0, 1, 2, 9):
        disk.leave_free(pages)
        with pytest.raises((InputError, OutputError), match=r"a\.txt.*no space left on device; make room there"):
            fetch()
        assert not out.exists()
        assert not receipt.exists()
    disk.make_room()
    fetch()
    assert out.read_bytes() == body


def test_structures_that_do_not_fit_are_not_called_missing(disk: Disk, tmp_path: Path) -> None:
    """A structure that the archive lacks is a row of the table; one that the disk lacks room for stops the run."""
    ids = ["0daa", "0dac", "0dae"]
    wanted = pd.DataFrame({"pdb_id": ids, "shard": 0, "replaces": ""})
    write_table(wanted, tmp_path / "wanted.parquet", "wanted_entries")
    root = demo_file("0daa").parents[1].as_uri().replace("file://", "file:")

    def fetch(place: Path) -> None:
        fetch_structures(
            tmp_path / "wanted.parquet", shards=1, url=[f"{root}/{{mid}}/{{id}}.cif.gz"], folder=place / "raw",
            parallel_downloads=2, retries=1, timeout_s=5, min_bytes_per_s=1000, missing="go_on", out=place / "out",
        )  # fmt: skip

    for pages in (0, 3, 8):
        disk.leave_free(pages)
        with pytest.raises((InputError, OutputError), match="no space left on device; make room there"):
            fetch(disk.path)
        assert not list(disk.path.glob("out/*"))
        for path in disk.path.rglob("*.cif.gz"):
            gzip.decompress(path.read_bytes())
        assert not list(disk.path.rglob("*.tmp"))
    disk.make_room()
    fetch(disk.path)
    fetch(tmp_path)
    assert {p.name: p.read_bytes() for p in disk.path.rglob("*.cif.gz")} == {
        p.name: p.read_bytes() for p in (tmp_path / "raw").rglob("*.cif.gz")
    }


def test_training_stops_at_the_checkpoint_it_has_and_goes_on_from_there(disk: Disk, tmp_path: Path) -> None:
    every_batch = TRAINING.model_copy(update={"checkpoint_minutes": 0.0})
    whole, state = run(tmp_path / "whole", every_batch)
    run(disk.path / "run", every_batch.model_copy(update={"epochs": 2}))
    before = disk.files()
    disk.leave_free(0)
    with pytest.raises(OutputError, match=rf"run/\S+: cannot be written: {FULL}"):
        run(disk.path / "run", every_batch)
    assert disk.files() == before
    disk.make_room()
    again, resumed = run(disk.path / "run", every_batch)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert without_clock(read_metrics(disk.path / "run")) == without_clock(read_metrics(tmp_path / "whole"))
    assert resumed.best_loss == state.best_loss


def test_a_package_without_room_is_none(disk: Disk, tmp_path: Path) -> None:
    done: Finished = finished_experiment(tmp_path / "run")
    whole = {p.name: p.read_bytes() for p in done.pack(tmp_path / "whole").iterdir()}
    for pages in (0, 1):
        disk.leave_free(pages)
        with pytest.raises(OutputError, match=FULL):
            done.pack(disk.path / "package")
        assert not (disk.path / "package/model.json").exists(), "without it the folder is no package"
        assert not list(disk.path.rglob("*.tmp"))
    disk.make_room()
    done.pack(disk.path / "package")
    assert {p.name: p.read_bytes() for p in (disk.path / "package").iterdir()} == whole


def test_a_release_without_room_leaves_the_one_before(disk: Disk, tmp_path: Path) -> None:
    release_run.write_run(tmp_path)
    results = tmp_path / "results"
    release(results, config=results / "run.json", out=disk.path / "release")
    before = disk.files()
    for pages in (0, 2, 20):
        disk.leave_free(pages)
        with pytest.raises(OutputError, match=FULL):
            release(results, config=results / "run.json", out=disk.path / "release")
        assert disk.files() == before
    disk.make_room()
    release(results, config=results / "run.json", out=disk.path / "release")
    assert disk.files() == before


def test_the_command_line_says_it_in_one_line(disk: Disk, tmp_path: Path) -> None:
    words = families(tmp_path)
    disk.leave_free(0)
    done = disk.copra(*words)
    assert done.returncode == 2
    assert (
        done.stderr
        == f"copra choose-family: folds.parquet: cannot be written: {FULL}, then type the same command again\n"
    )
    assert disk.files() == {}
    disk.make_room()
    assert disk.copra(*words).returncode == 0
    assert set(disk.files()) == {"folds.parquet", "clusters.parquet"}


def test_the_folder_of_temporary_files_is_named_when_it_is_full(disk: Disk, tmp_path: Path) -> None:
    disk.leave_free(5)  # none at all, and Python would take another folder
    program = "import copra.split.cd_hit as c; c.run_cd_hit({'a': 'MKTAYIAKQR' * 9000}, 0.7, 5, 1)"
    source = f"import sys, types, copra.cli as cli\ndef verb() -> None:\n    {program}\n" + (
        "cli.STAGES['split']['verb'] = ('standin', '')\n"
        "sys.modules['standin'] = types.SimpleNamespace(verb=verb)\nsys.exit(cli.main(['verb']))"
    )
    done = disk.run("python", "-c", source, TMPDIR=str(disk.place))
    assert done.returncode == 2, done.stderr
    assert "no space left on device; make room there" in done.stderr
    assert str(disk.place) in done.stderr
    assert "Traceback" not in done.stderr
    assert disk.files() == {}
