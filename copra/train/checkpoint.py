"""Checkpoints: the whole state of a training run in one file, there whole or not at all.

One safetensors file holds the tensors (model, best model, optimiser, random state) and, in its header, the rest
as JSON. Being one file, it is replaced in one step: a run killed at any moment finds its last checkpoint complete.
A sum over all of it tells damage of the disk. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from copra.files import replacing

log = logging.getLogger(__name__)

FORMAT = 2


@dataclass
class Checkpoint:
    """A state of a run; `values` is what JSON can hold (position, history, settings of the optimiser)."""

    fingerprint: str
    tensors: dict[str, Tensor]
    values: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write the checkpoint beside `path` and rename it into place."""
    # JSON keeps every bit of a float: Python writes the shortest text that reads back the same
    values = json.dumps(checkpoint.values, sort_keys=True)
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in checkpoint.tensors.items()}
    header = {
        "format": str(FORMAT),
        "fingerprint": checkpoint.fingerprint,
        "values": values,
        "sha256": _sum(tensors, values),
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def load_checkpoint(path: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint at `path`; None where there is none, it is unreadable, or it belongs to another run.

    Another run is one with other settings, data, seed, fold or code; its checkpoint will be replaced.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        log.warning("%s: not a readable checkpoint, starting anew: %s", path, error)
        return None
    if header.get("format") != str(FORMAT) or header.get("fingerprint") != fingerprint:
        log.warning("%s: a checkpoint of other settings, data, seed, fold or code; starting anew", path)
        return None
    if header.get("sha256") != _sum(tensors, header.get("values", "")):
        log.warning("%s: the checkpoint is damaged, starting anew: its sum is not the one it was written with", path)
        return None
    return Checkpoint(fingerprint, tensors, json.loads(header["values"]))


def _sum(tensors: dict[str, Tensor], values: str) -> str:
    digest = hashlib.sha256(values.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimiser's state as named tensors and its parameter groups as JSON values."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entries in state["state"].items()
        for name, value in entries.items()
    }
    return tensors, state["param_groups"]


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Put back what `pack_optimizer` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def prefixed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Add `prefix/` to each name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix/`, without it."""
    return {name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")}
