"""Graph attention (Velickovic et al. 2017, "Graph Attention Networks")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.config_experiments import Gat
from copra.model.graphs.inputs import Graph, NodeInput, Readout, of_neighbours, residue_graph
from copra.model.pair_features import Nodes

SLOPE = 0.2  # of LeakyReLU below zero, as published


def build_affinity_model(experiment: Gat, protein_lm_width: int, rna_lm_width: int) -> GatModel:
    """The model of an experiment; the widths of the language models' embeddings are 0 without them."""
    return GatModel(experiment, protein_lm_width, rna_lm_width)


class GatModel(nn.Module):
    """Attention over the graph, mean over the residues, dG."""

    def __init__(self, experiment: Gat, protein_lm_width: int, rna_lm_width: int) -> None:
        super().__init__()
        width, heads, dropout = experiment.width, experiment.heads, experiment.dropout
        self.neighbours = experiment.neighbours
        self.input = NodeInput(width, protein_lm_width, rna_lm_width)
        self.layers = nn.ModuleList(GatLayer(width, heads, dropout) for _ in range(experiment.layers))
        self.readout = Readout(width, dropout)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, float32 [B]."""
        graph = with_self(residue_graph(nodes, self.neighbours))
        h = self.input(nodes, graph.present, protein_lm, rna_lm)
        for layer in self.layers:
            h = layer(h, graph)
        return self.readout(h, graph.present)


def with_self(graph: Graph) -> Graph:
    """The graph with each residue as its own first neighbour, as the method has it."""
    b, length, _ = graph.neighbour.shape
    own = torch.arange(length, device=graph.edge.device).expand(b, length)[..., None]
    neighbour = torch.cat((own, graph.neighbour), dim=-1)
    return Graph(graph.point_angstrom, graph.present, neighbour, torch.cat((graph.present[..., None], graph.edge), -1))


class GatLayer(nn.Module):
    """Equations (1) to (5) with all heads side by side: ELU(concat_heads sum_j alpha_ij W h_j + b)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.linear = nn.Linear(width, width, bias=False)
        self.score_own = nn.Parameter(torch.empty(heads, width // heads))
        self.score_other = nn.Parameter(torch.empty(heads, width // heads))
        self.bias = nn.Parameter(torch.zeros(width))
        for weight in (self.linear.weight, self.score_own, self.score_other):
            nn.init.xavier_uniform_(weight)

    def forward(self, h: Tensor, graph: Graph) -> Tensor:
        """[B, L, width] -> [B, L, width]."""
        b, length, width = h.shape
        x = self.linear(F.dropout(h, self.dropout, self.training)).view(b, length, self.heads, -1)
        own, other = (x * self.score_own).sum(-1), (x * self.score_other).sum(-1)  # [B, L, H]
        alpha = self.attention(own, other, graph)
        alpha = F.dropout(alpha, self.dropout, self.training).to(x.dtype)
        # the few weights are laid out as a matrix: a product is faster than the rows of all neighbours in memory
        index = graph.neighbour[:, None].expand(-1, self.heads, -1, -1)
        dense = alpha.new_zeros((b, self.heads, length, length)).scatter(3, index, alpha)
        y = torch.matmul(dense, x.transpose(1, 2)).transpose(1, 2).reshape(b, length, width)
        return F.elu(y + self.bias)

    def attention(self, own: Tensor, other: Tensor, graph: Graph) -> Tensor:
        """Softmax over each residue's neighbours, [B, H, L, k]; zero where a node takes no part."""
        score = F.leaky_relu(own[:, :, None] + of_neighbours(other, graph.neighbour), SLOPE)  # [B, L, k, H]
        score = score.masked_fill(~graph.edge[..., None], torch.finfo(score.dtype).min)
        return (score.softmax(2) * graph.edge[..., None]).permute(0, 3, 1, 2)
