"""A model package of untrained small networks, for tests that predict: the numbers mean nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from copra.config import Esm2, LanguageModel, Rinalmo
from copra.config_file import load_config
from copra.config_model import Coformer
from copra.files import sha256_of_file
from copra.predict.package import (
    MODEL,
    TRAINING,
    Description,
    Embedding,
    Member,
    PooledMetrics,
    TrainingData,
    UsedLanguageModel,
    UsedLanguageModels,
    complex_settings,
)
from copra.tables import empty_table, write_table
from copra.train.models import build_model

ROOT = Path(__file__).resolve().parents[1]
RANDOM: dict[str, LanguageModel] = {
    "esm2_random": Esm2(family="esm2", layers=1, width=16, heads=2, weights="random:0"),
    "rinalmo_random": Rinalmo(family="rinalmo", layers=1, width=16, heads=2, weights="random:1"),
}


def tiny_model(
    folder: Path, *, protein_lm: str | None, rna_lm: str | None, n_members: int = 2, interface_nodes: int = 32
) -> Path:
    """Write the package of a Co-Former with fresh weights; the language models are names of RANDOM or none."""
    config = load_config(ROOT / "config.yaml")
    settings = config.experiments["coformer_structure"].model_dump()
    size = {"blocks": 1, "sequence_width": 16, "pair_width": 8, "heads": 2, "head_width": 16, "outer_product_width": 2}
    size |= {"protein_lm": protein_lm, "rna_lm": rna_lm, "interface_nodes": interface_nodes}
    experiment = Coformer(**settings | size)
    used = [
        UsedLanguageModel(name=name, settings=RANDOM[name], weights=RANDOM[name].weights, width=16) if name else None
        for name in (protein_lm, rna_lm)
    ]
    folder.mkdir(parents=True)
    members = []
    for fold in range(n_members):
        torch.manual_seed(fold)
        model = build_model(experiment, *(lm.width if lm else 0 for lm in used))
        file = folder / f"seed_1_fold_{fold}.safetensors"
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, file)
        members.append(
            Member(
                seed=1, fold=fold, file=file.name, sha256=sha256_of_file(file), label_mean_kcal_mol=-9.0 - fold,
                label_sd_kcal_mol=2.0 + fold, best_epoch=1, validation_rmse_kcal_mol=1.0,
            )
        )  # fmt: skip
    told = Description(
        format=1, experiment="tiny", settings=experiment, architecture="paper", members=members, missing_members=[],
        language_models=UsedLanguageModels(protein=used[0], rna=used[1]),
        weights_text="; ".join(f"{lm.name} {lm.weights}" for lm in used if lm) or "no language model",
        embedding=Embedding(dtype="float32", autocast="none", max_tokens_per_batch=512),
        structures=complex_settings(config, experiment), alignment=config.split.alignment,
        data=TrainingData(
            n_records=8, n_clusters=4, split_family="protein70", records_sha256="0" * 64, temperature_k=298.15
        ),
        metrics=PooledMetrics(n_records=0, rmse_kcal_mol=None, mae_kcal_mol=None, pcc=None, scc=None),
        protocol="nested", git_commit="", notice="",
    )  # fmt: skip
    write_table(empty_table("training_set"), folder / TRAINING, "training_set")
    (folder / MODEL).write_text(told.model_dump_json())
    return folder
