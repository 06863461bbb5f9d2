"""Packing a finished experiment: its members' weights, and what they were trained on, in one folder."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.config import LanguageModel
from copra.config_experiments import Neural
from copra.config_split import PairAlignment
from copra.errors import InputError
from copra.evaluate.bootstrap import number
from copra.evaluate.scores import mae, pearson, rmse, spearman
from copra.files import replacing, sha256_of_file
from copra.predict.package import (
    MODEL,
    TRAINING,
    ComplexSettings,
    Description,
    Embedding,
    Member,
    MissingMember,
    PooledMetrics,
    TrainingData,
    UsedLanguageModel,
    UsedLanguageModels,
)
from copra.provenance.results import read_json
from copra.provenance.run import git_commit
from copra.structure.store import read_interfaces
from copra.tables import read_table, write_table
from copra.train.folds import NO_LANGUAGE_MODEL

log = logging.getLogger(__name__)

SAVED = ("settings", "architecture", "language_models", "protein_lm_width", "rna_lm_width", "label_mean_kcal_mol",
         "label_sd_kcal_mol", "best_epoch", "validation_rmse_kcal_mol")  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """One seed and fold: what it predicted of its test records and, without a failure, the folder of its model."""

    seed: int
    fold: int
    path: Path  # of its predictions
    test: pd.DataFrame
    weights: str
    architecture: str
    failure: str

    @property
    def checkpoint(self) -> Path:
        """Where `copra train-fold` saved the model."""
        return self.path.parent / "checkpoint"


def package_model(
    predictions: list[Path],
    *,
    name: str,
    experiment: Neural,
    records: Path,
    folds: Path,
    family: str,
    interfaces: list[Path],
    language_models: dict[str, LanguageModel],
    embedding: Embedding,
    structures: ComplexSettings,
    alignment: PairAlignment,
    notice: str,
    out: Path,
) -> None:
    """Write the model package of the experiment `name` into the folder `out`; see copra/predict/package.py.

    `predictions` are the tables of its seeds and folds, each with the folder `checkpoint` of `copra train-fold`
    beside it. A seed and fold whose model failed is listed with its reason; where all failed the package says so and
    cannot be used. `language_models` are those that the experiment names. Raises InputError where the tables are of
    another experiment, of the same seed and fold twice, or of other records than `folds` deals; where a model is not
    beside its predictions or has other settings than `experiment`; and where a record has no interface.
    """
    if not predictions:
        raise InputError(f"no predictions of '{name}' were given")
    trained = sorted((_read(path, name) for path in predictions), key=lambda one: (one.seed, one.fold))
    _check_alike(trained)
    used = _used(experiment, trained[0], language_models)
    labels = _labelled(records, folds)
    _check_records(trained, labels, folds)
    training = _training_set(labels, trained, interfaces, structures.contact_cutoff_angstrom)
    (out / MODEL).unlink(missing_ok=True)  # written last: without it the folder is no package
    members = [_pack(one, experiment, used, out) for one in trained if not one.failure]
    for old in set(out.glob("seed_*_fold_*.safetensors")) - {out / member.file for member in members}:
        old.unlink()
    write_table(training, out / TRAINING, "training_set")
    told = Description(
        format=1,
        experiment=name,
        settings=experiment,
        architecture=trained[0].architecture,
        members=members,
        missing_members=[MissingMember(seed=t.seed, fold=t.fold, reason=t.failure) for t in trained if t.failure],
        language_models=used,
        weights_text=trained[0].weights,
        embedding=embedding,
        structures=structures,
        alignment=alignment,
        data=_data(labels, records, family),
        metrics=_pooled(training),
        protocol=experiment.protocol,
        git_commit=git_commit(Path(__file__).resolve().parent),
        notice=notice,
    )
    with replacing(out / MODEL) as temporary:
        text = json.dumps(told.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    log.info("%s: %d models packed, %d missing", name, len(members), len(told.missing_members))


def _data(labels: pd.DataFrame, records: Path, family: str) -> TrainingData:
    return TrainingData(
        n_records=len(labels),
        n_clusters=int(labels["cluster"].nunique()),
        split_family=family,
        records_sha256=sha256_of_file(records),
        temperature_k=float(labels["temperature_k"].median()),
    )


def _read(path: Path, name: str) -> Trained:
    """The table of one seed and fold."""
    said = read_table(path, "predictions")
    told = said[["experiment", "seed", "fold", "weights", "architecture", "failure"]].drop_duplicates()
    if len(told) != 1 or told.iloc[0]["experiment"] != name:
        found = told[["experiment", "seed", "fold"]].to_dict("records")[:3]
        raise InputError(f"{path}: expected predictions of one seed and fold of '{name}', found {found}")
    row = told.iloc[0]
    test = said[said["part"] == "test"]
    return Trained(
        int(row["seed"]), int(row["fold"]), path, test, row["weights"], row["architecture"], row["failure"]
    )  # fmt: skip


def _check_alike(trained: list[Trained]) -> None:
    """Every seed and fold once, all of one architecture and with the same language models."""
    first = trained[0]
    for before, one in itertools.pairwise(trained):
        if (one.seed, one.fold) == (before.seed, before.fold):
            raise InputError(f"{one.path}: seed {one.seed}, fold {one.fold} again, as in {before.path}")
    for one in trained:
        for what in ("weights", "architecture"):
            found, expected = getattr(one, what), getattr(first, what)
            if found != expected:
                raise InputError(f"{one.path}: {what} '{found}', expected '{expected}' as in {first.path}")


def _labelled(records: Path, folds: Path) -> pd.DataFrame:
    """The records that the folds deal, sorted by record_id, with fold and cluster."""
    table, dealt = read_table(records, "records"), read_table(folds, "folds")
    labels = table.merge(dealt, on="record_id").sort_values("record_id", ignore_index=True)
    if len(labels) != len(dealt):
        strangers = sorted(set(dealt["record_id"]) - set(table["record_id"]))
        raise InputError(f"{folds}: does not deal the records of {records}; not among them: {strangers[:10]}")
    return labels


def _check_records(trained: list[Trained], labels: pd.DataFrame, folds: Path) -> None:
    """Each table must predict the records of its fold: those and no others were kept from its model."""
    for one in trained:
        expected = set(labels.loc[labels["fold"] == one.fold, "record_id"])
        other = sorted(expected ^ set(one.test["record_id"]))
        if other:
            raise InputError(
                f"{one.path}: predicts other records than fold {one.fold} of {folds} holds; {len(other)} differ: "
                f"{other[:5]}"
            )


def _training_set(
    labels: pd.DataFrame, trained: list[Trained], interfaces: list[Path], contact_cutoff_angstrom: float
) -> pd.DataFrame:
    """The rows of the table `training_set`."""
    said = pd.concat([one.test.assign(seed=one.seed) for one in trained if not one.failure] or [trained[0].test[:0]])
    by_seed = said.pivot(index="record_id", columns="seed", values="predicted_dg_kcal_mol")
    names = list(labels["record_id"])
    cut = read_interfaces(interfaces, names)
    touching = [
        np.count_nonzero(cut[name].partner_distance_angstrom < contact_cutoff_angstrom) for name in names
    ]  # fmt: skip
    return pd.DataFrame(
        {
            "record_id": names,
            "fold": labels["fold"],
            "cluster": labels["cluster"],
            "dg_kcal_mol": labels["dg_kcal_mol"],
            "out_of_fold_dg_kcal_mol": by_seed.mean(axis=1).reindex(names).to_numpy(dtype=np.float64),
            "temperature_k": labels["temperature_k"],
            "protein_sequences": labels["protein_sequences"].str.replace(",", "+"),
            "rna_sequences": labels["rna_sequences"].str.replace(",", "+"),
            "n_interface_residues": touching,
            "n_protein_residues": labels["n_protein_residues"],
            "n_nucleotides": labels["n_rna_nucleotides"],
        }
    )


def _pack(one: Trained, experiment: Neural, used: UsedLanguageModels, out: Path) -> Member:
    """Copy the weights of one seed and fold, byte for byte, and say what they are."""
    weights = one.checkpoint / "model.safetensors"
    told = _read_saved(one, weights)
    widths = [lm.width if lm else 0 for lm in (used.protein, used.rna)]
    found = {"language_models": told["language_models"], "settings": told["settings"]}
    found["widths"] = [told["protein_lm_width"], told["rna_lm_width"]]
    expected = {"language_models": one.weights, "settings": experiment.model_dump(mode="json"), "widths": widths}
    for what, value in expected.items():
        if found[what] != value:
            raise InputError(
                f"{one.checkpoint / 'model.json'}: {what} are {_unlike(found[what], value)}; the model beside "
                f"{one.path.name} is not the one that predicted"
            )
    file = f"seed_{one.seed}_fold_{one.fold}.safetensors"
    with replacing(out / file) as temporary:
        shutil.copyfile(weights, temporary)
    return Member(
        seed=one.seed,
        fold=one.fold,
        file=file,
        sha256=sha256_of_file(out / file),
        label_mean_kcal_mol=told["label_mean_kcal_mol"],
        label_sd_kcal_mol=told["label_sd_kcal_mol"],
        best_epoch=told["best_epoch"],
        validation_rmse_kcal_mol=told["validation_rmse_kcal_mol"],
    )


def _read_saved(one: Trained, weights: Path) -> dict[str, Any]:
    """What `copra train-fold` says of the model that it saved."""
    path = one.checkpoint / "model.json"
    missing = [file for file in (weights, path) if not file.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: not there, though {one.path} tells of no failure; without {one.path.name} the next run "
            "trains it again"
        )
    told = read_json(path)
    lacking = [key for key in SAVED if key not in told]
    if lacking:
        raise InputError(f"{path}: does not describe a trained model; lacks {lacking}")
    return told


def _unlike(found: Any, expected: Any) -> str:
    """`found` and `expected` in words; of two sets of settings only what differs."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        return ", ".join(f"{key} {found.get(key)!r} and not {expected.get(key)!r}" for key in keys)
    return f"{found!r} and not {expected!r}"


def _used(experiment: Neural, one: Trained, language_models: dict[str, LanguageModel]) -> UsedLanguageModels:
    """The language models of the experiment with the weights that the predictions name."""
    parts = [] if one.weights == NO_LANGUAGE_MODEL else one.weights.split("; ")
    weights = dict(part.partition(" ")[::2] for part in parts)
    used: dict[str, UsedLanguageModel | None] = {}
    for kind, lm in (("protein", experiment.protein_lm), ("rna", experiment.rna_lm)):
        if lm is not None and (lm not in weights or lm not in language_models):
            raise InputError(
                f"{one.path}: the experiment reads the {kind} language model '{lm}', the predictions tell of "
                f"'{one.weights}', settings were given of {sorted(language_models)}"
            )
        used[kind] = None
        if lm is not None:
            settings = language_models[lm]
            used[kind] = UsedLanguageModel(name=lm, settings=settings, weights=weights[lm], width=settings.width)
    return UsedLanguageModels(protein=used["protein"], rna=used["rna"])


def _pooled(training: pd.DataFrame) -> PooledMetrics:
    """Metrics of the predictions of records by members that had not seen them."""
    known = training[training["out_of_fold_dg_kcal_mol"].notna()]
    measured, predicted = (known[name].to_numpy(np.float64) for name in ("dg_kcal_mol", "out_of_fold_dg_kcal_mol"))
    return PooledMetrics(
        n_records=len(known),
        rmse_kcal_mol=number(rmse(measured, predicted)),
        mae_kcal_mol=number(mae(measured, predicted)),
        pcc=number(pearson(measured, predicted)),
        scc=number(spearman(measured, predicted)),
    )
