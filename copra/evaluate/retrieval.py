"""Finding a molecule's partner among others: who may stand in the line, at which place the partner comes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]
TOP = 5


@dataclass(frozen=True)
class Question:
    """A molecule of one pair, and the pairs whose other molecule it is asked about, the right one first."""

    pair: int
    candidates: NDArray[np.int64]


def ask(pairs: pd.DataFrame, clusters: NDArray[np.str_], find: str, k: int, seed: int) -> list[Question]:
    """One question for each two sequences of the held-out `pairs` (rows of the table `pri30k`).

    `find` is the molecule looked for, rna or protein. The other candidates are `k` - 1 distinct sequences, fewer
    where there are not as many, each in one of its pairs drawn at random. No candidate is a known partner: no RNA
    that a protein of the same cluster binds, and no protein of a cluster of which one binds the same RNA.
    """
    generator = np.random.default_rng([seed, int(find == "rna")])
    protein, rna = pairs["protein_sha256"].to_numpy(str), pairs["rna_sha256"].to_numpy(str)
    wanted = rna if find == "rna" else protein
    known = {(cluster, key) for cluster, key in zip(clusters, rna, strict=True)}
    asked: set[tuple[str, str]] = set()
    questions = []
    for i in range(len(pairs)):
        if (protein[i], rna[i]) in asked:
            continue
        asked.add((protein[i], rna[i]))
        if find == "rna":
            free = np.array([(clusters[i], key) not in known for key in rna], dtype=bool)
        else:
            free = np.array([(cluster, rna[i]) not in known for cluster in clusters], dtype=bool)
        order = generator.permutation(np.flatnonzero(free))
        _, first = np.unique(wanted[order], return_index=True)  # one pair of each sequence
        others = generator.permutation(order[first])[: k - 1]
        if len(others):
            questions.append(Question(i, np.concatenate(([i], others)).astype(np.int64)))
    return questions


def places(questions: list[Question], scores: Values) -> Values:
    """The place of the partner in each line [questions], 1 the first; equals share the mean of their places.

    `scores` [pairs, pairs]: how well the first molecule of a row's pair goes with the other one of a column's.
    """
    found = []
    for question in questions:
        of_line = scores[question.pair, question.candidates]
        found.append(1 + np.sum(of_line[1:] > of_line[0]) + np.sum(of_line[1:] == of_line[0]) / 2)
    return np.array(found, dtype=np.float64)


def retrieval_metrics(place: Values) -> dict[str, Values]:
    """Per question: whether the partner came first, or among the first five, and 1 / its place."""
    # of equals one half is ahead: a place of 1.5 is the first one half of the time
    return {
        "top1": np.clip(2 - place, 0, 1),
        f"top{TOP}": np.clip(TOP + 1 - place, 0, 1),
        "mrr": 1 / place,
    }


def chance(questions: list[Question]) -> dict[str, Values]:
    """The same for a line in random order."""
    k = np.array([len(question.candidates) for question in questions], dtype=np.float64)
    harmonic = np.array([np.sum(1 / np.arange(1, int(n) + 1)) for n in k])
    return {"top1": 1 / k, f"top{TOP}": np.minimum(TOP, k) / k, "mrr": harmonic / k}


def length_scores(training: pd.DataFrame, held: pd.DataFrame, find: str) -> Values:
    """The trivial predictor: how near a candidate's length is to what the other molecule's length lets expect.

    Lengths as logarithms, a straight line through the training pairs. [pairs, pairs], rows ask.
    """
    names = ("n_protein_residues", "n_rna_nucleotides")
    given, wanted = names if find == "rna" else names[::-1]
    x, y = (np.log(training[name].to_numpy(np.float64)) for name in (given, wanted))
    variance = float(np.var(x))
    slope = float(np.cov(x, y, bias=True)[0, 1]) / variance if variance > 0 else 0.0
    expected = y.mean() + slope * (np.log(held[given].to_numpy(np.float64)) - x.mean())
    found: Values = -np.abs(expected[:, None] - np.log(held[wanted].to_numpy(np.float64))[None])
    return found


def partner_size_scores(n_protein_nodes: NDArray[np.int64]) -> Values:
    """What positions give away: a candidate's number of protein residues in the interface is the asked pair's own.

    In a pass of both molecules with rotary positions, an RNA node stands behind as many protein residues as its own
    complex has; and of an interface that is cut to a fixed number of residues one molecule's part tells the other's.
    A model that finds partners no better than this may have learned no more than this.
    """
    size = n_protein_nodes.astype(np.float64)
    found: Values = -np.abs(size[:, None] - size[None])
    return found
