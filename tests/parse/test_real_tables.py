"""Every cell of the real tables is a measurement or a reject with a reason; the numbers are those counted by eye."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from copra.decisions import rows_as_dicts
from copra.parse.affinity_text import parse_affinity_text
from copra.parse.cells import number_of, ph_of, temperature_of
from copra.parse.reasons import REASONS, NotUnderstood
from copra.units import STANDARD_TEMPERATURE_K, dg_from_kd

Transcribe = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]

# table, format, rows, values; a row has a second value where two of its cells contradict each other
TABLES = [
    ("raw/INDEX_general_PN.2018", "pdbbind", 896, 896),
    ("raw/INDEX_general_PN.2020R1.lst", "pdbbind", 1032, 1032),
    ("prbab2.csv", "prbabv2", 145, 147),
    ("raw/Liu_affinity_benchmark.xlsx", "prbabv2", 145, 147),
    ("prdbv3_affinity.csv", "prdbv3", 105, 109),
    ("raw/PRDBv3_Supplementary_Tables.xlsx", "prdbv3", 105, 109),
    ("predprba.csv", "predprba", 103, 103),
    ("raw/PredPRBA_Supplementary_Table.xls", "predprba", 103, 103),
]


@pytest.mark.parametrize(("name", "kind", "rows", "values"), TABLES)
def test_every_row_is_measured_or_refused(
    name: str, kind: str, rows: int, values: int, shared: Path, transcribe: Transcribe
) -> None:
    good, bad = transcribe(shared / "data" / "labels" / name, kind)
    assert (good["source_row"].nunique(), len(good)) == (rows, values), bad.to_string()
    assert bad.empty, bad.to_string()
    assert set(bad["reason"]) <= set(REASONS)
    assert good.loc[good["unit"] == "M", "value"].gt(0).all()
    if not name.endswith(("xlsx", "xls")):
        text = (shared / "data" / "labels" / name).read_bytes().decode()
        assert all(raw in text for raw in good["raw_text"])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("raw/INDEX_general_PN.2018", {"Kd =": 879, "Kd ~": 6, "Kd <": 3, "Ki =": 2, "IC50 =": 6}),
        ("raw/INDEX_general_PN.2020R1.lst", {"Kd =": 1015, "Kd ~": 6, "Kd <": 3, "Ki =": 2, "IC50 =": 6}),
    ],
)
def test_quantities_and_relations_of_pdbbind(
    name: str, counts: dict[str, int], shared: Path, transcribe: Transcribe
) -> None:
    good, _ = transcribe(shared / "data" / "labels" / name, "pdbbind")
    assert (good["quantity"] + " " + good["relation"]).value_counts().to_dict() == counts
    assert good["temperature_k"].isna().all()
    assert good["mutation"].eq("").all()


# entry, table, quantity, relation, value and error in mol/l, protein chains, nucleic-acid chains
FACTS = [
    ("4kis", "raw/INDEX_general_PN.2020R1.lst", "Kd", "~", 20e-9, None, "A", "E,F"),
    ("5ke8", "raw/INDEX_general_PN.2020R1.lst", "Kd", "<", 2.3e-9, None, "A", "B,C"),
    ("6u7t", "raw/INDEX_general_PN.2020R1.lst", "Kd", "<", 5e-12, None, "A", "B,C"),
    ("1p47", "raw/INDEX_general_PN.2020R1.lst", "Kd", "=", 2.1e-15, None, "A,B", "C,D"),
    ("1hvo", "raw/INDEX_general_PN.2020R1.lst", "Kd", "=", 11e-6, None, "E", "D"),
    ("2hhu", "raw/INDEX_general_PN.2020R1.lst", "Kd", "=", 1.1e-3, None, "A", "C,B"),
    ("1qtq", "raw/INDEX_general_PN.2020R1.lst", "Ki", "=", 1.32e-6, None, "A", "B"),
    ("4n2q", "raw/INDEX_general_PN.2020R1.lst", "IC50", "=", 4e-9, None, "A", "B"),
    ("2err", "raw/INDEX_general_PN.2018", "Kd", "=", 1.09e-9, None, "", ""),
    ("1a9n", "raw/Liu_affinity_benchmark.xlsx", "Kd", "=", 0.2e-9, 0.07e-9, "A,B", "Q"),
    ("1hq1", "raw/Liu_affinity_benchmark.xlsx", "Kd", "=", 33.3e-12, 8.9e-12, "A", "B"),
    ("1mms", "raw/Liu_affinity_benchmark.xlsx", "Ki", "=", 120e-9, None, "A", "C"),
    ("1rgo", "raw/Liu_affinity_benchmark.xlsx", "Kd", "=", 1e-12, None, "A", "D"),
    ("2vpl", "raw/Liu_affinity_benchmark.xlsx", "Kd", "=", 8.6e-9, None, "A", "B"),
    ("3adl", "raw/Liu_affinity_benchmark.xlsx", "Kd", "=", 78e-9, 5.2e-9, "A", "B,C"),
    ("4rwn", "raw/Liu_affinity_benchmark.xlsx", "Kd", "=", 12.5e-3, 1.9e-3, "A", "B,C"),
    ("3hl2", "raw/PRDBv3_Supplementary_Tables.xlsx", "Kd", "=", 1.34e-7, None, "A,B", "E"),
    ("1m8w", "raw/PRDBv3_Supplementary_Tables.xlsx", "Kd", "=", 6e-11, None, "A", "C,E"),
    ("4csf", "raw/PredPRBA_Supplementary_Table.xls", "Kd", "=", 2.2e-7, None, "A", "a"),
]
KIND = {name: kind for name, kind, _, _ in TABLES}


@pytest.mark.parametrize("table", sorted({fact[1] for fact in FACTS}))
def test_single_facts(table: str, shared: Path, transcribe: Transcribe) -> None:
    good, _ = transcribe(shared / "data" / "labels" / table, KIND[table])
    for entry, name, quantity, relation, value, uncertainty, protein, rna in FACTS:
        if name != table:
            continue
        (row,) = rows_as_dicts(good[good["pdb_id"] == entry])
        assert (row["quantity"], row["relation"], row["unit"]) == (quantity, relation, "M"), entry
        assert row["value"] == pytest.approx(value, rel=1e-12), entry
        stated = None if math.isnan(row["uncertainty"]) else row["uncertainty"]
        assert stated == (None if uncertainty is None else pytest.approx(uncertainty, rel=1e-12)), entry
        assert (row["protein_chains"], row["rna_chains"]) == (protein, rna), entry


# --- oracles: the same tables as somebody else read them ----------------------------------------------

# where our value is another than the oracle's, and why
KD_CELL = "the oracle takes the plain Kd cell"
EXPLAINED = {
    "PRBAB2.0": {
        "2i91": f"{KD_CELL}; the text says 320 uM, the cell 320 nM, and both are kept",
        "3lqx": f"{KD_CELL}; the text says 33 pM, the cell 1.1 nM, and both are kept",
        "3q0n": f"{KD_CELL}, which is rounded: 19.02 nM, 19.0 nM",
        "5w6v": f"{KD_CELL}, which is rounded: 118.34 nM, 118.3 nM",
    },
}


@pytest.mark.parametrize(
    ("table", "source"),
    [
        ("raw/INDEX_general_PN.2018", "PDBbind-PN-2018"),
        ("raw/INDEX_general_PN.2020R1.lst", "PDBbind-PN-2020R1"),
        ("raw/Liu_affinity_benchmark.xlsx", "PRBAB2.0"),
        ("raw/PRDBv3_Supplementary_Tables.xlsx", "PRDBv3.0"),
        ("raw/PredPRBA_Supplementary_Table.xls", "PredPRBA"),
    ],
)
def test_values_units_and_relations_are_those_of_an_independent_reading(
    table: str, source: str, shared: Path, transcribe: Transcribe
) -> None:
    labels = shared / "data" / "labels"
    union = pd.read_csv(labels / "affinity_union_long.csv", dtype=str, keep_default_na=False)
    oracle = rows_as_dicts(union[union["source"] == source])
    good, _ = transcribe(labels / table, KIND[table])
    ours = rows_as_dicts(good.drop_duplicates("source_row"))
    assert [row["pdb_id"] for row in ours] == [row["pdb_id"] for row in oracle]
    differ = {}
    for row, read in zip(ours, oracle, strict=True):
        if not math.isclose(row["value"], float(read["kd_molar"]), rel_tol=1e-9):
            differ[row["pdb_id"]] = (row["value"], read["kd_molar"])
        if read["note"]:
            assert read["note"].endswith(f"relation {row['relation']}; type {row['quantity']}"), row["pdb_id"]
        chains = row["protein_chains"].replace(",", ""), row["rna_chains"].replace(",", "")
        if read["chains"] and "'" not in read["chains"]:
            assert chains == tuple(read["chains"].strip().replace("|", ":").split(":")), row["pdb_id"]
    assert differ.keys() == EXPLAINED.get(source, {}).keys(), differ


def test_columns_of_pdbbind_are_those_of_an_independent_reading(shared: Path, transcribe: Transcribe) -> None:
    labels = shared / "data" / "labels"
    good, _ = transcribe(labels / "raw/INDEX_general_PN.2020R1.lst", "pdbbind")
    oracle = pd.read_csv(labels / "pdbbind_pn_2020R1.csv", dtype=str, keep_default_na=False)
    assert list(good["pdb_id"]) == list(oracle["pdb_code"])
    brackets = good["protein_chains"].str.replace(",", "") + "|" + good["rna_chains"].str.replace(",", "")
    assert list(brackets) == list(oracle["bracket"])
    said = zip(oracle["reference"], oracle["comment"].str.strip(), strict=True)
    comments = [f"reference:{reference}" + (f"; {text}" if text else "") for reference, text in said]
    assert list(good["comment"]) == comments
    # NMR stands where a resolution stands; such a row is a measurement like any other
    assert good.loc[oracle["resolution"].eq("NMR").to_numpy(), "value"].gt(0).sum() == 112
    # no entry that is known to hold RNA is said to be of DNA, but for two whose ligand is DNA by the index's own words
    known = oracle["rna_evidence"].ne("").to_numpy()
    assert good.loc[known, "nucleic_acid"].value_counts().to_dict() == {"": 205, "RNA": 99, "DNA": 2}
    assert "RNA" not in set(good.loc[~known, "nucleic_acid"])


def test_affinity_texts_of_biolip2(shared: Path) -> None:
    lines = (shared / "data/formats/biolip2_affman.tsv").read_text().splitlines()
    texts = [line.split("\t")[2].partition(" (")[0] for line in lines]
    rules, refused = Counter(), Counter()
    for text in texts:
        try:
            rules[parse_affinity_text(text, quantity=None).rule] += 1
        except NotUnderstood as why:
            refused[why.reason, text] += 1
    assert rules == {"affinity_text": 51, "association_constant": 4}
    # a Michaelis constant is no binding constant
    assert set(refused) == {("no_quantity", t) for t in texts if t.startswith(("Km", "K1/2"))}, refused


# --- temperatures, pH and free energies ---------------------------------------------------------------


def test_the_one_temperature_that_cannot_be_is_flagged(shared: Path, transcribe: Transcribe) -> None:
    good, _ = transcribe(shared / "data/labels/raw/Liu_affinity_benchmark.xlsx", "prbabv2")
    (row,) = rows_as_dicts(good[good["temperature_k"].isna()])
    assert (row["pdb_id"], row["value"]) == ("3siu", 8e-6)
    assert row["comment"].startswith("temperature_not_believed:393; ")


def test_texts_of_prbabv2_that_are_not_clear_give_way_to_the_plain_cell(shared: Path, transcribe: Transcribe) -> None:
    good, _ = transcribe(shared / "data/labels/raw/Liu_affinity_benchmark.xlsx", "prbabv2")
    notes = good.set_index("pdb_id")["comment"].str.extract(r"text_not_understood:(\w+):")[0].dropna()
    assert notes.to_dict() == {"2x1a": "unknown_unit", "2zko": "no_unit", "4z4c": "no_unit"}


@pytest.mark.parametrize(
    ("table", "kind", "count", "tolerance"),
    [
        ("raw/Liu_affinity_benchmark.xlsx", "prbabv2", 142, 0.01),
        ("raw/PRDBv3_Supplementary_Tables.xlsx", "prdbv3", 101, 0.1),
        ("raw/PredPRBA_Supplementary_Table.xls", "predprba", 103, 0.1),
    ],
)
def test_kd_and_temperature_give_the_free_energy_that_the_table_states(
    table: str, kind: str, count: int, tolerance: float, shared: Path, transcribe: Transcribe
) -> None:
    good, _ = transcribe(shared / "data" / "labels" / table, kind)
    measured = good[good["temperature_k"].notna() & ~good["comment"].str.contains("cells_disagree")]
    for row in rows_as_dicts(measured):
        own = dg_from_kd(row["value"], row["temperature_k"])
        cells = [float(cell) for cell in row["raw_text"].replace('"', ",").split(",") if _is_negative(cell)]
        assert any(abs(own - cell) <= tolerance for cell in cells), row["raw_text"]
        standard = dg_from_kd(row["value"], STANDARD_TEMPERATURE_K)
        assert standard == pytest.approx(own * STANDARD_TEMPERATURE_K / row["temperature_k"], rel=1e-12)
    assert len(measured) == count


def _is_negative(cell: str) -> bool:
    return cell.startswith("-") and cell[1:].replace(".", "", 1).isdigit()


def test_conditions_of_the_published_pra310(shared: Path) -> None:
    table = pd.read_csv(shared / "data/labels/raw/PRA310.csv", dtype=str, keep_default_na=False)
    notes = [temperature_of(text)[1].partition(":")[0] for text in table["T(k)"]]
    assert pd.Series(notes).value_counts().to_dict() == {
        "temperature_assumed_by_source": 172, "": 137, "temperature_not_believed": 1,
    }  # fmt: skip
    notes = [ph_of(text)[1] for text in table["pH"]]
    assert sum(note == "ph_assumed_by_source:Default=298" for note in notes) == 16
    assert {note.partition(":")[0] for note in notes} <= {"", "ph_assumed_by_source", "ph_not_understood"}
    assert all(number_of(text, "kd") > 0 for text in table["Kd(mol)"])
