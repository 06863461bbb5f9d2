"""What every baseline shares: which mutations a model is trained on, and the rows of its predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

ALL_FOLDS = -1  # the mean over the models of the folds
SCOPES = ("all", "unseen")


@dataclass(frozen=True)
class Said:
    """What one model says of some mutations: ddG in kcal/mol [n] both ways, nan where it says nothing, and why."""

    predicted: np.ndarray
    reverse: np.ndarray
    failure: np.ndarray  # of texts, empty where there is a prediction
    weights: str
    architecture: str

    def of(self, chosen: np.ndarray) -> Said:
        """Those of the mutations that are chosen, bool or places [n]."""
        return Said(self.predicted[chosen], self.reverse[chosen], self.failure[chosen], self.weights, self.architecture)


def rows_of(table: pd.DataFrame, said: Said, *, seed: int, fold: int | np.ndarray, training: str) -> pd.DataFrame:
    """Rows of `mutation_predictions`, without experiment and kind, for rows of `mutation_records` in the same order."""
    return pd.DataFrame(
        {
            "seed": seed,
            "fold": fold,
            "training": training,
            "part": table["part"].to_numpy(),
            "mutation_id": table["mutation_id"].to_numpy(),
            "measured_ddg_kcal_mol": table["ddg_kcal_mol"].to_numpy(),
            "predicted_ddg_kcal_mol": said.predicted,
            "predicted_reverse_ddg_kcal_mol": said.reverse,
            "weights": said.weights,
            "architecture": said.architecture,
            "failure": said.failure,
        }
    )


def mean_of(every: list[Said], failure: str) -> Said:
    """The mean over several models of what they say of the same mutations, over those that say anything.

    Where none does, `failure` says why, or the first model's own reason.
    """
    predicted, reverse = (np.array([getattr(one, name) for one in every]) for name in ("predicted", "reverse"))
    reasons = np.array([one.failure for one in every], dtype=object)
    silent = np.isnan(predicted).all(axis=0)
    first = [next((text for text in column if text), failure) for column in reasons.T]
    told = np.where(silent, np.array(first, dtype=object), "").astype(object)
    return Said(_mean(predicted), _mean(reverse), told, every[0].weights, every[0].architecture)


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean of each column [n] over the rows that have a number there; nan where none has."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
