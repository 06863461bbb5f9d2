"""Two chains aligned: local alignment (Smith-Waterman with affine gaps, by Biopython) and the identity it gives.

Local alignment also finds a shared domain; identity is over the whole shorter chain, as CD-HIT counts it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices

from copra.config_split import Alignment

STANDARD = {"protein": "ARNDCQEGHILKMFPSTWYV", "rna": "ACGU"}
UNKNOWN = {"protein": "X", "rna": "N"}


@dataclass(frozen=True)
class Match:
    """The best local alignment of two chains; `identity` is 0 to 1, as `identity_of` counts it."""

    n_aligned: int
    n_identical: int
    score: float
    identity: float


@dataclass(frozen=True)
class Comparison:
    """One sequence of a molecule (protein or rna) to be aligned with each of `others`."""

    molecule: str
    scoring: Alignment
    one: str
    others: list[str]


def compare(task: Comparison) -> list[Match]:
    """The matches of one sequence with the others, in their order."""
    aligner = make_aligner(task.scoring)
    return [align(task.one, other, task.molecule, aligner, task.scoring.min_aligned) for other in task.others]


def make_aligner(scoring: Alignment) -> PairwiseAligner:
    """A local aligner; the first residue of a gap costs `gap_open`, each further one `gap_extend`."""
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load(scoring.matrix)
    aligner.open_gap_score = -scoring.gap_open
    aligner.extend_gap_score = -scoring.gap_extend
    return aligner


def align(one: str, other: str, molecule: str, aligner: PairwiseAligner, min_aligned: int) -> Match:
    """The best local alignment of two sequences of one molecule; of equally good ones Biopython's first.

    An unknown residue (X, N) is identical to nothing, except that a sequence is always identical to itself.
    """
    a, b = (_plain(sequence, molecule) for sequence in (one, other))
    best = next(iter(aligner.align(a, b)), None)
    n_aligned = n_identical = 0
    if best is not None:  # else not one residue pair scores above zero
        codes_a, codes_b = (np.frombuffer(sequence.encode(), dtype=np.uint8) for sequence in (a, b))
        for (start_a, end_a), (start_b, end_b) in zip(*best.aligned, strict=True):
            part = codes_a[start_a:end_a]
            same = (part == codes_b[start_b:end_b]) & (part != ord(UNKNOWN[molecule]))
            n_aligned += int(end_a - start_a)
            n_identical += int(same.sum())
    identity = identity_of(n_identical, n_aligned, len(one), len(other), min_aligned)
    return Match(n_aligned, n_identical, float(best.score) if best else 0.0, 1.0 if one == other else identity)


def identity_of(n_identical: int, n_aligned: int, length_a: int, length_b: int, min_aligned: int) -> float:
    """Identical residues as a fraction of the shorter chain; of the longer one where too few are aligned.

    Four nucleotides are found in almost any longer RNA: with fewer than `min_aligned` aligned residues only
    chains of like length count as alike.
    """
    short, long = sorted((length_a, length_b))
    return n_identical / (short if n_aligned >= min_aligned else long)


def _plain(sequence: str, molecule: str) -> str:
    """The sequence in the letters of the substitution matrices, which write T for U."""
    known = "".join(letter if letter in STANDARD[molecule] else UNKNOWN[molecule] for letter in sequence)
    return known.replace("U", "T") if molecule == "rna" else known
