"""A run with closed and open sources: what each of them says is marked, so that a test can look for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
from sample_results import ROOT, fill, put, write_results

from copra.release.release import release
from copra.tables import read_table, write_table

CLOSED, OPEN = "words-of-a-closed-source", "words-of-an-open-source"
ID_LIKE_A_NUMBER = "5e08"  # stands for 1a05
NOT_A_RECORD = "1a19:A:B"
PAIRS = {"1a00:A:B": 7, "1a01:A:B": 8, "1a02:A:B": 9}  # as BioLiP2 counts them; only the first two are contacts here


def change(path: Path, name: str, **values: object) -> None:
    """Set columns of a table in all its rows."""
    write_table(read_table(path, name).assign(**values), path, name)


def _closed_words(results: Path) -> None:
    parsed = results / "parsed/prbabv2"
    change(parsed / "measurements.parquet", "measurements", raw_text=CLOSED, comment=CLOSED, method=CLOSED)
    change(parsed / "rejects.parquet", "rejects", raw_text=CLOSED, detail=CLOSED)
    change(results / "pra310/merge/decisions.parquet", "decisions", before=CLOSED, evidence=CLOSED, note=CLOSED)
    calibrate = results / "pra310/calibrate/decisions.parquet"
    change(calibrate, "decisions", before=CLOSED)
    effect = fill("mutations", mutation_id="mcsm_blind:1", source="mcsm_blind", raw_text=CLOSED, comment=CLOSED)
    put(results / "parsed/mcsm_blind/mutations.parquet", "mutations", [effect])


def _open_words(results: Path) -> None:
    stated = {"source": "prdbv3", "pdb_id": "7xyz", "quantity": "Kd", "relation": "=", "value": 1e-9, "unit": "M"}
    row = fill("measurements", measurement_id="prdbv3:1", raw_text=OPEN, comment=OPEN, **stated)
    put(results / "parsed/prdbv3/measurements.parquet", "measurements", [row])
    judged = {"step": "merge", "subject": "prdbv3:1", "rule": "mutant_construct", "verdict": "drop", "before": OPEN}
    path = results / "pra310/merge/decisions.parquet"
    known = read_table(path, "decisions").to_dict("records")
    put(path, "decisions", [*known, fill("decisions", **judged)])


def _one_label_is_no_record(results: Path) -> None:
    for path, name in (("pra310/select/records", "records"), ("split/folds", "folds"), ("split/clusters", "clusters")):
        table = read_table(results / f"{path}.parquet", name)
        write_table(table[table["record_id"] != NOT_A_RECORD], results / f"{path}.parquet", name)


def _pairs(results: Path) -> None:
    path = results / "structures/contacts.parquet"
    contacts = read_table(path, "contacts")
    contacts["n_binding_residues"] = contacts["pdb_id"].map({"1a00": 4, "1a01": 5}).fillna(0).astype(int)
    write_table(contacts, path, "contacts")
    pairs = [
        fill("pri30k", pair_id=name, pdb_id=name[:4], protein_chain="A", rna_chain="B", origin="biolip2",
             n_binding_residues=count, case_safe_key=name)
        for name, count in PAIRS.items()
    ]  # fmt: skip
    put(results / "pri30k/pri30k.parquet", "pri30k", pairs)
    drop = {"step": "build_pri30k", "rule": "few_binding_residues", "verdict": "drop", "evidence": CLOSED}
    rows = [fill("decisions", subject=name, **drop) for name in ("1a01:A:C", "1a01:A:B")]
    put(results / "pri30k/decisions.parquet", "decisions", rows)


def _splits(results: Path) -> None:
    families = results / "split/families"
    families.mkdir()
    for name in ("protein70", "published"):
        (families / f"{name}.tsv").write_text("record_id\tcluster\tfold\tnote\n1a00:A:B\t1a00:A:B\t0\t\n")
    for family in ("protein70", "published"):
        folder = results / f"split/purge/{family}/fold_0"
        folder.mkdir(parents=True)
        (folder / "kept.txt").write_text("1a01:A:B\n1a02:A:B\n")


def _renamed(results: Path) -> None:
    """Every 1a05 becomes an id that reads like a number."""
    for path in results.rglob("*.parquet"):
        table = pd.read_parquet(path)
        for column in table.select_dtypes(["str", "object"]):
            table[column] = table[column].str.replace("1a05", ID_LIKE_A_NUMBER)
        name = {"wanted": "wanted_entries"}.get(path.stem, path.stem)
        write_table(table, path, name)


def write_run(folder: Path) -> None:
    """Write a run into `folder`: prbabv2, mcsm_blind and biolip2 are closed, prdbv3 is open."""
    config = write_results(folder)
    results = folder / "results"
    for part in (_closed_words, _open_words, _one_label_is_no_record, _pairs, _splits, _renamed):
        part(results)
    shutil.copy(ROOT / "resources/curation/columns.tsv", folder / "curation/columns.tsv")
    sources = folder / "curation/sources.tsv"
    lines = sources.read_text().splitlines()
    opened = [line.replace("\tno\t", "\tyes\t") if line.startswith("prdbv3\t") else line for line in lines]
    assert opened != lines
    sources.write_text("\n".join(opened) + "\n")
    description = json.loads(config.read_text())
    plain = {"use": True, "required": False, "urls": None, "filename": None, "version": None, "sha256": None}
    description["config"]["sources"] |= {"biolip2": plain, "mcsm_blind": plain}
    description["config"]["fetch"]["structure_urls"] = [f"file:{folder}/mirror/{{mid}}/{{id}}.cif.gz"]
    config.write_text(json.dumps(description))


def release_of(folder: Path, out: Path) -> Path:
    """The release of the run in `folder`, written to `out`."""
    release(folder / "results", config=folder / "results/run.json", out=out)
    return out


def change_config(folder: Path, part: str, **values: object) -> None:
    """Set values of one part of the run's configuration."""
    path = folder / "results/run.json"
    description = json.loads(path.read_text())
    description["config"][part] |= values
    path.write_text(json.dumps(description))
