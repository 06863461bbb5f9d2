"""The matrix of features of a classical baseline: one row per record, named columns in the order of their names."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.config_experiments import MEASURED, Feature, Regressor
from copra.embed.store import UNREADABLE, lengths_of, open_embeddings, read_description, read_stored
from copra.errors import InputError
from copra.tables import concat_tables
from copra.train.folds import NO_LANGUAGE_MODEL

log = logging.getLogger(__name__)

AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
NUCLEOTIDES = "ACGU"
COUNTS = ("distance_signatures",)  # measured sets whose values are counts: none written = 0


class Unmeasured(InputError):
    """Records whose interface could not be measured; the log of measure-interfaces says why."""


@dataclass(frozen=True)
class Sources:
    """Files that features are read from; the records themselves are a table already."""

    measured: list[Path]
    protein_embeddings: list[Path]
    rna_embeddings: list[Path]


@dataclass(frozen=True)
class Columns:
    """Features [records, columns], float64, their names, and which columns follow from the RNA alone."""

    names: list[str]
    values: np.ndarray
    of_rna: np.ndarray

    def with_partners(self, partner: np.ndarray) -> Columns:
        """The same, but row i has the RNA's columns of row partner[i]."""
        values = self.values.copy()
        values[:, self.of_rna] = values[np.ix_(partner, self.of_rna)]
        return Columns(self.names, values, self.of_rna)


def read_features(records: pd.DataFrame, n_training: int, experiment: Regressor, sources: Sources) -> Columns:
    """The features of an experiment; the first `n_training` rows of the table `records` are trained on.

    Sequence features are exact counts of the full chains: `lengths` residues and nucleotides, `chain_counts` chains,
    `composition` fractions of the 20 amino acids and the 4 nucleotides (0 where a molecule has no known letter), and
    the halves of these. Embeddings are means over all residues of all chains of the molecule. Measured features are
    those that some training record has; for the sets of COUNTS what a record lacks is 0.

    Of the RNA alone are: rna_length, rna_composition, rna_embedding, and of lengths, chain_counts and composition
    the columns n_rna_nucleotides, n_rna_chains and rna_A, rna_C, rna_G, rna_U.

    Raises InputError where a record, a sequence or a value is missing, a value is not finite, or embeddings are not
    those of the experiment's language models.
    """
    check_language_models(experiment, sources)
    parts = []
    for feature in sorted(set(experiment.features)):
        if feature in MEASURED:
            parts.append(_measured(records, n_training, feature, sources.measured))
        elif feature == "protein_embedding":
            parts.append(_embedding(records, feature, "protein_sha256", sources.protein_embeddings))
        elif feature == "rna_embedding":
            parts.append(_embedding(records, feature, "rna_sha256", sources.rna_embeddings))
        else:
            parts.append(_of_sequences(records, feature))
    names = [name for part in parts for name in part.names]
    order = np.argsort(names)
    values = np.concatenate([part.values for part in parts], axis=1)[:, order]
    names = [names[i] for i in order]
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise InputError(f"record {records['record_id'].iloc[row]}: {names[column]} is {values[row, column]}")
    return Columns(names, values, np.concatenate([part.of_rna for part in parts])[order])


def shuffled_partners(part: Iterable[str], generator: np.random.Generator) -> np.ndarray:
    """For each row another one of the same part (training, test, external), int [records].

    The rows of a part, in random order, hand on to each other in one ring, so no row keeps its own. A part of one
    row has no other: it keeps its own, which is logged. Parts are drawn in the order in which they stand.
    """
    parts = np.asarray(list(part), dtype=str)
    partner = np.arange(len(parts))
    for name in dict.fromkeys(parts.tolist()):
        ring = generator.permutation(np.flatnonzero(parts == name))
        if len(ring) == 1:
            log.warning("the only %s record keeps its own partner", name)
        partner[ring] = np.roll(ring, -1)
    return partner


def check_partner(experiment: Regressor, name: str) -> None:
    """Raise InputError where `shuffle_partner` is set and the RNA's features are none, or cannot be told apart."""
    measured = [feature for feature in experiment.features if feature in MEASURED]
    if experiment.shuffle_partner and measured:
        raise InputError(
            f"experiment '{name}': shuffle_partner deals the RNA's features anew, and {measured} are of both molecules "
            "together; expected features of sequences or embeddings"
        )
    if experiment.shuffle_partner and all(feature.startswith("protein_") for feature in experiment.features):
        raise InputError(f"experiment '{name}': shuffle_partner is set, but {list(experiment.features)} have no RNA")


def weights_text(experiment: Regressor, sources: Sources) -> str:
    """Where the embeddings come from, `esm2_650M sha256:...; rinalmo_giga sha256:...`, as for neural models."""
    pairs = ((experiment.protein_lm, sources.protein_embeddings), (experiment.rna_lm, sources.rna_embeddings))
    said = [read_description(paths) for wanted, paths in pairs if wanted is not None]
    return "; ".join(f"{d['language_model']} {d['weights']}" for d in said) or NO_LANGUAGE_MODEL


def check_language_models(experiment: Regressor, sources: Sources) -> None:
    """Raise InputError where the embeddings are not those of the language models that the experiment names."""
    protein = ("protein", experiment.protein_lm, sources.protein_embeddings)
    rna = ("rna", experiment.rna_lm, sources.rna_embeddings)
    for molecule, wanted, paths in (protein, rna):
        if wanted is None and not paths:
            continue
        said = read_description(paths) if paths else {"language_model": None, "molecule_type": molecule}
        if (said["molecule_type"], said["language_model"]) != (molecule, wanted):
            where = f"{sorted(paths)[0]}: " if paths else ""
            raise InputError(
                f"{where}{said['molecule_type']} embeddings of {said['language_model']!r}, expected {molecule} "
                f"embeddings of {wanted!r}"
            )


def _of_sequences(records: pd.DataFrame, feature: Feature) -> Columns:
    numbers: dict[str, list[str]] = {
        "lengths": ["n_protein_residues", "n_rna_nucleotides"],
        "chain_counts": ["n_protein_chains", "n_rna_chains"],
        "protein_length": ["n_protein_residues"],
        "rna_length": ["n_rna_nucleotides"],
    }
    if feature in numbers:
        names = numbers[feature]
        values = records[names].to_numpy(dtype=np.float64)
        of_rna = [name.startswith("n_rna") for name in names]
    else:
        both = {"protein": AMINO_ACIDS, "rna": NUCLEOTIDES}
        molecules = list(both) if feature == "composition" else [feature.removesuffix("_composition")]
        names = [f"{molecule}_{letter}" for molecule in molecules for letter in both[molecule]]
        values = np.concatenate([_fractions(records[f"{m}_sequences"], both[m]) for m in molecules], axis=1)
        of_rna = [name.startswith("rna") for name in names]
    return Columns([f"{feature}.{name}" for name in names], values, np.array(of_rna))


def _fractions(sequences: pd.Series, letters: str) -> np.ndarray:
    counts = np.array([[text.count(letter) for letter in letters] for text in sequences], dtype=np.float64)
    fractions: np.ndarray = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return fractions


def _embedding(records: pd.DataFrame, feature: Feature, column: str, paths: list[Path]) -> Columns:
    """Mean over all residues of all chains; a chain that stands twice in the complex counts twice."""
    chains = [text.split(",") for text in records[column]]
    sums = _residue_sums(paths, {key for keys in chains for key in keys})
    for name, keys in zip(records["record_id"], chains, strict=True):
        absent = [key for key in keys if key not in sums]
        if absent:
            files = f"{len(paths)} files, first {sorted(paths)[0]}"
            raise InputError(f"record {name}: the embedding of sequence {absent[0]} is not in {files}")
    values = np.stack([sum(sums[k][0] for k in keys) / sum(sums[k][1] for k in keys) for keys in chains])
    of_rna = np.full(values.shape[1], feature == "rna_embedding")
    return Columns([f"{feature}.{i:05}" for i in range(values.shape[1])], values, of_rna)


def _residue_sums(paths: list[Path], keys: set[str]) -> dict[str, tuple[np.ndarray, int]]:
    """For each sequence the sum over its residues, float64 [width], and their number; one sequence in memory at once.

    310 records of width 1280 are 0.5 GB as float32, so they are summed as they are read.
    """
    found: dict[str, tuple[np.ndarray, int]] = {}
    for path in sorted(paths):
        with open_embeddings(path) as file:
            try:
                for key, stored in read_stored(file, [key for key in lengths_of(file) if key in keys]):
                    found[key] = stored.values.astype(np.float32).sum(axis=0, dtype=np.float64), len(stored.values)
            except UNREADABLE as error:
                raise InputError(f"{path}: damaged file of embeddings: {error}") from error
    return found


def _measured(records: pd.DataFrame, n_training: int, feature: Feature, paths: list[Path]) -> Columns:
    """One set of the table `interface_features`; columns are those of the training records."""
    table = concat_tables(paths, "interface_features")
    table = table[(table["feature_set"] == feature) & table["record_id"].isin(records["record_id"])]
    twice = table[table.duplicated(["record_id", "feature"])]
    if len(twice):
        record, name = twice.iloc[0][["record_id", "feature"]]
        raise InputError(f"interface features: record {record} has {feature}.{name} twice")
    ids = list(records["record_id"])
    absent = sorted(set(ids) - set(table["record_id"]))
    if absent:
        raise Unmeasured(
            f"interface features: {len(absent)} of {len(ids)} records have no row of the set '{feature}' in "
            f"{len(paths)} files, first {absent[0]}"
        )
    wide = table.pivot(index="record_id", columns="feature", values="value").reindex(ids)
    names = sorted(set(table.loc[table["record_id"].isin(ids[:n_training]), "feature"]))
    if feature in COUNTS:
        wide = wide.fillna(0.0)
    values = wide.to_numpy(dtype=np.float64)
    gaps = np.argwhere(np.isnan(values))
    if len(gaps):
        row, column = gaps[0]
        raise InputError(f"interface features: record {ids[row]} has no finite {feature}.{wide.columns[column]}")
    return Columns(
        [f"{feature}.{name}" for name in names],
        wide[names].to_numpy(dtype=np.float64),
        np.zeros(len(names), dtype=bool),
    )
