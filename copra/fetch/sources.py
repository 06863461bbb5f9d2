"""The sources: resources/curation/sources.tsv with what the configuration overrides.

The Snakefile imports this while it builds the job graph, so nothing here loads pandas or the network.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from copra.bounded import GZIP_MAGIC
from copra.config import Config
from copra.errors import ConfigError, InputError
from copra.fetch.download import file_of_url, is_file_url

COLUMNS = (
    "source", "version", "kind", "format", "ddg_sign", "filename", "urls", "access", "sha256", "bytes", "begins",
    "licence", "redistribute", "citation", "where_to_get",
)  # fmt: skip
KINDS = ("entries", "obsolete", "structures", "affinity", "mutations", "pairs", "weights")
CHOICES = (
    ("kind", KINDS),
    ("ddg_sign", ("", "mut_minus_wt", "wt_minus_mut")),
    ("access", ("open", "by_hand")),
    ("redistribute", ("yes", "no")),
)
SHAPE_BYTES = 1 << 16  # how much of a file's start is looked at
SHOWN_BYTES = 100


@dataclass(frozen=True)
class Source:
    """One source as a run uses it; `urls` are tried in order."""

    name: str
    version: str
    kind: str
    format: str
    ddg_sign: str  # what the ddG of a source of mutations is; "" for other kinds
    filename: str
    urls: tuple[str, ...]
    access: str  # "open" | "by_hand"
    sha256: str  # hexadecimal, or "first_use": whatever comes first is recorded in the receipt
    n_bytes: int | None  # None where the size is not known beforehand
    begins: str  # a regular expression for the start of the content, "" where none is known
    licence: str
    redistribute: bool
    where_to_get: str


def read_sources(path: Path) -> dict[str, dict[str, str]]:
    """The rows of sources.tsv by source; raises InputError naming file, line and column of what is wrong."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the table of sources")
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise InputError(f"{path}: expected the columns {COLUMNS}, found {reader.fieldnames}")
        rows: dict[str, dict[str, str]] = {}
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise InputError(f"{where}: expected {len(COLUMNS)} cells")
            _check_row(row, where)
            if row["source"] in rows:
                raise InputError(f"{where}: source '{row['source']}' stands there twice")
            rows[row["source"]] = row
    return rows


def _check_row(row: dict[str, str], where: str) -> None:
    for column, allowed in CHOICES:
        if row[column] not in allowed:
            raise InputError(f"{where}: {column} is '{row[column]}', expected one of {', '.join(allowed)}")
    if (row["kind"] == "mutations") != bool(row["ddg_sign"]):
        raise InputError(f"{where}: ddg_sign is '{row['ddg_sign']}'; sources of mutations state it, no others do")
    for column in ("source", "format"):
        if not re.fullmatch(r"\w*", row[column], re.ASCII):
            raise InputError(f"{where}: {column} is '{row[column]}', expected letters, digits and '_'")
    if not re.fullmatch(r"([0-9a-f]{64}|first_use)?", row["sha256"]):
        raise InputError(f"{where}: sha256 is '{row['sha256']}', expected 64 hexadecimal digits or first_use")
    if not re.fullmatch(r"\d*", row["bytes"]):
        raise InputError(f"{where}: bytes is '{row['bytes']}', expected a number or nothing")
    try:
        re.compile(row["begins"].encode())
    except re.error as error:
        raise InputError(f"{where}: begins is '{row['begins']}', expected a regular expression: {error}") from error


def resolve_source(config: Config, name: str) -> Source:
    """A source of the configuration, its overrides laid over its row in sources.tsv.

    `{by_hand}` and `{filename}` in urls, `{released_until}` in urls and version are replaced. Raises ConfigError when
    there is no such source or when its filename is none.
    """
    rows = read_sources(Path(config.paths.curation) / "sources.tsv")
    if name not in config.sources or name not in rows:
        missing = "config.sources" if name not in config.sources else f"{config.paths.curation}/sources.tsv"
        raise ConfigError(f"sources: '{name}' is not in {missing}")
    chosen, row = config.sources[name], rows[name]
    filename = row["filename"] if chosen.filename is None else chosen.filename
    _check_filename(name, filename)
    urls = row["urls"].split() if chosen.urls is None else chosen.urls
    places = {
        "{by_hand}": config.paths.by_hand, "{filename}": filename, "{released_until}": config.fetch.released_until
    }  # fmt: skip
    filled = [_fill(url, places) for url in urls]
    return Source(
        name=name,
        version=_fill(row["version"] if chosen.version is None else chosen.version, places),
        kind=row["kind"],
        format=row["format"],
        ddg_sign=row["ddg_sign"],
        filename=filename,
        urls=tuple(filled),
        access=row["access"] if chosen.urls is None else "by_hand" if all(map(is_file_url, filled)) else "open",
        sha256=(row["sha256"] or "first_use") if chosen.sha256 is None else chosen.sha256,
        n_bytes=int(row["bytes"]) if row["bytes"] and chosen.urls is None else None,
        begins=row["begins"],
        licence=row["licence"],
        redistribute=row["redistribute"] == "yes",
        where_to_get=row["where_to_get"],
    )


def _fill(text: str, places: dict[str, str]) -> str:
    # not str.format: a url may hold braces of its own
    for place, value in places.items():
        text = text.replace(place, value)
    return text


def _check_filename(name: str, filename: str) -> None:
    """The file lies in the source's own folder, under a name that a rule can use and that is not its receipt's."""
    if (
        filename in ("", ".")
        or ".." in filename
        or set(filename) & set("/\\{}")
        or not filename.isprintable()
        or filename.endswith(".receipt.json")
    ):
        raise ConfigError(
            f"sources.{name}.filename: found '{filename}'; expected the plain name of a file, without a slash, "
            "a backslash, '..', braces or what cannot be printed, that does not end in .receipt.json"
        )


def check_shape(path: Path, begins: str) -> str:
    """What is wrong with the start of a file: "" where its first 64 KiB match the regular expression `begins`.

    A gzip file is looked at unpacked, whatever its name, and a byte order mark is passed over. The text says what was
    expected and what stands there.
    """
    if not begins:
        return ""
    try:
        with path.open("rb") as handle:
            packed = handle.read(2) == GZIP_MAGIC
        with gzip.open(path) if packed else path.open("rb") as content:
            start = content.read(SHAPE_BYTES).removeprefix(b"\xef\xbb\xbf")
    except (OSError, EOFError, zlib.error) as error:
        return f"the file cannot be read: {error}"
    if re.match(begins.encode(), start):
        return ""
    found = start[:SHOWN_BYTES].decode("utf-8", "replace")
    return f"another kind of file: expected a start that matches {begins!r}, found {found!r}"


def absent_by_hand(config: Config) -> list[tuple[Source, list[Path]]]:
    """The required sources whose local file is not there, each with the places where it may be put."""
    absent = []
    for name, chosen in config.sources.items():
        if not chosen.use or not chosen.required:
            continue
        source = resolve_source(config, name)
        files = [file_of_url(url) for url in source.urls if is_file_url(url)]
        if len(files) == len(source.urls) and not any(file.is_file() for file in files):
            absent.append((source, files))
    return absent


def missing_by_hand(config: Config) -> list[str]:
    """One text per required source whose local file is not there: which file, where it is had, where it goes."""
    return [
        f"source '{source.name}' ({source.version or 'version not stated'}): the file {source.filename} is not here\n"
        f"{how_to_get(source.where_to_get, [str(file) for file in files])}\n"
        f"  to go on without it: set sources.{source.name}.required: false in the configuration"
        for source, files in absent_by_hand(config)
    ]


def how_to_get(where_to_get: str, places: list[str]) -> str:
    """The two lines that tell a person where a file is had and where it goes."""
    return f"  get it: {where_to_get or 'not stated in sources.tsv'}\n  put it: {' or '.join(places)}"
