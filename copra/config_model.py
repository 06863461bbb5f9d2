"""The part of the configuration on Co-Former: its architecture, its pre-training and its fine-tuning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from copra.config_base import Count, Fraction, Name, Positive, Settings

NotNegative = Annotated[float, Field(ge=0)]


class Switches(Settings):
    """Where the paper and the official code differ; null = as the preset has it. See copra/model/design.py."""

    attention_mask: Literal["multiplied", "additive"] | None = None
    rotary: bool | None = None
    feed_forward: Literal["relu", "swiglu"] | None = None
    residual_from: Literal["input", "normed"] | None = None
    feed_forward_residual_from: Literal["normed", "input"] | None = None
    outer_product: Literal["full", "squeezed"] | None = None
    pair_update: Literal["once", "twice"] | None = None
    pair_feed_forward: bool | None = None
    final_layer_norm: bool | None = None
    special_node_geometry: bool | None = None
    contrast_hides_pairs: bool | None = None
    distance_mask: Literal["pairs", "nodes"] | None = None
    masked_nodes_from: Literal["interface", "all_positions"] | None = None
    distance_loss_mean: Literal["complex", "pairs"] | None = None
    contrast_loss_divisor: Literal["batch_squared", "batch"] | None = None


class Architecture(Settings):
    """Co-Former's size; `protein_lm` and `rna_lm` name language models or are null."""

    protein_lm: str | None
    rna_lm: str | None
    preset: Literal["paper", "official"]
    switches: Switches | None  # no {} in config.yaml: YAML's anchors would share it between experiments
    blocks: Count
    sequence_width: Count
    pair_width: Count
    heads: Count
    outer_product_width: Count  # of the squeezed outer product
    dropout: Fraction
    interface_nodes: Count

    @model_validator(mode="after")
    def _heads_divide(self) -> Architecture:
        if self.sequence_width % self.heads or (self.sequence_width // self.heads) % 2:
            raise ValueError(f"sequence_width ({self.sequence_width}) must be an even multiple of heads ({self.heads})")
        return self


class Training(Settings):
    """How the one training loop runs, for every task."""

    learning_rate: Positive
    weight_decay: NotNegative
    batch_size: Count  # of all ranks together
    accumulate_batches: Count  # batches to one step of the optimiser
    epochs: Count
    patience_epochs: Count
    gradient_clip: Positive | None
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] | None  # of the learning rate; null = it stays
    plateau_patience_epochs: Annotated[int, Field(ge=0)]  # without a better validation loss
    min_learning_rate: NotNegative
    precision: Literal["fp32", "bf16", "fp16"]
    checkpoint_minutes: Positive  # besides one after every epoch
    loader_threads: Annotated[int, Field(ge=0)]  # that prepare batches ahead; 0 = when they are needed


class Protocol(Settings):
    """How the epoch is chosen, and whether the labels are dealt anew (a control that must learn nothing)."""

    protocol: Literal["nested", "paper"]  # paper: the best epoch is chosen on the fold that is reported
    inner_folds: Annotated[int, Field(ge=2)]
    shuffle_labels: bool


class Coformer(Architecture, Training, Protocol):
    """Co-Former fine-tuned to dG."""

    model: Literal["coformer"]
    nodes: Literal["interface"]
    head_width: Count
    pretrained: Name | None  # a recipe of pretraining.recipes; null = from scratch
    pair_information: bool  # false: Z starts as the same learned vector at every pair (Table 3)
    special_nodes: bool  # false: no special nodes; dG is read off the mean over the residues (Table 3)

    @model_validator(mode="after")
    def _ablations_start_from_scratch(self) -> Coformer:
        if self.pretrained is not None and not (self.pair_information and self.special_nodes):
            raise ValueError("an ablation of pair_information or special_nodes starts from scratch: pretrained: null")
        return self


class Recipe(Architecture, Training):
    """One way of pre-training (Table 4 of the paper)."""

    contrast: bool  # CPRI
    contrast_pass: Literal["together", "apart"]  # apart: neither molecule's pass can tell anything of the other
    distance: Literal["none", "all", "interface", "masked_interface"]  # none, DM, IDM, MIDM
    alpha: NotNegative  # weight of the distance loss
    temperature: Positive
    masked_samples: Fraction  # of the batch (MIDM)
    masked_nodes: Fraction  # of a masked complex
    false_negatives: Literal["kept", "left_out"]  # complexes of the batch that share a sequence (CPRI)
    validation_clusters: Annotated[float, Field(gt=0, lt=1)]  # whole clusters of proteins held out

    @model_validator(mode="after")
    def _has_a_task(self) -> Recipe:
        if not self.contrast and self.distance == "none":
            raise ValueError("contrast is false and distance is none: nothing to learn")
        return self


class HeldOut(Settings):
    """How held-out pairs are chosen and asked about, the same for every recipe."""

    protein_identity: Annotated[float, Field(ge=0.4, le=1)]  # of the clusters (CD-HIT) that are held out whole
    retrieval_candidates: Annotated[int, Field(ge=2)]  # distinct sequences among which the partner is looked for


class Pretraining(Settings):
    """Which pairs are seen, and the recipes."""

    purge: Literal["per_fold", "none"]  # per_fold: one run a fold, without relatives of its test complexes
    ranks: Count  # processes side by side, one GPU each
    max_pairs: Count | None  # null = all of PRI30k; otherwise a seeded sample of whole entries
    held_out: HeldOut
    recipes: dict[Name, Recipe]
