"""ddG without training on ddG: the difference of what models of dG say of mutant and wild type."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from copra.mutation.bases import Base, open_base
from copra.mutation.parts import ALL_FOLDS, SCOPES, Said, mean_of, rows_of
from copra.predict.members import Members
from copra.predict.package import read_package
from copra.tables import read_table, write_table

log = logging.getLogger(__name__)

SEEN = "skipped: every model was trained on a related record"


def predict_mutations(
    records: Path,
    *,
    name: str,
    package: Path,
    interfaces: Path,
    protein_embeddings: list[Path],
    rna_embeddings: list[Path],
    out: Path,
) -> None:
    """Write `mutation_predictions` of the zero-shot experiment `name` for the table `mutation_records`.

    `package` is the model package of its base. Each model of each seed is one row of a mutation, fold -1 their mean
    over the folds. `all`: every model. `unseen`: the models that learnt from no related record; where none is left,
    fold -1 has no value and says so. The way back, from the mutant to the wild type, is exactly the negative, as both
    are a difference of the same two predictions. Raises InputError as `open_base` and `read_package` do.
    """
    table = read_table(records, "mutation_records").sort_values("mutation_id", ignore_index=True)
    base = open_base(package, table, interfaces, protein_embeddings, rna_embeddings)
    ddg = differences(base)
    seen = base.seen(table)
    frames = [
        frame
        for seed in sorted({seed for seed, _ in ddg})
        for scope in SCOPES
        for frame in _rows(base, table, {fold: v for (s, fold), v in ddg.items() if s == seed}, seen, seed, scope)
    ]
    said = pd.concat(frames, ignore_index=True).assign(experiment=name, kind="zero_shot")
    write_table(said, out, "mutation_predictions")
    silent = said[(said["fold"] == ALL_FOLDS) & (said["failure"] != "")]
    log.info("%s: %d mutations, %d models; without prediction: %s", name, len(table), len(ddg),
             silent.groupby(["training", "failure"]).size().to_dict() or "none")  # fmt: skip


def differences(base: Base) -> dict[tuple[int, int], np.ndarray]:
    """dG of the mutant minus dG of the wild type in kcal/mol [mutations], by seed and fold; nan without a model."""
    nothing = np.full(len(base.samples.mutant), np.nan)
    found = {(one.seed, one.fold): nothing for one in base.told.missing_members}
    if base.told.members:
        package, samples = read_package(base.folder), base.samples
        every = [samples.sample(i, float("nan")) for i in range(len(samples))]
        dg = Members(package, None).dg_kcal_mol(every)
        for row, member in zip(dg, package.members, strict=True):
            found[member.seed, member.fold] = row[samples.mutant] - row[samples.wild]
    return found


def _rows(
    base: Base, table: pd.DataFrame, ddg: dict[int, np.ndarray], seen: dict[int, np.ndarray], seed: int, scope: str
) -> list[pd.DataFrame]:
    """The rows of one seed and way of training: each fold's model, then their mean."""
    frames, every = [], []
    for fold, value in sorted(ddg.items()):
        fresh = ~seen[fold] if scope == "unseen" else np.full(len(table), True)
        failure = base.why_missing(seed, fold)
        said = Said(
            predicted=np.where(fresh, value, np.nan), reverse=np.where(fresh, -value, np.nan),
            failure=np.full(len(table), failure, dtype=object), weights=base.told.weights_text,
            architecture=base.told.architecture,
        )  # fmt: skip
        every.append(said)
        frames.append(rows_of(table[fresh], said.of(fresh), seed=seed, fold=fold, training=scope))
    return [*frames, rows_of(table, mean_of(every, SEEN), seed=seed, fold=ALL_FOLDS, training=scope)]
