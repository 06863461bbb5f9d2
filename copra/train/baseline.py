"""Fit a baseline on one fold, under the same protocol and into the same table as Co-Former."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from copra.config import Coformer, Experiment, ForestBaseline
from copra.errors import InputError
from copra.model.baselines import build_forest, choose_forest, sequence_features
from copra.tables import write_table
from copra.train.folds import NO_LANGUAGE_MODEL, Fold, predictions_frame, read_fold

log = logging.getLogger(__name__)


def fit_baseline(
    records: Path, *, folds: Path, fold: int, seed: int, name: str, experiment: Experiment, out: Path
) -> None:
    """Fit the baseline `name` on the records outside one fold and predict the fold.

    A forest's hyper-parameters are chosen on inner folds of whole clusters. Raises InputError where the fold is
    empty, there are fewer clusters than inner folds, or the experiment is no baseline.
    """
    if isinstance(experiment, Coformer):
        raise InputError(f"experiment '{name}' is a Co-Former; `copra train-fold` trains it")
    parts = read_fold(records, folds, fold)
    labels = parts.training["dg_kcal_mol"].to_numpy(dtype=np.float64)
    if experiment.shuffle_labels:
        labels = np.random.default_rng([seed, fold]).permutation(labels)
    if isinstance(experiment, ForestBaseline):
        predicted = _forest(parts, labels, experiment, seed)
    else:
        predicted = np.full(len(parts.test), labels.mean())
    frame = predictions_frame(
        parts.test, predicted, name=name, seed=seed, fold=fold, weights=NO_LANGUAGE_MODEL,
        protocol="nested", architecture="",
    )  # fmt: skip
    write_table(frame, out, "predictions")


def _forest(parts: Fold, labels: np.ndarray, experiment: ForestBaseline, seed: int) -> np.ndarray:
    features = sequence_features(parts.training, list(experiment.features))
    clusters = parts.training["cluster"].to_numpy(dtype=str)
    choice = choose_forest(features, labels, clusters, experiment, seed)
    log.info("forest: %s", choice)
    forest = build_forest(experiment.trees, choice.min_samples_leaf, choice.max_features, seed).fit(features, labels)
    return forest.predict(sequence_features(parts.test, list(experiment.features)))
