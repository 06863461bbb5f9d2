"""Graph convolution (Kipf and Welling 2016, "Semi-Supervised Classification with Graph Convolutional Networks")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.config_experiments import Gcn
from copra.model.graphs.inputs import Graph, NodeInput, Readout, residue_graph
from copra.model.pair_features import Nodes


def build_affinity_model(experiment: Gcn, protein_lm_width: int, rna_lm_width: int) -> GcnModel:
    """The model of an experiment; the widths of the language models' embeddings are 0 without them."""
    return GcnModel(experiment, protein_lm_width, rna_lm_width)


class GcnModel(nn.Module):
    """Convolutions over the graph, mean over the residues, dG."""

    def __init__(self, experiment: Gcn, protein_lm_width: int, rna_lm_width: int) -> None:
        super().__init__()
        width, self.dropout = experiment.width, experiment.dropout
        self.neighbours = experiment.neighbours
        self.input = NodeInput(width, protein_lm_width, rna_lm_width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(experiment.layers))
        self.readout = Readout(width, self.dropout)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, float32 [B]."""
        graph = residue_graph(nodes, self.neighbours)
        normalised = normalised_adjacency(graph)
        h = self.input(nodes, graph.present, protein_lm, rna_lm)
        for layer in self.layers:
            h = convolve(F.dropout(h, self.dropout, self.training), normalised, layer)
        return self.readout(h, graph.present)


def convolve(h: Tensor, normalised: Tensor, layer: nn.Module) -> Tensor:
    """Equation (2): ReLU(D^-1/2 (A + I) D^-1/2 H W + b), [B, L, C] -> [B, L, C']."""
    return F.relu(layer(torch.bmm(normalised.to(h.dtype), h)))


@torch.no_grad()
def normalised_adjacency(graph: Graph) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 with A_ij = 1 where i is near j or j near i, float32 [B, L, L].

    The method is for undirected graphs, so an edge that one end has counts for both. Rows and columns of nodes that
    take no part are zero.
    """
    b, length, _ = graph.neighbour.shape
    near = torch.zeros((b, length, length), device=graph.edge.device)
    near = near.scatter(2, graph.neighbour, graph.edge.float())  # a row's neighbours are distinct
    linked = torch.maximum(near, near.transpose(1, 2)) + torch.diag_embed(graph.present.float())
    scale = linked.sum(-1).clamp(min=1.0).rsqrt()
    return linked * scale[:, :, None] * scale[:, None, :]
