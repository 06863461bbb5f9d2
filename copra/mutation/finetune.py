"""Fine-tuning to ddG: cross-validated over whole clusters, then tested on the blind set; one job per held-out fold.

Which model of dG a run starts from and which mutations it learns, by the way of training:

- `all`, as the paper: the run that holds out fold k of the mutations starts from the model of fold k + 1 of the
  records (the first after the last). That one was trained on the labels of fold k, among them those of the wild types
  of the held-out mutations, wherever `copra select-mutations` gave their cluster the fold of its related records. All
  other folds of the mutations are learnt, relatives of blind complexes too, and every mutation is tested.
- `unseen`: the run starts from the model of fold k itself. Mutations of a cluster that holds a blind complex are not
  learnt, and only mutations of which the model of dG saw no related record are tested; so a blind mutation is tested
  by few of the runs, often by one. See copra/mutation/bases.py for what a model has seen.

In both, an extra mutation is tested only by runs that learnt no mutation of its cluster: the extra sets repeat many
mutations of the cross-validated one. One part of whole clusters of the mutations to learn chooses the epoch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from copra.config_mutation import FineTuned
from copra.errors import Diverged, InputError
from copra.files import replacing
from copra.model.coformer import build_affinity_model
from copra.mutation.bases import Base, coformer_settings, open_base
from copra.mutation.parts import SCOPES, Said, rows_of
from copra.mutation.tuning import Effects, Start, predict_effects, tune
from copra.predict.package import read_package
from copra.tables import empty_table, read_table, write_table
from copra.train.folds import choose_validation
from copra.train.loop import make_deterministic
from copra.train.ranks import started

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What one run does, in rows of the sorted `mutation_records`; bool [n] each."""

    base_fold: int  # of the model of dG that it starts from
    learns: np.ndarray  # trained on or choosing the epoch
    tested: np.ndarray
    seen: np.ndarray  # held-out mutations that cannot be tested: the model of dG saw a related record


def train_mutations(
    records: Path,
    *,
    name: str,
    experiment: FineTuned,
    package: Path,
    training: str,
    seed: int,
    fold: int,
    interfaces: Path,
    protein_embeddings: list[Path],
    rna_embeddings: list[Path],
    checkpoint: Path,
    history: Path,
    out: Path,
) -> None:
    """Train the experiment `name` on to ddG outside one fold and predict what it has not learnt.

    `records` is the table `mutation_records`, `package` the model package of the base, `training` all or unseen. The
    folder `checkpoint` receives the state (a killed run goes on from it), metrics.jsonl and the chosen weights as
    model.safetensors; `history` is metrics.jsonl. Too few clusters to learn from, a base that has no model and a
    model that diverges are no error of the run: the predictions are missing and say why. Raises InputError as
    `open_base` does, and for another way of training.
    """
    if training not in SCOPES:
        raise InputError(f"--training: expected one of {', '.join(SCOPES)}, found {training!r}")
    device = make_deterministic()
    table = read_table(records, "mutation_records").sort_values("mutation_id", ignore_index=True)
    base = open_base(package, table, interfaces, protein_embeddings, rna_embeddings)
    plan = make_plan(base, table, fold, training)
    tested = np.flatnonzero(plan.tested)
    there, back, failure = np.full(len(tested), np.nan), np.full(len(tested), np.nan), ""
    with started(device) as place:
        try:
            failure = _cannot_start(base, table, plan, experiment, seed)
            if not failure:
                there, back = _run(base, table, plan, experiment, seed, fold, checkpoint, device, place.first)
        except Diverged as error:
            log.error("%s diverged: %s", name, error)
            failure = f"diverged: {error}"
    if not place.first:
        return
    frames = _frames(base, table, plan, experiment, (there, back), failure, seed=seed, fold=fold, training=training)
    lines = checkpoint / "metrics.jsonl"
    with replacing(history) as temporary:
        temporary.write_bytes(lines.read_bytes() if lines.is_file() and not failure.startswith("skipped") else b"")
    said = pd.concat(frames, ignore_index=True).assign(experiment=name, kind="fine_tuned")
    write_table(said if len(said) else empty_table("mutation_predictions"), out, "mutation_predictions")


def make_plan(base: Base, table: pd.DataFrame, fold: int, training: str) -> Plan:
    """What the run that holds out `fold` of the rows of `mutation_records` does; see the top of this file."""
    folds, is_cv = base.folds(), (table["part"] == "cv").to_numpy()
    base_fold = folds[(fold + (training == "all")) % len(folds)]
    held_out = is_cv & (table["fold"] == fold).fillna(False).to_numpy(dtype=bool)
    learns = is_cv & ~held_out
    seen = np.zeros(len(table), dtype=bool)
    if training == "unseen":
        blind_clusters = set(table.loc[table["part"] == "blind", "cluster"])
        learns &= ~table["cluster"].isin(blind_clusters).to_numpy()
        seen = base.seen(table)[base_fold]
    learnt = table["cluster"].isin(set(table.loc[learns, "cluster"])).to_numpy()
    is_blind, is_extra = ((table["part"] == part).to_numpy() for part in ("blind", "extra"))
    tested = (held_out | is_blind | (is_extra & ~learnt)) & ~seen
    return Plan(base_fold, learns, tested, held_out & seen)


def _cannot_start(base: Base, table: pd.DataFrame, plan: Plan, experiment: FineTuned, seed: int) -> str:
    """Why there is nothing to train, or ""."""
    missing = base.why_missing(seed, plan.base_fold)
    if missing:
        return f"skipped: the model of fold {plan.base_fold} to start from is missing: {missing}"
    n_clusters = table.loc[plan.learns, "cluster"].nunique()
    if n_clusters < experiment.inner_folds:
        return f"skipped: {n_clusters} clusters to learn from; {experiment.inner_folds} inner folds need as many"
    return ""


def _run(
    base: Base, table: pd.DataFrame, plan: Plan, experiment: FineTuned, seed: int, fold: int, checkpoint: Path,
    device: torch.device, is_first: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Train and predict: ddG there and back in kcal/mol of the tested mutations."""
    run_seed = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    start = _start(base, experiment, seed, plan.base_fold)
    learns = np.flatnonzero(plan.learns)
    ddg = table["ddg_kcal_mol"].to_numpy(dtype=np.float64)
    chooses = choose_validation(
        list(table["cluster"].iloc[learns]), experiment.inner_folds, np.random.default_rng([seed, fold])
    )
    sets = [Effects(rows.tolist(), ddg[rows]) for rows in (learns[~chooses], learns[chooses])]
    model, _ = tune(
        start, experiment, base.samples, *sets, run_seed=run_seed, folder=checkpoint, device=device
    )  # fmt: skip
    tested = np.flatnonzero(plan.tested).tolist()
    if not is_first:
        return np.full(len(tested), np.nan), np.full(len(tested), np.nan)
    with replacing(checkpoint / "model.safetensors") as temporary:
        save_file({key: tensor.cpu().contiguous() for key, tensor in model.state_dict().items()}, temporary)
    return predict_effects(model, base.samples, tested, experiment, start.label_sd_kcal_mol, device)


def _start(base: Base, experiment: FineTuned, seed: int, fold: int) -> Start:
    """The base's model of one seed and fold, ready to learn, with the dropout of the experiment."""
    package = read_package(base.folder)
    member = next(m for m in package.members if (m.seed, m.fold) == (seed, fold))
    settings = coformer_settings(base).model_copy(update={"dropout": experiment.dropout})
    with torch.random.fork_rng():  # fresh weights are drawn and then overwritten
        model = build_affinity_model(settings, *base.samples.lm_widths)
    model.load_state_dict(load_file(package.member_path(member)), strict=True)
    return Start(model, member.sha256, settings, member.label_sd_kcal_mol)


def _frames(
    base: Base, table: pd.DataFrame, plan: Plan, experiment: FineTuned, ddg: tuple[np.ndarray, np.ndarray],
    failure: str, *, seed: int, fold: int, training: str,
) -> list[pd.DataFrame]:  # fmt: skip
    """Rows of `mutation_predictions`, without experiment and kind: what was tested, and what could not be."""
    architecture = f"{base.told.architecture}, trained on to ddG with the {experiment.ddg_head} head"
    nothing = np.full(int(plan.seen.sum()), np.nan)
    parts = (
        (plan.tested, *ddg, failure),
        (plan.seen, nothing, nothing, "skipped: the model of dG saw a related record"),
    )
    frames = []
    for chosen, there, back, why in parts:
        told = np.full(len(there), why, dtype=object)
        said = Said(there, back, told, base.told.weights_text, architecture)
        frames.append(rows_of(table[chosen], said, seed=seed, fold=fold, training=training))
    return frames
