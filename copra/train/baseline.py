"""Fit a classical baseline on one fold, under the same protocol and into the same table as Co-Former."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.config_experiments import (
    BoostedTrees,
    Classical,
    FoldX,
    Forest,
    Linear,
    NearestProtein,
    Perceptron,
    Regressor,
    SupportVectors,
    TrainMean,
)
from copra.errors import Diverged, InputError
from copra.model.choice import Candidates, choose
from copra.model.neighbours import Nearest, record_identity
from copra.model.regressors import (
    BoostedCandidates,
    ForestCandidates,
    PerceptronCandidates,
    SupportVectorCandidates,
)
from copra.model.ridge import Ridge
from copra.tables import concat_tables, write_table
from copra.train.features import Sources, Unmeasured, check_partner, read_features, shuffled_partners, weights_text
from copra.train.folds import NO_LANGUAGE_MODEL, predictions_frame, read_fold

log = logging.getLogger(__name__)


class _Unscored(Exception):
    """There are no predictions, and no model is at fault; the text is the table's `failure`."""


@dataclass(frozen=True)
class _Task:
    """The records of one fold, those to train on first, and the labels that may be learnt from (kcal/mol)."""

    records: pd.DataFrame  # with the column `part`: training, test or external
    labels: np.ndarray
    inputs: dict[str, list[Path]]
    seeds: tuple[int, int]
    generator: np.random.Generator
    name: str

    @property
    def training(self) -> pd.DataFrame:
        """The records to train on."""
        return self.records.iloc[: len(self.labels)]

    @property
    def tested(self) -> np.ndarray:
        """Rows of the records to predict."""
        return np.arange(len(self.labels), len(self.records))

    @property
    def sources(self) -> Sources:
        """The files of features."""
        return Sources(self.inputs["features"], self.inputs["protein_embeddings"], self.inputs["rna_embeddings"])


def fit_baseline(
    records: Path,
    *,
    folds: Path,
    fold: int,
    method: str,
    seed: int,
    name: str,
    experiment: Classical,
    features: list[Path],
    protein_embeddings: list[Path],
    rna_embeddings: list[Path],
    identities: list[Path],
    energies: list[Path],
    out: Path,
) -> None:
    """Fit the baseline `name` outside one fold, predict the fold and write the table `predictions`.

    `method` is the split family's: by date only the earlier folds are trained on. What an experiment does not ask
    for is an empty list: `features` are tables of measured interfaces, `identities` of alignments, `energies` of
    FoldX. A list of settings is chosen from on inner folds of whole clusters of the training records. With
    `shuffle_labels` the training labels are dealt anew before anything else, with `shuffle_partner` the columns of
    the RNA (`read_features`) are another record's, within the training, the test and the external records each.
    A model that comes to no number is no error of the run: its predictions are missing and say why.

    Raises InputError where the fold is empty, there are fewer clusters than inner folds, or a record lacks what the
    experiment reads.
    """
    parts = read_fold(records, folds, fold, method)
    asked = parts.predicted()
    table = pd.concat([parts.training.assign(part="training"), asked], ignore_index=True)
    generator = np.random.default_rng([seed, fold])
    labels = parts.training["dg_kcal_mol"].to_numpy(dtype=np.float64)
    if experiment.shuffle_labels:
        labels = generator.permutation(labels)
    inputs = {
        "features": features, "protein_embeddings": protein_embeddings, "rna_embeddings": rna_embeddings,
        "identities": identities, "energies": energies,
    }  # fmt: skip
    task = _Task(table, labels, inputs, (seed, fold), generator, name)
    predicted, failure = np.full(len(asked), np.nan), ""
    try:
        predicted = _predict(experiment, task)
    except Diverged as error:
        failure = f"diverged: {error}"
    except Unmeasured as error:
        failure = f"failed: {error}"
    except _Unscored as error:
        failure = str(error)
    if failure:
        log.warning("%s: %s", name, failure)
    weights = weights_text(experiment, task.sources) if isinstance(experiment, Regressor) else NO_LANGUAGE_MODEL
    frame = predictions_frame(
        asked, predicted, name=name, seed=seed, fold=fold, weights=weights, protocol="nested", architecture="",
        failure=failure,
    )  # fmt: skip
    write_table(frame, out, "predictions")


def _predict(experiment: Classical, task: _Task) -> np.ndarray:
    """dG in kcal/mol of the records to predict; raises Diverged where one is not finite."""
    if isinstance(experiment, TrainMean):
        predicted = np.full(len(task.tested), task.labels.mean())
    elif isinstance(experiment, FoldX):
        predicted = _energies(experiment, task)
    else:
        candidates = _candidates(experiment, task)
        choice = choose(candidates, task.labels, list(task.training["cluster"]), experiment.inner_folds)
        log.info(
            "%s: %s, inner RMSE %.3f kcal/mol, of %d settings",
            task.name, choice.name, choice.inner_rmse_kcal_mol, len(candidates.names),
        )  # fmt: skip
        predicted = candidates.predict(choice.index, np.arange(len(task.labels)), task.labels, task.tested)
    n_bad = int((~np.isfinite(predicted)).sum())
    if n_bad:
        raise Diverged(f"{n_bad} of {len(predicted)} predictions are not finite")
    return predicted


def _candidates(experiment: NearestProtein | Regressor, task: _Task) -> Candidates:
    return _nearest(experiment, task) if isinstance(experiment, NearestProtein) else _regressor(experiment, task)


def _nearest(experiment: NearestProtein, task: _Task) -> Candidates:
    table = concat_tables(task.inputs["identities"], "identities")
    table = table[table["molecule_type"] == "protein"]
    pairs = dict(zip(zip(table["sequence_a"], table["sequence_b"], strict=True), table["identity"], strict=True))
    chains = [text.split(",") for text in task.records["protein_sha256"]]
    return Nearest(record_identity(chains, pairs), experiment.neighbours)


def _regressor(experiment: Regressor, task: _Task) -> Candidates:
    check_partner(experiment, task.name)
    columns = read_features(task.records, len(task.labels), experiment, task.sources)
    if experiment.shuffle_partner:
        columns = columns.with_partners(shuffled_partners(task.records["part"], task.generator))
    log.info("%s: %d records, %d columns", task.name, len(task.records), len(columns.names))
    random_state = int(np.random.SeedSequence(task.seeds).generate_state(1)[0])
    match experiment:
        case Linear():
            return Ridge(columns.values, experiment.penalty)
        case Forest():
            return ForestCandidates(columns.values, experiment, random_state)
        case SupportVectors():
            return SupportVectorCandidates(columns.values, experiment)
        case Perceptron():
            return PerceptronCandidates(columns.values, experiment, random_state)
        case BoostedTrees():
            return BoostedCandidates(columns.values, experiment, random_state)
    raise InputError(f"experiment '{task.name}': no regressor of the kind {type(experiment).__name__}")


def _energies(experiment: FoldX, task: _Task) -> np.ndarray:
    """FoldX's interaction energy (kcal/mol) of the records to predict, or the line through the training records."""
    table = concat_tables(task.inputs["energies"], "foldx").set_index("record_id")
    needed = task.records if experiment.calibrate else task.records.iloc[len(task.labels) :]
    absent = sorted(set(needed["record_id"]) - set(table.index))
    if absent:
        raise InputError(f"FoldX energies: {len(absent)} of {len(needed)} records are in no file, first {absent[0]}")
    if table.index.has_duplicates:
        raise InputError(f"FoldX energies: record {table.index[table.index.duplicated()][0]} stands there twice")
    if not (table["status"] == "scored").any():
        raise _Unscored(f"skipped: {table.sort_index()['detail'].iloc[0]}")
    rows = table.loc[list(needed["record_id"])]
    unscored = rows[rows["status"] != "scored"].sort_index()
    if len(unscored):
        raise _Unscored(f"failed: {len(unscored)} of {len(rows)} records not scored: {unscored['detail'].iloc[0]}")
    energy = rows["interaction_energy_kcal_mol"].to_numpy(dtype=np.float64)
    if not experiment.calibrate:
        return energy
    known, new = energy[: len(task.labels)], energy[len(task.labels) :]
    deviation = known - known.mean()
    square = float(deviation @ deviation)
    slope = float(deviation @ (task.labels - task.labels.mean())) / square if square > 0 else 0.0
    log.info("%s: dG = %.3f + %.4f x energy", task.name, task.labels.mean() - slope * known.mean(), slope)
    return task.labels.mean() + slope * (new - known.mean())
