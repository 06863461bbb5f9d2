"""Pre-train Co-Former on chain pairs of PRI30k, without relatives of a test fold."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors.torch import save_file

from copra.config_model import HeldOut, Recipe
from copra.files import replacing, sha256_of_text
from copra.model.coformer import shape_of
from copra.model.design import design_name
from copra.model.pretraining import PretrainingModel
from copra.provenance.fingerprint import fingerprint
from copra.structure.distance_bins import DistanceBins
from copra.tables import write_table
from copra.train.complexes import check_language_models
from copra.train.data import open_complexes
from copra.train.loop import WITHOUT_EFFECT, Task, arithmetic, make_deterministic, train
from copra.train.pretraining_data import PairBatch, PairSet, epoch_batches, sequence_numbers
from copra.train.pretraining_pairs import hold_out, pairs_frame, protein_clusters, require_purged, usable_pairs
from copra.train.pretraining_task import pretraining_loss, validation
from copra.train.ranks import Ranks, from_first, started
from copra.train.state import State

log = logging.getLogger(__name__)

VALIDATION_EPOCH = 0  # training counts from 1
Chosen = tuple[pd.DataFrame, npt.NDArray[np.str_], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Inputs:
    """The files that pairs are read from."""

    interfaces: list[Path]
    distances: list[Path]
    protein_embeddings: list[Path]
    rna_embeddings: list[Path]


def pretrain(
    pri30k: Path,
    *,
    kept: Path | None = None,
    chains: Path,
    interfaces: list[Path],
    distances: list[Path],
    protein_embeddings: list[Path],
    rna_embeddings: list[Path],
    name: str,
    scope: str,
    recipe: Recipe,
    held_out: HeldOut,
    max_pairs: int | None = None,
    seed: int,
    threads: int,
    checkpoint: Path,
    model: Path,
    description: Path,
    metrics: Path,
    pairs: Path,
) -> None:
    """Pre-train by the recipe `name` on the pairs that `kept` lists (all where it is not given).

    `scope` says whose test fold was purged (fold_0, or all). Whole clusters of proteins are held out and choose the
    epoch. Writes the best epoch's weights to `model`, what they are to `description`, one JSON line per epoch to
    `metrics` and the table `pretraining_pairs` to `pairs`; the folder `checkpoint` holds the state, from which a
    killed run goes on. `max_pairs` draws whole entries. Several processes started by torchrun or srun share each
    batch. Raises InputError where no pair is left or data do not fit, CopraError where a purged pair would be used
    or a loss is not finite.
    """
    device = make_deterministic()
    with started(device) as place:
        # one process looks and asks CD-HIT, the others are told
        choose = (pri30k, kept, chains, interfaces, recipe, held_out, max_pairs, seed, threads)
        table, clusters, held = cast(Chosen, from_first(_choose(*choose) if place.first else None))
        inputs = Inputs(interfaces, distances, protein_embeddings, rna_embeddings)
        parts = [open_pairs(table[rows], recipe, inputs) for rows in (~held, held)]
        require_purged(table["pair_id"], kept)
        key = _fingerprint(recipe, parts, seed, scope, place, device)
        network, state = _fit(recipe, parts, seed, place, device, checkpoint, key)
        if not place.first:
            return
        said = {"recipe": name, "scope": scope, "seed": seed, "ranks": place.size}
        said |= {"purged": "relatives of the test fold" if kept else "nothing"}
        said |= {"clusters_held_out": len(set(clusters[held]))}
        said |= _description(recipe, parts, state)
        _write(network, state, said, model, description)
        with replacing(metrics) as temporary:
            temporary.write_text(
                "".join(json.dumps(line, sort_keys=True) + "\n" for line in state.history), encoding="utf-8"
            )
        write_table(pairs_frame(table, clusters, held), pairs, "pretraining_pairs")


def _choose(
    pri30k: Path,
    kept: Path | None,
    chains: Path,
    interfaces: list[Path],
    recipe: Recipe,
    held_out: HeldOut,
    max_pairs: int | None,
    seed: int,
    threads: int,
) -> Chosen:
    """The pairs, the cluster of each one's protein, and which are held out; the same for every recipe of a seed."""
    generator = np.random.default_rng([seed, 0])
    table = usable_pairs(pri30k, kept, interfaces, max_pairs, generator)
    clusters = protein_clusters(table, chains, held_out.protein_identity, threads)
    held = hold_out(clusters, recipe.validation_clusters, generator)
    log.info(
        "%d pairs of %d clusters to train on, %d pairs of %d clusters held out",
        (~held).sum(), len(set(clusters[~held])), held.sum(), len(set(clusters[held])),
    )  # fmt: skip
    return table, clusters, held


def open_pairs(table: pd.DataFrame, recipe: Recipe, inputs: Inputs) -> PairSet:
    """The pairs of rows of the table `pri30k`; raises InputError where data are missing or of another model."""
    ids = list(table["pair_id"])
    complexes = open_complexes(
        ids,
        interfaces=inputs.interfaces,
        protein=inputs.protein_embeddings,
        rna=inputs.rna_embeddings,
        interface_nodes=recipe.interface_nodes,
    )
    check_language_models(complexes, recipe)
    bins = DistanceBins(inputs.distances, ids) if recipe.distance != "none" else None
    return PairSet(complexes, sequence_numbers(table), bins)


def _fit(
    recipe: Recipe,
    parts: list[PairSet],
    seed: int,
    place: Ranks,
    device: torch.device,
    folder: Path,
    key: str,
) -> tuple[PretrainingModel, State]:
    training, held = parts
    run_seed = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    shape = shape_of(recipe, 1, *training.complexes.lm_widths)  # no dG head here
    with torch.random.fork_rng():
        torch.manual_seed(run_seed)
        network = PretrainingModel(shape).to(device)

    def batches(pairs: PairSet, epoch: int, first: int) -> Iterator[PairBatch]:
        return epoch_batches(
            pairs, recipe, shape.design, seed=run_seed, epoch=epoch, first=first, place=place, device=device
        )

    task: Task[PairBatch] = Task(
        batches=lambda epoch, first: batches(training, epoch, first),
        n_batches=-(-len(training.complexes) // recipe.batch_size),
        loss=lambda batch: pretraining_loss(network, batch, recipe),
        validate=lambda: validation(network, batches(held, VALIDATION_EPOCH, 0), len(held.complexes), recipe),
    )
    state = train(network, task, recipe, seed=run_seed, folder=folder, fingerprint=key)
    network.load_state_dict(state.best_weights)
    log.info("best epoch %d of %d, validation loss %.4f", state.best_epoch, state.epoch, state.best_loss)
    return network, state


def _fingerprint(
    recipe: Recipe, parts: list[PairSet], seed: int, scope: str, place: Ranks, device: torch.device
) -> str:
    """What a checkpoint must share with a run to be gone on from: settings, data, seed, scope, code, machine."""
    told: dict[str, Any] = {
        "settings": recipe.model_dump(exclude=WITHOUT_EFFECT),
        "pairs": [pairs.complexes.fingerprint() for pairs in parts],
        "seed": seed,
        "scope": scope,
        "code": fingerprint("pretrain"),
        "arithmetic": arithmetic(device),
        "ranks": place.size,
    }
    return sha256_of_text(json.dumps(told, sort_keys=True))


def _description(recipe: Recipe, parts: list[PairSet], state: State) -> dict[str, Any]:
    """What model.json tells of the model itself."""
    training, held = (pairs.complexes for pairs in parts)
    return {
        "settings": recipe.model_dump(),
        "architecture": design_name(recipe.preset, recipe.switches),
        "language_models": training.weights_text,
        "protein_lm_width": training.lm_widths[0],
        "rna_lm_width": training.lm_widths[1],
        "pairs_trained_on": len(training),
        "pairs_held_out": len(held),
        "best_epoch": state.best_epoch,
        "epochs": state.epoch,
        "validation_loss": state.best_loss,
    }


def _write(network: PretrainingModel, state: State, said: dict[str, Any], model: Path, description: Path) -> None:
    """The best epoch's weights, the Co-Former's under `coformer.`, and what is needed to use them."""
    tensors = {key: tensor.cpu().contiguous() for key, tensor in network.state_dict().items()}
    with replacing(model) as temporary:
        save_file(tensors, temporary)
    with replacing(description) as temporary:
        temporary.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
