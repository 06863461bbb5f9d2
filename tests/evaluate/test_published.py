from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from copra.config import Config
from copra.config_file import load_config
from copra.errors import InputError
from copra.evaluate.published import COLUMNS, Published, read_published

TABLE1 = [
    "LM+LR", "LM+RF", "LM+MLP", "LM+SVR", "LM+Transformer", "DeepNAP", "PredPRBA", "FoldX", "GCN", "GAT", "EGNN",
    "GVP", "IPA", "LM+IPA", "CoPRA (scratch)", "CoPRA",
]  # fmt: skip
TABLE2 = ["FoldX (zero-shot)", "CoPRA (zero-shot)", "DeepNAP", "mCSM", "CoPRA"]
LINE = ("table1", "GCN", "gcn", "all", "fold_mean", "rmse", "1.705", "Table 1, row 9, PRA310 RMSE", "")


@pytest.fixture(scope="module")
def published(root: Path) -> Published:
    return read_published(root / "resources/curation/paper_results.tsv")


@pytest.fixture(scope="module")
def config(root: Path) -> Config:
    return load_config(root / "config.yaml")


def test_every_row_of_the_papers_tables_is_there_in_order(published: Published) -> None:
    for table, rows in (("table1", TABLE1), ("table2", TABLE2)):
        assert list(dict.fromkeys(n.row for n in published.numbers if n.results_table == table)) == rows
    count = Counter((n.results_table, n.subset) for n in published.numbers if n.value)
    # DeepNAP and PredPRBA on PRA201 only, FoldX with correlations only
    wanted = {("table1", "all"): 54, ("table1", "pra201"): 62, ("table3", "all"): 24, ("table4", "all"): 24}
    assert count == wanted | {("table2", "blind"): 20}


def test_every_experiment_of_the_file_stands_in_its_table_of_the_configuration(
    published: Published, config: Config
) -> None:
    tables = config.evaluate.tables() | {"table2": config.mutations.table2}
    for number in published.numbers:
        if number.experiment:
            assert number.experiment in tables[number.results_table], number
        else:
            assert number.note, number
    for table in ("table1", "table2", "table3", "table4"):
        assert published.absent(table, tables[table]) == []


def test_one_experiment_stands_for_one_row(published: Published) -> None:
    for table in ("table1", "table2", "table3", "table4"):
        pairs = {(n.row, n.experiment) for n in published.numbers if n.results_table == table}
        assert len(pairs) == len({row for row, _ in pairs}) == len({name for _, name in pairs})


def test_numbers_of_one_model_agree_between_the_papers_tables(published: Published) -> None:
    def numbers(table: str, experiment: str) -> list[str]:
        found = [published.find(table, experiment, "all", "fold_mean", m) for m in ("rmse", "mae", "pcc", "scc")]
        return [number.value for number in found if number]

    for table, experiment in (("table3", "coformer_pretrained"), ("table4", "coformer_pretrained")):
        assert numbers(table, experiment) == numbers("table1", experiment) == ["1.391", "1.129", "0.580", "0.589"]
    for table in ("table3", "table4"):
        assert numbers(table, "coformer_scratch") == numbers("table1", "coformer_scratch")
    # what the notes say of two rows of Table 3
    assert numbers("table3", "coformer_no_pairs_no_crop") == numbers("table1", "lm_transformer")
    assert [a == b for a, b in zip(numbers("table3", "lm_mlp"), numbers("table1", "lm_mlp"), strict=True)] == [
        True, True, True, False
    ]  # fmt: skip


def test_every_number_names_its_table_row_and_column(published: Published) -> None:
    for n in published.numbers:
        if not n.value:
            continue
        table, row, column = n.cell.split(", ")
        rows = list(dict.fromkeys(m.row for m in published.numbers if m.results_table == n.results_table))
        assert table == f"Table {n.results_table[-1]}"
        assert row == f"row {rows.index(n.row) + 1}"
        subset = {"all": "PRA310 ", "pra201": "PRA201 "}[n.subset] if n.results_table == "table1" else ""
        assert column == subset + n.metric.upper()


def test_errors_are_above_and_correlations_below_one(published: Published) -> None:
    for n in published.numbers:
        if n.value:
            limit = 0.7 if n.results_table == "table2" else 1
            assert (float(n.value) > limit) == (n.metric in ("rmse", "mae")), n
            assert len(n.value.partition(".")[2]) == 3


def test_correlations_of_mutation_effects_stand_beside_the_score_without_sign(published: Published) -> None:
    of_table = [n for n in published.numbers if n.results_table == "table2"]
    assert {(n.aggregate, n.metric) for n in of_table} == {
        ("per_complex", "rmse"), ("per_complex", "mae"),
        ("per_complex_absolute", "pcc"), ("per_complex_absolute", "scc"),
    }  # fmt: skip
    found = published.find("table2", "foldx_ddg", "blind", "per_complex_absolute", "scc")
    assert found is not None
    assert found.value == "0.548"
    assert published.find("table2", "foldx_ddg", "blind", "per_complex", "scc") is None


def test_rows_look_up_by_experiment(published: Published) -> None:
    assert published.row("table1", "coformer_scratch") == "CoPRA (scratch)"
    assert published.row("table4", "coformer_scratch") == "Scratch"
    assert published.row("table1", "train_mean") == "train_mean"
    assert published.find("table1", "deepnap_retrained", "all", "fold_mean", "rmse") is None
    assert published.find("table1", "gcn", "all", "pooled", "rmse") is None
    assert published.absent("table1", ["gcn", "gat"]) == [r for r in TABLE1 if r not in ("GCN", "GAT")]
    assert published.notes("figure3", [])[0].startswith("Figure 3: a plot")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("table5", *LINE[1:]), "results_table: expected one of"),
        (("table2", *LINE[1:]), "subset: expected one of ('blind',), found 'all'"),
        (("table2", *LINE[1:3], "blind", *LINE[4:]), "aggregate: expected one of ('per_complex', "),
        ((*LINE[:3], "blind", *LINE[4:]), "subset: expected one of ('all', 'pra201'), found 'blind'"),
        ((*LINE[:4], "per_complex", *LINE[5:]), "aggregate: expected one of ('fold_mean',), found 'per_complex'"),
        ((*LINE[:3], "pra202", *LINE[4:]), "subset"),
        ((*LINE[:5], "rmsd", *LINE[6:]), "metric"),
        ((*LINE[:6], "1,705", *LINE[7:]), "value: expected a number, found '1,705'"),
        ((*LINE[:7], "", ""), "expected a row and a cell"),
        ((*LINE[:2], "", *LINE[3:]), "expected the reason in the column note"),
        ((*LINE[:6], "", *LINE[7:]), "expected the reason in the column note"),
        (LINE[:-1], "expected 9 fields, found 8"),
        (LINE, "line 3: ('table1', 'GCN', 'all', 'fold_mean', 'rmse') stands on an earlier line too"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(line: tuple[str, ...], message: str, tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("\n".join("\t".join(row) for row in (COLUMNS, LINE, line)) + "\n")
    with pytest.raises(InputError) as caught:
        read_published(path)
    assert message in str(caught.value)
    assert "line 3" in str(caught.value)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("row\tvalue\n")
    with pytest.raises(InputError, match="expected the columns"):
        read_published(tmp_path / "p.tsv")


def test_the_numbers_are_those_of_the_papers_text(published: Published, shared: Path) -> None:
    text = (shared / "paper/copra_aaai2025.txt").read_text().replace("<u>", "").replace("</u>", "")
    lines = [line.split("\t") for line in text.splitlines() if "\t" in line]
    for table, cells in (("table1", 12), ("table2", 5), ("table3", 5), ("table4", 5)):
        rows: dict[str, list[str]] = {}
        for n in published.numbers:
            if n.results_table == table:
                rows.setdefault(n.row, []).append(n.value)
        for row, values in rows.items():
            printed = [[c for c in line[-8 if table == "table1" else -4 :] if c != "-"] for line in lines
                       if len(line) == cells and line[0].replace("*", " ").split(" (")[0].split(" [")[0].strip()
                       in (row, row.split(" (")[0])]  # fmt: skip
            assert values in printed, (table, row)
