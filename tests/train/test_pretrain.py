from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pair_world import PairWorld, make_pair_world, tiny_recipe
from safetensors.torch import load_file

from copra.errors import CopraError, InputError
from copra.model.design import OFFICIAL
from copra.tables import read_table
from copra.train.pretrain import Inputs, open_pairs, pretrain
from copra.train.pretraining_data import NO_DISTANCE, epoch_batches
from copra.train.pretraining_pairs import draw_entries, hold_out, require_purged, usable_pairs
from copra.train.pretraining_task import validation
from copra.train.ranks import Ranks

pytestmark = pytest.mark.skipif(shutil.which("cd-hit") is None, reason="the program cd-hit is not here")
CPU = torch.device("cpu")


@pytest.fixture
def world(tmp_path: Path, interface_maker) -> PairWorld:
    return make_pair_world(tmp_path / "world", interface_maker, 24, seed=1)


def words_of(arguments: dict[str, Any]) -> list[str]:
    """`copra pretrain` with these arguments."""
    words = [str(arguments["pri30k"])]
    for name, value in arguments.items():
        if name == "pri30k":
            continue
        text = [value.model_dump_json()] if hasattr(value, "model_dump_json") else value
        values = text if isinstance(text, list) else [text]
        words += [f"--{name.replace('_', '-')}", *(str(v) for v in values)]
    return [sys.executable, "-m", "copra.cli", "pretrain", *words]


def inputs(world: PairWorld) -> Inputs:
    return Inputs(world.interfaces, world.distances, [], [])


def test_a_run_writes_what_was_learned_from_which_pairs(tmp_path: Path, world: PairWorld) -> None:
    arguments = world.arguments(tmp_path / "out", tiny_recipe())
    pretrain(**arguments)
    said = json.loads(arguments["description"].read_text())
    assert said["architecture"] == "official"
    assert (said["pairs_trained_on"], said["pairs_held_out"], said["clusters_held_out"]) == (18, 6, 6)
    assert said["language_models"] == "no language model"
    lines = [json.loads(line) for line in arguments["metrics"].read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert {"validation_contrast", "validation_distance", "validation_top1", "validation_bin"} <= lines[0].keys()
    parts = [line["validation_contrast"] + line["validation_distance"] for line in lines]
    assert parts == pytest.approx([line["validation_loss"] for line in lines])
    weights = load_file(arguments["model"])
    assert weights["distance_head.weight"].shape == (40, 8)
    assert any(name.startswith("coformer.blocks.0.") for name in weights)
    listed = read_table(arguments["pairs"], "pretraining_pairs")
    assert listed["part"].value_counts().to_dict() == {"training": 18, "held_out": 6}
    of_part = listed.groupby("cluster")["part"].nunique()
    assert (of_part == 1).all()


@pytest.mark.parametrize("name", ["cpri", "dm", "cpri_dm", "cpri_idm", "cpri_midm"])
def test_every_recipe_of_table_4_runs(tmp_path: Path, root: Path, world: PairWorld, name: str) -> None:
    from copra.config_file import load_config

    recipe = load_config(root / "config.yaml").pretraining.recipes[name]
    task = {"contrast": recipe.contrast, "distance": recipe.distance}
    arguments = world.arguments(tmp_path, tiny_recipe(**task, epochs=1, preset="paper"))
    pretrain(**arguments)
    (line,) = [json.loads(line) for line in arguments["metrics"].read_text().splitlines()]
    assert ("validation_contrast" in line) == recipe.contrast
    assert ("validation_distance" in line) == (recipe.distance != "none")
    assert json.loads(arguments["description"].read_text())["architecture"] == "paper"


def test_what_the_purge_took_out_is_not_seen(tmp_path: Path, world: PairWorld) -> None:
    everything = read_table(world.pri30k, "pri30k")
    kept = tmp_path / "kept.txt"
    allowed = sorted(everything["pair_id"])[4:]
    kept.write_text("".join(f"{name}\n" for name in allowed))
    arguments = world.arguments(tmp_path / "out", tiny_recipe(epochs=1), kept=kept, scope="fold_0")
    pretrain(**arguments)
    assert sorted(read_table(arguments["pairs"], "pretraining_pairs")["pair_id"]) == allowed
    assert json.loads(arguments["description"].read_text())["purged"] == "relatives of the test fold"
    with pytest.raises(CopraError, match="1 pairs would be used that are not in this list"):
        require_purged(everything["pair_id"].iloc[[0, 9]], kept)
    kept.write_text("no:such:pair\n")
    with pytest.raises(InputError, match=r"1 pairs are not in .*no:such:pair"):
        usable_pairs(world.pri30k, kept, world.interfaces, None, np.random.default_rng(0))


def test_pairs_without_interface_are_named(world: PairWorld, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        pairs = usable_pairs(world.pri30k, None, world.interfaces[:1], None, np.random.default_rng(0))
    assert len(pairs) == 12
    assert "12 pairs have no interface and are left out: x000:B:S, x001:B:S" in caplog.text
    assert "24 pairs of PRI30k: 0 purged, 12 without interface, 0 not drawn, 12 used" in caplog.text


def test_a_sample_is_of_whole_entries() -> None:
    ids = pd.Series(["a"] * 5 + ["b"] * 2 + ["c"] * 3 + ["d"] * 50)
    for seed in range(20):
        drawn = draw_entries(ids, 8, np.random.default_rng(seed))
        n = int(ids.isin(drawn).sum())
        assert n <= 8 or drawn == {"d"}
        assert drawn == draw_entries(ids, 8, np.random.default_rng(seed))
    assert len({frozenset(draw_entries(ids, 8, np.random.default_rng(seed))) for seed in range(20)}) > 1


def test_whole_clusters_are_held_out() -> None:
    clusters = np.array([f"c{i % 10}" for i in range(57)])
    held = hold_out(clusters, 0.2, np.random.default_rng(0))
    assert len(set(clusters[held])) == 2
    assert not set(clusters[held]) & set(clusters[~held])
    assert 0 < hold_out(np.array(["a", "b"]), 0.01, np.random.default_rng(0)).sum() < 2
    with pytest.raises(InputError, match="1 cluster"):
        hold_out(np.array(["a", "a"]), 0.5, np.random.default_rng(0))


def test_batches_are_the_same_however_many_ranks_share_them(world: PairWorld) -> None:
    recipe = tiny_recipe(batch_size=7)
    pairs = open_pairs(read_table(world.pri30k, "pri30k"), recipe, inputs(world))

    def batches(place: Ranks, first: int = 0) -> list[Any]:
        made = epoch_batches(pairs, recipe, OFFICIAL, seed=5, epoch=2, first=first, place=place, device=CPU)
        return list(made)

    alone = batches(Ranks(0, 1))
    assert sorted(len(b.record_ids) for b in alone) == [3, 7, 7, 7]
    parts = [batches(Ranks(rank, 4)) for rank in range(4)]
    for number, whole in enumerate(alone):
        assert [name for part in parts for name in part[number].record_ids] == whole.record_ids
        rows = 0
        for part in parts:
            mine = part[number]
            if mine.batch is None:
                continue
            b, length = mine.batch.nodes.residue_type.shape
            assert torch.equal(mine.hidden, whole.hidden[rows : rows + b, :length, :length])
            assert torch.equal(mine.bins, whole.bins[rows : rows + b, :length, :length])
            rows += b
    for resumed, before in zip(batches(Ranks(0, 1), first=2), alone[2:], strict=True):
        assert resumed.record_ids == before.record_ids
        assert torch.equal(resumed.hidden, before.hidden)


def test_labels_belong_to_the_nodes(world: PairWorld) -> None:
    """The crop drops the same nodes from the distances as from the sample."""
    recipe = tiny_recipe(interface_nodes=15)
    pairs = open_pairs(read_table(world.pri30k, "pri30k"), recipe, inputs(world))
    for i in range(3):
        sample, bins = pairs.complexes.sample(i, 0.0), pairs.bins(i)
        assert bins.shape == (18, 18)
        assert (bins[:3] == NO_DISTANCE).all()
        xyz = sample.xyz_angstrom[3:].astype(float)
        nearest = np.linalg.norm(xyz[:, None, :, None] - xyz[None, :, None], axis=-1).min((2, 3))
        off_diagonal = ~np.eye(15, dtype=bool)
        near = (nearest < 7.7) & off_diagonal
        assert np.abs(nearest - bins[3:, 3:] / 2)[near].max() < 0.2501


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "official"])
def test_it_learns_its_training_pairs_by_heart(tmp_path: Path, world: PairWorld, preset: str) -> None:
    sizes = {"blocks": 2, "sequence_width": 32, "pair_width": 16, "dropout": 0.0}
    recipe = tiny_recipe(
        preset=preset, contrast_pass="apart", batch_size=24, epochs=150, patience_epochs=150, **sizes,
        switches={"outer_product": "squeezed"}, interface_nodes=48,
    )  # fmt: skip
    arguments = world.arguments(tmp_path, recipe)
    pretrain(**arguments)
    from copra.model.coformer import shape_of
    from copra.model.pretraining import PretrainingModel
    from copra.train.checkpoint import without_prefix

    last = without_prefix(load_file(arguments["checkpoint"] / "checkpoint.safetensors"), "model")
    network = PretrainingModel(shape_of(recipe, 1, 0, 0))
    network.load_state_dict(last)
    listed = read_table(arguments["pairs"], "pretraining_pairs")
    trained = listed.loc[listed["part"] == "training", "pair_id"]
    table = read_table(world.pri30k, "pri30k")
    pairs = open_pairs(table[table["pair_id"].isin(trained)], recipe, inputs(world))
    unmasked = recipe.model_copy(update={"distance": "interface"})
    batches = epoch_batches(pairs, unmasked, network.design, seed=0, epoch=1, first=0, place=Ranks(0, 1), device=CPU)
    told = validation(network, batches, len(trained), unmasked)
    assert told["validation_top1"] > 0.8  # by chance 1 / 18
    first = json.loads(arguments["metrics"].read_text().splitlines()[0])
    assert told["validation_distance"] < 0.55 * first["validation_distance"]


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_gives_the_same_bits(tmp_path: Path, world: PairWorld) -> None:
    recipe = tiny_recipe(epochs=12, patience_epochs=12, checkpoint_minutes=0.001, loader_threads=1)
    whole, cut = (world.arguments(tmp_path / name, recipe) for name in ("whole", "cut"))
    subprocess.run(words_of(whole), check=True, capture_output=True, timeout=300)
    moments, killed = random.Random(7), 0
    for attempt in range(8):
        process = subprocess.Popen(words_of(cut), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        path = cut["checkpoint"] / "checkpoint.safetensors"
        seen = path.stat().st_mtime_ns if path.exists() else 0
        while process.poll() is None and (path.stat().st_mtime_ns if path.exists() else 0) == seen:
            time.sleep(0.005)
        if attempt < 3:
            time.sleep(moments.uniform(0, 0.3))
            process.send_signal(signal.SIGTERM if attempt == 1 else signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
        if process.returncode == 0:
            break
        killed += 1
        assert process.returncode == (2 if attempt == 1 else -signal.SIGKILL), errors
    assert killed == 3
    assert whole["model"].read_bytes() == cut["model"].read_bytes()
    assert whole["pairs"].read_bytes() == cut["pairs"].read_bytes()


def losses(metrics: Path) -> list[tuple[float, float]]:
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [(line["training_loss"], line["validation_loss"]) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"preset": "paper", "false_negatives": "left_out"}, {"contrast": False}])
def test_two_processes_have_the_loss_of_one(
    tmp_path: Path, world: PairWorld, changes: dict[str, Any], free_port: Callable[[], int]
) -> None:
    # 18 pairs in batches of 17: the last batch has one complex, and one process nothing to do
    recipe = tiny_recipe(batch_size=17, dropout=0.0, epochs=2, **changes)
    alone, shared = (world.arguments(tmp_path / name, recipe) for name in ("one", "two"))
    pretrain(**alone)
    port = str(free_port())
    processes = []
    for rank in range(2):
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
        environment = {**os.environ, **place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
        processes.append(subprocess.Popen(words_of(shared), env=environment, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    for one, two in zip(losses(alone["metrics"]), losses(shared["metrics"]), strict=True):
        assert two == pytest.approx(one, rel=1e-4)
    both = [load_file(arguments["model"]) for arguments in (alone, shared)]
    for name, tensor in both[0].items():
        assert torch.allclose(both[1][name], tensor, atol=2e-3), name


@pytest.fixture
def free_port() -> Callable[[], int]:
    import socket

    def find() -> int:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return int(one.getsockname()[1])

    return find
