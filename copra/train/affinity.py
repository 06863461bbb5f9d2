"""Fit Co-Former to dG labels: the task on which fine-tuning runs the training loop."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from copra.config import Coformer
from copra.errors import CopraError
from copra.files import replacing, sha256_of_text
from copra.model.coformer import AffinityModel, CoformerShape
from copra.provenance.fingerprint import fingerprint
from copra.train.data import (
    Batch,
    Sample,
    collate,
    evaluation_batches,
    fingerprint_samples,
    training_batches,
)
from copra.train.loop import LoopSettings, State, Task, train

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training labels, in kcal/mol; the model works in these units."""

    mean_kcal_mol: float
    sd_kcal_mol: float


@dataclass(frozen=True)
class Fitted:
    """A trained model with the weights of its best epoch."""

    model: AffinityModel
    shape: CoformerShape
    scale: Scale
    state: State


def fit(
    experiment: Coformer,
    lm_widths: tuple[int, int],
    training: list[Sample],
    validation: list[Sample],
    *,
    seed: int,
    fold: int,
    folder: Path,
    device: torch.device,
) -> Fitted:
    """Train on `training`, keep the epoch with the lowest RMSE on `validation`.

    `lm_widths` are those of the protein and the RNA language model, 0 without. `folder` receives the checkpoint
    of every epoch; a killed run goes on from it.
    """
    labels = np.array([sample.label for sample in training])
    scale = Scale(float(labels.mean()), float(labels.std()) or 1.0)
    shape = model_shape(experiment, *lm_widths)
    run_seed = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    with torch.random.fork_rng():
        torch.manual_seed(run_seed)
        model = AffinityModel(shape).to(device)
    settings = LoopSettings(
        epochs=experiment.epochs,
        learning_rate=experiment.learning_rate,
        weight_decay=experiment.weight_decay,
        gradient_clip=experiment.gradient_clip,
        patience_epochs=experiment.patience_epochs,
        plateau=None,
        seed=run_seed,
    )
    task = _task(model, training, validation, experiment.batch_size, run_seed, scale, device)
    state = train(model, task, settings, folder, _fingerprint(experiment, training, validation, seed, fold, device))
    model.load_state_dict(state.best_weights)
    log.info(
        "%d training, %d validation complexes; best epoch %d of %d, validation RMSE %.3f kcal/mol",
        *(len(training), len(validation), state.best_epoch, state.epoch, state.best_loss),
    )
    return Fitted(model, shape, scale, state)


def _task(
    model: AffinityModel,
    training: list[Sample],
    validation: list[Sample],
    batch_size: int,
    seed: int,
    scale: Scale,
    device: torch.device,
) -> Task[Batch]:
    """Mean squared error of the standardised dG for training, RMSE in kcal/mol for validation."""
    sizes = [len(sample) for sample in training]
    truth = np.array([sample.label for sample in validation])

    def batches(epoch: int) -> Iterator[Batch]:
        for indices in training_batches(sizes, batch_size, seed, epoch):
            yield collate([training[i] for i in indices], device)

    def loss(batch: Batch) -> Tensor:
        target = (batch.labels - scale.mean_kcal_mol) / scale.sd_kcal_mol
        return torch.mean((model(batch.nodes, batch.protein_lm, batch.rna_lm) - target) ** 2)

    def validate() -> float:
        predicted = predict(model, validation, batch_size, scale, device)
        return float(np.sqrt(np.mean((predicted - truth) ** 2)))

    return Task(batches, n_batches=-(-len(training) // batch_size), loss=loss, validate=validate)


@torch.no_grad()
def predict(
    model: AffinityModel, samples: list[Sample], batch_size: int, scale: Scale, device: torch.device
) -> np.ndarray:
    """dG in kcal/mol, float64, one per sample in their order; raises CopraError where one is not finite."""
    model.eval()
    predicted = np.empty(len(samples))
    for indices in evaluation_batches([len(sample) for sample in samples], batch_size):
        batch = collate([samples[i] for i in indices], device)
        values = model(batch.nodes, batch.protein_lm, batch.rna_lm).double().cpu().numpy()
        predicted[indices] = values * scale.sd_kcal_mol + scale.mean_kcal_mol
    bad = [samples[i].record_id for i in np.flatnonzero(~np.isfinite(predicted))]
    if bad:
        raise CopraError(f"the prediction is not finite for {bad[:10]}; lower the learning rate")
    return predicted


def model_shape(experiment: Coformer, protein_lm_width: int, rna_lm_width: int) -> CoformerShape:
    """The model that an experiment asks for."""
    return CoformerShape(
        blocks=experiment.blocks,
        sequence_width=experiment.sequence_width,
        pair_width=experiment.pair_width,
        heads=experiment.heads,
        outer_product_width=experiment.outer_product_width,
        head_width=experiment.head_width,
        dropout=experiment.dropout,
        protein_lm_width=protein_lm_width,
        rna_lm_width=rna_lm_width,
    )


def _fingerprint(
    experiment: Coformer, training: list[Sample], validation: list[Sample], seed: int, fold: int, device: torch.device
) -> str:
    """What a checkpoint must share with a run to be gone on from: settings, data, seed, fold, code, machine."""
    parts = {
        "settings": experiment.model_dump(),
        "training": fingerprint_samples(training),
        "validation": fingerprint_samples(validation),
        "seed": seed,
        "fold": fold,
        "code": fingerprint("train-fold"),
        "torch": torch.__version__,
        "device": device.type,
        "threads": torch.get_num_threads() if device.type == "cpu" else None,  # sums in parts round differently
    }
    return sha256_of_text(json.dumps(parts, sort_keys=True))


def save_model(fitted: Fitted, experiment: Coformer, weights: str, folder: Path) -> None:
    """Write the chosen weights (model.safetensors) and what is needed to use them (model.json)."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in fitted.model.state_dict().items()}
    with replacing(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary)
    values = {
        "settings": experiment.model_dump(),
        "protein_lm_width": fitted.shape.protein_lm_width,
        "rna_lm_width": fitted.shape.rna_lm_width,
        "language_models": weights,
        "label_mean_kcal_mol": fitted.scale.mean_kcal_mol,
        "label_sd_kcal_mol": fitted.scale.sd_kcal_mol,
        "best_epoch": fitted.state.best_epoch,
        "validation_rmse_kcal_mol": fitted.state.best_loss,
    }
    with replacing(folder / "model.json") as temporary:
        temporary.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")
