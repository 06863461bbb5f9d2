"""Baselines that are fitted to measured ddG: the mean, a ridge on exchange and burial, a forest on mCSM's signatures.

Settings are chosen on inner folds of whole clusters, as for the classical baselines of Table 1.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.config_experiments import Forest
from copra.config_mutation import McsmForest, MeanEffect, SubstitutionBurial
from copra.errors import Diverged, InputError
from copra.model.choice import Candidates, choose
from copra.model.regressors import ForestCandidates
from copra.model.ridge import Ridge
from copra.mutation.exchange import exchange_features, pharmacophore_change, read_changes, reverse
from copra.mutation.parts import ALL_FOLDS, SCOPES, Said, mean_of, rows_of
from copra.tables import concat_tables
from copra.train.folds import NO_LANGUAGE_MODEL

log = logging.getLogger(__name__)

Fitted = MeanEffect | SubstitutionBurial | McsmForest
FEATURE_SET = {"substitution_burial": "surroundings", "mcsm": "environment_signature"}
UNMEASURED = "failed: not measured: the log of measure-mutations says why"
SEEN = "skipped: every model was trained on a mutation of a related complex"


@dataclass(frozen=True)
class _Inputs:
    """The features of every mutation of a table [n, d], float64, and of its way back; what is `why` has none."""

    forward: np.ndarray
    backward: np.ndarray | None  # None where the kind defines no way back
    why: np.ndarray  # of texts [n], empty where the features are there


def fit_and_predict(
    table: pd.DataFrame, experiment: Fitted, seeds: list[int], features: list[Path]
) -> list[pd.DataFrame]:
    """Rows of `mutation_predictions`, without experiment and kind; see `fit_mutation_baseline`.

    `table` is sorted by mutation_id. The mean and the ridge draw nothing at random: every seed has the same rows.
    Raises InputError where there is no cross-validated mutation, or features are missing altogether.
    """
    folds = sorted({int(fold) for fold in table.loc[table["part"] == "cv", "fold"]})
    if len(folds) < 2:
        raise InputError(f"expected cross-validated mutations in two folds or more, found the folds {folds}")
    inputs = _inputs(table, experiment, features)
    drawn = seeds if isinstance(experiment, McsmForest) else seeds[:1]
    frames = [
        frame for seed in drawn for scope in SCOPES for frame in _of_scope(table, experiment, inputs, seed, scope)
    ]
    return frames + [frame.assign(seed=seed) for seed in seeds[len(drawn) :] for frame in frames]


def _of_scope(table: pd.DataFrame, experiment: Fitted, inputs: _Inputs, seed: int, scope: str) -> list[pd.DataFrame]:
    """The rows of one seed and way of training: each fold's own mutations, the others by every model and their mean."""
    is_cv, fold_of = (table["part"] == "cv").to_numpy(), table["fold"].to_numpy(dtype=np.float64)
    cluster = table["cluster"].to_numpy(dtype=object)
    usable = is_cv & ((inputs.why == "") | isinstance(experiment, MeanEffect))
    if scope == "unseen":
        usable &= ~np.isin(cluster, cluster[(table["part"] == "blind").to_numpy()])
    others, is_extra = np.flatnonzero(~is_cv), (table["part"] == "extra").to_numpy()
    frames, every = [], []
    for fold in sorted({int(f) for f in fold_of[is_cv]}):
        training, held_out = np.flatnonzero(usable & (fold_of != fold)), np.flatnonzero(is_cv & (fold_of == fold))
        said = _fit(table, experiment, inputs, training, np.concatenate([held_out, others]), (seed, fold))
        own, rest = said.of(np.arange(len(held_out))), said.of(np.arange(len(held_out), len(said.predicted)))
        frames.append(rows_of(table.iloc[held_out], own, seed=seed, fold=fold, training=scope))
        # a model is silent on an extra mutation whose cluster it learnt; of blind ones `unseen` has learnt none
        fresh = ~(is_extra[others] & np.isin(cluster[others], cluster[training]))
        rest = Said(
            np.where(fresh, rest.predicted, np.nan), np.where(fresh, rest.reverse, np.nan), rest.failure,
            rest.weights, rest.architecture,
        )  # fmt: skip
        frames.append(rows_of(table.iloc[others[fresh]], rest.of(fresh), seed=seed, fold=fold, training=scope))
        every.append(rest)
    frames.append(rows_of(table.iloc[others], mean_of(every, SEEN), seed=seed, fold=ALL_FOLDS, training=scope))
    return frames


def _fit(
    table: pd.DataFrame,
    experiment: Fitted,
    inputs: _Inputs,
    training: np.ndarray,
    tested: np.ndarray,
    seeds: tuple[int, int],
) -> Said:
    """What a model that is fitted to the rows `training` says of the rows `tested`."""
    labels = table["ddg_kcal_mol"].to_numpy(dtype=np.float64)[training]
    predicted, backward = np.full(len(tested), np.nan), np.full(len(tested), np.nan)
    failure = np.full(len(tested), "", dtype=object)
    try:
        if not len(training):
            raise InputError("no mutation to train on")
        if isinstance(experiment, MeanEffect):
            predicted[:], backward[:] = labels.mean(), labels.mean()
        else:
            failure[:] = inputs.why[tested]
            known = np.flatnonzero(inputs.why[tested] == "")
            clusters = list(table["cluster"].iloc[training])
            there, back = _regress(experiment, inputs, training, labels, clusters, tested[known], seeds)
            predicted[known] = there
            if back is not None:
                backward[known] = back
    except Diverged as error:
        failure[:] = f"diverged: {error}"
    except InputError as error:  # too few clusters: the fold has no model, the others go on
        failure[:] = f"failed: {error}"
    return Said(predicted, backward, failure, NO_LANGUAGE_MODEL, "")


def _regress(
    experiment: SubstitutionBurial | McsmForest,
    inputs: _Inputs,
    training: np.ndarray,
    labels: np.ndarray,
    clusters: list[str],
    tested: np.ndarray,
    seeds: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray | None]:
    """ddG (kcal/mol) of the rows `tested`, and of their way back where the kind defines one."""
    parts = [inputs.forward[training], inputs.forward[tested]]
    if inputs.backward is not None:
        parts.append(inputs.backward[tested])
    features = np.concatenate(parts)
    candidates = _candidates(experiment, features, int(np.random.SeedSequence(seeds).generate_state(1)[0]))
    n = len(training)
    choice = choose(candidates, labels, clusters, experiment.inner_folds)
    log.info(
        "%s, fold %d: %d mutations, %d columns; %s, inner RMSE %.3f kcal/mol",
        experiment.kind, seeds[1], n, features.shape[1], choice.name, choice.inner_rmse_kcal_mol,
    )  # fmt: skip
    found = candidates.predict(choice.index, np.arange(n), labels, np.arange(n, len(features)))
    if not np.isfinite(found).all():
        raise Diverged(f"{int((~np.isfinite(found)).sum())} of {len(found)} predictions are not finite")
    return found[: len(tested)], found[len(tested) :] if inputs.backward is not None else None


def _candidates(experiment: SubstitutionBurial | McsmForest, features: np.ndarray, random_state: int) -> Candidates:
    if isinstance(experiment, SubstitutionBurial):
        return Ridge(features, experiment.penalty)
    forest = Forest(
        model="forest", features=["distance_signatures"], protein_lm=None, rna_lm=None, shuffle_partner=False,
        trees=experiment.trees, min_samples_leaf=experiment.min_samples_leaf, max_features=experiment.max_features,
        inner_folds=experiment.inner_folds, shuffle_labels=False,
    )  # fmt: skip
    return ForestCandidates(features, forest, random_state)


def _inputs(table: pd.DataFrame, experiment: Fitted, paths: list[Path]) -> _Inputs:
    """The features that an experiment reads, in the order of the table's rows.

    substitution_burial: the way back exchanges the letters and keeps the surroundings, which are the wild type's; the
    backbone is the same in both. mcsm: the signature is of the wild-type residue's own atoms, and there is no
    structure of the mutant, so it has no way back.
    """
    n = len(table)
    if isinstance(experiment, MeanEffect):
        return _Inputs(np.zeros((n, 0)), None, np.full(n, "", dtype=object))
    measured = _measured(table, FEATURE_SET[experiment.kind], paths)
    why = np.array([UNMEASURED if row is None else "" for row in measured], dtype=object)
    why[(table["molecule_type"] != "protein").to_numpy()] = "skipped: not a mutation of the protein"
    ways: list[list[dict[str, float]]] = [[], []]
    for i, row in enumerate(table.itertuples()):
        own = measured[i]
        try:
            changes = read_changes(str(row.mutation), str(row.polymer_indices))
            for way, exchanged in zip(ways, (changes, reverse(changes)), strict=True):
                if isinstance(experiment, SubstitutionBurial):
                    told = exchange_features(exchanged, experiment.matrix)
                else:
                    told = pharmacophore_change(exchanged)
                way.append(told | own if own is not None else {})
        except InputError as error:
            why[i] = why[i] or f"failed: {error}"
            for way in ways:
                del way[i:]
                way.append({})
    forward, backward = (_matrix(way, why) for way in ways)
    return _Inputs(forward, backward if isinstance(experiment, SubstitutionBurial) else None, why)


def _measured(table: pd.DataFrame, feature_set: str, paths: list[Path]) -> list[dict[str, float] | None]:
    """The measured features of each mutation, None where it has none."""
    if not paths:
        raise InputError("a baseline on structures needs --features, the tables of measure-mutations")
    found = concat_tables(paths, "mutation_features")
    found = found[found["feature_set"] == feature_set]
    by_id = {
        name: dict(zip(rows["feature"], rows["value"], strict=True)) for name, rows in found.groupby("mutation_id")
    }
    return [by_id.get(name) for name in table["mutation_id"]]


def _matrix(rows: list[dict[str, float]], why: np.ndarray) -> np.ndarray:
    """Columns in the order of their names; rows without features are nan."""
    names = sorted({name for row, text in zip(rows, why, strict=True) for name in row if not text})
    values = np.full((len(rows), len(names)), np.nan)
    for i, row in enumerate(rows):
        if not why[i]:
            absent = [name for name in names if name not in row]
            if absent:
                raise InputError(f"mutation_features: a mutation lacks {absent[:5]}, which others have")
            values[i] = [row[name] for name in names]
    return values
