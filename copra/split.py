"""Clusters and folds: no two records with related proteins stand on both sides of a split.

Protein chains are clustered with CD-HIT; records that share a protein cluster are joined (single
linkage); whole clusters are dealt into folds.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import CopraError, InputError
from copra.files import sha256_of_text
from copra.tables import read_table, write_table

log = logging.getLogger(__name__)

INSTALL_CD_HIT = "apt-get install cd-hit    (or: conda install -c bioconda cd-hit=4.8.1)"

# CD-HIT's user guide: the longest word that cannot miss a pair at this identity.
WORD_LENGTHS = ((0.7, 5), (0.6, 4), (0.5, 3), (0.4, 2))

# Width of the alignment's diagonal band. At CD-HIT's own 20 a relative whose alignment needs a longer
# gap loses its identity: on the published PRA310 sequences at 70 %, RIG-I 5f98/5f9f, PUM 5yki/1m8w and
# U2AF 2yh1/2g4b fall apart at 20 and are joined at 200 (194 clusters become 192, 0.1 s in all).
BAND_WIDTH = 200

# Every other setting of CD-HIT 4.8.1, so that none of its defaults acts unseen. No coverage is asked for
# (-aS 0, -s 0): identity counts over the whole shorter chain (-G 1), which implies coverage of that chain,
# and a fragment must not part from the full protein. -g 1: the nearest cluster, not the first one met.
# -d 0: names are not cut.
FIXED_FLAGS = (
    "-G 1 -g 1 -M 0 -d 0 -t 2 -s 0.0 -S 999999 -aL 0.0 -AL 99999999 -aS 0.0 -AS 99999999 -A 0 "
    "-uL 1.0 -uS 1.0 -U 99999999 -B 0 -p 0 -sc 0 -sf 0 -bak 0"
)


def cluster_proteins(records: Path, *, identity: float, threads: int, clusters: Path) -> None:
    """Cluster the records by the identity of their protein chains.

    `identity` is a fraction of the shorter chain. Two records are in one cluster when any of their
    protein chains are, or when a chain of records links them. The result depends neither on the order
    of the rows nor on `threads`. Raises InputError on a record without protein sequence and CopraError
    when CD-HIT is absent or fails.
    """
    table = read_table(records, "records").sort_values("record_id")
    chains = _chain_sequences(table, records)
    keys = {key: sequence for pairs in chains.values() for key, sequence in pairs}
    protein_cluster = name_clusters(cluster_sequences(keys, identity, threads))
    of_record = {record: [protein_cluster[key] for key, _ in pairs] for record, pairs in chains.items()}
    cluster = link_records(of_record)
    rows = [
        {"record_id": r, "cluster": cluster[r], "protein_clusters": ",".join(sorted(set(of_record[r])))}
        for r in of_record
    ]
    columns = ["record_id", "cluster", "protein_clusters"]
    write_table(pd.DataFrame(rows, columns=columns), clusters, "clusters")
    log.info(
        "%d records, %d protein sequences, %d protein clusters at %g, %d clusters of records",
        len(rows), len(keys), len(set(protein_cluster.values())), identity, len(set(cluster.values())),
    )  # fmt: skip


def _chain_sequences(table: pd.DataFrame, path: Path) -> dict[str, list[tuple[str, str]]]:
    """The (sha256, sequence) of each protein chain of each record."""
    chains: dict[str, list[tuple[str, str]]] = {}
    for record, sequences, keys in zip(
        table["record_id"], table["protein_sequences"], table["protein_sha256"], strict=True
    ):
        pairs = list(zip(keys.split(","), sequences.split(","), strict=False))
        wrong = [key for key, sequence in pairs if not sequence or sha256_of_text(sequence) != key]
        if wrong or len(keys.split(",")) != len(sequences.split(",")):
            raise InputError(
                f"{path}: record {record}: expected one protein sequence per chain and its sha256, "
                f"found sequences {sequences[:60]!r} with sha256 {keys!r}"
            )
        chains[record] = pairs
    return chains


def word_length(identity: float) -> int:
    """The CD-HIT word length for an identity threshold; raises InputError below 0.4, which CD-HIT refuses."""
    for threshold, length in WORD_LENGTHS:
        if identity >= threshold:
            return length
    raise InputError(f"CD-HIT clusters proteins at an identity of 0.4 or more, found {identity}")


def cluster_sequences(sequences: dict[str, str], identity: float, threads: int) -> list[list[str]]:
    """Groups of the keys of `sequences` (key -> protein sequence), each key in exactly one group.

    Sequences shorter than CD-HIT's word are beyond it: each is a group of its own, since keys are
    distinct sequences.
    """
    word = word_length(identity)
    fit = {key: sequence for key, sequence in sequences.items() if len(sequence) >= word}
    short = [[key] for key in sequences if key not in fit]
    if short:
        log.info("%d protein sequences are shorter than %d residues: clustered by exact identity", len(short), word)
    groups = run_cd_hit(fit, identity, word, threads) if fit else []
    returned = sorted(key for group in groups for key in group)
    if returned != sorted(fit):
        lost = sorted(set(fit) ^ set(returned))
        raise CopraError(f"CD-HIT did not return every sequence exactly once; the first at fault: {lost[:3]}")
    return groups + short


def run_cd_hit(sequences: dict[str, str], identity: float, word: int, threads: int) -> list[list[str]]:
    """Run the `cd-hit` program on `sequences`; raises CopraError when it is absent or fails."""
    program = shutil.which("cd-hit")
    if program is None:
        raise CopraError(f"the program 'cd-hit' is not on PATH; install it with:  {INSTALL_CD_HIT}")
    with tempfile.TemporaryDirectory(prefix="copra-cd-hit-") as folder:
        fasta, out = Path(folder, "proteins.fasta"), Path(folder, "clusters")
        # CD-HIT sorts by length and keeps the order given among equals: a fixed order, whatever the rows' order
        fasta.write_text("".join(f">{key}\n{sequences[key]}\n" for key in sorted(sequences)))
        command = [program, "-i", str(fasta), "-o", str(out), "-c", str(identity), "-n", str(word)]
        # -l drops the sequences of this length or shorter without a word
        command += ["-l", str(word - 1), "-b", str(BAND_WIDTH), "-T", str(threads), *FIXED_FLAGS.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CopraError(f"cd-hit failed with status {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
        return parse_clusters(Path(f"{out}.clstr").read_text())


def parse_clusters(text: str) -> list[list[str]]:
    """The groups of names in the text of a CD-HIT `.clstr` file."""
    groups: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(">Cluster"):
            groups.append([])
        else:
            groups[-1].append(line.split(">", 1)[1].split("...", 1)[0])
    return groups


def name_clusters(groups: list[list[str]]) -> dict[str, str]:
    """Key -> name of its group: the first 16 characters of the group's smallest key (a sha256)."""
    return {key: min(group)[:16] for group in groups for key in group}


def link_records(clusters_of_record: dict[str, list[str]]) -> dict[str, str]:
    """Record -> cluster of records, by single linkage over shared protein clusters.

    A cluster is named after its smallest record id.
    """
    parent = {record: record for record in clusters_of_record}

    def root(record: str) -> str:
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record

    first: dict[str, str] = {}
    for record in sorted(clusters_of_record):
        for protein_cluster in clusters_of_record[record]:
            a, b = sorted((root(first.setdefault(protein_cluster, record)), root(record)))
            parent[b] = a  # the smaller id stays the root, so the root is the name
    return {record: root(record) for record in clusters_of_record}


def assign_folds(clusters: Path, *, records: Path, folds: int, seed: int, out: Path) -> None:
    """Deal whole clusters into `folds` folds of like size and like mean label.

    Raises InputError when there are fewer clusters than folds or the two tables name different records.
    """
    table = read_table(clusters, "clusters").sort_values("record_id", ignore_index=True)
    labels = read_table(records, "records").set_index("record_id")["dg_kcal_mol"]
    strangers = sorted(set(table["record_id"]) ^ set(labels.index))
    if strangers:
        raise InputError(f"{clusters} and {records} name different records; the first at fault: {strangers[:3]}")
    table["dg"] = labels.loc[table["record_id"]].to_numpy()
    grouped = table.groupby("cluster", sort=True)["dg"]
    if len(grouped) < folds:
        raise InputError(
            f"{clusters}: expected at least {folds} clusters for {folds} folds, found {len(grouped)} "
            f"({len(table)} records); lower split.folds or raise split.identity"
        )
    spread = float(table["dg"].std(ddof=0)) or 1.0
    surplus = grouped.apply(lambda dg: float((dg - table["dg"].mean()).sum() / spread))
    names = [str(name) for name in surplus.index]
    dealt = deal(grouped.size().to_numpy(), surplus.to_numpy(), folds, np.random.default_rng(seed))
    fold = dict(zip(names, dealt.tolist(), strict=True))
    table["fold"] = [fold[name] for name in table["cluster"]]
    write_table(table[["record_id", "cluster", "fold"]], out, "folds")
    summary = table.groupby("fold")["dg"].agg(["size", "mean"])
    log.info("folds (records, mean dG): %s", [(int(n), round(float(m), 2)) for n, m in summary.to_numpy()])


def deal(sizes: np.ndarray, surplus: np.ndarray, folds: int, generator: np.random.Generator) -> np.ndarray:
    """Fold of each cluster [clusters], the largest cluster first, ties in random order.

    `sizes` [clusters] counts records; `surplus` [clusters] is the sum of a cluster's labels as
    deviations from the mean of all, in standard deviations. A cluster goes where the sum over folds of
    records^2 + surplus^2 grows least, among the folds that it does not fill beyond an equal share.
    """
    shuffled = generator.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    share = -(-int(sizes.sum()) // folds)
    count, balance, fold_of = np.zeros(folds), np.zeros(folds), np.zeros(len(sizes), dtype=np.int64)
    for position, cluster in enumerate(order):
        size, extra = sizes[cluster], surplus[cluster]
        growth = 2 * count * size + 2 * balance * extra
        allowed = count + size <= share
        if len(order) - position <= (count == 0).sum():
            allowed = count == 0  # each of the clusters left is needed to fill an empty fold
        elif not allowed.any():
            allowed = count == count.min()
        fold = int(np.argmin(np.where(allowed, growth, np.inf)))
        count[fold] += size
        balance[fold] += extra
        fold_of[cluster] = fold
    return fold_of
