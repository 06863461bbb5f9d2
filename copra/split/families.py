"""Split families: named ways to deal the records into folds, each a file of plain ids."""

from __future__ import annotations

import csv
import logging
import re
from bisect import bisect_right
from pathlib import Path

import pandas as pd

from copra.config_split import ByDate
from copra.errors import InputError
from copra.files import replacing
from copra.tables import empty_table, read_table, write_table

log = logging.getLogger(__name__)

NO_DATE = "no_release_date"
NOT_IN_FILE = "not_in_file"


def write_family(dealt: pd.DataFrame, left_out: dict[str, str], out: Path, ids: Path) -> None:
    """Write the table `folds` and the plain-text file of a family.

    `dealt` has record_id, cluster and fold. `left_out` maps the records that have no fold to the reason; the text
    file (record_id, cluster, fold, note, tab-separated, sorted) names them too, so every record is in it.
    """
    names = list(empty_table("folds").columns)
    write_table(dealt[names] if len(dealt) else empty_table("folds"), out, "folds")
    lines = {
        record: f"{record}\t{cluster}\t{fold}\t"
        for record, cluster, fold in dealt[names].itertuples(index=False, name=None)
    }
    lines |= {record: f"{record}\t\t\t{reason}" for record, reason in left_out.items()}
    with replacing(ids) as temporary:
        temporary.write_text(
            "\n".join(["record_id\tcluster\tfold\tnote", *(lines[r] for r in sorted(lines))]) + "\n", encoding="utf-8"
        )
    if left_out:
        counts = pd.Series(left_out, dtype=str).value_counts().sort_index()
        log.warning("%d records have no fold: %s", len(left_out), dict(counts))


def training_side(folds: pd.DataFrame, fold: int, method: str) -> pd.Series:
    """Which rows of the table `folds` are trained on when `fold` is tested: bool, one per row.

    The earlier folds where the family is by date, all others elsewhere.
    """
    return folds["fold"] < fold if method == "release_date" else folds["fold"] != fold


def held_out_folds(folds: pd.DataFrame, method: str) -> list[int]:
    """The folds that are tested; by date the first block is only trained on."""
    found = sorted(int(fold) for fold in folds["fold"].unique())
    return [fold for fold in found if fold > 0] if method == "release_date" else found


def assign_by_date(records: Path, *, entries: Path, clusters: Path, settings: ByDate, out: Path, ids: Path) -> None:
    """Deal the records into blocks by the release date of their entry: fold 0 is released before the first date.

    A record released on one of the dates `settings.test_from` or later is in the block that begins with that
    date; when fold k is tested, folds before k are trained on. A record whose entry states no date has no fold.
    Raises InputError for a record whose entry is not in `entries`.
    """
    table = _grouped(records, clusters)
    dates = read_table(entries, "entries").set_index("pdb_id")["release_date"]
    strangers = sorted(set(table["pdb_id"]) - set(dates.index))
    if strangers:
        raise InputError(f"{entries}: expected the entries of {records}; not there: {strangers[:3]}")
    table["date"] = dates.loc[table["pdb_id"]].to_numpy()
    dated = table[table["date"] != ""]
    fold = [bisect_right(settings.test_from, date) for date in dated["date"]]
    left_out = dict.fromkeys(table.loc[table["date"] == "", "record_id"], NO_DATE)
    write_family(dated.assign(fold=fold), left_out, out, ids)


def read_folds(records: Path, *, published: Path, clusters: Path, out: Path, ids: Path) -> None:
    """Deal the records as a file says that names entries or records.

    The file is tab- or comma-separated with a heading: `record_id` or `PDB`, and either `fold` or columns
    `fold_0`, `fold_1`, ... that hold `train` or `val`, where `val` marks the fold that holds the row out. An empty
    fold is none. Raises InputError for a heading or a row that is not so, and for an id that stands in two folds.
    """
    table = _grouped(records, clusters)
    column, stated = _stated_folds(published)
    names = table["record_id"] if column == "record_id" else table["pdb_id"]
    here = names.isin(stated.keys())
    left_out = dict.fromkeys(table.loc[~here, "record_id"], NOT_IN_FILE)
    fold = [stated[name] for name in names[here]]
    write_family(table[here].assign(fold=fold), left_out, out, ids)
    log.info("%d of the %d ids of %s name no record", len(stated.keys() - set(names)), len(stated), published)


def choose_family(folds: Path, *, clusters: Path, folds_out: Path, clusters_out: Path) -> None:
    """Put the folds and clusters of the configured family where training and evaluation read them."""
    write_table(read_table(folds, "folds"), folds_out, "folds")
    write_table(read_table(clusters, "clusters"), clusters_out, "clusters")


def _grouped(records: Path, clusters: Path) -> pd.DataFrame:
    """record_id, pdb_id and cluster of every record, sorted; InputError where the two files differ."""
    table = read_table(records, "records")[["record_id", "pdb_id"]]
    groups = read_table(clusters, "clusters")[["record_id", "cluster"]]
    strangers = sorted(set(table["record_id"]) ^ set(groups["record_id"]))
    if strangers:
        raise InputError(f"{clusters} and {records} name different records; the first at fault: {strangers[:3]}")
    return table.merge(groups, on="record_id").sort_values("record_id", ignore_index=True)


def _stated_folds(path: Path) -> tuple[str, dict[str, int]]:
    """The column that names the rows (record_id or pdb_id), and the fold of each name."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
        reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
        heading, rows = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable text file: {error}") from error
    named = next((name for name in ("record_id", "PDB", "pdb_id") if name in heading), None)
    marks = [f"fold_{k}" for k in range(len(heading)) if f"fold_{k}" in heading]
    if named is None or ("fold" not in heading and not marks):
        raise InputError(f"{path}: expected the columns record_id or PDB, and fold or fold_0, ...; found {heading}")
    stated: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        name = (row[named] or "").strip()
        fold = _plain_fold(row, path, number) if "fold" in heading else _marked_fold(row, marks, path, number)
        if fold is None:
            continue
        name = name if named == "record_id" else name.lower()
        if not name or stated.setdefault(name, fold) != fold:
            raise InputError(f"{path}: row {number}: expected each id in one fold, found {name!r} in {fold} too")
    return ("record_id" if named == "record_id" else "pdb_id"), stated


def _plain_fold(row: dict[str, str], path: Path, number: int) -> int | None:
    text = (row["fold"] or "").strip()
    if text and not re.fullmatch("[0-9]{1,9}", text):
        raise InputError(f"{path}: row {number}: expected a fold number, found {text!r}")
    return int(text) if text else None


def _marked_fold(row: dict[str, str], marks: list[str], path: Path, number: int) -> int:
    held_out = [k for k, mark in enumerate(marks) if row[mark] == "val"]
    if len(held_out) != 1 or any(row[mark] not in ("train", "val") for mark in marks):
        raise InputError(
            f"{path}: row {number}: expected 'val' once and else 'train' in {marks}, found {[row[m] for m in marks]}"
        )
    return held_out[0]
