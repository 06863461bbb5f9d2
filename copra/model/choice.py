"""Choosing a setting on inner folds of whole clusters: one way for every classical model.

All records of a fit stand in one matrix, those to train on first. A model is asked by rows of it, so that models
which read features and models which read how alike two records are can be asked in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from copra.errors import Diverged, InputError


@dataclass(frozen=True)
class Trial:
    """What every setting says of some records, [settings, records] in kcal/mol.

    `excess` is by how much a squared error ((kcal/mol)^2) is expected to be larger than that of the model which is
    fitted in the end; zero where the trial is the model itself.
    """

    predicted: np.ndarray
    excess: np.ndarray


class Candidates(Protocol):
    """Settings of one kind of model on one matrix of records."""

    @property
    def names(self) -> Sequence[str]:
        """One text per setting, in the order of preference where two do equally well."""

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        """Fit every setting on the rows `training` with `labels` and predict the rows `tested`."""

    def predict(self, choice: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """Fit one setting and predict the rows `tested`: kcal/mol, float64."""


@dataclass(frozen=True)
class Choice:
    """A setting's number and text, and its RMSE (kcal/mol) over all inner held-out records."""

    index: int
    name: str
    inner_rmse_kcal_mol: float


def choose(candidates: Candidates, labels: np.ndarray, clusters: Sequence[str], inner_folds: int) -> Choice:
    """The setting with the lowest RMSE over inner folds of whole clusters; the first of equals.

    Row i of the candidates' matrix has labels[i] and clusters[i]. Raises InputError with fewer clusters than inner
    folds, Diverged where no setting gives a number for every record.
    """
    part = inner_parts(clusters, inner_folds)
    squares = np.empty((len(candidates.names), len(labels)))
    for k in range(inner_folds):
        training, tested = np.flatnonzero(part != k), np.flatnonzero(part == k)
        found = candidates.trial(training, labels[training], tested)
        with np.errstate(invalid="ignore", over="ignore"):
            squares[:, tested] = (found.predicted - labels[tested]) ** 2 - found.excess
    mean = np.where(np.isfinite(squares).all(axis=1), squares.mean(axis=1), np.inf)
    best = int(np.argmin(mean))
    if np.isinf(mean[best]):
        raise Diverged(f"none of {len(mean)} settings predicts every record of the inner folds")
    return Choice(best, candidates.names[best], float(np.sqrt(max(mean[best], 0.0))))


def inner_parts(clusters: Sequence[str], parts: int) -> np.ndarray:
    """The inner fold of each record, int [records]: large clusters first, each to the part with the fewest records.

    Clusters of the same size go by their name. Raises InputError with fewer clusters than parts.
    """
    names, numbers, counts = np.unique(np.asarray(clusters, dtype=str), return_inverse=True, return_counts=True)
    if len(names) < parts:
        raise InputError(f"{len(names)} clusters to train on; {parts} inner folds need as many")
    sizes = np.zeros(parts, dtype=int)
    part = np.empty(len(names), dtype=int)
    for cluster in np.argsort(-counts, kind="stable"):
        part[cluster] = np.argmin(sizes)
        sizes[part[cluster]] += counts[cluster]
    return part[numbers]
