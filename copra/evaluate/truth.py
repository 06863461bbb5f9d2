"""The records that predictions are judged on: those of the tested folds, and those that no fold holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.split.families import held_out_folds
from copra.tables import read_table

LABELS = ["record_id", "dg_kcal_mol", "in_pra201", "label_grade"]


@dataclass(frozen=True)
class Truth:
    """Labels of the records of a split family, each frame sorted by record_id.

    `test`: record_id, fold, cluster, dg_kcal_mol, in_pra201, label_grade of the records of the tested folds.
    `external`: the same without fold and cluster, of the records that are in no fold and that every fold's model
    predicts. By date the first fold is in neither: it is only trained on.
    """

    test: pd.DataFrame
    external: pd.DataFrame
    folds: list[int]

    def in_fold(self, fold: int) -> np.ndarray:
        """Which rows of `test` are in a fold: bool [n]."""
        return (self.test["fold"] == fold).to_numpy()


def read_truth(records: Path, folds: Path, method: str) -> Truth:
    """The records to judge by; `method` is how the split family was made (`release_date`: fold 0 is not tested).

    Raises InputError for a fold of a record without a label, and where no record is tested.
    """
    labels = read_table(records, "records")[LABELS]
    dealt = read_table(folds, "folds")
    unlabelled = sorted(set(dealt["record_id"]) - set(labels["record_id"]))
    if unlabelled:
        raise InputError(f"{folds}: records without a label in {records}: {unlabelled[:3]}")
    tested = held_out_folds(dealt, method)
    if not tested:
        raise InputError(f"{folds}: expected at least one fold that is tested, found {len(dealt)} records dealt")
    test = dealt[dealt["fold"].isin(tested)].merge(labels, on="record_id")
    external = labels[~labels["record_id"].isin(dealt["record_id"])]
    test, external = (frame.sort_values("record_id", ignore_index=True) for frame in (test, external))
    return Truth(test, external, tested)
