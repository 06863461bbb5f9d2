"""The part of the configuration on mutation effects (Table 2): the sets, the folds and what is fitted to them.

An experiment's `kind` says which of the classes below it is; `base` names one of `experiments`, whose trained models
it starts from.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from copra.config_base import Count, Fraction, Name, Settings
from copra.config_model import Training
from copra.nearest import nearest

NotNegative = Annotated[float, Field(ge=0)]


class ZeroShot(Settings):
    """ddG as the difference of two predictions of dG, by models that have seen no ddG."""

    kind: Literal["zero_shot"]
    base: Name


class FineTuned(Training):
    """The models of `base` trained on to ddG."""

    kind: Literal["fine_tuned"]
    base: Name
    ddg_head: Literal["paper", "official"]  # MLP(mutant) - MLP(wild type), or a head on the difference of embeddings
    dropout: Fraction  # of the whole model while it learns ddG
    inner_folds: Annotated[int, Field(ge=2)]  # one of them, of whole clusters, chooses the epoch


class MeanEffect(Settings):
    """Predicts the mean ddG of the training mutations."""

    kind: Literal["mean"]


class SubstitutionBurial(Settings):
    """Ridge regression on what is exchanged and how deep it lies in the interface."""

    kind: Literal["substitution_burial"]
    matrix: Literal["BLOSUM62"]
    penalty: Annotated[list[NotNegative], Field(min_length=1)]  # chosen on inner folds
    inner_folds: Annotated[int, Field(ge=2)]


class McsmForest(Settings):
    """mCSM's kind: a random forest on distance signatures around the mutated residue."""

    kind: Literal["mcsm"]
    trees: Count
    min_samples_leaf: Annotated[list[Count], Field(min_length=1)]  # chosen on inner folds, as max_features
    max_features: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]
    inner_folds: Annotated[int, Field(ge=2)]


class DeepNapDifference(Settings):
    """Difference of two predictions of a DeePNAP that was trained on dG; it sees whole sequences."""

    kind: Literal["deepnap"]
    base: Name


class FoldXBuildModel(Settings):
    """Change of the interaction energy after BuildModel of the user's own FoldX."""

    kind: Literal["foldx"]


MutationBaseline = Annotated[
    MeanEffect | SubstitutionBurial | McsmForest | DeepNapDifference | FoldXBuildModel, Field(discriminator="kind")
]
MutationExperiment = Annotated[
    ZeroShot | FineTuned | MeanEffect | SubstitutionBurial | McsmForest | DeepNapDifference | FoldXBuildModel,
    Field(discriminator="kind"),
]


class Mutations(Settings):
    """The mutation sets by the names of their sources (null or not in use = no such set), and the experiments."""

    cv_source: Name | None  # cross-validated
    blind_source: Name | None  # never trained on
    extra_sources: list[Name]  # only predicted
    folds: Annotated[int, Field(ge=2, le=20)]  # of the cross-validated set, whole clusters
    related_identity: Annotated[float, Field(gt=0, le=1)]  # of proteins; from here on complexes are related
    experiments: dict[Name, MutationExperiment]
    table2: list[Name]  # [] = no table

    @model_validator(mode="after")
    def _names_are_known_and_differ(self) -> Mutations:
        for name in self.table2:
            if name not in self.experiments:
                raise ValueError(
                    f"mutations.table2: '{name}' is not in mutations.experiments; {nearest(name, self.experiments)}"
                )
        sources = list(self.parts())
        if len(sources) < len([s for s in (self.cv_source, self.blind_source, *self.extra_sources) if s]):
            raise ValueError(f"a source stands in two sets: {sources}")
        return self

    def parts(self) -> dict[str, str]:
        """The part (cv, blind or extra) of each source that is named."""
        extra = ((name, "extra") for name in self.extra_sources)
        named = [(self.cv_source, "cv"), (self.blind_source, "blind"), *extra]
        return {source: part for source, part in named if source is not None}

    def bases(self) -> list[str]:
        """The experiments whose trained models the rows of table2 need, each once."""
        named = [getattr(self.experiments[name], "base", None) for name in self.table2]
        return list(dict.fromkeys(name for name in named if name is not None))
