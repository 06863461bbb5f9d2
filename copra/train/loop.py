"""The one training loop: epochs, clipping, early stopping, checkpoints; the same for every task.

A run is a function of its arguments: killed at any moment and started again, it gives the same weights, bit for
bit on a CPU. Each epoch draws from a generator seeded by run seed and epoch, and a checkpoint is the state after
a whole epoch.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from copra.errors import CopraError
from copra.files import replacing
from copra.train import checkpoint as ckpt

log = logging.getLogger(__name__)


class Identified(Protocol):
    """A batch that can name its records."""

    record_ids: list[str]


B = TypeVar("B", bound=Identified)


@dataclass(frozen=True)
class Plateau:
    """Multiply the learning rate by `factor` after `patience_epochs` without a better validation loss."""

    factor: float
    patience_epochs: int
    min_learning_rate: float


@dataclass(frozen=True)
class LoopSettings:
    """How to train; `plateau` None keeps the learning rate constant."""

    epochs: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float
    patience_epochs: int
    plateau: Plateau | None
    seed: int


@dataclass(frozen=True)
class Task(Generic[B]):
    """What to train on: batches of an epoch, the loss of one batch, the loss on the validation set."""

    batches: Callable[[int], Iterator[B]]
    n_batches: int
    loss: Callable[[B], Tensor]
    validate: Callable[[], float]


@dataclass
class State:
    """Everything that changes while training."""

    epoch: int  # epochs done
    best_epoch: int
    best_loss: float
    best_weights: dict[str, Tensor]
    history: list[dict[str, float]]


def train(model: nn.Module, task: Task[Any], settings: LoopSettings, folder: Path, fingerprint: str) -> State:
    """Train `model` in place and return the state; the weights of the best epoch are `best_weights`.

    `folder` receives checkpoint.safetensors after every epoch and metrics.jsonl, one line per epoch. A checkpoint
    there with the same fingerprint is gone on from. Raises CopraError where a loss is not finite (naming the
    records of the batch) and where the run was told to stop (SIGTERM).
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    scheduler = _scheduler(optimizer, settings.plateau)
    path = folder / "checkpoint.safetensors"
    state = _resume(model, optimizer, scheduler, path, fingerprint)
    with _terminable() as stop, _progress(settings.epochs, state.epoch) as progress:
        while state.epoch < settings.epochs and state.epoch - state.best_epoch < settings.patience_epochs:
            epoch = state.epoch + 1
            _seed_epoch(settings.seed, epoch)
            training_loss = _train_epoch(model, optimizer, task, settings, epoch, stop, path)
            model.eval()
            with torch.no_grad():
                validation_loss = task.validate()
            if not np.isfinite(validation_loss):
                raise CopraError(f"epoch {epoch}: the validation loss is {validation_loss}; lower the learning rate")
            _record(state, model, epoch, training_loss, validation_loss, optimizer.param_groups[0]["lr"])
            if scheduler is not None:
                scheduler.step(validation_loss)
            _save(model, optimizer, scheduler, state, path, fingerprint)
            progress(state)
    return state


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    task: Task[Any],
    settings: LoopSettings,
    epoch: int,
    stop: list[int],
    path: Path,
) -> float:
    model.train()
    total = torch.zeros((), dtype=torch.float64)
    for batch in task.batches(epoch):
        if stop:
            raise CopraError(
                f"stopped by signal {stop[0]} in epoch {epoch}; "
                f"{path} holds the state after epoch {epoch - 1}: the same command goes on from there"
            )
        loss = task.loss(batch)
        if not torch.isfinite(loss):
            raise CopraError(f"epoch {epoch}: the loss is {loss.item()} for the batch {', '.join(batch.record_ids)}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        optimizer.step()
        total += loss.detach().cpu().double()
    return float(total / task.n_batches)


def _record(
    state: State, model: nn.Module, epoch: int, training_loss: float, validation_loss: float, learning_rate: float
) -> None:
    state.epoch = epoch
    line = {"epoch": epoch, "training_loss": training_loss, "validation_loss": validation_loss}
    state.history.append({**line, "learning_rate": learning_rate})
    if validation_loss < state.best_loss:
        state.best_epoch, state.best_loss = epoch, validation_loss
        state.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _seed_epoch(seed: int, epoch: int) -> None:
    """Dropout draws from torch's own generators, so an epoch's draws follow from seed and epoch alone."""
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1)))


def _scheduler(
    optimizer: torch.optim.Optimizer, plateau: Plateau | None
) -> torch.optim.lr_scheduler.ReduceLROnPlateau | None:
    if plateau is None:
        return None
    return torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=plateau.factor, patience=plateau.patience_epochs, min_lr=plateau.min_learning_rate
    )


def _save(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau | None,
    state: State,
    path: Path,
    fingerprint: str,
) -> None:
    optimizer_tensors, groups = ckpt.pack_optimizer(optimizer)
    tensors = ckpt.prefixed(model.state_dict(), "model") | ckpt.prefixed(state.best_weights, "best")
    tensors |= ckpt.prefixed(optimizer_tensors, "optimizer")
    tensors["random/cpu"] = torch.get_rng_state()
    values: dict[str, Any] = {
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "history": state.history,
        "optimizer_groups": groups,
        "scheduler": None if scheduler is None else scheduler.state_dict(),
    }
    ckpt.save_checkpoint(ckpt.Checkpoint(fingerprint, tensors, values), path)
    _write_metrics(state, path)


def _write_metrics(state: State, path: Path) -> None:
    with replacing(path.with_name("metrics.jsonl")) as temporary:
        temporary.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in state.history))


def _resume(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau | None,
    path: Path,
    fingerprint: str,
) -> State:
    found = ckpt.load_checkpoint(path, fingerprint)
    if found is None:
        return State(epoch=0, best_epoch=0, best_loss=float("inf"), best_weights={}, history=[])
    model.load_state_dict(ckpt.without_prefix(found.tensors, "model"))
    values = found.values
    ckpt.unpack_optimizer(optimizer, ckpt.without_prefix(found.tensors, "optimizer"), values["optimizer_groups"])
    if scheduler is not None:
        scheduler.load_state_dict(values["scheduler"])
    torch.set_rng_state(found.tensors["random/cpu"])
    log.info("%s: going on after epoch %d", path, values["epoch"])
    best = ckpt.without_prefix(found.tensors, "best")
    state = State(values["epoch"], values["best_epoch"], values["best_loss"], best, values["history"])
    _write_metrics(state, path)  # the run may have been killed between the two files
    return state


@contextmanager
def _terminable() -> Iterator[list[int]]:
    """Yield a list that holds the signal's number once SIGTERM came; the loop looks at it between batches."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress(epochs: int, done: int) -> Iterator[Callable[[State], None]]:
    """A bar on a terminal; elsewhere a log line at every tenth of the epochs."""
    terminal = sys.stderr.isatty()
    step = max(1, epochs // 10)
    with tqdm(total=epochs, initial=done, unit="epoch", disable=not terminal) as bar:

        def show(state: State) -> None:
            losses = state.history[-1]
            bar.set_postfix(train=f"{losses['training_loss']:.3f}", validation=f"{losses['validation_loss']:.3f}")
            bar.update(1)
            if not terminal and (state.epoch % step == 0 or state.epoch == 1):
                log.info(
                    "epoch %d of %d: training loss %.4f, validation loss %.4f, best %.4f in epoch %d",
                    *(state.epoch, epochs, losses["training_loss"], losses["validation_loss"]),
                    *(state.best_loss, state.best_epoch),
                )

        yield show


def make_deterministic() -> torch.device:
    """Ask torch for deterministic algorithms and as many threads as the job has; return the device to train on.

    Threads: OMP_NUM_THREADS, which Snakemake sets to a rule's threads (1 unless the rule says more); without it
    torch's own choice stays. Results are the same bit for bit only for the same number of threads.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.use_deterministic_algorithms(True)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > 0:
        torch.set_num_threads(int(threads))
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
