"""Baselines without structure: what lengths, chain counts and composition alone can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GroupKFold

from copra.config import ForestBaseline
from copra.errors import InputError

AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
NUCLEOTIDES = "ACGU"
COLUMNS = {
    "lengths": ["n_protein_residues", "n_rna_nucleotides"],
    "chain_counts": ["n_protein_chains", "n_rna_chains"],
}


def sequence_features(records: pd.DataFrame, features: list[str]) -> np.ndarray:
    """One row per record of the table `records`, float64 [records, columns].

    `lengths`: residues and nucleotides; `chain_counts`: protein and RNA chains; `composition`: fractions of
    the 20 amino acids and 4 nucleotides over all chains (zero where a molecule has no known letter).
    """
    columns = []
    for feature in features:
        if feature == "composition":
            columns.append(_fractions(records["protein_sequences"], AMINO_ACIDS))
            columns.append(_fractions(records["rna_sequences"], NUCLEOTIDES))
        else:
            columns.append(records[COLUMNS[feature]].to_numpy(dtype=np.float64))
    return np.concatenate(columns, axis=1)


def _fractions(sequences: pd.Series, letters: str) -> np.ndarray:
    counts = np.array([[text.count(letter) for letter in letters] for text in sequences], dtype=np.float64)
    counts = counts.reshape(len(sequences), len(letters))
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


@dataclass(frozen=True)
class ForestChoice:
    """The hyper-parameters that the inner folds chose, and their error there in the label's unit."""

    min_samples_leaf: int
    max_features: float
    inner_rmse: float


def choose_forest(
    features: np.ndarray, labels: np.ndarray, clusters: np.ndarray, settings: ForestBaseline, seed: int
) -> ForestChoice:
    """The setting with the lowest RMSE over inner folds of whole clusters; the first of equals.

    Raises InputError with fewer clusters than inner folds.
    """
    if len(set(clusters)) < settings.inner_folds:
        raise InputError(f"{len(set(clusters))} clusters to train on; {settings.inner_folds} inner folds need as many")
    splits = list(GroupKFold(n_splits=settings.inner_folds).split(features, labels, clusters))
    best: ForestChoice | None = None
    for leaf in settings.min_samples_leaf:
        for fraction in settings.max_features:
            predicted = np.empty_like(labels)
            for train, test in splits:
                forest = build_forest(settings.trees, leaf, fraction, seed).fit(features[train], labels[train])
                predicted[test] = forest.predict(features[test])
            rmse = float(np.sqrt(np.mean((predicted - labels) ** 2)))
            if best is None or rmse < best.inner_rmse:
                best = ForestChoice(leaf, fraction, rmse)
    assert best is not None  # the configuration refuses empty lists
    return best


def build_forest(trees: int, min_samples_leaf: int, max_features: float, seed: int) -> RandomForestRegressor:
    """An unfitted forest; `max_features` is the fraction of the features that a split may look at."""
    return RandomForestRegressor(
        n_estimators=trees, min_samples_leaf=min_samples_leaf, max_features=max_features, random_state=seed, n_jobs=1
    )
