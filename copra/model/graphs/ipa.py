"""Invariant point attention (Jumper et al. 2021, Supplement, Algorithm 22) over the residues of an interface.

Residues attend to each other by what they are, by their pair and by points that each head places in the residue's own
backbone frame. Pairs come from the encoder that Co-Former has, so nothing depends on how the complex lies in space.
Special nodes and padding take no part. A residue that lacks an atom of its frame attends and is attended to without
points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.config_experiments import Ipa
from copra.model.graphs.inputs import RNA, NodeInput, Readout
from copra.model.pair_features import ANGSTROM_PER_NM, Nodes, PairEncoder

FRAME_ATOMS = (
    3  # N CA C of a protein residue, C4' C1' N1/N9 of a nucleotide (its P is often missing); origin: the second
)
SMALLEST_SINE = 1e-3  # three atoms nearer to a line than this make no frame
SMALLEST_NM = 1e-4  # of the length of a point, so that its gradient is finite


@dataclass
class Frames:
    """Where each residue's backbone stands and how it is turned: x_global = rotation x_local + origin."""

    rotation: Tensor  # float32 [B, L, 3, 3], the axes are its columns; the identity where there is no frame
    origin_nm: Tensor  # float32 [B, L, 3], the mean of a complex's origins at zero; zero where there is no frame
    exists: Tensor  # bool [B, L]

    def to_global(self, points: Tensor) -> Tensor:
        """Points [B, L, n, 3] of the residues' frames -> in nm; zero where there is no frame."""
        moved = points @ self.rotation.transpose(-1, -2) + self.origin_nm[:, :, None]
        return moved * self.exists[..., None, None]


@torch.no_grad()
def backbone_frames(nodes: Nodes) -> Frames:
    """Frames from three atoms x1, x2, x3 by Gram-Schmidt (Algorithm 21): x2 to x3, then the side on which x1 is."""
    is_rna = (nodes.molecule == RNA)[..., None]
    atoms, here = nodes.xyz_angstrom / ANGSTROM_PER_NM, nodes.atom_mask
    atoms = torch.where(is_rna[..., None], atoms[:, :, -FRAME_ATOMS:], atoms[:, :, :FRAME_ATOMS])
    exists = torch.where(is_rna, here[:, :, -FRAME_ATOMS:], here[:, :, :FRAME_ATOMS]).all(-1) & nodes.is_residue
    x1, x2, x3 = atoms.unbind(2)
    first = F.normalize(x3 - x2, dim=-1)
    side = F.normalize(x1 - x2, dim=-1)
    second = side - first * (first * side).sum(-1, keepdim=True)
    exists = exists & (torch.linalg.vector_norm(second, dim=-1) > SMALLEST_SINE)
    second = F.normalize(second, dim=-1)
    rotation = torch.stack((first, second, torch.linalg.cross(first, second)), dim=-1)
    rotation = torch.where(exists[..., None, None], rotation, torch.eye(3, dtype=x2.dtype, device=x2.device))
    x2 = x2.masked_fill(~exists[..., None], 0.0)
    centre = x2.sum(1, keepdim=True) / exists.sum(1).clamp(min=1)[:, None, None]  # near zero squares round less
    return Frames(rotation, (x2 - centre).masked_fill(~exists[..., None], 0.0), exists)


def build_affinity_model(experiment: Ipa, protein_lm_width: int, rna_lm_width: int) -> IpaModel:
    """The model of an experiment; the widths of the language models' embeddings are 0 without them."""
    return IpaModel(experiment, protein_lm_width, rna_lm_width)


class IpaModel(nn.Module):
    """Layers of point attention, mean over the residues, dG."""

    def __init__(self, experiment: Ipa, protein_lm_width: int, rna_lm_width: int) -> None:
        super().__init__()
        self.input = NodeInput(experiment.width, protein_lm_width, rna_lm_width)
        self.pair_encoder = PairEncoder(experiment.pair_width, special_node_geometry=False)
        self.layers = nn.ModuleList(IpaLayer(experiment) for _ in range(experiment.layers))
        self.readout = Readout(experiment.width, experiment.dropout)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, float32 [B]."""
        return self.readout(self.residues(nodes, protein_lm, rna_lm), nodes.is_residue)

    def residues(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """The residues after the last layer, [B, L, width]; rows of other nodes mean nothing."""
        s = self.input(nodes, nodes.is_residue, protein_lm, rna_lm)
        z, frames = self.pair_encoder(nodes), backbone_frames(nodes)
        for layer in self.layers:
            s = layer(s, z, frames, nodes.is_residue)
        return s


class IpaLayer(nn.Module):
    """s = LN(s + IPA(s)), then s = LN(s + MLP(s)), as in the structure module (Algorithm 20) without moving a frame."""

    def __init__(self, experiment: Ipa) -> None:
        super().__init__()
        width, self.dropout = experiment.width, experiment.dropout
        self.attention = PointAttention(experiment)
        self.attention_norm = nn.LayerNorm(width)
        self.transition = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.transition_norm = nn.LayerNorm(width)

    def forward(self, s: Tensor, z: Tensor, frames: Frames, present: Tensor) -> Tensor:
        """[B, L, width], pairs [B, L, L, pair_width], frames, residues bool [B, L] -> [B, L, width]."""
        s = self.attention_norm(s + F.dropout(self.attention(s, z, frames, present), self.dropout, self.training))
        return self.transition_norm(s + F.dropout(self.transition(s), self.dropout, self.training))


class PointAttention(nn.Module):
    """Algorithm 22. Lengths are in nm, so that a point's weight is near that of a scalar when training begins."""

    def __init__(self, experiment: Ipa) -> None:
        super().__init__()
        self.heads, self.head_width = experiment.heads, experiment.head_width
        self.query_points, self.value_points = experiment.query_points, experiment.value_points
        points = 2 * self.query_points + self.value_points
        self.to_scalars = nn.Linear(experiment.width, 3 * self.heads * self.head_width, bias=False)
        self.to_points = nn.Linear(experiment.width, self.heads * points * 3, bias=False)
        self.pair_bias = nn.Linear(experiment.pair_width, self.heads, bias=False)
        one = torch.ones(self.heads)
        self.point_weight = nn.Parameter(one.expm1().log())  # gamma = softplus of it, 1 when training begins
        per_head = self.head_width + 4 * self.value_points + experiment.pair_width
        self.out = nn.Linear(self.heads * per_head, experiment.width)

    def forward(self, s: Tensor, z: Tensor, frames: Frames, present: Tensor) -> Tensor:
        """[B, L, width], [B, L, L, pair_width], frames, bool [B, L] -> [B, L, width]; only `present` rows are keys."""
        b, length, _ = s.shape
        dtype = frames.origin_nm.dtype  # squares of lengths need all of float32, whatever autocast says
        scalars = self.to_scalars(s).view(b, length, self.heads, 3 * self.head_width).to(dtype)
        local = self.to_points(s).view(b, length, -1, 3).to(dtype)
        bias = self.pair_bias(z).permute(0, 3, 1, 2).to(dtype)
        with torch.autocast(s.device.type, enabled=False):
            points = frames.to_global(local).view(b, length, self.heads, -1, 3)
            q_points, k_points, v_points = points.split(
                (self.query_points, self.query_points, self.value_points), dim=3
            )
            q, k, v = scalars.chunk(3, dim=-1)
            scores = self.scores((q, q_points), (k, k_points), bias, frames.exists)
            weight = scores.masked_fill(~present[:, None, None], float("-inf")).softmax(-1)
            read = self.read((v, v_points), z.to(dtype), weight, frames)
        return self.out(read.to(s.dtype))

    def scores(self, query: tuple[Tensor, Tensor], key: tuple[Tensor, Tensor], bias: Tensor, framed: Tensor) -> Tensor:
        """Line 7 before the softmax, [B, H, L, L].

        Queries and keys are scalars [B, L, H, c] and points [B, L, H, P, 3] in nm. The squared distances are sums of
        |q|^2, |k|^2 and -2 q k, which join the product of the scalars: one product, and no [B, L, L, H, P, 3].
        """
        (q, q_points), (k, k_points) = query, key
        has = framed[:, :, None, None].to(q.dtype).expand(*q.shape[:3], 1)
        w_c = (2 / (9 * self.query_points)) ** 0.5
        weight = (F.softplus(self.point_weight) * w_c / 2).to(q.dtype)[:, None]  # [H, 1]
        q_square, k_square = (x.square().sum((-1, -2))[..., None] for x in (q_points, k_points))
        left = (q / self.head_width**0.5, 2 * weight * q_points.flatten(3), -weight * q_square, -weight * has)
        right = (k, k_points.flatten(3), has, k_square)
        product = torch.cat(left, dim=-1).transpose(1, 2) @ torch.cat(right, dim=-1).permute(0, 2, 3, 1)
        return (1 / 3) ** 0.5 * (product + bias)

    def read(self, value: tuple[Tensor, Tensor], z: Tensor, weight: Tensor, frames: Frames) -> Tensor:
        """Lines 8 to 11: scalars, points in the reader's frame, their lengths and pairs side by side, [B, L, H ...]."""
        v, v_points = value
        b, length, heads, c = v.shape
        has = frames.exists[:, :, None, None].to(v.dtype)
        values = torch.cat((v, v_points.flatten(3), has.expand(b, length, heads, 1)), dim=-1)
        scalars, sums, framed = (
            (weight @ values.transpose(1, 2)).transpose(1, 2).split((c, 3 * self.value_points, 1), dim=-1)
        )
        # sum_j a_ij (x_j - t_i) over the j that have a frame: moving the complex moves neither
        points = sums.unflatten(-1, (-1, 3)) - framed[..., None] * frames.origin_nm[:, :, None, None]
        points = (points.flatten(2, 3) @ frames.rotation).view(b, length, heads, -1, 3) * has[..., None]
        lengths = (points.square().sum(-1) + SMALLEST_NM**2).sqrt()
        pairs = weight.transpose(1, 2) @ z  # [B, L, H, pair_width]
        return torch.cat((scalars, points.flatten(3), lengths, pairs), dim=-1).flatten(2)
