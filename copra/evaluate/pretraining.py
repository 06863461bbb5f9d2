"""What a pre-trained model knows of pairs whose proteins it has not seen, beside chance and trivial predictors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file

from copra.config_model import HeldOut, Recipe
from copra.errors import InputError
from copra.evaluate.distance_errors import Interfacial, count_marginals, errors, interfacial, node_count, with_near
from copra.evaluate.metrics import bootstrap_weights
from copra.evaluate.retrieval import ask, chance, length_scores, partner_size_scores, places, retrieval_metrics
from copra.model.coformer import shape_of
from copra.model.pretraining import ContrastPass, PretrainingModel
from copra.provenance.results import read_json
from copra.tables import TABLES, read_table, write_table
from copra.train.data import evaluation_batches
from copra.train.loop import make_deterministic
from copra.train.masks import draw_mask
from copra.train.pretrain import Inputs, open_pairs
from copra.train.pretraining_data import Mask, PairSet
from copra.train.pretraining_pairs import HELD_OUT, TRAINING

log = logging.getLogger(__name__)
Values = NDArray[np.float64]
AT_ONCE = 16  # complexes; the bins' probabilities of all their pairs are in memory, 11 MB for each of 259 nodes


@dataclass(frozen=True)
class Held:
    """A trained model and the pairs it is asked about."""

    network: PretrainingModel
    recipe: Recipe
    pairs: PairSet
    table: pd.DataFrame  # rows of `pri30k` with the column `cluster`
    training: pd.DataFrame
    seed: int
    device: torch.device


@dataclass(frozen=True)
class Answer:
    """Values of one metric, one for each of some held-out pairs."""

    task: str
    condition: str
    metric: str
    predictor: str
    pair: NDArray[np.int64]  # rows of the held-out table
    values: Values
    n_candidates: float | None


def evaluate_pretraining(
    model: Path,
    *,
    description: Path,
    pairs: Path,
    pri30k: Path,
    interfaces: list[Path],
    distances: list[Path],
    protein_embeddings: list[Path],
    rna_embeddings: list[Path],
    held_out: HeldOut,
    bootstrap_samples: int,
    confidence: float,
    out: Path,
) -> None:
    """Ask the model that `pretrain` wrote about the pairs it held out; writes the table `pretraining`.

    A recipe with the contrast is asked for the partner, in both directions, among `held_out.retrieval_candidates`
    sequences; one with distances for those between all protein and RNA residues of the interface, in a pass without
    masks and in one in which every complex is masked. Intervals come from resampling whole clusters of proteins.
    """
    device = make_deterministic()
    said = read_json(description)
    recipe = Recipe.model_validate(said["settings"])
    table = read_table(pri30k, "pri30k").merge(read_table(pairs, "pretraining_pairs"), on="pair_id")
    table = table.sort_values("pair_id", ignore_index=True)
    inputs = Inputs(interfaces, distances, protein_embeddings, rna_embeddings)
    training, held = (table[table["part"] == part].reset_index(drop=True) for part in (TRAINING, HELD_OUT))
    opened = open_pairs(held, recipe, inputs)
    if opened.complexes.weights_text != said["language_models"]:
        raise InputError(f"{model}: trained on embeddings of {said['language_models']}, given are others")
    network = PretrainingModel(shape_of(recipe, 1, *opened.complexes.lm_widths)).to(device).eval()
    network.load_state_dict(load_file(model, device=str(device)))
    one = Held(network, recipe, opened, held, training, int(said["seed"]), device)
    answers: list[Answer] = []
    if recipe.contrast:
        answers += find_partners(one, held_out.retrieval_candidates)
    if recipe.distance != "none":
        answers += measure(one, open_pairs(training, recipe, inputs))
    draws = bootstrap_weights(held["cluster"].to_numpy(), bootstrap_samples, np.random.default_rng(one.seed))
    rows = [_row(answer, one, said, draws, confidence) for answer in answers if len(answer.values)]
    write_table(pd.DataFrame(rows, columns=TABLES["pretraining"].schema().names), out, "pretraining")


def _row(answer: Answer, one: Held, said: dict[str, Any], draws: Values, confidence: float) -> dict[str, Any]:
    weights = draws[:, answer.pair]
    total = weights.sum(1)
    means = (weights @ answer.values)[total > 0] / total[total > 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    asked = one.table.iloc[answer.pair]
    return {
        "recipe": said["recipe"],
        "scope": said["scope"],
        "task": answer.task,
        "condition": answer.condition,
        "metric": answer.metric,
        "predictor": answer.predictor,
        "value": float(answer.values.mean()),
        "ci_low": float(low),
        "ci_high": float(high),
        "n_pairs": len(answer.values),
        "n_clusters": asked["cluster"].nunique(),
        "n_rna_seen": int(asked["rna_sha256"].isin(set(one.training["rna_sha256"])).sum()),
        "n_candidates": answer.n_candidates,
        "architecture": said["architecture"],
        "weights": said["language_models"],
        "seed": one.seed,
    }


def find_partners(one: Held, k: int) -> list[Answer]:
    """The place of the partner among at most k, for the model, for chance and for two trivial predictors."""
    passes: dict[str, ContrastPass] = {"as_trained": one.recipe.contrast_pass}
    if one.recipe.contrast_pass == "together":
        passes["apart"] = "apart"
    embedded = {name: embed_molecules(one, kind) for name, kind in passes.items()}
    size = np.array([node_count(_sample(one, i).molecule, 0) for i in range(len(one.table))])
    clusters = one.table["cluster"].to_numpy(str)
    answers = []
    for side, find in enumerate(("rna", "protein")):
        questions = ask(one.table, clusters, find, k, one.seed)
        pair = np.array([question.pair for question in questions], dtype=np.int64)
        n_candidates = float(np.mean([len(q.candidates) for q in questions])) if questions else None
        found = {("as_trained", "chance"): chance(questions)}
        scores = {("as_trained", "length"): length_scores(one.training, one.table, find)}
        scores["as_trained", "partner_size"] = partner_size_scores(size)
        for name, both in embedded.items():
            scores[name, "model"] = both[:, side] @ both[:, 1 - side].T
        found |= {key: retrieval_metrics(places(questions, values)) for key, values in scores.items()}
        for (condition, predictor), metrics in found.items():
            for metric, values in metrics.items():
                answers.append(Answer(f"find_{find}", condition, metric, predictor, pair, values, n_candidates))
    return answers


def _sample(one: Held, i: int) -> Any:
    return one.pairs.complexes.sample(i, float("nan"))


@torch.no_grad()
def embed_molecules(one: Held, contrast_pass: ContrastPass) -> Values:
    """P^s and R^s of every held-out pair at length 1, float64 [pairs, 2, d]."""
    found = np.zeros((len(one.table), 2, one.network.shape.sequence_width))
    for indices in evaluation_batches(one.pairs.complexes.sizes, AT_ONCE):
        batch = one.pairs.batch(indices, None, one.device).batch
        assert batch is not None
        rows = one.network.molecules(batch.nodes, batch.protein_lm, batch.rna_lm, contrast_pass)
        found[indices] = F.normalize(rows.double(), dim=-1).cpu().numpy()
    return found


def measure(one: Held, training: PairSet) -> list[Answer]:
    """Errors of the distances across the interface, for the model, for chance and for two trivial predictors."""
    marginals = count_marginals(training)
    collected: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
    for i, pairs, hidden, seen, masked in predicted_distances(one):
        all_pairs = np.ones(len(pairs.bins), dtype=np.bool_)
        told = {
            "chance": np.broadcast_to(marginals.probabilities(), (len(pairs.bins), len(marginals.probabilities()))),
            "residue_types": marginals.of_types(pairs.types),
            "backbone": marginals.of_backbone(pairs.backbone_angstrom),
        }
        for condition, chosen, model in (("unmasked", all_pairs, seen), ("masked", hidden, masked)):
            if model is None:
                continue
            for predictor, probabilities in {"model": model, **told}.items():
                values = with_near(errors(probabilities, pairs.bins), pairs.bins, condition, chosen)
                for name, value in values.items():
                    rows, numbers = collected.setdefault((name, predictor), ([], []))
                    rows.append(i)
                    numbers.append(value)
    answers = []
    for (name, predictor), (rows, numbers) in collected.items():
        condition, metric = name.split("|")
        where = np.array(rows, dtype=np.int64)
        answers.append(Answer("distance", condition, metric, predictor, where, np.array(numbers), None))
    return answers


@torch.no_grad()
def predicted_distances(
    one: Held,
) -> Iterator[tuple[int, Interfacial, NDArray[np.bool_], Values, Values | None]]:
    """Each held-out pair's residue pairs, which are masked, and the bins' probabilities without and with the mask.

    A pair of residues has two entries of Z; their probabilities are averaged. Without masks in the recipe nothing is
    masked, since the model has not learned what a mask is.
    """
    design, recipe = one.network.design, one.recipe
    for indices in evaluation_batches(one.pairs.complexes.sizes, AT_ONCE):
        sizes = [one.pairs.complexes.sizes[i] for i in indices]
        masks: list[Mask] = []
        for i, n in zip(indices, sizes, strict=True):
            generator = np.random.default_rng([one.seed, i])
            masks.append(draw_mask(n, max(sizes), recipe.masked_nodes, design, generator))
        seen = _probabilities(one, indices, None)
        masked = _probabilities(one, indices, masks) if recipe.distance == "masked_interface" else None
        for row, i in enumerate(indices):
            pairs = interfacial(_sample(one, i), one.pairs.bins(i))
            mask = cast(NDArray[np.bool_], masks[row])
            hidden = mask[pairs.row, pairs.column]
            both = [None if p is None else _of_pairs(p[row], pairs) for p in (seen, masked)]
            yield i, pairs, hidden, cast(Values, both[0]), both[1]


def _probabilities(one: Held, indices: list[int], masks: list[Mask] | None) -> torch.Tensor:
    """Probabilities of the bins for every two nodes, [B, L, L, 40]."""
    made = one.pairs.batch(indices, masks, one.device)
    batch = made.batch
    assert batch is not None
    b, length = batch.nodes.residue_type.shape
    everything = torch.ones((b, length, length), dtype=torch.bool, device=one.device)
    logits = one.network.distance_logits(batch.nodes, batch.protein_lm, batch.rna_lm, made.hidden, everything)
    return (logits.float() / one.recipe.temperature).softmax(-1).view(b, length, length, -1)


def _of_pairs(probabilities: torch.Tensor, pairs: Interfacial) -> Values:
    row, column = torch.from_numpy(pairs.row), torch.from_numpy(pairs.column)
    there = (probabilities[row, column] + probabilities[column, row]) / 2
    return cast(Values, there.double().cpu().numpy())
