from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from copra.decisions import rows_as_dicts
from copra.errors import InputError
from copra.files import sha256_of_file
from copra.parse.affinity import parse_affinity
from copra.parse.cells import chains_of_letters, ph_of, temperature_of
from copra.parse.pdbbind import split_bracket
from copra.tables import read_table
from copra.units import dg_from_kd

PRBAB = (
    "No,PDB ID,Protein name,RNA name,Kd(Experimental Value),Kd(mol),△G°（kcal/mol),Method,pH,T(k),Reference,"
    "Reference location,Buffer\n"
)
PRDB = "PDB ID,Crystal_RNA_len,Solution_RNA_len,Kd,Temperature (K),pH,ΔG (kcal/mol),Exp  Technique,PubMed ID\n"


def transcribe(table: Path, kind: str, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    out.mkdir(parents=True, exist_ok=True)
    receipt = out / "receipt.json"
    receipt.write_text(json.dumps({"status": "fetched", "sha256": sha256_of_file(table)}))
    parse_affinity(
        table, format=kind, source="s", version="v1", receipt=receipt,
        measurements=out / "measurements.parquet", rejects=out / "rejects.parquet",
    )  # fmt: skip
    return read_table(out / "measurements.parquet", "measurements"), read_table(out / "rejects.parquet", "rejects")


def of_text(text: str, kind: str, tmp_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = tmp_path / "table"
    table.write_text(text, encoding="utf-8")
    return transcribe(table, kind, tmp_path / "out")


def test_pdbbind_both_styles(tmp_path: Path) -> None:
    text = (
        "# comment\n"
        "1e10  2.26  1998  Ki=1.32uM     // 1e10.pdf (RNA (TRNA GLN II )) QSI inhibits, Ki of 1.32+/-0.53uM\n"
        "\n"
        "1kq2  2.71  2002  Kd=30.5nM     // 1kq2.pdf (ABHIKM|R) RNA-A=30.5nM, RNA-U=56nM\n"
        "5e08  NMR   2012  Kd=1~5nM      // 5e08.pdf (DNA OPERATOR) a range\n"
        "not a line\n"
    )
    good, bad = of_text(text, "pdbbind", tmp_path)
    assert list(good["measurement_id"]) == ["s:000002", "s:000004"]
    first, second = good.to_dict("records")
    assert (first["pdb_id"], first["quantity"], first["protein_chains"], first["nucleic_acid"]) == (
        "1e10", "Ki", "", "RNA",
    )  # fmt: skip
    assert first["comment"].startswith("reference:1e10.pdf; RNA (TRNA GLN II ); QSI")
    assert (second["protein_chains"], second["rna_chains"], second["value"]) == ("A,B,H,I,K,M", "R", 30.5e-9)
    assert dict(zip(bad["source_row"], bad["reason"], strict=True)) == {"000005": "range", "000006": "bad_line"}
    assert list(bad["raw_text"])[1] == "not a line"


@pytest.mark.parametrize(
    ("bracket", "said"),
    [("siRNA", "RNA"), ("DNA OPERATOR", "DNA"), ("13-mer", ""), ("DNA/RNA hybrid", ""), ("RNA polymerase site", "")],
)
def test_pdbbind_says_rna_only_where_it_is_plain(bracket: str, said: str, tmp_path: Path) -> None:
    good, _ = of_text(f"1abc 2.0 2001 Kd=1nM // 1abc.pdf ({bracket}) Kd=1nM\n", "pdbbind", tmp_path)
    assert list(good["nucleic_acid"]) == [said]


def test_nested_and_open_brackets() -> None:
    assert split_bracket("(tRNA(Glu)) ERS") == ("tRNA(Glu)", "ERS")
    assert split_bracket("(never closed") == ("", "(never closed")
    assert split_bracket("none") == ("", "none")


def test_prbabv2_reads_awkward_cells(tmp_path: Path) -> None:
    text = PRBAB + (
        '1,1A9N_AB:Q,"a ""quoted"" name",r,0.20±0.07nM,2e-10,-13.225,EMSA,pH 7.4,298,9814759,Table 3,b\n'
        '2,"5W1I_A:B\n\n",p,r,0.97±0.07nM,9.7e-10,-12.785,m,Ph 6.8,310,   u ,T,"100\nmM"\n'
        "3,3SIU_AB:C,p,r,8μM,8e-06,-9.165,m,unstated,393,21784869,F,b\n"
        "4,4Z4C_A:BD,p,r,1.8 ± 0.12,1.8e-09,-11.724,m,pH 8,293,26359634,T,b\n"
        "5,2I91_A:CD,p,r,320±70μM,3.2e-07,-8.856,m,pH 7.5,Default=298,17041599\xa0,T,b\n"
        "6,1ABC,p,r,1nM,1e-9,-12,m,7,298,1,T,b\n"
        "7,1ABD_A:B,too,few\n"
    )
    good, bad = of_text(text, "prbabv2", tmp_path)
    rows = {row["measurement_id"]: row for row in good.to_dict("records")}
    assert sorted(rows) == ["s:000002", "s:000003", "s:000004", "s:000005", "s:000006", "s:000006.2"]
    assert (rows["s:000002"]["protein_chains"], rows["s:000002"]["uncertainty"]) == ("A,B", 0.07e-9)
    assert (rows["s:000003"]["pdb_id"], rows["s:000003"]["ph"], rows["s:000003"]["pmid"]) == ("5w1i", 6.8, "")
    assert rows["s:000003"]["raw_text"].startswith('2,"5W1I_A:B\n\n",p')
    assert pd.isna(rows["s:000004"]["temperature_k"])
    assert "temperature_not_believed:393" in rows["s:000004"]["comment"]
    assert (rows["s:000005"]["value"], rows["s:000005"]["parse_rule"]) == (1.8e-9, "kd_mol_column")
    assert (rows["s:000006"]["value"], rows["s:000006.2"]["value"]) == (pytest.approx(320e-6), 3.2e-7)
    assert rows["s:000006"]["pmid"] == "17041599"
    assert pd.isna(rows["s:000006"]["temperature_k"])
    assert dict(zip(bad["source_row"], bad["reason"], strict=True)) == {
        "000007": "bad_complex_name",
        "000008": "wrong_number_of_cells",
    }


def test_prdbv3_folds_symmetry_copies_and_shows_contradictions(tmp_path: Path) -> None:
    text = PRDB + (
        "3HL2_AA'BB':E,90,90,1.34e-07,300,8,-9.43,H,36929010\n3IEV_A:D,12,37,1.26e-08,298,7.5,-6.46,E,21646538\n"
        "7ZLQ_A:DE,1,1,1.25e-07,298,7,-9.41,E,BioRxiv\n"
    )
    good, bad = of_text(text, "prdbv3", tmp_path)
    assert bad.empty
    assert list(good["measurement_id"]) == ["s:000002", "s:000003", "s:000003.2", "s:000004"]
    assert (good["protein_chains"][0], good["rna_chains"][0]) == ("A,B", "E")
    assert (good["quantity"][2], good["value"][2], good["unit"][2]) == ("dG", -6.46, "kcal/mol")
    assert "reference:BioRxiv" in good["comment"][3]


def test_pronab_never_takes_a_mutant_for_the_wild_type(tmp_path: Path) -> None:
    text = (
        "id\tPDB_complex\tmutation_protein\ttype_nuc\tpH\ttemperature (K)\tmethod\tdG_wild (kcal/mol)\tKd_wild (nM)\t"
        "dG_mutant (kcal/mol)\n"
        "1\t1A9N\twild\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-\n"
        "2\t1A9N\tD 10A\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-9.1\n"
        "3\t1A9N\tD11A\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-\n"
        "4\t1XYZ\twild\tDNA\t7.5\t298\tEMSA\t-10.37\t-\t-\n"
        "5\t-\twild\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-\n"
    )
    good, bad = of_text(text, "pronab", tmp_path)
    assert list(good["mutation"]) == ["", "D 10A", ""]
    assert list(good["value"]) == [25e-9, -9.1, -10.37]
    assert list(good["nucleic_acid"]) == ["RNA", "RNA", "DNA"]
    assert list(bad["reason"]) == ["mutant_without_value", "no_pdb_id"]


def test_pronab_with_one_value_column_and_csv(tmp_path: Path) -> None:
    good, bad = of_text(
        "PDB ID,Mutation,Type,Kd\n1URN,WT,RNA,5 nM\n1URN,K50A,RNA,\n1URN,WT,RNA,5\n", "pronab", tmp_path
    )
    assert list(good["value"]) == [5e-9]
    assert list(bad["reason"]) == ["mutant_without_value", "no_unit"]


def test_pronab_refuses_unknown_headings_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacks \['mutation', 'type'\]"):
        of_text("PDB ID,dG\n1URN,-10\n", "pronab", tmp_path)
    with pytest.raises(InputError, match="dG or Kd"):
        of_text("PDB ID,Mutation,Type\n1URN,WT,RNA\n", "pronab", tmp_path)


@pytest.mark.parametrize("kind", ["pdbbind", "prbabv2", "prdbv3", "pronab"])
@pytest.mark.parametrize(
    "data", [b"PK\x03\x04zip", b"a\x00b", b"\xff\xfe\x00", b"hello,world\n1,2\n", b"", b"\x1f\x8bx"]
)
def test_a_bad_file_is_refused_with_its_name(kind: str, data: bytes, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(data)
    with pytest.raises(InputError, match=r"table\.csv"):
        transcribe(table, kind, tmp_path / "out")


def test_missing_source_gives_empty_tables_and_a_changed_file_stops(tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    arguments = {"format": "pdbbind", "source": "s", "version": "", "receipt": receipt}
    out = {"measurements": tmp_path / "m.parquet", "rejects": tmp_path / "r.parquet"}
    receipt.write_text('{"status": "missing"}')
    parse_affinity(tmp_path / "no_such_file", **arguments, **out)  # type: ignore[arg-type]
    assert read_table(out["measurements"], "measurements").empty
    assert read_table(out["rejects"], "rejects").empty
    (tmp_path / "table").write_text("1abc 2.0 2001 Kd=1nM // 1abc.pdf (RNA) \n")
    receipt.write_text('{"status": "fetched", "sha256": "0"}')
    with pytest.raises(InputError, match="receipt says"):
        parse_affinity(tmp_path / "table", **arguments, **out)  # type: ignore[arg-type]


def test_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        of_text(PRDB + "1ASY_A:R,75,76,3e-08,310,5.5,-10.66,A,10452887\n", "prdbv3", tmp_path / name)
    files = [(tmp_path / name / "out" / "measurements.parquet").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]


def test_cells() -> None:
    assert temperature_of("298 K") == (298.0, "")
    assert temperature_of("Default=298") == (None, "temperature_assumed_by_source:Default=298")
    assert temperature_of("25C") == (None, "temperature_not_understood:25C")
    assert (ph_of("  Ph 8.0"), ph_of("Default=7"), ph_of("298")) == (8.0, None, None)
    assert chains_of_letters("AAb0") == ("A,b,0", False)


REAL = [
    ("raw/INDEX_general_PN.2018", "pdbbind", 896, 896),
    ("raw/INDEX_general_PN.2020R1.lst", "pdbbind", 1032, 1032),
    ("prbab2.csv", "prbabv2", 145, 147),
    ("prdbv3_affinity.csv", "prdbv3", 105, 109),
]


@pytest.mark.parametrize(("name", "kind", "rows", "values"), REAL)
def test_every_cell_of_the_real_files_is_understood_or_refused(
    name: str, kind: str, rows: int, values: int, shared: Path, tmp_path: Path
) -> None:
    good, bad = transcribe(shared / "data" / "labels" / name, kind, tmp_path)
    assert good["source_row"].nunique() + len(bad) == rows
    assert len(good) == values
    assert good.loc[good["unit"] == "M", "value"].gt(0).all()


def test_prbabv2_agrees_with_its_own_free_energies(shared: Path, tmp_path: Path) -> None:
    table = shared / "data" / "labels" / "prbab2.csv"
    good, _ = transcribe(table, "prbabv2", tmp_path)
    raw = pd.read_csv(table, dtype=str)
    stated = pd.to_numeric(raw.set_index(raw.index + 2)["△G°（kcal/mol)"])
    measured = good[good["temperature_k"].notna() & ~good["comment"].str.contains("cells_disagree")]
    for row in rows_as_dicts(measured):
        dg = dg_from_kd(row["value"], row["temperature_k"])
        assert dg == pytest.approx(stated[int(row["source_row"])], abs=0.01), row["measurement_id"]
    assert len(measured) == 142
