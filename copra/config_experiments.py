"""The part of the configuration on experiments: everything that is trained on one fold and predicts another.

An experiment's `model` says which of the classes below it is. Published settings of the baselines and where ours
depart from them: docs/baselines.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from copra.config_base import Count, Fraction, Positive, Settings
from copra.config_model import Coformer, Protocol, Training

NotNegative = Annotated[float, Field(ge=0)]
Feature = Literal[
    "lengths",  # residues, nucleotides
    "chain_counts",
    "composition",  # fractions of amino acids and nucleotides
    "protein_length",
    "protein_composition",
    "rna_length",
    "rna_composition",
    "interface_size",  # residues and nucleotides in contact, their pairs
    "protein_embedding",  # mean over the residues of all protein chains
    "rna_embedding",
    "interface_properties",  # of PredPRBA's kind, see copra/structure/interface_properties.py
    "distance_signatures",  # of mCSM's kind, see copra/structure/signatures.py
]
EMBEDDINGS = {"protein_embedding": "protein_lm", "rna_embedding": "rna_lm"}
MEASURED = ("interface_size", "interface_properties", "distance_signatures")  # what measure-interfaces writes


class TrainMean(Settings):
    """Predicts the mean of the training labels."""

    model: Literal["train_mean"]
    shuffle_labels: bool


class NearestProtein(Settings):
    """The mean label of the training records nearest by protein identity, weighted by it."""

    model: Literal["nearest_protein"]
    neighbours: Annotated[list[Count], Field(min_length=1)]  # chosen on inner folds
    inner_folds: Annotated[int, Field(ge=2)]
    shuffle_labels: bool


class Regressor(Settings):
    """A regressor of scikit-learn on one row of features per record; lists are chosen from on inner folds."""

    features: Annotated[list[Feature], Field(min_length=1)]
    protein_lm: str | None
    rna_lm: str | None
    shuffle_partner: bool  # the RNA's features are those of another record, dealt anew in training and test
    inner_folds: Annotated[int, Field(ge=2)]
    shuffle_labels: bool

    @model_validator(mode="after")
    def _language_models_fit_features(self) -> Regressor:
        for feature, key in EMBEDDINGS.items():
            if (feature in self.features) != (getattr(self, key) is not None):
                raise ValueError(f"{key} is {getattr(self, key)!r} and features are {self.features}: both or neither")
        return self


class Linear(Regressor):
    """Linear regression with an L2 penalty."""

    model: Literal["linear"]
    penalty: Annotated[list[NotNegative], Field(min_length=1)]


class Forest(Regressor):
    """A random forest."""

    model: Literal["forest"]
    trees: Count
    min_samples_leaf: Annotated[list[Count], Field(min_length=1)]
    max_features: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]  # fraction of a split


class SupportVectors(Regressor):
    """Support vector regression with a radial kernel on standardised features."""

    model: Literal["svr"]
    cost: Annotated[list[Positive], Field(min_length=1)]
    tube_kcal_mol: Annotated[list[NotNegative], Field(min_length=1)]


class Perceptron(Regressor):
    """A multi-layer perceptron on standardised features."""

    model: Literal["mlp"]
    hidden_widths: Annotated[list[Count], Field(min_length=1)]  # one entry a layer
    penalty: Annotated[list[NotNegative], Field(min_length=1)]
    learning_rate: Positive
    epochs: Count


class BoostedTrees(Regressor):
    """Gradient-boosted regression trees."""

    model: Literal["boosted_trees"]
    trees: Annotated[list[Count], Field(min_length=1)]
    depth: Annotated[list[Count], Field(min_length=1)]
    learning_rate: Annotated[list[Positive], Field(min_length=1)]
    subsample: Annotated[float, Field(gt=0, le=1)]


class FoldX(Settings):
    """The interaction energy of a user's own FoldX, as it stands or put on the scale of the training labels."""

    model: Literal["foldx"]
    calibrate: bool  # a line fitted on the training records
    shuffle_labels: bool


class Network(Training, Protocol):
    """What all neural baselines share; they run in the same training loop as Co-Former."""

    protein_lm: str | None
    rna_lm: str | None
    interface_nodes: Count
    dropout: Fraction


class SequenceTransformer(Network):
    """LM+Transformer: self-attention over the residues without any structure, mean pooling."""

    model: Literal["transformer"]
    nodes: Literal["interface", "sequences"]  # the residues of the crop, or of the whole chains
    blocks: Count
    width: Count
    heads: Count


class DeepNap(Network):
    """DeePNAP's kind: 1-D convolutions over both whole sequences."""

    model: Literal["deepnap"]
    nodes: Literal["sequences"]
    channels: Annotated[list[Count], Field(min_length=1)]  # of each convolution
    kernel: Count
    head_width: Count


class GraphNetwork(Network):
    """A graph of residues that are near in space."""

    nodes: Literal["interface"]
    layers: Count
    width: Count
    neighbours: Count  # edges from each residue's nearest others


class Gcn(GraphNetwork):
    """Graph convolution (Kipf and Welling 2016)."""

    model: Literal["gcn"]


class Gat(GraphNetwork):
    """Graph attention (Velickovic et al. 2017)."""

    model: Literal["gat"]
    heads: Count

    @model_validator(mode="after")
    def _heads_divide(self) -> Gat:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class Egnn(GraphNetwork):
    """E(n)-equivariant graph network (Satorras et al. 2021)."""

    model: Literal["egnn"]


class Gvp(GraphNetwork):
    """Geometric vector perceptrons (Jing et al. 2020)."""

    model: Literal["gvp"]
    vector_width: Count
    edge_width: Count


class Ipa(Network):
    """Invariant point attention (Jumper et al. 2021); LM+IPA has language models."""

    model: Literal["ipa"]
    nodes: Literal["interface"]
    layers: Count
    width: Count
    pair_width: Count
    heads: Count
    head_width: Count
    query_points: Count
    value_points: Count


Classical = Annotated[
    TrainMean | NearestProtein | Linear | Forest | SupportVectors | Perceptron | BoostedTrees | FoldX,
    Field(discriminator="model"),
]
Neural = Annotated[
    Coformer | SequenceTransformer | DeepNap | Gcn | Gat | Egnn | Gvp | Ipa, Field(discriminator="model")
]
Experiment = Annotated[Classical | Neural, Field(discriminator="model")]
CLASSICAL_KINDS = (TrainMean, NearestProtein, Regressor, FoldX)
NETWORK_KINDS = (Coformer, Network)
