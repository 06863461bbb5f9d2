from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from copra.errors import InputError
from copra.parse.affinity import parse_affinity
from copra.parse.pdbbind import split_bracket
from copra.tables import read_table

Transcribe = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]
Workbook = Callable[[dict[str, list[list[object]]]], Path]
PRBAB = (
    "No,PDB ID,Protein name,RNA name,Kd(Experimental Value),Kd(mol),△G°（kcal/mol),Method,pH,T(k),Reference,"
    "Reference location,Buffer\n"
)
PRDB = "PDB ID,Crystal_RNA_len,Solution_RNA_len,Kd,Temperature (K),pH,ΔG (kcal/mol),Exp  Technique,PubMed ID\n"


def test_pdbbind_both_styles(of_text: Transcribe) -> None:
    text = (
        "# comment\n"
        "1e10  2.26  1998  Ki=1.32uM     // 1e10.pdf (RNA (TRNA GLN II )) QSI inhibits, Ki of 1.32+/-0.53uM\n"
        "\n"
        "1kq2  2.71  2002  Kd=30.5nM     // 1kq2.pdf (ABHIKM|R) RNA-A=30.5nM, RNA-U=56nM\n"
        "5e08  NMR   2012  Kd=1~5nM      // 5e08.pdf (DNA OPERATOR) a range\n"
        "not a line\n"
    )
    good, bad = of_text(text, "pdbbind")
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
def test_pdbbind_says_rna_only_where_it_is_plain(bracket: str, said: str, of_text: Transcribe) -> None:
    good, _ = of_text(f"1abc 2.0 2001 Kd=1nM // 1abc.pdf ({bracket}) Kd=1nM\n", "pdbbind")
    assert list(good["nucleic_acid"]) == [said]


def test_nested_and_open_brackets() -> None:
    assert split_bracket("(tRNA(Glu)) ERS") == ("tRNA(Glu)", "ERS")
    assert split_bracket("(never closed") == ("", "(never closed")
    assert split_bracket("none") == ("", "none")


def test_prbabv2_reads_awkward_cells(of_text: Transcribe) -> None:
    text = PRBAB + (
        '1,1A9N_AB:Q,"a ""quoted"" name",r,0.20±0.07nM,2e-10,-13.225,EMSA,pH 7.4,298,9814759,Table 3,b\n'
        '2,"5W1I_A:B\n\n",p,r,0.97±0.07nM,9.7e-10,-12.785,m,Ph 6.8,310,   u ,T,"100\nmM"\n'
        "3,3SIU_AB:C,p,r,8μM,8e-06,-9.165,m,unstated,393,21784869,F,b\n"
        "4,4Z4C_A:BD,p,r,1.8 ± 0.12,1.8e-09,-11.724,m,pH 8,293,26359634,T,b\n"
        "5,2I91_A:CD,p,r,320±70μM,3.2e-07,-8.856,m,pH 7.5,Default=298,17041599\xa0,T,b\n"
        "6,1ABC,p,r,1nM,1e-9,-12,m,7,298,1,T,b\n"
        "7,1ABD_A:B,too,few\n"
    )
    good, bad = of_text(text, "prbabv2")
    rows = {row["measurement_id"]: row for row in good.to_dict("records")}
    assert sorted(rows) == ["s:000002", "s:000003", "s:000004", "s:000005", "s:000006", "s:000006.2"]
    assert (rows["s:000002"]["protein_chains"], rows["s:000002"]["uncertainty"]) == ("A,B", 0.07e-9)
    assert (rows["s:000003"]["pdb_id"], rows["s:000003"]["ph"], rows["s:000003"]["pmid"]) == ("5w1i", 6.8, "")
    assert rows["s:000003"]["raw_text"].startswith('2,"5W1I_A:B\n\n",p')
    assert pd.isna(rows["s:000004"]["temperature_k"])
    assert "temperature_not_believed:393" in rows["s:000004"]["comment"]
    assert (rows["s:000005"]["value"], rows["s:000005"]["parse_rule"]) == (1.8e-9, "kd_column")
    assert (rows["s:000006"]["value"], rows["s:000006.2"]["value"]) == (pytest.approx(320e-6), 3.2e-7)
    assert rows["s:000006"]["pmid"] == "17041599"
    assert pd.isna(rows["s:000006"]["temperature_k"])
    assert dict(zip(bad["source_row"], bad["reason"], strict=True)) == {
        "000007": "bad_complex_name",
        "000008": "wrong_number_of_cells",
    }


def test_prdbv3_folds_symmetry_copies_and_shows_contradictions(of_text: Transcribe) -> None:
    text = PRDB + (
        "3HL2_AA'BB':E,90,90,1.34e-07,300,8,-9.43,H,36929010\n3IEV_A:D,12,37,1.26e-08,298,7.5,-6.46,E,21646538\n"
        "7ZLQ_A:DE,1,1,1.25e-07,298,7,-9.41,E,BioRxiv\n"
    )
    good, bad = of_text(text, "prdbv3")
    assert bad.empty
    assert list(good["measurement_id"]) == ["s:000002", "s:000003", "s:000003.2", "s:000004"]
    assert (good["protein_chains"][0], good["rna_chains"][0]) == ("A,B", "E")
    assert (good["quantity"][2], good["value"][2], good["unit"][2]) == ("dG", -6.46, "kcal/mol")
    assert "reference:BioRxiv" in good["comment"][3]


def test_pronab_never_takes_a_mutant_for_the_wild_type(of_text: Transcribe) -> None:
    text = (
        "id\tPDB_complex\tmutation_protein\ttype_nuc\tpH\ttemperature (K)\tmethod\tdG_wild (kcal/mol)\tKd_wild (nM)\t"
        "dG_mutant (kcal/mol)\n"
        "1\t1A9N\twild\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-\n"
        "2\t1A9N\tD 10A\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-9.1\n"
        "3\t1A9N\tD11A\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-\n"
        "4\t1XYZ\twild\tDNA\t7.5\t298\tEMSA\t-10.37\t-\t-\n"
        "5\t-\twild\tRNA\t7.5\t298\tEMSA\t-10.37\t25\t-\n"
    )
    good, bad = of_text(text, "pronab")
    assert list(good["mutation"]) == ["", "D 10A", ""]
    assert list(good["value"]) == [25e-9, -9.1, -10.37]
    assert list(good["nucleic_acid"]) == ["RNA", "RNA", "DNA"]
    assert list(bad["reason"]) == ["mutant_without_value", "no_pdb_id"]


def test_pronab_with_one_value_column_and_csv(of_text: Transcribe) -> None:
    good, bad = of_text("PDB ID,Mutation,Type,Kd\n1URN,WT,RNA,5 nM\n1URN,K50A,RNA,\n1URN,WT,RNA,5\n", "pronab")
    assert list(good["value"]) == [5e-9]
    assert list(bad["reason"]) == ["mutant_without_value", "no_unit"]


def test_pronab_takes_the_unit_from_the_heading_and_a_mutated_rna_for_a_mutant(of_text: Transcribe) -> None:
    good, bad = of_text(
        "PDB code,Mutation,RNA mutation,Type,Kd_wild (µM),Kd_mutant (µM),temp,pH\n"
        "1URN,wild,-,RNA,0.5,,25 °C,Default=7\n"
        "1URN,wild,U8C,RNA,0.5,7±1 nM,RT,7.4\n"
        "1URN,K50A,U8C,RNA,0.5,3-5,298,7.4\n",
        "pronab",
    )
    assert list(good["value"]) == [pytest.approx(5e-7, rel=1e-12), pytest.approx(7e-9, rel=1e-12)]
    assert list(good["mutation"]) == ["", "U8C"]
    assert good["temperature_k"].tolist()[0] == 298.15
    assert list(good["comment"]) == ["ph_assumed_by_source:Default=7", "temperature_not_understood:RT"]
    assert list(bad["reason"]) == ["range"]


def test_pronab_refuses_unknown_headings_by_name(of_text: Transcribe) -> None:
    with pytest.raises(InputError, match=r"lacks mutation \(.*Mutation.*\); type \(.*\); found \['PDB ID', 'dG'\]"):
        of_text("PDB ID,dG\n1URN,-10\n", "pronab")
    with pytest.raises(InputError, match=r"lacks a dG or Kd of the wild type .*found"):
        of_text("PDB ID,Mutation,Type\n1URN,WT,RNA\n", "pronab")


@pytest.mark.parametrize("kind", ["pdbbind", "prbabv2", "prdbv3", "predprba", "pronab"])
@pytest.mark.parametrize(
    "data", [b"PK\x03\x04zip", b"a\x00b", b"\xff\xfe\x00", b"hello,world\n1,2\n", b"", b"\x1f\x8bx"]
)
def test_a_bad_file_is_refused_with_its_name(kind: str, data: bytes, transcribe: Transcribe, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(data)
    with pytest.raises(InputError, match=r"table\.csv"):
        transcribe(table, kind)


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


def test_same_bytes_twice(of_text: Transcribe, tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        of_text(PRDB + "1ASY_A:R,75,76,3e-08,310,5.5,-10.66,A,10452887\n", "prdbv3")
        found.append((tmp_path / "good.parquet").read_bytes())
    assert found[0] == found[1]


def test_prbabv2_and_prdbv3_are_read_from_their_workbooks(workbook: Workbook, transcribe: Transcribe) -> None:
    head = ["PDB ID", "Kd(Experimental Value)", "Kd(mol)", "△G°（kcal/mol)", "Method", "pH", "T(k)", "Reference"]
    row = ["1A9N_AB:Q", "0.20±0.07nM", 2e-10, -13.2250343097627, "EMSA", "pH 7.4", 298, 9814759, "Table 3"]
    book = workbook({"Sheet1": [["A title"], [None, *head, "Reference location"], [1, *row]]})
    good, _ = transcribe(book, "prbabv2")
    assert list(good["measurement_id"]) == ["s:Sheet1!000003"]
    assert good.loc[0, ["value", "uncertainty", "temperature_k", "ph", "pmid"]].tolist() == [
        2e-10, 7e-11, 298.0, 7.4, "9814759",
    ]  # fmt: skip
    head = ["PDB ID", "Crystal_RNA_len", "Solution_RNA_len", "Kd", "Temperature (K)", "pH", "ΔG (kcal/mol)"]
    row = ["1ASY_A:R", 75, 76, 3e-08, 310, 5.5, -10.66, "A", 10452887]
    sheet = [["#Bounda"] * 9, [*head, "Exp  Technique", "PubMed ID"], ["#", "(A) Complexes with tRNA (1)"], row]
    good, _ = transcribe(workbook({"Table_S1": [["PDB ID", "pH"]], "Table_S2": sheet}), "prdbv3")
    assert list(good["measurement_id"]) == ["s:Table_S2!000004"]
    assert good.loc[0, ["value", "temperature_k", "method", "pmid"]].tolist() == [3e-8, 310.0, "A", "10452887"]


def test_predprba_is_one_plain_kd_and_shows_contradictions(of_text: Transcribe) -> None:
    good, bad = of_text(
        "No,PDB ID,Class,pH,T(k),Experimental  Kd(mol),Experimental △G（kcal/mol),PubMed\n"
        "1,4CSF_A:a,c,unstated,281,2.2e-07,-8.529,24688060\n"
        "2,1WSU_A:E,c,pH 6.0,298,1e-06,-9.9,Wu et al. 2017\n"
        "3,1WSU_A:E,c,pH 6.0,298,nan,-9.9,1\n",
        "predprba",
    )
    assert list(good["quantity"]) == ["Kd", "Kd", "dG"]
    assert (good["rna_chains"][0], good["temperature_k"][0], good["pmid"][0]) == ("a", 281.0, "24688060")
    assert all(
        note in good["comment"][2] for note in ("cells_disagree", "dg_cell_means_kd", "reference:Wu et al. 2017")
    )
    assert list(bad["reason"]) == ["no_kd"]
