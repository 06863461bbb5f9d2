"""The checks of the audit: each is one small function from a run to its findings.

A check returns what is wrong, subject by subject, or one finding that says what was found in order.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from copra.decisions import check_conservation
from copra.evaluate.problems import find_problem
from copra.evaluate.truth import read_truth
from copra.files import sha256_of_text
from copra.pra310.calibrate import calibrate_labels
from copra.provenance.embedding_checks import embeddings_whole
from copra.provenance.findings import Finding, judged
from copra.provenance.mutant_checks import mutants_differ
from copra.provenance.results import Run, evaluated
from copra.provenance.source_checks import (
    corrections_live,
    licences_stated,
    measurements_of_files,
    rows_conserved,
    source_bytes,
    tables_reparsed,
)
from copra.structure.store import read_interfaces
from copra.tables import concat_tables, read_table
from copra.units import HIGHEST_TEMPERATURE_K, LOWEST_TEMPERATURE_K, STANDARD_TEMPERATURE_K, dg_from_kd

DG_TOLERANCE_KCAL_MOL = 0.01
DG_COLUMNS = ("dg_kcal_mol", "dg_298k_kcal_mol")
LOWEST_DG_KCAL_MOL, HIGHEST_DG_KCAL_MOL = -20.0, 0.0  # the tightest known complexes are near -20; 0 is no binding


def measurements_conserved(run: Run) -> list[Finding]:
    """Every measurement ends in exactly one verdict, and every candidate in a label or a flag."""
    measured, decisions = run.table("measurements"), run.table("decisions")
    wrong = [line.rpartition(": ") for line in check_conservation(measured, decisions)]
    problems = {measurement: detail for measurement, _, detail in wrong}
    lost = set(run.table("candidates")["candidate_id"]) - set(run.table("labels")["candidate_id"])
    unexplained = lost - set(decisions.loc[decisions["verdict"] == "flag", "subject"])
    problems |= dict.fromkeys(unexplained, "candidate without label and without a decision that says why")
    refused = set(run.table("labels")["candidate_id"]) - set(run.table("records")["record_id"])
    unexplained = refused - set(decisions.loc[decisions["verdict"] == "drop", "subject"])
    problems |= dict.fromkeys(unexplained, "label that is no record, without a decision that says why")
    return judged(problems, f"{len(measured)} measurements, {len(decisions)} decisions")


def dg_recomputed(run: Run) -> list[Finding]:
    """dG of every label and record is R T ln Kd at its own temperature and at 298.15 K, within 0.01 kcal/mol."""
    problems = {}
    labels, records = run.table("labels"), run.table("records")
    columns = ["candidate_id", "kd_molar", "temperature_k", *DG_COLUMNS]
    both = pd.concat([labels[columns], records.rename(columns={"record_id": "candidate_id"})[columns]])
    for name, kd, kelvin, own, standard in both.itertuples(index=False):
        if not (kd > 0 and kelvin > 0):
            problems[name] = f"Kd {kd} M at {kelvin} K has no dG"
            continue
        for stated, at in ((own, kelvin), (standard, STANDARD_TEMPERATURE_K)):
            expected = dg_from_kd(kd, at)
            if not abs(expected - stated) <= DG_TOLERANCE_KCAL_MOL:
                problems[name] = f"dG {stated:.3f}, but Kd {kd:.4g} M at {at:g} K gives {expected:.3f} kcal/mol"
    return judged(problems, f"{len(labels)} labels, {len(records)} records within {DG_TOLERANCE_KCAL_MOL} kcal/mol")


def labels_rederived(run: Run) -> list[Finding]:
    """Deciding the labels again gives the labels, and every record carries its label (dG is dg_recomputed's matter)."""
    if any(finding.verdict == "fail" for finding in corrections_live(run)):
        return [Finding("all", "note", "not decided again: a curated line is refused, see corrections_live")]
    labels, records = run.table("labels"), run.table("records")
    with tempfile.TemporaryDirectory(prefix="copra-audit-") as folder:
        again, noise, decisions, funnel = (Path(folder, name) for name in ("labels", "noise", "decisions", "funnel"))
        calibrate_labels(
            run.results / "pra310/merge/candidates.parquet", measurements=run.files("measurements"),
            settings=run.config.pra310, corrections=run.curation / "corrections.yaml",
            labels=again, noise=noise, decisions=decisions, funnel=funnel,
        )  # fmt: skip
        problems = _different(labels, read_table(again, "labels"), "candidate_id", "deciding the labels again")
    shared = labels.rename(columns={"candidate_id": "record_id"})
    of_records = shared[shared["record_id"].isin(records["record_id"])]
    columns = [str(column) for column in shared.columns]
    problems |= _different(records[columns], of_records, "record_id", "the table of labels")
    return judged(problems, f"{len(labels)} labels decided again, {len(records)} records carry theirs")


def _different(found: pd.DataFrame, expected: pd.DataFrame, key: str, origin: str) -> dict[str, str]:
    left, right = (frame.set_index(key).drop(columns=list(DG_COLUMNS)) for frame in (found, expected))
    lone = left.index.symmetric_difference(right.index)
    problems = dict.fromkeys(lone, f"not what {origin} gives: only one side has it")
    common = left.index.intersection(right.index)
    for column in left.columns:
        a, b = left.loc[common, column], right.loc[common, column]
        if pd.api.types.is_float_dtype(a.dtype):
            unlike = ~np.isclose(a.astype(float), b.astype(float), rtol=1e-9, atol=1e-12, equal_nan=True)
        else:
            unlike = (a != b).to_numpy(dtype=bool)
        for name in common[unlike]:
            problems[str(name)] = f"{column} is {a[name]!r}; {origin} gives {b[name]!r}"
    return problems


def split_whole(run: Run) -> list[Finding]:
    """Every record has one fold, no cluster of records and no protein cluster stands in two, no fold is empty.

    Folds that a file states, or that release dates make, are not dealt by cluster: what they part is a note.
    """
    folds, records, clusters = run.table("folds"), run.table("records"), run.table("clusters")
    dealt_by_cluster = run.config.split.families[run.config.split.family].method in ("cd_hit", "alignment")
    problems = {}
    for name in set(records["record_id"]) ^ set(folds["record_id"]):
        problems[name] = "record without a fold" if name in set(records["record_id"]) else "fold of no record"
    for cluster, part in folds.groupby("cluster")["fold"]:
        if part.nunique() > 1:
            problems[f"cluster {cluster}"] = f"in the folds {sorted(set(part))}"
    joined = clusters.merge(folds[["record_id", "fold"]], on="record_id")
    joined["protein_cluster"] = joined["protein_clusters"].str.split(",")
    for cluster, part in joined.explode("protein_cluster").groupby("protein_cluster")["fold"]:
        if part.nunique() > 1:
            problems[f"protein cluster {cluster}"] = f"in the folds {sorted(set(part))}"
    empty = set(range(run.config.split.folds)) ^ set(folds["fold"])
    if empty:
        problems["folds"] = f"expected the folds 0 to {run.config.split.folds - 1}, empty or unknown: {sorted(empty)}"
    found = judged(problems, f"{len(folds)} records, {folds['cluster'].nunique()} clusters, none in two folds")
    return found if dealt_by_cluster else [replace(f, verdict="note") if f.verdict == "fail" else f for f in found]


def sequences_match(run: Run) -> list[Finding]:
    """The chains of every record are chains of its structure with the same sequences, and their sha256 is right."""
    problems = {}
    chains = run.table("chains")
    known = dict(zip(zip(chains["pdb_id"], chains["chain"], strict=True), chains["sequence"], strict=True))
    records = run.table("records")
    for record in records.to_dict("records"):
        for side in ("protein", "rna"):
            names, sequences, keys = (
                str(record[f"{side}_{column}"]).split(",") for column in ("chains", "sequences", "sha256")
            )
            problem = _chain_problem(record["pdb_id"], names, sequences, keys, known)
            if problem:
                problems[record["record_id"]] = problem
    return judged(problems, f"the chains of {len(records)} records are in their structures")


def _chain_problem(pdb_id: str, names: list[str], sequences: list[str], keys: list[str], known: dict[Any, str]) -> str:
    if not len(names) == len(sequences) == len(keys):
        return f"{len(names)} chains, {len(sequences)} sequences and {len(keys)} sha256"
    for name, sequence, key in zip(names, sequences, keys, strict=True):
        if known.get((pdb_id, name)) is None:
            return f"the structure has no chain {name}"
        if known[pdb_id, name] != sequence:
            return f"the sequence of chain {name} is not that of the structure"
        if sha256_of_text(sequence) != key:
            return f"the sha256 of chain {name} is not that of its sequence"
    return ""


def chains_touch(run: Run) -> list[Finding]:
    """A protein chain and an RNA chain of every record touch."""
    contacts = run.table("contacts")
    touching = set(contacts[["pdb_id", "protein_chain", "rna_chain"]].itertuples(index=False, name=None))
    records = run.table("records")
    problems = {
        record["record_id"]: "none of its protein chains touches one of its RNA chains"
        for record in records.to_dict("records")
        if not any(
            (record["pdb_id"], a, b) in touching
            for a in record["protein_chains"].split(",")
            for b in record["rna_chains"].split(",")
        )
    }
    return judged(problems, f"the chains of {len(records)} records touch")


def interfaces_present(run: Run) -> list[Finding]:
    """Every record has the arrays of its interface, with nodes of both molecules and the sequences of the record."""
    records = run.table("records")
    interfaces = read_interfaces(sorted(run.results.glob("interfaces/pra310/*.h5")), list(records["record_id"]))
    problems = {}
    for record in records.to_dict("records"):
        interface = interfaces[record["record_id"]]
        keys = f"{record['protein_sha256']},{record['rna_sha256']}".split(",")
        if list(interface.chain_sequence_sha256) != keys:
            problems[record["record_id"]] = "the sequences of the interface's chains are not those of the record"
        elif set(interface.molecule.tolist()) != {0, 1}:
            problems[record["record_id"]] = "the interface lacks the nodes of one molecule"
    return judged(problems, f"interfaces of {len(records)} records")


def predictions_cover(run: Run) -> list[Finding]:
    """Every evaluated experiment predicts each record once per seed, in its fold; a model that failed is a note."""
    problems, notes, n_predictions, names = {}, [], 0, set()
    for part in evaluated(run):
        method = run.config.split.families[part.family].method
        truth = read_truth(run.results / "pra310/select/records.parquet", part.folds(run), method)
        said = concat_tables(part.predictions(), "predictions")
        n_predictions += len(said)
        for name in part.experiments:
            kind, own = run.config.experiments[name].model, said[said["experiment"] == name]
            problem = find_problem(own, kind, truth, run.config.evaluate.seeds_of(part.table))
            subject = f"{part.title}: {name}"
            names.add(name)
            if problem and problem.of_the_files:
                problems[subject] = problem.cause
            elif problem:
                notes.append(Finding(subject, "note", f"{problem.status}: {problem.cause}"))
    return judged(problems, f"{n_predictions} predictions of {len(names)} experiments") + sorted(notes, key=str)


def plausible(run: Run) -> list[Finding]:
    """dG lies between -20 and 0 kcal/mol and the temperature where water is liquid."""
    problems = {}
    records = run.table("records")
    for name, dg, kelvin in records[["record_id", "dg_kcal_mol", "temperature_k"]].itertuples(index=False):
        if not LOWEST_DG_KCAL_MOL <= dg <= HIGHEST_DG_KCAL_MOL:
            problems[name] = f"dG {dg:.2f} kcal/mol is outside {LOWEST_DG_KCAL_MOL:g} to {HIGHEST_DG_KCAL_MOL:g}"
        elif not LOWEST_TEMPERATURE_K <= kelvin <= HIGHEST_TEMPERATURE_K:
            problems[name] = f"{kelvin:g} K is outside {LOWEST_TEMPERATURE_K:g} to {HIGHEST_TEMPERATURE_K:g} K"
    return judged(problems, f"{len(records)} records")


def counts_as_expected(run: Run) -> list[Finding]:
    """The counts of this run beside those of resources/curation/expected_counts.yaml; a difference is a note."""
    path = run.curation / "expected_counts.yaml"
    if not path.is_file():
        return [Finding(path.name, "note", "no expected counts to compare with")]
    found = counts(run)
    findings = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["expected_counts"]:
        name, number = entry["name"], entry["count"]
        here = found.get(name, "no such count")
        text = f"found {here}, expected {number}: {entry['what']} ({entry['where']})"
        findings.append(Finding(name, "pass" if here == number else "note", text))
    return findings


def counts(run: Run) -> dict[str, int]:
    """The counts of this run that expected_counts.yaml may name."""
    records, pri30k, pairs, mutations = (run.table(name) for name in ("records", "pri30k", "pairs", "mutations"))
    blind = mutations[mutations["source"] == "mcsm_blind"]
    return {
        "biolip2_complexes": int(pairs["pdb_id"].nunique()),
        "biolip2_pairs": len(pairs),
        "pri30k_pairs": len(pri30k),
        "pri30k_entries": int(pri30k["pdb_id"].nunique()),
        "affinity_complexes": len(run.table("labels")),
        "pra310_records": len(records),
        "pra201_records": int(records["in_pra201"].sum()),
        "mcsm_blind_mutations": len(blind),
        "mcsm_blind_complexes": int(blind["pdb_id"].nunique()),
    }


Checks = tuple[Callable[[Run], list[Finding]], ...]
CHECKS: Checks = (
    source_bytes, licences_stated, measurements_of_files, rows_conserved, tables_reparsed, measurements_conserved,
    dg_recomputed, labels_rederived, corrections_live, sequences_match, chains_touch, interfaces_present,
    mutants_differ, split_whole, plausible, counts_as_expected,
)  # fmt: skip
PREDICTION_CHECKS: Checks = (predictions_cover, embeddings_whole)
