"""Pre-training pairs that a test fold may not have: the same entry, the same chain or a relative of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from copra.config_split import Alignment, Purge
from copra.decisions import Book
from copra.errors import InputError
from copra.files import replacing
from copra.split.align import compare_all
from copra.split.cd_hit import relatives
from copra.split.clusters import chain_sequences, distinct_sequences
from copra.split.pairwise import Comparison
from copra.tables import RNA_CHAIN_TYPES, read_table

log = logging.getLogger(__name__)


def purge_pri30k(
    pri30k: Path,
    *,
    chains: Path,
    records: Path,
    folds: Path,
    fold: int,
    settings: Purge,
    scoring: Alignment,
    threads: int,
    kept: Path,
    decisions: Path,
    funnel: Path,
) -> None:
    """The pairs of PRI30k that pre-training may see when `fold` is tested.

    Removed are pairs of a tested entry, with a tested protein sequence, with a protein of
    `settings.protein_identity` or more to a tested one (CD-HIT), and, unless `settings.rna_identity` is null, with
    a tested RNA sequence or one of that identity to it (alignment by `scoring`). `kept` lists the other pair ids,
    one a line, sorted; each removed pair has a decision with the first of these reasons, each reason a count.
    Raises InputError where the fold has no record.
    """
    pairs = read_table(pri30k, "pri30k").sort_values("pair_id", ignore_index=True)
    dealt = read_table(folds, "folds")
    tested = set(dealt.loc[dealt["fold"] == fold, "record_id"])
    if not tested:
        raise InputError(f"{folds}: fold {fold} has no record; there are the folds {sorted(set(dealt['fold']))}")
    table = read_table(records, "records").sort_values("record_id")
    test = table[table["record_id"].isin(tested)]
    known = sequences_of_pairs(pairs, read_table(chains, "chains"), chains)
    shared = overlap(pairs, known, test, records, settings.protein_identity, threads)
    grounds = ["same_entry", "same_protein", "related_protein"]
    if settings.rna_identity is not None:
        shared["related_rna"] = related_rna(pairs, known, test, records, settings.rna_identity, scoring, threads)
        grounds += ["same_rna", "related_rna"]
    book = Book(f"pri30k_without_fold_{fold}", "purge_pri30k", first_order=0)
    left = pairs["pair_id"]
    for reason in grounds:
        removed = shared.loc[left.index, reason]
        for name in left[removed]:
            book.decide(name, reason, "drop", evidence=f"test fold {fold}")
        book.count(reason, len(left), int((~removed).sum()))
        left = left[~removed]
    with replacing(kept) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in left), encoding="utf-8")
    book.write(decisions, funnel)
    log.info("fold %d: %d of %d pre-training pairs stay", fold, len(left), len(pairs))


def sequences_of_pairs(pairs: pd.DataFrame, chains: pd.DataFrame, path: Path) -> dict[str, dict[str, str]]:
    """Sequence by sequence key for `protein` and `rna` of the table `pri30k`, from the table `chains`.

    Raises InputError, which names `path`, where a key is of none of its chains.
    """
    found = {}
    for molecule, kinds in (("protein", ("protein",)), ("rna", RNA_CHAIN_TYPES)):
        some = chains[chains["molecule_type"].isin(kinds)].drop_duplicates("sequence_sha256")
        known = dict(zip(some["sequence_sha256"], some["sequence"], strict=True))
        lost = sorted(set(pairs[f"{molecule}_sha256"]) - known.keys())
        if lost:
            raise InputError(f"{path}: expected the {molecule} chains of all pairs; no sequence for {lost[0]}")
        found[molecule] = {key: known[key] for key in sorted(set(pairs[f"{molecule}_sha256"]))}
    return found


def overlap(
    pairs: pd.DataFrame,
    known: dict[str, dict[str, str]],
    test: pd.DataFrame,
    records: Path,
    protein_identity: float,
    threads: int,
) -> pd.DataFrame:
    """What each pre-training pair shares with the tested records: one bool column per kind, one row per pair.

    `known` is what sequences_of_pairs gives; `related_protein` holds for the same protein too.
    """
    proteins, rna = (distinct_sequences(chain_sequences(test, kind, records)) for kind in ("protein", "rna"))
    near = relatives(known["protein"], proteins, protein_identity, threads)
    return pd.DataFrame(
        {
            "same_entry": pairs["pdb_id"].isin(set(test["pdb_id"])),
            "same_protein": pairs["protein_sha256"].isin(proteins.keys()),
            "related_protein": pairs["protein_sha256"].isin(near),
            "same_rna": pairs["rna_sha256"].isin(rna.keys()),
        }
    )


def related_rna(
    pairs: pd.DataFrame,
    known: dict[str, dict[str, str]],
    test: pd.DataFrame,
    records: Path,
    identity: float,
    scoring: Alignment,
    threads: int,
) -> pd.Series:
    """Whether each pair's RNA is `identity` or more identical to a tested RNA: bool, one per pair."""
    keys = list(known["rna"])
    others = list(known["rna"].values())
    tested = distinct_sequences(chain_sequences(test, "rna", records))
    tasks = [Comparison("rna", scoring, one, others) for _, one in sorted(tested.items())]
    near = set()
    for matches in compare_all(tasks, threads):
        near |= {key for key, match in zip(keys, matches, strict=True) if match.identity >= identity}
    return pairs["rna_sha256"].isin(near)
