"""The leakage report: what the tested records of each fold of each split family share with what is trained on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.config_split import Split
from copra.decisions import rows_as_dicts
from copra.errors import InputError
from copra.files import replacing
from copra.split.clusters import MOLECULES, chain_sequences, distinct_sequences, pairs_of
from copra.split.families import held_out_folds, training_side
from copra.split.purge import overlap, sequences_of_pairs
from copra.tables import TABLES, read_table, write_table

log = logging.getLogger(__name__)

PERCENT = (30, 40, 70, 90)


@dataclass(frozen=True)
class Evidence:
    """What every fold is judged by: records sorted by id, and for each molecule who is alike and who is the same.

    `identity[molecule]` and `same[molecule]` are [records, records]: the highest identity of a chain of the one
    and a chain of the other (0 to 1), and whether they share a sequence.
    """

    records: pd.DataFrame
    identity: dict[str, np.ndarray]
    same: dict[str, np.ndarray]


def report_leakage(
    folds: list[Path],
    *,
    records: Path,
    identities: Path,
    pri30k: Path,
    chains: Path,
    settings: Split,
    threads: int,
    out: Path,
    page: Path,
) -> None:
    """Write the table `leakage` and a page of it: one row per family and tested fold.

    `folds` are tables `folds`, each named after its family. Families of `settings.compare` without a file are
    named on the page. Raises InputError where a table speaks of records that are not there.
    """
    evidence = gather_evidence(records, identities)
    pairs = read_table(pri30k, "pri30k").sort_values("pair_id", ignore_index=True)
    known = sequences_of_pairs(pairs, read_table(chains, "chains"), chains)
    rows = []
    left_out = {}
    for path in sorted(folds, key=lambda path: path.stem):
        family, dealt = path.stem, read_table(path, "folds")
        strangers = sorted(set(dealt["record_id"]) - set(evidence.records["record_id"]))
        if strangers:
            raise InputError(f"{path}: expected records of {records}, found also {strangers[:3]}")
        left_out[family] = len(evidence.records) - len(dealt)
        method = settings.families[family].method
        for fold in held_out_folds(dealt, method):
            test = evidence.records["record_id"].isin(dealt.loc[dealt["fold"] == fold, "record_id"])
            train = evidence.records["record_id"].isin(dealt.loc[training_side(dealt, fold, method), "record_id"])
            row = {"family": family, "fold": fold} | judge_fold(evidence, train.to_numpy(), test.to_numpy())
            shared = overlap(pairs, known, evidence.records[test], records, settings.purge.protein_identity, threads)
            rows.append(row | {f"n_pri30k_{kind}": int(count) for kind, count in shared.sum().items()})
        log.info("%s: %d records dealt", family, len(dealt))
    table = pd.DataFrame(rows)
    write_table(table, out, "leakage")
    with replacing(page) as temporary:
        temporary.write_text(leakage_page(table, left_out, settings, len(pairs)), encoding="utf-8")


def gather_evidence(records: Path, identities: Path) -> Evidence:
    """Who is alike among the records of the table `records`, by the table `identities`."""
    table = read_table(records, "records").sort_values("record_id", ignore_index=True)
    pairs = read_table(identities, "identities")
    identity, same = {}, {}
    for molecule in MOLECULES:
        chains = chain_sequences(table, molecule, records)
        keys = sorted(distinct_sequences(chains))
        place = {key: i for i, key in enumerate(keys)}
        some = pairs_of(pairs, molecule, keys, identities)
        a, b = (some[f"sequence_{side}"].map(place).to_numpy(dtype=int) for side in "ab")
        square = np.eye(len(keys))
        square[a, b] = square[b, a] = some["identity"]
        # from chains to records: each record's rows, then its columns, are reduced to their highest
        flat = [place[key] for record in table["record_id"] for key, _ in chains[record]]
        starts = np.cumsum([0, *(len(chains[record]) for record in table["record_id"])])[:-1]
        wide = square[np.ix_(flat, flat)]  # [chains, chains]
        identity[molecule] = np.maximum.reduceat(np.maximum.reduceat(wide, starts, axis=0), starts, axis=1)
        alike = np.equal.outer(flat, flat)
        same[molecule] = np.logical_or.reduceat(np.logical_or.reduceat(alike, starts, axis=0), starts, axis=1)
    return Evidence(table, identity, same)


def judge_fold(evidence: Evidence, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """What tested and trained records share; `train` and `test` are bool, one per record of the evidence."""
    records = evidence.records
    dg = records.loc[test, "dg_kcal_mol"]
    row: dict[str, Any] = {
        "n_train": int(train.sum()), "n_test": int(test.sum()),
        "dg_mean_kcal_mol": float(dg.mean()), "dg_sd_kcal_mol": float(dg.std(ddof=0)),
    }  # fmt: skip
    names = records["record_id"].to_numpy()
    for molecule in MOLECULES:
        between = evidence.identity[molecule][np.ix_(test, train)]  # [tested, trained]
        same = evidence.same[molecule][np.ix_(test, train)]
        highest = between.max(axis=1, initial=0.0)
        row |= {f"n_test_{molecule}_{percent}": int((highest >= percent / 100).sum()) for percent in PERCENT}
        row[f"n_test_same_{molecule}"] = int(same.any(axis=1).sum())
        row |= {f"{molecule}_identity_max": None, f"{molecule}_test_record": "", f"{molecule}_train_record": ""}
        if between.size:
            i, j = np.unravel_index(int(between.argmax()), between.shape)
            row[f"{molecule}_identity_max"] = float(between[i, j])
            row[f"{molecule}_test_record"] = names[test][i]
            row[f"{molecule}_train_record"] = names[train][j]
    trained_entries = set(records.loc[train, "pdb_id"])
    row["n_test_same_entry"] = int(records.loc[test, "pdb_id"].isin(trained_entries).sum())
    return row


def leakage_page(table: pd.DataFrame, left_out: dict[str, int], settings: Split, n_pri30k: int) -> str:
    """The table `leakage` as Markdown, a section per family."""
    limits = "/".join(map(str, PERCENT))
    lines = [
        "# What train and test share", "",
        "Identity: identical residues of the best local alignment over the length of the shorter chain (of the "
        "longer one where few residues are aligned). Counts are tested records with a chain that alike in training.",
        f"PRI30k: of {n_pri30k} pre-training pairs those of a tested entry, with a tested protein sequence, with a "
        f"protein of {settings.purge.protein_identity:.0%} or more to one (CD-HIT), with a tested RNA sequence.",
    ]  # fmt: skip
    for family in settings.compare:
        lines += ["", f"## {family}", "", f"`{settings.families[family].model_dump_json()}`", ""]
        if family not in left_out:
            lines.append("Left out: its file is not here.")
            continue
        if left_out[family]:
            lines += [f"{left_out[family]} records have no fold in this family.", ""]
        lines += [
            f"| fold | train | test | mean dG | SD | protein max | pair | test with protein >= {limits} % "
            f"| same protein | RNA max | pair | test with RNA >= {limits} % | same RNA | same entry "
            "| PRI30k entry/protein/related/RNA |",
            "|" + " --- |" * 15,
        ]
        lines += [_line(row) for row in rows_as_dicts(table[table["family"] == family].sort_values("fold"))]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    cells = [str(row["fold"]), str(row["n_train"]), str(row["n_test"])]
    cells += [f"{row['dg_mean_kcal_mol']:.2f}", f"{row['dg_sd_kcal_mol']:.2f}"]
    for molecule in MOLECULES:
        highest = row[f"{molecule}_identity_max"]
        cells.append("" if pd.isna(highest) else f"{highest:.1%}")
        cells.append(f"{row[f'{molecule}_test_record']} / {row[f'{molecule}_train_record']}")
        cells.append("/".join(str(row[f"n_test_{molecule}_{percent}"]) for percent in PERCENT))
        cells.append(str(row[f"n_test_same_{molecule}"]))
    cells.append(str(row["n_test_same_entry"]))
    kinds = [name.split()[0] for name in TABLES["leakage"].columns if name.startswith("n_pri30k_")]
    cells.append("/".join(str(row[kind]) for kind in kinds))
    return "| " + " | ".join(cells) + " |"
