"""What is said of one complex: the prediction with all that stands behind it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ChosenComplex:
    """Which chains of a file were taken as the complex, and why."""

    file: str
    file_sha256: str
    complex_id: str  # name:protein_chains:rna_chains
    protein_chains: tuple[str, ...]  # author ids
    rna_chains: tuple[str, ...]
    reason: str  # one sentence for the reader
    other_copies: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]  # equal complexes of the file that were not taken
    warnings: tuple[str, ...]  # modified residues, gaps, low predicted confidence, ...


@dataclass(frozen=True)
class ResidueView:
    """One residue of the interface, as the page shows it."""

    chain: str
    number: int  # author number
    insertion_code: str
    name: str  # component id, ARG or A
    letter: str
    is_protein: bool
    partner_distance_angstrom: float
    contribution_kcal_mol: float  # change of the predicted dG when the residue is hidden; see `method` of Prediction


@dataclass(frozen=True)
class Prediction:
    """dG of one complex with its interval, its neighbours in the training set and its provenance."""

    chosen: ChosenComplex
    dg_kcal_mol: float
    dg_low_kcal_mol: float
    dg_high_kcal_mol: float
    coverage: float  # nominal, of the interval
    temperature_k: float
    kd_molar: float
    kd_low_molar: float
    kd_high_molar: float
    members_dg_kcal_mol: tuple[float, ...]  # one per model of the ensemble
    warnings: tuple[str, ...]  # plain sentences: how this complex is unlike the training set
    nearest_training: tuple[tuple[str, float, float], ...]  # record id, protein identity, measured dG; nearest first
    training_dg_kcal_mol: tuple[float, ...]
    contribution_method: str
    residues: tuple[ResidueView, ...]
    contacts: tuple[tuple[int, int, float], ...]  # indices into residues (protein, RNA), distance in angstrom
    nearest_rna_identity: tuple[float, ...] = ()  # of the records of nearest_training, in their order
    model: dict[str, str] = field(default_factory=dict)  # experiment, architecture, weights, data, commit, metrics
