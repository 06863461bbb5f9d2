from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from copra.errors import CopraError
from copra.train.loop import LoopSettings, Plateau, State, Task, train

SETTINGS = LoopSettings(
    epochs=8, learning_rate=0.05, weight_decay=0.01, gradient_clip=1.0, patience_epochs=8, plateau=None, seed=3
)


@dataclass
class Points:
    record_ids: list[str]
    x: torch.Tensor
    y: torch.Tensor


class Stop(Exception):
    pass


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def regression(model: nn.Module, before: Callable[[int, int], None] = lambda epoch, batch: None) -> Task[Points]:
    """Fit a plane; `before` is called ahead of each batch with epoch and batch number."""
    x = torch.randn(24, 3, generator=torch.Generator().manual_seed(1))
    y = x @ torch.tensor([1.0, -2.0, 0.5])

    def batches(epoch: int) -> Iterator[Points]:
        order = torch.randperm(16, generator=torch.Generator().manual_seed(epoch))
        for number, rows in enumerate(order.split(4)):
            before(epoch, number)
            yield Points([f"r{int(i)}" for i in rows], x[rows], y[rows])

    def loss(batch: Points) -> torch.Tensor:
        return (model(batch.x).squeeze(-1) - batch.y).square().mean()

    return Task(batches, 4, loss, lambda: float((model(x[16:]).squeeze(-1) - y[16:]).square().mean()))


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def whole_run(folder: Path, settings: LoopSettings = SETTINGS) -> tuple[nn.Module, State]:
    model = small_model()
    return model, train(model, regression(model), settings, folder, "same")


@pytest.mark.parametrize("plateau", [None, Plateau(0.5, 0, 1e-4)])
@pytest.mark.parametrize("where", [(1, 2), (4, 0), (8, 3)])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path, where: tuple[int, int], plateau) -> None:
    settings = replace(SETTINGS, plateau=plateau)
    model, state = whole_run(tmp_path / "whole", settings)

    def interrupt(epoch: int, batch: int) -> None:
        if (epoch, batch) == where:
            raise Stop

    broken = small_model()
    with pytest.raises(Stop):
        train(broken, regression(broken, interrupt), settings, tmp_path / "cut", "same")
    torch.manual_seed(99)  # the state of the second process is another one
    again = small_model()
    resumed = train(again, regression(again), settings, tmp_path / "cut", "same")
    assert torch.equal(weights(again), weights(model))
    assert resumed.history == state.history
    assert resumed.best_epoch == state.best_epoch
    for name, tensor in state.best_weights.items():
        assert torch.equal(resumed.best_weights[name], tensor)
    assert (tmp_path / "cut" / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_best_epoch_is_the_lowest_validation_loss(tmp_path: Path) -> None:
    _, state = whole_run(tmp_path)
    losses = [line["validation_loss"] for line in state.history]
    assert state.best_loss == min(losses)
    assert state.best_epoch == losses.index(min(losses)) + 1
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == state.history
    assert losses[-1] < losses[0] / 2


def test_early_stopping(tmp_path: Path) -> None:
    model = small_model()
    rising = iter(range(100))
    task = replace(regression(model), validate=lambda: float(next(rising)))
    state = train(model, task, replace(SETTINGS, patience_epochs=3, epochs=50), tmp_path, "x")
    assert (state.epoch, state.best_epoch) == (4, 1)


def test_the_learning_rate_falls_on_a_plateau(tmp_path: Path) -> None:
    model = small_model()
    task = replace(regression(model), validate=lambda: 1.0)
    settings = replace(SETTINGS, plateau=Plateau(0.5, 1, 0.01))
    rates = [line["learning_rate"] for line in train(model, task, settings, tmp_path, "x").history]
    assert rates == pytest.approx([0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.01])


def test_another_fingerprint_starts_anew_and_replaces(tmp_path: Path) -> None:
    model, _ = whole_run(tmp_path)
    other = small_model()
    train(other, regression(other), replace(SETTINGS, epochs=2), tmp_path, "other")
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    again = small_model()
    train(again, regression(again), SETTINGS, tmp_path, "same")
    assert torch.equal(weights(again), weights(model))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"{}" * 50])
def test_a_damaged_checkpoint_is_replaced(tmp_path: Path, damage) -> None:
    model, _ = whole_run(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    again, _ = whole_run(tmp_path)
    assert torch.equal(weights(again), weights(model))


def test_a_loss_that_is_not_finite_names_the_records(tmp_path: Path) -> None:
    model = small_model()
    task = regression(model)
    bad = replace(task, loss=lambda batch: task.loss(batch) * (float("nan") if "r5" in batch.record_ids else 1.0))
    with pytest.raises(CopraError, match=r"epoch 1: the loss is nan for the batch .*\br5\b"):
        train(model, bad, SETTINGS, tmp_path, "x")


def test_sigterm_stops_between_batches_and_the_run_goes_on_later(tmp_path: Path) -> None:
    whole, _ = whole_run(tmp_path / "whole")

    def terminate(epoch: int, batch: int) -> None:
        if (epoch, batch) == (3, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    model = small_model()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(CopraError, match=r"in epoch 3; .*after epoch 2: the same command goes on"):
        train(model, regression(model, terminate), SETTINGS, tmp_path / "cut", "same")
    assert signal.getsignal(signal.SIGTERM) is before
    again = small_model()
    train(again, regression(again), SETTINGS, tmp_path / "cut", "same")
    assert torch.equal(weights(again), weights(whole))
