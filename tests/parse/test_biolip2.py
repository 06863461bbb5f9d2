from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest

from copra.errors import InputError
from copra.files import sha256_of_file
from copra.parse.biolip2 import parse_biolip2
from copra.tables import read_table


def line(pdb_id: str, chain: str, ligand: str, rna: str, residues: str, resolution: str = "2.10") -> str:
    cells = [pdb_id, chain, resolution, "BS01", ligand, rna, "1", residues, residues, *[""] * 11, "MKV"]
    return "\t".join(cells)


def transcribe(table: Path, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    receipt = out / "receipt.json"
    receipt.write_text(json.dumps({"status": "fetched", "sha256": sha256_of_file(table)}))
    parse_biolip2(table, source="b", receipt=receipt, pairs=out / "p.parquet", rejects=out / "r.parquet")
    return read_table(out / "p.parquet", "pairs"), read_table(out / "r.parquet", "rejects")


def test_pairs_are_merged_and_case_is_kept(tmp_path: Path) -> None:
    table = tmp_path / "BioLiP.txt"
    rows = [
        line("1urn", "A", "rna", "P", "N180 L181"),
        line("1urn", "A", "rna", "P", "L181 K-2"),
        line("1urn", "a", "rna", "P", "N180", "-1.00"),
        line("1urn", "A", "NUC", "BB", "N180A"),
        line("1urn", "A", "ATP", "A", "not looked at"),
        line("1urn", "A", "rna", "Q", ""),
        line("1urn", "", "rna", "Q", "N1"),
        line("urn", "A", "rna", "Q", "N1"),
        line("1urn", "A", "rna", "Q", "N1", "x"),
        line("1urn", "A", "rna", "Q", "N1", "inf"),
        "1urn\tA\trna",
    ]
    table.write_text("\n".join(rows) + "\n")
    pairs, rejects = transcribe(table, tmp_path)
    found = {(r.protein_chain, r.rna_chain): r.n_binding_residues for r in pairs.itertuples()}
    assert found == {("A", "P"): 3, ("a", "P"): 1, ("A", "BB"): 1}
    assert pairs.loc[pairs["protein_chain"] == "a", "resolution_angstrom"].isna().all()
    assert list(rejects["reason"]) == [
        "bad_binding_residues", "bad_chains", "bad_pdb_id", "bad_resolution", "bad_resolution", "wrong_number_of_cells",
    ]  # fmt: skip


def test_gzip_and_the_real_example_row(shared: Path, tmp_path: Path) -> None:
    example = (shared / "data" / "formats" / "biolip2_example_row.tsv").read_text().rstrip("\n")
    table = tmp_path / "BioLiP.txt.gz"
    with gzip.open(table, "wt") as handle:
        handle.write(example + "\n" + example.replace("RS2\tA\t1", "rna\tB\t1", 1) + "\n")
    pairs, rejects = transcribe(table, tmp_path)
    assert rejects.empty
    assert list(pairs[["pdb_id", "protein_chain", "rna_chain", "n_binding_residues"]].iloc[0]) == ["966c", "A", "B", 14]
    assert pairs["resolution_angstrom"].tolist() == [1.9]


def test_another_file_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "BioLiP.txt"
    for data in (b"", b"hello\n", b"\xff\xfe\x00\n", b"\x1f\x8bbroken"):
        table.write_bytes(data)
        with pytest.raises(InputError, match=r"BioLiP\.txt"):
            transcribe(table, tmp_path)


@pytest.mark.slow
def test_full_size(tmp_path: Path) -> None:
    table = tmp_path / "BioLiP.txt"
    residues = " ".join(f"K{n}" for n in range(1, 25))
    with table.open("w") as handle:
        for n in range(150_000):
            handle.write(
                line(f"{1 + n // 30000}a{n // 100 % 36:02d}"[:4], f"C{n % 97}", "rna", f"R{n % 89}", residues) + "\n"
            )
    started = time.monotonic()
    pairs, _ = transcribe(table, tmp_path)
    assert len(pairs) > 10_000
    assert time.monotonic() - started < 20


def test_a_pair_takes_little_more_memory_than_its_row(tmp_path: Path) -> None:
    n_pairs, residues = 1000, " ".join(f"K{n}" for n in range(101, 141))
    rows = (line(f"1{n:03d}", "A", "rna", "R", residues) for n in range(n_pairs))
    (tmp_path / "BioLiP.txt").write_text("\n".join(rows) + "\n")
    transcribe(tmp_path / "BioLiP.txt", tmp_path)  # what is imported and cached on the way is not counted
    tracemalloc.start()
    transcribe(tmp_path / "BioLiP.txt", tmp_path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes / n_pairs < 2500  # with a set of residues for each pair it was 5359
