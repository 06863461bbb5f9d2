from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_runs import TRAINING, run, weights

from copra.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def test_a_checkpoint_comes_back_to_the_bit(tmp_path: Path) -> None:
    tensors = {
        "weights": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).T,
        "step": torch.tensor(3.0),
        "none": torch.zeros(0, 2),
        "state": torch.get_rng_state(),
        "half": torch.tensor([1.0, float("nan")], dtype=torch.bfloat16),
    }
    values = {"loss": float("inf"), "third": 1 / 3, "list": [None, True, {"a": 1e-300}]}
    save_checkpoint(Checkpoint("f", tensors, values), tmp_path / "c")
    found = load_checkpoint(tmp_path / "c", "f")
    assert found is not None
    assert found.values == values
    for name, tensor in tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name].nan_to_num(7), tensor.nan_to_num(7))
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_another_fingerprint_starts_anew_and_replaces(tmp_path: Path, caplog) -> None:
    model, _ = run(tmp_path / "a")
    run(tmp_path / "b", TRAINING.model_copy(update={"epochs": 2}))
    other = load_checkpoint(tmp_path / "b" / "checkpoint.safetensors", "same")
    assert other is not None
    save_checkpoint(Checkpoint("other", other.tensors, other.values), tmp_path / "b" / "checkpoint.safetensors")
    again, state = run(tmp_path / "b")
    assert "a checkpoint of other settings" in caplog.text
    assert torch.equal(weights(again), weights(model))
    assert len((tmp_path / "b" / "metrics.jsonl").read_text().splitlines()) == len(state.history) == 8


def flipped(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1], lambda b: b"", lambda b: b"{}" * 50, flipped]
)
def test_a_damaged_checkpoint_is_told_and_replaced(tmp_path: Path, damage, caplog) -> None:
    model, _ = run(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    again, _ = run(tmp_path)
    assert "starting anew" in caplog.text
    assert str(path) in caplog.text
    assert torch.equal(weights(again), weights(model))
    assert load_checkpoint(path, "same") is not None


def test_what_a_killed_writer_left_does_no_harm(tmp_path: Path) -> None:
    model, _ = run(tmp_path / "whole")
    run(tmp_path / "cut", TRAINING.model_copy(update={"epochs": 3}))
    (tmp_path / "cut" / ".checkpoint.safetensors.tmp").write_bytes(b"half a file")
    (tmp_path / "cut" / "metrics.jsonl").write_text('{"epoch": 1}\n')  # killed between the two files
    again, state = run(tmp_path / "cut")
    assert torch.equal(weights(again), weights(model))
    assert len((tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()) == len(state.history) == 8
