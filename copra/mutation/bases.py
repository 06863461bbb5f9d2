"""The trained models of dG that mutation effects start from: one package, and what each of its models has seen.

A model of fold k was trained on all records of the other folds, those that chose its epoch among them. It has seen a
relative of a mutation where one of the mutation's related records (`related_records`) stands in another fold than k.
This is about labels: of pre-training, which has none, `architecture` tells what it was kept from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.config_experiments import Neural
from copra.config_model import Coformer
from copra.errors import InputError
from copra.mutation.relations import split_names
from copra.mutation.samples import MutationSamples, open_mutations
from copra.predict.package import TRAINING, Description, read_description
from copra.tables import read_table
from copra.train.complexes import check_language_models


@dataclass(frozen=True)
class Base:
    """The models of an experiment and the mutations as they see them."""

    folder: Path
    told: Description
    samples: MutationSamples

    @property
    def experiment(self) -> Neural:
        """The settings that the models were trained with."""
        return self.told.settings

    def seen(self, table: pd.DataFrame) -> dict[int, np.ndarray]:
        """For each fold, which rows of `mutation_records` [n] have a related record that its models learnt from."""
        dealt = read_table(self.folder / TRAINING, "training_set")
        fold_of = dict(zip(dealt["record_id"], dealt["fold"], strict=True))
        related = [{fold_of[r] for r in split_names(cell) if r in fold_of} for cell in table["related_records"]]
        return {fold: np.array([bool(f - {fold}) for f in related], dtype=bool) for fold in self.folds()}

    def folds(self) -> list[int]:
        """The folds that a model was or should have been trained for, ascending."""
        return sorted({*(one.fold for one in self.told.members), *(one.fold for one in self.told.missing_members)})

    def why_missing(self, seed: int, fold: int) -> str:
        """Why there is no model of this seed and fold; "" where there is one. Raises InputError for unknown ones."""
        if any((one.seed, one.fold) == (seed, fold) for one in self.told.members):
            return ""
        for one in self.told.missing_members:
            if (one.seed, one.fold) == (seed, fold):
                return one.reason
        raise InputError(f"{self.folder}: knows of no model of seed {seed} and fold {fold}")


def open_base(
    folder: Path, table: pd.DataFrame, interfaces: Path, protein_embeddings: list[Path], rna_embeddings: list[Path]
) -> Base:
    """The package in `folder` with the mutations of `table` (`mutation_records`).

    Raises InputError where the package is of a model that sees no interface, or the embeddings are not those that its
    models learnt from.
    """
    told = read_description(folder)
    if told.settings.nodes != "interface":
        raise InputError(f"{folder}: expected a model of interfaces, found '{told.settings.model}' of whole sequences")
    samples = open_mutations(
        table, interfaces=interfaces, protein=protein_embeddings, rna=rna_embeddings,
        interface_nodes=told.settings.interface_nodes,
    )  # fmt: skip
    check_language_models(samples, told.settings)
    if samples.weights_text != told.weights_text:
        raise InputError(f"{folder}: learnt from the embeddings of {told.weights_text}, found {samples.weights_text}")
    return Base(folder, told, samples)


def coformer_settings(base: Base) -> Coformer:
    """The settings of a base that can be trained on to ddG; raises InputError where it is no Co-Former."""
    if not isinstance(base.experiment, Coformer):
        raise InputError(f"{base.folder}: expected a model of the kind coformer, found '{base.experiment.model}'")
    return base.experiment
