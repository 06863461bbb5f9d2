"""The parts of a results page: our numbers beside the paper's, by grade and similarity, differences, coverage."""

from __future__ import annotations

from typing import Any

import pandas as pd

from copra.evaluate.grids import Cell, Column, Grid, Section
from copra.evaluate.results import Results, number_cell, status_cell
from copra.evaluate.wording import (
    AGGREGATE_NAMES,
    METRIC_NAMES,
    SUBSET_NAMES,
    UNITS,
    count,
    format_value,
    subset_name,
)

START = (Column("row", page=False), Column("experiment"))  # the page has the paper's row below our name
IDENTITIES = ("protein_identity_below_30", "protein_identity_30_to_70", "protein_identity_70_or_more")


def sections(results: Results) -> list[Section]:
    """Every part of the page of one results table that its tables have rows for, in reading order."""
    parts = [_controls(results), *_main(results), _grades(results), _similarity(results), _external(results)]
    parts += [*_differences(results), _intervals(results), _rows(results)]
    return [part for part in parts if part is not None]


def preface(results: Results) -> list[str]:
    """The sentences before the first table: protocol, seeds, records, intervals, what the paper's numbers are."""
    settings, told = results.settings, [results.told(name) for name in results.order]
    protocols = sorted({str(row["protocol"]) for row in told} - {""})
    holds = results.holds()
    counted = [
        f"{SUBSET_NAMES[name].split()[0]}: {count(holds[name][0], 'record')} in {count(holds[name][1], 'cluster')}"
        for name in SUBSET_NAMES
        if name in holds
    ]
    seeds = ", ".join(str(seed) for seed in settings.seeds)
    lines = [
        f"Protocol: {', '.join(protocols) or 'none'}; {count(len(settings.seeds), 'seed')} ({seeds}); "
        f"{'; '.join(counted) or 'no records'}. dG in kcal/mol, negative binds; lower RMSE and MAE and higher PCC and "
        f"SCC are better; correlations keep their sign. {settings.confidence:.0%} intervals from "
        f"{settings.bootstrap_samples} bootstrap samples of whole clusters. Predictions are of records that the model "
        "had not seen.",
        status_sentence(told),
    ]
    if _paper_numbers(results):
        lines.append(
            "Paper: the number that the paper prints for that row, a mean over its five folds, without an interval. "
            "Its code chose the epoch on the fold that it reports and took correlations without their sign."
        )
    elif results.name == "figure3":
        lines.append("The paper shows Figure 3 as a plot; its text gives no number to put beside ours.")
    if settings.noise_ceiling_pcc is not None:
        lines.append(
            f"Noise ceiling: a model that knew every true dG would reach a PCC of {settings.noise_ceiling_pcc:.2f} "
            "with these labels."
        )
    return [line for line in lines if line]


def status_sentence(told: list[dict[str, Any]]) -> str:
    """How many rows have numbers, and which have none."""
    lost = {status: [str(r["experiment"]) for r in told if r["status"] == status] for status in _statuses(told)}
    text = f"{sum(row['status'] == 'ok' for row in told)} of {count(len(told), 'row')} have numbers"
    return text + "".join(f"; {status}: {', '.join(names)}" for status, names in lost.items()) + "."


def _statuses(told: list[dict[str, Any]]) -> list[str]:
    return sorted({str(row["status"]) for row in told} - {"ok"})


def _main(results: Results) -> list[Section]:
    found = []
    for subset, name in SUBSET_NAMES.items():
        if subset not in set(results.metrics["subset"]):
            continue
        # with one seed the mean over seeds is that seed's predictions
        kinds = [kind for kind in AGGREGATE_NAMES if kind != "ensemble" or len(results.settings.seeds) > 1]
        grids = [grid for grid in (_main_grid(results, subset, kind) for kind in kinds) if grid]
        others = " and ".join(kinds[1:])
        found += [Section(name, grids=grids[:1]), Section(f"{name}: {others}", grids=grids[1:], folded=True)]
    return [section for section in found if section.grids]


def _main_grid(results: Results, subset: str, aggregate: str) -> Grid | None:
    values = results.values(subset, aggregate)
    if not values:
        return None
    papers = {
        (experiment, metric): number
        for experiment in results.order
        for metric in METRIC_NAMES
        if (number := results.published.find(results.name, experiment, subset, aggregate, metric))
    }
    columns = [*START]
    for name in METRIC_NAMES.values():
        columns.append(Column(name, True))
        if papers:
            columns.append(Column(f"paper {name}", True))
    columns += [Column("n", True), Column("status"), Column("commit", page=False)]
    rows = []
    for experiment in results.order:
        row = row_start(results, experiment)
        for metric in METRIC_NAMES:
            row.append(_number(results, experiment, values.get((experiment, metric))))
            if papers:
                number = papers.get((experiment, metric))
                row.append(Cell(number.value, sort=float(number.value), hint=number.cell) if number else Cell("–"))
        told = results.told(experiment)
        n = max((r["n_records"] for key, r in values.items() if key[0] == experiment), default=0)
        rows.append([*row, Cell(str(n), sort=n), status_cell(told), Cell(results.short_commit)])
    notes = [f"Paper: {note}." for note in results.published.notes(results.name, results.order)] if papers else []
    absent = results.published.absent(results.name, results.order)
    if papers and absent:
        notes.append(f"Rows of the paper that are not in this run: {', '.join(absent)}.")
    return Grid(f"{AGGREGATE_NAMES[aggregate]}; RMSE and MAE in kcal/mol", columns, rows, notes)


def row_start(results: Results, experiment: str) -> list[Cell]:
    """The first two cells of a row: what the paper calls it, and our name with the way to its predictions."""
    row = results.published.row(results.name, experiment)
    under = row if row != experiment else ""
    return [Cell(row), Cell(experiment, link=results.link(experiment), hint=results.hint(experiment), under=under)]


def _number(results: Results, experiment: str, row: dict[Any, Any] | None) -> Cell:
    return number_cell(row, results.link(experiment), results.hint(experiment))


def _paper_numbers(results: Results) -> bool:
    names = set(results.order)
    return any(n.results_table == results.name and n.value and n.experiment in names for n in results.published.numbers)


def _grades(results: Results) -> Section | None:
    text = "Records together, by the grade of their label (A: the surest)."
    return _by_subset(results, "By label grade", text, results.subsets("grade_"))


def _similarity(results: Results) -> Section | None:
    text = (
        "Records together, by the highest identity of their protein to any that the model was trained on, and those "
        "whose RNA was in training too."
    )
    found = results.subsets(*IDENTITIES, "same_rna_in_training")
    return _by_subset(results, "By similarity to the training set", text, found)


def _by_subset(results: Results, title: str, text: str, subsets: list[str]) -> Section | None:
    if not subsets:
        return None
    values, holds = {name: results.values(name, "pooled") for name in subsets}, results.holds()
    grids = []
    for metric in ("pcc", "rmse"):
        columns = [*START]
        columns += [Column(f"{subset_name(name)}, n = {holds[name][0]}", True) for name in subsets]
        rows = [
            [*row_start(results, name), *(_number(results, name, values[s].get((name, metric))) for s in subsets)]
            for name in results.order
        ]
        grids.append(Grid(METRIC_NAMES[metric] + (", kcal/mol" if UNITS[metric] else ""), columns, rows))
    return Section(title, (text,), grids, folded=True)


def _external(results: Results) -> Section | None:
    kinds = sorted(set(results.metrics.loc[results.metrics["subset"] == "external", "aggregate"]))
    grids = [grid for kind in kinds if (grid := _main_grid(results, "external", kind))]
    text = "Records that the split deals into no fold; no model was trained on them."
    return Section("External records", (text,), grids, folded=True) if grids else None


def _controls(results: Results) -> Section | None:
    if results.name != "controls":
        return None
    kinds = [kind for kind in ("fold_mean", "pooled") if results.values("all", kind)]
    values = {kind: results.values("all", kind) for kind in kinds}
    columns = [Column("experiment"), *(Column(f"PCC, {AGGREGATE_NAMES[kind]}", True) for kind in kinds)]
    rows = []
    for name in results.order:
        found = {kind: values[kind].get((name, "pcc")) for kind in kinds}
        cells = [_number(results, name, row) for row in found.values()]
        rows.append([row_start(results, name)[1], *cells, Cell(holds_zero(found))])
    deals = len(results.settings.seeds)
    text = (
        "Trained on labels dealt anew among the training records: what is left is luck, and an interval off 0 in more "
        "than one row of twenty is no luck. "
    )
    text += (
        f"The intervals hold the luck of {deals} dealings beside that of the records."
        if deals > 1
        else "There was one dealing, whose luck the intervals do not hold: it can be larger than that of the records."
    )
    return Section("Does the interval hold 0?", (text,), [Grid("", [*columns, Column("holds 0")], rows)])


def holds_zero(found: dict[str, dict[str, Any] | None]) -> str:
    """`yes`, `no` with the aggregates whose interval is off 0, or that nothing is defined. By aggregate."""
    defined = {kind: row for kind, row in found.items() if row is not None and pd.notna(row["ci_low"])}
    off = [AGGREGATE_NAMES[kind] for kind, row in defined.items() if not row["ci_low"] <= 0 <= row["ci_high"]]
    if not defined:
        return "not defined"
    return f"no: {'; '.join(off)}" if off else "yes"


def _differences(results: Results) -> list[Section]:
    table = results.differences
    named = [name for name in results.settings.compare_with if (table["reference"] == name).any()]
    found = []
    for reference in [*named, *sorted(set(table["reference"]) - set(named))]:
        part = table[table["reference"] == reference]
        grids = [
            _difference_grid(results, part[part["subset"] == subset], subset)
            for subset in SUBSET_NAMES
            if (part["subset"] == subset).any()
        ]
        text = (
            f"Each experiment less {reference}, on the same bootstrap samples; p corrected by Holm over all rows of "
            "one subset and metric. Resolution: the smallest difference that these records could tell (2.8 standard "
            "errors). A negative difference of RMSE and a positive one of PCC favour the row."
        )
        found.append(Section(f"Differences from {reference}", (text,), grids, folded=True))
    return found


def _difference_grid(results: Results, part: pd.DataFrame, subset: str) -> Grid:
    cells = {(r["experiment"], r["metric"]): r | {"value": r["difference"]} for r in part.to_dict("records")}
    columns = [*START]
    for metric in ("rmse", "pcc"):
        name = METRIC_NAMES[metric]
        columns += [Column(f"{name} difference", True), Column("p (Holm)", True), Column(f"{name} verdict")]
    rows = []
    for experiment in results.order:
        if not any(key[0] == experiment for key in cells):
            continue
        row = row_start(results, experiment)
        for metric in ("rmse", "pcc"):
            found = cells.get((experiment, metric))
            row.append(_number(results, experiment, found))
            row += [_p_value(found), Cell(str(found["verdict"]) if found else "–")]
        rows.append(row)
    n_records, n_clusters = (int(part[name].max()) for name in ("n_records", "n_clusters"))
    caption = f"{subset_name(subset)}: {count(n_records, 'record')} in {count(n_clusters, 'cluster')}"
    return Grid(caption, columns, rows)


def _p_value(row: dict[Any, Any] | None) -> Cell:
    cell = _plain(row, "p_holm", 3)
    return Cell("<0.001", sort=cell.sort) if cell.sort is not None and cell.sort < 0.0005 else cell


def _plain(row: dict[Any, Any] | None, column: str, digits: int) -> Cell:
    if row is None or pd.isna(row[column]):
        return Cell("–")
    return Cell(format_value(row[column], None, None, digits), sort=float(row[column]))


def _intervals(results: Results) -> Section | None:
    table = results.intervals
    grids = []
    for subset in [name for name in SUBSET_NAMES if (table["subset"] == name).any()]:
        part = table[table["subset"] == subset]
        nominal = sorted(set(part["nominal_coverage"]))
        columns = [*START, Column("width")]
        for share in nominal:
            columns += [Column(f"coverage at {share:.0%}", True), Column("mean width (kcal/mol)", True)]
        by_key = {(r["experiment"], r["method"], r["nominal_coverage"]): r for r in part.to_dict("records")}
        rows = []
        for experiment in results.order:
            for method in sorted({key[1] for key in by_key if key[0] == experiment}):
                row = [*row_start(results, experiment), Cell(method.replace("_", " "))]
                for share in nominal:
                    found = by_key.get((experiment, method, share))
                    row.append(_number(results, experiment, found | {"value": found["coverage"]} if found else None))
                    row.append(_plain(found, "mean_width_kcal_mol", 2))
                rows.append(row)
        grids.append(Grid(subset_name(subset), columns, rows))
    text = (
        "Split-conformal intervals: for each fold calibrated on the errors in the other folds, by whole clusters. A "
        "sound interval covers what its name says; a narrower one is better."
    )
    return Section("Coverage of prediction intervals", (text,), grids, folded=True) if grids else None


def _rows(results: Results) -> Section:
    names = ("protocol", "architecture", "weights")
    columns = [*START, *(Column(name) for name in names), Column("seeds", True), Column("status"), Column("commit")]
    rows = []
    for experiment in results.order:
        told = results.told(experiment)
        cells = [Cell(str(told[name]) or "–") for name in ("protocol", "architecture", "weights")]
        seeds = Cell(str(told["n_seeds"]), sort=told["n_seeds"])
        commit = Cell(results.short_commit)
        rows.append([*row_start(results, experiment), *cells, seeds, status_cell(told), commit])
    text = f"Where each row's predictions are and what stands behind them; machine: {results.machine}."
    return Section("The rows", (text,), [Grid("", columns, rows)], folded=True)
