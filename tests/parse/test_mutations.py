"""Mutation effects: one sign in our tables whatever the sign of the source, and every mutation named in one way."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copra.errors import InputError
from copra.fetch.sources import read_sources
from copra.parse.mutation_text import read_mutations
from copra.parse.reasons import NotUnderstood

Transcribe = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]
DDG = "ddg_mut_minus_wt_kcal_mol"
DENG = "PDB ID,Mutant,Temp,Kd,∆G,∆∆G,PMID\n"


# --- the sign -----------------------------------------------------------------------------------------


def test_both_signs_of_a_source_give_the_one_sign_of_the_table(of_text: Transcribe) -> None:
    # D210A of 1ASY binds tRNA-Asp 11 times more weakly (Kd 30 nM -> 328 nM, PMID 10452887): mutant minus wild type
    # is positive, as PEMPNI's file has it; the convention of mCSM is the opposite
    pempni, _ = of_text("1ASY_A_D210A\t1.41\n1ASY_A_E327A\t-0.24\n", "mutation_list", ddg_sign="mut_minus_wt")
    mcsm, _ = of_text("1ASY_A_D210A\t-1.41\n1ASY_A_E327A\t0.24\n", "mutation_list", ddg_sign="wt_minus_mut")
    assert list(pempni[DDG]) == list(mcsm[DDG]) == [1.41, -0.24]


def test_no_change_has_no_sign(of_text: Transcribe) -> None:
    good, _ = of_text("1ASY_A_D210A\t0\n", "mutation_list", ddg_sign="wt_minus_mut")
    assert math.copysign(1.0, good[DDG][0]) == 1.0


def test_a_heading_that_says_the_other_sign_stops(of_text: Transcribe) -> None:
    text = "pdb_id,chain,mutation,ddg_mut_minus_wt_kcal_mol\n1ASY,A,D210A,1.41\n"
    assert list(of_text(text, "mutation_csv", ddg_sign="mut_minus_wt")[0][DDG]) == [1.41]
    with pytest.raises(InputError, match=r"says mut_minus_wt, the source is said to be wt_minus_mut"):
        of_text(text, "mutation_csv", ddg_sign="wt_minus_mut")


def test_the_sign_must_be_stated(of_text: Transcribe) -> None:
    with pytest.raises(InputError, match=r"unknown ddg_sign '', expected one of \['mut_minus_wt', 'wt_minus_mut'\]"):
        of_text("1ASY_A_D210A\t0\n", "mutation_list", ddg_sign="")


def test_every_source_of_mutations_states_its_sign(root: Path) -> None:
    rows = read_sources(root / "resources" / "curation" / "sources.tsv")
    stated = {name: row["ddg_sign"] for name, row in rows.items() if row["kind"] == "mutations"}
    assert stated == {"mcsm_blind": "mut_minus_wt", "mcsm_cv": "mut_minus_wt", "deng": "mut_minus_wt"}


# --- the names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names", "kind"),
    [
        ("D210A", "D210A", "single"), ("D 210A", "D210A", "single"), (" F 57 A ", "F57A", "single"),
        ("K-2A", "K-2A", "single"), ("R100BA", "R100BA", "single"), ("G12A", "G12A", "single"),
        ("K10A,R12A", "K10A,R12A", "multiple"), ("K 10A; R 12 A", "K10A,R12A", "multiple"),
        ("K10A/R12A/F5W", "K10A,R12A,F5W", "multiple"), ("K10A R12A", "K10A,R12A", "multiple"),
        ("U7C", "U7C", "rna"), ("A6U, U7C", "A6U,U7C", "rna"), ("K10A+U7C", "K10A,U7C", "protein_and_rna"),
    ],
)  # fmt: skip
def test_mutations_in_one_spelling(text: str, names: str, kind: str) -> None:
    assert read_mutations(text) == (names, kind)
    assert read_mutations(names) == (names, kind)


@pytest.mark.parametrize(
    "text",
    ["", "WT", "D210", "D210D", "B210A", "d210a", "K10A,", "K10A,K10R", "C-terminal deletion", "210A", "K10AR12"],
)
def test_what_is_no_mutation_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood, match="bad_mutation"):
        read_mutations(text)


@given(st.text(max_size=20) | st.text("KRAU12 ,;/-", max_size=14))
def test_any_text_is_mutations_or_refused(text: str) -> None:
    try:
        names, kind = read_mutations(text)
    except NotUnderstood:
        return
    assert read_mutations(names) == (names, kind)


# --- the files ----------------------------------------------------------------------------------------


def test_a_list_with_bad_lines(of_text: Transcribe) -> None:
    good, bad = of_text(
        "1E10_A_D210A\t1.41\n1ASY_b_D-2A\t-0.2\n\n1ASY_A_B210A\t1\n1ASY_A_D210D\t1\n1ASY_A_D210A\tx\n1ASYA\t1\n"
        "1ASY_A_K1A,R2A\t2\r\n1ASY_R_U7C\t0.5\n",
        "mutation_list", ddg_sign="mut_minus_wt",
    )  # fmt: skip
    assert list(good["mutation_id"]) == ["s:000001", "s:000002", "s:000008", "s:000009"]
    assert list(good["pdb_id"]) == ["1e10", "1asy", "1asy", "1asy"]
    assert list(good["chain"]) == ["A", "b", "A", "R"]
    assert list(good["mutation_kind"]) == ["single", "single", "multiple", "rna"]
    assert list(good["raw_text"])[2] == "1ASY_A_K1A,R2A\t2"
    assert list(bad["reason"]) == ["bad_mutation", "bad_mutation", "bad_ddg", "wrong_number_of_cells"]


def test_a_headed_table_under_other_names(of_text: Transcribe) -> None:
    good, bad = of_text(
        "PDB,Mutated_chain,Mutation,ddG (kcal/mol),T (K),PubMed\n"
        "1ASY,A,D 210A,1.41,310,10452887\n1ASY,A,E188A,1.56,RT,Wu 2017\n1ASY,AB,E188A,?,298,\n1ASY,A;B,E188A,1,298,\n",
        "mutation_csv", ddg_sign="mut_minus_wt",
    )  # fmt: skip
    assert good["temperature_k"].tolist()[0] == 310.0
    assert list(good["pmid"]) == ["10452887", ""]
    assert list(good["comment"]) == ["", "temperature_not_understood:RT; reference:Wu 2017"]
    assert list(bad["reason"]) == ["bad_ddg", "bad_chains"]


def test_dengs_wild_types_go_with_their_mutants(of_text: Transcribe) -> None:
    good, bad = of_text(
        DENG + "1URN_A,WT,298,5e-09,-10.8,0,1\n1URN_A,K 50A,298,5e-08,-9.5,1.3,15000000\n1URN_A,Q 54A,298,1e-8,-10,,\n"
        "1URN_A_1,WT,298,1e-08,-10.4,,\n1URN_A_1,K 50A,298,2e-08,-10,0.7,\n1A9N_B,Y 13A,277,1e-08,-10,0.7,\n"
        "1URN,K1A,1,1,1,1,\n",
        "deng", ddg_sign="mut_minus_wt",
    )  # fmt: skip
    assert list(good["mutation"]) == ["K50A", "K50A", "Y13A"]
    assert list(good["source_row"]) == ["000003", "000006", "000007"]
    assert list(good["comment"]) == [
        "kd:5e-08; dg:-9.5; wild_type_kd:5e-09; wild_type_dg:-10.8",
        "data_set:1; kd:2e-08; dg:-10; wild_type_kd:1e-08; wild_type_dg:-10.4; cells_disagree",
        "kd:1e-08; dg:-10; no_row_of_the_wild_type",
    ]
    assert list(bad["reason"]) == ["no_ddg", "bad_chains"]


def test_a_table_of_another_kind_is_refused(of_text: Transcribe) -> None:
    for kind in ("mutation_list", "mutation_csv", "deng"):
        with pytest.raises(InputError, match=r"table: "):
            of_text("hello\n", kind, ddg_sign="mut_minus_wt")
    with pytest.raises(InputError, match="unknown format"):
        of_text("hello\n", "other", ddg_sign="mut_minus_wt")


# --- the real files -----------------------------------------------------------------------------------


def test_the_list_and_the_headed_table_of_the_real_sets_say_the_same(shared: Path, transcribe: Transcribe) -> None:
    labels = shared / "data" / "labels"
    for text, table, count, entries in (
        ("PEMPNI_MPR79.txt", "mcsm_rna_blind_mpr79.csv", 79, 14),
        ("PEMPNI_MPR233.txt", "mcsm_rna_cv_mpr233.csv", 233, 47),
    ):
        from_list, bad_list = transcribe(labels / "raw" / text, "mutation_list", ddg_sign="mut_minus_wt")
        from_csv, bad_csv = transcribe(labels / table, "mutation_csv", ddg_sign="mut_minus_wt")
        assert (len(from_list), from_list["pdb_id"].nunique(), len(bad_list), len(bad_csv)) == (count, entries, 0, 0)
        columns = ["pdb_id", "chain", "mutation", "mutation_kind", DDG]
        pd.testing.assert_frame_equal(from_list[columns], from_csv[columns])


def test_dengs_workbook_and_its_csv_say_the_same(shared: Path, transcribe: Transcribe) -> None:
    labels = shared / "data" / "labels"
    book, bad = transcribe(labels / "raw" / "Deng_affinity_benchmark.xlsx", "deng", ddg_sign="mut_minus_wt")
    text, _ = transcribe(labels / "deng_mutations.csv", "deng", ddg_sign="mut_minus_wt")
    columns = ["pdb_id", "chain", "mutation", "mutation_kind", DDG, "temperature_k", "pmid", "comment"]
    pd.testing.assert_frame_equal(book[columns], text[columns])
    assert (len(book), set(book["mutation_kind"])) == (284, {"single"})
    # 334 rows = 49 wild types + 284 mutants + one mutant without ddG
    assert bad[["source_row", "reason"]].to_numpy().tolist() == [["Sheet2!000017", "no_ddg"]], bad.to_string()
    disagree = book[book["comment"].str.contains("cells_disagree")]
    assert list(disagree["pdb_id"] + ":" + disagree["mutation"]) == [
        "4oog:K392A", "5awh:Y463A", "5awh:K467A", "5awh:K506A", "1feu:R20A", "4cio:Y44A",
    ]  # fmt: skip


def test_the_stated_sign_of_the_real_sets_is_that_of_their_kd(shared: Path, transcribe: Transcribe) -> None:
    labels = shared / "data" / "labels"
    deng, _ = transcribe(labels / "raw" / "Deng_affinity_benchmark.xlsx", "deng", ddg_sign="mut_minus_wt")
    kd = deng["comment"].str.extract(r"(?:^|; )kd:([^;]+).*wild_type_kd:([^;]+)").astype(float)
    # the Kd of the wild type of 4NL3 is written as 2.7e-7; its dG of -11.06 is that of 2.7e-9
    plain = deng["pdb_id"] != "4nl3"
    weaker = (kd[0] / kd[1]).map(math.log)[plain]
    assert (weaker * deng[DDG][plain] >= 0).all()
    stated = {(r.pdb_id, r.chain, r.mutation): r.ddg_mut_minus_wt_kcal_mol for r in deng.itertuples()}
    same = []
    for text in ("PEMPNI_MPR79.txt", "PEMPNI_MPR233.txt"):
        good, _ = transcribe(labels / "raw" / text, "mutation_list", ddg_sign="mut_minus_wt")
        same += [
            r.ddg_mut_minus_wt_kcal_mol * stated[r.pdb_id, r.chain, r.mutation] >= 0
            for r in good.itertuples()
            if (r.pdb_id, r.chain, r.mutation) in stated
        ]
    assert (len(same), all(same)) == (209, True)
