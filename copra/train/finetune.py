"""Train Co-Former or a neural baseline on one fold of the labelled records and predict the fold it has not seen.

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

from copra.config_experiments import Neural
from copra.errors import Diverged
from copra.files import replacing
from copra.tables import write_table
from copra.train.affinity import Labelled, fit, predict, save_model
from copra.train.complexes import check_language_models
from copra.train.data import open_complexes
from copra.train.folds import Fold, choose_validation, predictions_frame, read_fold
from copra.train.loop import make_deterministic
from copra.train.pretrained import architecture_text, read_pretrained
from copra.train.ranks import started
from copra.train.samples import SampleSet
from copra.train.sequences import open_sequences

log = logging.getLogger(__name__)


def train_fold(
    records: Path,
    *,
    folds: Path,
    fold: int,
    method: str,
    seed: int,
    name: str,
    experiment: Neural,
    interfaces: list[Path],
    protein_embeddings: list[Path],
    rna_embeddings: list[Path],
    pretrained: Path | None = None,
    checkpoint: Path,
    history: Path,
    out: Path,
) -> None:
    """Train the experiment `name` outside one fold, predict the fold and write the table `predictions`.

    `method` is the split family's. `pretrained` is a model that `copra pretrain` wrote, with its model.json beside it.
    The folder `checkpoint` receives the state (a killed run goes on from it), metrics.jsonl and the chosen model as
    model.safetensors with model.json; `history` is metrics.jsonl, one line per epoch. A model that diverges is no
    error of the run: its predictions are missing and say why. Raises InputError where a record has no interface, a
    chain no embedding or the pre-trained model does not fit.
    """
    device = make_deterministic()
    parts = read_fold(records, folds, fold, method)
    table = pd.concat([parts.training, parts.predicted()], ignore_index=True)  # training first
    samples = _samples(table, experiment, interfaces, protein_embeddings, rna_embeddings)
    check_language_models(samples, experiment)
    start = read_pretrained(pretrained, experiment, samples.lm_widths, samples.weights_text, fold)
    training, validation = choose_sets(parts, experiment, np.random.default_rng([seed, fold]))
    predicted, failure = np.full(len(table) - len(parts.training), np.nan), ""
    with started(device) as place:
        try:
            fitted = fit(
                experiment, samples, training, validation,
                pretrained=start, seed=seed, fold=fold, folder=checkpoint, device=device,
            )  # fmt: skip
            if place.first:
                tested = list(range(len(parts.training), len(table)))
                predicted = predict(fitted.model, samples, tested, experiment, fitted.scale, device)
                save_model(fitted, experiment, samples, checkpoint)
        except Diverged as error:
            log.error("%s diverged: %s", name, error)
            failure = f"diverged: {error}"
    if not place.first:
        return
    frame = predictions_frame(
        parts.predicted(), predicted, name=name, seed=seed, fold=fold, weights=samples.weights_text,
        protocol=experiment.protocol, architecture=architecture_text(experiment, start), failure=failure,
    )  # fmt: skip
    lines = checkpoint / "metrics.jsonl"
    with replacing(history) as temporary:
        temporary.write_bytes(lines.read_bytes() if lines.is_file() else b"")
    write_table(frame, out, "predictions")


def _samples(
    table: pd.DataFrame, experiment: Neural, interfaces: list[Path], protein: list[Path], rna: list[Path]
) -> SampleSet:
    """The records of `table`, in its order, as the experiment sees them: cropped interfaces or whole sequences."""
    if experiment.nodes == "sequences":
        return open_sequences(table, protein=protein, rna=rna)
    return open_complexes(
        list(table["record_id"]), interfaces=interfaces, protein=protein, rna=rna,
        interface_nodes=experiment.interface_nodes,
    )  # fmt: skip


def choose_sets(parts: Fold, experiment: Neural, generator: np.random.Generator) -> tuple[Labelled, Labelled]:
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
