"""Co-Former: a dual-path transformer over the sequence embedding S and the pair embedding Z of an interface.

Equation numbers are those of the CoPRA paper (AAAI 2025). Where paper and official code differ, a block follows its
`Design` (copra/model/design.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.config_model import Architecture
from copra.config_model import Coformer as Settings
from copra.model.attention import (
    COMPLEX_NODE,
    PROTEIN,
    RNA,
    attention_mask,
    mask_codes,
)
from copra.model.attention import PROTEIN_NODE as PROTEIN_NODE
from copra.model.attention import RNA_NODE as RNA_NODE
from copra.model.design import Design, design_of
from copra.model.heads import AffinityHead
from copra.model.layers import FeedForward, rotary_tables, rotate
from copra.model.pair_features import N_RESIDUE_TYPES, N_SPECIAL, PADDING_TYPE, Nodes, PairEncoder
from copra.model.pair_ops import pair_attention, pair_mlp, pair_update

SEQUENCE_EXPANSION, PAIR_EXPANSION = 4, 2  # feed-forward width over path width; the text gives neither


@dataclass(frozen=True)
class CoformerShape:
    """All that the weights' shapes depend on; `protein_lm_width` and `rna_lm_width` are 0 without language model."""

    blocks: int
    sequence_width: int  # d_s
    pair_width: int  # d_z
    heads: int
    outer_product_width: int  # of the squeezed outer product
    head_width: int
    dropout: float
    protein_lm_width: int
    rna_lm_width: int
    design: Design
    # the full model has both; Table 3 of the paper takes them away
    pair_information: bool = True  # without: Z^(0) is the mask token at every pair
    special_nodes: bool = True  # without: dG is read off the mean over the residues


def shape_of(architecture: Architecture, head_width: int, protein_lm_width: int, rna_lm_width: int) -> CoformerShape:
    """The model that a configuration asks for; the widths of the language models are 0 without them."""
    return CoformerShape(
        blocks=architecture.blocks,
        sequence_width=architecture.sequence_width,
        pair_width=architecture.pair_width,
        heads=architecture.heads,
        outer_product_width=architecture.outer_product_width,
        head_width=head_width,
        dropout=architecture.dropout,
        protein_lm_width=protein_lm_width,
        rna_lm_width=rna_lm_width,
        design=design_of(architecture.preset, architecture.switches),
    )


@dataclass(frozen=True)
class View:
    """What a task lets Co-Former see."""

    hidden_pairs: Tensor | None  # bool [B, L, L]: pairs whose Z is a learned token before the first block
    within_molecules: bool  # M: protein attends to protein, RNA to RNA, the complex node to all


EVERYTHING = View(hidden_pairs=None, within_molecules=False)


class AffinityModel(nn.Module):
    """Interfaces -> standardised dG, by Co-Former and an MLP on the complex node (or the residues' mean)."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        self.special_nodes = shape.special_nodes
        self.coformer = Coformer(shape)
        self.head = AffinityHead(shape.sequence_width, shape.head_width)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """dG = MLP(C^s), standardised, [B]; arguments as of `Coformer`."""
        read = self.coformer.complex_node if self.special_nodes else self.coformer.residue_mean
        return self.head(read(nodes, protein_lm, rna_lm))


def build_affinity_model(experiment: Settings, protein_lm_width: int, rna_lm_width: int) -> AffinityModel:
    """The model of an experiment; the widths of the language models' embeddings are 0 without them."""
    shape = shape_of(experiment, experiment.head_width, protein_lm_width, rna_lm_width)
    return AffinityModel(
        replace(shape, pair_information=experiment.pair_information, special_nodes=experiment.special_nodes)
    )


class Coformer(nn.Module):
    """Nodes (and language-model embeddings) -> S [B, L, sequence_width] and Z [B, L, L, pair_width]."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        d_s, d_z, design = shape.sequence_width, shape.pair_width, shape.design
        self.type_embedding = nn.Embedding(N_RESIDUE_TYPES, d_s, padding_idx=PADDING_TYPE)
        self.protein_projection = nn.Linear(shape.protein_lm_width, d_s) if shape.protein_lm_width else None
        self.rna_projection = nn.Linear(shape.rna_lm_width, d_s) if shape.rna_lm_width else None
        self.input_norm = nn.LayerNorm(d_s)
        self.pair_encoder = PairEncoder(d_z, design.special_node_geometry) if shape.pair_information else None
        self.mask_token = nn.Parameter(torch.randn(d_z))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.final_norm = nn.LayerNorm(d_s) if design.final_layer_norm else nn.Identity()
        self.final_pair_norm = nn.LayerNorm(d_z) if design.final_layer_norm else nn.Identity()

    def forward(
        self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None, view: View = EVERYTHING
    ) -> tuple[Tensor, Tensor]:
        """Run all blocks on all nodes and pairs.

        `protein_lm` [B, L, width of the protein model] and `rna_lm` [B, L, width of the RNA model] hold the
        embeddings at the rows of their molecule's residues and anything finite elsewhere; None without such a model.
        """
        s = self._sequence_embedding(nodes, protein_lm, rna_lm)
        z = self._pair_embedding(nodes, view)
        allowed = attention_mask(nodes, view.within_molecules)
        for block in self.blocks:
            s, z = block(s, z, allowed, nodes.valid)
        return self.final_norm(s), self.final_pair_norm(z)

    def complex_node(
        self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None, view: View = EVERYTHING
    ) -> Tensor:
        """C^s, the complex node's row of S, [B, sequence_width]; arguments as of `forward`.

        Only what reaches it is computed: the last block has one row and no pair update, and of the pairs that it
        reads the block before it updates that row alone.
        """
        s = self._sequence_embedding(nodes, protein_lm, rna_lm)
        z = self._pair_embedding(nodes, view)
        allowed = attention_mask(nodes, view.within_molecules)
        *others, last = self.blocks
        for i, block in enumerate(others):
            s, z = block(s, z, allowed, nodes.valid, pair_rows=1 if i == len(others) - 1 else None)
        s, _ = last(s, z[:, : COMPLEX_NODE + 1], allowed, nodes.valid, pair_rows=0)
        return self.final_norm(s)[:, COMPLEX_NODE]

    def residue_mean(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """The mean of S over the residues, [B, sequence_width], of a pass that the special nodes take no part in.

        They stand in front, so leaving them out is the same as masking their rows and columns in S, Z and M. The last
        block's pair update would reach nothing, and is not computed.
        """
        residues = Nodes(**{name: value[:, N_SPECIAL:] for name, value in vars(nodes).items()})
        embeddings = (None if lm is None else lm[:, N_SPECIAL:] for lm in (protein_lm, rna_lm))
        s = self._sequence_embedding(residues, *embeddings)
        z, valid = self._pair_embedding(residues, EVERYTHING), residues.valid
        allowed = valid[:, None].expand(-1, valid.shape[1], -1)
        for i, block in enumerate(self.blocks, start=1):
            s, z = block(s, z, allowed, valid, pair_rows=0 if i == len(self.blocks) else None)
        s = self.final_norm(s) * valid[..., None]
        return s.sum(1) / valid.sum(1, keepdim=True)

    def _sequence_embedding(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """S^(0); the special nodes' own types are their learned tokens."""
        s = self.type_embedding(nodes.residue_type)
        s = s + _projected(self.protein_projection, protein_lm, nodes.molecule == PROTEIN)
        s = s + _projected(self.rna_projection, rna_lm, nodes.molecule == RNA)
        return self.input_norm(s)

    def _pair_embedding(self, nodes: Nodes, view: View) -> Tensor:
        """Z^(0)."""
        if self.pair_encoder is None:
            b, length = nodes.residue_type.shape
            return self.mask_token.expand(b, length, length, -1)
        z = self.pair_encoder(nodes)
        if view.hidden_pairs is None:
            return z
        return torch.where(view.hidden_pairs.unsqueeze(-1), self.mask_token.to(z.dtype), z)


class Block(nn.Module):
    """{S, Z}^(l) -> {S, Z}^(l+1) = {FFN(LN(S^)), FFN(LN(Z^))} with {S^, Z^} = SSF({S, Z}^(l))."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        d_s, d_z, design = shape.sequence_width, shape.pair_width, shape.design
        self.design, self.heads, self.dropout = design, shape.heads, shape.dropout
        self.attention_norm = nn.LayerNorm(d_s) if design.residual_from == "normed" else nn.Identity()
        self.to_qkv = nn.Linear(d_s, 3 * d_s, bias=False)
        self.pair_bias = nn.Linear(d_z, shape.heads, bias=False)
        self.attention_out = nn.Linear(d_s, d_s, bias=False)
        self.feed_forward_norm = nn.LayerNorm(d_s)
        self.feed_forward = FeedForward(d_s, SEQUENCE_EXPANSION, design.feed_forward)

        squeezed = design.outer_product == "squeezed"
        c = shape.outer_product_width if squeezed else d_s
        self.outer_squeeze = nn.Linear(d_s, c) if squeezed else nn.Identity()
        self.outer_linear = nn.Linear(c * c, d_z)
        self.pair_projection = nn.Linear(d_z, d_z, bias=False) if design.pair_update == "twice" else None
        self.pair_norm = nn.LayerNorm(d_z)
        self.pair_feed_forward = (
            FeedForward(d_z, PAIR_EXPANSION, design.feed_forward) if design.pair_feed_forward else None
        )

    def forward(
        self, s: Tensor, z: Tensor, allowed: Tensor, valid: Tensor, pair_rows: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """S [B, L, d_s], Z [B, R, L, d_z], M [B, L, L], valid nodes [B, L] -> S [B, R, d_s], Z [B, pair_rows, L, d_z].

        S comes out for the R rows of Z that come in (L, or the first alone), Z for the first `pair_rows` (None: R).
        """
        s, rows = self.attention_norm(s), z.shape[1]
        mask = mask_codes(allowed[:, :rows], valid, self.design.attention_mask)
        y, z = self.attention(s, z, mask, pair_rows)
        s_hat = s[:, :rows] + self._dropped(self.attention_out(y))
        if pair_rows != 0:
            z = self.updated_pairs(z, y)
        return self.updated_sequence(s_hat), z

    def attention(self, s: Tensor, z: Tensor, mask: Tensor, pair_rows: int | None) -> tuple[Tensor, Tensor]:
        """Structure-guided multi-head attention, equations (1) to (3): the heads' output side by side, [B, R, d_s].

        The second result is the first `pair_rows` rows of z.
        """
        b, length, d_s = s.shape
        d_k = d_s // self.heads
        # (1) Q, K, V = S [W_Q, W_K, W_V], each [B, L, H, d_k]
        q, k, v = self.to_qkv(s).view(b, length, 3, self.heads, d_k).unbind(2)
        if self.design.rotary:
            cosine, sine = (x[:, None] for x in rotary_tables(length, d_k, s.device))
            q, k = rotate(q, cosine, sine).to(v.dtype), rotate(k, cosine, sine).to(v.dtype)
        # (2) A = Q K^T / sqrt(d_k) + Linear(Z) and (3) softmax(A) V under M
        return pair_attention(z, q[:, : z.shape[1]], k, v, self.pair_bias.weight, mask, self._dropout_rate, pair_rows)

    def updated_sequence(self, s_hat: Tensor) -> Tensor:
        """The sequence path's layer norm and feed-forward, FFN(x) = x + MLP(x)."""
        normed = self.feed_forward_norm(s_hat)
        residual = normed if self.design.feed_forward_residual_from == "normed" else s_hat
        return residual + self.feed_forward(normed)

    def updated_pairs(self, z: Tensor, y: Tensor) -> Tensor:
        """The outer-product update, equations (4) and (5), layer norm and feed-forward of Z's given rows."""
        u = self.outer_squeeze(y)
        weight: Tensor = self.outer_linear.weight
        bias: Tensor = self.outer_linear.bias
        projection, residual = None, 0.0
        if self.pair_projection is not None:  # t = z + P (z + Linear(o)): P meets Linear's weights, not the pairs
            projection, residual = self.pair_projection.weight, 1.0
            weight, bias = projection @ weight, projection @ bias
        # u_i meets the weight before u_j does, so that the [L, L, c, c] outer products never lie in memory
        weight = weight.unflatten(1, (u.shape[-1], u.shape[-1]))  # [d_z, c of u_i, c of u_j]
        half = torch.einsum("zae,bia->bize", weight, u[:, : z.shape[1]])
        norm = (self.pair_norm.weight, self.pair_norm.bias)
        z = pair_update(z, half, u, projection, bias, norm, residual, self._dropout_rate)
        mlp = self.pair_feed_forward
        if mlp is not None and isinstance(mlp.inner, nn.Linear):
            return pair_mlp(z, (mlp.inner.weight, mlp.inner.bias), (mlp.out.weight, mlp.out.bias))
        return z if mlp is None else z + mlp(z)

    @property
    def _dropout_rate(self) -> float:
        return self.dropout if self.training else 0.0

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def _projected(projection: nn.Linear | None, embedding: Tensor | None, rows: Tensor) -> Tensor | float:
    if projection is None:
        return 0.0
    if embedding is None:
        raise ValueError("this model was built for language-model embeddings, and none were given")
    return projection(embedding) * rows.unsqueeze(-1)
