"""The numbers that the paper prints (Tables 1 to 4), each with its table, row and cell."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from copra.errors import InputError
from copra.evaluate.scores import METRICS

COLUMNS = ("results_table", "row", "experiment", "subset", "aggregate", "metric", "value", "cell", "note")
RESULTS_TABLES = ("table1", "table2", "table3", "table4", "figure3")
SUBSETS = ("all", "pra201")  # all = the paper's PRA310
AGGREGATES = ("fold_mean",)  # the paper gives means over five folds
# Table 2: mutation effects, means over complexes; the paper's code takes correlations without their sign
TABLE2_SUBSETS = ("blind",)
TABLE2_AGGREGATES = ("per_complex", "per_complex_absolute")
FILE = "paper_results.tsv"


@dataclass(frozen=True)
class Number:
    """One line of the file: a number as printed, or a row or picture without one and the reason in `note`."""

    results_table: str
    row: str
    experiment: str
    subset: str
    aggregate: str
    metric: str
    value: str
    cell: str
    note: str


@dataclass(frozen=True)
class Published:
    """All numbers of the paper, in the order of the file; without any where there is no file."""

    numbers: tuple[Number, ...]

    def without_numbers(self) -> Published:
        """The paper's rows with their names alone, for records that the paper did not measure."""
        return Published(tuple(replace(number, value="") for number in self.numbers))

    def find(self, table: str, experiment: str, subset: str, aggregate: str, metric: str) -> Number | None:
        """The paper's number for one of our cells (errors in kcal/mol); None where it has none."""
        wanted = (table, experiment, subset, aggregate, metric)
        for n in self.numbers:
            if (n.results_table, n.experiment, n.subset, n.aggregate, n.metric) == wanted and n.value:
                return n
        return None

    def row(self, table: str, experiment: str) -> str:
        """What the paper calls an experiment in a table; the experiment's own name where it has no such row."""
        named = (n.row for n in self.numbers if (n.results_table, n.experiment) == (table, experiment))
        return next(named, experiment)

    def notes(self, table: str, experiments: list[str]) -> list[str]:
        """Remarks on the rows of these experiments and on those of the table that are not ours: `row: remark`."""
        told = [
            f"{n.row}: {n.note}"
            for n in self.numbers
            if n.results_table == table and n.note and (n.experiment in experiments or not n.experiment)
        ]
        return list(dict.fromkeys(told))

    def absent(self, table: str, experiments: list[str]) -> list[str]:
        """The paper's rows of a table that none of these experiments stands for."""
        rows = [n.row for n in self.numbers if n.results_table == table and n.value and n.experiment not in experiments]
        return list(dict.fromkeys(rows))


def read_published(path: Path) -> Published:
    """The numbers of a file like resources/curation/paper_results.tsv.

    Raises InputError for other columns, an unknown table, subset, aggregate or metric, a value that is no number,
    a line without a cell, two lines for one cell, and a line without number or experiment that has no note.
    """
    with path.open(encoding="utf-8", newline="") as handle:
        lines = list(csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not lines or tuple(lines[0]) != COLUMNS:
        raise InputError(f"{path}: expected the columns {COLUMNS}, found {tuple(lines[0]) if lines else ()}")
    numbers: list[Number] = []
    keys: set[tuple[str, ...]] = set()
    for position, line in enumerate(lines[1:], 2):
        where = f"{path}: line {position}"
        if len(line) != len(COLUMNS):
            raise InputError(f"{where}: expected {len(COLUMNS)} fields, found {len(line)}")
        number = Number(*line)
        _check(number, where)
        key = (number.results_table, number.row, number.subset, number.aggregate, number.metric)
        if key in keys:
            raise InputError(f"{where}: {key} stands on an earlier line too")
        keys.add(key)
        numbers.append(number)
    return Published(tuple(numbers))


def _check(number: Number, where: str) -> None:
    known = {"results_table": RESULTS_TABLES, "subset": SUBSETS, "aggregate": AGGREGATES}
    if number.results_table == "table2":
        known |= {"subset": TABLE2_SUBSETS, "aggregate": TABLE2_AGGREGATES}
    known |= {"metric": tuple(METRICS)} if number.value else {}
    for column, allowed in known.items():
        if getattr(number, column) not in allowed:
            raise InputError(f"{where}: {column}: expected one of {allowed}, found '{getattr(number, column)}'")
    if not number.row or not number.cell:
        raise InputError(f"{where}: expected a row and a cell, found '{number.row}' and '{number.cell}'")
    if not (number.value and number.experiment) and not number.note:
        raise InputError(f"{where}: no value or no experiment: expected the reason in the column note")
    try:
        float(number.value or 0)
    except ValueError as error:
        raise InputError(f"{where}: value: expected a number, found '{number.value}'") from error
