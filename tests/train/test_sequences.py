"""Whole sequences as samples, and the training loop on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from copra.config_experiments import DeepNap, SequenceTransformer
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.structure.residues import RESIDUE_TYPES
from copra.tables import read_table
from copra.train.data import collate
from copra.train.finetune import train_fold
from copra.train.sequences import open_sequences

PROTEINS, RNAS = ["ARND", "WX"], ["ACGUN"]


def made_records(**other: str) -> pd.DataFrame:
    """One record of two proteins and an RNA."""
    keys = [",".join(map(sha256_of_text, texts)) for texts in (PROTEINS, RNAS)]
    row = {
        "record_id": "1abc:AB:C", "protein_sequences": ",".join(PROTEINS), "rna_sequences": ",".join(RNAS),
        "protein_sha256": keys[0], "rna_sha256": keys[1],
    }  # fmt: skip
    return pd.DataFrame([row | other])


def letters(types: np.ndarray) -> str:
    return "".join(RESIDUE_TYPES[i] for i in types)


def test_a_sample_holds_all_residues_of_all_chains_and_no_coordinates() -> None:
    opened = open_sequences(made_records(), protein=[], rna=[])
    sample = opened.sample(0, -9.5)
    assert (sample.record_id, sample.label, len(sample), opened.sizes) == ("1abc:AB:C", -9.5, 14, [14])
    assert sample.residue_type[:3].tolist() == [26, 27, 28]
    assert letters(sample.residue_type[3:]) == "ARNDWXACGUN"
    assert sample.molecule.tolist() == [-1] * 3 + [0] * 6 + [1] * 5
    assert sample.chain.tolist() == [-1] * 3 + [0] * 4 + [1] * 2 + [2] * 5
    assert sample.polymer_index.tolist() == [-1] * 3 + [*range(4), *range(2), *range(5)]
    assert not sample.atom_mask.any()
    assert not sample.xyz_angstrom.any()
    assert sample.protein_lm is None
    assert sample.rna_lm is None
    assert opened.lm_widths == (0, 0)
    assert opened.weights_text == "no language model"


def test_it_fits_into_a_batch(tiny_world) -> None:
    table = read_table(tiny_world.records, "records")
    opened = open_sequences(table, protein=[], rna=[])
    assert opened.ids == list(table["record_id"])
    assert len(opened) == len(table)
    nodes = collate([opened.sample(i, 0.0) for i in range(3)], torch.device("cpu")).nodes
    assert nodes.valid.sum(1).tolist() == opened.sizes[:3]
    lengths = table["n_protein_residues"] + table["n_rna_nucleotides"]
    assert opened.sizes == (lengths + 3).tolist()


def test_embeddings_stand_at_their_residues(tmp_path: Path, tiny_world, embedded: Callable) -> None:
    esm2, rinalmo = embedded(tiny_world, tmp_path)
    table = read_table(tiny_world.records, "records")
    opened = open_sequences(table, protein=[esm2], rna=[rinalmo])
    assert opened.lm_widths == (16, 8)
    assert opened.language_models == ("esm2_random", "rinalmo_random")
    assert opened.weights_text == "esm2_random random:0; rinalmo_random random:0"
    for path, column, width, molecule in ((esm2, "protein_sha256", 16, 0), (rinalmo, "rna_sha256", 8, 1)):
        with h5py.File(path) as file:
            names, offset = [name.decode() for name in file["key"][:]], file["offset"][:]
            i = names.index(table[column].iloc[5])
            expected = file["embedding"][offset[i] : offset[i + 1]]
        sample = opened.sample(5, 0.0)
        rows = (sample.protein_lm, sample.rna_lm)[molecule]
        assert rows is not None
        assert rows.shape == (len(sample), width)
        assert (rows[sample.molecule == molecule] == expected).all()
        assert not rows[sample.molecule != molecule].any()


def test_the_fingerprint_covers_sequences_names_and_models(tmp_path: Path, tiny_world, embedded: Callable) -> None:
    table = read_table(tiny_world.records, "records")
    esm2, rinalmo = embedded(tiny_world, tmp_path)

    def fingerprint(records: pd.DataFrame, **models: list[Path]) -> str:
        return open_sequences(records, **{"protein": [], "rna": [], **models}).fingerprint()

    renamed = table.assign(record_id=["z", *table["record_id"][1:]])
    swapped = table.copy()
    swapped[["rna_sequences", "rna_sha256"]] = table[["rna_sequences", "rna_sha256"]].to_numpy()[::-1]
    joined = made_records()
    split = made_records(protein_sequences="ARNDWX", protein_sha256=sha256_of_text("ARNDWX"))
    told = [
        fingerprint(table), fingerprint(table.iloc[::-1]), fingerprint(renamed), fingerprint(swapped),
        fingerprint(table, protein=[esm2]), fingerprint(table, rna=[rinalmo]), fingerprint(joined), fingerprint(split),
    ]  # fmt: skip
    assert len(set(told)) == len(told)
    assert fingerprint(table.copy()) == told[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protein_sequences": "ARND"}, "1 protein_sequences, expected the 2 of protein_sha256"),
        ({"rna_sequences": "ACGUT"}, r"rna_sequences hold \['T'\], expected ACGUN"),
        ({"rna_sequences": ""}, "rna_sequences hold an empty one"),
        ({"protein_sequences": "ARNN,WX"}, f"expected {sha256_of_text('ARND')}"),
    ],
)
def test_what_does_not_fit_is_named(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"record 1abc:AB:C: .*{message}"):
        open_sequences(made_records(**wrong), protein=[], rna=[])


def test_a_chain_without_embedding_is_named(tmp_path: Path, tiny_world, embedded: Callable) -> None:
    esm2, _ = embedded(tiny_world, tmp_path)
    with pytest.raises(InputError, match=r"no embedding of 2 sequences .*1abc:AB:C"):
        open_sequences(made_records(), protein=[esm2], rna=[])


# --- in the training loop -------------------------------------------------------------------------------


def fitted(world: Any, folder: Path, experiment: DeepNap | SequenceTransformer, lms: tuple[Path, ...]) -> pd.DataFrame:
    train_fold(
        world.records, folds=world.folds, fold=1, method="cd_hit", seed=7, name="tiny", experiment=experiment,
        interfaces=[], protein_embeddings=list(lms[:1]), rna_embeddings=list(lms[1:]),
        checkpoint=folder / "checkpoint", history=folder / "history.jsonl", out=folder / "predictions.parquet",
    )  # fmt: skip
    return read_table(folder / "predictions.parquet", "predictions")


def loop_of(experiment: Any) -> dict[str, Any]:
    """The training loop's settings of another experiment."""
    own = {"model", "nodes", "pair_information", "special_nodes", "pretrained", "preset", "switches", "blocks", "heads"}
    shape = {"sequence_width", "pair_width", "outer_product_width", "head_width"}
    return {key: value for key, value in experiment.model_dump().items() if key not in own | shape}


def test_deepnap_is_trained_on_whole_sequences(tmp_path: Path, tiny_world, tiny_experiment) -> None:
    settings = {"nodes": "sequences", "channels": [6, 6], "kernel": 3, "head_width": 8}
    experiment = DeepNap(**(loop_of(tiny_experiment) | {"model": "deepnap"} | settings))
    found = fitted(tiny_world, tmp_path / "a", experiment, ())
    assert found["predicted_dg_kcal_mol"].between(-20, 0).all()
    assert set(found["architecture"]) == {"deepnap channels=[6, 6] kernel=3 head_width=8"}
    assert found["predicted_dg_kcal_mol"].nunique() > 1
    fitted(tiny_world, tmp_path / "b", experiment, ())
    for file in ("predictions.parquet", "checkpoint/model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_transformer_reads_whole_sequences_with_embeddings(
    tmp_path: Path, tiny_world, tiny_experiment, embedded: Callable
) -> None:
    models = {"protein_lm": "esm2_random", "rna_lm": "rinalmo_random"}
    settings = {"nodes": "sequences", "blocks": 1, "width": 16, "heads": 2}
    experiment = SequenceTransformer(**(loop_of(tiny_experiment) | {"model": "transformer"} | models | settings))
    found = fitted(tiny_world, tmp_path / "a", experiment, embedded(tiny_world, tmp_path))
    assert set(found["weights"]) == {"esm2_random random:0; rinalmo_random random:0"}
    assert found["predicted_dg_kcal_mol"].between(-20, 0).all()
