"""Fit a model to dG labels: the task on which Co-Former's fine-tuning and every neural baseline run the loop."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from copra.config_experiments import Neural
from copra.errors import Diverged
from copra.files import replacing, sha256_of_text
from copra.model.coformer import AffinityModel
from copra.provenance.fingerprint import fingerprint, model_fingerprint
from copra.train.data import Batch, batches_ahead, collate, evaluation_batches, training_batches
from copra.train.learner import DTYPES
from copra.train.loop import WITHOUT_EFFECT, Task, arithmetic, train
from copra.train.models import build_model
from copra.train.pretrained import Pretrained, architecture_text
from copra.train.ranks import ranks, share
from copra.train.samples import SampleSet
from copra.train.state import State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """Complexes, by their number in a set, with their labels."""

    indices: list[int]
    dg_kcal_mol: np.ndarray  # float64, one per complex


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training labels, in kcal/mol; the model works in these units."""

    mean_kcal_mol: float
    sd_kcal_mol: float


@dataclass(frozen=True)
class Fitted:
    """A trained model with the weights of its best epoch."""

    model: nn.Module
    scale: Scale
    state: State
    pretrained: Pretrained | None


@dataclass
class Part:
    """What one process sees of a batch: nothing where the batch has fewer complexes than there are processes."""

    record_ids: list[str]
    batch: Batch | None
    n_of_all: int  # complexes of the batch, those of the other processes included


def fit(
    experiment: Neural,
    complexes: SampleSet,
    training: Labelled,
    validation: Labelled,
    *,
    pretrained: Pretrained | None,
    seed: int,
    fold: int,
    folder: Path,
    device: torch.device,
) -> Fitted:
    """Train on `training`, keep the epoch with the lowest RMSE on `validation`.

    `folder` receives the checkpoints; a killed run goes on from them.
    """
    labels = training.dg_kcal_mol
    scale = Scale(float(labels.mean()), float(labels.std()) or 1.0)
    run_seed = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    with torch.random.fork_rng():
        torch.manual_seed(run_seed)
        model = build_model(experiment, *complexes.lm_widths).to(device)
    if pretrained is not None:
        assert isinstance(model, AffinityModel)  # no other kind of experiment has a pre-trained start
        pretrained.put_into(model.coformer)
    task = _task(model, complexes, training, validation, experiment, run_seed, scale, device)
    key = _fingerprint(experiment, complexes, training, validation, pretrained, seed, fold, device)
    state = train(model, task, experiment, seed=run_seed, folder=folder, fingerprint=key)
    model.load_state_dict(state.best_weights)
    log.info(
        "%d training, %d validation complexes; best epoch %d of %d, validation RMSE %.3f kcal/mol",
        *(len(training.indices), len(validation.indices), state.best_epoch, state.epoch, state.best_loss),
    )
    return Fitted(model, scale, state, pretrained)


def _task(
    model: nn.Module,
    complexes: SampleSet,
    training: Labelled,
    validation: Labelled,
    experiment: Neural,
    seed: int,
    scale: Scale,
    device: torch.device,
) -> Task[Part]:
    """Mean squared error of the standardised dG for training, RMSE in kcal/mol for validation."""
    sizes = [complexes.sizes[i] for i in training.indices]

    def batches(epoch: int, first: int) -> Iterator[Part]:
        order = training_batches(sizes, experiment.batch_size, seed, epoch)[first:]

        def make(number: int) -> Part:
            chosen = share(order[number], ranks())
            samples = [complexes.sample(training.indices[i], training.dg_kcal_mol[i]) for i in chosen]
            batch = collate(samples, device) if samples else None
            return Part([sample.record_id for sample in samples], batch, len(order[number]))

        return batches_ahead(make, len(order), experiment.loader_threads)

    def loss(part: Part) -> Tensor:
        if part.batch is None:
            return torch.zeros((), device=device)
        batch = part.batch
        target = (batch.labels - scale.mean_kcal_mol) / scale.sd_kcal_mol
        predicted = model(batch.nodes, batch.protein_lm, batch.rna_lm).float()
        return torch.sum((predicted - target) ** 2) / part.n_of_all

    def validate() -> dict[str, float]:
        predicted = predict(model, complexes, validation.indices, experiment, scale, device)
        return {"validation_loss": float(np.sqrt(np.mean((predicted - validation.dg_kcal_mol) ** 2)))}

    return Task(batches, n_batches=-(-len(sizes) // experiment.batch_size), loss=loss, validate=validate)


@torch.no_grad()
def predict(
    model: nn.Module,
    complexes: SampleSet,
    indices: list[int],
    experiment: Neural,
    scale: Scale,
    device: torch.device,
) -> np.ndarray:
    """dG in kcal/mol, float64, of the complexes `indices` in this order; raises Diverged where one is not finite."""
    model.eval()
    predicted = np.empty(len(indices))
    order = evaluation_batches([complexes.sizes[i] for i in indices], experiment.batch_size)

    def make(number: int) -> Batch:
        return collate([complexes.sample(indices[i], float("nan")) for i in order[number]], device)

    dtype = DTYPES.get(experiment.precision)
    with (
        closing(batches_ahead(make, len(order), experiment.loader_threads)) as prepared,
        torch.autocast(device.type, dtype=dtype, enabled=dtype is not None),
    ):
        for places, batch in zip(order, prepared, strict=True):
            values = model(batch.nodes, batch.protein_lm, batch.rna_lm).double().cpu().numpy()
            predicted[places] = values * scale.sd_kcal_mol + scale.mean_kcal_mol
    bad = [complexes.ids[indices[i]] for i in np.flatnonzero(~np.isfinite(predicted))]
    if bad:
        raise Diverged(f"the prediction is not finite for {bad[:10]}; lower the learning rate")
    return predicted


def _fingerprint(
    experiment: Neural,
    complexes: SampleSet,
    training: Labelled,
    validation: Labelled,
    pretrained: Pretrained | None,
    seed: int,
    fold: int,
    device: torch.device,
) -> str:
    """What a checkpoint must share with a run to be gone on from: settings, data, seed, fold, code, machine."""
    parts = {
        "settings": experiment.model_dump(exclude=WITHOUT_EFFECT),
        "complexes": complexes.fingerprint(),
        "training": [training.indices, training.dg_kcal_mol.tolist()],
        "validation": [validation.indices, validation.dg_kcal_mol.tolist()],
        "pretrained": pretrained.sha256 if pretrained else None,
        "seed": seed,
        "fold": fold,
        "code": [fingerprint("train-fold"), model_fingerprint(experiment.model)],
        "arithmetic": arithmetic(device),
    }
    return sha256_of_text(json.dumps(parts, sort_keys=True))


def save_model(fitted: Fitted, experiment: Neural, complexes: SampleSet, folder: Path) -> None:
    """Write the chosen weights (model.safetensors) and what is needed to use them (model.json)."""
    protein_lm_width, rna_lm_width = complexes.lm_widths
    tensors = {name: tensor.cpu().contiguous() for name, tensor in fitted.model.state_dict().items()}
    with replacing(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary)
    pretrained = fitted.pretrained
    values = {
        "settings": experiment.model_dump(),
        "architecture": architecture_text(experiment, pretrained),
        "pretrained": pretrained.description() if pretrained else None,
        "protein_lm_width": protein_lm_width,
        "rna_lm_width": rna_lm_width,
        "language_models": complexes.weights_text,
        "label_mean_kcal_mol": fitted.scale.mean_kcal_mol,
        "label_sd_kcal_mol": fitted.scale.sd_kcal_mol,
        "best_epoch": fitted.state.best_epoch,
        "validation_rmse_kcal_mol": fitted.state.best_loss,
    }
    with replacing(folder / "model.json") as temporary:
        temporary.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
