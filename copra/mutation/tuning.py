"""Training a model of dG on to ddG: the task on which fine-tuning runs the one training loop.

`ddg_head: paper` is ddG = MLP(C_mut) - MLP(C_wild), so the way back is exactly the negative. `official` reads the head
off the difference of the two embeddings, ddG = MLP(C_mut - C_wild), and learns both directions: the way back, with the
two exchanged, is to be the negative, which nothing forces it to be. The official code takes wild type minus mutant;
here it is mutant minus wild type, so that a head that was trained on dG starts with the right sign. The official
code's small share of the pair embedding in the difference is left out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from copra.config_model import Coformer
from copra.config_mutation import FineTuned
from copra.errors import Diverged
from copra.files import sha256_of_text
from copra.model.coformer import AffinityModel
from copra.mutation.samples import MutationSamples
from copra.provenance.fingerprint import fingerprint, model_fingerprint
from copra.train.data import Batch, batches_ahead, collate, evaluation_batches, training_batches
from copra.train.learner import DTYPES
from copra.train.loop import WITHOUT_EFFECT, Task, arithmetic, train
from copra.train.ranks import ranks, share
from copra.train.state import State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Effects:
    """Mutations, by their number among the samples' mutations, with their ddG."""

    indices: list[int]
    ddg_kcal_mol: np.ndarray  # float64, mutant minus wild type


@dataclass(frozen=True)
class Start:
    """What one run of training on to ddG starts from."""

    model: AffinityModel  # with the weights of the base
    sha256: str  # of these weights
    settings: Coformer  # of the base
    label_sd_kcal_mol: float  # the model's unit


@dataclass
class Pairs:
    """B mutations as tensors; mutations of one complex share its wild type."""

    wild: Batch  # the distinct wild types
    place: Tensor  # int64 [B]: each mutation's wild type
    mutant: Batch  # [B], with ddG in kcal/mol as label


@dataclass
class Part:
    """What one process sees of a batch: nothing where the batch has fewer mutations than there are processes."""

    record_ids: list[str]
    pairs: Pairs | None
    n_of_all: int  # mutations of the batch, those of the other processes included


class EffectModel(nn.Module):
    """Wild types and mutants -> standardised ddG there and back, by a model of dG."""

    def __init__(self, model: AffinityModel, ddg_head: str) -> None:
        super().__init__()
        self.model = model
        self.ddg_head = ddg_head

    def forward(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """ddG of wild type -> mutant [B] and of mutant -> wild type [B], in standard deviations of the dG labels."""
        wild, mutant = self._embedding(pairs.wild)[pairs.place], self._embedding(pairs.mutant)
        if self.ddg_head == "official":
            return self.model.head(mutant - wild), self.model.head(wild - mutant)
        ddg = self.model.head(mutant) - self.model.head(wild)
        return ddg, -ddg

    def _embedding(self, batch: Batch) -> Tensor:
        coformer = self.model.coformer
        read = coformer.complex_node if self.model.special_nodes else coformer.residue_mean
        return read(batch.nodes, batch.protein_lm, batch.rna_lm)


def tune(
    start: Start,
    settings: FineTuned,
    samples: MutationSamples,
    training: Effects,
    validation: Effects,
    *,
    run_seed: int,
    folder: Path,
    device: torch.device,
) -> tuple[EffectModel, State]:
    """Train on `training`, keep the epoch with the lowest RMSE of ddG on `validation`.

    The loss is the mean squared error of ddG; of the official head, the mean over both directions. `folder` receives
    the checkpoints; a killed run goes on from them.
    """
    model = EffectModel(start.model, settings.ddg_head).to(device)
    task = _task(model, samples, training, validation, settings, run_seed, start.label_sd_kcal_mol, device)
    parts = {
        "settings": settings.model_dump(exclude=WITHOUT_EFFECT),
        "base": [start.sha256, start.settings.model_dump(exclude=WITHOUT_EFFECT), start.label_sd_kcal_mol],
        "samples": samples.fingerprint(),
        "training": [training.indices, training.ddg_kcal_mol.tolist()],
        "validation": [validation.indices, validation.ddg_kcal_mol.tolist()],
        "seed": run_seed,
        "code": [fingerprint("train-mutations"), model_fingerprint(start.settings.model)],
        "arithmetic": arithmetic(device),
    }
    key = sha256_of_text(json.dumps(parts, sort_keys=True))
    state = train(model, task, settings, seed=run_seed, folder=folder, fingerprint=key)
    model.load_state_dict(state.best_weights)
    log.info(
        "%d training, %d validation mutations; best epoch %d of %d, validation RMSE %.3f kcal/mol",
        *(len(training.indices), len(validation.indices), state.best_epoch, state.epoch, state.best_loss),
    )
    return model, state


def _task(
    model: EffectModel, samples: MutationSamples, training: Effects, validation: Effects, settings: FineTuned,
    seed: int, sd_kcal_mol: float, device: torch.device,
) -> Task[Part]:  # fmt: skip
    sizes = [samples.sizes[samples.mutant[i]] for i in training.indices]
    ddg = dict(zip(training.indices, training.ddg_kcal_mol.tolist(), strict=True))

    def batches(epoch: int, first: int) -> Iterator[Part]:
        order = training_batches(sizes, settings.batch_size, seed, epoch)[first:]

        def make(number: int) -> Part:
            chosen = [training.indices[i] for i in share(order[number], ranks())]
            pairs = _pairs(samples, chosen, [ddg[i] for i in chosen], device) if chosen else None
            return Part([samples.ids[samples.mutant[i]] for i in chosen], pairs, len(order[number]))

        return batches_ahead(make, len(order), settings.loader_threads)

    def loss(part: Part) -> Tensor:
        if part.pairs is None:
            return torch.zeros((), device=device)
        there, back = (values.float() for values in model(part.pairs))
        target = part.pairs.mutant.labels / sd_kcal_mol
        errors = ((there - target) ** 2 + (back + target) ** 2) / 2  # both terms are equal with the paper's head
        return torch.sum(errors) / part.n_of_all

    def validate() -> dict[str, float]:
        there, _ = predict_effects(model, samples, validation.indices, settings, sd_kcal_mol, device)
        return {"validation_loss": float(np.sqrt(np.mean((there - validation.ddg_kcal_mol) ** 2)))}

    return Task(batches, n_batches=-(-len(sizes) // settings.batch_size), loss=loss, validate=validate)


def _pairs(samples: MutationSamples, chosen: list[int], ddg_kcal_mol: list[float], device: torch.device) -> Pairs:
    distinct, place = np.unique(samples.wild[chosen], return_inverse=True)
    wild = [samples.sample(int(i), float("nan")) for i in distinct]
    mutants = [samples.sample(int(samples.mutant[i]), ddg) for i, ddg in zip(chosen, ddg_kcal_mol, strict=True)]
    return Pairs(collate(wild, device), torch.from_numpy(place.reshape(-1)).to(device), collate(mutants, device))


@torch.no_grad()
def predict_effects(
    model: EffectModel, samples: MutationSamples, indices: list[int], settings: FineTuned, sd_kcal_mol: float,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """ddG in kcal/mol, there and back, float64, of the mutations `indices`; raises Diverged where one is not finite."""
    model.eval()
    found = np.empty((2, len(indices)))
    order = evaluation_batches([samples.sizes[samples.mutant[i]] for i in indices], settings.batch_size)

    def make(number: int) -> Pairs:
        chosen = [indices[i] for i in order[number]]
        return _pairs(samples, chosen, [float("nan")] * len(chosen), device)

    dtype = DTYPES.get(settings.precision)
    with (
        closing(batches_ahead(make, len(order), settings.loader_threads)) as prepared,
        torch.autocast(device.type, dtype=dtype, enabled=dtype is not None),
    ):
        for places, pairs in zip(order, prepared, strict=True):
            for row, values in zip(found, model(pairs), strict=True):
                row[places] = values.double().cpu().numpy() * sd_kcal_mol
    bad = [samples.ids[samples.mutant[indices[i]]] for i in np.flatnonzero(~np.isfinite(found).all(axis=0))]
    if bad:
        raise Diverged(f"the prediction is not finite for {bad[:10]}; lower the learning rate")
    return found[0], found[1]
