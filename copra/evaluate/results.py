"""One results table with all that is told of it: metrics, differences, intervals, the paper's numbers, the commit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from copra.config_evaluate import Evaluate
from copra.errors import InputError
from copra.evaluate.grids import Cell
from copra.evaluate.published import Published
from copra.evaluate.wording import TABLE_NAMES, format_value, has_random_weights
from copra.tables import read_table

SHORT_COMMIT = 10  # characters; the TSV holds the whole
MISSING = {"value": None, "ci_low": None, "ci_high": None, "n_records": 0, "n_clusters": 0, "n_seeds": 0}


@dataclass(frozen=True)
class Results:
    """The tables of one results table, and what its pages need beside them.

    `order` are the experiments as configured, `folder` is the results folder as seen from the page (`..`).
    """

    name: str
    metrics: pd.DataFrame
    differences: pd.DataFrame
    intervals: pd.DataFrame
    order: list[str]
    settings: Evaluate
    published: Published
    commit: str
    machine: str
    folder: str

    def link(self, experiment: str, place: str = "") -> str:
        """Where the predictions of an experiment are, relative to the page."""
        return f"{self.folder}/{place}train/{quote(experiment)}/"

    def hint(self, experiment: str) -> str:
        """What a link to predictions says."""
        return f"predictions of {experiment}, commit {self.short_commit}"

    @property
    def short_commit(self) -> str:
        """The first characters of the commit, with a remark on changes that it does not hold."""
        name, plus, changes = self.commit.partition("+")
        return name[:SHORT_COMMIT] + plus + changes

    @property
    def headline(self) -> str:
        """The table's name; it says so where a language model's weights are random."""
        name = TABLE_NAMES.get(self.name, self.name)
        untrained = any(has_random_weights(text) for text in self.metrics["weights"])
        return f"{name} (language models with random weights)" if untrained else name

    def values(self, subset: str, aggregate: str) -> dict[tuple[str, str], dict[str, Any]]:
        """The rows of the metrics table by (experiment, metric)."""
        return self._cells.get((subset, aggregate), {})

    @cached_property
    def _cells(self) -> dict[tuple[str, str], dict[tuple[str, str], dict[str, Any]]]:
        cells: dict[tuple[str, str], dict[tuple[str, str], dict[str, Any]]] = {}
        for row in _rows(self.metrics):
            cells.setdefault((row["subset"], row["aggregate"]), {})[row["experiment"], row["metric"]] = row
        return cells

    def subsets(self, *starts: str) -> list[str]:
        """The subsets that begin with one of `starts`, in that order."""
        found = sorted(set(self.metrics["subset"]))
        return [name for start in starts for name in found if name.startswith(start)]

    def told(self, experiment: str) -> dict[str, Any]:
        """What the metrics table says of an experiment beside its numbers; status `missing` where it says nothing."""
        empty = {"protocol": "", "weights": "", "architecture": "", "experiment": experiment}
        return self._told.get(experiment, MISSING | empty | {"status": "missing", "note": "no metrics of it"})

    @cached_property
    def _told(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in _rows(self.metrics):
            known = found.setdefault(row["experiment"], row)
            if row["subset"] == "all" and known["subset"] != "all":
                found[row["experiment"]] = row
        return found

    def holds(self) -> dict[str, tuple[int, int]]:
        """Records and clusters of every subset: the most that any experiment has."""
        largest = self.metrics.groupby("subset")[["n_records", "n_clusters"]].max()
        return {str(name): (int(row["n_records"]), int(row["n_clusters"])) for name, row in largest.iterrows()}


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def read_results(
    metrics: Path, *, name: str, differences: Path, intervals: Path, settings: Evaluate, published: Published,
    run: dict[str, Any], folder: str,
) -> Results:  # fmt: skip
    """Read the three files of the results table `name`; `run` is the content of run.json.

    Raises InputError where a file holds rows of another results table or the configuration has no such table.
    """
    tables = settings.tables()
    if name not in tables:
        raise InputError(f"{metrics}: results table '{name}': expected one of {list(tables)}")
    frames = {}
    for kind, path in (("metrics", metrics), ("differences", differences), ("intervals", intervals)):
        frames[kind] = read_table(path, kind)
        others = sorted(set(frames[kind]["results_table"]) - {name})
        if others:
            raise InputError(f"{path}: expected rows of the results table '{name}', found {others}")
    if not settings.compare_with_paper:
        published = published.without_numbers()
    order = [*tables[name], *sorted(set(frames["metrics"]["experiment"]) - set(tables[name]))]
    return Results(
        name=name, order=order, settings=settings.of_table(name), published=published, folder=folder,
        commit=str(run.get("git_commit") or "unknown"), machine=str(run.get("machine") or "unknown"), **frames,
    )  # fmt: skip


def number_cell(row: dict[Any, Any] | None, link: str = "", hint: str = "", digits: int = 2) -> Cell:
    """A cell with value and interval of a row of `metrics` or `differences` (its column `value`); a dash for none."""
    if row is None or pd.isna(row["value"]):
        return Cell("–")
    text, _, small = format_value(row["value"], row["ci_low"], row["ci_high"], digits).partition(" ")
    return Cell(text, small, float(row["value"]), link, hint)


def status_cell(told: dict[str, Any]) -> Cell:
    """`ok`, or the status with its cause."""
    return Cell(f": {told['note']}" if told["note"] else "", tag=str(told["status"]))
