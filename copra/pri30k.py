"""Pre-training pairs: protein and RNA chains that touch, from connected complexes, within limits, without repeats.

Pairs come from BioLiP2; where no file of pairs is given, or all are empty, from the contacts of the structures. The
chains of an entry and its pairs are a bipartite graph. Variant `component` keeps its largest connected subgraph (most
chains, then most pairs, then first in text order); variant `pairs` keeps every pair. Lengths are those of the full
polymer sequences. Without repeats means: one pair for each entry, protein sequence and RNA sequence, the one with the
most binding residues, then the first in text order. Chain ids are case-sensitive throughout.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from copra.config import Pri30k
from copra.decisions import Book
from copra.pra310.archive import PROTEIN, connected_groups, entry_status
from copra.tables import RNA_CHAIN_TYPES, concat_tables, empty_table, read_table, write_table

log = logging.getLogger(__name__)


def build_pri30k(
    *,
    pairs: list[Path],
    entries: Path,
    chains: Path,
    contacts: Path,
    settings: Pri30k,
    out: Path,
    decisions: Path,
    funnel: Path,
) -> None:
    """Write the table `pri30k`; every pair that is left out has a decision, every reason a count.

    `component` is the rank of the pair's connected subgraph in its entry: 0 is the largest. `origin` says whether
    the pairs are BioLiP2's or the structures' own contacts.
    """
    book = Book("pri30k", "build_pri30k", first_order=0)
    found = _stated_pairs(pairs, contacts)
    found = _with_chains(found, read_table(chains, "chains"))
    told = entry_status(read_table(entries, "entries"))
    here = found["pdb_id"].isin(set(found.loc[found["any_chain"], "pdb_id"]))
    why = pd.Series([told.get(pdb_id, "not among the entries") for pdb_id in found["pdb_id"]], index=found.index)
    found = _keep(found, here, "structure_not_in_archive", why, book)
    there = found["protein_type"].notna() & found["rna_type"].notna()
    found = _keep(found, there, "chain_not_in_structure", None, book)
    kinds = found["protein_type"].astype(str) + ", " + found["rna_type"].astype(str)
    right = (found["protein_type"] == PROTEIN) & found["rna_type"].isin(RNA_CHAIN_TYPES)
    found = _keep(found, right, "chains_are_not_protein_and_rna", kinds, book)
    # the graph is that of real protein-RNA pairs: ranked once the others are out
    found = _with_components(found)
    if settings.variant == "component":
        rank = "component " + found["component"].astype(str)
        found = _keep(found, found["component"] == 0, "not_in_largest_component", rank, book)
    found = _within_limits(found, settings, book)
    found = _without_repeats(found, book)
    log.info("pri30k: %d pairs of %d entries", len(found), found["pdb_id"].nunique())
    names = list(empty_table("pri30k").columns)
    write_table(found[names] if len(found) else empty_table("pri30k"), out, "pri30k")
    book.write(decisions, funnel)


def _stated_pairs(pairs: list[Path], contacts: Path) -> pd.DataFrame:
    stated = concat_tables(pairs, "pairs").rename(columns={"n_binding_residues": "n_contacts"})
    origin = "biolip2"
    if stated.empty:
        stated = read_table(contacts, "contacts").rename(columns={"n_residue_contacts": "n_contacts"})
        origin = "contacts"
    stated = stated[["pdb_id", "protein_chain", "rna_chain", "n_contacts"]]
    key = ["pdb_id", "protein_chain", "rna_chain"]
    # the same pair in two files: the larger count stands
    stated = stated.sort_values([*key, "n_contacts"], ascending=[True, True, True, False]).drop_duplicates(key)
    name = stated["pdb_id"] + ":" + stated["protein_chain"] + ":" + stated["rna_chain"]
    return stated.assign(origin=origin, pair_id=name).reset_index(drop=True)


def _with_components(found: pd.DataFrame) -> pd.DataFrame:
    """Adds `component`: the rank of a pair's connected subgraph within its entry."""
    ranks: dict[tuple[str, str], int] = {}
    by_entry: dict[str, list[tuple[str, str]]] = {}
    for pdb_id, protein, rna in found[["pdb_id", "protein_chain", "rna_chain"]].itertuples(index=False):
        # the side is part of the node: a chain named on both sides is two nodes
        by_entry.setdefault(pdb_id, []).append(("p" + protein, "r" + rna))
    for pdb_id, edges in by_entry.items():
        groups = connected_groups(edges)
        home = {node: index for index, group in enumerate(groups) for node in group}
        n_edges = [0] * len(groups)
        for protein, _ in edges:
            n_edges[home[protein]] += 1
        order = sorted(range(len(groups)), key=lambda i: (-len(groups[i]), -n_edges[i], sorted(groups[i])))
        for rank, index in enumerate(order):
            ranks.update({(pdb_id, node): rank for node in groups[index]})
    nodes = zip(found["pdb_id"], "p" + found["protein_chain"], strict=True)
    return found.assign(component=pd.Series([ranks[node] for node in nodes], index=found.index, dtype="int64"))


def _with_chains(found: pd.DataFrame, chains: pd.DataFrame) -> pd.DataFrame:
    """Adds type, sequence key and length of both chains, null where the structure lacks the chain."""
    facts = chains[["pdb_id", "chain", "molecule_type", "sequence_sha256"]].assign(
        molecule_type=chains["molecule_type"].str.lower(), n=chains["sequence"].str.len()
    )
    for side, length in (("protein", "n_protein_residues"), ("rna", "n_rna_nucleotides")):
        columns = {
            "chain": f"{side}_chain", "molecule_type": f"{side}_type", "sequence_sha256": f"{side}_sha256", "n": length,
        }  # fmt: skip
        found = found.merge(facts.rename(columns=columns), on=["pdb_id", f"{side}_chain"], how="left")
    return found.assign(any_chain=found["pdb_id"].isin(set(chains["pdb_id"])))


def _within_limits(found: pd.DataFrame, settings: Pri30k, book: Book) -> pd.DataFrame:
    limits = (
        ("protein_length", ["n_protein_residues"], settings.max_protein_residues),
        ("rna_length", ["n_rna_nucleotides"], settings.max_rna_nucleotides),
        ("total_length", ["n_protein_residues", "n_rna_nucleotides"], settings.max_total_residues),
    )
    found = found.astype({"n_protein_residues": "int64", "n_rna_nucleotides": "int64"})
    for reason, columns, allowed in limits:
        length = found[columns].sum(axis=1)
        found = _keep(found, length <= allowed, reason, length.astype(str) + f", allowed {allowed}", book)
    return found


def _without_repeats(found: pd.DataFrame, book: Book) -> pd.DataFrame:
    same = ["pdb_id", "protein_sha256", "rna_sha256"]
    found = found.sort_values([*same, "n_contacts", "pair_id"], ascending=[True, True, True, False, True])
    first = found.groupby(same)["pair_id"].transform("first")
    kept = _keep(found, found["pair_id"] == first, "same_sequences_in_entry", "as " + first, book)
    return kept.sort_values("pair_id")


def _keep(found: pd.DataFrame, mask: pd.Series, reason: str, evidence: pd.Series | None, book: Book) -> pd.DataFrame:
    """The rows where `mask` holds; one decision for each other row, one count for the reason."""
    dropped = found[~mask]
    told = evidence[~mask] if evidence is not None else [""] * len(dropped)
    for name, why in zip(dropped["pair_id"], told, strict=True):
        book.decide(name, reason, "drop", evidence=why)
    book.count(reason, len(found), int(mask.sum()))
    return found[mask]
