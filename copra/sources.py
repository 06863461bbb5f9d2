"""The sources: resources/curation/sources.tsv with what the configuration overrides.

The Snakefile imports this while it builds the job graph, so nothing here loads pandas or the network.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from copra.config import Config
from copra.download import file_of_url, is_file_url
from copra.errors import ConfigError, InputError

COLUMNS = (
    "source", "version", "kind", "format", "filename", "urls", "access", "sha256", "bytes", "licence",
    "redistribute", "citation", "where_to_get",
)  # fmt: skip
KINDS = ("entries", "structures", "affinity", "mutations", "pairs", "weights")


@dataclass(frozen=True)
class Source:
    """One source as a run uses it; `urls` are tried in order."""

    name: str
    version: str
    kind: str
    format: str
    filename: str
    urls: tuple[str, ...]
    access: str  # "open" | "by_hand"
    sha256: str  # hexadecimal, or "first_use": whatever comes first is recorded in the receipt
    licence: str
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
            for column, allowed in (("kind", KINDS), ("access", ("open", "by_hand")), ("redistribute", ("yes", "no"))):
                if row[column] not in allowed:
                    raise InputError(f"{where}: {column} is '{row[column]}', expected one of {', '.join(allowed)}")
            if row["source"] in rows:
                raise InputError(f"{where}: source '{row['source']}' stands there twice")
            rows[row["source"]] = row
    return rows


def resolve_source(config: Config, name: str) -> Source:
    """A source of the configuration, its overrides laid over its row in sources.tsv.

    `{by_hand}` and `{filename}` in urls are replaced. Raises ConfigError when there is no such source.
    """
    rows = read_sources(Path(config.paths.curation) / "sources.tsv")
    if name not in config.sources or name not in rows:
        missing = "config.sources" if name not in config.sources else f"{config.paths.curation}/sources.tsv"
        raise ConfigError(f"sources: '{name}' is not in {missing}")
    chosen, row = config.sources[name], rows[name]
    filename = row["filename"] if chosen.filename is None else chosen.filename
    urls = row["urls"].split() if chosen.urls is None else chosen.urls
    filled = [url.replace("{by_hand}", config.paths.by_hand).replace("{filename}", filename) for url in urls]
    return Source(
        name=name,
        version=row["version"] if chosen.version is None else chosen.version,
        kind=row["kind"],
        format=row["format"],
        filename=filename,
        urls=tuple(filled),
        access=row["access"] if chosen.urls is None else "by_hand" if all(map(is_file_url, filled)) else "open",
        sha256=(row["sha256"] or "first_use") if chosen.sha256 is None else chosen.sha256,
        licence=row["licence"],
        where_to_get=row["where_to_get"],
    )


def missing_by_hand(config: Config) -> list[str]:
    """One text per required source whose local file is not there: which file, where it is had, where it goes."""
    texts = []
    for name, chosen in config.sources.items():
        if not chosen.use or not chosen.required:
            continue
        source = resolve_source(config, name)
        files = [file_of_url(url) for url in source.urls if is_file_url(url)]
        if len(files) < len(source.urls) or any(file.is_file() for file in files):
            continue
        texts.append(
            f"source '{name}' ({source.version or 'version not stated'}): the file {source.filename} is not here\n"
            f"{how_to_get(source.where_to_get, [str(file) for file in files])}\n"
            f"  to go on without it: set sources.{name}.required: false in the configuration"
        )
    return texts


def how_to_get(where_to_get: str, places: list[str]) -> str:
    """The two lines that tell a person where a file is had and where it goes."""
    return f"  get it: {where_to_get or 'not stated in sources.tsv'}\n  put it: {' or '.join(places)}"
