from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import training_runs
from torch import nn
from training_runs import TRAINING, finished, regression, run, small_model, start, weights, without_clock

from copra.errors import CopraError
from copra.train.loop import train
from copra.train.state import State

EVERY_STEP, NEVER = 1e-9, 60.0  # minutes between checkpoints within an epoch


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Callable[[dict[str, Any]], tuple[Path, nn.Module, State]]:
    """Folder, model and state of an uninterrupted run with changed settings of training; each is run once."""

    @cache
    def once(changed: tuple[tuple[str, Any], ...]) -> tuple[Path, nn.Module, State]:
        folder = tmp_path_factory.mktemp("whole")
        return folder, *run(folder, TRAINING.model_copy(update=dict(changed)))

    return lambda changed: once(tuple(sorted(changed.items())))


@pytest.mark.parametrize(
    ("minutes", "changed"),
    [
        (EVERY_STEP, {}),
        (EVERY_STEP, {"accumulate_batches": 3}),
        (NEVER, {"plateau_factor": 0.5, "learning_rate": 0.5}),
    ],
)
@pytest.mark.parametrize("where", [(1, 2), (4, 0), (5, 1), (8, 3)])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path, where, minutes, changed, whole) -> None:
    def interrupt(epoch: int, batch: int) -> None:
        if (epoch, batch) == where:
            raise Stop

    folder, model, state = whole(changed)
    training = TRAINING.model_copy(update=changed | {"checkpoint_minutes": minutes})
    broken = small_model()
    with pytest.raises(Stop):
        train(broken, regression(broken, interrupt), training, seed=3, folder=tmp_path, fingerprint="same")
    torch.manual_seed(99)  # the generators of the second process stand elsewhere
    again, found = run(tmp_path, training)
    assert torch.equal(weights(again), weights(model))
    assert without_clock(found.history) == without_clock(state.history)
    assert (found.best_epoch, found.best_loss) == (state.best_epoch, state.best_loss)
    for name, tensor in state.best_weights.items():
        assert torch.equal(found.best_weights[name], tensor)
    assert read_metrics(tmp_path) == read_metrics(folder)
    rates = {line["learning_rate"] for line in state.history}
    assert (len(rates) > 2) == ("plateau_factor" in changed)


def read_metrics(folder: Path) -> list[dict[str, float]]:
    return without_clock(training_runs.read_metrics(folder))


def test_a_run_goes_on_within_an_epoch_and_not_at_its_start(tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"checkpoint_minutes": EVERY_STEP, "accumulate_batches": 2})
    seen: list[tuple[int, int]] = []

    def note(epoch: int, batch: int) -> None:
        seen.append((epoch, batch))
        if seen[-1] == (2, 3):
            raise Stop

    for expected in ([(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3)], [(2, 2), (2, 3)]):
        seen.clear()
        model = small_model()
        with pytest.raises(Stop):
            train(model, regression(model, note), training, seed=3, folder=tmp_path, fingerprint="x")
        assert seen == expected  # batch 2 waited for its step


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize(("accumulate", "kept"), [(1, 2), (4, 0)])
def test_a_signal_ends_the_run_after_the_batch_with_a_checkpoint(tmp_path, number, accumulate, kept, whole) -> None:
    training = TRAINING.model_copy(update={"accumulate_batches": accumulate})
    _, expected, _ = whole({"accumulate_batches": accumulate})

    def tell(epoch: int, batch: int) -> None:
        if (epoch, batch) == (3, 1):
            os.kill(os.getpid(), number)

    model = small_model()
    before = signal.getsignal(number)
    message = rf"stopped by {number.name} in epoch 3; the checkpoint holds {kept} of its 4 batches: the same command"
    with pytest.raises(CopraError, match=message):
        train(model, regression(model, tell), training, seed=3, folder=tmp_path, fingerprint="same")
    assert signal.getsignal(number) is before
    again, _ = run(tmp_path, training)
    assert torch.equal(weights(again), weights(expected))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    model, state = run(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()

    def no_batch(epoch: int, first: int):
        raise AssertionError("trained again")

    again, found = run(tmp_path, batches=no_batch)
    assert torch.equal(weights(again), weights(model))
    assert found.history == state.history
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def killed(folder: Path, moments: random.Random, n: int, **settings) -> bytes:
    """Kill a run `n` times, each time at a random moment after it has got further; then let it end."""
    checkpoint = folder / "checkpoint.safetensors"
    for _ in range(n):
        job = start(folder, **settings)
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while job.processes[0].is_alive() and (checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0) == before:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.04))
        job.kill()
        assert job.wait() == [-signal.SIGKILL], "it was too fast to be killed"
    return finished(folder, **settings)


def test_killed_twice_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    settings = {"epochs": 20, "milliseconds": 5.0, "checkpoint_minutes": 0.001}
    whole = finished(tmp_path / "whole", **settings)
    assert killed(tmp_path / "cut", random.Random(1), 2, **settings) == whole
    assert read_metrics(tmp_path / "cut") == read_metrics(tmp_path / "whole")
    assert len(read_metrics(tmp_path / "cut")) == 20


@pytest.mark.slow
def test_killed_at_many_moments_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    settings = {"epochs": 300, "milliseconds": 5.0, "checkpoint_minutes": 0.0005}
    whole = finished(tmp_path / "whole", **settings)
    for seed in range(3):
        folder = tmp_path / str(seed)
        assert killed(folder, random.Random(seed), 8, **settings) == whole
        assert read_metrics(folder) == read_metrics(tmp_path / "whole")
