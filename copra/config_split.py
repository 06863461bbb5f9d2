"""The part `split` of the configuration: split families, alignments and what pre-training must not see."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from copra.config_base import Count, Name, Positive, Settings
from copra.nearest import nearest

Identity = Annotated[float, Field(gt=0, le=1)]
CdHitIdentity = Annotated[float, Field(ge=0.4, le=1)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class ByCdHit(Settings):
    """A split family: records with proteins in one CD-HIT cluster stand together."""

    method: Literal["cd_hit"]
    protein_identity: CdHitIdentity


class ByIdentity(Settings):
    """A split family by pairwise alignments of proteins, RNA or both; null = this molecule does not count."""

    method: Literal["alignment"]
    protein_identity: Identity | None
    rna_identity: Identity | None

    @model_validator(mode="after")
    def _one_counts(self) -> ByIdentity:
        if self.protein_identity is None and self.rna_identity is None:
            raise ValueError("protein_identity and rna_identity are both null; one must be given")
        return self


class ByDate(Settings):
    """A split family by release date; `grouped_as` names the family whose clusters its records carry."""

    method: Literal["release_date"]
    test_from: Annotated[list[Date], Field(min_length=1)]
    grouped_as: Name

    @model_validator(mode="after")
    def _rising(self) -> ByDate:
        if self.test_from != sorted(set(self.test_from)):
            raise ValueError(f"test_from must rise, found {self.test_from}")
        return self


class ByFile(Settings):
    """A split family from a file of ids; `grouped_as` names the family whose clusters its records carry."""

    method: Literal["file"]
    path: str
    grouped_as: Name


SplitFamily = Annotated[ByCdHit | ByIdentity | ByDate | ByFile, Field(discriminator="method")]


class Alignment(Settings):
    """Scores of a local alignment; with fewer than `min_aligned` aligned residues identity is over the longer chain."""

    matrix: Literal["BLOSUM62", "NUC.4.4"]
    gap_open: Positive
    gap_extend: Positive
    min_aligned: Count


class PairAlignment(Settings):
    """How two proteins and how two RNA are aligned."""

    protein: Alignment
    rna: Alignment


class Purge(Settings):
    """What pre-training on PRI30k must not have seen of a test fold; `rna_identity` null = RNA does not count."""

    protein_identity: CdHitIdentity
    rna_identity: Identity | None


class Split(Settings):
    """Clusters and folds: `family` is trained on, `compare` stand in the leakage report."""

    family: Name
    compare: Annotated[list[Name], Field(min_length=1)]
    folds: Annotated[int, Field(ge=2, le=20)]
    balance: Literal["mean", "mean_and_spread"]
    families: dict[Name, SplitFamily]
    alignment: PairAlignment
    purge: Purge

    @model_validator(mode="after")
    def _names_exist(self) -> Split:
        clustered = sorted(name for name, family in self.families.items() if family.method in ("cd_hit", "alignment"))
        for key, name in [("family", self.family), *(("compare", name) for name in self.compare)]:
            if name not in self.families:
                raise ValueError(f"split.{key}: '{name}' is not in split.families; {nearest(name, self.families)}")
        for name, family in self.families.items():
            if isinstance(family, ByDate | ByFile) and family.grouped_as not in clustered:
                alike = nearest(family.grouped_as, clustered)
                raise ValueError(
                    f"split.families.{name}.grouped_as: '{family.grouped_as}' is none of those with clusters; {alike}"
                )
        if self.families[self.family].method == "release_date":
            raise ValueError(f"split.family: '{self.family}' is by date; training knows folds without an order only")
        return self
