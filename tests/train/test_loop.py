from __future__ import annotations

import io
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from training_runs import TRAINING, Points, batches_of, points, regression, run, small_model, weights, without_clock

from copra.config_model import Training
from copra.errors import CopraError
from copra.train import loop, watch
from copra.train.learner import Learner, make_learner
from copra.train.loop import Task, train
from copra.train.ranks import Ranks, share


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def fit(folder: Path, model: nn.Module, batch_size: int, **training) -> list[dict[str, float]]:
    n_batches = -(-16 // batch_size)
    task = replace(
        regression(model),
        batches=lambda epoch, first: batches_of(batch_size, lambda e, b: None, epoch, first),
        n_batches=n_batches,
    )
    settings = TRAINING.model_copy(update=training)
    return train(model, task, settings, seed=3, folder=folder, fingerprint="x").history


# --- epochs -------------------------------------------------------------------------------------------


def test_best_epoch_is_the_lowest_validation_loss(tmp_path: Path) -> None:
    _, state = run(tmp_path)
    losses = [line["validation_loss"] for line in state.history]
    assert state.best_loss == min(losses)
    assert state.best_epoch == losses.index(min(losses)) + 1
    assert losses[-1] < losses[0] / 2


def test_metrics_hold_a_line_for_each_epoch(tmp_path: Path) -> None:
    _, state = run(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == state.history
    assert [line["epoch"] for line in lines] == list(range(1, 9))
    names = {"epoch", "learning_rate", "training_loss", "validation_loss", "validation_error"}
    assert set(lines[0]) == names | {"gradient_norm", "seconds", "samples_per_s"}
    assert all(line["samples_per_s"] == pytest.approx(16 / line["seconds"]) for line in lines)


def test_early_stopping(tmp_path: Path) -> None:
    rising = iter(range(100))
    training = TRAINING.model_copy(update={"patience_epochs": 3, "epochs": 50})
    _, state = run(tmp_path, training, validate=lambda: {"validation_loss": float(next(rising))})
    assert (state.epoch, state.best_epoch) == (4, 1)


def test_the_learning_rate_falls_on_a_plateau(tmp_path: Path) -> None:
    plateau = {"plateau_factor": 0.5, "plateau_patience_epochs": 1, "min_learning_rate": 0.01}
    training = TRAINING.model_copy(update=plateau)
    _, state = run(tmp_path, training, validate=lambda: {"validation_loss": 1.0})
    rates = [line["learning_rate"] for line in state.history]
    assert rates == pytest.approx([0.05, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.01])


def test_draws_follow_from_seed_epoch_and_batch(tmp_path: Path) -> None:
    def draws(folder: str, seed: int) -> list[float]:
        drawn: list[float] = []
        model = small_model()
        task = regression(model, before=lambda epoch, batch: drawn.append(float(torch.rand(()))))
        torch.manual_seed(len(folder))  # what was drawn before the run does not matter
        train(model, task, TRAINING, seed=seed, folder=tmp_path / folder, fingerprint="x")
        return drawn

    first = draws("a", seed=1)
    assert len(set(first)) == 8 * 4
    assert first == draws("ab", seed=1)
    assert not set(first) & set(draws("c", seed=2))


# --- steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [None, 0.5])
def test_accumulated_batches_are_one_larger_batch(tmp_path: Path, clip: float | None) -> None:
    large, small = linear(), linear()
    expected = fit(tmp_path / "large", large, 8, gradient_clip=clip)
    found = fit(tmp_path / "small", small, 2, accumulate_batches=4, gradient_clip=clip)
    assert torch.allclose(weights(small), weights(large), rtol=1e-5, atol=1e-6)
    for name in ("training_loss", "gradient_norm", "validation_loss"):
        assert [line[name] for line in found] == pytest.approx([line[name] for line in expected], rel=1e-5)


def test_what_is_left_of_an_epoch_is_a_step_of_its_own(tmp_path: Path) -> None:
    # three batches of 4 make the first step of an epoch, one the second: as batches of 12 and 4
    large, small = linear(), linear()
    fit(tmp_path / "large", large, 12, epochs=3)
    fit(tmp_path / "small", small, 4, accumulate_batches=3, epochs=3)
    assert torch.allclose(weights(small), weights(large), rtol=1e-5, atol=1e-6)


def test_clipping_limits_the_step_and_the_norm_is_told_unclipped(tmp_path: Path) -> None:
    moved, told = {}, {}
    for clip in (None, 1e9, 1e-3):
        model = linear()
        task = replace(regression(model), n_batches=1)
        training = TRAINING.model_copy(update={"gradient_clip": clip, "epochs": 1})
        learner = make_learner(model, training)
        task.loss(next(task.batches(1, 0))).backward()
        told[clip] = learner.step()
        # Adam's first moment is a tenth of the gradient that it was given
        moments = [learner.optimizer.state[p]["exp_avg"].flatten() for p in model.parameters()]
        moved[clip] = float(10 * torch.cat(moments).norm())
    assert told[None] == told[1e9] == told[1e-3] > 1
    assert moved[None] == moved[1e9] == pytest.approx(told[None], rel=1e-5)
    assert moved[1e-3] == pytest.approx(1e-3, rel=1e-2)


def test_without_weight_decay_it_is_adam(tmp_path: Path) -> None:
    model, twin = linear(), linear()
    fit(tmp_path, model, 16, epochs=5, weight_decay=0.0, gradient_clip=None)
    adam = torch.optim.Adam(twin.parameters(), lr=TRAINING.learning_rate)
    task = regression(twin)
    for epoch in range(1, 6):
        adam.zero_grad()
        task.loss(next(batches_of(16, lambda e, b: None, epoch, 0))).backward()
        adam.step()
    assert torch.equal(weights(model), weights(twin))


def test_fp16_skips_a_step_that_overflows_and_lowers_the_scale() -> None:
    model = linear()
    learner = make_learner(model, TRAINING)
    learner.precision, learner.scaler = "fp16", torch.amp.GradScaler("cpu", init_scale=2.0**16)
    x, y = points()

    def step(factor: float) -> float:
        with learner.autocast():
            out = model(x)
        assert out.dtype == torch.float16
        learner.backward(factor * (out.float().squeeze(-1) - y).square().mean(), 1)
        return learner.step()

    before = weights(model)
    assert not math.isfinite(step(1e38))
    assert torch.equal(weights(model), before)
    assert learner.scaler.get_scale() == 2.0**15
    norms = [step(1.0) for _ in range(8)]  # until the scale fits
    assert 1 < norms[-1] < 10
    assert not torch.equal(weights(model), before)


def fp16_on_a_cpu(monkeypatch) -> None:
    def learner(model: nn.Module, training: Training) -> Learner:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        return replace(make_learner(model, training), precision="fp16", scaler=scaler)

    monkeypatch.setattr(loop, "make_learner", learner)


def test_an_fp16_run_goes_on_with_its_scale_and_counts_skipped_steps(tmp_path: Path, monkeypatch) -> None:
    fp16_on_a_cpu(monkeypatch)
    model, state = run(tmp_path / "whole")
    assert state.history[0]["skipped_steps"] > 0
    assert state.history[-1]["skipped_steps"] == 0
    run(tmp_path / "cut", TRAINING.model_copy(update={"epochs": 2}))
    again, found = run(tmp_path / "cut")
    assert torch.equal(weights(again), weights(model))
    assert without_clock(found.history) == without_clock(state.history)


def test_an_fp16_gradient_that_fits_no_scale_is_an_error(tmp_path: Path, monkeypatch) -> None:
    fp16_on_a_cpu(monkeypatch)
    model = small_model()
    task = regression(model)
    bad = replace(task, loss=lambda batch: 1e36 * task.loss(batch))
    with pytest.raises(CopraError, match=r"^epoch 5, batch 1: the norm of the gradient is \w+ for the records r"):
        train(model, bad, TRAINING, seed=3, folder=tmp_path, fingerprint="x")


def test_half_precision_is_float32_on_a_cpu(tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.INFO):
        half, _ = run(tmp_path / "half", TRAINING.model_copy(update={"precision": "bf16"}))
    assert "on a CPU in fp32, not bf16" in caplog.text
    assert torch.equal(weights(half), weights(run(tmp_path / "full")[0]))


# --- errors -------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_names_the_records(tmp_path: Path) -> None:
    model = small_model()
    task = regression(model)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1)).tolist()
    number = order.index(5) // 4
    names = ", ".join(f"r{i}" for i in order[4 * number : 4 * number + 4])
    bad = replace(task, loss=lambda batch: task.loss(batch) * (float("nan") if "r5" in batch.record_ids else 1.0))
    with pytest.raises(CopraError, match=f"^epoch 1, batch {number + 1}: the loss is nan for the records {names}$"):
        train(model, bad, TRAINING, seed=3, folder=tmp_path, fingerprint="x")


def test_a_gradient_that_is_not_finite_names_the_records_and_leaves_the_weights(tmp_path: Path) -> None:
    model = small_model()
    before = weights(model)
    task = regression(model)

    def loss(batch: Points) -> torch.Tensor:  # the root of zero: finite, with an infinite slope
        return task.loss(batch) + (model[0].weight[0, 0] - model[0].weight[0, 0].detach()).sqrt()

    training = TRAINING.model_copy(update={"accumulate_batches": 2})
    with pytest.raises(
        CopraError, match=r"^epoch 1, batch 2: the norm of the gradient is \w+ for the records (r\d+,? ?){8}$"
    ):
        train(model, replace(task, loss=loss), training, seed=3, folder=tmp_path, fingerprint="x")
    assert torch.equal(weights(model), before)


def test_a_validation_loss_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CopraError, match="epoch 1: the validation loss is nan"):
        run(tmp_path, validate=lambda: {"validation_loss": float("nan")})


def test_an_epoch_with_too_few_batches_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="epoch 1 has 4 batches, the task announced 5"):
        run(tmp_path, n_batches=5)


def test_the_source_of_batches_is_closed_after_an_error(tmp_path: Path) -> None:
    closed = []

    def batches(epoch: int, first: int) -> Iterator[Points]:
        try:
            yield from batches_of(4, lambda e, b: None, epoch, first)
        finally:
            closed.append(epoch)

    model = small_model()
    task: Task[Points] = replace(regression(model), batches=batches, loss=lambda batch: torch.tensor(float("inf")))
    with pytest.raises(CopraError):
        train(model, task, TRAINING, seed=3, folder=tmp_path, fingerprint="x")
    assert closed == [1]


# --- what one sees ------------------------------------------------------------------------------------


def test_a_log_tells_the_epochs_and_in_long_ones_the_batches(tmp_path: Path, caplog, monkeypatch) -> None:
    with caplog.at_level(logging.INFO):
        run(tmp_path / "short", TRAINING.model_copy(update={"epochs": 20, "patience_epochs": 20}))
    told = [record.message for record in caplog.records if record.message.startswith("epoch")]
    assert [line.split()[1] for line in told] == ["1", *(str(e) for e in range(2, 21, 2))]
    caplog.clear()
    clock = iter(range(0, 100000, 25))  # every look at the clock is 25 s after the last
    monkeypatch.setattr(watch.time, "monotonic", lambda: float(next(clock)))
    with caplog.at_level(logging.INFO):
        run(tmp_path / "long", TRAINING.model_copy(update={"epochs": 1}))
    assert any("epoch 1, batch" in record.message and "of 4: loss" in record.message for record in caplog.records)


def test_a_terminal_shows_bars(tmp_path: Path, monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    model = small_model()
    slow = regression(model, before=lambda epoch, batch: time.sleep(0.7 if epoch == 1 else 0))
    train(model, slow, TRAINING.model_copy(update={"epochs": 2}), seed=3, folder=tmp_path, fingerprint="x")
    assert "2/2" in terminal.getvalue()
    assert "/4" in terminal.getvalue()
    assert "validation=" in terminal.getvalue()


def test_tensorboard_is_asked_for_by_the_environment(tmp_path: Path, caplog, monkeypatch) -> None:
    monkeypatch.setenv("COPRA_TENSORBOARD", "1")
    monkeypatch.setattr(watch.importlib.util, "find_spec", lambda name: None)
    run(tmp_path)
    assert "the package tensorboard is not installed: no event files" in caplog.text
    assert not (tmp_path / "tensorboard").exists()


def test_event_files_hold_each_epoch_once_after_a_restart(tmp_path: Path, monkeypatch) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("COPRA_TENSORBOARD", "1")
    run(tmp_path, TRAINING.model_copy(update={"epochs": 3}))
    _, state = run(tmp_path)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("training_loss")
    assert [event.step for event in events] == list(range(1, 9))
    assert [event.value for event in events] == pytest.approx([line["training_loss"] for line in state.history])


def test_shares_in_rank_order_are_the_batch() -> None:
    for size in (1, 2, 3, 5):
        parts = [share(list(range(7)), Ranks(rank, size)) for rank in range(size)]
        assert [i for part in parts for i in part] == list(range(7))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert share([4], Ranks(0, 2)) + share([4], Ranks(1, 2)) == [4]
