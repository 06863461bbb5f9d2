"""The parts of Table 2's page: each set of mutations, the published score, antisymmetry, single models, complexes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from copra.evaluate.grids import Cell, Column, Grid, Section
from copra.evaluate.mutation_metrics import ABSOLUTE, ANTISYMMETRY, PER_COMPLEX, POOLED
from copra.evaluate.mutation_results import SUBSET_TITLES, TABLE2, TRAINING_NAMES, MutationResults, band_cell, between
from copra.evaluate.mutation_scores import FEWEST_MUTATIONS
from copra.evaluate.mutation_sets import BLIND, mutation_subsets
from copra.evaluate.sections import START
from copra.evaluate.wording import METRIC_NAMES, UNITS, count, format_value
from copra.mutation.relations import split_names

CORRELATIONS, ERRORS = ("pcc", "scc"), ("rmse", "mae")
AGGREGATES = {
    PER_COMPLEX: f"mean over complexes with at least {FEWEST_MUTATIONS} mutations",
    POOLED: "all mutations together",
}
RANDOM = Column("random", True, page=False)  # the page has the band below the number
FEW_WORDS = {"antisymmetry_pcc": "correlation of there and back", "antisymmetry_bias_kcal_mol": "bias, kcal/mol"}


def mutation_sections(results: MutationResults) -> list[Section]:
    """Every part of the page in reading order; the first is the blind test."""
    found = []
    for subset in results.subsets:
        found.append(_subset(results, subset))
        if subset == BLIND:
            found += [_published(results), _antisymmetry(results), _single_models(results)]
    return [*found, _complexes(results), _rows(results)]


def mutation_preface(results: MutationResults) -> list[str]:
    """The sentences before the first table: signs, sets, what random predictions are, what was in training."""
    settings = results.settings
    sets = [_set_sentence(name, frame) for name, frame in mutation_subsets(results.records).items()]
    lines = [
        "ddG = dG of the mutant less dG of the wild type in kcal/mol; positive: the mutant binds more weakly. Lower "
        "RMSE and MAE and higher PCC and SCC are better; correlations keep their sign but where it is said. "
        f"{settings.confidence:.0%} intervals from {settings.bootstrap_samples} bootstrap samples of whole complexes.",
        " ".join(sets) or "No mutation could be put into its complex.",
        f"Random: the middle {settings.confidence:.0%} of what {settings.bootstrap_samples} sets of random predictions "
        "score; for all mutations together the same predictions dealt anew, per complex normal random numbers of "
        "the same mean and SD. A number inside that band is no evidence of skill.",
        "A row is the ensemble of the fold models; in the cross-validated set what was fitted to mutations counts "
        "with the fold that held the mutation out. Wild types in training: the labelled records that a model was "
        "trained on may hold the wild types of the tested complexes. Not in training: they hold no record whose "
        "protein is related to a tested one.",
        _status_sentence(results),
    ]
    return lines


def _status_sentence(results: MutationResults) -> str:
    """How many rows have numbers, and which have none or not for all mutations, in either way of training."""
    told: dict[str, list[str]] = {}
    for name in results.order:
        told.setdefault(str(_told(results, name)["status"]), []).append(name)
    scored = sum(len(told.get(status, [])) for status in ("ok", "partial"))
    text = f"{scored} of {count(len(results.order), 'row')} have numbers"
    return text + "".join(f"; {status}: {', '.join(told[status])}" for status in sorted(set(told) - {"ok"})) + "."


def _set_sentence(name: str, frame: pd.DataFrame) -> str:
    sizes = frame.groupby("complex_id").size()
    text = f"{SUBSET_TITLES[name]}: {count(len(frame), 'mutation')} in {len(sizes)} complexes"
    if name != BLIND:
        return f"{text}."
    known = frame[frame["wild_type_records"] != ""]["complex_id"].nunique()
    return (
        f"{text}, of which {(sizes >= FEWEST_MUTATIONS).sum()} have at least {FEWEST_MUTATIONS} mutations and count "
        f"per complex; {known} have their wild type among the labelled records."
    )


def _told(results: MutationResults, experiment: str) -> dict[str, Any]:
    """Status of an experiment's main rows; that of the first subset which has any."""
    for subset in results.subsets:
        row = results.find(subset, "all", POOLED, "rmse").get(experiment)
        if row:
            return row
    return {"experiment": experiment, "status": "missing"}


def _subset(results: MutationResults, subset: str) -> Section:
    grids = [
        _grid(results, subset, aggregate, metrics) for aggregate in AGGREGATES for metrics in (CORRELATIONS, ERRORS)
    ]
    texts = []
    if "experimental" in SUBSET_TITLES[subset]:
        texts.append("Beyond the paper: nothing was fitted to mutations of this kind.")
    return Section(SUBSET_TITLES[subset], texts, grids, folded=subset != BLIND)


def _grid(results: MutationResults, subset: str, aggregate: str, metrics: tuple[str, ...]) -> Grid:
    trainings = results.trainings(subset)
    places = [(metric, training) for metric in metrics for training in trainings]
    columns = [*START]
    for metric, training in places:
        columns += [Column(_heading(METRIC_NAMES[metric], training), True), RANDOM]
    columns += [Column("mutations in complexes", True), Column("status")]
    rows = []
    for experiment in results.order:
        found = [results.find(subset, training, aggregate, metric).get(experiment) for metric, training in places]
        row = results.start(experiment)
        for one in found:
            row += [results.number(experiment, one), band_cell(one)]
        told = [one for one in found if one]
        row += [_counted(told), results.status(experiment, told)]
        rows.append(row)
    unit = ", kcal/mol" if UNITS[metrics[0]] else ""
    names = " and ".join(METRIC_NAMES[metric] for metric in metrics)
    return Grid(f"{names}{unit}: {AGGREGATES[aggregate]}", columns, rows)


def _heading(name: str, training: str) -> str:
    return f"{name}, {TRAINING_NAMES[training]}"


def _counted(rows: list[dict[str, Any]]) -> Cell:
    """`70 in 8`: mutations and complexes that count; both ways of training where they differ."""
    told = [(int(row["n_mutations"]), int(row["n_complexes"])) for row in rows if row["n_mutations"]]
    texts = dict.fromkeys(f"{mutations} in {complexes}" for mutations, complexes in told)
    return Cell(" / ".join(texts) or "–", sort=max((mutations for mutations, _ in told), default=None))


def _published(results: MutationResults) -> Section:
    compared = any(number.results_table == TABLE2 and number.value for number in results.published.numbers)
    columns = [*START]
    for metric in (*ERRORS, *CORRELATIONS):
        name = METRIC_NAMES[metric]
        columns.append(Column(name if metric in ERRORS else f"mean |{name}|", True))
        columns += [] if metric in ERRORS else [Column(f"random |{name}|", True)]
        columns += [Column(f"paper {name}", True)] if compared else []
    rows = []
    for experiment in results.order:
        row, told = results.start(experiment), []
        for metric in (*ERRORS, *CORRELATIONS):
            aggregate = PER_COMPLEX if metric in ERRORS else ABSOLUTE
            one = results.find(BLIND, "all", aggregate, metric).get(experiment)
            told += [one] if one else []
            row += [_number(results, experiment, one)] + ([] if metric in ERRORS else [band_cell(one)])
            if compared:
                paper = results.published.find(TABLE2, experiment, BLIND, aggregate, metric)
                row.append(Cell(paper.value, sort=float(paper.value), hint=paper.cell) if paper else Cell("–"))
        rows.append([*row, _counted(told)])
    notes = [f"Paper: {note}." for note in results.published.notes(TABLE2, results.order)] if compared else []
    absent = results.published.absent(TABLE2, results.order)
    if compared and absent:
        notes.append(f"Rows of the paper that are not in this run: {', '.join(absent)}.")
    text = (
        "The mean over complexes of the correlations without their sign, as the paper's code scores them, wild types "
        "in training. Random predictions score well above 0 here, so the number means nothing without its band."
    )
    if compared:
        text += (
            f" The paper prints its numbers without intervals; which complexes it counts is not known, here those with "
            f"at least {FEWEST_MUTATIONS} mutations."
        )
    caption = "Blind test, mean over complexes; RMSE and MAE in kcal/mol"
    grid = Grid(caption, [*columns, Column("mutations in complexes", True)], rows, notes)
    return Section("The published score", (text,), [grid])


def _number(results: MutationResults, experiment: str, row: dict[str, Any] | None) -> Cell:
    """A number whose band has a column of its own."""
    return replace(results.number(experiment, row), under="")


def _antisymmetry(results: MutationResults) -> Section:
    trainings = results.trainings(BLIND)
    columns = [*START]
    for metric in ANTISYMMETRY:
        for training in trainings:
            columns.append(Column(_heading(FEW_WORDS[metric], training), True))
            columns += [RANDOM] if metric == ANTISYMMETRY[0] else []
    rows = []
    for experiment in results.order:
        row, told = results.start(experiment), []
        for metric in ANTISYMMETRY:
            for training in trainings:
                one = results.find(BLIND, training, POOLED, metric).get(experiment)
                told += [one] if one else []
                row.append(results.number(experiment, one))
                row += [band_cell(one)] if metric == ANTISYMMETRY[0] else []
        rows.append([*row, results.status(experiment, told)])
    text = (
        "The effect of a mutation and that of taking it back must add up to 0: the correlation of the two predictions "
        "is ideally −1, and the bias, the mean of half their sum, 0."
    )
    return Section("Antisymmetry", (text,), [Grid("Blind test", [*columns, Column("status")], rows)], folded=True)


def _single_models(results: MutationResults) -> Section:
    trainings = results.trainings(BLIND)
    places = [(PER_COMPLEX, "pcc"), (POOLED, "rmse")]
    words = {PER_COMPLEX: "per complex", POOLED: "all together"}
    columns = [*START]
    for aggregate, metric in places:
        for training in trainings:
            name = f"{METRIC_NAMES[metric]} {words[aggregate]}"
            columns += [Column(_heading(name, training), True), Column("single models", True)]
    rows = []
    for experiment in results.order:
        row = results.start(experiment)
        for aggregate, metric in places:
            for training in trainings:
                one = results.find(BLIND, training, aggregate, metric).get(experiment)
                row += [_bare(one), _spread(one)]
        rows.append(row)
    text = "The ensemble beside the lowest and the highest of its models that predict the same mutations."
    return Section("Ensemble and single models", (text,), [Grid("Blind test", columns, rows)], folded=True)


def _bare(row: dict[str, Any] | None) -> Cell:
    if row is None or pd.isna(row["value"]):
        return Cell("–")
    return Cell(format_value(row["value"], None, None, 2), sort=float(row["value"]))


def _spread(row: dict[str, Any] | None) -> Cell:
    if row is None or not row["n_models"]:
        return Cell("–")
    return Cell(between(row["models_low"], row["models_high"]), small=f"({count(row['n_models'], 'model')})")


def _complexes(results: MutationResults) -> Section:
    frame = mutation_subsets(results.records).get(BLIND, results.records.iloc[:0])
    names = ("mutations", "ddG from", "to", "in the interface")
    columns = [Column("complex"), *(Column(name, True) for name in names)]
    columns += [Column("counts per complex"), Column("wild type among the records"), Column("related records", True)]
    rows = []
    for name, part in frame.groupby("complex_id", sort=True):
        ddg = part["ddg_kcal_mol"]
        related = {record for text in part["related_records"] for record in split_names(text)}
        ends = [Cell(format_value(value, None, None, 2), sort=float(value)) for value in (ddg.min(), ddg.max())]
        inside = int(part["in_interface"].sum())
        rows.append(
            [
                Cell(str(name)), Cell(str(len(part)), sort=len(part)), *ends, Cell(str(inside), sort=inside),
                Cell("yes" if len(part) >= FEWEST_MUTATIONS else "no"),
                Cell("yes" if (part["wild_type_records"] != "").any() else "no"),
                Cell(str(len(related)), sort=len(related)),
            ]
        )  # fmt: skip
    text = "ddG in kcal/mol; related: labelled records whose protein is related to the complex's."
    return Section("The complexes of the blind test", (text,), [Grid("", columns, rows)], folded=True)


def _rows(results: MutationResults) -> Section:
    names = ("kind", "architecture", "weights")
    columns = [*START, *(Column(name) for name in names), Column("predictions"), Column("status"), Column("commit")]
    rows = []
    for experiment in results.order:
        told = _told(results, experiment)
        cells = [Cell(str(told.get(name) or "–")) for name in names]
        link = Cell("predictions.parquet", link=results.link(experiment), hint=results.hint(experiment))
        found = [row for training in TRAINING_NAMES for subset in results.subsets
                 if (row := results.find(subset, training, POOLED, "rmse").get(experiment))]  # fmt: skip
        status = results.status(experiment, found[:1])
        rows.append([*results.start(experiment), *cells, link, status, Cell(results.short_commit)])
    text = f"Where each row's predictions are and what stands behind them; machine: {results.machine}."
    return Section("The rows", (text,), [Grid("", columns, rows)], folded=True)
