"""Clusters of records: no two records with related chains may stand on both sides of a split.

Chains are related by CD-HIT or by the table of pairwise identities; records that share a group of chains
are joined by single linkage.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from copra.config_split import ByIdentity
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.linkage import single_linkage
from copra.split.cd_hit import cluster_sequences
from copra.tables import read_table, write_table

log = logging.getLogger(__name__)

MOLECULES = ("protein", "rna")


def cluster_proteins(records: Path, *, identity: float, threads: int, clusters: Path) -> None:
    """Cluster the records by the identity of their protein chains, with CD-HIT.

    `identity` is a fraction of the shorter chain. Two records are in one cluster when any of their
    protein chains are, or when a chain of records links them. The result depends neither on the order
    of the rows nor on `threads`. Raises InputError on a record without protein sequence and CopraError
    when CD-HIT is absent or fails.
    """
    table = read_table(records, "records").sort_values("record_id")
    chains = chain_sequences(table, "protein", records)
    keys = distinct_sequences(chains)
    protein_cluster = name_clusters(cluster_sequences(keys, identity, threads))
    of_record = {record: [protein_cluster[key] for key, _ in pairs] for record, pairs in chains.items()}
    _write_clusters(of_record, clusters)


def cluster_by_identity(records: Path, *, identities: Path, settings: ByIdentity, clusters: Path) -> None:
    """Cluster the records by the pairwise identities of their protein chains, their RNA chains or both.

    Two chains are related at or above `settings.protein_identity` or `settings.rna_identity`; null leaves that
    molecule out. Groups of chains and clusters of records both come from single linkage, so no two related
    chains are in different clusters. Raises InputError when `identities` does not hold every pair.
    """
    table = read_table(records, "records").sort_values("record_id")
    pairs = read_table(identities, "identities")
    of_record: dict[str, list[str]] = {record: [] for record in table["record_id"]}
    for molecule, threshold in zip(MOLECULES, (settings.protein_identity, settings.rna_identity), strict=True):
        if threshold is None:
            continue
        chains = chain_sequences(table, molecule, records)
        keys = sorted(distinct_sequences(chains))
        some = pairs_of(pairs, molecule, keys, identities)
        near = some[some["identity"] >= threshold]
        group = single_linkage(keys, zip(near["sequence_a"], near["sequence_b"], strict=True))
        mark = "" if molecule == "protein" else "rna:"
        for record, found in chains.items():
            of_record[record] += [mark + group[key][:16] for key, _ in found]
    _write_clusters(of_record, clusters)


def _write_clusters(of_record: dict[str, list[str]], path: Path) -> None:
    cluster = link_records(of_record)
    rows = [
        {"record_id": r, "cluster": cluster[r], "protein_clusters": ",".join(sorted(set(of_record[r])))}
        for r in of_record
    ]
    write_table(pd.DataFrame(rows, columns=["record_id", "cluster", "protein_clusters"]), path, "clusters")
    groups = {name for names in of_record.values() for name in names}
    sizes = pd.Series(list(cluster.values()), dtype=str).value_counts()
    log.info(
        "%d records, %d groups of chains, %d clusters of records, the largest of %d records",
        len(rows), len(groups), len(sizes), max(sizes, default=0),
    )  # fmt: skip


def chain_sequences(table: pd.DataFrame, molecule: str, path: Path) -> dict[str, list[tuple[str, str]]]:
    """The (sha256, sequence) of each `protein` or `rna` chain of each record of the table `records`.

    Raises InputError, which names `path` and the record, where a chain has no sequence or another sha256.
    """
    chains: dict[str, list[tuple[str, str]]] = {}
    for record, sequences, keys in zip(
        table["record_id"], table[f"{molecule}_sequences"], table[f"{molecule}_sha256"], strict=True
    ):
        pairs = list(zip(keys.split(","), sequences.split(","), strict=False))
        wrong = [key for key, sequence in pairs if not sequence or sha256_of_text(sequence) != key]
        if wrong or len(keys.split(",")) != len(sequences.split(",")):
            raise InputError(
                f"{path}: record {record}: expected one {molecule} sequence per chain and its sha256, "
                f"found sequences {sequences[:60]!r} with sha256 {keys!r}"
            )
        chains[record] = pairs
    return chains


def distinct_sequences(chains: dict[str, list[tuple[str, str]]]) -> dict[str, str]:
    """Sequence by sha256 over all records of what `chain_sequences` gives."""
    return {key: sequence for pairs in chains.values() for key, sequence in pairs}


def pairs_of(pairs: pd.DataFrame, molecule: str, keys: list[str], path: Path) -> pd.DataFrame:
    """The rows of the table `identities` among `keys`; raises InputError where a pair is missing."""
    known = set(keys)
    some = pairs[pairs["molecule_type"] == molecule]
    some = some[some["sequence_a"].isin(known) & some["sequence_b"].isin(known)]
    expected = len(known) * (len(known) - 1) // 2
    if len(some) != expected:
        raise InputError(
            f"{path}: expected {expected} pairs of {molecule} sequences of these records, found {len(some)}"
        )
    return some


def name_clusters(groups: list[list[str]]) -> dict[str, str]:
    """Key -> name of its group: the first 16 characters of the group's smallest key (a sha256)."""
    return {key: min(group)[:16] for group in groups for key in group}


def link_records(clusters_of_record: dict[str, list[str]]) -> dict[str, str]:
    """Record -> cluster of records, by single linkage over shared groups of chains.

    A cluster is named after its smallest record id.
    """
    first: dict[str, str] = {}
    shared = [
        (first.setdefault(group, record), record)
        for record in sorted(clusters_of_record)
        for group in clusters_of_record[record]
    ]
    return single_linkage(clusters_of_record, shared)
