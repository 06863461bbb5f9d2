"""One label's whole story, from the cell of a checksummed file to the predictions."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from copra.errors import CopraError, shown
from copra.provenance.results import read_json, read_receipts, table_files
from copra.tables import concat_tables


def trace(record_id: str, *, results: Path) -> int:
    """Print the story of one record (`1urn:A:P`) or of a candidate that became none.

    Raises CopraError that names similar ids when there is no such record or candidate.
    """
    for line in story(record_id, results):
        print(shown(line))
    return 0


def story(record_id: str, results: Path) -> Iterator[str]:
    """The lines of the story, in the order in which data flow."""
    tables = {name: _rows(results, name, column, record_id) for name, column in _WHERE.items()}
    if not tables["records"] and not tables["candidates"]:
        raise CopraError(_unknown(record_id, results))
    named = tables["candidates"] + tables["records"]
    ids = sorted({name for row in named for name in row["measurement_ids"].split(",") if name})
    measured = _table(results, "measurements")
    decisions = _table(results, "decisions")
    yield f"{record_id}" + ("" if tables["records"] else "   (a candidate, not a record)")
    yield from _sources(measured[measured["measurement_id"].isin(ids)], _files(results), decisions)
    yield from _section("decisions", [_decision(row) for row in _about(decisions, record_id)])
    yield from _section("label", [_label(row) for row in tables["labels"]])
    yield from _section("record", [_record(row) for row in tables["records"]])
    yield from _section("structure", _structure(results, record_id, named[0]["pdb_id"]))
    clusters = [f"cluster {row['cluster']}, protein clusters {row['protein_clusters']}" for row in tables["clusters"]]
    yield from _section("split", clusters + [f"fold {row['fold']}" for row in tables["folds"]])
    yield from _section("predictions", [_prediction(row) for row in tables["predictions"]])


_WHERE = {
    "candidates": "candidate_id", "labels": "candidate_id", "records": "record_id", "clusters": "record_id",
    "folds": "record_id", "predictions": "record_id",
}  # fmt: skip


def _table(results: Path, name: str) -> pd.DataFrame:
    return concat_tables(table_files(results, name), name)


def _rows(results: Path, name: str, column: str, value: str) -> list[dict[str, Any]]:
    table = _table(results, name)
    return [{str(k): v for k, v in row.items()} for row in table[table[column] == value].to_dict("records")]


def _about(decisions: pd.DataFrame, subject: str) -> list[dict[Any, Any]]:
    return decisions[decisions["subject"] == subject].to_dict("records")


def _unknown(record_id: str, results: Path) -> str:
    known = set(_table(results, "records")["record_id"]) | set(_table(results, "candidates")["candidate_id"])
    if not known:
        return f"{results}: no records here yet; run the workflow first"
    same_entry = sorted(name for name in known if name.split(":")[0] == record_id.split(":")[0].lower())
    near = same_entry or difflib.get_close_matches(record_id, sorted(known), n=5, cutoff=0.0)
    return f"no record or candidate '{record_id}' in {results}; similar: {', '.join(near[:5]) or 'none'}"


def _files(results: Path) -> dict[str, str]:
    """sha256 -> path of the source files of the run; empty without run.json."""
    path = results / "run.json"
    if not path.is_file():
        return {}
    raw = Path(read_json(path)["config"]["paths"]["raw"])
    return {str(receipt.get("sha256")): str(receipt["file"]) for receipt in read_receipts(raw)}


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield ""
    yield title
    yield from (f"  {line}" for line in lines or ["nothing"])


def _sources(measured: pd.DataFrame, files: dict[str, str], decisions: pd.DataFrame) -> Iterator[str]:
    lines = []
    for row in measured.sort_values("measurement_id").to_dict("records"):
        file = files.get(row["file_sha256"], "file not here")
        lines.append(f"{row['measurement_id']}: {file}, row {row['source_row']}, sha256 {row['file_sha256'][:16]}")
        lines.append(f"  cell: {row['raw_text']}")
        lines.append(f"  read as: {_reading(row)}")
        lines += [f"  verdict: {_decision(decision)}" for decision in _about(decisions, row["measurement_id"])]
    yield from _section("measurements", lines)


def _reading(row: dict[Any, Any]) -> str:
    parts = [f"{row['quantity']} {row['relation']} {row['value']:.6g} {row['unit']}"]
    for key, unit in (("temperature_k", " K"), ("ph", "")):
        if not pd.isna(row[key]):
            parts.append(f"{key} {row[key]:g}{unit}")
    parts += [f"{key} {row[key]}" for key in ("method", "pmid", "mutation", "parse_rule", "comment") if row[key]]
    return ", ".join(parts)


def _decision(row: dict[Any, Any]) -> str:
    parts = [f"{row['step']}: {row['verdict']} by {row['rule']}"]
    parts += [f"{key}: {row[key]}" for key in ("before", "after", "evidence", "note") if row[key]]
    return "; ".join(parts)


def _label(row: dict[str, Any]) -> str:
    assumed = " (assumed)" if row["temperature_assumed"] else ""
    return (
        f"dG {row['dg_kcal_mol']:.3f} kcal/mol from Kd {row['kd_molar']:.4g} M at {row['temperature_k']:g} K{assumed}, "
        f"dG {row['dg_298k_kcal_mol']:.3f} at 298.15 K; rule {row['deciding_rule']}, "
        f"grade {row['label_grade']}, from {row['measurement_ids']}"
    )


def _record(row: dict[str, Any]) -> str:
    return (
        f"{row['n_protein_chains']} protein chains with {row['n_protein_residues']} residues, "
        f"{row['n_rna_chains']} RNA chains with {row['n_rna_nucleotides']} nucleotides"
        + (", in PRA201" if row["in_pra201"] else "")
    )


def _structure(results: Path, record_id: str, pdb_id: str) -> list[str]:
    lines = []
    for row in _rows(results, "fetched", "pdb_id", pdb_id):
        lines.append(f"file {row['path'] or '-'} ({row['status']}), sha256 {row['sha256'][:16]}, from {row['url']}")
    for row in _rows(results, "entries", "pdb_id", pdb_id):
        resolution = "" if pd.isna(row["resolution_angstrom"]) else f", {row['resolution_angstrom']:g} A"
        why = f" ({row['reason']})" if row["reason"] else ""
        lines.append(f"entry {pdb_id}: {row['status']}{why}, {row['method']}{resolution}")
    wanted = {name for part in record_id.split(":")[1:] for name in part.split(",")}
    for row in _rows(results, "chains", "pdb_id", pdb_id):
        if row["chain"] in wanted:
            lines.append(
                f"chain {row['chain']}: {row['molecule_type']}, {row['n_residues']} residues, "
                f"{row['n_observed']} observed, sequence sha256 {row['sequence_sha256'][:16]}"
            )
    for row in _rows(results, "contacts", "pdb_id", pdb_id):
        if {row["protein_chain"], row["rna_chain"]} <= wanted:
            lines.append(
                f"chains {row['protein_chain']} and {row['rna_chain']} touch: {row['n_residue_contacts']} residue "
                f"contacts, nearest {row['min_distance_angstrom']:.2f} A"
            )
    return lines


def _prediction(row: dict[str, Any]) -> str:
    if row["failure"]:
        return f"{row['experiment']} (seed {row['seed']}, fold {row['fold']}): {row['failure']}"
    off = row["predicted_dg_kcal_mol"] - row["measured_dg_kcal_mol"]
    return (
        f"{row['experiment']} (seed {row['seed']}, fold {row['fold']}, {row['protocol']}): "
        f"{row['predicted_dg_kcal_mol']:.2f} kcal/mol, measured {row['measured_dg_kcal_mol']:.2f}, off by {off:+.2f}"
    )
