"""Bringing the file of a source: from the first url that gives the right bytes, and only when it is not here."""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from copra.errors import InputError
from copra.fetch.download import Brought, Downloader, NotBrought, file_of_url, is_file_url
from copra.fetch.partial import Partial
from copra.fetch.receipts import Receipt, read_receipt, write_receipt
from copra.fetch.sources import check_shape, how_to_get, read_sources
from copra.fetch.whole import WrongBytes
from copra.files import replacing, sha256_of_file
from copra.progress import ByteMeter

log = logging.getLogger(__name__)

# The largest source, ESM-2 with 15 billion parameters, has 60 GB at most. A server that never ends is left here.
MAX_SOURCE_BYTES = 2**37
CURATED = Path("resources") / "curation" / "sources.tsv"


def fetch_source(
    source: str, *, url: list[str], sha256: str, version: str, begins: str, required: bool, timeout_s: float,
    retries: int, min_bytes_per_s: int, out: Path, receipt: Path,
) -> None:  # fmt: skip
    """Bring one file of a source from the first of its urls that gives the right bytes.

    `sha256` is the hexadecimal sum to expect, or "first_use": then what comes is recorded in the receipt. `begins`
    is a regular expression for the start of the file, "" where none is known. A source that cannot be had and is not
    required becomes an empty file and a receipt with the status "missing". What was brought over the network is
    kept as a second name of the file, `.{name}.kept`, and not fetched again while url, version and sum are the same.
    Raises InputError, telling every url and why it failed, when a required source cannot be had.
    """
    if not re.fullmatch(r"[0-9a-f]{64}|first_use", sha256):
        raise InputError(f"source '{source}': sha256 is '{sha256}', expected 64 hexadecimal digits or first_use")
    kept = _Kept(out)
    if kept.serves(url, sha256, version):
        told = kept.give(out, version)
        write_receipt(told, receipt)
        log.info("source '%s': here since %s; to fetch it anew delete %s", source, told.retrieved, kept.file)
        return
    downloader = Downloader(
        connections=1, requests_per_s=None, retries=retries, timeout_s=timeout_s, min_bytes_per_s=min_bytes_per_s
    )
    brought, failures = _bring(source, url, sha256, begins, out, downloader)
    if brought is not None:
        detail = "; ".join(filter(None, (_changed(kept.receipt, brought), brought.redirected)))
        if detail:
            log.warning("source '%s': %s", source, detail)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        told = Receipt(source, version, brought.url, brought.sha256, brought.n_bytes, "fetched", detail, now)
        kept.take(out, told)
        write_receipt(told, receipt)
        log.info("source '%s': %d bytes from %s", source, brought.n_bytes, brought.url)
        return
    if required:
        raise InputError(_not_had(source, url, failures))
    with replacing(out) as temporary:
        temporary.touch()
    write_receipt(Receipt(source, version, "", "", 0, "missing", "; ".join(failures)), receipt)
    log.warning("source '%s': missing; it is optional and the run goes on without it", source)


class _Kept:
    """A second name of the source's file and a copy of its receipt, beside it.

    Snakemake deletes the outputs of a job before it runs the job again, and a job runs again whenever one of its
    parameters changed. Its `update()` would keep them, but when the job then fails, the next run takes the old file
    for the new one (seen with snakemake 9.27). So what is kept lies under names that snakemake does not know.
    """

    def __init__(self, out: Path) -> None:
        self.file = out.with_name(f".{out.name}.kept")
        self._note = out.with_name(f".{out.name}.kept.json")
        self.receipt = read_receipt(self._note)

    def serves(self, urls: list[str], sha256: str, version: str) -> bool:
        """Whether the kept file is what would be fetched."""
        told = self.receipt
        if told is None or told.url not in urls or not self.file.is_file():
            return False
        if sha256 != told.sha256 and (sha256 != "first_use" or version != told.version):
            return False
        return sha256_of_file(self.file) == told.sha256

    def give(self, out: Path, version: str) -> Receipt:
        """Put the kept file at `out`; returns its receipt."""
        assert self.receipt is not None
        with replacing(out) as temporary:
            os.link(self.file, temporary)
        return replace(self.receipt, version=version)

    def take(self, out: Path, receipt: Receipt) -> None:
        """Keep the file at `out`. A local file is not kept: it is where it was."""
        self.file.unlink(missing_ok=True)
        if not is_file_url(receipt.url):
            try:
                os.link(out, self.file)
            except OSError as error:  # a file system without second names: the next change fetches it again
                log.info("%s: no second name on this file system: %s", out, error.strerror)
        write_receipt(receipt, self._note)


def _bring(
    source: str, urls: list[str], sha256: str, begins: str, out: Path, downloader: Downloader
) -> tuple[Brought | None, list[str]]:
    """Bring the file to `out`; returns what came, or None, and why the urls before it failed.

    What came before the process was killed lies beside `out` and is continued.
    """
    failures = []
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    notes = out.with_name(f".{out.name}.part.json")
    pinned = "" if sha256 == "first_use" else sha256
    with (
        closing(ByteMeter(source)) as meter,
        Partial(part, sha256=pinned, check=lambda: _KindCheck(part, begins), notes=notes, watch=meter) as partial,
    ):
        for address in partial.started_first(urls):
            try:
                brought = downloader.bring(address, partial)
            except NotBrought as reason:
                failures.append(f"{address}: {reason}")
                log.warning("source '%s': %s: %s", source, address, reason)
                continue
            with replacing(out) as temporary:
                os.replace(part, temporary)
            notes.unlink(missing_ok=True)
            return brought, failures
        if not partial.n_bytes:
            part.unlink()
    return None, failures


class _KindCheck:
    """Looks at the start of a whole file: it must not be a web page, and must begin as this kind of file does."""

    def __init__(self, path: Path, begins: str) -> None:
        self._path, self._begins, self._n_bytes = path, begins, 0

    def feed(self, data: bytes) -> None:
        """Raises WrongBytes for a body that does not end."""
        self._n_bytes += len(data)
        if self._n_bytes > MAX_SOURCE_BYTES:
            raise WrongBytes(f"more than {MAX_SOURCE_BYTES} bytes")

    def finish(self) -> None:
        """Raises WrongBytes for another kind of file."""
        with self._path.open("rb") as handle:
            start = handle.read(256).lstrip().lower()
        if start.startswith((b"<!doctype html", b"<html")):
            raise WrongBytes("a web page came in the place of the file")
        if wrong := check_shape(self._path, self._begins):
            raise WrongBytes(wrong)


def _changed(before: Receipt | None, now: Brought) -> str:
    if before is None or before.status != "fetched" or before.url != now.url or before.sha256 == now.sha256:
        return ""
    return f"{now.url} gives other bytes than before: sha256 was {before.sha256}, is {now.sha256}"


def _not_had(source: str, urls: list[str], failures: list[str]) -> str:
    """The text for a required source that cannot be had."""
    lines = [f"source '{source}' cannot be had; tried:", *(f"  {failure}" for failure in failures)]
    if not urls:
        lines = [f"source '{source}' cannot be had: no url is given"]
    path = CURATED if CURATED.is_file() else Path(__file__).resolve().parents[2] / CURATED
    row = read_sources(path).get(source) if path.is_file() else None
    places = [str(file_of_url(url)) for url in urls if is_file_url(url)]
    if row is not None and row["access"] == "by_hand" and places:
        lines.append(how_to_get(row["where_to_get"], places))
    lines.append(f"  or set sources.{source}.required: false in the configuration to go on without it")
    return "\n".join(lines)
