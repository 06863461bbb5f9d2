"""From samples to padded batches, prepared ahead by threads.

Batches hold complexes of similar size, and their order follows from seed and epoch alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from copra.model.pair_features import PADDING_TYPE, Nodes
from copra.train.complexes import Complexes, open_complexes
from copra.train.samples import Sample, build_sample, fingerprint_samples

__all__ = [
    "Batch", "Complexes", "Sample", "batches_ahead", "build_sample", "collate", "evaluation_batches",
    "fingerprint_samples", "open_complexes", "training_batches",
]  # fmt: skip

BATCHES_PER_BUCKET = 4  # complexes are sorted by size within as many shuffled batches
T = TypeVar("T")


@dataclass
class Batch:
    """Samples padded to the longest, as tensors on one device."""

    record_ids: list[str]
    labels: Tensor  # float32 [B]
    nodes: Nodes
    protein_lm: Tensor | None  # float32 [B, L, width]
    rna_lm: Tensor | None


def collate(samples: list[Sample], device: torch.device) -> Batch:
    """Pad samples to the longest of them."""
    longest = max(len(sample) for sample in samples)
    labels = torch.tensor([sample.label for sample in samples], dtype=torch.float32, device=device)

    def stack(name: str, padding: float) -> Tensor:
        arrays = [getattr(sample, name) for sample in samples]
        shape = (len(samples), longest, *arrays[0].shape[1:])
        out = np.full(shape, padding, dtype=arrays[0].dtype)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return torch.from_numpy(out).to(device)

    def stack_embeddings(name: str) -> Tensor | None:
        # float16 as stored goes to the device, half as many bytes, and becomes float32 there
        return None if getattr(samples[0], name) is None else stack(name, 0.0).float()

    nodes = Nodes(
        residue_type=stack("residue_type", PADDING_TYPE),
        molecule=stack("molecule", -1),
        chain=stack("chain", -1),
        polymer_index=stack("polymer_index", -1),
        xyz_angstrom=stack("xyz_angstrom", 0.0),
        atom_mask=stack("atom_mask", False),
    )
    names = [sample.record_id for sample in samples]
    return Batch(names, labels, nodes, stack_embeddings("protein_lm"), stack_embeddings("rna_lm"))


def training_batches(sizes: list[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Sample indices in batches for one epoch: shuffled, sorted by size within buckets of a few batches.

    Every index comes once; the same arguments give the same batches, whatever came before.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(sizes))
    span = batch_size * BATCHES_PER_BUCKET
    batches: list[list[int]] = []
    for start in range(0, len(order), span):
        bucket = sorted((int(i) for i in order[start : start + span]), key=lambda i: (sizes[i], i))
        batches += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def evaluation_batches(sizes: list[int], batch_size: int) -> list[list[int]]:
    """Sample indices in batches, sorted by size."""
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i], i))
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def batches_ahead(make: Callable[[int], T], n: int, threads: int) -> Generator[T, None, None]:
    """make(0), make(1), ... make(n - 1), in this order; `threads` work ahead, with 0 each is made when it is asked for.

    No more than threads + 1 wait at a time. What `make` raises is raised here, in its place; closing the iterator
    ends the work.
    """
    if threads == 0:
        yield from map(make, range(n))
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="batches")
    waiting: list[Future[T]] = [pool.submit(make, i) for i in range(min(n, threads + 1))]
    try:
        for i in range(n):
            made = waiting.pop(0).result()
            following = i + threads + 1
            if following < n:
                waiting.append(pool.submit(make, following))
            yield made
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
