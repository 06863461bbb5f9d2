"""Batches of pre-training pairs: interfaces, binned distances and masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from copra.config_model import Recipe
from copra.model.design import Design
from copra.model.pair_features import N_SPECIAL
from copra.structure.distance_bins import DistanceBins
from copra.train.data import Batch, Complexes, batches_ahead, collate, training_batches
from copra.train.masks import draw_masks
from copra.train.ranks import Ranks, share

NO_DISTANCE = 255  # at special nodes and padding
MASKS = 1  # tells the masks' random numbers from the order's
Mask = npt.NDArray[np.bool_] | None


@dataclass
class PairBatch:
    """This rank's part of a batch; `batch` is None where the batch has fewer complexes than there are ranks."""

    record_ids: list[str]
    batch: Batch | None
    sequences: Tensor  # int64 [B, 2], numbers of the protein's and of the RNA's sequence
    hidden: Tensor | None  # bool [B, L, L], pairs whose embedding is masked; None in batches without masks
    bins: Tensor | None  # uint8 [B, L, L]


@dataclass(frozen=True)
class PairSet:
    """Pairs that are read one at a time; `sequences` [n, 2] as in PairBatch, `distances` None where not needed."""

    complexes: Complexes
    sequences: npt.NDArray[np.int64]
    distances: DistanceBins | None

    def batch(self, indices: list[int], masks: list[Mask] | None, device: torch.device) -> PairBatch:
        """The pairs `indices` as one batch; `masks` one each, None for no masks."""
        names = [self.complexes.ids[i] for i in indices]
        sequences = torch.from_numpy(self.sequences[indices]).to(device)
        if not indices:
            return PairBatch(names, None, sequences, None, None)
        batch = collate([self.complexes.sample(i, float("nan")) for i in indices], device)
        length = batch.nodes.residue_type.shape[1]
        hidden = bins = None
        if masks is not None:
            hidden = torch.from_numpy(stacked(masks, length, False, "?")).to(device)
        if self.distances is not None:
            own = [self.bins(i) for i in indices]
            bins = torch.from_numpy(stacked(own, length, NO_DISTANCE, "u1")).to(device)
        return PairBatch(names, batch, sequences, hidden, bins)

    def bins(self, i: int) -> npt.NDArray[np.uint8]:
        """The bins between all nodes of pair i's sample, NO_DISTANCE at special nodes, uint8 [n, n]."""
        assert self.distances is not None
        partner = self.complexes.interface(i).partner_distance_angstrom
        # the nodes that build_sample keeps
        keep = np.sort(np.argsort(partner, kind="stable")[: self.complexes.interface_nodes])
        residues = self.distances.read(self.complexes.ids[i])[np.ix_(keep, keep)]
        return np.pad(residues, ((N_SPECIAL, 0), (N_SPECIAL, 0)), constant_values=NO_DISTANCE)


def stacked(parts: Sequence[npt.NDArray[Any] | None], length: int, padding: int, kind: str) -> npt.NDArray[Any]:
    """Square arrays of at most `length` rows in one [B, length, length]; None counts as nothing but padding."""
    out: npt.NDArray[Any] = np.full((len(parts), length, length), padding, dtype=kind)
    for row, part in zip(out, parts, strict=True):
        if part is not None:
            row[: len(part), : len(part)] = part
    return out


def sequence_numbers(pairs: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Number of the protein's and of the RNA's sequence among the distinct ones of the pairs, int64 [n, 2]."""
    columns = [np.unique(pairs[f"{kind}_sha256"].to_numpy(str), return_inverse=True)[1] for kind in ("protein", "rna")]
    return np.stack(columns, axis=1).astype(np.int64)


def epoch_batches(
    pairs: PairSet,
    recipe: Recipe,
    design: Design,
    *,
    seed: int,
    epoch: int,
    first: int,
    place: Ranks,
    device: torch.device,
) -> Iterator[PairBatch]:
    """This rank's batches of an epoch from number `first` on.

    Order and masks follow from seed, epoch and number of the batch. Masks are drawn for the whole batch and then
    dealt out with its complexes, so they are the same however many ranks share it. Epoch 0 is the validation's.
    """
    plan = training_batches(pairs.complexes.sizes, recipe.batch_size, seed, epoch)[first:]

    def make(number: int) -> PairBatch:
        indices = plan[number]
        own = share(list(range(len(indices))), place)
        masks: list[Mask] | None = None
        if recipe.distance == "masked_interface":
            generator = np.random.default_rng([seed, epoch, first + number, MASKS])
            drawn = draw_masks([pairs.complexes.sizes[i] for i in indices], recipe, design, generator)
            masks = [drawn[i] for i in own]
        return pairs.batch([indices[i] for i in own], masks, device)

    return batches_ahead(make, len(plan), recipe.loader_threads)
