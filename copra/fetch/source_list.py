"""The list that `copra sources` prints: each source, its licence, where it is had and whether it is here."""

from __future__ import annotations

import textwrap
from pathlib import Path

from copra.config import Config
from copra.config_file import load_config
from copra.fetch.download import file_of_url, is_file_url
from copra.fetch.receipts import Receipt, read_receipt, receipt_path
from copra.fetch.sources import Source, missing_by_hand, read_sources, resolve_source

WIDTH = 160
HEADINGS = ("source", "kind", "needed", "access", "pin", "redistribute", "licence", "bytes", "retrieved", "state")
NAME_WIDTH, LICENCE_WIDTH = 16, 34
HERE = "here"
STRUCTURE_ENDINGS = (".cif.gz", ".pdb.gz", ".cif", ".pdb")


def sources(config: list[Path]) -> None:
    """Print every source of a configuration: its licence, where it is had and whether it is here.

    Of several configuration files the later ones override parts of the first. `pin` is the start of the sha256 that
    the file must have, or says that the first one to come is recorded; `bytes` and `retrieved` are the receipt's where
    the file is here, else the size that the table of sources states.
    """
    print("\n".join(_lines(load_config(*config))))  # noqa: T201 (this verb is for reading)


def _lines(settings: Config) -> list[str]:
    used = [resolve_source(settings, name) for name in settings.sources]
    rows = [HEADINGS, *(_row(settings, source) for source in used), _structures_row(settings)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if h == "bytes" else c.ljust(w) for c, w, h in zip(row, widths, HEADINGS, strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines += ["", "Where they come from, tried in this order:"]
    for source in used:
        lines += _place_lines(source.name, _places(source))
    lines += _place_lines("pdb_structures", settings.fetch.structure_urls)
    for text in missing_by_hand(settings):
        lines += ["", text]
    return lines


def _row(settings: Config, source: Source) -> tuple[str, ...]:
    chosen = settings.sources[source.name]
    path = Path(settings.paths.raw) / "sources" / source.name / source.filename
    receipt = read_receipt(receipt_path(path))
    state = _state(path, receipt, source)
    here = receipt if state == HERE else None
    n_bytes = here.bytes if here else source.n_bytes
    return (
        source.name,
        source.kind,
        ("required" if chosen.required else "optional") if chosen.use else "not used",
        source.access,
        "first use" if source.sha256 == "first_use" else source.sha256[:8],
        "yes" if source.redistribute else "no",
        textwrap.shorten(source.licence or "not stated", LICENCE_WIDTH, placeholder="..."),
        "" if n_bytes is None else f"{n_bytes:,}",
        here.retrieved[:10] if here else "",
        state,
    )


def _state(path: Path, receipt: Receipt | None, source: Source) -> str:
    if receipt is None or not path.is_file():
        ready = any(is_file_url(url) and file_of_url(url).is_file() for url in source.urls)
        return "not taken yet" if ready else "not here"
    if receipt.status == "missing":
        return "could not be had"
    return HERE if path.stat().st_size == receipt.bytes else "changed since"


def _structures_row(settings: Config) -> tuple[str, ...]:
    row = read_sources(Path(settings.paths.curation) / "sources.tsv")["pdb_structures"]
    urls = settings.fetch.structure_urls
    return (
        row["source"],
        row["kind"],
        "required" if settings.fetch.missing_structures == "stop" else "optional",
        "by_hand" if all(map(is_file_url, urls)) else row["access"],
        "first use",
        row["redistribute"],
        textwrap.shorten(row["licence"], LICENCE_WIDTH, placeholder="..."),
        "",
        "",
        _structures_state(Path(settings.paths.raw) / "structures", Path(settings.paths.results)),
    )


def _structures_state(folder: Path, results: Path) -> str:
    """How many of the wanted entries have a coordinate file in the folder; only names are looked at."""
    names = (path.name for path in folder.glob("*/*") if not path.name.startswith("."))
    here = {name.removesuffix(end) for name in names for end in STRUCTURE_ENDINGS if name.endswith(end)}
    wanted = results / "entries" / "wanted.parquet"
    if not wanted.is_file():
        return f"{len(here):,} here" if here else "not here"
    import pyarrow.parquet as pq

    # one column, not the checked table: a list must not fail on what an older version left behind
    ids = set(pq.read_table(wanted, columns=["pdb_id"])["pdb_id"].to_pylist())
    return f"{len(ids & here):,} of {len(ids):,} here"


def _places(source: Source) -> list[str]:
    """The urls, and where a person gets the file as long as it is not there."""
    absent = not any(is_file_url(url) and file_of_url(url).is_file() for url in source.urls)
    return [*source.urls, *([source.where_to_get] if source.access == "by_hand" and absent else [])]


def _place_lines(name: str, places: list[str]) -> list[str]:
    lines = []
    for i, place in enumerate(places):
        lead = f"  {name if i == 0 else '':<{NAME_WIDTH}} "
        if place.startswith(("http:", "https:", "file:")) and " " not in place:  # a url is cut, never broken
            room = WIDTH - len(lead)
            lines.append(lead + (place if len(place) <= room else f"{place[: room - 3]}..."))
        else:
            lines += textwrap.wrap(place, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead))
    return lines
