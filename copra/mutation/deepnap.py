"""ddG by a DeePNAP that was trained on dG: what it says of the mutant's sequences minus what of the wild type's.

It reads whole sequences, so it needs no structure and says something of mutations of RNA too. The way back is the
same difference with the opposite sign.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from copra.config_experiments import DeepNap
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.mutation.parts import ALL_FOLDS, SCOPES, Said, mean_of, rows_of
from copra.mutation.relations import split_names
from copra.predict.package import MODEL, Package, read_description, read_package
from copra.train.samples import Sample
from copra.train.sequences import open_sequences

SEEN = "skipped: every model was trained on a related record"
Fold = tuple[int, int]  # seed and fold of a model


def predict_differences(
    table: pd.DataFrame, folder: Path, mutants: pd.DataFrame, chains: pd.DataFrame
) -> list[pd.DataFrame]:
    """Rows of `mutation_predictions`, without experiment and kind, for every model of a package and their mean (-1).

    `mutants` and `chains` are the tables of full sequences. In `unseen` a model is silent on a mutation of which it
    was trained on a related record (`related_records`). Models that were never made, as their
    training diverged, have no value and say why. Raises InputError where the package is of another kind of model, and
    where a chain or a mutant has no sequence.
    """
    told = read_description(folder)
    if not isinstance(told.settings, DeepNap):
        raise InputError(f"{folder / MODEL}: expected a model of the kind deepnap, found {told.settings.model}")
    if not told.members:
        reason = told.missing_members[0].reason
        seeds = sorted({member.seed for member in told.missing_members})
        nothing = np.full(len(table), np.nan)
        silent = Said(nothing, nothing, np.full(len(table), reason, dtype=object), told.weights_text, told.architecture)
        return [rows_of(table, silent, seed=s, fold=ALL_FOLDS, training=scope) for s in seeds for scope in SCOPES]
    package = read_package(folder)
    ddg = _differences(package, table, mutants, chains)
    seen = _seen(package, table)
    frames = []
    for seed in sorted({member.seed for member in package.members}):
        for scope in SCOPES:
            every = []
            for i, member in enumerate(package.members):
                if member.seed != seed:
                    continue
                fresh = ~seen[member.fold] if scope == "unseen" else np.full(len(table), True)
                value = np.where(fresh, ddg[i], np.nan)
                empty = np.full(len(table), "", dtype=object)
                said = Said(value, -value, empty, package.weights_text, package.architecture)
                every.append(said)
                frames.append(rows_of(table[fresh], said.of(fresh), seed=seed, fold=member.fold, training=scope))
            frames.append(rows_of(table, mean_of(every, SEEN), seed=seed, fold=ALL_FOLDS, training=scope))
    return frames


def _seen(package: Package, table: pd.DataFrame) -> dict[int, np.ndarray]:
    """For each fold which mutations [n] have a related record among those that its models were trained on."""
    fold_of = dict(package.training()[["record_id", "fold"]].itertuples(index=False, name=None))
    related = [{fold_of[name] for name in split_names(cell) if name in fold_of} for cell in table["related_records"]]
    return {
        fold: np.array([bool(folds - {fold}) for folds in related], dtype=bool)
        for fold in {member.fold for member in package.members}
    }


def _differences(package: Package, table: pd.DataFrame, mutants: pd.DataFrame, chains: pd.DataFrame) -> np.ndarray:
    """dG of the mutant minus dG of the wild type in kcal/mol, [members, mutations]."""
    from copra.predict.members import Members  # imports torch

    wild, changed = mutated_sequences(table, mutants, chains)
    distinct = pd.concat([wild, changed]).drop_duplicates("record_id").reset_index(drop=True)
    every = open_sequences(distinct, protein=[], rna=[])
    samples: list[Sample] = [every.sample(i, float("nan")) for i in range(len(every))]
    dg = Members(package, None).dg_kcal_mol(samples)
    place = {name: i for i, name in enumerate(distinct["record_id"])}
    found: np.ndarray = (
        dg[:, [place[name] for name in changed["record_id"]]] - dg[:, [place[name] for name in wild["record_id"]]]
    )
    return found


def mutated_sequences(
    table: pd.DataFrame, mutants: pd.DataFrame, chains: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The full sequences of each mutation's complex as rows that `open_sequences` reads: wild types, mutants.

    record_id is the complex's id for the wild type, with the mutation's in front for the mutant. Every chain of
    `mutated_chains` has the mutant's sequence. Raises InputError where a sequence is missing or is not the wild type's.
    """
    of_chain = {(str(row.pdb_id), str(row.chain)): str(row.sequence) for row in chains.itertuples()}
    of_mutant = dict(mutants[["mutation_id", "mutant_sequence"]].itertuples(index=False, name=None))
    wild, changed = [], []
    for row in table.itertuples():
        where = f"mutation {row.mutation_id}"
        pdb_id, *names = str(row.complex_id).split(":")
        sides = [{chain: of_chain.get((pdb_id, chain), "") for chain in side.split(",")} for side in names]
        for chain, sequence in (sides[0] | sides[1]).items():
            if not sequence:
                raise InputError(f"{where}: no sequence of chain {chain} of {pdb_id}")
        wild.append(_sequences_row(str(row.complex_id), sides))
        if row.mutation_id not in of_mutant:
            raise InputError(f"{where}: no row of the table mutants holds its sequence")
        for chain in str(row.mutated_chains).split(","):
            side = sides[0] if chain in sides[0] else sides[1]
            if sha256_of_text(side.get(chain, "")) != row.wildtype_sha256:
                raise InputError(f"{where}: expected the wild type's sequence in chain {chain} of {row.complex_id}")
            side[chain] = of_mutant[row.mutation_id]
        changed.append(_sequences_row(f"{row.mutation_id} {row.complex_id}", sides))
    return pd.DataFrame(wild), pd.DataFrame(changed)


def _sequences_row(name: str, sides: list[dict[str, str]]) -> dict[str, str]:
    told = {"record_id": name}
    for molecule, side in zip(("protein", "rna"), sides, strict=True):
        told[f"{molecule}_sequences"] = ",".join(side.values())
        told[f"{molecule}_sha256"] = ",".join(sha256_of_text(text) for text in side.values())
    return told
