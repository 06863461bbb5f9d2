"""The neural models that the training loop fits to dG, by the `model` of their experiment.

Each module has a function `build_affinity_model(experiment, protein_lm_width, rna_lm_width)` that returns a module
which maps (nodes, protein_lm, rna_lm) of a batch to standardised dG [B]. It is imported when it is asked for: an edit
in one model retrains no other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import nn

    from copra.config_experiments import Neural

MODELS = {
    "coformer": "copra.model.coformer",
    "transformer": "copra.model.sequence_transformer",
    "deepnap": "copra.model.deepnap",
    "gcn": "copra.model.graphs.gcn",
    "gat": "copra.model.graphs.gat",
    "egnn": "copra.model.graphs.egnn",
    "gvp": "copra.model.graphs.gvp",
    "ipa": "copra.model.graphs.ipa",
}


def build_model(experiment: Neural, protein_lm_width: int, rna_lm_width: int) -> nn.Module:
    """A model with fresh weights, drawn from torch's generator; the widths are 0 without language model."""
    module = importlib.import_module(MODELS[experiment.model])
    return cast("nn.Module", module.build_affinity_model(experiment, protein_lm_width, rna_lm_width))
