from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from copra.config import Coformer
from copra.errors import InputError
from copra.model.coformer import AffinityModel, shape_of
from copra.tables import read_table, write_table
from copra.train.finetune import choose_sets, train_fold
from copra.train.folds import read_fold


def arguments(world, folder: Path, experiment: Coformer, **changed) -> dict:
    given = {
        "records": world.records,
        "folds": world.folds,
        "fold": 1,
        "method": "cd_hit",
        "seed": 7,
        "name": "tiny",
        "experiment": experiment,
        "interfaces": world.interfaces,
        "protein_embeddings": [],
        "rna_embeddings": [],
        "checkpoint": folder / "checkpoint",
        "history": folder / "history.jsonl",
        "out": folder / "predictions.parquet",
    }
    return given | changed


def command(given: dict) -> list[str]:
    """The same call as a command line."""
    words = [sys.executable, "-m", "copra.cli", "train-fold", str(given["records"])]
    for name, value in given.items():
        if name == "records":
            continue
        words.append(f"--{name.replace('_', '-')}")
        if isinstance(value, list):
            words += map(str, value)
        else:
            words.append(value.model_dump_json() if isinstance(value, Coformer) else str(value))
    return words


def test_predictions_cover_the_fold_and_nothing_else(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    train_fold(**arguments(tiny_world, tmp_path, tiny_experiment))
    found = read_table(tmp_path / "predictions.parquet", "predictions")
    folds = read_table(tiny_world.folds, "folds")
    records = read_table(tiny_world.records, "records").set_index("record_id")
    assert set(found["record_id"]) == set(folds.loc[folds["fold"] == 1, "record_id"])
    assert (found["measured_dg_kcal_mol"].to_numpy() == records.loc[found["record_id"], "dg_kcal_mol"]).all()
    assert set(found["weights"]) == {"no language model"}
    assert set(found["protocol"]) == {"nested"}
    assert set(found["architecture"]) == {"official"}
    assert found["predicted_dg_kcal_mol"].between(-20, 0).all()


def test_the_test_labels_have_no_influence(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    train_fold(**arguments(tiny_world, tmp_path / "a", tiny_experiment))
    records = read_table(tiny_world.records, "records")
    folds = read_table(tiny_world.folds, "folds").set_index("record_id")["fold"]
    tested = records["record_id"].map(folds) == 1
    for chosen, same in ((tested, True), (~tested, False)):
        other = tmp_path / f"{same}.parquet"
        write_table(records.assign(dg_kcal_mol=records["dg_kcal_mol"].where(~chosen, -3.0)), other, "records")
        train_fold(**arguments(tiny_world, tmp_path / f"b{same}", tiny_experiment, records=other))
        a, b = (read_table(tmp_path / f / "predictions.parquet", "predictions") for f in ("a", f"b{same}"))
        assert (a["predicted_dg_kcal_mol"] == b["predicted_dg_kcal_mol"]).all() == same


def test_same_arguments_give_the_same_bytes(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    for name in ("a", "b"):
        paths = tiny_world.interfaces if name == "a" else tiny_world.interfaces[::-1]
        train_fold(**arguments(tiny_world, tmp_path / name, tiny_experiment, interfaces=paths))
    for file in ("predictions.parquet", "checkpoint/model.safetensors", "checkpoint/model.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    train_fold(**arguments(tiny_world, tmp_path / "c", tiny_experiment, seed=8))
    a, c = (read_table(tmp_path / f / "predictions.parquet", "predictions") for f in "ac")
    assert (a["predicted_dg_kcal_mol"] != c["predicted_dg_kcal_mol"]).any()


def test_the_saved_model_is_the_one_that_predicted(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    train_fold(**arguments(tiny_world, tmp_path, tiny_experiment))
    values = json.loads((tmp_path / "checkpoint" / "model.json").read_text())
    assert Coformer(**values["settings"]) == tiny_experiment
    history = [json.loads(x) for x in (tmp_path / "checkpoint" / "metrics.jsonl").read_text().splitlines()]
    best = min(history, key=lambda line: line["validation_loss"])
    assert values["best_epoch"] == best["epoch"]
    assert values["validation_rmse_kcal_mol"] == best["validation_loss"]
    model = AffinityModel(shape_of(tiny_experiment, tiny_experiment.head_width, 0, 0))
    model.load_state_dict(load_file(tmp_path / "checkpoint" / "model.safetensors"), strict=True)


def test_language_model_embeddings_are_used_and_named(tmp_path: Path, tiny_world, tiny_experiment, embedded) -> None:
    protein, rna = embedded(tiny_world, tmp_path)
    with_lm = tiny_experiment.model_copy(update={"protein_lm": "esm2_random", "rna_lm": "rinalmo_random"})
    paths = {"protein_embeddings": [protein], "rna_embeddings": [rna]}
    train_fold(**arguments(tiny_world, tmp_path / "lm", with_lm, **paths))
    train_fold(**arguments(tiny_world, tmp_path / "none", tiny_experiment))
    a, b = (read_table(tmp_path / f / "predictions.parquet", "predictions") for f in ("lm", "none"))
    assert set(a["weights"]) == {"esm2_random random:0; rinalmo_random random:0"}
    assert (a["predicted_dg_kcal_mol"] != b["predicted_dg_kcal_mol"]).all()
    wrong = with_lm.model_copy(update={"protein_lm": "esm2_650M"})
    with pytest.raises(InputError, match="embeddings of 'esm2_random', expected 'esm2_650M'"):
        train_fold(**arguments(tiny_world, tmp_path / "wrong", wrong, **paths))


def test_shuffled_labels_change_the_predictions_not_the_measured(tmp_path, tiny_world, tiny_experiment) -> None:
    shuffled = tiny_experiment.model_copy(update={"shuffle_labels": True})
    train_fold(**arguments(tiny_world, tmp_path / "a", tiny_experiment))
    train_fold(**arguments(tiny_world, tmp_path / "b", shuffled))
    a, b = (read_table(tmp_path / f / "predictions.parquet", "predictions") for f in "ab")
    assert (a["measured_dg_kcal_mol"] == b["measured_dg_kcal_mol"]).all()
    assert (a["predicted_dg_kcal_mol"] != b["predicted_dg_kcal_mol"]).any()


def test_loader_threads_change_no_byte(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    for threads in (0, 3):
        experiment = tiny_experiment.model_copy(update={"loader_threads": threads})
        train_fold(**arguments(tiny_world, tmp_path / str(threads), experiment))
    for file in ("predictions.parquet", "checkpoint/model.safetensors"):
        assert (tmp_path / "0" / file).read_bytes() == (tmp_path / "3" / file).read_bytes()


def test_protocol_paper_chooses_the_epoch_on_the_reported_fold(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    experiment = tiny_experiment.model_copy(update={"protocol": "paper"})
    parts = read_fold(tiny_world.records, tiny_world.folds, 1, "cd_hit")
    training, validation = choose_sets(parts, experiment, np.random.default_rng(0))
    assert training.indices == list(range(len(parts.training)))
    assert training.dg_kcal_mol.tolist() == parts.training["dg_kcal_mol"].tolist()
    assert validation.indices == list(range(len(parts.training), 16))
    assert validation.dg_kcal_mol.tolist() == parts.test["dg_kcal_mol"].tolist()
    shuffled = choose_sets(parts, experiment.model_copy(update={"shuffle_labels": True}), np.random.default_rng(0))
    assert sorted(shuffled[0].dg_kcal_mol) == sorted(training.dg_kcal_mol)
    assert shuffled[0].dg_kcal_mol.tolist() != training.dg_kcal_mol.tolist()
    assert shuffled[1].dg_kcal_mol.tolist() == validation.dg_kcal_mol.tolist()
    train_fold(**arguments(tiny_world, tmp_path, experiment))
    found = read_table(tmp_path / "predictions.parquet", "predictions")
    assert set(found["protocol"]) == {"paper"}
    values = json.loads((tmp_path / "checkpoint" / "model.json").read_text())
    off = found["predicted_dg_kcal_mol"] - found["measured_dg_kcal_mol"]
    assert values["validation_rmse_kcal_mol"] == pytest.approx(np.sqrt((off**2).mean()), abs=1e-6)


def test_nested_keeps_clusters_whole_and_the_reported_fold_out(tiny_world, tiny_experiment) -> None:
    parts = read_fold(tiny_world.records, tiny_world.folds, 1, "cd_hit")
    training, validation = choose_sets(parts, tiny_experiment, np.random.default_rng(0))
    clusters = parts.training["cluster"].to_numpy()
    assert sorted(training.indices + validation.indices) == list(range(len(parts.training)))
    assert not set(clusters[training.indices]) & set(clusters[validation.indices])


def test_plateau_accumulation_and_precision_reach_the_loop(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    changed = {
        "plateau_factor": 0.5, "plateau_patience_epochs": 0, "accumulate_batches": 2, "precision": "bf16",
        "learning_rate": 0.05,
    }  # fmt: skip
    train_fold(**arguments(tiny_world, tmp_path, tiny_experiment.model_copy(update=changed)))
    history = [json.loads(x) for x in (tmp_path / "checkpoint" / "metrics.jsonl").read_text().splitlines()]
    assert history[-1]["learning_rate"] < 0.05
    assert read_table(tmp_path / "predictions.parquet", "predictions")["predicted_dg_kcal_mol"].between(-20, 0).all()


def test_a_record_without_interface_is_named(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    with pytest.raises(InputError, match=r"x001:A:B"):
        train_fold(**arguments(tiny_world, tmp_path, tiny_experiment, interfaces=tiny_world.interfaces[:1]))


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_gives_the_same_bits(tmp_path, tiny_world, tiny_experiment) -> None:
    experiment = tiny_experiment.model_copy(update={"epochs": 60, "patience_epochs": 60})
    whole = arguments(tiny_world, tmp_path / "whole", experiment)
    subprocess.run(command(whole), check=True, capture_output=True, timeout=120)
    cut = arguments(tiny_world, tmp_path / "cut", experiment)
    moments, killed = random.Random(5), 0
    for attempt in range(8):
        process = subprocess.Popen(command(cut), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        metrics = tmp_path / "cut" / "checkpoint" / "metrics.jsonl"
        seen = metrics.stat().st_mtime_ns if metrics.exists() else 0
        while process.poll() is None and (metrics.stat().st_mtime_ns if metrics.exists() else 0) == seen:
            time.sleep(0.005)  # until this process has finished an epoch
        if attempt < 3:
            time.sleep(moments.uniform(0, 0.2))
            process.send_signal(signal.SIGTERM if attempt == 1 else signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        killed += 1
        assert process.returncode == (2 if attempt == 1 else -signal.SIGKILL), errors
        if attempt == 1:
            assert "the same command goes on from there" in errors
        assert not (tmp_path / "cut" / "predictions.parquet").exists()
    assert killed == 3
    for file in ("predictions.parquet", "checkpoint/model.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    """Batches of 3 and 1: in the last one the second process has a complex, the first none."""
    changed = {"dropout": 0.0, "batch_size": 3, "learning_rate": 1e-3}
    experiment = tiny_experiment.model_copy(update=changed)
    train_fold(**arguments(tiny_world, tmp_path / "one", experiment))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = command(arguments(tiny_world, tmp_path / "two", experiment))
    processes = []
    for rank in ("0", "1"):
        place = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, **place, "OMP_NUM_THREADS": "1"}
        processes.append(subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    one, two = (read_table(tmp_path / f / "predictions.parquet", "predictions") for f in ("one", "two"))
    difference = one["predicted_dg_kcal_mol"] - two["predicted_dg_kcal_mol"]
    assert difference.abs().max() < 1e-3


@pytest.mark.slow
def test_it_learns_what_can_be_learned_and_nothing_from_shuffled_labels(tmp_path, world_maker, tiny_experiment) -> None:
    world = world_maker(tmp_path, 80, (20, 44), seed=4)
    sizes = {"blocks": 2, "sequence_width": 32, "pair_width": 8, "heads": 4, "outer_product_width": 4, "head_width": 64}
    training = {"dropout": 0.1, "learning_rate": 2e-3, "batch_size": 8, "epochs": 30, "patience_epochs": 12}
    experiment = tiny_experiment.model_copy(update={**sizes, **training, "interface_nodes": 96})
    explained = {}  # of the variance; the correlation of one shuffled fold may be anything, as one number tells dG here
    for shuffled in (False, True):
        chosen = experiment.model_copy(update={"shuffle_labels": shuffled})
        train_fold(**arguments(world, tmp_path / str(shuffled), chosen))
        found: pd.DataFrame = read_table(tmp_path / str(shuffled) / "predictions.parquet", "predictions")
        measured, predicted = found[["measured_dg_kcal_mol", "predicted_dg_kcal_mol"]].to_numpy().T
        explained[shuffled] = 1 - ((predicted - measured) ** 2).mean() / measured.var()
    assert explained[False] > 0.6
    assert explained[True] < 0.1
