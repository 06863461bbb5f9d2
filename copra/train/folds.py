"""Which record is trained on, chosen on and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.tables import read_table


@dataclass(frozen=True)
class Fold:
    """One outer fold: records to train on and, untouched until the end, records to predict; sorted by record_id.

    Both are rows of the table `records` with the column `cluster` added.
    """

    training: pd.DataFrame
    test: pd.DataFrame


def read_fold(records: Path, folds: Path, fold: int) -> Fold:
    """Split the records by the outer fold.

    Raises InputError where a record has no fold, a fold names no record, or one of the two parts is empty.
    """
    table = read_table(records, "records")
    dealt = read_table(folds, "folds")
    difference = sorted(set(table["record_id"]) ^ set(dealt["record_id"]))
    if difference:
        raise InputError(f"{folds}: does not deal the records of {records}; in one of the two only: {difference[:10]}")
    joined = table.merge(dealt, on="record_id", validate="one_to_one").sort_values("record_id", ignore_index=True)
    test = joined["fold"] == fold
    if not test.any() or test.all():
        raise InputError(
            f"{folds}: fold {fold} has {int(test.sum())} of {len(joined)} records; nothing to learn or test"
        )
    return Fold(joined[~test].reset_index(drop=True), joined[test].reset_index(drop=True))


def choose_validation(clusters: list[str], inner_folds: int, generator: np.random.Generator) -> np.ndarray:
    """Which of the training records are for validation: bool, one per record.

    Whole clusters, in random order and large ones first, go each to the smallest of `inner_folds` parts; one
    part, drawn at random, is for validation. Raises InputError with fewer clusters than parts.
    """
    names, counts = np.unique(clusters, return_counts=True)
    if len(names) < inner_folds:
        raise InputError(f"{len(names)} clusters to train on; {inner_folds} inner folds need as many")
    order = generator.permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    sizes = np.zeros(inner_folds, dtype=int)
    part = {}
    for i in order:
        smallest = int(np.argmin(sizes))
        part[names[i]] = smallest
        sizes[smallest] += counts[i]
    chosen = int(generator.integers(inner_folds))
    return np.array([part[cluster] == chosen for cluster in clusters])


def predictions_frame(
    test: pd.DataFrame,
    predicted_dg_kcal_mol: np.ndarray,
    *,
    name: str,
    seed: int,
    fold: int,
    weights: str,
    protocol: str,
    architecture: str,
) -> pd.DataFrame:
    """Rows of the table `predictions` for the records of one outer fold; `architecture` is "" for baselines."""
    return pd.DataFrame(
        {
            "experiment": name,
            "protocol": protocol,
            "seed": seed,
            "fold": fold,
            "record_id": test["record_id"],
            "measured_dg_kcal_mol": test["dg_kcal_mol"],
            "predicted_dg_kcal_mol": predicted_dg_kcal_mol.astype(np.float64),
            "weights": weights,
            "architecture": architecture,
        }
    )


NO_LANGUAGE_MODEL = "no language model"
