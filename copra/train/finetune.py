"""Train Co-Former on one fold of the labelled records and predict the fold it has not seen.

Protocol `nested`: of the records outside the fold, one part of whole clusters chooses the epoch; the rest is
trained on. The fold's own labels are copied into the predictions and used for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.config import Coformer
from copra.embed.store import read_description, read_embeddings
from copra.errors import InputError
from copra.structure.store import read_interfaces
from copra.tables import write_table
from copra.train.affinity import fit, predict, save_model
from copra.train.data import Sample, build_sample
from copra.train.folds import NO_LANGUAGE_MODEL, choose_validation, predictions_frame, read_fold
from copra.train.loop import make_deterministic


@dataclass(frozen=True)
class Embeddings:
    """The stored output of one language model for the chains at hand."""

    by_key: dict[str, np.ndarray]  # sequence sha256 -> [residues, width]
    width: int
    weights: str  # for example `esm2_650M sha256:...`


def train_fold(
    records: Path,
    *,
    folds: Path,
    fold: int,
    seed: int,
    name: str,
    experiment: Coformer,
    interfaces: list[Path],
    protein_embeddings: list[Path],
    rna_embeddings: list[Path],
    checkpoint: Path,
    out: Path,
) -> None:
    """Train the experiment `name` outside one fold, predict the fold and write the table `predictions`.

    The folder `checkpoint` receives the state after every epoch (a killed run goes on from it), metrics.jsonl and
    the chosen model as model.safetensors with model.json. Raises InputError where a record has no interface or a
    chain no embedding, and CopraError where a loss is not finite.
    """
    device = make_deterministic()
    parts = read_fold(records, folds, fold)
    everything = pd.concat([parts.training, parts.test])
    protein = _embeddings(experiment.protein_lm, protein_embeddings, everything["protein_sha256"])
    rna = _embeddings(experiment.rna_lm, rna_embeddings, everything["rna_sha256"])
    cut = read_interfaces(interfaces, sorted(everything["record_id"]))
    generator = np.random.default_rng([seed, fold])
    is_validation = choose_validation(list(parts.training["cluster"]), experiment.inner_folds, generator)
    labels = parts.training["dg_kcal_mol"].to_numpy(dtype=np.float64)
    if experiment.shuffle_labels:
        labels = generator.permutation(labels)

    def samples(ids: pd.Series, values: np.ndarray) -> list[Sample]:
        absent = [i for i in ids if i not in cut]
        if absent:
            raise InputError(f"{records}: {len(absent)} records have no interface: {absent[:10]}")
        keys = (protein.by_key if protein else None, rna.by_key if rna else None)
        nodes = experiment.interface_nodes
        return [build_sample(cut[i], nodes, float(value), *keys) for i, value in zip(ids, values, strict=True)]

    training = samples(parts.training["record_id"][~is_validation], labels[~is_validation])
    validation = samples(parts.training["record_id"][is_validation], labels[is_validation])
    test = samples(parts.test["record_id"], np.full(len(parts.test), np.nan))  # the model never sees these labels
    widths = (protein.width if protein else 0, rna.width if rna else 0)
    fitted = fit(experiment, widths, training, validation, seed=seed, fold=fold, folder=checkpoint, device=device)
    predicted = predict(fitted.model, test, experiment.batch_size, fitted.scale, device)
    weights = "; ".join(e.weights for e in (protein, rna) if e) or NO_LANGUAGE_MODEL
    save_model(fitted, experiment, weights, checkpoint)
    frame = predictions_frame(parts.test, predicted, name=name, seed=seed, fold=fold, weights=weights)
    write_table(frame, out, "predictions")


def _embeddings(language_model: str | None, paths: list[Path], keys: pd.Series) -> Embeddings | None:
    if language_model is None:
        return None
    description = read_description(paths)
    if description["language_model"] != language_model:
        raise InputError(f"{paths[0]}: embeddings of '{description['language_model']}', expected '{language_model}'")
    wanted = sorted({key for joined in keys for key in joined.split(",")})
    weights = f"{language_model} {description['weights']}"
    return Embeddings(read_embeddings(paths, wanted), int(description["width"]), weights)
