"""What pre-training minimises, and what it tells of the held-out pairs after every epoch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from copra.config_model import Recipe
from copra.model.pretraining import (
    PretrainingModel,
    contrast_loss,
    distance_loss,
    interface_pairs,
    residue_pairs,
)
from copra.train.pretraining_data import PairBatch
from copra.train.ranks import gather_rows, tell_all


def pretraining_loss(model: PretrainingModel, batch: PairBatch, recipe: Recipe) -> Tensor:
    """L = L_CPRI + alpha (1/K) sum of L_MIDM (11): this rank's share."""
    parts, _, _ = _passes(model, batch, recipe)
    total = sum(parts.values(), start=torch.zeros((), device=batch.sequences.device))
    return total


def _passes(
    model: PretrainingModel, batch: PairBatch, recipe: Recipe
) -> tuple[dict[str, Tensor], Tensor | None, Tensor | None]:
    """The weighted losses by task, P^s and R^s [B, 2, d], and which distances were told right, bool [M]."""
    losses: dict[str, Tensor] = {}
    molecules = right = None
    if recipe.contrast:
        molecules = _molecules(model, batch, recipe)
        sequences = batch.sequences if recipe.false_negatives == "left_out" else None
        divisor = model.design.contrast_loss_divisor
        losses["contrast"] = contrast_loss(molecules, sequences, recipe.temperature, divisor)
    if recipe.distance != "none":
        share, right = _distance(model, batch, recipe)
        losses["distance"] = recipe.alpha * share
    return losses, molecules, right


def _molecules(model: PretrainingModel, batch: PairBatch, recipe: Recipe) -> Tensor:
    if batch.batch is None:
        return torch.zeros((0, 2, model.shape.sequence_width), device=batch.sequences.device)
    one = batch.batch
    return model.molecules(one.nodes, one.protein_lm, one.rna_lm, recipe.contrast_pass)


def _distance(model: PretrainingModel, batch: PairBatch, recipe: Recipe) -> tuple[Tensor, Tensor]:
    one = batch.batch
    if one is None or batch.bins is None:
        nobody = model.distance_head.weight.new_zeros((0, model.distance_head.out_features))
        empty = torch.zeros((0,), dtype=torch.int64, device=nobody.device)
        pairs = torch.zeros((0, 0, 0), dtype=torch.bool, device=nobody.device)
        mean = model.design.distance_loss_mean
        return distance_loss(nobody, empty, pairs, empty, recipe.temperature, mean), empty.bool()
    pairs = residue_pairs(one.nodes) if recipe.distance == "all" else interface_pairs(one.nodes)
    logits = model.distance_logits(one.nodes, one.protein_lm, one.rna_lm, batch.hidden, pairs)
    labels = batch.bins[pairs].long()
    n_residues = one.nodes.is_residue.sum(1)
    mean = model.design.distance_loss_mean
    loss = distance_loss(logits, labels, pairs, n_residues, recipe.temperature, mean)
    return loss, logits.detach().argmax(-1) == labels


@torch.no_grad()
def validation(model: PretrainingModel, batches: Iterable[PairBatch], n_pairs: int, recipe: Recipe) -> dict[str, float]:
    """Losses on the held-out pairs and, for the learning curves, how often the partner and the bin were right.

    The mean over batches, weighted by their complexes. `validation_top1` is the partner among the batch's complexes,
    both directions together; `validation_bin` the share of the pairs that the loss runs over whose bin was right.
    """
    model.eval()
    total: dict[str, float] = {}
    hits = torch.zeros(4, dtype=torch.float64)  # partners told right, of how many; bins told right, of how many
    for batch in batches:
        losses, molecules, right = _passes(model, batch, recipe)
        told = tell_all(torch.tensor([float(len(batch.record_ids)), *(float(v) for v in losses.values())]).double())
        k = float(told[:, 0].sum())
        for name, value in zip(losses, told[:, 1:].sum(0).tolist(), strict=True):
            total[name] = total.get(name, 0.0) + value * k / n_pairs
        if molecules is not None:
            everyone = F.normalize(gather_rows(molecules.float()), dim=-1)  # on every rank the same
            similarity = everyone[:, 0] @ everyone[:, 1].T
            own = torch.arange(len(similarity), device=similarity.device)
            hits[0] += sum(float((similarity.argmax(axis) == own).sum()) for axis in (0, 1))
            hits[1] += 2 * len(own)
        if right is not None:
            hits[2:] += tell_all(torch.tensor([float(right.sum()), float(len(right))]).double()).sum(0)
    found = {"validation_loss": sum(total.values()), **{f"validation_{name}": v for name, v in total.items()}}
    if hits[1]:
        found["validation_top1"] = float(hits[0] / hits[1])
    if hits[3]:
        found["validation_bin"] = float(hits[2] / hits[3])
    return found
