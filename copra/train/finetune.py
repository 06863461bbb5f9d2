"""Train Co-Former on one fold of the labelled records and predict the fold it has not seen.

Protocol `nested`: of the records outside the fold, one part of whole clusters chooses the epoch; the rest is trained
on. The fold's own labels are copied into the predictions and used for nothing else. Protocol `paper`: all records
outside the fold are trained on, and the fold's own labels choose the epoch whose predictions are reported; that
flatters, and is there to compare with numbers that were made so.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from copra.config import Coformer
from copra.tables import write_table
from copra.train.affinity import Labelled, fit, predict, save_model
from copra.train.complexes import check_language_models
from copra.train.data import open_complexes
from copra.train.folds import Fold, choose_validation, predictions_frame, read_fold
from copra.train.loop import make_deterministic
from copra.train.pretrained import architecture_text, read_pretrained
from copra.train.ranks import started

log = logging.getLogger(__name__)


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
    pretrained: Path | None = None,
    checkpoint: Path,
    out: Path,
) -> None:
    """Train the experiment `name` outside one fold, predict the fold and write the table `predictions`.

    `pretrained` is a model that `copra pretrain` wrote, with its model.json beside it. The folder `checkpoint`
    receives the state (a killed run goes on from it), metrics.jsonl and the chosen model as model.safetensors with
    model.json. Raises InputError where a record has no interface, a chain no embedding or the pre-trained model does
    not fit, and CopraError where a loss is not finite.
    """
    device = make_deterministic()
    parts = read_fold(records, folds, fold)
    ids = [*parts.training["record_id"], *parts.test["record_id"]]  # training first
    complexes = open_complexes(
        ids,
        interfaces=interfaces,
        protein=protein_embeddings,
        rna=rna_embeddings,
        interface_nodes=experiment.interface_nodes,
    )
    check_language_models(complexes, experiment)
    start = read_pretrained(pretrained, experiment, complexes.lm_widths, complexes.weights_text, fold)
    training, validation = choose_sets(parts, experiment, np.random.default_rng([seed, fold]))
    with started(device) as place:
        fitted = fit(
            experiment, complexes, training, validation,
            pretrained=start, seed=seed, fold=fold, folder=checkpoint, device=device,
        )  # fmt: skip
    if not place.first:
        return
    tested = list(range(len(parts.training), len(ids)))
    predicted = predict(fitted.model, complexes, tested, experiment, fitted.scale, device)
    save_model(fitted, experiment, complexes, checkpoint)
    frame = predictions_frame(
        parts.test, predicted, name=name, seed=seed, fold=fold, weights=complexes.weights_text,
        protocol=experiment.protocol, architecture=architecture_text(experiment, start),
    )  # fmt: skip
    write_table(frame, out, "predictions")


def choose_sets(parts: Fold, experiment: Coformer, generator: np.random.Generator) -> tuple[Labelled, Labelled]:
    """What is trained on and what chooses the epoch, by their place among training and test records, one list.

    With `shuffle_labels` the labels of the records outside the fold are dealt anew, those of the test fold are not.
    """
    n = len(parts.training)
    outside = np.arange(n)
    is_validation = np.zeros(n, dtype=bool)
    if experiment.protocol == "nested":
        is_validation = choose_validation(list(parts.training["cluster"]), experiment.inner_folds, generator)
    labels = parts.training["dg_kcal_mol"].to_numpy(dtype=np.float64)
    if experiment.shuffle_labels:
        labels = generator.permutation(labels)
    training = Labelled(outside[~is_validation].tolist(), labels[~is_validation])
    if experiment.protocol == "nested":
        return training, Labelled(outside[is_validation].tolist(), labels[is_validation])
    log.warning("protocol 'paper': the labels of the reported fold choose the epoch")
    tested: pd.Series = parts.test["dg_kcal_mol"]
    return training, Labelled(list(range(n, n + len(parts.test))), tested.to_numpy(dtype=np.float64))
