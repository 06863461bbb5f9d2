"""Pair features of an interface: what two nodes are, how far along a chain, how far in space, how turned.

Everything is computed from backbone atoms and does not change when the complex is moved or turned, nor
when side chains move. The four features follow the paper ("Interface structure extraction"); widths and
encodings that it leaves out follow the official implementation, against whose numbers this is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.model.pair_kernels import EncoderKernel
from copra.model.pair_library import kernels_serve
from copra.model.pair_ops import in_parts

N_RESIDUE_TYPES = 30  # 21 protein, 5 RNA, 3 special nodes, padding
COMPLEX_TYPE, PROTEIN_TYPE, RNA_TYPE, PADDING_TYPE = 26, 27, 28, 29
N_SPECIAL = 3  # the complex, protein and RNA node stand in front of the residues, in this order
MAX_OFFSET = 32
BACKBONE_ATOMS = 4  # N CA C O of a protein residue; P C4' C1' and N1 or N9 of a nucleotide
ANGSTROM_PER_NM = 10.0
ANGLE_FREQUENCIES = (1.0, 2.0, 3.0, 1.0, 1 / 2, 1 / 3)
ANGLE_WIDTH = 2 * (1 + 2 * len(ANGLE_FREQUENCIES))


@dataclass
class Nodes:
    """A padded batch of interfaces with their special nodes in front; L = longest interface + 3."""

    residue_type: Tensor  # int64 [B, L], 29 at padding
    molecule: Tensor  # int64 [B, L], 0 protein, 1 RNA, -1 special or padding
    chain: Tensor  # int64 [B, L], -1 special or padding
    polymer_index: Tensor  # int64 [B, L], position in the chain's full sequence
    xyz_angstrom: Tensor  # float32 [B, L, 4, 3]; a special node's four atoms are its centre
    atom_mask: Tensor  # bool [B, L, 4]

    @property
    def valid(self) -> Tensor:
        """Which nodes are not padding, bool [B, L]."""
        return self.residue_type != PADDING_TYPE

    @property
    def is_residue(self) -> Tensor:
        """Which nodes are residues, neither special nor padding, bool [B, L]."""
        return self.molecule >= 0


class PairEncoder(nn.Module):
    """Nodes -> Z^(0), [B, L, L, pair_width]; zero where a node is padding or has no atom.

    Without `special_node_geometry` it is zero, too, where a node is a special one.
    """

    def __init__(self, pair_width: int, special_node_geometry: bool) -> None:
        super().__init__()
        self.special_node_geometry = special_node_geometry
        self.aa_pair_embed = nn.Embedding(N_RESIDUE_TYPES**2, pair_width)
        self.relpos_embed = nn.Embedding(2 * MAX_OFFSET + 1, pair_width)
        self.aapair_to_distcoef = nn.Embedding(N_RESIDUE_TYPES**2, BACKBONE_ATOMS**2)
        nn.init.zeros_(self.aapair_to_distcoef.weight)
        self.distance_embed = nn.Sequential(
            nn.Linear(BACKBONE_ATOMS**2, pair_width), nn.ReLU(), nn.Linear(pair_width, pair_width), nn.ReLU()
        )
        self.out_mlp = nn.Sequential(
            nn.Linear(3 * pair_width + ANGLE_WIDTH, pair_width),
            nn.ReLU(),
            nn.Linear(pair_width, pair_width),
            nn.ReLU(),
            nn.Linear(pair_width, pair_width),
        )

    def forward(self, nodes: Nodes) -> Tensor:
        """The pair embedding before the first block.

        The four features stand side by side before `out_mlp`. Those that are rows of a table pass its first layer as
        tables, a row for each type pair and offset in the place of one for each pair of nodes.
        """
        first, width = cast(nn.Linear, self.out_mlp[0]), self.aa_pair_embed.embedding_dim
        type_weight, offset_weight, place_weight = first.weight.tensor_split((width, 2 * width), dim=1)
        type_table = F.linear(self.aa_pair_embed.weight, type_weight, first.bias)
        offset_table = F.pad(F.linear(self.relpos_embed.weight, offset_weight), (0, 0, 0, 1))  # the last row: no offset
        tables = (F.softplus(self.aapair_to_distcoef.weight), type_table, offset_table)
        if not kernels_serve(nodes.xyz_angstrom, *tables):
            return in_parts(lambda *fields: self._plain(Nodes(*fields), *tables, place_weight), *vars(nodes).values())
        near, out = self.distance_embed, self.out_mlp
        layers = (near[0], near[2], out[2], out[4])
        weights = (near[0].weight, near[2].weight, place_weight, out[2].weight, out[4].weight)
        return EncoderKernel.apply(*self._node_rows(nodes), *tables, *weights, *(layer.bias for layer in layers))

    def _plain(
        self, nodes: Nodes, coefficients: Tensor, type_table: Tensor, offset_table: Tensor, place_weight: Tensor
    ) -> Tensor:
        """What the kernel computes, with everything in memory."""
        types = nodes.residue_type
        pair_type = types[:, :, None] * N_RESIDUE_TYPES + types[:, None, :]  # [B, L, L]
        offset, same_chain = relative_positions(nodes)
        squared_nm, both_atoms = squared_distances_nm(nodes)
        nearness = torch.exp(-F.embedding(pair_type, coefficients) * squared_nm) * both_atoms  # [B, L, L, 16]
        angle, has_angle = dihedrals(nodes)
        of_places = torch.cat((self.distance_embed(nearness), encode_angles(angle) * has_angle.unsqueeze(-1)), dim=-1)
        x = F.embedding(pair_type, type_table) + F.linear(of_places, place_weight)
        x = x + F.embedding(offset.masked_fill(~same_chain, 2 * MAX_OFFSET + 1), offset_table)
        placed = self._placed(nodes)
        return self.out_mlp[1:](x) * (placed[:, :, None] & placed[:, None, :]).unsqueeze(-1)

    def _placed(self, nodes: Nodes) -> Tensor:
        """Which nodes have pair features, bool [B, L]."""
        return nodes.atom_mask.any(-1) & (nodes.valid if self.special_node_geometry else nodes.is_residue)

    def _node_rows(self, nodes: Nodes) -> tuple[Tensor, ...]:
        """The nodes as the kernel reads them: int32 [B, L] three times, then float32 with L last."""
        residue = nodes.is_residue
        turned = nodes.atom_mask[..., :3].all(-1) & residue
        return (
            nodes.residue_type.int(),
            nodes.polymer_index.int(),
            nodes.chain.masked_fill(~residue, -1).int(),
            nodes.xyz_angstrom.permute(0, 2, 3, 1) / ANGSTROM_PER_NM,
            nodes.atom_mask.transpose(1, 2).float(),
            turned.float(),
            self._placed(nodes).float(),
        )


def relative_positions(nodes: Nodes) -> tuple[Tensor, Tensor]:
    """Distance along the chain, clipped to +-32 and shifted to 0..64 [B, L, L], and whether there is one.

    It exists between residues of one chain; special nodes stand in no chain.
    """
    index, chain = nodes.polymer_index, nodes.chain
    offset = (index[:, :, None] - index[:, None, :]).clamp(-MAX_OFFSET, MAX_OFFSET) + MAX_OFFSET
    residue = nodes.is_residue
    same = (chain[:, :, None] == chain[:, None, :]) & residue[:, :, None] & residue[:, None, :]
    return offset, same


def squared_distances_nm(nodes: Nodes) -> tuple[Tensor, Tensor]:
    """Squared distances in nm^2 of the 4 x 4 backbone atom pairs, [B, L, L, 16], and whether both atoms are there."""
    b, length = nodes.residue_type.shape
    squared = torch.zeros((), device=nodes.xyz_angstrom.device)
    for x in (nodes.xyz_angstrom / ANGSTROM_PER_NM).unbind(-1):  # the coordinates one by one: no [B, L, L, 16, 3]
        squared = squared + (x[:, :, None, :, None] - x[:, None, :, None, :]).square()
    squared = squared.view(b, length, length, BACKBONE_ATOMS**2)
    mask = nodes.atom_mask
    both = mask[:, :, None, :, None] & mask[:, None, :, None, :]
    return squared, both.view(b, length, length, BACKBONE_ATOMS**2)


def dihedrals(nodes: Nodes) -> tuple[Tensor, Tensor]:
    """Two dihedral angles per node pair, in radians [B, L, L, 2], and whether they exist.

    phi_ij turns about N_j-CA_j (atoms C_i, N_j, CA_j, C_j), psi_ij about CA_i-C_i (N_i, CA_i, C_i, N_j);
    nucleotides use P, C4', C1' in the places of N, CA, C. Special nodes are points and have none, nor has a
    residue that lacks one of the three atoms. A node with itself has the angles zero: its four atoms are not distinct.
    """
    n, ca, c = nodes.xyz_angstrom[:, :, 0], nodes.xyz_angstrom[:, :, 1], nodes.xyz_angstrom[:, :, 2]
    phi = dihedral(c[:, :, None], n[:, None], ca[:, None], c[:, None])
    psi = dihedral(n[:, :, None], ca[:, :, None], c[:, :, None], n[:, None])
    complete = nodes.atom_mask[..., :3].all(-1) & nodes.is_residue
    exists = complete[:, :, None] & complete[:, None, :]
    diagonal = torch.eye(exists.shape[1], dtype=torch.bool, device=exists.device)
    angle = torch.stack((phi, psi), dim=-1).masked_fill(diagonal[None, :, :, None], 0.0)
    return angle, exists


def dihedral(p0: Tensor, p1: Tensor, p2: Tensor, p3: Tensor) -> Tensor:
    """The torsion of p0-p1-p2-p3 (points [..., 3]) in radians, in (-pi, pi]; zero where three lie on a line."""
    b0, b1, b2 = torch.broadcast_tensors(p1 - p0, p2 - p1, p3 - p2)
    normal0, normal1 = torch.linalg.cross(b0, b1), torch.linalg.cross(b1, b2)
    sine = (b0 * normal1).sum(-1) * torch.linalg.vector_norm(b1, dim=-1)
    cosine = (normal0 * normal1).sum(-1)
    return torch.atan2(sine, cosine)


def encode_angles(angle: Tensor) -> Tensor:
    """[..., 2] radians -> [..., 26]: per angle itself, then its sines and cosines at six frequencies."""
    frequency = torch.tensor(ANGLE_FREQUENCIES, device=angle.device, dtype=angle.dtype)
    turned = angle.unsqueeze(-1) * frequency
    code = torch.cat((angle.unsqueeze(-1), turned.sin(), turned.cos()), dim=-1)
    return code.flatten(-2)
