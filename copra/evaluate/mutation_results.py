"""All that is told of Table 2: metrics of mutation effects, their records, the paper's numbers, the commit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

import pandas as pd

from copra.config_evaluate import Evaluate
from copra.decisions import rows_as_dicts
from copra.evaluate.grids import Cell
from copra.evaluate.mutation_sets import SUBSETS, TRAININGS
from copra.evaluate.published import Published
from copra.evaluate.results import SHORT_COMMIT, number_cell
from copra.evaluate.wording import TABLE_NAMES, format_value, has_random_weights

TABLE2 = "table2"
SUBSET_TITLES = {
    "blind": "Blind test",
    "blind_in_interface": "Blind test, mutations in the cut interface",
    "cv": "Cross-validated set",
    "extra_single_protein": "Further mutations of proteins",
    "extra_multi_protein": "Several mutations of a protein at once (experimental)",
    "extra_rna": "Mutations of RNA (experimental)",
}
TRAINING_NAMES = {"all": "wild types in training", "unseen": "not in training"}
NONE = "–"
WORST_FIRST = ("failed", "skipped", "missing", "partial", "ok")


@dataclass(frozen=True)
class MutationResults:
    """The tables of Table 2, and what its pages need beside them.

    `order` are the experiments as configured, `folder` is the results folder as seen from the page (`..`).
    """

    metrics: pd.DataFrame
    records: pd.DataFrame
    order: list[str]
    settings: Evaluate
    published: Published
    commit: str
    machine: str
    folder: str

    @property
    def headline(self) -> str:
        """The table's name; it says so where a language model's weights are random."""
        untrained = any(has_random_weights(text) for text in self.metrics["weights"])
        name = TABLE_NAMES[TABLE2]
        return f"{name} (language models with random weights)" if untrained else name

    @property
    def short_commit(self) -> str:
        """The first characters of the commit, with a remark on changes that it does not hold."""
        name, plus, changes = self.commit.partition("+")
        return name[:SHORT_COMMIT] + plus + changes

    @cached_property
    def subsets(self) -> list[str]:
        """The subsets that have rows, in reading order."""
        return [name for name in SUBSETS if (self.metrics["subset"] == name).any()]

    def trainings(self, subset: str) -> list[str]:
        """The ways of training that some experiment has predictions of, `all` first."""
        found = set(self.metrics.loc[self.metrics["subset"] == subset, "training"])
        return [name for name in TRAININGS if name in found]

    def find(self, subset: str, training: str, aggregate: str, metric: str) -> dict[str, dict[str, Any]]:
        """The rows of the metrics table by experiment."""
        return self._cells.get((subset, training, aggregate, metric), {})

    @cached_property
    def _cells(self) -> dict[tuple[str, ...], dict[str, dict[str, Any]]]:
        cells: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
        for row in rows_as_dicts(self.metrics):
            key = tuple(row[name] for name in ("subset", "training", "aggregate", "metric"))
            cells.setdefault(key, {})[row["experiment"]] = row
        return cells

    def link(self, experiment: str) -> str:
        """Where the predictions of an experiment are, relative to the page."""
        return f"{self.folder}/mutations/{quote(experiment)}/predictions.parquet"

    def hint(self, experiment: str) -> str:
        """What a link to predictions says."""
        return f"predictions of {experiment}, commit {self.short_commit}"

    def number(self, experiment: str, row: dict[str, Any] | None) -> Cell:
        """A number with its interval, leading to its predictions; below it in the HTML page the band of random ones."""
        cell = number_cell(row, self.link(experiment), self.hint(experiment))
        band = band_cell(row)
        return cell if band.text == NONE else replace(cell, under=f"random {band.text}")

    def start(self, experiment: str) -> list[Cell]:
        """The first two cells of a row: what the paper calls it, and our name with the way to its predictions."""
        row = self.published.row(TABLE2, experiment)
        under = row if row != experiment else ""
        return [Cell(row), Cell(experiment, link=self.link(experiment), hint=self.hint(experiment), under=under)]

    def status(self, experiment: str, rows: Iterable[dict[str, Any]]) -> Cell:
        """The worst status of rows of an experiment, with the causes; which way of training where they differ."""
        told: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            names = told.setdefault((row["status"], row["note"]), [])
            names += [row["training"]] * (row["training"] not in names)
        if not told:
            return Cell(f": no metrics of {experiment}", tag="missing")
        ways = {name for names in told.values() for name in names}
        worst = min((status for status, _ in told), key=WORST_FIRST.index)
        texts = []
        for (_, note), names in told.items():
            where = "" if set(names) == ways else ", ".join(TRAINING_NAMES[name] for name in names) + ": "
            texts += [where + note] if note else []
        return Cell(f": {'; '.join(texts)}" if texts else "", tag=worst)


def band_cell(row: dict[str, Any] | None) -> Cell:
    """`−0.33 to 0.33`: what random predictions score; a dash for none."""
    if row is None or pd.isna(row["null_low"]):
        return Cell(NONE)
    return Cell(between(row["null_low"], row["null_high"]))


def between(low: float, high: float) -> str:
    """Two numbers as a range."""
    return f"{format_value(low, None, None, 2)} to {format_value(high, None, None, 2)}"
