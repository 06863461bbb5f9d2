"""Metrics with intervals, always computed again from the predictions of the held-out folds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.config_evaluate import Evaluate
from copra.config_experiments import Experiment
from copra.errors import InputError
from copra.evaluate.bootstrap import Mask, bootstrap_weights, interval, mean_scores, number
from copra.evaluate.conformal import coverage_rows
from copra.evaluate.differences import Scores, difference_rows
from copra.evaluate.problems import Problem, find_problem
from copra.evaluate.scores import METRICS, Values, mae, pearson, rmse, spearman
from copra.evaluate.subsets import WHOLE, Subset, choose_subsets, external_subset, measure_similarity
from copra.evaluate.truth import Truth, read_truth
from copra.tables import TABLES, concat_tables, write_table

__all__ = ["bootstrap_weights", "evaluate", "interval", "mae", "pearson", "rmse", "spearman"]

log = logging.getLogger(__name__)

PAPER_NOTE = "protocol of the paper: the labels of the reported fold chose the epoch"
CONSTANT_NOTE = "one number per fold: its correlations say nothing"


@dataclass(frozen=True)
class Judged:
    """One experiment's predictions: columns of the tables, and what is wrong with them or their numbers.

    `test` [seeds, n] and `external` [seeds, folds, m] are in kcal/mol, in the order of the records of `Truth`;
    `constant` says whether every seed gives one number per fold.
    """

    name: str
    columns: dict[str, Any]
    problem: Problem | None
    test: Values
    external: Values
    constant: bool


@dataclass(frozen=True)
class Cell:
    """One subset and aggregate: for each metric the scores of all experiments without a problem, in order."""

    subset: Subset
    aggregate: str
    scores: dict[str, Scores]


def evaluate(
    predictions: list[Path],
    *,
    table: str,
    experiments: dict[str, Experiment],
    family: str,
    method: str,
    records: Path,
    folds: Path,
    identities: Path,
    settings: Evaluate,
    metrics: Path,
    differences: Path,
    intervals: Path,
) -> None:
    """Write RMSE and MAE (kcal/mol), PCC and SCC (signed) of every experiment of a results table, and what follows.

    `pooled`: a metric over all records, `fold_mean`: the mean over folds; both per seed, then the mean over seeds.
    `ensemble`: the metric of the mean prediction over seeds (of external records: over seeds and folds). Intervals
    come from resampling clusters of records, of `controls` seeds too, as each deals the labels anew; the samples are
    the same for every experiment. With them `differences` holds
    the paired differences from the experiments of `settings.compare_with`, and `intervals` the measured coverage of
    split-conformal intervals. An experiment whose predictions are not whole, or whose model failed in any seed and
    fold, gets rows with status `failed` or `skipped` and no number. Raises InputError for predictions of an
    experiment that is not of this table, and where records, folds and identities do not fit together.
    """
    truth = read_truth(records, folds, method)
    similarity = measure_similarity(truth, records, folds, identities, method)
    said = concat_tables(predictions, "predictions")
    strangers = sorted(set(said["experiment"]) - set(experiments))
    if strangers:
        raise InputError(f"predictions of {strangers}, expected those of {table}: {sorted(experiments)}")
    settings = settings.of_table(table)
    judged = [judge(name, experiments[name].model, said, truth, settings.seeds) for name in sorted(experiments)]
    generator = np.random.default_rng(settings.seeds[0])
    subsets = choose_subsets(truth.test, similarity)
    draws = bootstrap_weights(truth.test["cluster"].to_numpy(), settings.bootstrap_samples, generator)
    deals = bootstrap_weights(np.arange(len(settings.seeds)), len(draws), generator) if table == "controls" else None
    cells = score_test(judged, truth, subsets, draws, deals)
    if len(truth.external):
        outside = bootstrap_weights(similarity.external_groups, settings.bootstrap_samples, generator)
        cells += score_external(judged, truth, external_subset(similarity), outside)
    rows = {
        ("metrics", metrics): _metric_rows(judged, cells, settings.confidence),
        ("differences", differences): _compare(judged, cells, settings),
        ("intervals", intervals): _cover(judged, truth, subsets, draws, settings),
    }
    of_table = {"results_table": table, "split_family": family}
    for (name, path), found in rows.items():
        frame = pd.DataFrame([row | of_table for row in found], columns=TABLES[name].schema().names)
        write_table(frame, path, name)


def judge(name: str, kind: str, predictions: pd.DataFrame, truth: Truth, seeds: list[int]) -> Judged:
    """Find what is wrong with one experiment's predictions, else put them in order; `kind` is its `model`."""
    said = predictions[predictions["experiment"] == name]
    problem = find_problem(said, kind, truth, seeds)
    note = PAPER_NOTE if "paper" in set(said["protocol"]) else ""
    constant = False
    if problem:
        log.warning("experiment %s: %s: %s", name, problem.status, problem.cause)
        test, external = np.zeros((0, len(truth.test))), np.zeros((0, 0, 0))
    else:
        test, external = _in_order(said, truth, sorted(seeds))
        constant = all(np.ptp(test[:, truth.in_fold(fold)], axis=1).max() == 0 for fold in truth.folds)
    columns = {
        "experiment": name,
        "protocol": ",".join(sorted(set(said["protocol"]))),
        "n_seeds": int(said["seed"].nunique()),
        "weights": " | ".join(sorted(set(said["weights"]))),
        "architecture": " | ".join(sorted(set(said["architecture"]))),
        "status": problem.status if problem else "ok",
        "note": problem.cause if problem else note,
    }
    return Judged(name, columns, problem, test, external, constant)


def _in_order(said: pd.DataFrame, truth: Truth, seeds: list[int]) -> tuple[Values, Values]:
    """Predictions of the tested records [seeds, n] and of the external ones [seeds, folds, m]."""
    values = said.set_index(["part", "seed", "fold", "record_id"])["predicted_dg_kcal_mol"].to_dict()
    tested = list(zip(truth.test["fold"], truth.test["record_id"], strict=True))
    names = truth.external["record_id"].tolist()
    test = [[values["test", seed, fold, record] for fold, record in tested] for seed in seeds]
    external = [
        [[values["external", seed, fold, record] for record in names] for fold in truth.folds] for seed in seeds
    ]
    shape = (len(seeds), len(truth.folds), len(names))
    return np.array(test, dtype=float), np.array(external, dtype=float).reshape(shape)


def score_test(
    judged: list[Judged], truth: Truth, subsets: list[Subset], draws: Values, deals: Values | None
) -> list[Cell]:
    """Every metric of the tested records under the weights `draws` [samples, n] and `deals` [samples, seeds]."""
    guess = _stacked([one.test for one in judged if one.problem is None], len(truth.test))
    measured = truth.test["dg_kcal_mol"].to_numpy()
    cells = []
    for subset in subsets:
        cells.append(Cell(subset, "pooled", _score(measured, guess, [subset.inside], draws, deals)))
        if subset.name in WHOLE:
            by_fold = [subset.inside & truth.in_fold(fold) for fold in truth.folds]
            groups = [inside for inside in by_fold if inside.any()]
            mean = guess.mean(axis=1, keepdims=True)
            cells.append(Cell(subset, "fold_mean", _score(measured, guess, groups, draws, deals)))
            cells.append(Cell(subset, "ensemble", _score(measured, mean, [subset.inside], draws)))
    return cells


def score_external(judged: list[Judged], truth: Truth, subset: Subset, draws: Values) -> list[Cell]:
    """Every metric of the external records: each seed's and fold's model alone (`pooled`), and their mean."""
    n = len(truth.external)
    guess = _stacked([one.external.reshape(-1, n) for one in judged if one.problem is None], n)
    measured = truth.external["dg_kcal_mol"].to_numpy()
    each = Cell(subset, "pooled", _score(measured, guess, [subset.inside], draws))
    mean = guess.mean(axis=1, keepdims=True)
    return [each, Cell(subset, "ensemble", _score(measured, mean, [subset.inside], draws))]


def _stacked(guesses: list[Values], n: int) -> Values:
    return np.stack(guesses) if guesses else np.zeros((0, 1, n))


def _score(
    measured: Values, guess: Values, groups: list[Mask], draws: Values, deals: Values | None = None
) -> dict[str, Scores]:
    itself = np.ones((1, len(measured)))
    return {
        metric: Scores(
            mean_scores(metric, measured, guess, groups, itself)[:, 0],
            mean_scores(metric, measured, guess, groups, draws, deals),
        )
        for metric in METRICS
    }


def _metric_rows(judged: list[Judged], cells: list[Cell], confidence: float) -> list[dict[str, Any]]:
    place = _places(judged)
    rows = []
    for one in judged:
        for cell in cells:
            remarks = (CONSTANT_NOTE if one.constant else "", "" if one.problem else cell.subset.note)
            note = joined(one.columns["note"], *remarks)
            said = one.columns | cell.subset.counts | {"aggregate": cell.aggregate, "note": note}
            for metric, scores in cell.scores.items():
                value = low = high = float("nan")
                if one.problem is None:
                    value = scores.value[place[one.name]]
                    if cell.subset.n_clusters > 1:  # samples of one cluster are all alike, and would promise certainty
                        low, high = interval(scores.samples[place[one.name]], confidence)
                numbers = {"value": number(value), "ci_low": number(low), "ci_high": number(high)}
                rows.append(said | numbers | {"metric": metric})
    return rows


def _compare(judged: list[Judged], cells: list[Cell], settings: Evaluate) -> list[dict[str, Any]]:
    statuses = {one.name: one.columns["status"] for one in judged}
    references = [name for name in dict.fromkeys(settings.compare_with) if name in statuses]
    rows = []
    for cell in cells:
        if cell.aggregate == "pooled" and cell.subset.name in WHOLE:
            for metric, scores in cell.scores.items():
                found = difference_rows(metric, scores, statuses, references, settings.confidence)
                rows += [row | cell.subset.counts for row in found]
    return rows


def _cover(
    judged: list[Judged], truth: Truth, subsets: list[Subset], draws: Values, settings: Evaluate
) -> list[dict[str, Any]]:
    whole = [subset for subset in subsets if subset.name in WHOLE]
    rows = []
    for one in judged:
        found = coverage_rows(None if one.problem else one.test, truth.test, whole, draws, settings)
        if one.problem:
            found = [row | {"status": one.problem.status} for row in found]
        rows += [row | {"experiment": one.name, "note": joined(one.columns["note"], row["note"])} for row in found]
    return rows


def joined(*notes: str) -> str:
    """Several remarks as one."""
    return "; ".join(note for note in notes if note)


def _places(judged: list[Judged]) -> dict[str, int]:
    return {name: i for i, name in enumerate(one.name for one in judged if one.problem is None)}
