"""How far predicted distances across held-out interfaces are off, and how far those of simple predictors are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from copra.model.pair_features import N_RESIDUE_TYPES, N_SPECIAL
from copra.structure.distance_bins import BIN_CENTRES_ANGSTROM, N_BINS, distance_bin
from copra.train.data import Sample
from copra.train.pretraining_data import PairSet

Values = NDArray[np.float64]
Whole = NDArray[np.int64]
NEAR_BIN = 16  # below it: nearer than 7.75 angstrom
N_TYPES = N_RESIDUE_TYPES


@dataclass
class Interfacial:
    """The protein-RNA residue pairs of one complex, M of them, each once."""

    row: Whole  # the protein residue's node [M]
    column: Whole  # the nucleotide's node [M]
    bins: Whole  # the true bin [M]
    types: Whole  # number of the pair of residue types [M]
    backbone_angstrom: Values  # nearest backbone atoms [M], nan where there are none


def interfacial(sample: Sample, bins: NDArray[np.uint8]) -> Interfacial:
    """The protein-RNA pairs of a sample of n nodes; `bins` uint8 [n, n]."""
    protein, rna = np.flatnonzero(sample.molecule == 0), np.flatnonzero(sample.molecule == 1)
    row, column = np.repeat(protein, len(rna)), np.tile(rna, len(protein))
    xyz = np.where(sample.atom_mask[..., None], sample.xyz_angstrom, np.nan).astype(np.float64)
    difference = xyz[protein][:, None, :, None] - xyz[rna][None, :, None, :]  # [P, R, 4, 4, 3]
    distance = np.sqrt((difference**2).sum(-1)).reshape(len(row), -1)
    nearest = np.where(np.isnan(distance), np.inf, distance).min(axis=1, initial=np.inf)
    types = sample.residue_type[row] * N_TYPES + sample.residue_type[column]
    nearest[np.isinf(nearest)] = np.nan
    return Interfacial(row, column, bins[row, column].astype(np.int64), types.astype(np.int64), nearest)


@dataclass
class Marginals:
    """What the training pairs let expect without a model."""

    counts: Values = field(default_factory=lambda: np.zeros((N_TYPES**2, N_BINS)))  # bins by pair of residue types
    gap_sum_angstrom: float = 0.0  # nearest backbone atoms minus the middle of the true bin, near pairs
    gap_count: int = 0

    def add(self, pairs: Interfacial) -> None:
        """Count the residue pairs of one more complex."""
        np.add.at(self.counts, (pairs.types, pairs.bins), 1)
        near = (pairs.bins < NEAR_BIN) & ~np.isnan(pairs.backbone_angstrom)
        self.gap_sum_angstrom += float((pairs.backbone_angstrom - BIN_CENTRES_ANGSTROM[pairs.bins])[near].sum())
        self.gap_count += int(near.sum())

    def probabilities(self) -> Values:
        """Chance: the distribution of the bins over all training pairs [40]."""
        total = self.counts.sum(0) + 1e-12
        return total / total.sum()

    def of_types(self, types: Whole) -> Values:
        """The distribution for each pair's residue types [M, 40], with one count of chance added."""
        counts = self.counts[types] + self.probabilities()
        return counts / counts.sum(1, keepdims=True)

    def of_backbone(self, backbone_angstrom: Values) -> Values:
        """All on the bin that the nearest backbone atoms tell, less their mean gap to the nearest atoms [M, 40]."""
        gap = self.gap_sum_angstrom / max(1, self.gap_count)
        told = distance_bin(np.maximum(np.nan_to_num(backbone_angstrom, nan=1e3) - gap, 0.0))
        return np.eye(N_BINS)[told]


def count_marginals(pairs: PairSet) -> Marginals:
    """The marginals of a set of pairs."""
    found = Marginals()
    for i in range(len(pairs.complexes)):
        found.add(interfacial(pairs.complexes.sample(i, float("nan")), pairs.bins(i)))
    return found


def errors(probabilities: Values, bins: Whole) -> dict[str, Values]:
    """Per residue pair: how far the expected middle of the bin is from the true one's; whether the top bin is right.

    `probabilities` [M, 40], `bins` [M].
    """
    expected = probabilities @ BIN_CENTRES_ANGSTROM
    return {
        "mae_angstrom": np.abs(expected - BIN_CENTRES_ANGSTROM[bins]),
        "bin_accuracy": (probabilities.argmax(-1) == bins).astype(np.float64),
    }


def with_near(values: dict[str, Values], bins: Whole, condition: str, chosen: NDArray[np.bool_]) -> dict[str, float]:
    """Means over the chosen residue pairs and over the near ones of them: `{condition}|{metric}` -> value."""
    found: dict[str, float] = {}
    for name, part in ((condition, chosen), (f"{condition}_near", chosen & (bins < NEAR_BIN))):
        if part.any():
            found |= {f"{name}|{metric}": float(value[part].mean()) for metric, value in values.items()}
    return found


def node_count(sample_molecule: NDArray[np.int64], molecule: int) -> int:
    """How many nodes of a molecule a sample has."""
    return int((sample_molecule[N_SPECIAL:] == molecule).sum())
