"""ddG by models of dG, as they are and trained on to ddG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mutation_world import SD_KCAL_MOL, SEED, MutationWorld, fine_tuned, mutation_world
from safetensors.torch import load_file

from copra.errors import InputError
from copra.model.coformer import build_affinity_model
from copra.mutation.bases import open_base
from copra.mutation.finetune import make_plan, train_mutations
from copra.mutation.gather import gather_mutations
from copra.mutation.samples import open_mutations
from copra.mutation.zero_shot import predict_mutations
from copra.structure.residues import type_index
from copra.tables import read_table
from copra.train.data import collate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> MutationWorld:
    return mutation_world(tmp_path_factory.mktemp("mutations"))


@pytest.fixture(scope="module")
def table(world: MutationWorld) -> pd.DataFrame:
    return read_table(world.records, "mutation_records")


def tuned(world: MutationWorld, folder: Path, fold: int = 0, training: str = "all", **changed: Any) -> pd.DataFrame:
    train_mutations(
        world.records, name="tuned", experiment=fine_tuned(**changed), training=training, seed=SEED, fold=fold,
        checkpoint=folder / "checkpoint", history=folder / "history.jsonl", out=folder / "p.parquet", **world.given(),
    )  # fmt: skip
    return read_table(folder / "p.parquet", "mutation_predictions")


def test_a_mutant_differs_from_its_wild_type_in_the_changed_residues_alone(
    world: MutationWorld, table: pd.DataFrame
) -> None:
    samples = open_mutations(table, interfaces=world.interfaces, protein=[], rna=[], interface_nodes=14)
    i = list(table["mutation_id"]).index("cv:2aaa0")
    wild, mutant = (samples.sample(int(place[i]), 0.0) for place in (samples.wild, samples.mutant))
    changed = np.flatnonzero(wild.residue_type != mutant.residue_type)
    assert set(mutant.residue_type[changed]) == {type_index("A", True)}
    assert set(mutant.polymer_index[changed]) == {0}
    assert np.array_equal(wild.xyz_angstrom, mutant.xyz_angstrom)
    assert samples.ids[samples.mutant[i]] == "cv:2aaa0"


def test_several_changes_are_made_one_after_another(world: MutationWorld, table: pd.DataFrame) -> None:
    row = table[table["mutation_id"] == "cv:1aaa0"].copy()
    double = row.assign(mutation=f"{row['mutation'].iloc[0]},K2A", polymer_indices="0,1")
    one, two = (open_mutations(t, interfaces=world.interfaces, protein=[], rna=[], interface_nodes=16).sample(1, 0.0)
                for t in (row, double))  # fmt: skip
    assert np.flatnonzero(one.residue_type != two.residue_type).size == 1


def test_zero_shot_is_the_difference_of_two_predictions(
    world: MutationWorld, table: pd.DataFrame, tmp_path: Path
) -> None:
    predict_mutations(world.records, name="zero", out=tmp_path / "p.parquet", **world.given())
    said = read_table(tmp_path / "p.parquet", "mutation_predictions")
    of_all = said[said["training"] == "all"]
    assert len(of_all) == 4 * len(table)
    assert np.array_equal(said["predicted_ddg_kcal_mol"], -said["predicted_reverse_ddg_kcal_mol"], equal_nan=True)
    model = build_affinity_model(world.experiment, 0, 0).eval()
    model.load_state_dict(load_file(world.package / f"seed_{SEED}_fold_1.safetensors"))
    samples = open_mutations(table, interfaces=world.interfaces, protein=[], rna=[], interface_nodes=14)
    with torch.no_grad():
        dg = [float(model(collate([samples.sample(i, 0.0)], CPU).nodes, None, None)) for i in range(len(samples))]
    expected = (np.array(dg)[samples.mutant] - np.array(dg)[samples.wild]) * SD_KCAL_MOL
    found = of_all[of_all["fold"] == 1].set_index("mutation_id").loc[table["mutation_id"], "predicted_ddg_kcal_mol"]
    assert np.allclose(found, expected, atol=1e-4)
    assert np.abs(expected).max() > 1e-3
    mean = of_all[of_all["fold"] >= 0].groupby("mutation_id")["predicted_ddg_kcal_mol"].mean()
    ensemble = of_all[of_all["fold"] == -1].set_index("mutation_id")["predicted_ddg_kcal_mol"]
    assert np.allclose(ensemble.loc[mean.index], mean)


def test_unseen_rows_come_from_models_that_saw_no_related_record(world: MutationWorld, tmp_path: Path) -> None:
    predict_mutations(world.records, name="zero", out=tmp_path / "p.parquet", **world.given())
    said = read_table(tmp_path / "p.parquet", "mutation_predictions")
    unseen = said[said["training"] == "unseen"]
    folds = unseen.groupby("mutation_id")["fold"].agg(list)
    assert folds["cv:1aaa0"] == [-1, 0]
    assert folds["blind:5aaa1"] == [-1, 1]
    assert folds["cv:7aaa0"] == [-1, 0, 1, 2]  # related to no record


def test_all_starts_from_a_model_that_saw_the_wild_types_and_unseen_from_one_that_did_not(
    world: MutationWorld, table: pd.DataFrame
) -> None:
    base = open_base(world.package, table, world.interfaces, [], [])
    of_all, unseen = (make_plan(base, table, 2, training) for training in ("all", "unseen"))
    entry, part = table["pdb_id"].to_numpy(), table["part"].to_numpy()
    assert (of_all.base_fold, unseen.base_fold) == (0, 2)
    assert set(entry[of_all.learns]) == set(entry[(part == "cv") & (table["fold"] != 2).to_numpy(dtype=bool)])
    assert set(entry[unseen.tested & (part == "blind")]) == {"3aaa"}  # its record is of fold 2, that of 5aaa of fold 1
    assert set(entry[of_all.tested & (part == "blind")]) == {"3aaa", "5aaa"}
    assert set(entry[of_all.tested & (part == "extra")]) == {"6aaa"}  # 2aaa is learnt
    other = make_plan(base, table, 1, "unseen")
    assert "3aaa" in set(entry[make_plan(base, table, 1, "all").learns])
    assert "3aaa" not in set(entry[other.learns])  # it is in the blind set


@pytest.mark.parametrize("head", ["paper", "official"])
def test_fine_tuning_learns_and_says_both_directions(world: MutationWorld, tmp_path: Path, head: str) -> None:
    said = tuned(world, tmp_path, ddg_head=head, epochs=12)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    losses = [float(line.split('"training_loss": ')[1].split(",")[0]) for line in lines]
    assert min(losses) < 0.7 * losses[0]
    opposite = np.allclose(said["predicted_ddg_kcal_mol"], -said["predicted_reverse_ddg_kcal_mol"], atol=1e-6)
    assert opposite == (head == "paper")
    assert set(said["architecture"]) == {f"paper, trained on to ddG with the {head} head"}
    assert (said["failure"] == "").all()


def test_the_same_run_gives_the_same_and_goes_on_from_its_checkpoint(world: MutationWorld, tmp_path: Path) -> None:
    whole = tuned(world, tmp_path / "whole", epochs=2)
    tuned(world, tmp_path / "cut", epochs=2)
    checkpoint = tmp_path / "cut" / "checkpoint" / "checkpoint.safetensors"
    before = checkpoint.stat().st_mtime_ns
    again = tuned(world, tmp_path / "cut", epochs=2)
    assert checkpoint.stat().st_mtime_ns == before  # gone on from: nothing was left to do
    pd.testing.assert_frame_equal(whole, again)


def test_too_few_clusters_are_a_reason_and_no_error(world: MutationWorld, tmp_path: Path) -> None:
    said = tuned(world, tmp_path, inner_folds=9)
    assert said["predicted_ddg_kcal_mol"].isna().all()
    assert said["failure"].str.startswith("skipped: ").all()
    assert (tmp_path / "history.jsonl").read_bytes() == b""


def test_gathering_adds_the_mean_where_there_are_several_models(
    world: MutationWorld, table: pd.DataFrame, tmp_path: Path
) -> None:
    files = []
    for fold in range(3):
        for training in ("all", "unseen"):
            tuned(world, tmp_path / f"{training}{fold}", fold, training, epochs=1)
            files.append(tmp_path / f"{training}{fold}" / "p.parquet")
    gather_mutations(files, records=world.records, out=tmp_path / "g.parquet")
    said = read_table(tmp_path / "g.parquet", "mutation_predictions")
    of_all = said[said["training"] == "all"]
    held_out = of_all[of_all["part"] == "cv"].set_index("mutation_id")["fold"]
    assert held_out.to_dict() == table[table["part"] == "cv"].set_index("mutation_id")["fold"].astype(int).to_dict()
    blind = of_all[of_all["part"] == "blind"]
    assert {tuple(rows["fold"]) for _, rows in blind.groupby("mutation_id")} == {(-1, 0, 1, 2)}
    means = blind[blind["fold"] >= 0].groupby("mutation_id")["predicted_ddg_kcal_mol"].mean()
    assert np.allclose(blind[blind["fold"] == -1].set_index("mutation_id")["predicted_ddg_kcal_mol"], means)
    unseen = said[(said["training"] == "unseen") & (said["mutation_id"] == "blind:3aaa0")]
    assert list(unseen["fold"]) == [-1, 2]


def test_embeddings_of_another_model_are_refused(world: MutationWorld, table: pd.DataFrame, tmp_path: Path) -> None:
    changed = tmp_path / "models"
    changed.mkdir()
    for path in world.package.iterdir():
        (changed / path.name).write_bytes(path.read_bytes().replace(b"no language model", b"another language model"))
    with pytest.raises(InputError, match="learnt from the embeddings of another"):
        open_base(changed, table, world.interfaces, [], [])
    with pytest.raises(InputError, match="--training: expected one of all, unseen"):
        tuned(world, tmp_path, training="some")
