"""E(n)-equivariant graph network (Satorras, Hoogeboom and Welling 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.config_experiments import Egnn
from copra.model.graphs.inputs import (
    EDGE_FEATURES,
    Graph,
    NodeInput,
    Readout,
    chain_features,
    edge_vectors,
    message_width,
    of_neighbours,
    radial_basis,
    residue_graph,
)
from copra.model.pair_features import Nodes

FIRST_STEP = 1e-3  # gain of the last layer of a coordinate update: a fresh model hardly moves a residue


def build_affinity_model(experiment: Egnn, protein_lm_width: int, rna_lm_width: int) -> EgnnModel:
    """The model of an experiment; the widths of the language models' embeddings are 0 without them."""
    return EgnnModel(experiment, protein_lm_width, rna_lm_width)


class EgnnModel(nn.Module):
    """Equivariant layers over the graph, mean over the residues, dG; the last layer moves no residue."""

    def __init__(self, experiment: Egnn, protein_lm_width: int, rna_lm_width: int) -> None:
        super().__init__()
        width, n, dropout = experiment.width, experiment.layers, experiment.dropout
        self.neighbours = experiment.neighbours
        self.input = NodeInput(width, protein_lm_width, rna_lm_width)
        self.layers = nn.ModuleList(EgnnLayer(width, dropout, moves=i < n - 1) for i in range(n))
        self.readout = Readout(width, dropout)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, float32 [B]."""
        h, _, graph = self.embed(nodes, protein_lm, rna_lm)
        return self.readout(h, graph.present)

    def embed(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> tuple[Tensor, Tensor, Graph]:
        """Residue features [B, L, width], which no motion changes, and moved points [B, L, 3] in angstrom."""
        graph = residue_graph(nodes, self.neighbours)
        chains = chain_features(nodes, graph)
        h, point = self.input(nodes, graph.present, protein_lm, rna_lm), graph.point_angstrom
        for layer in self.layers:
            h, point = layer(h, point, chains, graph)
        return h, point, graph


class EgnnLayer(nn.Module):
    """Equations (3) to (6): messages, moved points, features with their residual."""

    def __init__(self, width: int, dropout: float, moves: bool) -> None:
        super().__init__()
        self.dropout = dropout
        # the first layer of phi_e in three parts: what is linear in a node is computed once per node, not per edge
        inner = message_width(width)
        self.message_own = nn.Linear(width, inner)
        self.message_other = nn.Linear(width, inner, bias=False)
        self.message_edge = nn.Linear(EDGE_FEATURES, inner, bias=False)
        self.message_out = nn.Linear(inner, inner)
        self.update_own = nn.Linear(width, width)
        self.update_message = nn.Linear(inner, width, bias=False)
        self.update_out = nn.Linear(width, width)
        self.move = _move(inner) if moves else None

    def forward(self, h: Tensor, point: Tensor, chains: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Features [B, L, width] and points [B, L, 3] in angstrom -> the same; `chains` are edge features."""
        vector, distance = edge_vectors(point, graph)
        edge = self.message_edge(torch.cat((radial_basis(distance), chains), dim=-1))
        edge = edge + of_neighbours(self.message_other(h), graph.neighbour) + self.message_own(h)[:, :, None]
        message = F.silu(self.message_out(F.silu(edge)))  # [B, L, k, inner]
        weight = graph.mean_weight[..., None]
        mean = (message * weight).sum(2)
        update = self.update_out(F.silu(self.update_own(h) + self.update_message(mean)))
        h = h + F.dropout(update, self.dropout, self.training)
        if self.move is not None:
            step = -vector / (distance[..., None] + 1.0) * self.move(message)  # x_i - x_j, at most 1 angstrom long
            point = point + (step * weight).sum(2)
        return h, point


def _move(width: int) -> nn.Sequential:
    """phi_x: how far along an edge a residue moves."""
    last = nn.Linear(width, 1, bias=False)
    nn.init.xavier_uniform_(last.weight, gain=FIRST_STEP)
    return nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)
