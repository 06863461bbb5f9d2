"""Directions of a residue's backbone, the vectors that the geometric vector perceptrons start from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from copra.model.graphs.inputs import RNA, Graph, of_neighbours
from copra.model.pair_features import Nodes

NODE_VECTORS = 5


@torch.no_grad()
def backbone_vectors(nodes: Nodes, graph: Graph) -> Tensor:
    """Unit vectors of each residue, float32 [3, B, L, 5]; zero where an atom or a neighbour in the chain is missing.

    Along the backbone (N to CA, CA to C; P to C4', C4' to C1'), to the side chain (where an ideal CB would stand) or
    the base (C1' to N1 or N9), to the next and to the previous residue of the chain.
    """
    first, second, third, fourth = nodes.xyz_angstrom.unbind(2)
    has = nodes.atom_mask & graph.present[..., None]
    back, on = first - second, third - second
    rna = nodes.molecule == RNA
    side = torch.where(rna[..., None], fourth - third, _ideal_cb(back, on))
    has_side = torch.where(rna, has[..., 2] & has[..., 3], has[..., :3].all(-1))
    following, has_following = _along_chain(nodes, graph, 1)
    previous, has_previous = _along_chain(nodes, graph, -1)
    vectors = torch.stack((-back, on, side, following, previous), dim=-1).permute(2, 0, 1, 3)
    exists = torch.stack(
        (has[..., 0] & has[..., 1], has[..., 1] & has[..., 2], has_side, has_following, has_previous), dim=-1
    )
    return F.normalize(vectors, dim=0).masked_fill(~exists, 0.0)


def _ideal_cb(to_n: Tensor, to_c: Tensor) -> Tensor:
    """The direction of the fourth arm of a tetrahedron at CA, of an L amino acid, [..., 3]."""
    n, c = F.normalize(to_n, dim=-1), F.normalize(to_c, dim=-1)
    normal = F.normalize(torch.linalg.cross(n, c), dim=-1)
    return normal * (2 / 3) ** 0.5 - F.normalize(n + c, dim=-1) * (1 / 3) ** 0.5


def _along_chain(nodes: Nodes, graph: Graph, step: int) -> tuple[Tensor, Tensor]:
    """To the residue `step` places on in the same chain, [B, L, 3], and whether it is in the graph, [B, L]."""
    chain, index = nodes.chain, nodes.polymer_index
    is_it = (chain[:, :, None] == chain[:, None, :]) & (index[:, None, :] == index[:, :, None] + step)
    is_it = is_it & graph.present[:, :, None] & graph.present[:, None, :]
    there = of_neighbours(graph.point_angstrom, is_it.int().argmax(-1, keepdim=True))[:, :, 0]
    return there - graph.point_angstrom, is_it.any(-1)
