"""Small training runs for the tests of the loop, also in processes of their own that can be killed.

python tests/training_runs.py FOLDER [name=value of Settings ...]
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import copra.train.ranks
from copra.config_model import Training
from copra.errors import CopraError
from copra.train.loop import Task, make_deterministic, train
from copra.train.ranks import gather_rows, ranks, share, started, sum_in_place, tell_all
from copra.train.state import State

TRAINING = Training(
    learning_rate=0.05,
    weight_decay=0.01,
    batch_size=4,
    accumulate_batches=1,
    epochs=8,
    patience_epochs=8,
    gradient_clip=1.0,
    plateau_factor=None,
    plateau_patience_epochs=0,
    min_learning_rate=0.0,
    precision="fp32",
    checkpoint_minutes=60.0,
    loader_threads=0,
)
CLOCK = {"seconds", "samples_per_s"}  # what two equal runs differ in


@dataclass(frozen=True)
class Settings:
    """Of a run in its own process."""

    epochs: int = 6
    accumulate_batches: int = 2
    checkpoint_minutes: float = 0.0002
    milliseconds: float = 3.0  # that a batch takes
    dropout: float = 0.3
    launcher: str = "torchrun"  # or srun: whose environment the processes find
    timeout_minutes: float = 1.0  # that one process waits for another
    bad: str = ""  # a record whose loss is no number
    signal: str = ""  # "rank epoch batch number": there this process sends itself that signal, once


@dataclass
class Points:
    record_ids: list[str]
    x: Tensor
    y: Tensor
    n: int  # of the global batch
    start: int  # of this process's rows in it


class Towers(nn.Module):
    """Two encoders whose outputs are contrasted, and a value."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 8), nn.Linear(3, 8)
        self.value = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1))
        self.unused = nn.Linear(2, 2)


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def towers(dropout: float) -> Towers:
    torch.manual_seed(0)
    return Towers(dropout)


def points() -> tuple[Tensor, Tensor]:
    """24 rows of 3 numbers and their places on a plane; the last 8 are for validation."""
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
    return x, x @ torch.tensor([1.0, -2.0, 0.5])


def batches_of(batch_size: int, before: Callable[[int, int], None], epoch: int, first: int) -> Iterator[Points]:
    """This process's parts of 16 rows; `before` is called ahead of each batch with epoch and batch number."""
    x, y = points()
    place = ranks()
    order = torch.randperm(16, generator=torch.Generator().manual_seed(epoch))
    for number, rows in enumerate(order.split(batch_size)):
        if number >= first:
            before(epoch, number)
            mine = share(rows.tolist(), place)
            start = len(rows) * place.rank // place.size
            yield Points([f"r{i}" for i in mine], x[mine], y[mine], len(rows), start)


def regression(model: nn.Module, before: Callable[[int, int], None] = lambda epoch, batch: None) -> Task[Points]:
    """Fit a plane, in four batches an epoch."""
    x, y = points()

    def loss(batch: Points) -> Tensor:
        return (model(batch.x).squeeze(-1) - batch.y).square().sum() / batch.n

    def validate() -> dict[str, float]:
        error = model(x[16:]).squeeze(-1) - y[16:]
        return {"validation_loss": float(error.square().mean()), "validation_error": float(error.abs().mean())}

    return Task(lambda epoch, first: batches_of(4, before, epoch, first), 4, loss, validate)


def contrast(model: Towers, before: Callable[[int, int], None] = lambda epoch, batch: None) -> Task[Points]:
    """Fit a plane and tell each row from the others of its batch; batches of 5, 5, 5 and 1."""
    x, y = points()

    def loss(batch: Points) -> Tensor:
        if not batch.record_ids:
            return 0 * gather_rows(torch.zeros(0, 16)).sum()  # the others wait for this call and its backward pass
        left, right = model.left(batch.x), model.right(batch.x)
        both = gather_rows(torch.cat([left, right], dim=1))
        target = batch.start + torch.arange(len(batch.x))
        rows = nn.functional.cross_entropy(left @ both[:, 8:].T, target, reduction="sum")
        columns = nn.functional.cross_entropy(right @ both[:, :8].T, target, reduction="sum")
        squares = (model.value(left).squeeze(-1) - batch.y).square().sum()
        return (rows + columns + squares) / batch.n

    def validate() -> dict[str, float]:
        error = model.value(model.left(x[16:])).squeeze(-1) - y[16:]
        return {"validation_loss": float(error.square().mean())}

    return Task(lambda epoch, first: batches_of(5, before, epoch, first), 4, loss, validate)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def run(folder: Path, training: Training = TRAINING, *, seed: int = 3, **changed: Any) -> tuple[nn.Module, State]:
    """One run of `regression` on the small model."""
    model = small_model()
    task = replace(regression(model), **changed)
    return model, train(model, task, training, seed=seed, folder=folder, fingerprint="same")


def read_metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_clock(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name not in CLOCK} for line in history]


# --- in processes of their own ------------------------------------------------------------------------

# one server imports torch once and forks a fresh process for each run, before torch has computed anything
server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(["training_runs", "torch._dynamo"])


@dataclass
class Job:
    """A run in one or more processes; messages go to {folder}.{rank}.log."""

    folder: Path
    processes: list[Any]

    def wait(self) -> list[int]:
        """Exit codes, in rank order; minus the signal of a process that was killed."""
        for process in self.processes:
            process.join(timeout=60)
        codes = [process.exitcode for process in self.processes]
        self.kill()
        assert None not in codes, f"still running after a minute: {codes}\n{self.messages()}"
        return codes

    def kill(self) -> None:
        for process in self.processes:
            if process.is_alive():
                process.kill()
                process.join()

    def messages(self) -> str:
        logs = sorted(self.folder.parent.glob(f"{self.folder.name}.*.log"))
        return "\n".join(log.read_text() for log in logs)


def start(folder: Path, n_processes: int = 1, **settings: Any) -> Job:
    """Start a run of `main` in as many processes, which meet as those of torchrun do."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    chosen = Settings(**settings)
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # the server looks for its modules there
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes = []
    for rank in range(n_processes):
        place = {"RANK": rank, "WORLD_SIZE": n_processes, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1"}
        if chosen.launcher == "srun":
            place = {"SLURM_PROCID": rank, "SLURM_STEP_NUM_TASKS": n_processes, "SLURM_LOCALID": rank}
            place |= {"SLURM_JOB_ID": 12345, "SLURM_STEP_ID": 0}
        environment = {name: str(value) for name, value in (place | {"MASTER_PORT": port}).items()}
        arguments = (folder, chosen, rank, environment if n_processes > 1 else {})
        processes.append(server.Process(target=child, args=arguments, daemon=True))
        processes[-1].start()
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path
    return Job(folder, processes)


def finished(folder: Path, n_processes: int = 1, **settings: Any) -> bytes:
    """Run to the end; returns the file of the final weights."""
    job = start(folder, n_processes, **settings)
    codes = job.wait()
    assert codes == [0] * n_processes, job.messages()
    return (folder / "final.safetensors").read_bytes()


def child(folder: Path, settings: Settings, rank: int, environment: dict[str, str]) -> None:
    """What a process of `start` does."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    log = os.open(f"{folder}.{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    program(folder, settings)


def program(folder: Path, settings: Settings) -> None:
    """`main` with the command line's exit codes."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        main(folder, settings)
    except CopraError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(2)


def main(folder: Path, settings: Settings) -> None:
    """Train the towers in as many processes as were started; the first writes final.safetensors."""
    training = TRAINING.model_copy(
        update={
            "epochs": settings.epochs,
            "accumulate_batches": settings.accumulate_batches,
            "checkpoint_minutes": settings.checkpoint_minutes,
        }
    )
    copra.train.ranks.TIMEOUT_MINUTES = settings.timeout_minutes
    with started(make_deterministic()) as place:
        gradients(folder)

        def wait(epoch: int, number: int) -> None:
            time.sleep(settings.milliseconds / 1000)
            sent = folder / "sent"
            if settings.signal.startswith(f"{place.rank} {epoch} {number} ") and not sent.exists():
                sent.touch()
                os.kill(os.getpid(), int(settings.signal.split()[-1]))

        model = towers(settings.dropout)
        if place.rank == 1:
            nn.init.zeros_(model.left.weight)  # the first process's weights are the ones that count
        task = contrast(model, wait)

        def loss(batch: Points) -> Tensor:
            return task.loss(batch) * (float("nan") if settings.bad in batch.record_ids else 1.0)

        state = train(model, replace(task, loss=loss), training, seed=3, folder=folder, fingerprint="same")
        if place.first:
            best = {f"best.{name}": tensor for name, tensor in state.best_weights.items()}
            save_file(model.state_dict() | best, folder / "final.safetensors")


def gradients(folder: Path) -> None:
    """Write loss and gradients of the first and the last batch of an epoch to gradients.safetensors."""
    found: dict[str, Tensor] = {}
    for number in (0, 3):
        model = towers(0.0)
        task = contrast(model)
        loss = task.loss(next(task.batches(1, number)))
        loss.backward()
        for name, parameter in model.named_parameters():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            sum_in_place([gradient])
            found[f"{number} {name}"] = gradient
        found[f"{number} loss"] = tell_all(loss.detach()[None]).sum(0)
    if ranks().first:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(found, folder / "gradients.safetensors")


if __name__ == "__main__":
    types = {field.name: type(field.default) for field in fields(Settings)}
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    program(Path(sys.argv[1]), Settings(**{name: types[name](text) for name, text in given.items()}))
