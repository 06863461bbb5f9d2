"""The splits of a release: plain text files of ids."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from copra.files import replacing
from copra.provenance.results import Run
from copra.release.licence import is_from_file


def write_splits(run: Run, tables: dict[str, pd.DataFrame], folder: Path) -> list[str]:
    """Write what the run has of: the folds of each family, PRA201, and what pre-training may see beside a test fold.

    A family is a tab-separated file record_id, cluster, fold, note; a list is one id a line. `tables` are the
    released ones: an id that is not passed on is in no file. Returns the families that stay here.
    """
    here = sorted((run.results / "split/families").glob("*.tsv"))
    kept_back = [path.stem for path in here if is_from_file(run, path.stem)]
    for path in here:
        if path.stem not in kept_back:
            _write(path.read_text(encoding="utf-8").splitlines(), folder / "families" / path.name)
    if "folds" in tables:
        folds = tables["folds"].sort_values("record_id")[["record_id", "cluster", "fold"]]
        rows = [f"{record}\t{cluster}\t{fold}" for record, cluster, fold in folds.itertuples(index=False, name=None)]
        _write(["record_id\tcluster\tfold", *rows], folder / "folds.tsv")
    records = tables["records"]
    _write(sorted(records.loc[records["in_pra201"], "record_id"]), folder / "pra201.txt")
    if "pri30k" in tables:
        released = set(tables["pri30k"]["pair_id"])
        for path in sorted((run.results / "split/purge").glob("*/fold_*/kept.txt")):
            family, fold = path.parts[-3:-1]
            if not is_from_file(run, family):
                kept = [pair for pair in path.read_text(encoding="utf-8").split("\n") if pair in released]
                _write(kept, folder / "pri30k_without" / family / f"{fold}.txt")
    return kept_back


def _write(lines: list[str], path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
