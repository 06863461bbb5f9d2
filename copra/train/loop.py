"""The one training loop: epochs, accumulation, plateau, early stopping, checkpoints; the same for every task.

A run is a function of its arguments: killed at any moment and started again, it gives the same weights, bit for bit
on a CPU. Every random draw of a batch follows from run seed, epoch, number of the batch and rank, and a checkpoint
stands after an epoch or, every so many minutes, after a step of the optimiser within one.
With several processes (copra/train/ranks.py) each sees its part of every batch; all take every decision alike.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from copra.config_model import Training
from copra.errors import CopraError, Diverged
from copra.model.pair_library import library
from copra.train.learner import Learner, make_learner
from copra.train.ranks import from_first, local_rank, ranks, tell_all, tell_all_objects
from copra.train.state import Running, State, resume, save
from copra.train.watch import Watch, watching

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # SLURM's at the time limit, and the one of `sbatch --signal=USR1@120`
WITHOUT_EFFECT = {"loader_threads", "checkpoint_minutes"}  # keys of Training that leave the weights alone
SMALLEST_SCALE = 1.0  # fp16: a gradient that is too large even unscaled is an error


class Identified(Protocol):
    """A batch that can name its records."""

    record_ids: list[str]


B = TypeVar("B", bound=Identified)


@dataclass(frozen=True)
class Task(Generic[B]):
    """What to train on.

    `batches(epoch, first)` gives this process's parts of the epoch's batches from number `first` (0-based) on, epochs
    counted from 1; all `n_batches` of an epoch on every process, and what it draws follows from its arguments alone.
    `loss` is this process's share: the sum over processes is the loss of the global batch. `validate` is called on
    every process, that of the first counts; it must hold `validation_loss`, and the rest goes into metrics.jsonl.
    """

    batches: Callable[[int, int], Iterator[B]]
    n_batches: int
    loss: Callable[[B], Tensor]
    validate: Callable[[], dict[str, float]]


@dataclass
class _Group:
    """The batches that were accumulated since the last step of the optimiser."""

    size: int  # batches to this step
    record_ids: list[str] = field(default_factory=list)  # of this process
    losses: list[float] = field(default_factory=list)  # of the global batches
    samples: int = 0


@dataclass
class _Run:
    """One call of `train`."""

    learner: Learner
    task: Task[Any]
    training: Training
    seed: int
    state: State
    watch: Watch
    signals: list[int]
    save: Callable[[], None]
    saved_at_s: float


def train(model: nn.Module, task: Task[Any], training: Training, *, seed: int, folder: Path, fingerprint: str) -> State:
    """Train `model` in place and return the state; the weights of the best epoch are `best_weights`.

    `folder` receives checkpoint.safetensors and metrics.jsonl, one line per epoch. A checkpoint there with the same
    fingerprint is gone on from. Raises Diverged where a loss or a gradient is not finite (naming the records of the
    batch), CopraError where the run was told to stop by a signal (after a checkpoint) or another process has gone.
    """
    learner = make_learner(model, training)
    state = resume(learner, folder, fingerprint)
    with _noting_signals() as signals, watching(training.epochs, task.n_batches, state, folder) as watch:
        run = _Run(
            *(learner, task, training, seed, state, watch, signals),
            save=lambda: save(learner, state, folder, fingerprint),
            saved_at_s=time.monotonic(),
        )
        while state.epoch < training.epochs and state.epoch - state.best_epoch < training.patience_epochs:
            _train_epoch(run)
            _end_epoch(run, _validation(run))
    return state


def _train_epoch(run: _Run) -> None:
    """All batches of the next epoch from where `run.state` stands."""
    running, n_batches, per_step = run.state.running, run.task.n_batches, run.training.accumulate_batches
    epoch = run.state.epoch + 1
    run.learner.model.train()
    first = running.batches
    started_at_s = time.monotonic()
    with _parts(run.task, epoch, first) as parts:
        for number in range(first, n_batches):
            if number % per_step == 0:
                group = _Group(size=min(per_step, n_batches - number))  # the last of an epoch may be smaller
            _seed(run.seed, epoch, number)
            batch = next(parts, None)
            if batch is None:
                raise RuntimeError(f"epoch {epoch} has {number} batches, the task announced {n_batches}")
            stop = _batch(run, group, batch, number)
            if len(group.losses) == group.size:
                _step(run, group, number)
                running.seconds, started_at_s = running.seconds + time.monotonic() - started_at_s, time.monotonic()
            run.watch.batch(epoch, number + 1, group.losses[-1])
            if stop:
                _stop(run, stop)


def _batch(run: _Run, group: _Group, batch: Any, number: int) -> int:
    """Add the gradient of one batch to its group; returns the signal that some process received, or 0."""
    with run.learner.autocast():
        share = run.task.loss(batch)
    signalled = run.signals[0] if run.signals else 0
    own = [float(share.detach()), len(batch.record_ids), signalled]
    told = tell_all(torch.tensor(own, dtype=torch.float64))
    loss = sum(told[:, 0].tolist())
    if not math.isfinite(loss):
        bad = [] if math.isfinite(own[0]) else batch.record_ids
        raise _not_finite(run.state.epoch + 1, number, f"the loss is {loss}", bad or [])
    run.learner.backward(share, group.size)
    group.losses.append(loss)
    group.samples += int(told[:, 1].sum())
    group.record_ids += batch.record_ids
    return int(told[:, 2].max())


def _step(run: _Run, group: _Group, number: int) -> None:
    norm = run.learner.step()
    running, scaler = run.state.running, run.learner.scaler
    if math.isfinite(norm):
        running.norm_sum += norm
        running.steps += 1
    elif scaler.is_enabled() and scaler.get_scale() >= SMALLEST_SCALE:
        running.skipped_steps += 1
    else:
        raise _not_finite(run.state.epoch + 1, number, f"the norm of the gradient is {norm}", group.record_ids)
    running.batches = number + 1
    running.loss_sum += sum(group.losses)
    running.samples += group.samples
    if time.monotonic() - run.saved_at_s > 60 * run.training.checkpoint_minutes:
        run.save()
        run.saved_at_s = time.monotonic()


def _stop(run: _Run, number: int) -> None:
    """Save where the run stands and end it on every process."""
    run.save()
    tell_all(torch.zeros(1))  # nobody leaves before the checkpoint is written: the launcher would end the writer
    name, running = signal.Signals(number).name, run.state.running
    raise CopraError(
        f"stopped by {name} in epoch {run.state.epoch + 1}; the checkpoint holds {running.batches} of its "
        f"{run.task.n_batches} batches: the same command goes on from there"
    )


def _not_finite(epoch: int, number: int, what: str, record_ids: list[str]) -> Diverged:
    """The same error on every process: the records of all that have something to name."""
    named = [record_id for ids in tell_all_objects(record_ids) for record_id in ids]
    return Diverged(f"epoch {epoch}, batch {number + 1}: {what} for the records {', '.join(named)}")


def _validation(run: _Run) -> dict[str, float]:
    epoch = run.state.epoch + 1
    _seed(run.seed, epoch, run.task.n_batches)
    run.learner.model.eval()
    with torch.no_grad(), run.learner.autocast():
        values = from_first(run.task.validate())
    if not math.isfinite(values["validation_loss"]):
        raise Diverged(f"epoch {epoch}: the validation loss is {values['validation_loss']}; lower the learning rate")
    return values


def _end_epoch(run: _Run, validation: dict[str, float]) -> None:
    state, running, learner = run.state, run.state.running, run.learner
    line = validation | {
        "epoch": state.epoch + 1,
        "training_loss": running.loss_sum / run.task.n_batches,
        "learning_rate": learner.optimizer.param_groups[0]["lr"],
        "gradient_norm": running.norm_sum / max(1, running.steps),
        "seconds": running.seconds,
        "samples_per_s": running.samples / max(1e-9, running.seconds),
    }
    if learner.scaler.is_enabled():
        line["skipped_steps"] = running.skipped_steps
    state.epoch += 1
    state.history.append(line)
    state.running = Running()
    if validation["validation_loss"] < state.best_loss:
        state.best_epoch, state.best_loss = state.epoch, validation["validation_loss"]
        weights = learner.model.state_dict()
        state.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
    if learner.scheduler is not None:
        learner.scheduler.step(validation["validation_loss"])
    run.save()
    run.saved_at_s = time.monotonic()
    run.watch.epoch(state)


def _seed(seed: int, epoch: int, number: int) -> None:
    """Dropout draws from torch's own generators; a batch's draws follow from these numbers and the rank alone."""
    sequence = np.random.SeedSequence([seed, epoch, number, ranks().rank])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))


@contextmanager
def _parts(task: Task[Any], epoch: int, first: int) -> Iterator[Iterator[Any]]:
    """The batches from `first` on; threads that prepare them are ended with the epoch, also after an error."""
    parts = task.batches(epoch, first) if first < task.n_batches else iter(())
    if hasattr(parts, "close"):
        with closing(cast(Any, parts)):
            yield parts
    else:
        yield parts


@contextmanager
def _noting_signals() -> Iterator[list[int]]:
    """Yield a list that holds the numbers of the signals that came; the loop looks at it between batches."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_deterministic() -> torch.device:
    """Ask torch for deterministic algorithms and as many threads as the job has; return the device to train on.

    Threads: OMP_NUM_THREADS, which Snakemake sets to a rule's threads (1 unless the rule says more); without it
    torch's own choice stays. Results are the same bit for bit only for the same number of threads. Of several
    processes on one node each takes its own GPU.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.use_deterministic_algorithms(True)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > 0:
        torch.set_num_threads(int(threads))
    if not torch.cuda.is_available():
        if given := os.environ.get("CUDA_VISIBLE_DEVICES", "").strip():
            told = "the job was given GPU %s, but PyTorch %s sees none: computing on the CPU; look at nvidia-smi there"
            log.warning(told, given, torch.__version__)
        return torch.device("cpu")
    device = torch.device("cuda", local_rank() % torch.cuda.device_count())  # srun may show each process its own only
    torch.cuda.set_device(device)
    return device


def arithmetic(device: torch.device) -> dict[str, Any]:
    """What makes the same sums round alike: part of every checkpoint's fingerprint."""
    on_cpu = device.type == "cpu"
    return {
        "torch": torch.__version__,
        "device": device.type,
        "threads": torch.get_num_threads() if on_cpu else None,
        "compiled_pair_kernels": library() is not None if on_cpu else None,
    }
