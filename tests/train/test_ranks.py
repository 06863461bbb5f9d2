from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import training_runs
from safetensors.torch import load_file
from training_runs import finished, start, without_clock

from copra.errors import CopraError
from copra.train.ranks import Ranks, _meeting_point, _place, first_host, gather_rows, ranks

SRUN = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8"}


def test_one_process_without_a_launcher() -> None:
    assert ranks() == Ranks(0, 1)
    assert _place({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) == (0, 1, 0)  # a batch script is one process
    x = torch.randn(3, 2)
    assert gather_rows(x) is x


def test_the_place_is_read_from_the_launcher() -> None:
    assert _place({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}) == (3, 4, 1)
    assert _place(SRUN) == (5, 8, 1)
    assert _place(SRUN | {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}) == (1, 2, 1)  # torchrun within srun
    with pytest.raises(CopraError, match=r"RANK=4, WORLD_SIZE=4, LOCAL_RANK=\(not set\)"):
        _place({"RANK": "4", "WORLD_SIZE": "4"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu1", "gpu1"), ("gpu[003-006,010],cpu1", "gpu003"), ("a-[7]-ib,b", "a-7-ib"), ("n1,n2", "n1"), ("", "")],
)
def test_first_host_of_a_list_in_short_form(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_where_the_processes_meet() -> None:
    job = {"SLURM_JOB_ID": "1234567", "SLURM_STEP_ID": "2", "SLURM_STEP_NODELIST": "n[07-08]"}
    address, port = _meeting_point(job | {"SLURM_STEP_NUM_NODES": "2"})
    assert address == "n07"
    assert 15000 <= port < 30000
    assert port != _meeting_point(job | {"SLURM_JOB_ID": "1234568"})[1]
    assert _meeting_point(job | {"SLURM_STEP_NUM_NODES": "1"}) == ("127.0.0.1", port)
    assert _meeting_point(job | {"MASTER_ADDR": "here", "MASTER_PORT": "7"}) == ("here", 7)


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """The folder of a whole run in two processes, and beside it `one`: the same in one process; without dropout."""
    folder = tmp_path_factory.mktemp("ranks")
    finished(folder / "two", 2, dropout=0.0)
    finished(folder / "one", 1, dropout=0.0)
    return folder / "two"


@pytest.fixture(scope="module")
def final(tmp_path_factory) -> bytes:
    """The final weights of an uninterrupted run in two processes, with dropout."""
    return finished(tmp_path_factory.mktemp("final") / "two", 2)


def relative(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    assert found.keys() == expected.keys()
    return max(float((found[k] - expected[k]).abs().max() / (1 + expected[k].abs().max())) for k in expected)


def test_loss_and_gradients_of_two_processes_are_those_of_one(two: Path) -> None:
    found, expected = (load_file(f / "gradients.safetensors") for f in (two, two.with_name("one")))
    assert expected["0 loss"] > 1
    assert expected["0 left.weight"].abs().max() > 0.1
    assert relative(found, expected) < 1e-5


def test_a_whole_run_in_two_processes_is_that_of_one(two: Path) -> None:
    found, expected = (load_file(f / "final.safetensors") for f in (two, two.with_name("one")))
    assert relative(found, expected) < 1e-4  # after twelve steps
    histories = [without_clock(training_runs.read_metrics(f)) for f in (two, two.with_name("one"))]
    assert len(histories[0]) == len(histories[1]) == 6
    for a, b in zip(*histories, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path: Path, final: bytes) -> None:
    for rank in (0, 1):
        job = start(tmp_path / str(rank), 2, signal=f"{rank} 3 1 {int(signal.SIGKILL)}")
        began = time.monotonic()
        codes = job.wait()
        assert time.monotonic() - began < 20
        assert codes[rank] == -signal.SIGKILL
        assert codes[1 - rank] == 2
        assert f"rank {1 - rank}: another process of this run has ended" in job.messages()
        assert finished(tmp_path / str(rank), 2) == final


def test_processes_of_srun_find_each_other(tmp_path: Path, final: bytes) -> None:
    assert finished(tmp_path / "srun", 2, launcher="srun") == final


def test_a_process_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    job = start(tmp_path / "run", 2, timeout_minutes=0.05, signal=f"1 2 1 {int(signal.SIGSTOP)}")
    job.processes[0].join(timeout=30)
    job.kill()
    assert job.wait() == [2, -signal.SIGKILL]
    assert "another process of this run has ended or does not answer" in job.messages()


def test_a_signal_to_one_process_ends_all_with_a_checkpoint(tmp_path: Path, final: bytes) -> None:
    job = start(tmp_path / "cut", 2, signal=f"1 2 1 {int(signal.SIGTERM)}")
    assert job.wait() == [2, 2]
    message = "stopped by SIGTERM in epoch 2; the checkpoint holds 2 of its 4 batches"
    assert job.messages().count(message) == 2
    assert finished(tmp_path / "cut", 2) == final


def test_a_loss_that_is_not_finite_on_one_process_ends_all_with_the_same_message(tmp_path: Path) -> None:
    job = start(tmp_path / "bad", 2, bad="r5")
    assert job.wait() == [2, 2]
    lines = {line for line in job.messages().splitlines() if "the loss is" in line}
    assert len(lines) == 1
    assert "r5" in lines.pop().split("records ")[1].split(", ")


def test_another_number_of_processes_goes_on_with_a_warning(tmp_path: Path) -> None:
    job = start(tmp_path / "run", 2, signal=f"0 3 1 {int(signal.SIGTERM)}")
    assert job.wait() == [2, 2]
    finished(tmp_path / "run", 1)
    assert "written by 2 processes, now there are 1" in job.messages()


@pytest.mark.slow
def test_torchrun_ends_with_a_dead_process_and_the_same_command_goes_on(tmp_path: Path, final: bytes) -> None:
    program = [sys.executable, training_runs.__file__]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python", "--nproc-per-node", "2"]
    path = os.pathsep.join(sys.path)

    def launch(folder: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        command = [*launcher, *program, str(tmp_path / folder), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    for rank, number in ((1, signal.SIGKILL), (0, signal.SIGTERM)):
        folder = f"{rank}{number.name}"
        began = time.monotonic()
        died = launch(folder, f"signal={rank} 4 2 {int(number)}")
        assert died.returncode != 0, died.stderr
        assert time.monotonic() - began < 120
        assert not (tmp_path / folder / "final.safetensors").exists()
        again = launch(folder)
        assert again.returncode == 0, again.stderr
        assert (tmp_path / folder / "final.safetensors").read_bytes() == final
