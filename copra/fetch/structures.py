"""Bringing coordinate files: all wanted entries in one job, so that rate, bar and summary are of the whole."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from copra.errors import InputError
from copra.fetch.download import Downloader, NotBrought
from copra.fetch.partial import Partial
from copra.fetch.receipts import Receipt, read_receipt, receipt_path, write_receipt
from copra.fetch.whole import CoordinateCheck, WrongBytes, check_coordinates
from copra.files import replacing, sha256_of_file
from copra.progress import FileMeter

log = logging.getLogger(__name__)

ID_PATTERN = re.compile(r"[A-Za-z0-9_]{4,64}")  # ids become names of files, which have a longest length
ENDINGS = (".cif.gz", ".pdb.gz", ".cif", ".pdb")
NAMED_MISSING = 10

Item = TypeVar("Item")
Result = TypeVar("Result")


class Fetched(NamedTuple):
    """A row of the table `fetched`, and whether its bytes came just now."""

    pdb_id: str
    status: str
    path: str
    url: str
    sha256: str
    bytes: int
    detail: str
    fresh: bool


def fetch_structures(
    wanted: Path, *, shards: int, url: list[str], folder: Path, parallel_downloads: int,
    requests_per_s: float | None = None, retries: int, timeout_s: float, min_bytes_per_s: int, missing: str, out: Path,
) -> None:  # fmt: skip
    """Bring the coordinate files of all wanted entries into `folder`/{mid}/{id}.cif.gz (or as the url ends).

    `url` are templates with {id} and {mid}, tried in order; {mid} is the two characters before the last of an id.
    `requests_per_s` is of all downloads together; without it there is no limit. A file that is here and whole is not
    fetched again. Writes `out`/{shard}.parquet for each shard; an entry that cannot be had is a row with the status
    "missing" there when `missing` is "go_on". When it is "stop", raises InputError naming such entries after all
    others were brought.
    """
    import pandas as pd

    from copra.tables import TABLES, read_table, write_table

    if missing not in ("go_on", "stop"):
        raise InputError(f"missing is '{missing}', expected go_on or stop")
    table = read_table(wanted, "wanted_entries")
    downloader = Downloader(
        connections=parallel_downloads, requests_per_s=requests_per_s, retries=retries, timeout_s=timeout_s,
        min_bytes_per_s=min_bytes_per_s,
    )  # fmt: skip
    archive = _Archive(url, folder, downloader)
    rows = _bring_all(sorted(table["pdb_id"]), archive.fetch, parallel_downloads)
    absent = sorted(row.pdb_id for row in rows if row.status == "missing")
    if absent and missing == "stop":
        named = ", ".join(absent[:NAMED_MISSING]) + (", ..." if len(absent) > NAMED_MISSING else "")
        raise InputError(
            f"{len(absent)} of {len(rows)} structures cannot be had: {named}; the log says why. "
            "Set fetch.missing_structures: go_on in the configuration to go on without them"
        )
    names = TABLES["fetched"].schema().names
    shard_of = dict(zip(table["pdb_id"], table["shard"], strict=True))
    for shard in range(shards):
        fetched = pd.DataFrame([row for row in rows if shard_of[row.pdb_id] == shard], columns=Fetched._fields)
        write_table(fetched[names], out / f"{shard}.parquet", "fetched")


def _bring_all(pdb_ids: list[str], fetch: Callable[[str], Fetched], threads: int) -> list[Fetched]:
    """One row per entry, in the order of `pdb_ids`; tells how far it is, and one line at the end."""
    meter = FileMeter("structures", len(pdb_ids))
    rows: list[Fetched] = []

    def take(row: Fetched) -> None:
        meter.add(row.bytes if row.fresh else 0)
        rows.append(row)

    in_parallel(fetch, pdb_ids, threads, take)
    fresh = sum(row.fresh for row in rows)
    absent = sum(row.status == "missing" for row in rows)
    here = len(rows) - fresh - absent
    log.info("structures: %d fetched, %d already here, %d missing; %s", fresh, here, absent, meter.close())
    redirects = Counter(row.detail for row in rows if row.fresh and row.detail)
    for detail, count in sorted(redirects.items()):
        log.warning("structures: %d of them were %s", count, detail)
    return sorted(rows)


def in_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, take: Callable[[Result], None]
) -> None:
    """Do `work` on the items in so many threads; `take` gets the results as they come, one at a time.

    The threads take their items themselves: handing each over costs as much as fetching a small file. The first
    error, or Ctrl-C, lets them finish the items they have, and is raised.
    """
    waiting, lock, stop = iter(items), threading.Lock(), threading.Event()

    def worker() -> None:
        while not stop.is_set():
            with lock:
                item = list(islice(waiting, 1))
            if not item:
                return
            result = work(item[0])
            with lock:
                take(result)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for future in as_completed([pool.submit(worker) for _ in range(threads)]):
                future.result()
        finally:
            stop.set()


class _Archive:
    """Where coordinate files come from, and the folder into which they go."""

    def __init__(self, urls: list[str], folder: Path, downloader: Downloader) -> None:
        self._urls, self._folder, self._downloader = urls, folder, downloader
        self._endings = list(dict.fromkeys(_ending(url) for url in urls))
        self._inside = folder.resolve()
        self._judged: dict[str, bool] = {}

    def fetch(self, pdb_id: str) -> Fetched:
        """The row of one entry: the file that is here already, or what the first good url gives."""
        mid = pdb_id[-3:-1]
        if not ID_PATTERN.fullmatch(pdb_id):
            return _missing(pdb_id, "not a PDB id: expected 4 to 64 letters, digits or '_'")
        if not self._is_inside(mid):
            return _missing(pdb_id, f"{self._folder / mid} leads out of the folder of structures")
        paths = {ending: self._folder / mid / f"{pdb_id}{ending}" for ending in self._endings}
        for path in paths.values():
            receipt = _whole(path)
            if receipt is not None:
                return _row(pdb_id, path, receipt, fresh=False)
        failures = []
        for template in self._downloader.healthy_first(self._urls):
            address = template.replace("{id}", pdb_id).replace("{mid}", mid)
            path = paths[_ending(template)]
            try:
                return _row(pdb_id, path, self._bring(pdb_id, address, path), fresh=True)
            except NotBrought as reason:
                failures.append(f"{address}: {reason}")
        log.warning("%s: missing: %s", pdb_id, "; ".join(failures))
        return _missing(pdb_id, "; ".join(failures))

    def _is_inside(self, mid: str) -> bool:
        """Whether `folder`/{mid} is in `folder`: it may be a link to elsewhere."""
        if mid not in self._judged:
            self._judged[mid] = (self._folder / mid).resolve().is_relative_to(self._inside)
        return self._judged[mid]

    def _bring(self, pdb_id: str, address: str, path: Path) -> Receipt:
        """Bring one file and write its receipt; raises NotBrought.

        The receipt is there before the file: a run that is killed between the two fetches the file again. Neither is
        flushed to disk, for `_whole` compares each file with its receipt before it is used.
        """
        with replacing(path, durable=False) as temporary:
            with Partial(temporary, check=lambda: CoordinateCheck(zipped=path.name.endswith(".gz"))) as partial:
                brought = self._downloader.bring(address, partial)
            receipt = Receipt(pdb_id, "", address, brought.sha256, brought.n_bytes, "fetched", brought.redirected)
            write_receipt(receipt, receipt_path(path), durable=False)
        return receipt


def _ending(template: str) -> str:
    for ending in ENDINGS:
        if template.endswith(ending):
            return ending
    raise InputError(f"structure url '{template}': expected an ending of {', '.join(ENDINGS)}")


def _whole(path: Path) -> Receipt | None:
    """The receipt of a file that is here as it came, or was put here by hand and is whole; else None."""
    if not path.is_file():
        return None
    receipt = read_receipt(receipt_path(path))
    if receipt is not None or receipt_path(path).is_file():
        return receipt if receipt is not None and receipt.sha256 == sha256_of_file(path) else None
    try:
        check_coordinates(path, zipped=path.name.endswith(".gz"))
    except WrongBytes:
        return None
    return Receipt("", "", "", sha256_of_file(path), path.stat().st_size, "fetched", "found in the folder")


def _row(pdb_id: str, path: Path, receipt: Receipt, *, fresh: bool) -> Fetched:
    return Fetched(pdb_id, "fetched", str(path), receipt.url, receipt.sha256, receipt.bytes, receipt.detail, fresh)


def _missing(pdb_id: str, why: str) -> Fetched:
    return Fetched(pdb_id, "missing", "", "", "", 0, why, fresh=False)
