"""What the graph baselines share: residue graphs, node and edge features, the readout.

A graph has one point per residue (CA, C4') and edges from each residue to its nearest others. Special nodes, padding
and residues without any atom take no part: no edge leads to them, and the readout passes over them.

Determinism: a neighbour's row is fetched by `index_select`, whose gradient PyTorch documents as deterministic on a GPU
under `torch.use_deterministic_algorithms` and which adds in the order of the rows on a CPU. Means are taken over the
axis of the neighbours, so nothing is scattered.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.model.pair_features import COMPLEX_TYPE, Nodes

REPRESENTATIVE_ATOM = 1  # CA of a protein residue, C4' of a nucleotide
PROTEIN, RNA = 0, 1  # values of Nodes.molecule
N_TYPES = COMPLEX_TYPE  # residue types without those of special nodes and padding
RADIAL_FUNCTIONS = 16
RADIAL_END_ANGSTROM = 20.0
MAX_OFFSET = 7  # along a chain; what is further is told as this far
EDGE_FEATURES = RADIAL_FUNCTIONS + (2 * MAX_OFFSET + 1) + 1
SMALLEST_ANGSTROM = 1e-4  # distances are never shorter, so that their gradient is finite


@dataclass
class Graph:
    """The residues of a batch and their nearest others; k = the wanted number, fewer in a smaller batch."""

    point_angstrom: Tensor  # float32 [B, L, 3]
    present: Tensor  # bool [B, L], the residues that take part
    neighbour: Tensor  # int64 [B, L, k], k distinct other rows of the same complex, also where there is no edge
    edge: Tensor  # bool [B, L, k]

    @property
    def mean_weight(self) -> Tensor:
        """What turns a sum over the neighbours into their mean, float32 [B, L, k]; zero where there is no edge."""
        return self.edge / self.edge.sum(-1, keepdim=True).clamp(min=1)


@torch.no_grad()
def residue_graph(nodes: Nodes, neighbours: int) -> Graph:
    """Edges from each residue to its `neighbours` nearest others by their representative points."""
    point, present = representative_points(nodes)
    length = present.shape[1]
    distance = torch.zeros((), device=point.device)
    for x in point.unbind(-1):  # coordinate by coordinate: exact for close points, and no [B, L, L, 3]
        distance = distance + (x[:, :, None] - x[:, None, :]).square()
    distance = distance.masked_fill(~(present[:, :, None] & present[:, None, :]), torch.inf)
    itself = torch.eye(length, dtype=torch.bool, device=point.device)
    distance = distance.masked_fill(itself, -1.0)  # comes first and is left out
    nearest = distance.topk(min(neighbours + 1, length), dim=-1, largest=False)
    return Graph(point, present, nearest.indices[..., 1:], nearest.values[..., 1:].isfinite())


def representative_points(nodes: Nodes) -> tuple[Tensor, Tensor]:
    """CA or C4' of each residue, without it the mean of its other backbone atoms, in angstrom [B, L, 3].

    And which nodes are residues with any such atom, bool [B, L]; the point is zero elsewhere.
    """
    mask = nodes.atom_mask & nodes.is_residue[..., None]
    xyz = nodes.xyz_angstrom.masked_fill(~mask[..., None], 0.0)
    mean = xyz.sum(2) / mask.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(mask[..., REPRESENTATIVE_ATOM, None], xyz[:, :, REPRESENTATIVE_ATOM], mean), mask.any(-1)


def message_width(width: int) -> int:
    """Scalars of a message between residues of `width` features: half as many.

    There are sixteen times as many edges as residues and the time goes into them.
    """
    return max(1, width // 2)


def of_neighbours(x: Tensor, neighbour: Tensor) -> Tensor:
    """The rows of x [B, L, C] at the neighbours, [B, L, k, C]."""
    b, length, k = neighbour.shape
    first = torch.arange(b, device=x.device)[:, None, None] * length
    rows = x.flatten(0, 1).index_select(0, (neighbour + first).flatten())
    return rows.view(b, length, k, x.shape[-1])


def edge_vectors(point_angstrom: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
    """From each residue to its neighbours: vectors [B, L, k, 3] and lengths [B, L, k], in angstrom."""
    vector = of_neighbours(point_angstrom, graph.neighbour) - point_angstrom[:, :, None]
    return vector, (vector.square().sum(-1) + SMALLEST_ANGSTROM**2).sqrt()


def radial_basis(distance_angstrom: Tensor) -> Tensor:
    """Sixteen Gaussians of a distance between 0 and 20 angstrom, as wide as their spacing, [..., 16]."""
    centre = torch.linspace(0.0, RADIAL_END_ANGSTROM, RADIAL_FUNCTIONS, device=distance_angstrom.device)
    width = RADIAL_END_ANGSTROM / (RADIAL_FUNCTIONS - 1)
    return torch.exp(-0.5 * ((distance_angstrom[..., None] - centre) / width).square())


@torch.no_grad()
def chain_features(nodes: Nodes, graph: Graph) -> Tensor:
    """What an edge joins, float32 [B, L, k, 16]: the clipped offset along a chain, one of 15, or another molecule.

    Zero between two chains of one molecule.
    """
    label = torch.stack((nodes.chain, nodes.polymer_index, nodes.molecule), dim=-1)
    chain, index, molecule = (of_neighbours(label, graph.neighbour) - label[:, :, None]).unbind(-1)
    offset = index.clamp(-MAX_OFFSET, MAX_OFFSET).masked_fill(chain != 0, MAX_OFFSET + 1)
    offset = offset.masked_fill(molecule != 0, MAX_OFFSET + 2)  # + 1 is told by no feature
    told = [*range(-MAX_OFFSET, MAX_OFFSET + 1), MAX_OFFSET + 2]
    return (offset[..., None] == torch.tensor(told, device=offset.device)).float()


class NodeInput(nn.Module):
    """Residue type, molecule and, where there are language models, their projected embeddings; layer norm."""

    def __init__(self, width: int, protein_lm_width: int, rna_lm_width: int) -> None:
        super().__init__()
        self.type_embedding = nn.Embedding(N_TYPES, width)
        self.molecule_embedding = nn.Embedding(2, width)
        self.protein_projection = nn.Linear(protein_lm_width, width) if protein_lm_width else None
        self.rna_projection = nn.Linear(rna_lm_width, width) if rna_lm_width else None
        self.norm = nn.LayerNorm(width)

    def forward(self, nodes: Nodes, present: Tensor, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """[B, L, width], zero where a node takes no part."""
        h = self.type_embedding(nodes.residue_type.clamp(max=N_TYPES - 1))
        h = h + self.molecule_embedding(nodes.molecule.clamp(min=0))
        for projection, lm, molecule in (
            (self.protein_projection, protein_lm, PROTEIN),
            (self.rna_projection, rna_lm, RNA),
        ):
            if projection is not None and lm is None:
                raise ValueError("this model was built for language-model embeddings, and none were given")
            if projection is not None:
                h = h + projection(lm) * (nodes.molecule == molecule)[..., None]
        return self.norm(h) * present[..., None]


class Readout(nn.Module):
    """Mean over the residues, then two layers -> dG in standard deviations of the training labels."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, h: Tensor, present: Tensor) -> Tensor:
        """[B, L, width] -> float32 [B]."""
        count = present.sum(1, keepdim=True).clamp(min=1)
        mean = (h * present[..., None]).sum(1) / count
        x = F.dropout(F.relu(self.hidden(mean)), self.dropout, self.training)
        return self.out(x).squeeze(-1).float()
