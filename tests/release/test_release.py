from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from release_run import release_of
from sample_results import fill, put

from copra.errors import InputError
from copra.tables import TABLES, read_table


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_holds_tables_splits_metadata_and_terms(released: Path) -> None:
    names = set(all_bytes(released))
    assert {"DATA_CARD.md", "LICENCES.md", "SHA256SUMS", "croissant.json", "ro-crate-metadata.json"} <= names
    assert {"sources.tsv", "config.json", "splits/folds.tsv", "splits/pra201.txt"} <= names
    tables = {name.removeprefix("tables/") for name in names if name.startswith("tables/")}
    expected = {
        "records", "labels", "candidates", "measurements", "mutations", "decisions", "funnel", "label_noise",
        "pri30k", "entries", "chains", "clusters", "folds",
    }  # fmt: skip
    assert tables == {f"{name}.{kind}" for name in expected for kind in ("csv", "parquet")}


def test_the_sums_are_those_of_all_files(released: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=released, capture_output=True)
    assert done.returncode == 0, done.stdout
    listed = {line.split("  ")[1] for line in (released / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(all_bytes(released)) - {"SHA256SUMS"}


def test_two_releases_of_a_run_are_the_same_bytes_wherever_the_run_lies(folder: Path, released: Path) -> None:
    first = all_bytes(release_of(folder, folder / "release"))
    assert all_bytes(release_of(folder, folder / "release")) == first
    assert first == all_bytes(released)


def test_nothing_in_a_release_names_a_folder_of_the_machine(run_folder: Path, released: Path) -> None:
    for name, content in all_bytes(released).items():
        assert str(run_folder).encode() not in content, name
    urls = json.loads((released / "config.json").read_text())["fetch"]["structure_urls"]
    assert urls == ["file:{id}.cif.gz"]


def test_csv_and_parquet_say_the_same(released: Path) -> None:
    for path in sorted((released / "tables").glob("*.parquet")):
        table = read_table(path, path.stem)
        text = pd.read_csv(path.with_suffix(".csv"), dtype=str, keep_default_na=False, encoding="utf-8")
        assert list(text.columns) == list(table.columns)
        assert len(text) == len(table)
        for column in TABLES[path.stem].columns:
            name, kind = column.split()
            for cell, value in zip(text[name], table[name], strict=True):
                if kind == "string":
                    assert cell == value
                elif pd.isna(value):
                    assert cell == ""
                else:
                    assert {"int": int, "float": float, "bool": {"true": True, "false": False}.get}[kind.rstrip("?")](
                        cell
                    ) == value


def test_every_id_of_a_record_stands_in_the_other_tables(released: Path) -> None:
    tables = {path.stem: read_table(path, path.stem) for path in (released / "tables").glob("*.parquet")}
    records = tables["records"]
    assert len(records) == 19
    assert {i for ids in records["measurement_ids"] for i in ids.split(",")} <= set(
        tables["measurements"]["measurement_id"]
    )
    assert set(tables["folds"]["record_id"]) == set(records["record_id"])
    assert set(tables["chains"]["pdb_id"]) == set(tables["entries"]["pdb_id"])
    assert "9bad" not in set(tables["entries"]["pdb_id"]), "an entry that nothing rests on"


@pytest.mark.parametrize("found", ["a folder of something else", "a release with a stranger's file", "a file"])
def test_nothing_but_a_release_is_overwritten(folder: Path, found: str) -> None:
    out = folder / "release"
    if found == "a file":
        out.write_text("mine")
        mine = out
    else:
        if "release with" in found:
            release_of(folder, out)
        mine = out / "tables/notes.txt"
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text("mine")
    with pytest.raises(InputError, match="expected"):
        release_of(folder, out)
    assert mine.read_text() == "mine"


def test_a_release_that_fails_leaves_the_earlier_one(folder: Path) -> None:
    before = all_bytes(release_of(folder, folder / "release"))
    columns = folder / "curation/columns.tsv"
    columns.write_text("".join(line for line in columns.open() if not line.startswith("records\tdg_kcal_mol\t")))
    with pytest.raises(InputError, match="dg_kcal_mol of the table records"):
        release_of(folder, folder / "release")
    assert all_bytes(folder / "release") == before
    assert [path.name for path in folder.iterdir() if "release" in path.name] == ["release"]


def test_a_release_that_a_killed_process_had_moved_aside_comes_back(folder: Path) -> None:
    out = release_of(folder, folder / "release")
    before = all_bytes(out)
    out.rename(folder / ".release.old")
    (folder / "results/pra310/select/records.parquet").unlink()
    with pytest.raises(InputError, match="expected the table 'records'"):
        release_of(folder, out)
    assert all_bytes(out) == before


def test_the_card_counts_what_the_tables_hold(folder: Path, released: Path) -> None:
    card = (released / "DATA_CARD.md").read_text()
    records = read_table(released / "tables/records.parquet", "records")
    assert f"{len(records)} records ({records['in_pra201'].sum()} of them PRA201)" in card
    assert f"for {records['temperature_assumed'].sum()} of {len(records)}" in card
    assert f"| prbabv2 | {len(records)} |" in card
    assert "| prbabv2 | bad_complex_name | 1 |" in card
    for fold, n in read_table(released / "tables/folds.parquet", "folds")["fold"].value_counts().items():
        assert f"| {fold} | {n} | {n} |" in card
    assert "git commit abc123" in card
    assert "journal supplement" in card
    assert "Known biases" in card
    assert "{{" not in card
    assert "leakage" not in card, "this run has no leakage report"


def test_the_card_tells_leakage_and_label_noise_where_the_run_knows_them(folder: Path) -> None:
    results = folder / "results"
    shared = {"n_test": 5, "n_test_protein_30": 4, "n_test_protein_70": 3, "n_test_same_protein": 2}
    rows = [fill("leakage", family="protein70", fold=fold, n_test_same_rna=1, **shared) for fold in (0, 1)]
    put(results / "split/leakage.parquet", "leakage", rows)
    noise = {"label_error_sd_kcal_mol": 0.654, "ceiling_pcc": 0.912, "n_complexes": 11}
    row = fill("label_noise", source="every source", other_source="every source", copies_left_out=True, **noise)
    put(results / "pra310/calibrate/label_noise.parquet", "label_noise", [row])
    out = release_of(folder, folder / "release")
    card = (out / "DATA_CARD.md").read_text()
    assert "| protein70 | 10 | 8 | 6 | 4 | 2 | 0 |" in card
    assert "| every source | every source | yes | 11 | 0.65 | 0.91 |" in card
    assert len(read_table(out / "tables/leakage.parquet", "leakage")) == 2
