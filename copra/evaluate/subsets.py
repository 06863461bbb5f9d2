"""Subsets of the tested records: by size, by label grade and by how similar training records are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.evaluate.bootstrap import Mask
from copra.evaluate.scores import Values
from copra.evaluate.truth import Truth
from copra.linkage import single_linkage
from copra.split.families import training_side
from copra.split.leakage import Evidence, gather_evidence
from copra.tables import read_table

LOW_IDENTITY, HIGH_IDENTITY = 0.3, 0.7  # 0.7: the paper's limit between train and test
WHOLE = ("all", "pra201")  # these alone have all aggregates, differences and intervals
EXTERNAL = "external"
FEWEST_RECORDS, FEWEST_CLUSTERS = 20, 5


@dataclass(frozen=True)
class Subset:
    """Some of the records: which [n], and how many records and clusters they are."""

    name: str
    inside: Mask
    n_records: int
    n_clusters: int

    @property
    def counts(self) -> dict[str, Any]:
        """The columns of the tables that say which records were counted."""
        return {"subset": self.name, "n_records": self.n_records, "n_clusters": self.n_clusters}

    @property
    def note(self) -> str:
        """A warning where a number of so few records says little."""
        few = self.n_records < FEWEST_RECORDS or self.n_clusters < FEWEST_CLUSTERS
        return f"few records ({self.n_records} in {self.n_clusters} clusters)" if few else ""


@dataclass(frozen=True)
class Similarity:
    """What training has of each tested record [n], and the groups of related external records [m].

    `protein_identity`: the highest identity (0 to 1) of one of its protein chains to a chain that its fold's model
    was trained on. `same_rna`: whether one of its RNA sequences was trained on.
    """

    protein_identity: Values
    same_rna: Mask
    external_groups: np.ndarray


def measure_similarity(truth: Truth, records: Path, folds: Path, identities: Path, method: str) -> Similarity:
    """How similar each tested record is to the training records of its fold.

    External records have no cluster of the split family; they are grouped by single linkage at a protein identity of
    70 %. Raises InputError where `identities` lacks a pair of the records' sequences.
    """
    evidence = gather_evidence(records, identities)
    place = {name: i for i, name in enumerate(evidence.records["record_id"])}
    dealt = read_table(folds, "folds")
    highest, same = np.zeros(len(truth.test)), np.zeros(len(truth.test), dtype=bool)
    for fold in truth.folds:
        tested = truth.in_fold(fold)
        rows = [place[name] for name in truth.test.loc[tested, "record_id"]]
        columns = [place[name] for name in dealt.loc[training_side(dealt, fold, method), "record_id"]]
        between = np.ix_(rows, columns)
        highest[tested] = evidence.identity["protein"][between].max(axis=1, initial=0.0)
        same[tested] = evidence.same["rna"][between].any(axis=1)
    return Similarity(highest, same, _related(truth.external, evidence, place))


def _related(external: pd.DataFrame, evidence: Evidence, place: dict[str, int]) -> np.ndarray:
    names = external["record_id"].tolist()
    rows = [place[name] for name in names]
    near = np.argwhere(np.triu(evidence.identity["protein"][np.ix_(rows, rows)] >= HIGH_IDENTITY, k=1))
    group = single_linkage(names, [(names[a], names[b]) for a, b in near])
    return np.array([group[name] for name in names], dtype=object)


def choose_subsets(test: pd.DataFrame, similarity: Similarity) -> list[Subset]:
    """The subsets of the tested records that are not empty; the whole ones first."""
    identity = similarity.protein_identity
    chosen = {"all": np.ones(len(test), dtype=bool), "pra201": test["in_pra201"].to_numpy(dtype=bool)}
    grades = sorted(set(test["label_grade"]) - {""})
    chosen |= {f"grade_{grade}": (test["label_grade"] == grade).to_numpy() for grade in grades}
    chosen |= {
        "protein_identity_below_30": identity < LOW_IDENTITY,
        "protein_identity_30_to_70": (identity >= LOW_IDENTITY) & (identity < HIGH_IDENTITY),
        "protein_identity_70_or_more": identity >= HIGH_IDENTITY,
        "same_rna_in_training": similarity.same_rna,
    }
    clusters = test["cluster"].to_numpy()
    return [
        Subset(name, inside, int(inside.sum()), len(set(clusters[inside])))
        for name, inside in chosen.items()
        if inside.any()
    ]


def external_subset(similarity: Similarity) -> Subset:
    """The records that no fold holds."""
    groups = similarity.external_groups
    return Subset(EXTERNAL, np.ones(len(groups), dtype=bool), len(groups), len(set(groups)))
