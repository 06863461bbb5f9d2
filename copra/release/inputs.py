"""What a release was made from: the files of the sources with their licences, and the configuration."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from copra.errors import InputError
from copra.fetch.sources import read_sources, resolve_source
from copra.files import replacing
from copra.provenance.results import Run

STRUCTURES = "pdb_structures"  # not in the configuration's list of sources: its urls are fetch.structure_urls


@dataclass(frozen=True)
class Input:
    """One source of a run; `url` is empty for a file that was brought by hand, `sha256` where it is missing."""

    source: str
    version: str
    kind: str
    status: str  # "fetched" | "missing" | "see entries": each structure has its own sum in the table `entries`
    url: str
    sha256: str
    licence: str
    redistribute: str  # "yes" | "no"
    citation: str
    where_to_get: str


def inputs_of(run: Run) -> dict[str, Input]:
    """The sources that the tables of a run rest on, by name: those in use but the weights of language models.

    Raises ConfigError for a source that sources.tsv does not have, InputError for an unreadable receipt.
    """
    path = run.curation / "sources.tsv"
    rows = read_sources(path)
    receipts = {receipt.get("source"): receipt for receipt in run.receipts()}
    found = {}
    for name in sorted(name for name, chosen in run.config.sources.items() if chosen.use):
        source, receipt = resolve_source(run.config, name), receipts.get(name, {})
        if source.kind == "weights":
            continue
        found[name] = Input(
            name, source.version, source.kind, str(receipt.get("status", "missing")),
            _public_url(str(receipt.get("url", ""))), str(receipt.get("sha256", "")), source.licence,
            "yes" if source.redistribute else "no", rows[name]["citation"], source.where_to_get,
        )  # fmt: skip
    if STRUCTURES in rows:
        row = rows[STRUCTURES]
        url = next((text for url in run.config.fetch.structure_urls if (text := _public_url(url))), "")
        found[STRUCTURES] = Input(
            STRUCTURES, row["version"], row["kind"], "see entries", url, "", row["licence"], row["redistribute"],
            row["citation"], row["where_to_get"],
        )  # fmt: skip
    return found


def write_inputs(inputs: dict[str, Input], path: Path) -> None:
    """Write sources.tsv: one line per source, tab-separated, in the order of their names."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow([field.name for field in fields(Input)])
        writer.writerows(astuple(inputs[name]) for name in sorted(inputs))


def public_config(run: Run) -> dict[str, Any]:
    """The configuration of a run without what is true on its machine only: folders, and where local files lay."""
    config = {key: value for key, value in run.description["config"].items() if key != "paths"}
    cleaned = _without_places(config)
    assert isinstance(cleaned, dict)
    return cleaned


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_places(part) for part in value]
    if isinstance(value, str) and value.startswith(("file:", "/", "~")):
        return f"file:{value.rpartition('/')[2].removeprefix('file:')}"
    return value


def _public_url(url: str) -> str:
    return "" if url.startswith("file:") else url


@dataclass(frozen=True)
class Column:
    """What columns.tsv says of one column."""

    unit: str
    description: str

    @property
    def text(self) -> str:
        """Description and unit in one sentence."""
        return f"{self.description} [{self.unit}]" if self.unit else self.description


def read_columns(path: Path) -> dict[tuple[str, str], Column]:
    """(table, column) -> what columns.tsv says of it; raises InputError when it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            rows = {(row["table"], row["column"]): Column(row["unit"], row["description"]) for row in reader}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected the columns table, column, unit, description: {error}") from error
    return rows
