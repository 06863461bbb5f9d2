"""The processes of one data-parallel run: who I am, how all start together, and what they tell each other.

How a rule starts N of them (N = 1: an empty launcher, and nothing of torch.distributed is used). The launcher
is a resource, so that a profile can put another one in its place and no rule needs to know the cluster:

    resources:
        gpu=N,
        launcher="torchrun --standalone --no-python --nproc-per-node N"   # "" for one process
    shell:
        "COPRA_LAUNCHER={resources.launcher:q} copra pretrain ... 2> {log:q}"   # see PREFIX in common.smk

On one machine, and on one node of a SLURM cluster, torchrun starts the N processes and ends all of them when one
dies. Over several nodes each process is a task of srun; in a profile:

    set-resources:
      pretrain:
        mpi: srun      # the executor then starts the rule's shell once and leaves the tasks to it
        nodes: 2
        tasks_per_node: 4
        gpu: 8
        launcher: "'srun --ntasks=8 --gpus-per-task=1 --kill-on-bad-exit=1'"

A process that dies takes the whole job with it: with gloo the others notice at once, with NCCL torchrun or srun end
them within 30 s; where a process hangs without dying, the others give up after `TIMEOUT_MINUTES`. The job's exit
status is then not zero, and the same command goes on from the last checkpoint. The signal at the end of a job's time,
SIGTERM, is passed on by both, and the processes have 30 s to finish a batch and write their checkpoint. Where that is
too short, ask for an earlier one with `sbatch --signal=USR1@300`; torchrun passes it on with
`--signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 --shutdown-timeout 280`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from copra.errors import CopraError

T = TypeVar("T")
TIMEOUT_MINUTES = 10.0  # that one process waits for another; longer than a validation or the writing of a checkpoint
FIRST_PORT, N_PORTS = 15000, 15000  # below the ports that Linux gives to outgoing connections


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is; rank 0 alone writes files and logs progress."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0


def ranks() -> Ranks:
    """This process's place, from the environment that torchrun or srun made; one process without either."""
    rank, size, _ = _place(os.environ)
    return Ranks(rank, size)


def local_rank() -> int:
    """The number of this process among those of its node: which GPU it takes."""
    return _place(os.environ)[2]


def _place(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Rank, number of processes, rank within the node. Raises CopraError where they do not fit each other."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if "WORLD_SIZE" not in environment:
        # SLURM_NTASKS is also set in a batch script, which is one process; the step's count only under srun
        if "SLURM_STEP_NUM_TASKS" not in environment:
            return 0, 1, 0
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
    texts = [environment.get(name, "") for name in names]
    if not all(text.isdigit() for text in texts) or int(texts[0]) >= int(texts[1]):
        found = ", ".join(f"{name}={text or '(not set)'}" for name, text in zip(names, texts, strict=True))
        raise CopraError(f"the environment holds {found}; expected a rank below the number of processes")
    return int(texts[0]), int(texts[1]), int(texts[2])


def start_ranks(device: torch.device) -> Ranks:
    """Meet the other processes; every process of the run calls this once before it trains.

    Tensors on a GPU travel by NCCL, those in main memory by gloo. Raises CopraError where the others do not come
    within `TIMEOUT_MINUTES`.
    """
    place = ranks()
    if place.size == 1 or dist.is_initialized():
        return place
    address, port = _meeting_point(os.environ)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with _together():
        dist.init_process_group(
            backend,
            init_method=f"tcp://{address}:{port}",
            rank=place.rank,
            world_size=place.size,
            timeout=timedelta(minutes=TIMEOUT_MINUTES),
        )
    return place


def stop_ranks() -> None:
    """Part from the other processes; nothing where there are none."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def started(device: torch.device) -> Iterator[Ranks]:
    """`start_ranks` for the length of a with statement.

    After an error there is no farewell: it would wait for processes that may wait for this one; the exit tells them.
    """
    yield start_ranks(device)
    stop_ranks()


def share(indices: list[T], place: Ranks) -> list[T]:
    """This process's part of a global batch: consecutive, so that the parts in rank order are the batch.

    Parts differ by one at most. Of a batch with fewer members than processes the last parts are empty.
    """
    n = len(indices)
    return indices[n * place.rank // place.size : n * (place.rank + 1) // place.size]


def gather_rows(x: Tensor) -> Tensor:
    """The rows of all processes, [sum of n, ...], from this one's [n, ...], in rank order; n may differ and be 0.

    Gradients come back: each row receives the sum of the gradients that all processes have for it, which is its
    gradient where the loss is the sum over processes. Every process must call this equally often, and the backward
    passes of several calls in one loss might come in different orders on different processes: rather join tensors
    and gather once. The identity for one process.
    """
    if not dist.is_initialized():
        return x
    if torch.is_grad_enabled() and x.is_floating_point() and not x.requires_grad:
        x = x.detach().requires_grad_()  # an empty part needs no model, yet its backward pass must come too
    gathered: Tensor = _GatherRows.apply(x)
    return gathered


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        counts = [int(n) for n in tell_all(torch.tensor([float(len(x))], dtype=torch.float64))[:, 0]]
        ctx.start, ctx.n = sum(counts[: dist.get_rank()]), len(x)
        padded = x.new_zeros((max(counts), *x.shape[1:]))
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in counts]
        with _together():
            dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].float().contiguous().clone()  # half precision would lose the small terms of the sum
        with _together():
            dist.all_reduce(total)
        return total[ctx.start : ctx.start + ctx.n].to(gradients[0].dtype)


def tell_all(values: Tensor) -> Tensor:
    """The same few numbers of every process, [size, n], from this one's [n] in main memory, in rank order."""
    if not dist.is_initialized():
        return values[None]
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    with _together():
        dist.all_gather(parts, values)
    return torch.stack(parts)


def tell_all_objects(value: T) -> list[T]:
    """A small object of every process, in rank order."""
    if not dist.is_initialized():
        return [value]
    parts: list[Any] = [None] * dist.get_world_size()
    with _together():
        dist.all_gather_object(parts, value)
    return parts


def from_first(value: T) -> T:
    """What the first process has, on every process; tensors inside must be in main memory."""
    if not dist.is_initialized():
        return value
    held: list[Any] = [value]
    with _together():
        dist.broadcast_object_list(held, src=0, device=torch.device("cpu"))
    received: T = held[0]
    return received


def copy_from_first(tensors: list[Tensor]) -> None:
    """Overwrite the tensors with those of the first process."""
    if dist.is_initialized():
        with _together(), torch.no_grad():
            for tensor in tensors:
                dist.broadcast(tensor, src=0)


def sum_in_place(tensors: list[Tensor]) -> None:
    """Add up the tensors of all processes, in one exchange; every process then holds the same bits."""
    if not dist.is_initialized() or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    with _together():
        dist.all_reduce(flat)
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


@contextmanager
def _together() -> Iterator[None]:
    """Say in a sentence what torch says in a page when another process has gone."""
    try:
        yield
    except RuntimeError as error:  # torch's DistError is one; gloo raises it plain
        reason = str(error).strip().splitlines()[0][:200]
        raise CopraError(
            f"rank {ranks().rank}: another process of this run has ended or does not answer ({reason}); "
            "its own message says why. The same command goes on from the last checkpoint"
        ) from error


def _meeting_point(environment: Mapping[str, str]) -> tuple[str, int]:
    """Host of rank 0 and the port it listens on."""
    if environment.get("SLURM_STEP_NUM_NODES", "1") == "1":
        address = "127.0.0.1"
    else:  # the node that called srun is rank 0's only where srun was called inside the job
        nodes = environment.get("SLURM_STEP_NODELIST", "")
        address = first_host(nodes) or environment.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1")
    job, step = (environment.get(name, "0") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    number = int(job) + 7919 * int(step) if job.isdigit() and step.isdigit() else 0
    port = environment.get("MASTER_PORT", str(FIRST_PORT + number % N_PORTS))
    return environment.get("MASTER_ADDR", address), int(port)


def first_host(nodes: str) -> str:
    """The first host of a list in SLURM's short form: `gpu[003-006,010],cpu1` begins with gpu003; "" of none."""
    found = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\]([^,\[]*))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else ""
