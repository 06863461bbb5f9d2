"""The list that `copra models` prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaged import finished_experiment

from copra.cli import main


def test_models_are_listed_with_data_weights_and_metrics_whole_and_best_ones_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_experiment(tmp_path / "a").pack(tmp_path / "r/models/whole")
    finished_experiment(tmp_path / "b", diverged=((1, 1), (2, 1))).pack(tmp_path / "r/models/half")
    finished_experiment(tmp_path / "c", diverged=((1, 0), (1, 1), (2, 0), (2, 1))).pack(tmp_path / "r/models/none")
    assert main(["models", str(tmp_path / "r")]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[1:4]]
    weights = ["esm2_8M", "sha256:abababababab;", "rinalmo_random", "random:0"]
    assert rows == [
        ["whole", "coformer", *weights, "8", "4", "1.871", rows[0][-1]],
        ["half", "coformer", *weights, "8", "2", "of", "4", "1.414", rows[1][-1]],
        ["none", "coformer", *weights, "8", "0", "of", "4", "-", "-"],
    ]
    told = "\n".join(lines[4:])
    assert "made by hand" in told
    assert "random weights, not trained ones" in told
    assert "half: the model of seed 2, fold 1 is missing: diverged: the loss is nan" in told
    assert "half: RMSE and PCC are over 4 of 8 records." in told
    assert f"--model {tmp_path}/r/models/PACKAGE" in told


def test_the_folder_of_packages_itself_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_experiment(tmp_path / "a").pack(tmp_path / "given/whole")
    assert main(["models", str(tmp_path / "given")]) == 0
    assert "whole" in capsys.readouterr().out


def test_a_run_without_models_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no model package in" in error
