"""Metrics with intervals, always computed again from the predictions of the held-out folds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from copra.config import Evaluate
from copra.errors import InputError
from copra.evaluate.scores import METRICS, Values, mae, pearson, rmse, spearman
from copra.tables import TABLES, concat_tables, read_table, write_table

__all__ = ["evaluate", "mae", "pearson", "rmse", "spearman"]

log = logging.getLogger(__name__)

PAPER_NOTE = "protocol of the paper: the labels of the reported fold chose the epoch"
LABEL_TOLERANCE_KCAL_MOL = 1e-6  # a label that a training job read from the same file is the same number


def evaluate(predictions: list[Path], *, records: Path, folds: Path, settings: Evaluate, out: Path) -> None:
    """Write RMSE and MAE (kcal/mol), PCC and SCC (signed) of every experiment, with bootstrap intervals.

    `pooled`: a metric over all records, `fold_mean`: the mean over folds; both per seed, then the mean
    over seeds. Intervals come from resampling clusters, the same samples for every experiment. An
    experiment that does not predict every record exactly once per seed gets rows with status `failed`.
    """
    truth = read_truth(records, folds)
    said = concat_tables(predictions, "predictions")
    draws = bootstrap_weights(
        truth["cluster"].to_numpy(), settings.bootstrap_samples, np.random.default_rng(settings.seeds[0])
    )
    rows: list[dict[str, Any]] = []
    for experiment in sorted(set(said["experiment"]) | set(settings.table1)):
        rows += _experiment_rows(experiment, said[said["experiment"] == experiment], truth, draws, settings)
    write_table(pd.DataFrame(rows, columns=TABLES["metrics"].schema().names), out, "metrics")


def read_truth(records: Path, folds: Path) -> pd.DataFrame:
    """record_id, fold, cluster, dg_kcal_mol, in_pra201 of every record of the split, sorted by record."""
    labels = read_table(records, "records")[["record_id", "dg_kcal_mol", "in_pra201"]]
    split = read_table(folds, "folds")
    unlabelled = sorted(set(split["record_id"]) - set(labels["record_id"]))
    if unlabelled:
        raise InputError(f"{folds}: records without a label in {records}: {unlabelled[:3]}")
    return split.merge(labels, on="record_id").sort_values("record_id", ignore_index=True)


def bootstrap_weights(clusters: NDArray[Any], samples: int, generator: np.random.Generator) -> Values:
    """How often each record [n] is drawn in each of `samples` bootstrap samples of whole clusters: [samples, n]."""
    names, member = np.unique(clusters, return_inverse=True)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), size=samples)
    return drawn[:, member].astype(np.float64)


def _experiment_rows(
    name: str, said: pd.DataFrame, truth: pd.DataFrame, draws: Values, settings: Evaluate
) -> list[dict[str, Any]]:
    common = {
        "experiment": name,
        "protocol": ",".join(sorted(set(said["protocol"]))),
        "n_seeds": int(said["seed"].nunique()),
        "weights": " | ".join(sorted(set(said["weights"]))),
        "architecture": " | ".join(sorted(set(said["architecture"]))),
    }
    problem = find_problem(said, truth, settings)
    if problem:
        log.warning("experiment %s: %s", name, problem)
    subsets = {"all": np.ones(len(truth), dtype=bool), "pra201": truth["in_pra201"].to_numpy(dtype=bool)}
    rows: list[dict[str, Any]] = []
    for subset, inside in subsets.items():
        part = common | {"subset": subset, "n_records": int(inside.sum())}
        if problem:
            rows += _failed(part, problem)
        elif inside.any():
            rows += _subset_rows(part, said, truth, inside, draws, settings)
    return rows


def _failed(part: dict[str, Any], problem: str) -> list[dict[str, Any]]:
    empty = {"value": None, "ci_low": None, "ci_high": None, "status": "failed", "note": problem}
    return [part | empty | {"aggregate": a, "metric": m} for a in ("pooled", "fold_mean") for m in METRICS]


def find_problem(said: pd.DataFrame, truth: pd.DataFrame, settings: Evaluate) -> str:
    """Why the predictions of one experiment cannot be scored; empty when they can."""
    if said.empty:
        return "no predictions"
    missing_seeds = sorted(set(settings.seeds) - set(said["seed"]))
    if missing_seeds:
        return f"no predictions of the seeds {missing_seeds}"
    for seed, part in said.groupby("seed"):
        problem = _seed_problem(part, truth)
        if problem:
            return f"seed {seed}: {problem}"
    return ""


def _seed_problem(part: pd.DataFrame, truth: pd.DataFrame) -> str:
    expected, found = set(truth["record_id"]), set(part["record_id"])
    if expected - found:
        return f"{len(expected - found)} of {len(expected)} records not predicted: {_some(expected - found)}"
    if found - expected:
        return f"predicts records that are not in the split: {_some(found - expected)}"
    twice = set(part.loc[part["record_id"].duplicated(), "record_id"])
    if twice:
        return f"records predicted more than once: {_some(twice)}"
    joined = part.merge(truth, on="record_id", suffixes=("", "_of_split"))
    moved = set(joined.loc[joined["fold"] != joined["fold_of_split"], "record_id"])
    if moved:
        return f"records predicted in another fold than the split's: {_some(moved)}"
    off = (joined["measured_dg_kcal_mol"] - joined["dg_kcal_mol"]).abs() > LABEL_TOLERANCE_KCAL_MOL
    if off.any():
        return f"measured dG differs from the records' label: {_some(set(joined.loc[off, 'record_id']))}"
    guess = part["predicted_dg_kcal_mol"].to_numpy()
    if not np.isfinite(guess).all():
        return f"predictions that are not finite: {_some(set(part.loc[~np.isfinite(guess), 'record_id']))}"
    if len(guess) > 1 and np.ptp(guess) == 0:
        return f"every prediction is the same number ({guess[0]:.3f})"
    return ""


def _some(records: set[str]) -> str:
    return ", ".join(sorted(records)[:3]) + (", ..." if len(records) > 3 else "")


def _subset_rows(
    part: dict[str, Any],
    said: pd.DataFrame,
    truth: pd.DataFrame,
    inside: NDArray[np.bool_],
    draws: Values,
    settings: Evaluate,
) -> list[dict[str, Any]]:
    measured = truth["dg_kcal_mol"].to_numpy()
    fold = truth["fold"].to_numpy()
    # [seeds, n] in the order of `truth`
    guess = said.pivot(index="seed", columns="record_id", values="predicted_dg_kcal_mol")[truth["record_id"]].to_numpy()
    groups = {
        "pooled": [inside],
        "fold_mean": [inside & (fold == f) for f in np.unique(fold[inside])],
    }
    constant = [f for f in np.unique(fold) if all(np.ptp(g[fold == f]) == 0 for g in guess)]
    notes = [PAPER_NOTE] if "paper" in part["protocol"] else []
    if len(constant) == len(np.unique(fold)):
        notes.append("one number per fold: its correlations say nothing")
    common = part | {"status": "ok", "note": "; ".join(notes)}
    rows = []
    for aggregate, members in groups.items():
        for metric in METRICS:
            value = _mean_score(metric, measured, guess, members, np.ones((1, len(truth))))[0]
            low, high = interval(_mean_score(metric, measured, guess, members, draws), settings.confidence)
            numbers = {"value": value, "ci_low": low, "ci_high": high}
            kept = {key: None if np.isnan(number) else float(number) for key, number in numbers.items()}
            rows.append(common | kept | {"aggregate": aggregate, "metric": metric})
    return rows


def _mean_score(
    metric: str, measured: Values, guess: Values, members: list[NDArray[np.bool_]], weights: Values
) -> Values:
    """A metric [samples] under weights [samples, n]: its mean over the groups `members`, then over seeds.

    On the data themselves (one sample) a group where the metric is not defined leaves the mean
    undefined; a bootstrap sample passes over groups that it emptied.
    """
    scores = np.stack(
        [[METRICS[metric](measured[m], g[m], weights[:, m]) for m in members] for g in guess]
    )  # [seeds, groups, samples]
    if weights.shape[0] == 1:
        return scores.mean(axis=(0, 1))
    defined = ~np.isnan(scores)
    count = defined.sum(axis=1)
    per_seed = np.where(defined, scores, 0.0).sum(axis=1) / np.where(count > 0, count, 1)
    return np.where((count > 0).all(axis=0), per_seed.mean(axis=0), np.nan)


def interval(samples: Values, confidence: float) -> tuple[float, float]:
    """The percentile interval of bootstrap `samples`; nan when fewer than half of them are defined."""
    defined = samples[~np.isnan(samples)]
    if len(defined) < max(len(samples) / 2, 1):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
