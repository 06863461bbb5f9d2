"""The pairs of a build beside a list from elsewhere: what both have, what is missing here, what is extra, and why.

The list may be the published PRI30k, another database's pairs, or the pairs of another build, with or without BioLiP2.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from copra.errors import InputError, shown
from copra.pra310.archive import entry_status
from copra.pri30k.build import REASONS, STEP
from copra.pri30k.pairs import pair_ids, read_pair_list
from copra.provenance.results import table_files
from copra.tables import concat_tables, write_table

# of a listed pair that is not built: the first that holds, or the build's own reason
MISSING = REASONS | {"not_in_contact": "both chains are here, but this build's source of pairs does not pair them"}
# of a built pair that is not listed: the first that holds
EXTRA = {
    "released_after_the_list": "the entry is newer than any that is listed",
    "hybrid_rna": "the RNA chain holds deoxyribonucleotides, and so may have been DNA to the list",
    "entry_not_listed": "no pair of the entry is listed",
    "copy_of_a_listed_pair": "the list has a pair of the entry with the same two sequences",
    "pair_not_listed": "other pairs of the entry are listed",
}
# what this archive cannot give, whatever the rules
NOT_HERE = ("entry_not_in_archive", "entry_quarantined", "chain_not_in_structure")


def diff_pri30k(results: Path, published: Path, out: Path) -> None:
    """Write the table `diff_pri30k` and print its counts; `results` is the folder of a build.

    `published` is the published CSV (`pdb,prot_chain,rna_chain`), RNApedia's list, or a table of pairs (.parquet).
    Each pair of either side is one row: shared, missing (a reason of `MISSING`) or extra (a reason of `EXTRA`).
    Raises InputError when the list is of no known form or `results` holds no build.
    """
    if not table_files(results, "pri30k"):
        raise InputError(f"{results}: expected the folder of a build, with pri30k/pri30k.parquet in it")
    tables = {name: concat_tables(table_files(results, name), name) for name in ("pri30k", "entries", "chains")}
    decisions = concat_tables(table_files(results, "decisions"), "decisions")
    built, listed = tables["pri30k"], read_pair_list(published)
    listed = listed.assign(pair_id=pair_ids(listed))
    missing = listed[~listed["pair_id"].isin(built["pair_id"])]
    extra = built[~built["pair_id"].isin(listed["pair_id"])]
    shared = built.loc[built["pair_id"].isin(listed["pair_id"]), ["pair_id"]]
    parts = (
        shared.assign(verdict="shared", reason="", evidence=""),
        _why_missing(missing, tables["entries"], tables["chains"], decisions).assign(verdict="missing"),
        _why_extra(extra, listed, tables["entries"], tables["chains"]).assign(verdict="extra"),
    )
    table = pd.concat([part[["pair_id", "verdict", "reason", "evidence"]] for part in parts], ignore_index=True)
    write_table(table, out, "diff_pri30k")
    for line in summary(table, built, listed):
        print(shown(line))
    print(f"every row: {out}")


def _why_missing(
    missing: pd.DataFrame, entries: pd.DataFrame, chains: pd.DataFrame, decisions: pd.DataFrame
) -> pd.DataFrame:
    decided = decisions[decisions["step"] == STEP].set_index("subject")
    reason = missing["pair_id"].map(decided["rule"]).fillna("not_in_contact")
    evidence = missing["pair_id"].map(decided["evidence"]).fillna("")
    names = pd.MultiIndex.from_frame(chains[["pdb_id", "chain"]])
    for side in ("protein_chain", "rna_chain"):
        there = pd.MultiIndex.from_frame(missing[["pdb_id", side]]).isin(names)
        reason = reason.where(there, "chain_not_in_structure")
    status = missing["pdb_id"].map(entry_status(entries))
    is_read = missing["pdb_id"].isin(entries.loc[entries["status"] == "read", "pdb_id"])
    reason = reason.where(is_read, "entry_quarantined").mask(status.isna(), "entry_not_in_archive")
    return missing[["pair_id"]].assign(reason=reason, evidence=evidence.where(is_read, status.fillna("")))


def _why_extra(extra: pd.DataFrame, listed: pd.DataFrame, entries: pd.DataFrame, chains: pd.DataFrame) -> pd.DataFrame:
    copied = _with_sequences(listed, chains).sort_values("pair_id")
    same = ["pdb_id", "protein_sha256", "rna_sha256"]
    first = copied.drop_duplicates(same).set_index(same)["pair_id"]
    copy = pd.Series(first.reindex(pd.MultiIndex.from_frame(extra[same])).to_numpy(), extra.index)
    kinds = chains.set_index(["pdb_id", "chain"])["molecule_type"]
    kind = kinds.reindex(pd.MultiIndex.from_frame(extra[["pdb_id", "rna_chain"]])).to_numpy()
    released = extra["pdb_id"].map(entries.set_index("pdb_id")["release_date"])
    newest = entries.loc[entries["pdb_id"].isin(listed["pdb_id"]), "release_date"].max()
    reason = pd.Series("pair_not_listed", extra.index).mask(copy.notna(), "copy_of_a_listed_pair")
    reason = reason.where(extra["pdb_id"].isin(listed["pdb_id"]), "entry_not_listed").mask(
        kind == "hybrid", "hybrid_rna"
    )
    is_newer = released > newest
    reason = reason.mask(is_newer, "released_after_the_list")
    evidence = pd.Series("", extra.index).mask(reason == "copy_of_a_listed_pair", copy).mask(is_newer, released)
    return extra[["pair_id"]].assign(reason=reason, evidence=evidence)


def _with_sequences(listed: pd.DataFrame, chains: pd.DataFrame) -> pd.DataFrame:
    for side in ("protein", "rna"):
        keys = chains[["pdb_id", "chain", "sequence_sha256"]]
        keys = keys.rename(columns={"chain": f"{side}_chain", "sequence_sha256": f"{side}_sha256"})
        listed = listed.merge(keys, on=["pdb_id", f"{side}_chain"])
    return listed


def summary(table: pd.DataFrame, built: pd.DataFrame, listed: pd.DataFrame) -> list[str]:
    """The counts by verdict and reason as lines, then how much of the list is built and of the build listed."""
    lines = [f"PRI30k: {len(built)} pairs of {built['pdb_id'].nunique()} entries built, {len(listed)} listed"]
    known = {"shared": {"": "built and listed"}, "missing": MISSING, "extra": EXTRA}
    counts = Counter(zip(table["verdict"], table["reason"], strict=True))
    for verdict, meanings in known.items():
        of_verdict = [(count, reason) for (told, reason), count in counts.items() if told == verdict]
        for count, reason in sorted(of_verdict, key=lambda found: (-found[0], found[1])):
            lines.append(f"  {verdict:8} {reason:30} {count:6}   {meanings[reason]}")
    n_shared, n_built = counts["shared", ""], len(built)
    n_here = len(listed) - sum(counts["missing", reason] for reason in NOT_HERE)
    n_in_entries = int(built["pdb_id"].isin(listed["pdb_id"]).sum())
    lines.append(f"of {n_here} listed pairs whose chains are here {_share(n_shared, n_here)} are built")
    lines.append(
        f"of {n_built} built pairs {_share(n_shared, n_built)} are listed; "
        f"of the {n_in_entries} in entries that the list names {_share(n_shared, n_in_entries)}"
    )
    return lines


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
