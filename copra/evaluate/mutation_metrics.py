"""Metrics of predicted mutation effects (Table 2), always computed again from the predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.config_evaluate import Evaluate
from copra.config_mutation import MutationExperiment
from copra.errors import InputError
from copra.evaluate.bootstrap import bootstrap_weights, number
from copra.evaluate.mutation_scores import (
    FEWEST_MUTATIONS,
    MutationSet,
    Score,
    antisymmetry,
    constant_complexes,
    per_complex,
    pooled,
    values_of,
)
from copra.evaluate.mutation_sets import (
    SUBSETS,
    TRAININGS,
    Guess,
    gather,
    mutation_subsets,
    read_mutation_predictions,
    read_mutation_records,
)
from copra.evaluate.scores import LOWER_IS_BETTER, METRICS, Values
from copra.evaluate.subsets import FEWEST_CLUSTERS
from copra.tables import TABLES, write_table

log = logging.getLogger(__name__)

POOLED, PER_COMPLEX, ABSOLUTE = "pooled", "per_complex", "per_complex_absolute"
NO_REVERSE = "says nothing of the way back from the mutant"
ANTISYMMETRY = ("antisymmetry_pcc", "antisymmetry_bias_kcal_mol")
# every aggregate with its metrics: an error has no sign that an absolute value could take away
SCORED = [(a, m) for a in (POOLED, PER_COMPLEX) for m in METRICS]
SCORED += [(ABSOLUTE, m) for m in METRICS if m not in LOWER_IS_BETTER]


def evaluate_mutations(
    predictions: list[Path],
    *,
    records: Path,
    experiments: dict[str, MutationExperiment],
    settings: Evaluate,
    out: Path,
) -> None:
    """Write the table `mutation_metrics`: how well every experiment predicts ddG (kcal/mol, positive = weaker).

    `predictions` are tables `mutation_predictions`, `records` the table `mutation_records`. RMSE, MAE and signed PCC
    and SCC, pooled and as the mean over complexes with at least three mutations; the published score, the mean of
    the correlations without their sign; and how far predictions for the way back undo those for the way there.
    Intervals come from resampling complexes, the band of random predictions from as many random ones, both from the
    first of `settings.seeds` and the same draws for every experiment. What an experiment does not predict is told in
    `status` and `note` and never counted as a number. Raises InputError for predictions that do not fit the records
    and for those of an experiment that is not asked for.
    """
    known = read_mutation_records(records)
    said = read_mutation_predictions(predictions, known)
    strangers = sorted(set(said["experiment"]) - set(experiments))
    if strangers:
        raise InputError(f"mutation_predictions of {strangers}, expected those of {sorted(experiments)}")
    rows: list[dict[str, Any]] = []
    for subset, mutations in mutation_subsets(known).items():
        drawn = draw(subset, mutations, settings)
        for name in sorted(experiments):
            of_one = said[said["experiment"] == name]
            for training in TRAININGS:
                part = of_one[of_one["training"] == training]
                if len(part) or training == "all":
                    columns = {"experiment": name, "kind": experiments[name].kind, "training": training}
                    rows += score(columns | {"subset": subset}, part, mutations, drawn)
    write_table(pd.DataFrame(rows, columns=TABLES["mutation_metrics"].schema().names), out, "mutation_metrics")


def draw(subset: str, mutations: pd.DataFrame, settings: Evaluate) -> MutationSet:
    """A subset with its bootstrap samples of complexes and random numbers: its own, whatever else is scored."""
    generator = np.random.default_rng([settings.seeds[0], SUBSETS.index(subset)])
    complexes = mutations["complex_id"].to_numpy(dtype=str)
    weights = bootstrap_weights(complexes, settings.bootstrap_samples, generator)
    noise = generator.standard_normal((settings.bootstrap_samples, len(mutations)))
    measured = mutations["ddg_kcal_mol"].to_numpy(dtype=float)
    return MutationSet(measured, complexes, weights, noise, settings.confidence)


def score(
    columns: dict[str, Any], said: pd.DataFrame, mutations: pd.DataFrame, drawn: MutationSet
) -> list[dict[str, Any]]:
    """The rows of `mutation_metrics` for one experiment and way of training on one subset.

    `said` are its predictions, `columns` what its rows have in common.
    """
    guess = gather(said, columns["kind"], mutations)
    if guess.status in ("failed", "skipped"):
        place = ", ".join(columns[name] for name in ("experiment", "training", "subset"))
        log.warning("%s: %s: %s", place, guess.status, guess.note)
    columns |= {
        "weights": " | ".join(sorted(set(said["weights"]) - {""})),
        "architecture": " | ".join(sorted(set(said["architecture"]) - {""})),
        "status": guess.status,
        "note": guess.note,
    }
    if not len(guess.inside):
        keys = SCORED + [(POOLED, metric) for metric in ANTISYMMETRY]
        return [columns | _numbers(None, []) | {"aggregate": a, "metric": m} for a, m in keys]
    part = drawn.of(guess.inside)
    rows = [_row(columns, guess, part, aggregate, metric) for aggregate, metric in SCORED]
    return rows + _antisymmetry_rows(columns, guess, part)


def _row(columns: dict[str, Any], guess: Guess, part: MutationSet, aggregate: str, metric: str) -> dict[str, Any]:
    absolute, by_complex = aggregate == ABSOLUTE, aggregate != POOLED
    if by_complex:
        found = per_complex(metric, guess.values, part, absolute=absolute)
    else:
        found = pooled(metric, guess.values, part)
    singles = values_of(metric, guess.models, part, by_complex=by_complex, absolute=absolute)
    remarks = (columns["note"], _remark(by_complex, metric, guess.values, part, found))
    note = "; ".join(text for text in remarks if text)
    return columns | _numbers(found, singles) | {"aggregate": aggregate, "metric": metric, "note": note}


def _remark(by_complex: bool, metric: str, guess: Values, part: MutationSet, found: Score) -> str:
    """What a reader must know of a number: that it is of few complexes, or that predictions do not differ."""
    few = f"few complexes ({found.n_complexes})" if found.n_complexes < FEWEST_CLUSTERS else ""
    if metric in LOWER_IS_BETTER:
        return few
    if not by_complex:
        same = "one number for all mutations: no correlation" if np.ptp(guess, axis=1).max() == 0 else ""
    elif not part.varying:
        same = f"no complex with {FEWEST_MUTATIONS} mutations whose measured ddG differ"
    else:
        constant = constant_complexes(guess, part)
        counted = "no correlation" if np.isnan(found.value) else "counted as 0"
        same = f"one number within {constant} of {len(part.varying)} complexes: {counted}" if constant else ""
    return "; ".join(text for text in (same, few) if text)


def _antisymmetry_rows(columns: dict[str, Any], guess: Guess, part: MutationSet) -> list[dict[str, Any]]:
    """Rows of the metrics of forward and reverse predictions; `skipped` where a method has no reverse ones."""
    both = np.flatnonzero(np.isfinite(guess.reverse).all(axis=0))
    common = columns | {"aggregate": POOLED}
    if not len(both):
        skipped = common | {"status": "skipped", "note": NO_REVERSE} | _numbers(None, [])
        return [skipped | {"metric": metric} for metric in ANTISYMMETRY]
    found = antisymmetry(guess.values[:, both], guess.reverse[:, both], part.of(both))
    lost = len(guess.inside) - len(both)
    if lost:
        told = f"{lost} of {len(guess.inside)} predictions have none for the way back"
        common |= {"status": "partial", "note": "; ".join(text for text in (columns["note"], told) if text)}
    return [common | _numbers(one, []) | {"metric": metric} for metric, one in found.items()]


def _numbers(found: Score | None, singles: Iterable[float]) -> dict[str, Any]:
    """The columns that hold numbers, `singles` those of each single model; None for what is not defined."""
    known = [float(value) for value in singles if np.isfinite(value)]
    told = (found.value, *found.interval, *found.null) if found else (float("nan"),) * 5
    names = ("value", "ci_low", "ci_high", "null_low", "null_high")
    return {name: number(value) for name, value in zip(names, told, strict=True)} | {
        "models_low": min(known, default=None),
        "models_high": max(known, default=None),
        "n_models": len(known),
        "n_mutations": found.n_mutations if found else 0,
        "n_complexes": found.n_complexes if found else 0,
    }
