"""Where a training run stands: what a checkpoint holds and how a run goes on from one.

The first process alone reads and writes; the others are told. A checkpoint always stands at a step of the optimiser:
gradients of batches that were accumulated towards the next one are computed again, to the same bits.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from copra.files import replacing
from copra.train import checkpoint as ckpt
from copra.train.learner import Learner
from copra.train.ranks import copy_from_first, from_first, ranks

log = logging.getLogger(__name__)


@dataclass
class Running:
    """The epoch that is under way, up to the last step of the optimiser."""

    batches: int = 0  # of the epoch, in steps already made
    loss_sum: float = 0.0  # over those batches
    norm_sum: float = 0.0  # gradient norms over the steps
    steps: int = 0
    skipped_steps: int = 0  # fp16 alone: gradients too large for their scale
    samples: int = 0
    seconds: float = 0.0


@dataclass
class State:
    """Everything that changes while training, beside the model and its optimiser."""

    epoch: int  # epochs done
    best_epoch: int
    best_loss: float
    best_weights: dict[str, Tensor]
    history: list[dict[str, float]]
    running: Running = field(default_factory=Running)


def save(learner: Learner, state: State, folder: Path, fingerprint: str) -> None:
    """Write checkpoint.safetensors and metrics.jsonl; nothing on any process but the first."""
    place = ranks()
    if not place.first:
        return
    optimizer_tensors, groups = ckpt.pack_optimizer(learner.optimizer)
    tensors = ckpt.prefixed(learner.model.state_dict(), "model") | ckpt.prefixed(state.best_weights, "best")
    tensors |= ckpt.prefixed(optimizer_tensors, "optimizer") | ckpt.prefixed(_generators(learner), "random")
    values: dict[str, Any] = {
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "history": state.history,
        "running": asdict(state.running),
        "optimizer_groups": groups,
        "scheduler": None if learner.scheduler is None else learner.scheduler.state_dict(),
        "scaler": learner.scaler.state_dict(),
        "ranks": place.size,
    }
    ckpt.save_checkpoint(ckpt.Checkpoint(fingerprint, tensors, values), folder / "checkpoint.safetensors")
    write_metrics(state, folder)


def resume(learner: Learner, folder: Path, fingerprint: str) -> State:
    """The state to go on from, the same on every process; model and optimiser are set to it."""
    place = ranks()
    path = folder / "checkpoint.safetensors"
    found = from_first(ckpt.load_checkpoint(path, fingerprint) if place.first else None)
    if found is None:
        copy_from_first([*learner.model.parameters(), *learner.model.buffers()])
        state = State(epoch=0, best_epoch=0, best_loss=float("inf"), best_weights={}, history=[])
    else:
        state = _put_back(learner, found)
        if place.first:
            where = f"after epoch {state.epoch}"
            if state.running.batches:
                where += f" and {state.running.batches} batches of the next"
            log.info("%s: going on %s", path, where)
            if found.values["ranks"] != place.size:
                log.warning(
                    "%s was written by %d processes, now there are %d: random draws and rounding will be others",
                    *(path, found.values["ranks"], place.size),
                )
    if place.first:
        write_metrics(state, folder)  # the run may have been killed between the two files
    return state


def _put_back(learner: Learner, found: ckpt.Checkpoint) -> State:
    values = found.values
    learner.model.load_state_dict(ckpt.without_prefix(found.tensors, "model"))
    optimizer_tensors = ckpt.without_prefix(found.tensors, "optimizer")
    ckpt.unpack_optimizer(learner.optimizer, optimizer_tensors, values["optimizer_groups"])
    if learner.scheduler is not None:
        learner.scheduler.load_state_dict(values["scheduler"])
    learner.scaler.load_state_dict(values["scaler"])
    generators = ckpt.without_prefix(found.tensors, "random")
    torch.set_rng_state(generators["cpu"])
    if learner.device.type == "cuda" and "cuda" in generators:
        torch.cuda.set_rng_state(generators["cuda"], learner.device)
    best = ckpt.without_prefix(found.tensors, "best")
    numbers = (values["epoch"], values["best_epoch"], values["best_loss"])
    return State(*numbers, best, values["history"], Running(**values["running"]))


def _generators(learner: Learner) -> dict[str, Tensor]:
    """States of torch's generators: what a caller would draw from after a run that was already finished."""
    states = {"cpu": torch.get_rng_state()}
    if learner.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(learner.device)
    return states


def write_metrics(state: State, folder: Path) -> None:
    """Write metrics.jsonl anew from the whole history, one line per epoch, so that no line is doubled or lost."""
    with replacing(folder / "metrics.jsonl") as temporary:
        temporary.write_text(
            "".join(json.dumps(line, sort_keys=True) + "\n" for line in state.history), encoding="utf-8"
        )
