"""Which complexes of the mutation sets hang together, which labelled records they are related to, and the folds.

Two complexes are related where any protein of one is, by local alignment, as identical to a protein of the other as
`related_identity` says or more. Clusters are single linkage over that, cv, blind and extra complexes together, so
that a cluster tells of a mutation in one set whether its like stands in another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from copra.config_split import Alignment
from copra.linkage import single_linkage
from copra.split.align import compare_all
from copra.split.clusters import chain_sequences, distinct_sequences, link_records
from copra.split.pairwise import Comparison


@dataclass(frozen=True)
class Relations:
    """What each complex, by its id, is related to."""

    cluster: dict[str, str]  # named after its smallest complex
    wild_type_records: dict[str, list[str]]  # of PRA310: the same entry, or one protein sequence in common
    related_records: dict[str, list[str]]  # with a related protein; holds the former


def relate(
    complexes: dict[str, dict[str, str]],
    records: pd.DataFrame,
    path: Path,
    *,
    related_identity: float,
    scoring: Alignment,
    threads: int,
) -> Relations:
    """Relate complexes, each with its protein sequences by sha256, to each other and to the table `records`.

    `path` is where the records are from, for messages. Raises InputError on a record without sequence.
    """
    of_record = chain_sequences(records, "protein", path)
    own = {key: text for proteins in complexes.values() for key, text in proteins.items()}
    near = _near_pairs(own, distinct_sequences(of_record), related_identity, scoring, threads)
    group = single_linkage(sorted(own), [(a, b) for a, b in near if b in own])
    cluster = link_records({name: sorted({group[key] for key in keys}) for name, keys in complexes.items()})
    like: dict[str, set[str]] = {key: {key} for key in own}
    for a, b in near:
        like[a].add(b)
        if b in own:
            like[b].add(a)
    entry = dict(zip(records["record_id"], records["pdb_id"], strict=True))
    keys_of = {record: {key for key, _ in pairs} for record, pairs in of_record.items()}
    wild_type, related = {}, {}
    for name, proteins in complexes.items():
        relatives = set().union(*(like[key] for key in proteins))
        same = {r for r, keys in keys_of.items() if entry[r] == name.split(":")[0] or keys & proteins.keys()}
        wild_type[name] = sorted(same)
        related[name] = sorted(same | {r for r, keys in keys_of.items() if keys & relatives})
    return Relations(cluster, wild_type, related)


def _near_pairs(
    own: dict[str, str], others: dict[str, str], identity: float, scoring: Alignment, threads: int
) -> list[tuple[str, str]]:
    """Pairs (one of `own`, one of `own` or `others`) of sequences by sha256 that are so identical."""
    names = sorted(own)
    strangers = sorted(set(others) - set(own))
    known = others | own
    partners = [[*names[i + 1 :], *strangers] for i in range(len(names))]
    tasks = [
        Comparison("protein", scoring, own[name], [known[other] for other in listed])
        for name, listed in zip(names, partners, strict=True)
    ]
    return [
        (name, other)
        for name, listed, matches in zip(names, partners, compare_all(tasks, threads), strict=True)
        for other, match in zip(listed, matches, strict=True)
        if match.identity >= identity
    ]


def deal_clusters(mutations: pd.DataFrame, fold_of_record: dict[str, int], n_folds: int) -> dict[str, int]:
    """Fold of each cluster of the rows of `mutation_records` given, those of the cross-validated set.

    A cluster whose related records of PRA310 all stand in one of the first `n_folds` folds gets the number of that
    fold: the model that was not trained on fold k has then seen no relative of the mutations of fold k, and can be
    trained on to ddG outside them. The other clusters go, large ones first, where the fewest mutations are.
    """
    homes: dict[str, int] = {}
    sizes: Counter[str] = Counter(mutations["cluster"])
    for cluster, rows in mutations.groupby("cluster"):
        folds = {fold_of_record[r] for r in _listed(rows["related_records"]) if r in fold_of_record}
        if len(folds) == 1 and (fold := next(iter(folds))) < n_folds:
            homes[str(cluster)] = fold
    filled = [sum(sizes[c] for c, fold in homes.items() if fold == k) for k in range(n_folds)]
    for cluster, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if cluster not in homes:
            homes[cluster] = filled.index(min(filled))
            filled[homes[cluster]] += size
    return homes


def _listed(cells: Iterable[str]) -> set[str]:
    return {name for cell in cells for name in split_names(cell)}


def split_names(cell: str) -> list[str]:
    """The record ids of a cell of `related_records` or `wild_type_records`.

    They are joined by ";": a record id holds commas itself, between the chains of one molecule.
    """
    return cell.split(";") if cell else []
