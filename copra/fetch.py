"""Bringing bytes: source files and coordinate files. Nothing is parsed beyond what names a file.

The only module of the package that reaches the network.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from copra.config_file import load_config
from copra.download import Brought, Downloader, NotBrought, file_of_url, is_file_url
from copra.errors import InputError
from copra.files import replacing, sha256_of_file
from copra.progress import progress
from copra.sources import Source, how_to_get, missing_by_hand, read_sources, resolve_source

__all__ = [
    "Source", "fetch_source", "fetch_structures", "missing_by_hand", "resolve_source", "sources"
]  # fmt: skip

log = logging.getLogger(__name__)

CURATED = Path("resources") / "curation" / "sources.tsv"
ID_PATTERN = re.compile(r"^[A-Za-z0-9_]+$")
ENDINGS = (".cif.gz", ".pdb.gz", ".cif", ".pdb")


@dataclass(frozen=True)
class Receipt:
    """What stands beside a brought file."""

    source: str
    version: str
    url: str
    sha256: str
    bytes: int
    status: str  # "fetched" | "missing"
    detail: str


def _write_text(text: str, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write_receipt(receipt: Receipt, path: Path) -> None:
    _write_text(json.dumps(asdict(receipt), indent=2, sort_keys=True) + "\n", path)


def _read_receipt(path: Path) -> Receipt | None:
    try:
        return Receipt(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def sources(config: list[Path]) -> None:
    """Print every source of a configuration: its licence, where it is had and whether it is here.

    Of several configuration files the later ones override parts of the first.
    """
    settings = load_config(*config)
    rows = [("source", "kind", "needed", "access", "licence", "state", "from")]
    for name, chosen in settings.sources.items():
        source = resolve_source(settings, name)
        path = Path(settings.paths.raw) / "sources" / name / source.filename
        needed = "required" if chosen.required else "optional"
        start = source.where_to_get if source.access == "by_hand" else " ".join(source.urls[:1])
        state = _state(path, source)
        use = needed if chosen.use else "not used"
        rows.append((name, source.kind, use, source.access, source.licence[:40], state, start[:100]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for text in missing_by_hand(settings):
        print(f"\n{text}")


def _state(path: Path, source: Source) -> str:
    receipt = _read_receipt(path.with_name(f"{path.name}.receipt.json"))
    if receipt is None or not path.is_file():
        ready = any(is_file_url(url) and file_of_url(url).is_file() for url in source.urls)
        return "put by hand, not taken yet" if ready else "not here"
    if receipt.status == "missing":
        return "missing"
    return f"here, {receipt.bytes} bytes" if path.stat().st_size == receipt.bytes else "changed since it was fetched"


def fetch_source(
    source: str, *, url: list[str], sha256: str, version: str, required: bool, timeout_s: float, retries: int,
    out: Path, receipt: Path,
) -> None:  # fmt: skip
    """Bring one file of a source from the first of its urls that gives the right bytes.

    `sha256` is the hexadecimal sum to expect, or "first_use": then what comes is recorded in the receipt. A source
    that cannot be had and is not required becomes an empty file and a receipt with the status "missing".
    Raises InputError, telling every url and why it failed, when a required source cannot be had.
    """
    if not re.fullmatch(r"[0-9a-f]{64}|first_use", sha256):
        raise InputError(f"source '{source}': sha256 is '{sha256}', expected 64 hexadecimal digits or first_use")
    before = _read_receipt(receipt)
    failures = []
    downloader = Downloader(connections=1, retries=retries, timeout_s=timeout_s)
    for address in url:
        try:
            with replacing(out) as temporary:
                brought = downloader.bring(address, temporary)
                _check_source(brought, temporary, sha256)
        except NotBrought as reason:
            failures.append(f"{address}: {reason}")
            log.warning("source '%s': %s: %s", source, address, reason)
            continue
        detail = _changed(before, brought)
        if detail:
            log.warning("source '%s': %s", source, detail)
        _write_receipt(Receipt(source, version, address, brought.sha256, brought.n_bytes, "fetched", detail), receipt)
        log.info("source '%s': %d bytes from %s", source, brought.n_bytes, address)
        return
    if required:
        raise InputError(_not_had(source, url, failures))
    _write_text("", out)
    _write_receipt(Receipt(source, version, "", "", 0, "missing", "; ".join(failures)), receipt)
    log.warning("source '%s': missing; it is optional and the run goes on without it", source)


def _check_source(brought: Brought, path: Path, sha256: str) -> None:
    if sha256 not in ("first_use", brought.sha256):
        raise NotBrought(f"wrong bytes: expected sha256 {sha256}, found {brought.sha256}")
    if not brought.n_bytes:
        raise NotBrought("the file is empty")
    with path.open("rb") as handle:
        start = handle.read(256).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise NotBrought("a web page came in the place of the file")


def _changed(before: Receipt | None, now: Brought) -> str:
    if before is None or before.status != "fetched" or before.url != now.url or before.sha256 == now.sha256:
        return ""
    return f"{now.url} gives other bytes than before: sha256 was {before.sha256}, is {now.sha256}"


def _not_had(source: str, urls: list[str], failures: list[str]) -> str:
    """The text for a required source that cannot be had."""
    lines = [f"source '{source}' cannot be had; tried:", *(f"  {failure}" for failure in failures)]
    if not urls:
        lines = [f"source '{source}' cannot be had: no url is given"]
    path = CURATED if CURATED.is_file() else Path(__file__).resolve().parent.parent / CURATED
    row = read_sources(path).get(source) if path.is_file() else None
    places = [str(file_of_url(url)) for url in urls if is_file_url(url)]
    if row is not None and row["access"] == "by_hand" and places:
        lines.append(how_to_get(row["where_to_get"], places))
    lines.append(f"  or set sources.{source}.required: false in the configuration to go on without it")
    return "\n".join(lines)


def fetch_structures(
    wanted: Path, *, shard: int, url: list[str], folder: Path, parallel_downloads: int, retries: int,
    timeout_s: float, out: Path,
) -> None:  # fmt: skip
    """Bring the coordinate files of one shard of entries into `folder`/{mid}/{id}.cif.gz (or as the url ends).

    `url` are templates with {id} and {mid}, tried in order; {mid} is the two characters before the last of an id.
    A file that is here and whole is not fetched again. One that cannot be had is a row with status "missing".
    """
    import pandas as pd

    from copra.tables import TABLES, read_table, write_table

    for template in url:
        _ending(template)
    table = read_table(wanted, "wanted_entries")
    ids = sorted(table.loc[table["shard"] == shard, "pdb_id"])
    if strange := [pdb_id for pdb_id in ids if not ID_PATTERN.fullmatch(pdb_id)]:
        raise InputError(f"{wanted}: expected PDB ids of letters, digits and '_', found {strange}")
    downloader = Downloader(connections=parallel_downloads, retries=retries, timeout_s=timeout_s)
    with ThreadPoolExecutor(parallel_downloads) as pool:
        futures = pool.map(lambda pdb_id: _fetch_structure(pdb_id, url, folder, downloader), ids)
        rows = list(progress(futures, f"structures of shard {shard}", len(ids)))
    write_table(pd.DataFrame(rows, columns=TABLES["fetched"].schema().names), out, "fetched")
    here = sum(row["status"] == "fetched" for row in rows)
    log.info("structures of shard %d: %d here, %d missing", shard, here, len(rows) - here)


def _ending(template: str) -> str:
    for ending in ENDINGS:
        if template.endswith(ending):
            return ending
    raise InputError(f"structure url '{template}': expected an ending of {', '.join(ENDINGS)}")


def _fetch_structure(pdb_id: str, urls: list[str], folder: Path, downloader: Downloader) -> dict[str, str | int]:
    """The row of one entry: the file that is here already, or what the first good url gives."""
    mid = pdb_id[-3:-1]
    endings = list(dict.fromkeys(_ending(url) for url in urls))
    paths = {ending: folder / mid / f"{pdb_id}{ending}" for ending in endings}
    for path in paths.values():
        receipt = _whole(path)
        if receipt is not None:
            return _row(pdb_id, path, receipt)
    failures = []
    for template in urls:
        address = template.replace("{id}", pdb_id).replace("{mid}", mid)
        path = paths[_ending(template)]
        try:
            with replacing(path) as temporary:
                brought = downloader.bring(address, temporary)
                _check_structure(temporary, path.name.endswith(".gz"))
        except NotBrought as reason:
            failures.append(f"{address}: {reason}")
            continue
        receipt = Receipt(pdb_id, "", address, brought.sha256, brought.n_bytes, "fetched", "")
        _write_receipt(receipt, path.with_name(f"{path.name}.receipt.json"))
        return _row(pdb_id, path, receipt)
    log.warning("%s: missing: %s", pdb_id, "; ".join(failures))
    return _row(pdb_id, "", Receipt(pdb_id, "", "", "", 0, "missing", "; ".join(failures)))


def _whole(path: Path) -> Receipt | None:
    """The receipt of a file that is here as it came, or was put here by hand and is whole; else None."""
    if not path.is_file():
        return None
    sha256 = sha256_of_file(path)
    receipt = _read_receipt(path.with_name(f"{path.name}.receipt.json"))
    if receipt is not None:
        return receipt if receipt.sha256 == sha256 else None
    try:
        _check_structure(path, path.name.endswith(".gz"))
    except NotBrought:
        return None
    return Receipt("", "", "", sha256, path.stat().st_size, "fetched", "found in the folder")


def _check_structure(path: Path, zipped: bool) -> None:
    """Refuse what is not a whole gzip file, or holds no coordinates."""
    try:
        data = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise NotBrought(f"not a whole gzip file: {error}") from error
    if b"ATOM" not in data and b"_atom_site." not in data:
        raise NotBrought("no coordinates in the file")


def _row(pdb_id: str, path: Path | str, receipt: Receipt) -> dict[str, str | int]:
    told = {name: getattr(receipt, name) for name in ("status", "url", "sha256", "bytes", "detail")}
    return {"pdb_id": pdb_id, "path": str(path), **told}
