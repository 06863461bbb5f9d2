from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from copra.errors import InputError
from copra.files import sha256_of_file
from copra.parse.mutations import parse_mutations
from copra.tables import read_table


def transcribe(table: Path, kind: str, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    receipt = out / "receipt.json"
    receipt.write_text(json.dumps({"status": "fetched", "sha256": sha256_of_file(table)}))
    parse_mutations(
        table, format=kind, source="m", receipt=receipt, mutations=out / "m.parquet", rejects=out / "r.parquet"
    )
    return read_table(out / "m.parquet", "mutations"), read_table(out / "r.parquet", "rejects")


def test_list_with_bad_lines(tmp_path: Path) -> None:
    table = tmp_path / "list.txt"
    table.write_text(
        "1E10_A_D210A\t1.41\n1ASY_b_D-2A\t-0.2\n\n1ASY_A_B210A\t1\n1ASY_A_D210D\t1\n1ASY_A_D210A\tx\n1ASYA\t1\n"
    )
    good, bad = transcribe(table, "mutation_list", tmp_path)
    assert list(good["mutation_id"]) == ["m:000001", "m:000002"]
    assert list(good["pdb_id"]) == ["1e10", "1asy"]
    assert list(good["chain"]) == ["A", "b"]
    assert list(good["ddg_mut_minus_wt_kcal_mol"]) == [1.41, -0.2]
    assert list(bad["reason"]) == ["bad_mutation", "bad_mutation", "bad_ddg", "wrong_number_of_cells"]


def test_table_of_another_kind_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "list.txt"
    table.write_text("hello\n")
    for kind in ("mutation_list", "mutation_csv"):
        with pytest.raises(InputError, match=r"list\.txt"):
            transcribe(table, kind, tmp_path)
    with pytest.raises(InputError, match="unknown format"):
        transcribe(table, "other", tmp_path)


def test_list_and_csv_of_the_real_blind_test_say_the_same(shared: Path, tmp_path: Path) -> None:
    labels = shared / "data" / "labels"
    from_list, bad_list = transcribe(labels / "raw" / "PEMPNI_MPR79.txt", "mutation_list", tmp_path)
    from_csv, bad_csv = transcribe(labels / "mcsm_rna_blind_mpr79.csv", "mutation_csv", tmp_path)
    assert bad_list.empty
    assert bad_csv.empty
    assert (len(from_list), from_list["pdb_id"].nunique()) == (79, 14)
    columns = ["pdb_id", "chain", "mutation", "ddg_mut_minus_wt_kcal_mol"]
    pd.testing.assert_frame_equal(from_list[columns], from_csv[columns])
