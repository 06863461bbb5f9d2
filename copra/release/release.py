"""The datasets of a run as one folder that may be given away: tables, splits, metadata, data card."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from copra.errors import InputError
from copra.files import replacing
from copra.provenance.results import Run, load_run
from copra.release.card import data_card, licences
from copra.release.contents import About, files_of
from copra.release.croissant import croissant
from copra.release.inputs import inputs_of, public_config, read_columns, write_inputs
from copra.release.licence import Released, released_tables
from copra.release.rocrate import METADATA, SUMS, ro_crate
from copra.release.splits import write_splits
from copra.tables import write_table

log = logging.getLogger(__name__)


def release(results: Path, *, config: Path, out: Path) -> None:
    """Write the datasets of the run in `results` into the folder `out`, without what a licence forbids.

    `config` is the run's run.json. `out` is there whole or not at all; an earlier release is replaced. The same run
    gives the same bytes. Raises InputError when `out` holds anything but a release, or a table cannot be read.
    """
    out = out.absolute()
    _put_back(out)
    _refuse_other_folder(out)
    run = load_run(results, config)
    inputs = inputs_of(run)
    released = released_tables(run, inputs)
    columns = read_columns(run.curation / "columns.tsv")
    about = _about(run)
    with _replacing_folder(out) as folder:
        for name, table in released.tables.items():
            write_table(table, folder / f"tables/{name}.parquet", name)
            write_csv(folder / f"tables/{name}.parquet", folder / f"tables/{name}.csv")
        kept_back = write_splits(run, released.tables, folder / "splits")
        write_inputs(inputs, folder / "sources.tsv")
        _write_json(public_config(run), folder / "config.json")
        card = data_card(run, about, released, inputs, columns, kept_back, folder / "config.json")
        _write_text(card, folder / "DATA_CARD.md")
        _write_text(licences(about, released, inputs, kept_back), folder / "LICENCES.md")
        described = croissant(about, files_of(folder), list(released.tables), columns)
        _write_json(described, folder / "croissant.json")
        _write_json(ro_crate(about, files_of(folder), inputs), folder / METADATA)
        _write_text("".join(f"{file.sha256}  {file.path}\n" for file in files_of(folder)), folder / SUMS)
    _tell(released, out)


def _about(run: Run) -> About:
    versions = run.description.get("versions", {})
    title, notice = run.config.evaluate.title, run.config.evaluate.notice
    return About(
        name="PRA310 and PRI30k as rebuilt by copra",
        description=f"{title}. Protein-RNA complexes with measured binding free energies, each label traced to its "
        "sources, and pairs of protein and RNA chains for pre-training." + (f" {notice}" if notice else ""),
        version=str(versions.get("copra", "unknown")),
        git_commit=str(run.description.get("git_commit", "unknown")),
        # no clock: equal runs give equal bytes. The cut-off of the data is the one date that a run knows
        date=run.config.fetch.released_until,
        versions=tuple(sorted((str(name), str(version)) for name, version in versions.items())),
    )


def write_csv(parquet: Path, out: Path) -> None:
    """Write a table as CSV in UTF-8: a heading, numbers in full precision, true and false, nothing where missing."""
    table = pd.read_parquet(parquet)
    for name in table.columns[table.dtypes == "bool"]:
        table[name] = table[name].map({True: "true", False: "false"})
    with replacing(out) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")


def _refuse_other_folder(out: Path) -> None:
    """A release is a folder whose files its own list of sums names; nothing else is ever overwritten."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: expected a folder for the release, found a file")
    sums = out / SUMS
    listed = (
        {line.partition("  ")[2] for line in sums.read_text(encoding="utf-8").splitlines()} if sums.is_file() else set()
    )
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    strangers = sorted(found - listed - {SUMS})
    if strangers:
        raise InputError(f"{out}: expected no folder or an earlier release, found {strangers[0]}: choose another --out")


@contextmanager
def _replacing_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out`; on success it takes the place of `out`, else `out` stays as it was."""
    new, old = _beside(out, "tmp"), _beside(out, "old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        if out.exists():
            os.replace(out, old)
        os.replace(new, out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _put_back(out: Path) -> None:
    """Undo what a process killed between the two renames of `_replacing_folder` left."""
    if _beside(out, "old").exists() and not out.exists():
        os.replace(_beside(out, "old"), out)


def _beside(out: Path, part: str) -> Path:
    return out.with_name(f".{out.name}.{part}")


def _write_json(value: dict[str, Any], path: Path) -> None:
    _write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", path)


def _write_text(text: str, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _tell(released: Released, out: Path) -> None:
    for part in released.left_out:
        if part.n_left_out or part.n_cut:
            log.info(
                "%s of %s: %d rows, %d left out, %d without their texts", part.table, part.source, part.n_rows,
                part.n_left_out, part.n_cut,
            )  # fmt: skip
    log.info("release: %d tables in %s", len(released.tables), out)
