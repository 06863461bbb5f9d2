"""Why the predictions of an experiment cannot be scored: files that are not whole, or a model that failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from copra.evaluate.truth import Truth

LABEL_TOLERANCE_KCAL_MOL = 1e-6  # a label that a training job read from the same file is the same number
FEWEST_TO_CALL_CONSTANT = 3  # two records of a fold may well get one number
SKIPPED = "skipped: "  # how the column `failure` begins where there was nothing to run
CONSTANT_BY_DESIGN = ("train_mean",)
# these may well say one number within a fold: of one near relative, of one interaction energy
CONSTANT_IN_FOLDS = ("nearest_protein", "foldx")


@dataclass(frozen=True)
class Problem:
    """Why there is no score: `status` failed or skipped, the cause, and whether the files (not the model) are wrong."""

    status: str
    cause: str
    of_the_files: bool


def find_problem(said: pd.DataFrame, kind: str, truth: Truth, seeds: list[int]) -> Problem | None:
    """What is wrong with the predictions `said` of one experiment; None when they can be scored.

    `kind` is the experiment's `model`. First it is asked whether each seed predicts every record as the folds say,
    then whether the model itself told of a failure, then whether its numbers are numbers that differ.
    """
    if said.empty:
        return Problem("failed", "no predictions", True)
    missing, strange = set(seeds) - set(said["seed"]), set(said["seed"]) - set(seeds)
    if missing:
        return Problem("failed", f"no predictions of the seeds {sorted(missing)}", True)
    if strange:
        return Problem("failed", f"predictions of the seeds {sorted(strange)}, expected {sorted(seeds)}", True)
    by_seed = [(int(str(seed)), part) for seed, part in said.groupby("seed")]
    for seed, part in by_seed:
        cause = _not_whole(part, truth)
        if cause:
            return Problem("failed", f"seed {seed}: {cause}", True)
    told = said[said["failure"] != ""]
    if len(told):
        return _told_failure(told)
    for seed, part in by_seed:
        guess = part["predicted_dg_kcal_mol"].to_numpy(dtype=float)
        if not np.isfinite(guess).all():
            lost = set(part.loc[~np.isfinite(guess), "record_id"])
            return Problem("failed", f"seed {seed}: predictions that are not finite: {_some(lost)}", True)
    for seed, part in by_seed:
        cause = _constant(part[part["part"] == "test"], kind, seed)
        if cause:
            return Problem("failed", cause, False)
    return None


def _not_whole(part: pd.DataFrame, truth: Truth) -> str:
    """How one seed's rows differ from one row per tested record, and per fold and external record."""
    test, external = part[part["part"] == "test"], part[part["part"] != "test"]
    cause = _test_not_whole(test, truth.test)
    if cause:
        return cause
    expected = {(fold, record) for fold in truth.folds for record in truth.external["record_id"]}
    found = list(zip(external["fold"].astype(int), external["record_id"], strict=True))
    if expected - set(found):
        lost = {f"{record} in fold {fold}" for fold, record in expected - set(found)}
        return f"{len(lost)} of {len(expected)} predictions of records outside the folds are not there: {_some(lost)}"
    if set(found) - expected:
        return f"predicts as external records that are none: {_some({r for _, r in set(found) - expected})}"
    if len(found) > len(expected):
        return (
            f"external records predicted more than once in a fold: {_some(_repeated(external, ['fold', 'record_id']))}"
        )
    return _other_label(external, truth.external)


def _test_not_whole(test: pd.DataFrame, truth: pd.DataFrame) -> str:
    expected, found = set(truth["record_id"]), set(test["record_id"])
    if expected - found:
        return f"{len(expected - found)} of {len(expected)} records not predicted: {_some(expected - found)}"
    if found - expected:
        return f"predicts records that are not in the split: {_some(found - expected)}"
    twice = _repeated(test, ["record_id"])
    if twice:
        return f"records predicted more than once: {_some(twice)}"
    own = test["record_id"].map(truth.set_index("record_id")["fold"]).astype(int)
    moved = set(test.loc[test["fold"] != own, "record_id"])
    if moved:
        return f"records predicted in another fold than the split's: {_some(moved)}"
    return _other_label(test, truth)


def _other_label(said: pd.DataFrame, truth: pd.DataFrame) -> str:
    own = said["record_id"].map(truth.set_index("record_id")["dg_kcal_mol"]).astype(float)
    off = ~((said["measured_dg_kcal_mol"] - own).abs() <= LABEL_TOLERANCE_KCAL_MOL)
    names = set(said.loc[off, "record_id"])
    return f"measured dG differs from the records' label: {_some(names)}" if names else ""


def _repeated(said: pd.DataFrame, key: list[str]) -> set[str]:
    return set(said.loc[said.duplicated(key), "record_id"])


def _told_failure(told: pd.DataFrame) -> Problem:
    """What the models themselves say: skipped when none of them failed, else the first failure."""
    ordered = told.sort_values(["seed", "fold"])
    failed = ordered[~ordered["failure"].str.startswith(SKIPPED)]
    if failed.empty:
        return Problem("skipped", "; ".join(sorted({t.removeprefix(SKIPPED) for t in ordered["failure"]})), False)
    row = failed.iloc[0]
    return Problem("failed", f"seed {row['seed']}, fold {row['fold']}: {row['failure']}", False)


def _constant(test: pd.DataFrame, kind: str, seed: int) -> str:
    """Whether one seed's model says one number where the records differ."""
    if kind in CONSTANT_BY_DESIGN:
        return ""
    guess = test["predicted_dg_kcal_mol"]
    if kind in CONSTANT_IN_FOLDS:
        alike = len(test) >= FEWEST_TO_CALL_CONSTANT and guess.nunique() == 1
        return f"every prediction of seed {seed} is the same number ({guess.iloc[0]:.3f})" if alike else ""
    for fold, part in guess.groupby(test["fold"]):
        if len(part) >= FEWEST_TO_CALL_CONSTANT and part.nunique() == 1:
            return f"constant output in fold {fold} of seed {seed}"
    return ""


def _some(records: Iterable[str]) -> str:
    ordered = sorted(records)
    return ", ".join(ordered[:3]) + (", ..." if len(ordered) > 3 else "")
