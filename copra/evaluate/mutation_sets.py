"""Sets of mutations that are scored, and what an experiment says of them: which row of its predictions counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.evaluate.mutation_scores import Places
from copra.evaluate.problems import LABEL_TOLERANCE_KCAL_MOL, SKIPPED
from copra.evaluate.scores import Values
from copra.tables import concat_tables, read_table

BLIND = "blind"
SUBSETS = (BLIND, "blind_in_interface", "cv", "extra_single_protein", "extra_multi_protein", "extra_rna")
TRAININGS = ("all", "unseen")
ENSEMBLE = -1  # the fold of the mean over the fold models
# fitted to mutations: in the cross-validated set their folds are those of the mutations, and one of them counts
FITTED_KINDS = ("mean", "substitution_burial", "mcsm", "fine_tuned")


@dataclass(frozen=True)
class Guess:
    """What an experiment says of the mutations of a set [n].

    `inside` [m]: places of the mutations that every seed predicts; `values` and `reverse` [seeds, m] in kcal/mol,
    `reverse` nan where a method predicts none; `models` [k, m]: each single model that predicts them all.
    `status` is ok, partial, failed or skipped; without a number for the last two.
    """

    inside: Places
    values: Values
    reverse: Values
    models: Values
    status: str
    note: str


def read_mutation_records(path: Path) -> pd.DataFrame:
    """The table `mutation_records`; raises InputError for a part or molecule type that is not known."""
    records = read_table(path, "mutation_records")
    for column, known in (("part", {"cv", "blind", "extra"}), ("molecule_type", {"protein", "rna"})):
        strange = sorted(set(records[column]) - known)
        if strange:
            raise InputError(f"{path}: {column}: expected one of {sorted(known)}, found {strange}")
    return records


def read_mutation_predictions(paths: list[Path], records: pd.DataFrame) -> pd.DataFrame:
    """The rows of tables `mutation_predictions`.

    Raises InputError where two rows have the same key, a mutation is not in `records`, or its measured ddG is not
    the one there.
    """
    said = concat_tables(paths, "mutation_predictions")
    key = ["experiment", "seed", "fold", "training", "mutation_id"]
    twice = said[said.duplicated(key)]
    if len(twice):
        raise InputError(f"mutation_predictions: two rows with the key {tuple(twice.iloc[0][key])}")
    known = records.set_index("mutation_id")["ddg_kcal_mol"]
    strange = sorted(set(said["mutation_id"]) - set(known.index))
    if strange:
        raise InputError(f"mutation_predictions: {len(strange)} mutations are not in mutation_records: {strange[:3]}")
    off = ~((said["measured_ddg_kcal_mol"] - said["mutation_id"].map(known)).abs() <= LABEL_TOLERANCE_KCAL_MOL)
    if off.any():
        names = sorted(set(said.loc[off, "mutation_id"]))
        raise InputError(f"mutation_predictions: measured ddG differs from mutation_records: {names[:3]}")
    strange = sorted(set(said["training"]) - set(TRAININGS))
    if strange:
        raise InputError(f"mutation_predictions: training: expected one of {TRAININGS}, found {strange}")
    return said


def mutation_subsets(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The mutations of each subset that has any, sorted by their id."""
    ordered = records.sort_values("mutation_id", ignore_index=True)
    part, protein, single = ordered["part"], ordered["molecule_type"] == "protein", ordered["n_changes"] == 1
    extra = part == "extra"
    inside = {
        BLIND: part == "blind",
        "blind_in_interface": (part == "blind") & ordered["in_interface"],
        "cv": part == "cv",
        "extra_single_protein": extra & protein & single,
        "extra_multi_protein": extra & protein & ~single,
        "extra_rna": extra & ~protein,
    }
    found = {name: ordered[inside[name]].reset_index(drop=True) for name in SUBSETS}
    return {name: frame for name, frame in found.items() if len(frame)}


def choose_rows(said: pd.DataFrame, kind: str, mutations: pd.DataFrame) -> pd.DataFrame:
    """The rows of one experiment and way of training that count, at most one per seed and mutation.

    In the cross-validated set that is, for what was fitted to mutations, the model whose fold held the mutation out;
    else the ensemble (fold -1), and where a seed has a single row of a mutation, that one.
    """
    of_set = said[said["mutation_id"].isin(set(mutations["mutation_id"]))]
    part = mutations.set_index("mutation_id")["part"]
    fold = mutations.set_index("mutation_id")["fold"]
    if kind in FITTED_KINDS:
        tested = of_set["mutation_id"].map(part) == "cv"
        held_out = of_set["fold"] == of_set["mutation_id"].map(fold)
        of_set = of_set[~tested | held_out]
    alone = ~of_set.duplicated(["seed", "mutation_id"], keep=False)
    return of_set[alone | (of_set["fold"] == ENSEMBLE)]


def gather(said: pd.DataFrame, kind: str, mutations: pd.DataFrame) -> Guess:
    """What one experiment says, in one way of training, of the mutations of a set [n], in their order.

    A mutation counts where every seed has a finite number for it; the others are told in `note` with their causes.
    """
    rows = choose_rows(said, kind, mutations)
    names = mutations["mutation_id"].tolist()
    seeds = sorted(set(rows["seed"]))
    if said.empty:
        return _nothing("failed", "no predictions")
    if rows.empty:
        return _nothing("skipped", "no predictions of these mutations")
    columns = ["predicted_ddg_kcal_mol", "predicted_reverse_ddg_kcal_mol"]
    forward, reverse = (
        rows.pivot(index="seed", columns="mutation_id", values=column).reindex(seeds, columns=names).to_numpy(float)
        for column in columns
    )
    inside = np.flatnonzero(np.isfinite(forward).all(axis=0))
    lost = len(names) - len(inside)
    cause = _causes(rows, set(names)) if lost else ""
    if not len(inside):
        told = rows.loc[rows["failure"] != "", "failure"]
        skipped = len(told) > 0 and bool(told.str.startswith(SKIPPED).all())
        return _nothing("skipped" if skipped else "failed", cause)
    held_out = kind in FITTED_KINDS and (mutations["part"] == "cv").any()  # there each model says its own fold
    models = _single_models(said.iloc[:0] if held_out else said, [names[i] for i in inside])
    note = f"{lost} of {len(names)} mutations have no prediction: {cause}" if lost else ""
    return Guess(inside, forward[:, inside], reverse[:, inside], models, "partial" if lost else "ok", note)


def _nothing(status: str, cause: str) -> Guess:
    none = np.zeros((0, 0))
    return Guess(np.zeros(0, dtype=np.int64), none, none, none, status, cause)


def _causes(rows: pd.DataFrame, names: set[str]) -> str:
    """Why mutations have no number, each cause with how many it took, the most frequent first."""
    guess = rows["predicted_ddg_kcal_mol"].to_numpy(dtype=float)
    lost = rows[~np.isfinite(guess)].drop_duplicates("mutation_id")
    told = Counter(str(failure).removeprefix(SKIPPED) or "no finite number" for failure in lost["failure"])
    absent = len(names - set(rows["mutation_id"]))
    if absent:
        unseen = set(rows["training"]) == {"unseen"}
        told["every model was trained on a related record" if unseen else "not predicted"] += absent
    partly = sum(told.values())
    ranked = sorted(told.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) == 1:
        return ranked[0][0]
    shown = "; ".join(f"{cause} ({number})" for cause, number in ranked[:3])
    return shown + (f"; ... ({partly} in all)" if len(ranked) > 3 else "")


def _single_models(said: pd.DataFrame, names: list[str]) -> Values:
    """Predictions [k, m] of every single model (seed and fold) that has a finite number for all of these mutations."""
    part = said[(said["fold"] != ENSEMBLE) & said["mutation_id"].isin(set(names))]
    table = part.pivot(index=["seed", "fold"], columns="mutation_id", values="predicted_ddg_kcal_mol")
    values = table.reindex(columns=names).to_numpy(dtype=float).reshape(-1, len(names))
    return values[np.isfinite(values).all(axis=1)]
