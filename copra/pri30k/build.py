"""PRI30k: chain pairs that bind, the largest connected subgraph of each entry, limits of length, repeats.

What the paper says (Datasets): BioLiP2's protein-RNA chain pairs, about 150,000 of 5,909 entries, become the
"non-redundant" PRI30k "by finding the maximum connected subgraph in each complex". That is the variant `component`:
of the copies of a complex in a crystal one stays. It names no limit of length (those are the official code's) and no
comparison of sequences, so `repeats: keep` is what it says.

What the published list shows: 30,006 pairs of 3,844 entries, and 42 % of the entries have more than one connected
subgraph, so that step was left out; that is the variant `pairs`. Measured on the 509 of its entries that were at
hand: repeats stay (483 of 1,033 listed pairs have both full sequences of an earlier pair of their entry); observed
residues count (no listed pair has more than 743 observed ones, but up to 815 full ones, at a limit of 750); no listed
pair has fewer than 2 binding residues, 35 protein residues or 4 nucleotides. Built from the structures of all 608
entries at hand, `pairs` has 1,021 of the 1,028 listed pairs whose chains are in the files, and 99 more: 19 with
deoxyribonucleotides in the RNA, 25 copies of a listed pair, 47 of entries without a listed pair, 8 without a visible
reason.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from copra.config import Pri30k
from copra.decisions import Book
from copra.pra310.archive import PROTEIN, entry_status
from copra.pri30k.graph import component_ranks
from copra.pri30k.pairs import KEY, agreement, case_safe_key, stated_pairs
from copra.tables import RNA_CHAIN_TYPES, empty_table, read_table, write_table

log = logging.getLogger(__name__)

STEP = "build_pri30k"
# in the order in which they are asked; a pair is left out for the first that holds
REASONS = {
    "entry_not_in_archive": "the entry is not among the entries of this run",
    "entry_quarantined": "the entry's coordinate file could not be had or read",
    "chain_not_in_structure": "the coordinate file has no chain of this name",
    "chains_are_not_protein_and_rna": "the chains are there but are other molecules",
    "few_binding_residues": "fewer residues of the protein bind than are asked for",
    "not_in_largest_component": "the entry has a larger connected subgraph of chains",
    "protein_too_short": "the protein chain is shorter than the limit",
    "protein_too_long": "the protein chain is longer than the limit",
    "rna_too_short": "the RNA chain is shorter than the limit",
    "rna_too_long": "the RNA chain is longer than the limit",
    "pair_too_long": "both chains together are longer than the limit",
    "same_sequences_in_entry": "a pair of the entry with the same two sequences is kept",
    "same_sequences": "a pair of any entry with the same two sequences is kept",
}


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
    """Write the table `pri30k`; every pair that is left out has one decision with a reason of `REASONS`.

    The pairs are BioLiP2's; where no file of pairs is given, or all are empty, they are the structures' own contacts
    by BioLiP's rule, and the column `origin` says so. `component` is the rank of the pair's connected subgraph in its
    entry, 0 the largest, in both variants. Chain ids are case-sensitive; files are to be named by `case_safe_key`.
    """
    book = Book("pri30k", STEP, first_order=0)
    touching = read_table(contacts, "contacts")
    found = stated_pairs(pairs, touching)
    found = _of_structures(found, read_table(entries, "entries"), read_table(chains, "chains"), book)
    bind = found["n_binding_residues"].astype(str) + f", at least {settings.min_binding_residues}"
    enough = found["n_binding_residues"] >= settings.min_binding_residues
    found = _keep(found, enough, "few_binding_residues", bind, book)
    if (found["origin"] == "biolip2").any():
        by_structure = touching[touching["n_binding_residues"] >= settings.min_binding_residues]
        log.info("pri30k: BioLiP2 and the contacts of the structures: %s", agreement(found, by_structure))
    found = found.assign(component=component_ranks(found))
    if settings.variant == "component":
        rank = "component " + found["component"].astype(str)
        found = _keep(found, found["component"] == 0, "not_in_largest_component", rank, book)
    found = _without_repeats(_within_limits(found, settings, book), settings, book)
    keys = [case_safe_key(*pair) for pair in found[KEY].itertuples(index=False, name=None)]
    names = list(empty_table("pri30k").columns)
    write_table(found.assign(case_safe_key=pd.Series(keys, index=found.index, dtype=str))[names], out, "pri30k")
    book.write(decisions, funnel)
    log.info("pri30k: %d pairs of %d entries", len(found), found["pdb_id"].nunique())


def _of_structures(found: pd.DataFrame, entries: pd.DataFrame, chains: pd.DataFrame, book: Book) -> pd.DataFrame:
    """The pairs whose chains are in a structure that was read, as protein and RNA, with the facts of both chains."""
    told = found["pdb_id"].map(entry_status(entries))
    found = _keep(found.assign(told=told), told.notna(), "entry_not_in_archive", None, book)
    read = found["pdb_id"].isin(entries.loc[entries["status"] == "read", "pdb_id"])
    found = _keep(found, read, "entry_quarantined", found["told"], book)
    found = _with_chains(found, chains)
    there = found["protein_type"].notna() & found["rna_type"].notna()
    found = _keep(found, there, "chain_not_in_structure", None, book)
    kinds = found["protein_type"].astype(str) + ", " + found["rna_type"].astype(str)
    right = (found["protein_type"] == PROTEIN) & found["rna_type"].isin(RNA_CHAIN_TYPES)
    found = _keep(found, right, "chains_are_not_protein_and_rna", kinds, book)
    counts = ["n_protein_residues", "n_protein_observed", "n_rna_nucleotides", "n_rna_observed"]
    return found.astype(dict.fromkeys(counts, "int64"))


def _with_chains(found: pd.DataFrame, chains: pd.DataFrame) -> pd.DataFrame:
    """Adds type, sequence key and lengths of both chains, null where the structure lacks the chain."""
    facts = chains[["pdb_id", "chain", "molecule_type", "sequence_sha256", "n_residues", "n_observed"]]
    facts = facts.assign(molecule_type=facts["molecule_type"].str.lower())
    for side, residues in (("protein", "residues"), ("rna", "nucleotides")):
        columns = {
            "chain": f"{side}_chain", "molecule_type": f"{side}_type", "sequence_sha256": f"{side}_sha256",
            "n_residues": f"n_{side}_{residues}", "n_observed": f"n_{side}_observed",
        }  # fmt: skip
        found = found.merge(facts.rename(columns=columns), on=["pdb_id", f"{side}_chain"], how="left")
    return found


def _within_limits(found: pd.DataFrame, settings: Pri30k, book: Book) -> pd.DataFrame:
    sides = {"observed": ("n_protein_observed", "n_rna_observed"), "full": ("n_protein_residues", "n_rna_nucleotides")}
    protein, rna = sides[settings.counted_residues]
    limits = (
        ("protein_too_short", [protein], settings.min_protein_residues, None),
        ("protein_too_long", [protein], None, settings.max_protein_residues),
        ("rna_too_short", [rna], settings.min_rna_nucleotides, None),
        ("rna_too_long", [rna], None, settings.max_rna_nucleotides),
        ("pair_too_long", [protein, rna], None, settings.max_total_residues),
    )
    for reason, columns, least, most in limits:
        length = found[columns].sum(axis=1)
        fits = length >= least if least is not None else length <= most
        allowed = f" {settings.counted_residues}, at " + (f"least {least}" if least is not None else f"most {most}")
        found = _keep(found, fits, reason, length.astype(str) + allowed, book)
    return found


def _without_repeats(found: pd.DataFrame, settings: Pri30k, book: Book) -> pd.DataFrame:
    """One pair for each two sequences, in an entry or in all: the one with the most binding residues, then by name."""
    if settings.repeats == "keep":
        return found
    in_entry = settings.repeats == "one_per_entry"
    same = [*(["pdb_id"] if in_entry else []), "protein_sha256", "rna_sha256"]
    reason = "same_sequences_in_entry" if in_entry else "same_sequences"
    found = found.sort_values(["n_binding_residues", "pair_id"], ascending=[False, True])
    first = found.groupby(same)["pair_id"].transform("first")
    return _keep(found, found["pair_id"] == first, reason, "as " + first, book)


def _keep(found: pd.DataFrame, mask: pd.Series, reason: str, evidence: pd.Series | None, book: Book) -> pd.DataFrame:
    """The rows where `mask` holds; one decision for each other row, one count for the reason."""
    dropped = found[~mask]
    told = evidence[~mask] if evidence is not None else [""] * len(dropped)
    for name, why in zip(dropped["pair_id"], told, strict=True):
        book.decide(name, reason, "drop", evidence=why)
    book.count(reason, len(found), int(mask.sum()))
    return found[mask]
