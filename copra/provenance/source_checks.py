"""The audit's checks between the files of the sources and the tables parsed from them."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

from copra.errors import InputError
from copra.fetch.sources import resolve_source
from copra.files import sha256_of_file
from copra.parse.affinity import parse_affinity
from copra.pra310.curation import candidate_of, is_in_force, load_corrections, load_literature
from copra.provenance.findings import Finding, judged
from copra.provenance.results import Run, some
from copra.tables import read_table


def source_bytes(run: Run) -> list[Finding]:
    """Every file of a source has the bytes that its receipt states."""
    problems, notes, count = {}, [], 0
    for receipt in run.receipts():
        file: Path = receipt["file"]
        name = f"{receipt.get('source')}/{file.name}"
        if receipt.get("status") == "missing":
            notes.append(Finding(name, "note", f"this source is missing: {receipt.get('detail') or 'no reason given'}"))
            continue
        count += 1
        if "redirected to" in str(receipt.get("detail")):
            notes.append(Finding(name, "note", f"{receipt.get('url')}: {receipt['detail']}"))
        found = sha256_of_file(file) if file.is_file() else "no file"
        if found != receipt.get("sha256"):
            problems[name] = f"receipt: sha256 {receipt.get('sha256')}; found {found}"
    if not count and not notes:
        problems["receipts"] = f"no receipt below {run.raw.name}/sources"
    return judged(problems, f"{count} files have the bytes of their receipts") + notes


def measurements_of_files(run: Run) -> list[Finding]:
    """Every measurement names a file of its source by the sha256 of its receipt."""
    known = {(str(r.get("source")), str(r.get("sha256"))) for r in run.receipts()}
    table = run.table("measurements")
    stated = Counter(zip(table["source"], table["file_sha256"], strict=True))
    problems = {
        f"{source} {sha256[:16]}": f"{count} measurements of a file that no receipt names"
        for (source, sha256), count in stated.items()
        if (source, sha256) not in known
    }
    return judged(problems, f"{len(table)} measurements of {len(stated)} files")


def rows_conserved(run: Run) -> list[Finding]:
    """No source row is both understood and rejected, and none is rejected twice."""
    problems = {}
    measured, rejects = run.table("measurements"), run.table("rejects")
    for source in sorted(set(measured["source"]) | set(rejects["source"])):
        refused = rejects.loc[rejects["source"] == source, "source_row"]
        understood = set(measured.loc[measured["source"] == source, "source_row"])
        both = understood & set(refused)
        if both:
            problems[source] = f"rows both understood and rejected: {some(both)}"
        elif refused.duplicated().any():
            problems[source] = f"rows rejected twice: {some(refused[refused.duplicated()])}"
    return judged(problems, f"{len(measured)} measurements, {len(rejects)} rejected rows, no row in both")


def tables_reparsed(run: Run) -> list[Finding]:
    """Reading every affinity file again gives the measurements and rejects of the run, cell by cell."""
    problems, count = {}, 0
    for source in sorted(name for name, chosen in run.config.sources.items() if chosen.use):
        row = resolve_source(run.config, source)
        if row.kind != "affinity":
            continue
        file = run.raw / "sources" / source / row.filename
        parsed = run.results / "parsed" / source
        with tempfile.TemporaryDirectory(prefix="copra-audit-") as folder:
            again = {name: Path(folder, name) for name in ("measurements", "rejects")}
            try:
                parse_affinity(
                    file, format=row.format, source=source, version=row.version,
                    receipt=file.with_name(f"{file.name}.receipt.json"), **again,
                )  # fmt: skip
                for name, path in again.items():
                    found, expected = read_table(parsed / f"{name}.parquet", name), read_table(path, name)
                    count += len(expected)
                    if detail := _first_difference(found, expected):
                        problems[f"{source} {name}"] = detail
            except InputError as error:
                problems[source] = str(error)
    return judged(problems, f"{count} rows read again")


def _first_difference(found: pd.DataFrame, expected: pd.DataFrame) -> str:
    if len(found) != len(expected):
        return f"{len(found)} rows, reading the file again gives {len(expected)}"
    for column in expected.columns:
        differs = ~((found[column] == expected[column]) | (found[column].isna() & expected[column].isna()))
        if differs.any():
            i = int(differs.to_numpy().argmax())
            row = expected["source_row"].iloc[i]
            return f"row {row}: {column} is {found[column].iloc[i]}, the file gives {expected[column].iloc[i]}"
    return ""


def corrections_live(run: Run) -> list[Finding]:
    """Every line of corrections.yaml and literature.tsv still speaks of a candidate and of what its source states.

    A line about an entry or a source that this run does not have is a note: it does nothing here.
    """
    candidates = run.table("candidates")
    stated = run.table("measurements").set_index("measurement_id")[["source", "quantity", "value"]]
    problems, idle = {}, []
    path, literature = run.curation / "corrections.yaml", run.curation / "literature.tsv"
    for correction in load_corrections(path):
        try:
            candidate = candidate_of(correction.subject, candidates, path)
            rows = candidates.loc[candidates["candidate_id"] == candidate, "measurement_ids"]
            values = list(stated.loc[rows.iloc[0].split(",")].itertuples(index=False, name=None)) if len(rows) else []
            if not values or not is_in_force(correction, values, path):
                idle.append(Finding(correction.subject, "note", "this correction has nothing to correct in this run"))
        except InputError as error:
            problems[correction.subject] = str(error)
    for subject in load_literature(literature):
        try:
            if candidate_of(subject, candidates, literature) is None:
                idle.append(Finding(subject, "note", "this line of literature.tsv has no candidate in this run"))
        except InputError as error:
            problems[subject] = str(error)
    return judged(problems, "every curated line is in force or idle") + idle


def licences_stated(run: Run) -> list[Finding]:
    """Every source of the run has a licence and a word on redistribution in sources.tsv."""
    problems = {}
    used = sorted(name for name, chosen in run.config.sources.items() if chosen.use)
    for name in used:
        if not resolve_source(run.config, name).licence.strip():
            problems[name] = "sources.tsv states no licence"
    return judged(problems, f"{len(used)} sources")
