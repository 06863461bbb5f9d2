"""Which record is trained on, chosen on and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.split.families import training_side
from copra.tables import read_table


@dataclass(frozen=True)
class Fold:
    """One outer fold: records to train on and, untouched until the end, records to predict; sorted by record_id.

    All are rows of the table `records`; those of `training` and `test` with the column `cluster` added. `external`
    holds the records that the split family deals into no fold: no model of any fold has seen them.
    """

    training: pd.DataFrame
    test: pd.DataFrame
    external: pd.DataFrame

    def predicted(self) -> pd.DataFrame:
        """The records to predict: test, then external, with the column `part` that tells which."""
        parts = [self.test.assign(part="test"), self.external.assign(part="external")]
        return pd.concat([part for part in parts if len(part)], ignore_index=True)


def read_fold(records: Path, folds: Path, fold: int, method: str) -> Fold:
    """Split the records by the outer fold; `method` is the split family's, by date only earlier folds are trained on.

    Raises InputError where a fold names a record that is not there, or nothing is left to train on or to test.
    """
    table = read_table(records, "records")
    dealt = read_table(folds, "folds")
    strangers = sorted(set(dealt["record_id"]) - set(table["record_id"]))
    if strangers:
        raise InputError(f"{folds}: does not deal the records of {records}; not among them: {strangers[:10]}")
    joined = table.merge(dealt, on="record_id", validate="one_to_one").sort_values("record_id", ignore_index=True)
    test, training = joined["fold"] == fold, training_side(joined, fold, method)
    if not test.any() or not training.any():
        raise InputError(
            f"{folds}: fold {fold} has {int(test.sum())} of {len(joined)} records to test and {int(training.sum())} "
            "to train on"
        )
    left_out = table[~table["record_id"].isin(dealt["record_id"])].sort_values("record_id", ignore_index=True)
    return Fold(joined[training].reset_index(drop=True), joined[test].reset_index(drop=True), left_out)


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
    records: pd.DataFrame,
    predicted_dg_kcal_mol: np.ndarray,
    *,
    name: str,
    seed: int,
    fold: int,
    weights: str,
    protocol: str,
    architecture: str,
    failure: str = "",
) -> pd.DataFrame:
    """Rows of the table `predictions` for `Fold.predicted()`, [n] dG in kcal/mol in that order.

    `failure` says why there are no predictions (all nan); one that begins with `skipped: ` is no model's fault.
    """
    return pd.DataFrame(
        {
            "experiment": name,
            "protocol": protocol,
            "seed": seed,
            "fold": fold,
            "part": records["part"],
            "record_id": records["record_id"],
            "measured_dg_kcal_mol": records["dg_kcal_mol"],
            "predicted_dg_kcal_mol": predicted_dg_kcal_mol.astype(np.float64),
            "weights": weights,
            "architecture": architecture,
            "failure": failure,
        }
    )


NO_LANGUAGE_MODEL = "no language model"
