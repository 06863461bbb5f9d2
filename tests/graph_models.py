"""Small graph baselines and what is done to the interfaces that they see."""

from __future__ import annotations

from typing import Any

import torch
from coformer_nodes import changed
from torch import Tensor, nn

from copra.config_experiments import Egnn, Gat, Gcn, Gvp
from copra.model.pair_features import Nodes
from copra.train.models import build_model

KINDS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "gcn": (Gcn, {}),
    "gat": (Gat, {"heads": 4}),
    "egnn": (Egnn, {}),
    "gvp": (Gvp, {"vector_width": 4, "edge_width": 8}),
}
TRAINING = {
    "protein_lm": None,
    "rna_lm": None,
    "interface_nodes": 128,
    "protocol": "nested",
    "inner_folds": 5,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "accumulate_batches": 1,
    "epochs": 4,
    "patience_epochs": 4,
    "gradient_clip": 10.0,
    "plateau_factor": 0.8,
    "plateau_patience_epochs": 5,
    "min_learning_rate": 1e-6,
    "precision": "fp32",
    "checkpoint_minutes": 10.0,
    "loader_threads": 0,
    "shuffle_labels": False,
}


def graph_experiment(name: str, **changes: Any) -> Any:
    """An experiment with a small model: two layers, 16 wide, 5 neighbours, no dropout."""
    kind, own = KINDS[name]
    shape = {"nodes": "interface", "layers": 2, "width": 16, "neighbours": 5, "dropout": 0.0}
    return kind(**{**TRAINING, "model": name, **shape, **own, **changes})


def graph_model(name: str, lm_widths: tuple[int, int] = (0, 0), **changes: Any) -> nn.Module:
    """Its model, always with the same weights, ready to predict."""
    torch.manual_seed(0)
    return build_model(graph_experiment(name, **changes), *lm_widths).eval()


def a_rotation(seed: int = 5) -> Tensor:
    """A random proper rotation, float32 [3, 3]."""
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    return (q * torch.linalg.det(q)).float()


def moved(nodes: Nodes, turn: Tensor, shift_angstrom: float) -> Nodes:
    """The same interface, turned and then shifted along all axes."""
    return changed(nodes, xyz_angstrom=nodes.xyz_angstrom @ turn.T + shift_angstrom)
