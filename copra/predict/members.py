"""The models of a package, one per seed and fold, in memory."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from copra.errors import CopraError, InputError
from copra.predict.package import Member, Package
from copra.train.data import Batch, collate
from copra.train.learner import DTYPES
from copra.train.loop import make_deterministic
from copra.train.models import build_model
from copra.train.samples import Sample

# Pairs of nodes that are computed at a time: 31 complexes of 259 nodes. Memory grows with them, speed no longer
MOST_PAIRS = 2**21


class Members:
    """The ensemble; `models` stand in the order of the package's members."""

    def __init__(self, package: Package, device: torch.device | str | None) -> None:
        """Load every member; raises InputError where a file is no model of the package's experiment."""
        self.device = _a_device() if device is None else torch.device(device)
        self._members = package.members
        # On a CPU half precision is slow and less exact; a GPU computes as it did in training
        self._dtype = DTYPES.get(package.experiment.precision) if self.device.type == "cuda" else None
        self.models = [_load(package, member).to(self.device) for member in package.members]

    @torch.no_grad()
    def dg_kcal_mol(self, samples: list[Sample]) -> np.ndarray:
        """See `Engine.dg_kcal_mol`."""
        found = np.empty((len(self.models), len(samples)))
        for chosen in batches([len(sample) for sample in samples]):
            batch = collate([samples[i] for i in chosen], self.device)
            for row, (model, member) in enumerate(zip(self.models, self._members, strict=True)):
                found[row, chosen] = self._standardised(model, batch) * member.label_sd_kcal_mol
                found[row, chosen] += member.label_mean_kcal_mol
        bad = sorted({samples[i].record_id for i in np.flatnonzero(~np.isfinite(found).all(axis=0))})
        if bad:
            raise CopraError(f"{bad[0]}: a member's prediction is not a finite number")
        return found

    def _standardised(self, model: nn.Module, batch: Batch) -> np.ndarray:
        shorter = torch.autocast(self.device.type, dtype=self._dtype) if self._dtype else nullcontext()
        with shorter:
            values: np.ndarray = model(batch.nodes, batch.protein_lm, batch.rna_lm).double().cpu().numpy()
        return values


def _a_device() -> torch.device:
    """A GPU where there is one, with its algorithms made deterministic; inference on a CPU is, without asking.

    Asking loads PyTorch's compiler, which takes longer than a prediction.
    """
    return make_deterministic() if torch.cuda.is_available() else torch.device("cpu")


def batches(sizes: list[int]) -> list[list[int]]:
    """Indices of samples of so many nodes, in batches of like size: one sample, or at most MOST_PAIRS pairs."""
    made: list[list[int]] = []
    for i in sorted(range(len(sizes)), key=lambda i: (sizes[i], i)):
        if made and (len(made[-1]) + 1) * sizes[i] ** 2 <= MOST_PAIRS:
            made[-1].append(i)
        else:
            made.append([i])
    return made


def _load(package: Package, member: Member) -> nn.Module:
    """A member's model, ready to predict; its parameters take no gradient."""
    used = package.language_models
    widths = [lm.width if lm else 0 for lm in (used.protein, used.rna)]
    path = package.member_path(member)
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn and then overwritten
        model = build_model(package.experiment, widths[0], widths[1])
    try:
        model.load_state_dict(load_file(path), strict=True)
    except (SafetensorError, OSError, RuntimeError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path}: not the weights of a model '{package.experiment.model}': {told:.300}") from error
    return model.eval().requires_grad_(False)
