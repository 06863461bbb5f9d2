"""A trained model as a folder to predict with: the weights of every fold and seed, and what they were trained on.

    model.json                        Description
    seed_{seed}_fold_{fold}.safetensors   one file per member, as `copra train-fold` wrote it
    training.parquet                  the table `training_set`

Every member was trained without one fold; together they are the ensemble that predicts a complex nobody has labelled.
How far they are off on the records they had not seen is kept too, so that an interval can be put around a prediction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError

from copra.config import Config, LanguageModel
from copra.config_base import Count, Positive, Settings
from copra.config_experiments import Neural
from copra.config_split import PairAlignment
from copra.errors import InputError
from copra.evaluate.conformal import conformal_quantile
from copra.files import sha256_of_file
from copra.predict.cautions import ComplexLimits
from copra.tables import read_table

FORMAT = 1
MODEL, TRAINING = "model.json", "training.parquet"
MAX_RECORDS = 1_000_000  # all that was ever measured is a thousandth of it; a packed table may claim any number
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Member(Settings):
    """The model of one seed and fold; `file` stands in the package's folder."""

    seed: int
    fold: int
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+\.safetensors$")]
    sha256: Sha256
    label_mean_kcal_mol: float  # the model's output is (dG - mean) / sd
    label_sd_kcal_mol: Positive
    best_epoch: int
    validation_rmse_kcal_mol: float


class MissingMember(Settings):
    """A seed and fold without a model, and why."""

    seed: int
    fold: int
    reason: str


class UsedLanguageModel(Settings):
    """A language model that every member reads; another one's numbers mean nothing to it."""

    name: str  # as the configuration calls it
    settings: LanguageModel
    weights: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|random:\d+)$")]
    width: Count


class UsedLanguageModels(Settings):
    """Those of an experiment; null where it reads none."""

    protein: UsedLanguageModel | None
    rna: UsedLanguageModel | None


class Embedding(Settings):
    """How the embeddings that the members were trained on were computed and rounded."""

    dtype: Literal["float16", "float32"]  # of the stored values: float16 rounds
    autocast: Literal["none", "bf16", "fp16", "auto"]
    max_tokens_per_batch: Count


class ComplexSettings(Settings):
    """How interfaces were cut, and what the complexes of the training set keep to; see `structures` and `pra310`."""

    contact_cutoff_angstrom: Positive
    interface_nodes: Count  # of the cut interface; the experiment takes the nearest of these
    max_packing_contacts: Annotated[int, Field(ge=0)]
    max_protein_chains: Count
    max_rna_chains: Count
    max_protein_residues: Count
    max_rna_nucleotides: Count


class TrainingData(Settings):
    """The labelled records."""

    n_records: Count
    n_clusters: Count
    split_family: str
    records_sha256: Sha256  # of the file with the table `records`
    temperature_k: Positive  # median of the labels


class PooledMetrics(Settings):
    """Over all records that a member had not seen, each with the mean prediction over seeds; null = not defined."""

    n_records: int
    rmse_kcal_mol: float | None
    mae_kcal_mol: float | None
    pcc: float | None
    scc: float | None


class Description(Settings):
    """What model.json holds."""

    format: Literal[1]
    experiment: str
    settings: Neural
    architecture: str
    members: list[Member]
    missing_members: list[MissingMember]
    language_models: UsedLanguageModels
    weights_text: str  # as the tables of results have it
    embedding: Embedding
    structures: ComplexSettings
    alignment: PairAlignment  # how the split families compare sequences: `split.alignment`
    data: TrainingData
    metrics: PooledMetrics
    protocol: str
    git_commit: str
    notice: str


@dataclass(frozen=True)
class Package:
    """A model package that was read and whose files are what they were; see `Description`."""

    folder: Path
    name: str  # of the experiment
    experiment: Neural
    architecture: str
    members: tuple[Member, ...]
    missing_members: tuple[MissingMember, ...]
    language_models: UsedLanguageModels
    weights_text: str
    embedding: Embedding
    structures: ComplexSettings
    alignment: PairAlignment  # how the split families compare sequences: `split.alignment`
    data: TrainingData
    metrics: PooledMetrics
    protocol: str
    git_commit: str
    notice: str

    def training(self) -> pd.DataFrame:
        """The table `training_set`: the labelled records, sorted by record_id.

        Raises InputError for a table without rows, and for one that would fill the memory.
        """
        path = self.folder / TRAINING
        table = read_table(path, "training_set", MAX_RECORDS)
        if table.empty:
            raise InputError(f"{path}: expected labelled records, found none")
        return table

    def half_width_kcal_mol(self, coverage: float) -> float:
        """Half the width of a split-conformal interval around the ensemble's dG, in kcal/mol.

        From the absolute errors of the records as predicted by members that had not seen them; infinity where there
        are too few for the coverage. See copra/evaluate/conformal.py for the sources.
        """
        table = self.training()
        error = (table["dg_kcal_mol"] - table["out_of_fold_dg_kcal_mol"]).abs().to_numpy(dtype=np.float64)
        return conformal_quantile(error[~np.isnan(error)], coverage)

    def limits(self) -> ComplexLimits:
        """What the training set's complexes keep to, as choosing chains and its warnings read it."""
        told = self.structures
        # a model of whole sequences leaves out no residue
        whole = told.max_protein_residues + told.max_rna_nucleotides
        seen = min(self.experiment.interface_nodes, told.interface_nodes)
        return ComplexLimits(
            max_packing_contacts=told.max_packing_contacts,
            max_protein_chains=told.max_protein_chains,
            max_rna_chains=told.max_rna_chains,
            max_protein_residues=told.max_protein_residues,
            max_rna_nucleotides=told.max_rna_nucleotides,
            interface_nodes=seen if self.experiment.nodes == "interface" else whole,
        )

    def member_path(self, member: Member) -> Path:
        """The file of a member's weights."""
        return self.folder / member.file


def read_package(folder: Path) -> Package:
    """Read a model package and check the sum of every member's weights.

    Raises InputError for a folder that is no package or of another format, for a package without members (with the
    reason), and where a file is missing or not what it was when it was packed.
    """
    told = read_description(folder)
    if not told.members:
        gone = [f"seed {one.seed}, fold {one.fold}: {one.reason}" for one in told.missing_members]
        why = gone[0] if gone else "none is named"
        raise InputError(f"{folder}: '{told.experiment}' has no model to predict with; {len(gone)} are missing ({why})")
    for member in told.members:
        path = folder / member.file
        if not path.is_file():
            raise InputError(f"{path}: not there; {folder / MODEL} names it with sha256 {member.sha256}")
        found = sha256_of_file(path)
        if found != member.sha256:
            raise InputError(f"{path}: not what was packed: found sha256 {found}, expected {member.sha256}")
    if not (folder / TRAINING).is_file():
        raise InputError(f"{folder / TRAINING}: not there; a model package holds its training set")
    parts = {name: getattr(told, name) for name in Description.model_fields}
    for name in ("format", "settings", "members", "missing_members", "experiment"):
        del parts[name]
    return Package(
        folder=folder,
        name=told.experiment,
        experiment=told.settings,
        members=tuple(told.members),
        missing_members=tuple(told.missing_members),
        **parts,
    )


def read_description(folder: Path) -> Description:
    """What a package says of itself; the weights are not looked at.

    Raises InputError for a folder that is no package, and for another format.
    """
    path = folder / MODEL
    if not path.is_file():
        found = "no such folder" if not folder.is_dir() else f"a folder without {MODEL}"
        raise InputError(f"{folder}: {found}; expected a model package, as `copra models` lists them")
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable JSON file: {error}") from None
    if not isinstance(told, dict) or "format" not in told:
        raise InputError(f"{path}: not the description of a model package: expected a key `format`")
    if told["format"] != FORMAT:
        raise InputError(
            f"{path}: a model package of format {told['format']!r}, expected {FORMAT}: another version of copra "
            "made it; predict with that version, or make the package anew with `snakemake models`"
        )
    try:
        return Description.model_validate_json(json.dumps(told), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path}: not the description of a model package: {where}: found {first['input']!r:.80}; {first['msg']}"
        ) from None


def complex_settings(config: Config, experiment: Neural) -> ComplexSettings:
    """What the package of an experiment keeps of `structures` and `pra310`."""
    structures, limits = config.structures, config.pra310
    whole = experiment.nodes == "interface" and experiment.interface_nodes > structures.interface_nodes
    return ComplexSettings(
        contact_cutoff_angstrom=structures.contact_cutoff_angstrom,
        interface_nodes=structures.whole_complex_nodes if whole else structures.interface_nodes,
        max_packing_contacts=limits.max_packing_contacts,
        max_protein_chains=limits.max_protein_chains,
        max_rna_chains=limits.max_rna_chains,
        max_protein_residues=limits.max_protein_residues,
        max_rna_nucleotides=limits.max_rna_nucleotides,
    )
