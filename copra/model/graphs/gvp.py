"""Geometric vector perceptrons (Jing et al. 2020, "Learning from Protein Structure with Geometric Vector Perceptrons").

Vectors stand as [3, ..., channels]: a linear map of the channels is one matrix product, a length or a factor passes
over memory in order, and turning the complex turns the first axis.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.config_experiments import Gvp
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
from copra.model.graphs.vectors import NODE_VECTORS, backbone_vectors
from copra.model.pair_features import Nodes

SMALLEST = 1e-8  # of a squared length under a root
EXPANSION = 2  # of scalars and vectors within a feed-forward


def build_affinity_model(experiment: Gvp, protein_lm_width: int, rna_lm_width: int) -> GvpModel:
    """The model of an experiment; the widths of the language models' embeddings are 0 without them."""
    return GvpModel(experiment, protein_lm_width, rna_lm_width)


class GvpModel(nn.Module):
    """Vector perceptrons over the graph, mean over the residues, dG."""

    def __init__(self, experiment: Gvp, protein_lm_width: int, rna_lm_width: int) -> None:
        super().__init__()
        width, vectors, dropout = experiment.width, experiment.vector_width, experiment.dropout
        self.neighbours = experiment.neighbours
        self.input = NodeInput(width, protein_lm_width, rna_lm_width)
        self.node = Perceptron((width, NODE_VECTORS), (width, vectors), active=False)
        self.edge = nn.Sequential(nn.Linear(EDGE_FEATURES, experiment.edge_width), nn.LayerNorm(experiment.edge_width))
        self.layers = nn.ModuleList(
            GvpLayer(width, vectors, experiment.edge_width, dropout) for _ in range(experiment.layers)
        )
        self.out = Perceptron((width, vectors), (width, 0), active=True)
        self.readout = Readout(width, dropout)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, float32 [B]."""
        s, v, graph = self.embed(nodes, protein_lm, rna_lm)
        return self.readout(self.out(s, v)[0], graph.present)

    def embed(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> tuple[Tensor, Tensor, Graph]:
        """Scalars [B, L, width] and vectors [3, B, L, vector_width], which turn with the complex, of the last layer."""
        graph = residue_graph(nodes, self.neighbours)
        s = self.input(nodes, graph.present, protein_lm, rna_lm)
        s, v = self.node(s, backbone_vectors(nodes, graph))
        vector, distance = edge_vectors(graph.point_angstrom, graph)
        edge = self.edge(torch.cat((radial_basis(distance), chain_features(nodes, graph)), dim=-1))
        direction = (vector / distance[..., None]).permute(3, 0, 1, 2)[..., None].contiguous()  # [3, B, L, k, 1]
        for layer in self.layers:
            s, v = layer(s, v, edge, direction, graph)
        return s, v, graph


class Perceptron(nn.Module):
    """Algorithm 1: scalars see the lengths of vectors, vectors are scaled by their own lengths.

    `sizes` are numbers of scalars and vectors; without `active` both maps stay as they are.
    """

    def __init__(self, sizes_in: tuple[int, int], sizes_out: tuple[int, int], active: bool) -> None:
        super().__init__()
        inner = max(sizes_in[1], sizes_out[1])
        self.active = active
        self.vector_in = nn.Linear(sizes_in[1], inner, bias=False)
        self.vector_out = nn.Linear(inner, sizes_out[1], bias=False) if sizes_out[1] else None
        self.scalar = nn.Linear(sizes_in[0], sizes_out[0])
        self.scalar_of_lengths = nn.Linear(inner, sizes_out[0], bias=False)

    def forward(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars [..., n] and vectors [3, ..., m] -> the same with the sizes out; no vectors: an empty axis."""
        h = self.vector_in(v)
        s = self.scalar(s) + self.scalar_of_lengths(lengths(h))
        v = h[..., :0] if self.vector_out is None else self.vector_out(h)
        return activated(s, v) if self.active else (s, v)


class Message(nn.Module):
    """Equation (1): two perceptrons over (s_j, v_j, edge, s_i, v_i), the second without activation, and their mean.

    The first is computed in parts, what is linear in a node once per node. The second is linear in scalars, lengths and
    vectors, so it is applied to their means over the neighbours: the same numbers for a sixteenth of the work.
    """

    def __init__(self, width: int, vectors: int, edge_width: int) -> None:
        super().__init__()
        inner = message_width(width)
        self.vector_nodes = nn.Linear(vectors, 2 * vectors, bias=False)  # of i, of j
        self.vector_edge = nn.Linear(1, vectors, bias=False)
        self.vector_out = nn.Linear(vectors, vectors, bias=False)
        self.scalar_nodes = nn.Linear(width, 2 * inner, bias=False)
        self.scalar_edge = nn.Linear(edge_width + vectors, inner)
        self.last = Perceptron((inner, vectors), (width, vectors), active=False)

    def forward(self, s: Tensor, v: Tensor, edge: Tensor, direction: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Scalars [B, L, width] and vectors [3, B, L, m] -> the mean message of each residue's neighbours."""
        own, other = self.vector_nodes(v).chunk(2, dim=-1)
        h = of_neighbours(other.flatten(0, 1), graph.neighbour.repeat(3, 1, 1)).unflatten(0, (3, -1))
        h = h + own[:, :, :, None] + self.vector_edge(direction)  # [3, B, L, k, m]
        scalar_own, scalar_other = self.scalar_nodes(s).chunk(2, dim=-1)
        x = self.scalar_edge(torch.cat((edge, lengths(h)), dim=-1))
        x = x + of_neighbours(scalar_other, graph.neighbour) + scalar_own[:, :, None]
        x, y = activated(x, self.vector_out(h))
        weight = graph.mean_weight[..., None]
        y = self.last.vector_in(y)
        mean_x, mean_y, mean_length = ((part * weight).sum(-2) for part in (x, y, lengths(y)))
        assert self.last.vector_out is not None
        return self.last.scalar(mean_x) + self.last.scalar_of_lengths(mean_length), self.last.vector_out(mean_y)


class GvpLayer(nn.Module):
    """Equations (1) and (2): mean message and feed-forward, each with dropout, residual and norm."""

    def __init__(self, width: int, vectors: int, edge_width: int, dropout: float) -> None:
        super().__init__()
        wide = width * EXPANSION, vectors * EXPANSION
        self.dropout = dropout
        self.message = Message(width, vectors, edge_width)
        self.message_norm = nn.LayerNorm(width)
        self.inner = Perceptron((width, vectors), wide, active=True)
        self.outer = Perceptron(wide, (width, vectors), active=False)
        self.outer_norm = nn.LayerNorm(width)

    def forward(self, s: Tensor, v: Tensor, edge: Tensor, direction: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Scalars [B, L, width] and vectors [3, B, L, m] -> the same."""
        s, v = self._added(s, v, *self.message(s, v, edge, direction, graph))
        s, v = self.message_norm(s), normed(v)
        s, v = self._added(s, v, *self.outer(*self.inner(s, v)))
        return self.outer_norm(s), normed(v)

    def _added(self, s: Tensor, v: Tensor, more_s: Tensor, more_v: Tensor) -> tuple[Tensor, Tensor]:
        """The residual with dropout, which takes whole vectors."""
        kept = F.dropout(torch.ones_like(more_v[0]), self.dropout, self.training)
        return s + F.dropout(more_s, self.dropout, self.training), v + more_v * kept


class Lengths(torch.autograd.Function):
    """The length of each vector, [3, ...] -> [...]; a zero vector's is tiny, and its gradient zero.

    The gradient in one pass, where the plain formula's takes five.
    """

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        """[3, ...] -> [...]."""
        x, y, z = v.unbind(0)
        length = (x * x + y * y + z * z + SMALLEST).sqrt()
        ctx.save_for_backward(v, length)
        return length

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """d length / d v = v / length."""
        v, length = ctx.saved_tensors
        return v * (gradients[0] / length)


def lengths(v: Tensor) -> Tensor:
    """[3, ..., m] -> [..., m]."""
    return Lengths.apply(v)


def activated(s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """ReLU of the scalars; each vector times the sigmoid of its length."""
    return F.relu(s), v * torch.sigmoid(lengths(v))


def normed(v: Tensor) -> Tensor:
    """Vectors [3, ..., m] over the root of their mean squared length."""
    return v * (v.square().sum(0).mean(-1, keepdim=True) + SMALLEST).rsqrt()
