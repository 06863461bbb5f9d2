"""Predict ddG with a baseline: into the same table, and on the same folds, as the models that are fine-tuned."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from copra.config_mutation import DeepNapDifference, FoldXBuildModel, MutationBaseline
from copra.errors import InputError
from copra.mutation.fitted import fit_and_predict
from copra.mutation.parts import ALL_FOLDS, SCOPES, Said, rows_of
from copra.tables import concat_tables, read_table, write_table
from copra.train.folds import NO_LANGUAGE_MODEL

log = logging.getLogger(__name__)


def fit_mutation_baseline(
    records: Path,
    *,
    name: str,
    experiment: MutationBaseline,
    seeds: list[int],
    features: list[Path],
    energies: list[Path],
    mutants: list[Path],
    chains: list[Path],
    package: Path | None = None,
    out: Path,
) -> None:
    """Predict every mutation of `records` (table `mutation_records`) with the baseline `name` (`mutation_predictions`).

    What an experiment does not ask for is an empty list: `features` are tables of measured mutations
    (`mutation_features`, for substitution_burial and mcsm), `energies` of FoldX (`mutation_foldx`); `mutants` and
    `chains` are the tables of full sequences, and `package` the model package of the base experiment (deepnap).

    Fitted kinds (mean, substitution_burial, mcsm) are fitted outside each fold of the cross-validated mutations. `all`
    uses every one of them; `unseen` none of a cluster of which a blind mutation is, and says nothing of a mutation
    whose cluster the model was trained on. A cross-validated mutation is predicted by the model of its fold, every
    other one by each model and, as fold -1, by their mean. What a baseline cannot predict has no value and says why.

    Raises InputError where a needed file is not given or does not speak of the mutations, and where nothing can be
    cross-validated.
    """
    table = read_table(records, "mutation_records").sort_values("mutation_id", ignore_index=True)
    if isinstance(experiment, DeepNapDifference):
        frames = _deepnap(table, package, mutants, chains)
    elif isinstance(experiment, FoldXBuildModel):
        frames = _foldx(table, energies, seeds)
    else:
        frames = fit_and_predict(table, experiment, seeds, features)
    said = pd.concat(frames, ignore_index=True).assign(experiment=name, kind=experiment.kind)
    failed = said[said["failure"] != ""]
    for failure, rows in failed.groupby("failure"):
        log.warning("%s: no prediction of %d mutations: %s", name, rows["mutation_id"].nunique(), failure)
    write_table(said, out, "mutation_predictions")


def _deepnap(table: pd.DataFrame, package: Path | None, mutants: list[Path], chains: list[Path]) -> list[pd.DataFrame]:
    from copra.mutation.deepnap import predict_differences  # imports torch

    if package is None:
        raise InputError("a baseline of kind deepnap needs --package, the model package of its base experiment")
    return predict_differences(
        table, package, concat_tables(mutants, "mutants"), concat_tables(chains, "chains")
    )  # fmt: skip


def _foldx(table: pd.DataFrame, paths: list[Path], seeds: list[int]) -> list[pd.DataFrame]:
    """FoldX's ddG as it stands: nothing is fitted, so the same for every seed and way of training."""
    energies = concat_tables(paths, "mutation_foldx")
    if energies["mutation_id"].duplicated().any():
        twice = energies.loc[energies["mutation_id"].duplicated(), "mutation_id"].iloc[0]
        raise InputError(f"FoldX energies: mutation {twice} stands there twice")
    energies = energies.set_index("mutation_id")
    absent = sorted(set(table["mutation_id"]) - set(energies.index))
    if absent:
        raise InputError(f"FoldX energies: {len(absent)} of {len(table)} mutations are in no file, first {absent[0]}")
    rows = energies.loc[list(table["mutation_id"])]
    scored = (rows["status"] == "scored").to_numpy()
    failure = np.where(scored, "", rows["status"] + ": " + rows["detail"])
    said = Said(
        predicted=rows["ddg_kcal_mol"].to_numpy(dtype=np.float64), reverse=np.full(len(rows), np.nan),
        failure=failure.astype(object), weights=NO_LANGUAGE_MODEL, architecture="",
    )  # fmt: skip
    fold = table["fold"].astype("Int64").where(table["part"] == "cv", ALL_FOLDS).astype(int)
    return [rows_of(table, said, seed=seed, fold=fold.to_numpy(), training=scope) for seed in seeds for scope in SCOPES]
