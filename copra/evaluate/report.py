"""One HTML page that tells a run: what data, how many records and why, how well the models predict, from what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from copra.evaluate import figures
from copra.evaluate.html import render
from copra.evaluate.losses import losses
from copra.evaluate.pretraining_report import pretraining_part
from copra.evaluate.results_report import families_section, results_part
from copra.evaluate.trust import trust
from copra.files import replacing, sha256_of_file
from copra.provenance.results import Run, load_run
from copra.tables import concat_tables

TEMPLATE = Path(__file__).with_name("report.html.j2")
LISTED = 500  # rows of a list that a page still shows
INPUTS = ("pra310/select/records.parquet", "split/folds.parquet")


def report(results: Path, *, config: Path, tables: list[str], out: Path) -> None:
    """Write the report of the run in `results` as one self-contained HTML page.

    `config` is the run's run.json, `tables` the results tables that the page shows (table1, controls, ...). Tables
    that are not there or empty leave their part of the page out or are named as missing; links to predictions are
    relative to `out`. Raises InputError for a table or a receipt that cannot be read.
    """
    run = load_run(results, config)
    others = {"families": families_section(run, out)} | pretraining_part(run)
    _write(run, tables, out, run.table("findings"), others)


def _write(run: Run, tables: list[str], out: Path, findings: pd.DataFrame, others: dict[str, Any]) -> None:
    """Write the page on `tables` and their data; `others` are the values of its parts on families and pre-training."""
    told = results_part(run, tables, out) | others
    records = run.table("records")
    values = _headline(run, records) | _sources(run) | _record_summary(records) | _audit(findings)
    page = render(
        TEMPLATE, **values, **told, **losses(run), **trust(run),
        **_provenance(run, tables, told["weights_named"]),
        funnels=_funnels(run.table("funnel")), reasons=_reasons(run), figures=_figures(run, records),
    )  # fmt: skip
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def table_page(results: Path, *, config: Path, table: str, out: Path) -> None:
    """Write the report with one results table alone (`table1`, ...); arguments and errors as for `report`.

    What other tables, split families, pre-training and the audit of predictions say is left to the report: a page holds
    only what stands in front of it in the flow, and so does not depend on what else was made before it.
    """
    run = load_run(results, config)
    findings = [path for path in run.files("findings") if path.name == "findings.parquet"]
    _write(run, [table], out, concat_tables(findings, "findings"), {"families": None, "pretraining": []})


def _headline(run: Run, records: pd.DataFrame) -> dict[str, Any]:
    settings = run.config.evaluate
    facts = [
        (int((run.table("entries")["status"] == "read").sum()), "PDB entries read"),
        (len(run.table("pri30k")), "pre-training pairs"),
        (len(run.table("measurements")), "measurements"),
        (len(records), "labelled records"),
        (int(records["in_pra201"].sum()), "of them in PRA201"),
        (run.table("folds")["cluster"].nunique(), "clusters"),
    ]
    return {
        "title": settings.title,
        "notice": settings.notice,
        "facts": [(f"{number:,}", what) for number, what in facts],
        "confidence": settings.confidence,
    }


def _sources(run: Run) -> dict[str, Any]:
    receipts = run.receipts()
    rows = [
        (
            r.get("source", ""), r.get("version", ""), r.get("status", ""), f"{int(r.get('bytes') or 0):,}",
            str(r.get("sha256", ""))[:16], r.get("url") or r.get("detail", ""),
        )
        for r in receipts
    ]  # fmt: skip
    missing = sorted(str(r.get("source", "")) for r in receipts if r.get("status") == "missing")
    unused = sorted(name for name, source in run.config.sources.items() if not source.use)
    return {"sources": rows, "missing_sources": missing + [f"{name} (not used)" for name in unused]}


def _funnels(funnel: pd.DataFrame) -> list[dict[str, Any]]:
    parts = []
    for dataset, part in funnel.groupby("dataset", sort=True):
        ordered = part.sort_values("order")
        rows = [
            (step, reason, f"{before:,}", f"{after:,}", f"{before - after:,}")
            for step, reason, before, after in ordered[["step", "reason", "rows_in", "rows_out"]].itertuples(
                index=False
            )
        ]
        parts.append({"dataset": str(dataset), "rows": rows, "picture": figures.funnel_picture(part)})
    return parts


def _reasons(run: Run) -> list[tuple[str, str, str, str]]:
    """Where and why something was left out, the most frequent reason first: (where, reason, count, an example)."""
    rejects, decisions, entries = run.table("rejects"), run.table("decisions"), run.table("entries")
    left_out = decisions[decisions["verdict"].isin(["drop", "flag"])]
    found = [
        (f"rows of {source}", reason, row)
        for source, reason, row in _columns(rejects, "source", "reason", "source_row")
    ]
    found += [
        (f"{step} ({verdict})", rule, subject)
        for step, verdict, rule, subject in _columns(left_out, "step", "verdict", "rule", "subject")
    ]
    quarantined = entries[entries["status"] == "quarantined"]
    found += [("structures", reason, entry) for reason, entry in _columns(quarantined, "reason", "pdb_id")]
    count = Counter((where, reason) for where, reason, _ in found)
    example: dict[tuple[str, str], str] = {}
    for where, reason, subject in sorted(found):
        example.setdefault((where, reason), subject)
    ranked = sorted(count, key=lambda key: (-count[key], key))[:LISTED]
    return [(where, reason, f"{count[where, reason]:,}", example[where, reason]) for where, reason in ranked]


def _columns(frame: pd.DataFrame, *names: str) -> list[tuple[str, ...]]:
    return [tuple(row) for row in frame[list(names)].itertuples(index=False)]


def _record_summary(records: pd.DataFrame) -> dict[str, Any]:
    rows = []
    for grade, part in records.groupby("label_grade", sort=True):
        dg = part["dg_kcal_mol"]
        numbers = [f"{value:.2f}".replace("-", "−") for value in (dg.mean(), dg.min(), dg.max())]
        rows.append((str(grade), len(part), int(part["temperature_assumed"].sum()), *numbers))
    return {"grades": rows, "n_records": len(records), "n_assumed": int(records["temperature_assumed"].sum())}


def _audit(findings: pd.DataFrame) -> dict[str, Any]:
    count = Counter(findings["verdict"])
    told = findings[findings["verdict"] != "pass"].sort_values(["verdict", "check", "subject"])
    return {
        "audit_counts": [(verdict, count[verdict]) for verdict in ("pass", "note", "fail") if count[verdict]],
        "audit_rows": _columns(told, "check", "subject", "verdict", "detail")[:LISTED],
        "n_failed_checks": count["fail"],
    }


def _provenance(run: Run, tables: list[str], weights: list[str]) -> dict[str, Any]:
    told = run.description
    rows = [("commit", str(told.get("git_commit", "unknown")))]
    rows += [(key, str(told[key])) for key in ("command", "machine", "system") if told.get(key)]
    rows += [("language model weights", text) for text in weights]
    files = [run.results / name for name in (*INPUTS, *(f"evaluate/{table}/metrics.parquet" for table in tables))]
    rows += [(f"sha256 of {path.relative_to(run.results)}", sha256_of_file(path)) for path in files if path.is_file()]
    rows += [(f"sha256 of {r['file'].name}", str(r.get("sha256") or "missing")) for r in run.receipts()]
    return {
        "provenance": rows,
        "versions": sorted((str(k), str(v)) for k, v in told.get("versions", {}).items()),
        "config": yaml.safe_dump(told["config"], sort_keys=False, allow_unicode=True),
    }


def _figures(run: Run, records: pd.DataFrame) -> dict[str, str]:
    """The pictures of the data that the tables allow; an empty text for the others."""
    pictures = dict.fromkeys(("labels", "folds", "interfaces"), "")
    if len(records):
        pictures["labels"] = figures.label_histogram(records)
        folds = run.table("folds")
        if len(folds):
            pictures["folds"] = figures.fold_balance(folds, records)
        contacts = contacts_per_record(records, run.table("contacts"))
        if contacts:
            pictures["interfaces"] = figures.interface_sizes(contacts)
    return pictures


def contacts_per_record(records: pd.DataFrame, contacts: pd.DataFrame) -> list[int]:
    """Residue pairs in contact between the protein and the RNA chains of each record; empty without contacts."""
    count: dict[tuple[str, str, str], int] = {}
    for pdb_id, protein, rna, pairs in contacts[
        ["pdb_id", "protein_chain", "rna_chain", "n_residue_contacts"]
    ].itertuples(index=False):
        count[pdb_id, protein, rna] = pairs
    chains = records[["pdb_id", "protein_chains", "rna_chains"]].itertuples(index=False)
    return (
        [
            sum(count.get((pdb_id, a, b), 0) for a in proteins.split(",") for b in rnas.split(","))
            for pdb_id, proteins, rnas in chains
        ]
        if count
        else []
    )
